"""k-mer counting against KMC, Jellyfish and a NumPy counter, on genomes and on simulated sequence.

    python benchmarks/kmers.py --check
    python benchmarks/kmers.py --only genomes

Seconds are wall time and, after it, processor time of all threads: on a machine that does other work too, the second
is what can be compared. KMC and Jellyfish (Debian packages `kmc` and `jellyfish`) get 2 threads, as does this.
Simulated sequences are drawn base by base, the hardest case: nearly all long k-mers differ. Files lie in a temporary
folder: at 500 Mbp 0.5 GB of text and about 10 GB of KMC's and Jellyfish's results.
"""

import argparse
import gzip
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine  # noqa: F401  (puts this folder behind the libraries on Python's path)
import numpy as np
from machine import describe_machine

from oligolearn.kmers import Counter, codes_of, count_files
from oligolearn.kmers.streaming import Packer, pack_file

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sequence"
GENOMES = ("genome_ecoli_k12", "genome_salmonella_lt2")
THREADS = 2
PER_CORE = {4: 400, 6: 400, 8: 400, 11: 100, 12: 100}  # goals, Mbp/s
AGAINST_FASTER = 1.5  # at the largest size

missed: list[str] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--only", choices=("same", "core", "genomes", "large"), help="one part")
    parser.add_argument("--mbp", type=int, nargs=2, default=(50, 500), help="sizes of the simulated sequences")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    absent = [program for program in ("kmc", "kmc_tools", "jellyfish") if shutil.which(program) is None]
    if absent or not DATA.is_dir():
        print(f"needs the programs kmc and jellyfish and the folder {DATA}; missing: {', '.join(absent) or 'folder'}")
        sys.exit(1 if arguments.check else 0)
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genomes = [folder / f"{genome}.fna" for genome in GENOMES]
        for path in genomes:
            path.write_bytes(gzip.decompress((DATA / f"{path.name}.gz").read_bytes()))
        if arguments.only in {None, "same"}:
            compare_counts(genomes, folder)
        if arguments.only in {None, "core"}:
            one_core(simulate(folder / "core.fa", arguments.mbp[0]), arguments.mbp[0])
        if arguments.only in {None, "genomes"}:
            for k in (12, 21, 31):
                against_programs(genomes[0], k, folder, arguments.repeats, goal=1.0 if k > 12 else None)
            whole_commands(genomes[0], folder, arguments.repeats)
        if arguments.only in {None, "large"}:
            path = simulate(folder / "large.fa", arguments.mbp[1])
            against_programs(path, 21, folder, 1, goal=AGAINST_FASTER)
    for line in missed:
        print(f"missed: {line}")
    if arguments.check and missed:
        sys.exit(1)


def simulate(path: Path, mbp: int, width: int = 80) -> Path:
    """Random bases in lines, written some at a time."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(b">simulated\n")
        for _ in range(mbp):
            lines = np.full((1_000_000 // width, width + 1), ord("\n"), np.uint8)
            lines[:, :width] = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, (len(lines), width), dtype=np.uint8)]
            file.write(lines.tobytes())
    return path


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds, those of programs that were waited for included."""

    def used() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in both)

    wall, processor = time.perf_counter(), used()
    run()
    return time.perf_counter() - wall, used() - processor


def median_times(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Medians over runs of each in turn, printed."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    medians = {}
    for number in range(repeats):
        for name, run in runs.items():
            found[name].append(timed(run))
            if number == repeats - 1:
                medians[name] = tuple(map(statistics.median, zip(*found[name], strict=True)))
                print(f"{name:>10} {medians[name][0]:8.2f} {medians[name][1]:8.2f}", flush=True)
    return medians


def program(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kmc(path: Path, k: int, folder: Path) -> None:
    options = [f"-k{k}", "-ci1", "-cs4294967295", "-fm", f"-t{THREADS}", "-m8"]
    program("kmc", *options, path, folder / "kmc", folder)


def jellyfish(path: Path, k: int, folder: Path) -> None:
    size = f"{min(4**k, path.stat().st_size + (4 << 20)) // (1 << 20) + 1}M"
    program("jellyfish", "count", "-m", k, "-C", "-s", size, "-t", THREADS, "-o", folder / "jellyfish", path)


def listed(path: Path, k: int) -> tuple[np.ndarray, np.ndarray]:
    """k-mers and counts of a text file, in the order of the alphabet."""
    words, counts = np.loadtxt(path, dtype=str, ndmin=2).T
    codes = codes_of(words.tolist(), k)
    order = np.argsort(codes)
    return codes[order], counts[order].astype(np.int64)


def compare_counts(genomes: list[Path], folder: Path) -> None:
    print("\nidentical to KMC and to Jellyfish, canonical")
    for path in genomes:
        for k in (5, 8, 12, 21, 31):
            ours = count_files([path], k, canonical=True)
            answers = []
            kmc(path, k, folder)
            program("kmc_tools", "transform", folder / "kmc", "dump", folder / "kmc.txt")
            jellyfish(path, k, folder)
            program("jellyfish", "dump", "-c", "-t", "-o", folder / "jellyfish.txt", folder / "jellyfish")
            for peer in ("kmc", "jellyfish"):
                codes, counts = listed(folder / f"{peer}.txt", k)
                same = np.array_equal(codes, ours.codes) and np.array_equal(counts, ours.counts)
                answers.append(f"{peer} {'identical' if same else 'DIFFERS'}")
                if not same:
                    missed.append(f"{path.name}, k={k}: {peer} counts otherwise")
            print(f"{path.stem:>22} k={k:<2} {len(ours.codes):>9,} k-mers: {', '.join(answers)}", flush=True)


def rolling_codes(path: Path, k: int, n_bases: int = 4_000_000) -> None:
    """What one would write in NumPy: codes of all windows by shifting, canonical, counted by `bincount`."""
    with path.open("rb") as file:
        text = file.read(n_bases + n_bases // 80).partition(b"\n")[2].replace(b"\n", b"")
    letters = np.full(256, 255, np.uint8)
    letters[list(b"ACGTacgt")] = [0, 1, 2, 3] * 2
    bases = letters[np.frombuffer(text, np.uint8)]
    n = len(bases) - k + 1
    code, other, bad = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, bool)
    for place in range(k):
        base = bases[place : place + n]
        bad |= base > 3
        code = (code << 2) | base
        other |= (3 - base.astype(np.int64)) << (2 * place)
    np.bincount(np.minimum(code, other)[~bad], minlength=4**k)


def one_core(path: Path, mbp: int) -> None:
    print(f"\none core, {mbp} Mbp in a file, Mbp per second of processor time: file to counts, best and median of 5")
    for k, goal in PER_CORE.items():
        n_bases = mbp * 1e6
        count_files([path], k, canonical=True, threads=1)
        speeds = [
            n_bases / 1e6 / timed(lambda k=k: count_files([path], k, canonical=True, threads=1))[1] for _ in range(5)
        ]
        numpy_speed = 4 / min(timed(lambda k=k: rolling_codes(path, k))[1] for _ in range(3))
        print(
            f"k={k:<2} {max(speeds):6.0f} {statistics.median(speeds):6.0f}, goal {goal}; NumPy {numpy_speed:5.1f}",
            flush=True,
        )
        if statistics.median(speeds) < goal:
            missed.append(f"{statistics.median(speeds):.0f} Mbp/s a core at k={k}, goal {goal}")


def count_through(path: Path, k: int) -> None:
    """Count a file and pass over the result, as a program does that writes it."""
    counter = Counter(k, canonical=True, threads=THREADS)
    counter.add(pack_file(path, Packer(k)))
    for _ in counter.pieces():
        pass


def against_programs(path: Path, k: int, folder: Path, repeats: int, goal: float | None) -> None:
    runs = {
        "ours": lambda: count_through(path, k),
        "KMC": lambda: kmc(path, k, folder),
        "Jellyfish": lambda: jellyfish(path, k, folder),
    }
    if repeats > 1:
        count_through(path, k)
    print(f"\n{path.name}, {path.stat().st_size / 1e6:.0f} MB, k={k}: counting, wall and processor seconds", flush=True)
    times = median_times(runs, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(f"peak memory of this process so far {peak:.2f} GiB", flush=True)
    for place, what in ((0, "wall"), (1, "processor")):
        ratio = times["ours"][place] / min(times["KMC"][place], times["Jellyfish"][place])
        print(f"{what} time over that of the faster one: {ratio:.2f}")
        if goal is not None and ratio > goal:
            missed.append(f"{path.name}, k={k}: {ratio:.2f} times the {what} time of the faster one, goal {goal}")


def whole_commands(path: Path, folder: Path, repeats: int) -> None:
    command = [sys.executable, "-m", "oligolearn", "kmers", path, "--canonical", "--quiet", "--threads", THREADS]
    for k in (12, 21):

        def with_jellyfish(k: int = k) -> None:
            jellyfish(path, k, folder)
            program("jellyfish", "dump", "-c", "-o", folder / "jellyfish.txt", folder / "jellyfish")

        def with_kmc(k: int = k) -> None:
            kmc(path, k, folder)
            program("kmc_tools", "transform", folder / "kmc", "dump", folder / "kmc.txt")

        runs = {
            "ours": lambda k=k: program(*command, "--k", k, "--out", folder / "ours.tsv"),
            "KMC": with_kmc,
            "Jellyfish": with_jellyfish,
        }
        print(f"\n{path.name}, k={k}: whole commands, genome to text, wall and processor seconds", flush=True)
        median_times(runs, repeats)


if __name__ == "__main__":
    main()

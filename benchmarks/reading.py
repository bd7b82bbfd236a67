"""Reading a 1,000 x 20,000 CSV: time against pyarrow's own reader, and peak memory.

Each reading runs in a fresh process. ``--check`` exits with 1 where a promise is missed: at most 3 times pyarrow's
time, and at most 3 times the size of the file in memory.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

N_SAMPLES, N_GENES = 1000, 20_000
LARGEST_RATIO = 3.0
CASES = ("samples_in_rows.csv", "genes_in_rows.csv", "samples_in_rows.csv.gz", "genes_in_rows.csv.gz")


def write_tables(folder: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 15, (N_SAMPLES, N_GENES))
    samples, genes = [f"sample_{i}" for i in range(N_SAMPLES)], [f"GENE{i}" for i in range(N_GENES)]
    for name, matrix, rows, columns in (
        ("samples_in_rows.csv", values, samples, genes),
        ("genes_in_rows.csv", values.T, genes, samples),
    ):
        with (folder / name).open("w") as file:
            file.write(f"id,{','.join(columns)}\n")
            for row_name, row in zip(rows, matrix, strict=True):
                file.write(f"{row_name},{','.join(f'{value:.4f}' for value in row)}\n")
        subprocess.run(["gzip", "--keep", "-1", name], cwd=folder, check=True)


def read_once(reader: str, path: Path) -> None:
    """Read in this process; print seconds and megabytes above what the imports had taken."""
    import pyarrow.csv

    from oligolearn.data import read_expression

    before = _peak_megabytes()
    start = time.perf_counter()
    held = read_expression(path) if reader == "ours" else pyarrow.csv.read_csv(path)
    print(time.perf_counter() - start, _peak_megabytes() - before, len(str(held.shape)))


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(reader: str, path: Path, repeats: int) -> tuple[float, float]:
    """Return the shortest time in seconds and the largest peak in MB."""
    seconds, peaks = [], []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--read", reader, str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds.append(float(printed[0]))
        peaks.append(float(printed[1]))
    return min(seconds), max(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is missed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_once(arguments.read[0], Path(arguments.read[1]))
        return
    missed = False
    matrix = N_SAMPLES * N_GENES * 4 / 2**20
    print(describe_machine())
    print(f"the matrix takes {matrix:.0f} MB as float32")
    print(f"{'file':24} {'ours s':>8} {'pyarrow s':>10} {'ratio':>6} {'ours MB':>8} {'pyarrow MB':>11} {'file MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder))
        size = (Path(folder) / CASES[0]).stat().st_size / 2**20
        for name in CASES:
            ours, our_peak = measure("ours", Path(folder) / name, arguments.repeats)
            theirs, their_peak = measure("pyarrow", Path(folder) / name, arguments.repeats)
            missed = missed or ours > LARGEST_RATIO * theirs or our_peak > LARGEST_RATIO * size
            times = f"{ours:8.2f} {theirs:10.2f} {ours / theirs:6.2f}"
            print(f"{name:24} {times} {our_peak:8.0f} {their_peak:11.0f} {size:8.0f}", flush=True)
    print(
        "missed"
        if missed
        else f"all within {LARGEST_RATIO:g} times pyarrow's time and {LARGEST_RATIO:g} times the file"
    )
    sys.exit(int(missed and arguments.check))


if __name__ == "__main__":
    main()

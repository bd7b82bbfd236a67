"""Seconds from the command `oligolearn study` to the start of its first training, and those of `oligolearn --help`.

Beside them, in the same run: a bare Python that imports torch, scikit-learn and anndata, what any such study has to
import. ``--check`` exits with 1 where the first training starts after 3 seconds or help takes 1 second.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe_machine

from oligolearn import simulate_cohort

OURS = [sys.executable, "-m", "oligolearn"]
BARE = [sys.executable, "-c", "import anndata, torch, sklearn.linear_model"]
GOAL, GOAL_HELP = 3.0, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(describe_machine())
    seconds: dict[str, list[float]] = {"first training": [], "help": [], "bare imports": []}
    with tempfile.TemporaryDirectory() as folder:
        cohort = Path(folder) / "cohort.h5ad"
        simulate_cohort(n_samples=300, n_genes=2000, seed=1).write_h5ad(cohort)
        first_training(cohort, Path(folder) / "warm")  # what is read from the disk for the first time is not timed
        for repeat in range(arguments.repeats):
            seconds["first training"].append(first_training(cohort, Path(folder) / f"study-{repeat}"))
            seconds["help"].append(whole([*OURS, "--help"]))
            seconds["bare imports"].append(whole(BARE))
    for name, values in seconds.items():
        print(f"{name}: {statistics.median(values):.2f} s (from {min(values):.2f} to {max(values):.2f})")
    start, bare = (statistics.median(seconds[name]) for name in ("first training", "bare imports"))
    print(f"first training / bare imports: {start / bare:.2f}")
    missed = start >= GOAL or statistics.median(seconds["help"]) >= GOAL_HELP
    print(f"goals: first training under {GOAL:g} s, help under {GOAL_HELP:g} s: {'missed' if missed else 'reached'}")
    sys.exit(1 if arguments.check and missed else 0)


def first_training(cohort: Path, out: Path) -> float:
    """Seconds until the first training of a study starts: until it is on disk, without the time it took."""
    options = ["--label", "label", "--methods", "scratch", "--fractions", "0.2", "--repeats", "1", "--quiet"]
    started = time.perf_counter()
    command = [*OURS, "study", str(cohort), "--out", str(out), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as study:
        runs = out / "runs.jsonl"
        while not (runs.exists() and runs.read_text().endswith("\n")):
            if study.poll() is not None:
                sys.exit(f"the study ended with {study.returncode} before its first training")
            time.sleep(0.005)
        elapsed = time.perf_counter() - started
        study.terminate()
    return elapsed - float(json.loads(runs.read_text().splitlines()[0])["seconds"])


def whole(command: list[str]) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

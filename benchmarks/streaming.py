"""Pretraining from a matrix on disk: throughput against rows in memory, and peak memory.

A cohort is written in blocks to a temporary folder and removed afterwards; where the disk is short, fewer rows are
written. Each training runs in a fresh process and is timed after a few steps; the pass that reads the statistics is
timed apart. ``--check`` exits with 1 where a promise is missed: at least 70 % of the rows per second of training
in memory, and a peak below 4 GiB.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

SMALLEST_SHARE = 0.7
LARGEST_PEAK = 4.0  # GiB
WARM_UP = 5  # steps before the clock starts
N_PATTERNS = 512


def write_cohort(path: Path, n_rows: int, n_genes: int, *, sparse: bool) -> None:
    """Counts, made fast: Poisson patterns, shifted and thinned differently for every row."""
    import anndata as ad
    import pandas as pd

    from oligolearn.data.storing import store_expression

    rng = np.random.default_rng(0)
    level = rng.lognormal(0.5 if sparse else 3.0, 1.5, n_genes)
    patterns = rng.poisson(level * rng.lognormal(0, 0.5, (N_PATTERNS, 1)), (N_PATTERNS, n_genes)).astype(np.float32)

    def blocks():  # noqa: ANN202
        for start in range(0, n_rows, N_PATTERNS):
            turned = np.roll(patterns, int(rng.integers(n_genes)), axis=0)
            yield turned[: n_rows - start] + (rng.integers(0, 2, (1, n_genes)) * (not sparse)).astype(np.float32)

    frame = ad.AnnData(
        obs=pd.DataFrame(index=[f"sample_{i}" for i in range(n_rows)]),
        var=pd.DataFrame(index=[f"gene_{i}" for i in range(n_genes)]),
    )
    store_expression(path, frame, blocks(), sparse=sparse)


def train_once(how: str, path: Path, n_rows: int, steps: int, batch_size: int) -> None:
    """Train in this process; print rows per second, seconds of preparation and the peak in GiB."""
    import torch

    from oligolearn.data import ExpressionScaler, StoredExpression, prepare_stream
    from oligolearn.data.stream import BUFFER_BYTES
    from oligolearn.nn import MLP
    from oligolearn.pretext import SwAV
    from oligolearn.training import Runtime, Schedule, fit
    from oligolearn.training.loop import n_batches
    from oligolearn.views import VIEWS

    started = time.perf_counter()
    stored = StoredExpression(path)
    stream = prepare_stream(stored)
    epoch, rows = None, torch.empty(0)
    if how == "memory":
        n_rows = min(n_rows, len(stored))
        values = np.concatenate([stream.read(i, min(i + 256, n_rows)) for i in range(0, n_rows, 256)])
        rows = torch.from_numpy(ExpressionScaler().fit(values).transform(values))
        del values
    else:
        n_rows = len(stored)
        epoch = stream.shuffled(buffer_bytes=BUFFER_BYTES)
    prepared = time.perf_counter() - started
    torch.manual_seed(0)
    objective = SwAV(MLP(len(stream.genes), (512, 256, 128)))
    draws, view = torch.Generator().manual_seed(0), VIEWS["masking"]
    times: list[float] = []

    def two_views(drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        times.append(time.perf_counter())
        batch = rows[drawn] if epoch is None else drawn
        return view(batch, generator=draws), view(batch, generator=draws)

    generator = torch.Generator().manual_seed(0)
    schedule = Schedule(steps + WARM_UP + 1, batch_size, 1e-3)
    fit(objective, two_views, n_rows, schedule, generator=generator, epoch=epoch, runtime=Runtime("auto"))
    size = n_rows // n_batches(n_rows, batch_size)
    speed = size * (len(times) - 1 - WARM_UP) / (times[-1] - times[WARM_UP])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(speed, prepared, peak)


def measure(how: str, path: Path, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Rows per second, seconds of preparation, peak in GiB, in a process of its own: the best of the repeats."""
    command = [sys.executable, __file__, "--train", how, str(path)]
    for name in ("memory_rows", "steps", "batch_size"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    found = []
    for _ in range(arguments.repeats):
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        found.append([float(word) for word in printed])
    speeds, preparations, peaks = zip(*found, strict=True)
    return max(speeds), min(preparations), max(peaks)


def sizes(arguments: argparse.Namespace, folder: Path) -> list[int]:
    """Numbers of rows to write, one file at a time, as the disk allows."""
    fit_on_disk = int(0.8 * shutil.disk_usage(folder).free / (4 * arguments.genes))
    largest = min(arguments.rows, fit_on_disk)
    if largest < arguments.rows:
        print(f"the disk is short: {largest:,} rows in place of {arguments.rows:,}")
    return sorted({max(1, largest // 10), largest})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is missed")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--memory-rows", type=int, default=10_000, help="rows of the training in memory")
    parser.add_argument("--steps", type=int, default=200, help="steps that are timed")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--formats", default="h5ad,sparse.h5ad", help="h5ad, sparse.h5ad, zarr, sparse.zarr")
    parser.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        how, path = arguments.train
        train_once(how, Path(path), arguments.memory_rows, arguments.steps, arguments.batch_size)
        return

    missed = False
    print(describe_machine())
    print(f"{arguments.genes:,} genes, batches of {arguments.batch_size}, {arguments.steps} steps")
    columns = f"{'file':12} {'rows':>8} {'GiB':>6} {'statistics s':>13} {'rows/s':>8}"
    print(f"{columns} {'in memory':>10} {'share':>6} {'peak GiB':>9}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in arguments.formats.split(","):
            in_memory = 0.0
            for n_rows in sizes(arguments, Path(folder)):
                path = Path(folder) / f"cohort.{name.removeprefix('sparse.')}"
                write_cohort(path, n_rows, arguments.genes, sparse=name.startswith("sparse"))
                in_memory = in_memory or measure("memory", path, arguments)[0]
                speed, prepared, peak = measure("stream", path, arguments)
                missed = missed or speed < SMALLEST_SHARE * in_memory or peak > LARGEST_PEAK
                size = 4 * n_rows * arguments.genes / 2**30
                figures = f"{size:6.2f} {prepared:13.1f} {speed:8.0f} {in_memory:10.0f} {speed / in_memory:6.2f}"
                print(f"{name:12} {n_rows:8,} {figures} {peak:9.2f}", flush=True)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(
        "missed" if missed else f"all at least {SMALLEST_SHARE:.0%} of the speed in memory, below {LARGEST_PEAK:g} GiB"
    )
    sys.exit(int(missed and arguments.check))


if __name__ == "__main__":
    main()

"""What the benchmarks say of the machine they ran on, and the data they share."""

import datetime
import os
import platform
import sys
from pathlib import Path

# The folder of a script comes first on Python's path, and `sklearn.py` is the name of one: the library goes before it.
_HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [*(entry for entry in sys.path if str(Path(entry or ".").resolve()) != _HERE), _HERE]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402


def describe_machine(device: str = "cpu") -> str:
    """One line: processor, cores, torch, date."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        name = next((x.split(": ")[1] for x in info.read_text().splitlines() if x.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if device == "cuda":
        name = f"{torch.cuda.get_device_name()}, {name}"
    return f"{name}, {cores} cores, torch {torch.__version__}, {datetime.date.today().isoformat()}"


def simulated_classes(n_rows: int, n_genes: int, n_classes: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray]:
    """Standardised expression that follows 20 factors, classes that follow the same factors with noise."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, 20))
    y = rng.integers(n_classes, size=n_rows)
    factors = centres[y] + 0.9 * rng.normal(size=(n_rows, 20))
    X = factors @ rng.normal(size=(20, n_genes)) / 4 + rng.normal(size=(n_rows, n_genes))
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32), y

"""Training on sequences: sequences per second of each encoder, the share of one-hot encoding, peak memory.

    python benchmarks/sequence_throughput.py [--length 101] [--batch-size 64] [--steps 20] [--rows 1000000]
                                              [--replicas 8] [--check]

Encoders have their own settings, those called `positions` and `anywhere` are the candidates of `SequenceClassifier`.
Encoding is padding a batch and looking its letters up; its share is that of its time in the time of a training step,
both medians of single calls. The large set (--rows of 200 letters, made in memory) is trained on for --large-steps
steps of 256 in a fresh process; whatever `fit` does beforehand, such as finding copies, counts in the peak. With
--replicas, networks of each convolutional encoder are also trained one after the other and as replicas; of the time
that the processor worked, which other programs change less than that on the clock, the better of two is taken. With
--check it exits 1 where encoding takes 10 % or more of a step of a candidate, or the peak reaches 4 GiB.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from machine import describe_machine

from oligolearn import SequenceClassifier
from oligolearn.data import PaddingRule, Sequences
from oligolearn.data.alphabets import find_alphabet
from oligolearn.estimators.sequence_choice import candidates
from oligolearn.estimators.sequence_networks import Learning, Recipe, Task
from oligolearn.estimators.sequence_replicas import Training, train_all
from oligolearn.nn import SEQUENCE_ENCODERS, ClassificationLoss, Classifier, Letters
from oligolearn.training.descent import AdamW, clip_gradients
from oligolearn.training.schedule import Schedule

STACKED = ("positions", "anywhere", "motif-cnn", "residual-cnn")
LARGEST_SHARE = 0.10
LARGEST_PEAK = 4.0  # GiB
LARGE_LENGTH, LARGE_BATCH = 200, 256


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--length", type=int, default=101, help="letters of a sequence")
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--steps", type=int, default=20, help="steps that are timed, after three that are not")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--replicas", type=int, default=0, help="networks to train alone and stacked; 0 for none")
    options.add_argument("--rows", type=int, default=1_000_000, help="sequences of the large set; 0 leaves it out")
    options.add_argument("--large-steps", type=int, default=200)
    options.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.peak_of:
        print(peak_of_training(chosen.peak_of, chosen.large_steps))
        return 0
    print(describe_machine() + f", threads {chosen.threads}")
    print(f"batches of {chosen.batch_size} x {chosen.length} letters of DNA")
    print(f"{'encoder':<18} {'sequences/s':>12} {'ms a step':>10} {'encoding':>9}")
    missed = []
    for name, recipe in recipes(chosen.length).items():
        step, encoding = time_of(recipe, chosen)
        print(f"{name:<18} {chosen.batch_size / step:>12,.0f} {1000 * step:>10.2f} {encoding / step:>9.1%}", flush=True)
        if name not in SEQUENCE_ENCODERS and encoding / step >= LARGEST_SHARE:
            missed.append(f"encoding of {name}")
    for name in STACKED if chosen.replicas else ():
        alone, stacked = time_of_replicas(recipes(chosen.length)[name], chosen)
        print(
            f"{name}: {chosen.replicas} networks {alone:.2f} s alone, {stacked:.2f} s stacked, {alone / stacked:.2f}x"
        )
    if chosen.rows:
        command = [sys.executable, __file__, "--peak-of", str(chosen.rows), "--large-steps", str(chosen.large_steps)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, seconds = map(float, ended.stdout.split())
        print(f"{chosen.rows:,} x {LARGE_LENGTH} letters, {chosen.large_steps} steps: {peak:.2f} GiB, {seconds:.0f} s")
        missed += ["peak memory"] if peak >= LARGEST_PEAK else []
    print("goals missed:", ", ".join(missed) or "none")
    return 1 if chosen.check and missed else 0


def random_sequences(n: int, length: int) -> Sequences:
    """DNA, a byte a letter."""
    codes = np.random.default_rng(0).integers(1, 5, n * length, dtype=np.uint8)
    obs = pd.DataFrame(index=pd.RangeIndex(n))
    return Sequences(codes, np.arange(n + 1, dtype=np.int64) * length, find_alphabet("dna"), obs)


def recipes(length: int) -> dict[str, Recipe]:
    """The candidates of `SequenceClassifier`, and every encoder with its own settings."""
    few, rule = random_sequences(2, length), PaddingRule(length)
    own = {name: Recipe(name, {}, few.alphabet, rule) for name in SEQUENCE_ENCODERS}
    return {**candidates(few, rule, "auto"), **own}


def time_of(recipe: Recipe, chosen: argparse.Namespace) -> tuple[float, float]:
    """Seconds of a training step, and of encoding its batch in it."""
    sequences = random_sequences(20 * chosen.batch_size, chosen.length)
    y = torch.arange(len(sequences)) % 2
    torch.manual_seed(0)
    loss = ClassificationLoss(Classifier(recipe.build(), 2, dropout=0.5)).train()
    optimizer = AdamW(loss.parameters(), Schedule(1000, chosen.batch_size, 1e-3))
    letters = Letters(torch.from_numpy(recipe.alphabet.shares))
    rng = np.random.default_rng(0)

    def encode() -> None:
        letters(recipe.codes(sequences, rng.integers(len(sequences), size=chosen.batch_size)))

    def step() -> None:
        rows = rng.integers(len(sequences), size=chosen.batch_size)
        loss((recipe.codes(sequences, rows), y[rows])).backward()
        clip_gradients(loss.parameters(), 1.0)
        optimizer.step(0)

    return median_seconds(step, chosen.steps), median_seconds(encode, 5 * chosen.steps)


def time_of_replicas(recipe: Recipe, chosen: argparse.Namespace) -> tuple[float, float]:
    """Processor seconds to train networks one after the other, and as replicas."""
    sequences = random_sequences(10 * chosen.batch_size, chosen.length)
    rows = np.arange(len(sequences))
    task = Task(sequences, rows % 2, 2, lambda network, _: ClassificationLoss(network))
    cpu = torch.device("cpu")
    learning = Learning(0, chosen.batch_size, 1e-3, 0.0, 0.5, chosen.steps, 5, cpu, "32", None)
    trainings = [Training(task, recipe, learning, (rows, rows[:0]), seed) for seed in range(chosen.replicas)]
    times: dict[bool, list[float]] = {False: [], True: []}
    for stacked in (False, True, False, True):
        start = time.process_time()
        train_all(trainings, stacked=stacked)
        times[stacked].append(time.process_time() - start)
    return min(times[False]), min(times[True])


def median_seconds(call: Callable[[], Any], n: int) -> float:
    times = []
    for _ in range(n + 3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:]))


def peak_of_training(n_rows: int, steps: int) -> str:
    """Train for so many steps in this process; peak in GiB, and seconds."""
    sequences = random_sequences(n_rows, LARGE_LENGTH)
    y = np.arange(n_rows) % 2
    start = time.perf_counter()
    # no epochs: so many steps as `min_steps` says
    settings = {"epochs": 0, "min_steps": steps, "batch_size": LARGE_BATCH, "n_members": 1, "both_strands": False}
    SequenceClassifier("motif-cnn", random_state=0, device="cpu", **settings).fit(sequences, y)
    unit = 1 if sys.platform == "darwin" else 1024  # of bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    return f"{peak:.3f} {time.perf_counter() - start:.1f}"


if __name__ == "__main__":
    sys.exit(main())

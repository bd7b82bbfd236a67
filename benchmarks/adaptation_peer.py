"""DANN and Deep CORAL: ours against those of scikit-adaptation (skada), on the same rows, network and number of steps.

    python benchmarks/adaptation_peer.py [--check] [--seeds 10] [--data FOLDER]

The rows of each domain are standardised by themselves; both train the same network (`oligolearn.nn.MLP`, 128 and 64
units, dropout) with Adam at the same rate, in batches of 64 rows of each side. The figures are balanced accuracy on
the target, whose labels neither sees, and seconds of processor time that `fit` takes on one thread. The peer needs
``pip install skada skorch``. With --check it exits 1 unless both of ours take a third of the time or less, and are not
worse by more than the noise over seeds.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from machine import describe_machine, simulated_classes
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn

from oligolearn import DomainAdaptedClassifier
from oligolearn.data import ExpressionScaler, read_expression
from oligolearn.nn import MLP

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "expression"
GOAL, EPOCHS, BATCH, RATE = 3.0, 30, 64, 1e-3
HIDDEN, DROPOUT, CORAL_WEIGHT = (128, 64), 0.5, 1.0
METHODS = {"dann": "DANN", "deep-coral": "DeepCoral"}


class Domains(NamedTuple):
    """Rows of a source and a target, standardised each by itself, and their classes."""

    source: NDArray[np.float32]
    labels: NDArray[np.int64]
    target: NDArray[np.float32]
    truth: NDArray[np.int64]

    def together(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Rows, classes (-1 in the target) and domains."""
        X = np.concatenate([self.source, self.target])
        domains = np.repeat([0, -1], [len(self.source), len(self.target)])
        return X, np.concatenate([self.labels, np.full(len(self.target), -1)]), domains


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--data", type=Path, default=DATA, help="folder of the breast-cancer studies")
    chosen = options.parse_args()
    try:
        import skada.deep  # noqa: F401
    except ImportError:
        print("the peer is not installed: pip install skada skorch")
        return 1 if chosen.check else 0
    warnings.filterwarnings("ignore", module="skada|skorch")
    torch.set_num_threads(1)
    print(describe_machine(), "(1 thread)")
    rows = [
        {"pair": pair, "method": method, "seed": seed, "who": who, "seconds": seconds, "accuracy": accuracy}
        for pair, domains in pairs(chosen.data)
        for seed in range(chosen.seeds)
        for method in METHODS
        for who, (seconds, accuracy) in compared(method, domains, seed)
    ]
    missed = report(pd.DataFrame(rows))
    print("goals:", "; ".join(missed) or "all reached")
    return 1 if chosen.check and missed else 0


def pairs(folder: Path) -> Iterator[tuple[str, Domains]]:
    """Breast-cancer studies on two platforms, where they are at hand, and a simulated pair."""
    if folder.is_dir():
        yield "breast cancer, nkis to vdxs", breast(folder, "nkis", "vdxs")
        yield "breast cancer, vdxs to nkis", breast(folder, "vdxs", "nkis")
    X, y = simulated_classes(2000, 2000, 5)
    moved = X[1000:] * np.random.default_rng(1).uniform(0.5, 2, X.shape[1]).astype(np.float32) + 1
    yield "simulated, 2,000 genes", Domains(standardised(X[:1000]), y[:1000], standardised(moved), y[1000:])


def breast(folder: Path, *names: str) -> Domains:
    source, target = (read_expression(folder / f"breast_er_{name}.h5ad", label="er") for name in names)
    genes = [gene for gene in source.var_names if gene in set(target.var_names)]
    parts: list[NDArray] = []
    for cohort in (source, target):
        known = cohort.obs["er"].notna().to_numpy()
        values = np.asarray(cohort[:, genes].X)
        parts += [standardised(values)[known], (cohort.obs["er"][known] == "ER+").to_numpy().astype(np.int64)]
    return Domains(*parts)


def standardised(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return ExpressionScaler().fit(values).transform(values)


def compared(method: str, domains: Domains, seed: int) -> Iterator[tuple[str, tuple[float, float]]]:
    yield "ours", timed(lambda: ours(method, domains, seed), domains)
    yield "skada", timed(lambda: theirs(method, domains, seed), domains)


def timed(fit: Callable[[], Callable[[NDArray], NDArray]], domains: Domains) -> tuple[float, float]:
    """Seconds of processor time for training, and balanced accuracy on the target."""
    started = time.process_time()
    predict = fit()
    seconds = time.process_time() - started
    return seconds, float(balanced_accuracy_score(domains.truth, predict(domains.target)))


def ours(method: str, domains: Domains, seed: int) -> Callable[[NDArray], NDArray]:
    model = DomainAdaptedClassifier(
        method,
        encoder_options={"hidden": HIDDEN, "dropout": DROPOUT},
        method_options={"weight": CORAL_WEIGHT} if method == "deep-coral" else None,
        standardize="each",
        measure_shift=False,
        class_weight=None,
        epochs=EPOCHS,
        min_steps=1,
        batch_size=BATCH,
        learning_rate=RATE,
        unlabelled=-1,
        random_state=seed,
        device="cpu",
    )
    return model.fit(*domains.together()).predict


def theirs(method: str, domains: Domains, seed: int) -> Callable[[NDArray], NDArray]:
    from skada import deep

    X, y, sample_domain = domains.together()
    torch.manual_seed(seed)
    longest = max(len(domains.source), len(domains.target))
    steps = EPOCHS * -(-longest // BATCH)  # an epoch of theirs leaves out what does not fill a batch
    settings: dict[str, Any] = {
        "layer_name": "encoder",
        "batch_size": BATCH,
        "max_epochs": round(steps / (longest // BATCH)),
        "lr": RATE,
        "optimizer": torch.optim.Adam,
        "train_split": None,
        "verbose": 0,
    }
    if method == "dann":
        settings["num_features"] = HIDDEN[-1]
    else:
        settings["reg"] = CORAL_WEIGHT
    net = getattr(deep, METHODS[method])(Network(X.shape[1], int(y.max()) + 1), **settings)
    net.fit(X, y, sample_domain=sample_domain)
    return lambda rows: net.predict(rows, sample_domain=np.full(len(rows), -1), allow_source=True)


class Network(nn.Module):
    """Our encoder with an output layer, as skada calls it."""

    def __init__(self, n_genes: int, n_classes: int) -> None:
        super().__init__()
        self.encoder = MLP(n_genes, HIDDEN, dropout=DROPOUT)
        self.head = nn.Linear(self.encoder.out_dim, n_classes)

    def forward(self, X: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Logits."""
        return self.head(self.encoder(X))


def report(runs: pd.DataFrame) -> list[str]:
    """Print a line for each pair and method; give what was missed."""
    missed = []
    for (pair, method), some in runs.groupby(["pair", "method"], sort=False):
        each = some.pivot_table(index="seed", columns="who", values=["seconds", "accuracy"])
        ratio = float((each["seconds", "skada"] / each["seconds", "ours"]).median())
        gain = each["accuracy", "ours"] - each["accuracy", "skada"]
        half = float(gain.sem() * stats.t.ppf(0.975, len(gain) - 1)) if len(gain) > 1 else float("nan")
        means = {who: each["accuracy", who].mean() for who in ("ours", "skada")}
        seconds = {who: each["seconds", who].median() for who in ("ours", "skada")}
        print(
            f"{pair}, {method}: ours {seconds['ours']:.2f} s, skada {seconds['skada']:.2f} s, ratio {ratio:.1f}; "
            f"balanced accuracy ours {means['ours']:.3f}, skada {means['skada']:.3f}, "
            f"difference {gain.mean():+.3f} ± {half:.3f}",
            flush=True,
        )
        missed += [f"{pair}, {method}: {ratio:.1f} times as fast, {GOAL:g} wanted"] if ratio < GOAL else []
        missed += [f"{pair}, {method}: less accurate by {-gain.mean():.3f}"] if gain.mean() + half < 0 else []
    return missed


if __name__ == "__main__":
    sys.exit(main())

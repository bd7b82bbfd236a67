"""Which method travels, and which scores know it? Figures of docs/howto/adapt.md and docs/methods/adaptation.md.

    python benchmarks/adaptation_choice.py [--check] [--data ../shared/data/expression] [--only breast] [--seeds 10]

Real data: ER status in six directions between three breast-cancer studies, and normal bladder, kidney and uterus from
TCGA to GTEx and back, labels of the target hidden and then used to score: balanced accuracy, mean over seeds. Toys:
two moons that are rotated by 35 degrees, Gaussians that differ in the mix of classes alone. `select` is run once per
task, and what it says of each candidate is set beside the truth: rank correlation of each score with the balanced
accuracy in the target, over candidates, mean over tasks. With --check it exits 1 unless `auto` is no worse on average
than standardising each breast-cancer study by itself, and within 3 points of the better linear way on the normals, and
`select` is at most 2 points behind `auto` everywhere.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from machine import describe_machine
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.datasets import make_moons
from sklearn.metrics import balanced_accuracy_score

from oligolearn import DomainAdaptedClassifier, read_expression
from oligolearn.estimators import NegativeTransferWarning, Preparation, co_variation, estimate_class_mix

WAYS = {"auto": ("auto", "auto"), "each": ("linear", "each"), "together": ("linear", "together")}
LINEAR = ("coral", "optimal-transport")
NETWORKS = ("source", "dann", "cdan", "deep-coral", "cada")
SCORES = {
    "source_accuracy": 1,
    "reverse_validation": 1,
    "mix_error": -1,
    "entropy": -1,
    "neighbourhood_density": 1,
    "embedded_validation": -1,
}
TOY = {"encoder_options": {"hidden": (32, 32)}, "min_steps": 800, "learning_rate": 3e-3}


class Task(NamedTuple):
    """Rows of both sides, labels of which the target's serve to score alone."""

    name: str
    X: NDArray[np.float32]
    y: NDArray[np.object_]
    domain: NDArray[np.int64]
    settings: dict[str, Any]

    def fit(self, method: str, standardize: str, seed: int) -> DomainAdaptedClassifier:
        """Fit without the target's labels."""
        shown = np.where(self.domain < 0, None, self.y)
        settings = {} if method in ("auto", "linear", *LINEAR) else self.settings
        return DomainAdaptedClassifier(method, standardize=standardize, random_state=seed, **settings).fit(
            self.X, shown, self.domain
        )

    def score(self, named: NDArray[Any]) -> float:
        """Balanced accuracy of names of the target's rows, of those whose class is known."""
        truth = self.y[self.domain < 0]
        known = truth != None  # noqa: E711
        return float(balanced_accuracy_score(truth[known].astype(str), named[known].astype(str)))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--data", type=Path, default=Path("../shared/data/expression"))
    options.add_argument("--only", choices=("breast", "normals", "toy", "mix"), help="one group of tasks")
    options.add_argument("--seeds", type=int, default=10, help="of the networks")
    chosen = options.parse_args()
    if not chosen.data.is_dir() and chosen.only not in ("toy", "mix"):
        options.error(f"{chosen.data} is not a folder: pass --data, or --only toy")
    warnings.simplefilter("ignore", NegativeTransferWarning)  # the figures say it
    print(describe_machine())
    missed = []
    for group, make in (("breast", breast), ("normals", normals), ("toy", toys)):
        if chosen.only in (None, group):
            table = measure(make(chosen.data), chosen.seeds if group != "normals" else min(2, chosen.seeds))
            print(f"\n{group}\n{table.round(3).to_string()}", flush=True)
            missed += missed_goals(group, table)
    if chosen.only in (None, "mix"):
        describe_intervals()
    print("goals:", "; ".join(missed) or "all reached")
    return 1 if chosen.check and missed else 0


def measure(tasks: Iterator[Task], n_seeds: int) -> pd.DataFrame:
    """Balanced accuracy by way (rows) and task (columns), and their mean; of networks the mean over seeds."""
    found: dict[str, dict[str, float]] = {}
    ranks, picks, risks = [], [], []
    for task in tasks:
        describe_genes(task)
        column: dict[str, float] = {}
        for name, (method, how) in WAYS.items():
            start = time.perf_counter()
            column[name] = task.score(task.fit(method, how, 0).predict(task.X[task.domain < 0]))
            if name == "auto":
                print(f"{task.name}: auto in {time.perf_counter() - start:.1f} s", flush=True)
        for method in (*LINEAR, *NETWORKS):
            seeds = range(1 if method in LINEAR else n_seeds)
            fitted = (task.fit(method, "auto", seed).predict(task.X[task.domain < 0]) for seed in seeds)
            column[method] = float(np.mean([task.score(named) for named in fitted]))
        model = task.fit("select", "auto", 0)
        column["select"] = task.score(model.predict(task.X[task.domain < 0]))
        rows = model.adaptation_["selection"]
        truth = [column["auto" if row["method"] == "linear" else row["method"]] for row in rows]
        scores = {score: [sign * (row[score] or 0.0) for row in rows] for score, sign in SCORES.items()}
        ranks.append({score: spearmanr(one, truth)[0] if np.ptp(one) > 0 else 0.0 for score, one in scores.items()})
        picks.append({score: truth[int(np.argmax(one))] for score, one in scores.items()})
        risks += [row["embedded_validation"] for row in rows]
        found[task.name] = column
    print("\nbalanced accuracy of what each score would choose by itself, mean over tasks:")
    print(pd.DataFrame(picks).mean().round(3).to_string())
    print(f"deep embedded validation: from {min(risks):.2f} to {max(risks):.2f}")
    print("\nrank correlation with the truth over candidates, mean over tasks:")
    print(pd.DataFrame(ranks).mean().round(2).to_string())
    table = pd.DataFrame(found)
    return table.assign(mean=table.mean(axis=1))


def describe_genes(task: Task) -> None:
    """Print how alike correlations between genes are on both sides, and if the genes of one are shuffled."""
    source, target = task.X[task.domain >= 0], task.X[task.domain < 0]
    order = np.random.default_rng(0).permutation(target.shape[1])
    found, shuffled = co_variation(source, target), co_variation(source, target[:, order])
    if found is not None and shuffled is not None:
        print(f"{task.name}: correlations between genes agree by {found.between:.3f}, shuffled {shuffled.between:.3f}")


def describe_intervals(n_repeats: int = 60) -> None:
    """Print how often 95 % intervals of the mix of three classes that overlap hold the truth."""
    here, there = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
    held, clear = np.zeros(3), 0
    for seed in range(n_repeats):
        rng = np.random.default_rng(seed)
        X, y = draw_classes(rng, 150, here)
        shifted, alike = draw_classes(rng, 200, there)[0], draw_classes(rng, 200, here)[0]
        mix, same = (estimate_class_mix(X, y, target, strength=0.1, seed=seed) for target in (shifted, alike))
        held += (mix.low <= there) & (there <= mix.high)
        clear += same.differs
    print(f"\n95 % intervals that hold the truth, for three classes: {(held / n_repeats).round(3)}")
    print(f"a clear difference where there is none: {clear / n_repeats:.3f}")


def draw_classes(rng: np.random.Generator, n: int, mix: NDArray[np.floating]) -> tuple[NDArray, NDArray]:
    y = rng.choice(3, size=n, p=mix)
    return rng.normal(size=(n, 15)) + 0.9 * np.eye(3)[y] @ np.kron(np.eye(3), np.ones(5)), y


def missed_goals(group: str, table: pd.DataFrame) -> list[str]:
    missed = []
    if group == "breast" and table.loc["auto", "mean"] < table.loc["each", "mean"]:
        missed.append("auto is behind standardising each study by itself")
    if group == "normals":
        best = table.loc[["each", "together"]].max()
        missed += [
            f"{name}: auto is not within 3 points"
            for name in table.columns
            if table.loc["auto", name] < best[name] - 0.03
        ]
    behind = table.loc["select"] < table.loc["auto"] - 0.02
    return missed + [f"{name}: select is behind auto" for name in table.columns[behind]]


def pair(name: str, source: ad.AnnData, target: ad.AnnData, label: str) -> Task:
    """Genes that both have, prepared as the command does."""
    sides = [Preparation().apply(one) for one in (source, target)]
    there = set(sides[0].genes)
    genes = [gene for gene in sides[1].genes if gene in there]
    X = np.concatenate([side.X[:, pd.Index(side.genes).get_indexer(genes)] for side in sides])
    y = np.concatenate([one.obs[label].astype(object).to_numpy() for one in (source, target)])
    y = np.where(pd.isna(y), None, y)
    return Task(name, X, y, np.repeat([0, -1], [len(side.X) for side in sides]), {})


def breast(data: Path) -> Iterator[Task]:
    studies = {name: read_expression(data / f"breast_er_{name}.h5ad") for name in ("nkis", "vdxs", "expos")}
    for one, other in permutations(studies, 2):
        yield pair(f"{one} to {other}", studies[one], studies[other], "er")


def normals(data: Path) -> Iterator[Task]:
    adata = read_expression(data / "rnaseqdb_counts.h5ad")
    kept = (adata.obs["status"] == "normal") & adata.obs["organ"].isin(["bladder", "kidney", "uterus"])
    sides = {name: adata[(kept & (adata.obs["source"] == name)).to_numpy()].copy() for name in ("TCGA", "GTEx")}
    yield pair("TCGA to GTEx", sides["TCGA"], sides["GTEx"], "organ")
    yield pair("GTEx to TCGA", sides["GTEx"], sides["TCGA"], "organ")


def toys(_: Path) -> Iterator[Task]:
    domain = np.repeat([0, -1], 300)
    for seed in range(3):
        (xs, ys), (xt, yt) = (make_moons(300, noise=0.1, random_state=seed + k) for k in (0, 1000))
        c, s = np.cos(np.deg2rad(35)), np.sin(np.deg2rad(35))
        middle = np.array([0.5, 0.25])
        xt = (xt - middle) @ np.array([[c, -s], [s, c]]).T + middle
        yield Task(
            f"moons {seed}", np.vstack([xs, xt]).astype(np.float32), np.append(ys, yt).astype(object), domain, TOY
        )
        rng = np.random.default_rng(seed)
        y = np.append(rng.random(300) < 0.5, rng.random(300) < 0.9).astype(int)
        X = rng.normal(size=(600, 10)).astype(np.float32)
        X[:, 0] += 3 * y
        yield Task(f"mix {seed}", X, y.astype(object), domain, TOY)


if __name__ == "__main__":
    sys.exit(main())

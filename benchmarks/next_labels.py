"""Do the proposals of `oligolearn next-labels` beat random choice? Paired, on real cohorts.

    python benchmarks/next_labels.py [--data FOLDER] [--out FILE] [--seeds 10] [--sets tcga_mirna,...]

For each seed the cohort is split (test 30 %, patients kept together), an encoder is pretrained on up to 1,000 of the
other samples without labels, and labels are bought: from none, two per class; from two per class, or ten, as many again
(the first ones at random), by each strategy and at random. A classifier is trained on the encoder with the labels
bought, and tested. Prints the mean accuracy of random choice and the paired differences to it, each with two 95 %
intervals, Student's, which takes the seeds for independent, and the one corrected for the samples that their splits
share (Nadeau and Bengio), and the number of seeds in which it was better. Goes on where it was stopped.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from machine import describe_machine
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from oligolearn.data import class_labels, group_numbers, prepare_expression, read_expression, top_variance_genes
from oligolearn.estimators import FineTunedClassifier, Pool, SelfSupervisedEncoder, choose_samples
from oligolearn.study import paired_t_test
from oligolearn.study.statistics import PairedTest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "expression"
MOST_ROWS, MOST_GENES, TEST_SHARE = 1000, 500, 0.3
ENCODER = {"hidden": (128, 64)}
HAD_PER_CLASS = (0, 2, 10)
STRATEGIES = ("typical", "gradient", "unsure")


class Cohort(NamedTuple):
    """Prepared samples with a label."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]


COHORTS = {
    "tcga_mirna": ("tcga_mirna.h5ad", "cancer_type"),
    "tcga_60genes": ("tcga_60genes.h5ad", "cancer_type"),
    "rnaseqdb_counts": ("rnaseqdb_counts.h5ad", "cohort_status"),
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=DATA, help="folder of the .h5ad files")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/next_labels.jsonl"))
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--sets", default=",".join(COHORTS), help="which cohorts")
    chosen = options.parse_args()
    if not chosen.data.is_dir():
        print(f"the cohorts are not in {chosen.data}; pass --data")
        return 0
    print(describe_machine())
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.sets.split(","):
        cohort = read(chosen.data / COHORTS[name][0], COHORTS[name][1])
        for seed in range(chosen.seeds):
            if (name, seed) not in done(chosen.out):
                rows = [{"cohort": name, "seed": seed, **row} for row in one_seed(cohort, seed)]
                with chosen.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows) + "\n")
    show(pd.DataFrame([row for line in lines(chosen.out) for row in line]))
    return 0


def lines(path: Path) -> list[list[dict[str, Any]]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def done(path: Path) -> set[tuple[str, int]]:
    return {(line[0]["cohort"], line[0]["seed"]) for line in lines(path)}


def read(path: Path, label: str) -> Cohort:
    """Labelled samples of classes of ten at least."""
    adata = read_expression(path, label=[label, "patient"])
    prepared = prepare_expression(adata)
    labels = class_labels(adata, label, min_class_size=10)
    rows = labels.codes >= 0
    X = prepared.X[rows]
    return Cohort(X, labels.codes[rows], group_numbers(adata, "patient")[0][rows])


def one_seed(cohort: Cohort, seed: int) -> list[dict[str, Any]]:
    """Accuracy after each purchase."""
    rng = np.random.default_rng([17, seed])
    patients = rng.permutation(np.unique(cohort.groups))
    test = np.isin(cohort.groups, patients[: round(TEST_SHARE * len(patients))])
    train = rng.permutation(np.flatnonzero(~test))[:MOST_ROWS]
    genes = top_variance_genes(cohort.X[train], min(MOST_GENES, cohort.X.shape[1]))
    X, y = cohort.X[np.ix_(train, genes)], cohort.y[train]
    X_test, y_test = cohort.X[np.ix_(test, genes)], cohort.y[test]
    encoder = SelfSupervisedEncoder(
        "swav", view="masking", encoder_options=ENCODER, epochs=20, random_state=seed, device="cpu", precision="32"
    ).fit(X)
    n_classes = len(np.unique(cohort.y))
    rows = []
    for per_class in HAD_PER_CLASS:
        had = rng.permutation(len(y))[: per_class * n_classes]
        n = max(2, per_class) * n_classes
        if len(had) + n > len(y) // 2:
            continue
        labelled = np.isin(np.arange(len(y)), had)
        for strategy, bought in purchases(Pool(encoder.transform(X).astype(float), labelled), X, y, n, encoder, seed):
            model = classifier(encoder, seed, X, y, np.union1d(had, bought))
            predicted = model.predict(X_test)
            recall = [float((predicted[y_test == k] == k).mean()) for k in np.unique(y_test)]
            scores = {"accuracy": float((predicted == y_test).mean()), "balanced": float(np.mean(recall))}
            found = {"classes": len(np.unique(y[np.union1d(had, bought)]))}
            sizes = {"n_train": int((~test).sum()), "n_test": len(y_test)}
            rows.append({"had": len(had), "bought": n, "strategy": strategy, **scores, **found, **sizes})
    return rows


def purchases(
    pool: Pool, X: NDArray[np.float32], y: NDArray[np.int64], n: int, encoder: SelfSupervisedEncoder, seed: int
) -> list[tuple[str, NDArray[np.intp]]]:
    """Rows that each strategy buys; without any label only those that need no classifier."""
    free = np.flatnonzero(~pool.labelled)
    rng = np.random.default_rng([23, seed])
    found = [("random", rng.choice(free, n, replace=False))]
    strategies = ("typical",)
    if pool.labelled.any():
        strategies = STRATEGIES
        model = classifier(encoder, seed, X, y, np.flatnonzero(pool.labelled))
        pool = Pool(model.embed(X).astype(float), pool.labelled, model.predict_proba(X))
    for strategy in strategies:
        chosen = choose_samples(pool, n, strategy, np.random.default_rng([29, seed]))
        found.append((strategy, np.array([choice.row for choice in chosen])))
    return found


def classifier(
    encoder: SelfSupervisedEncoder, seed: int, X: NDArray[np.float32], y: NDArray[np.int64], rows: NDArray[np.intp]
) -> FineTunedClassifier:
    model = FineTunedClassifier(FrozenEstimator(encoder), random_state=seed, device="cpu", precision="32")
    return model.fit(X[rows], y[rows])


def show(table: pd.DataFrame) -> None:
    """Random choice and the paired differences to it."""
    keys = ["cohort", "had", "bought"]
    for (cohort, had, bought), part in table.groupby(keys):
        by_seed = part.pivot_table(index="seed", columns="strategy", values=["accuracy", "balanced", "classes"])
        sizes = {name: float(part[name].mean()) for name in ("n_train", "n_test")}
        print(
            f"\n{cohort}, {had} labels and {bought} more, {len(by_seed)} seeds: random accuracy "
            f"{by_seed['accuracy', 'random'].mean():.3f}, balanced {by_seed['balanced', 'random'].mean():.3f}, "
            f"classes {by_seed['classes', 'random'].mean():.1f}"
        )
        for strategy in [name for name in STRATEGIES if name in set(part["strategy"])]:
            print(f"  {strategy:9}", end="")
            for metric in ("accuracy", "balanced"):
                gains = by_seed[metric, strategy] - by_seed[metric, "random"]
                alone, corrected = paired_t_test(gains), paired_t_test(gains, **sizes)
                print(f"  {metric} {100 * gains.mean():+.1f} ({_ends(alone)}; {_ends(corrected)})", end="")
                print(f" better in {int((gains > 0).sum())}", end="")
            print(f"  classes {by_seed['classes', strategy].mean():.1f}")


def _ends(test: PairedTest) -> str:
    if test.low is None or test.high is None:
        return "no interval"
    return f"{100 * test.low:+.1f} to {100 * test.high:+.1f}"


if __name__ == "__main__":
    sys.exit(main())

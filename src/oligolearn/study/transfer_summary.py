"""From the runs of a transfer study to the one dict that its tables, figures and report are made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oligolearn.estimators.metric_names import METRICS
from oligolearn.study.statistics import compare, holm, labels_saved, learned, learning_curves
from oligolearn.study.store import Store
from oligolearn.study.summary import unfinished
from oligolearn.study.transfer_methods import BOUNDS, SOURCE_ONLY, TARGET_ONLY, TRANSFER_METHODS

COMPARED = ("balanced_accuracy", "accuracy")
SIMPLEST = "linear"  # what other methods must beat to be worth their trouble
ALL = "all"
_SHIFTS = ("domain_auroc", "domain_auroc_within_classes")


def transfer_table(store: Store) -> pd.DataFrame:
    """Table of the runs that succeeded, with the columns of `results.csv`.

    ``n_per_class`` is ``"all"`` where all labels of the target's training side are shown; ``n_labels`` is their number.
    """
    shown = {one["fraction"]: one["n_per_class"] for one in store.describe()["about"]["budgets"]}
    table = store.results()
    n_per_class = [ALL if shown[fraction] is None else shown[fraction] for fraction in table["fraction"]]
    table.insert(1, "n_per_class", n_per_class)
    columns = ["repeat", "method", "n_per_class", "n_labels", *METRICS, "seconds", "seed"]
    return table[columns]


def summarize_transfer(store: Store) -> dict[str, Any]:
    """Everything that a report says, from the folder of a study alone; the same runs give the same summary.

    Raises
    ------
    FileNotFoundError
        If the folder holds no transfer study.
    ValueError
        If no run of it succeeded.
    """
    description = store.describe()
    asked, about = description["asked"], description["about"]
    runs, results = store.runs(), store.results()
    if results.empty:
        reasons = "; ".join(sorted({run["error"] for run in runs if "error" in run})) or "no run is finished"
        raise ValueError(f"the transfer study in {store.folder} has no result: {reasons}")
    overlap = {"n_train": about["sizes"]["n_train"], "n_test": about["sizes"]["n_test"]}
    present = [name for name in asked["methods"] if name in set(results["method"])]
    adapted = [name for name in present if name not in BOUNDS]
    return {
        "schema": 1,
        "kind": "transfer",
        "unfinished": unfinished(runs, about),
        "title": about["title"],
        "data": about["data"],
        "design": {
            "repeats": asked["repeats"],
            **about["sizes"],
            "budgets": about["budgets"],
            "methods": [_titled(name) for name in asked["methods"]],
        },
        "bounds": {"source": SOURCE_ONLY, "target": TARGET_ONLY, "simplest": SIMPLEST},
        "settings": about["settings"],
        "seed": asked["seed"],
        "command": about["command"],
        "versions": about["versions"],
        "curves": learning_curves(results, **overlap),
        "seconds": {str(name): float(rows["seconds"].mean()) for name, rows in results.groupby("method")},
        "comparisons": [row for metric in COMPARED for row in _comparisons(results, adapted, overlap, metric)],
        "labels_replaced": _replaced(results, adapted, asked["seed"], about["sizes"]),
        "learned": learned(
            results,
            n_classes=len(about["data"]["classes"]),
            **overlap,
            test_class_counts=about["test_class_counts"],
        ),
        "shift": _shift(runs),
        "embeddings": store.embeddings(),
        "warnings": about["warnings"],
        "failures": [
            {name: run[name] for name in ("method", "n_labels", "repeat")} | {"reason": run["error"]}
            for run in runs
            if "error" in run
        ],
    }


def _titled(name: str) -> dict[str, str]:
    method = TRANSFER_METHODS[name]
    return {"name": name, "title": method.title, "description": method.description}


def _comparisons(
    results: pd.DataFrame, adapted: Sequence[str], overlap: Mapping[str, float], metric: str
) -> list[dict[str, Any]]:
    """Paired tests that answer three questions, the p values of each adjusted by Holm's method over all its tests.

    Without labels of the target, is a method better than what knows the sources alone? With some, than what knows these
    labels alone? And at any budget, than the simplest method?
    """
    none, some = results[results["fraction"] == 0], results[results["fraction"] > 0]
    questions = [
        [(none, name, SOURCE_ONLY) for name in adapted],
        [(some, name, TARGET_ONLY) for name in adapted],
        [(results, name, SIMPLEST) for name in adapted if name != SIMPLEST],
    ]
    found = []
    for pairs in questions:
        rows = [
            row
            for table, method, baseline in pairs
            if {method, baseline} <= set(table["method"])
            for row in compare(table, method, baseline, **overlap, metric=metric)
        ]
        for row, p in zip(rows, holm([row["p_corrected"] for row in rows]), strict=True):
            row["p_holm"] = p
        found += rows
    return found


def _replaced(
    results: pd.DataFrame, adapted: Sequence[str], seed: int, sizes: Mapping[str, float]
) -> list[dict[str, Any]]:
    """How many labels of the target each method without any is worth: what `target-only` needs for the same."""
    if TARGET_ONLY not in set(results["method"]):
        return []
    none = results[results["fraction"] == 0]
    both = pd.concat([none, results[results["method"] == TARGET_ONLY]])
    return [
        row
        for name in adapted
        if name in set(none["method"])
        for row in labels_saved(
            both,
            name,
            TARGET_ONLY,
            seed=seed,
            n_train=sizes["n_train"],
            n_test=sizes["n_test"],
            metric="balanced_accuracy",
        )
    ]


def _shift(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How far apart the domains are, and how each method standardised them: means and counts over repeats.

    What was found does not depend on labels of the target, so the runs with the fewest labels say it all.
    """
    told = [run for run in runs if "shift" in run]
    if not told:
        return {"measures": {}, "methods": []}
    fewest = min(run["n_labels"] for run in told)
    told = [run for run in told if run["n_labels"] == fewest]
    first = {run["repeat"]: run["shift"] for run in reversed(told)}  # of the first method of each repeat
    measures = {}
    for name in _SHIFTS:
        values = [shift[name] for shift in first.values() if shift[name] is not None]
        measures[name] = float(np.mean(values)) if values else None
    methods = []
    for name in dict.fromkeys(run["method"] for run in told):
        mine = sorted((run for run in told if run["method"] == name), key=lambda run: int(run["repeat"]))
        counts = Counter(run["shift"]["standardize"] for run in mine)
        methods.append({"method": name, "standardize": dict(counts), "notes": mine[0]["notes"]})
    return {"measures": measures, "methods": methods}

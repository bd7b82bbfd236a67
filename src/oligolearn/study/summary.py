"""From the runs of a study to the one dict that tables, figures and report are made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oligolearn.study.extrapolation import labels_needed, usual_target
from oligolearn.study.methods import METHODS
from oligolearn.study.statistics import compare, labels_saved, learned, learning_curves
from oligolearn.study.store import Store

BASELINES = ("scratch", "logistic")  # what a pretrained network must beat: itself without, and the simple way

COMPARED = ("accuracy", "balanced_accuracy")


def summarize(store: Store, target: float | None = None) -> dict[str, Any]:
    """Everything that a report says, from the folder of a study alone; the same runs give the same summary.

    `target` is the accuracy to find the number of labels for; None for `usual_target`.

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.
    ValueError
        If no run of it succeeded.
    """
    description = store.describe()
    asked, about = description["asked"], description["about"]
    runs = store.runs()
    results = store.results()
    if results.empty:
        reasons = "; ".join(sorted({run["error"] for run in runs if "error" in run})) or "no run is finished"
        raise ValueError(f"the study in {store.folder} has no result: {reasons}")
    sizes = about["sizes"]
    n_train, n_test = sizes["n_train"], sizes["n_test"]
    pairs = _pairs(asked["methods"], results)
    shown = _shown_fraction(results)
    overlap = (
        {"n_train": n_train, "n_test": n_test}
        if asked["split"] == "resampled"
        else dict.fromkeys(("n_train", "n_test"))
    )
    return {
        "schema": 1,
        "title": about["title"],
        "data": about["data"],
        "design": {
            "repeats": asked["repeats"],
            "split": asked["split"],
            **sizes,
            "fractions": about["fractions"],
            "methods": [_titled(name) for name in asked["methods"]],
        },
        "settings": {**about["settings"], **_ways(runs, about)},
        "seed": asked["seed"],
        "command": about["command"],
        "versions": about["versions"],
        "curves": learning_curves(results),
        "comparisons": [
            row for metric in COMPARED for pair in pairs for row in compare(results, *pair, **overlap, metric=metric)
        ],
        "labels_saved": [row for pair in pairs for row in labels_saved(results, *pair, seed=asked["seed"])],
        "labels_needed": _needed(results, target, asked, n_train=overlap["n_train"], n_test=overlap["n_test"]),
        "learned": learned(
            results,
            n_classes=len(about["data"]["classes"]),
            n_train=n_train,
            n_test=n_test,
            test_class_counts=about["test_class_counts"],
            resampled=asked["split"] == "resampled",
        ),
        "confusion": _confusion(runs, shown, about),
        "calibration": _calibration(runs, shown),
        "embeddings": store.embeddings(),
        "warnings": [*about["warnings"], *_diagnoses(runs)],
        "failures": [
            {name: run[name] for name in ("method", "fraction", "repeat")} | {"reason": run["error"]}
            for run in runs
            if "error" in run
        ],
    }


def _needed(
    results: pd.DataFrame,
    target: float | None,
    asked: Mapping[str, Any],
    *,
    n_train: float | None,
    n_test: float | None,
) -> dict[str, Any]:
    """Labels that each method needs for a target accuracy, in the order of the study."""
    aim = usual_target(results) if target is None else target
    rows = labels_needed(results, aim, n_train=n_train, n_test=n_test, seed=asked["seed"])
    order = {name: i for i, name in enumerate(asked["methods"])}
    return {
        "metric": "accuracy",
        "target": aim,
        "asked": target is not None,
        "rows": sorted(rows, key=lambda row: order[row["method"]]),
    }


def _ways(runs: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> dict[str, Any]:
    """How the networks were trained: as replicas, or one at a time and why."""
    ways = Counter(run["trained"] for run in runs if run.get("trained"))
    if not ways:
        return {}
    return {
        "networks trained together": f"up to {about.get('replicas', 1)}",
        "how networks were trained": "; ".join(f"{n:,} {way}" for way, n in sorted(ways.items())),
    }


def _pairs(methods: Sequence[str], results: pd.DataFrame) -> list[tuple[str, str]]:
    """Comparisons of interest.

    Each pretrained network with the baselines, each student with its teacher, the network with logistic regression.
    """
    present = [name for name in methods if name in set(results["method"])]
    pretrained = [name for name in present if METHODS[name].objective]
    baselines = [name for name in BASELINES if name in present]
    pairs = [(name, baseline) for name in pretrained for baseline in baselines]
    taught = [(name, METHODS[name].teacher or "") for name in present]
    pairs += [pair for pair in taught if pair[1] in present and pair not in pairs]
    if len(baselines) == len(BASELINES):
        pairs.append(("scratch", "logistic"))
    return pairs


def _titled(name: str) -> dict[str, str]:
    method = METHODS[name]
    return {"name": name, "title": method.title, "description": method.description}


def _shown_fraction(results: pd.DataFrame) -> float:
    """Fraction whose predictions are shown in detail: the one where methods differ most, the smallest of equals."""
    means = results.groupby(["fraction", "method"])["accuracy"].mean().unstack()
    spread = means.max(axis=1) - means.min(axis=1)
    return float(spread.index[int(spread.round(6).to_numpy().argmax())])


def _of_fraction(runs: Sequence[Mapping[str, Any]], fraction: float) -> dict[str, list[Mapping[str, Any]]]:
    chosen: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        if run["fraction"] == fraction and "error" not in run:
            chosen.setdefault(run["method"], []).append(run)
    return chosen


def _head(chosen: Mapping[str, list[Mapping[str, Any]]], fraction: float) -> dict[str, Any]:
    return {"fraction": fraction, "n_labels": next(iter(chosen.values()))[0]["n_labels"]}


def _confusion(runs: Sequence[Mapping[str, Any]], fraction: float, about: Mapping[str, Any]) -> dict[str, Any]:
    chosen = _of_fraction(runs, fraction)
    return {
        **_head(chosen, fraction),
        "classes": [one["name"] for one in about["data"]["classes"]],
        "methods": {
            method: np.sum([run["confusion"] for run in those], axis=0).tolist() for method, those in chosen.items()
        },
    }


def _calibration(runs: Sequence[Mapping[str, Any]], fraction: float) -> dict[str, Any]:
    chosen = _of_fraction(runs, fraction)
    return {**_head(chosen, fraction), "methods": {method: _binned(those) for method, those in chosen.items()}}


def _binned(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Mean confidence and share of correct predictions of each bin that is not empty, over all runs."""
    count, confidence, accuracy = (
        np.sum([run["calibration"][name] for run in runs], axis=0) for name in ("samples", "confidence", "correct")
    )
    full = count > 0
    return {
        "confidence": (confidence[full] / count[full]).tolist(),
        "accuracy": (accuracy[full] / count[full]).tolist(),
        "count": count[full].tolist(),
    }


def _diagnoses(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What pretraining warned of, once for each method with the number of repeats."""
    found: dict[tuple[str, str], set[int]] = {}
    for run in runs:
        for sentence in run.get("diagnosis", []):
            found.setdefault((run["method"], sentence.split(":")[0]), set()).add(run["repeat"])
    return [
        f"{METHODS[method].title}: {kind} in {len(repeats)} repeats: the encoder did not learn to tell samples apart; "
        "hide fewer genes (--mask-share) or pretrain longer (--pretrain-epochs)."
        for (method, kind), repeats in found.items()
    ]

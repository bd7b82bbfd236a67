"""From the runs of a study to the one dict that tables, figures and report are made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oligolearn.study.extrapolation import labels_needed, usual_target
from oligolearn.study.methods import METHODS, Method
from oligolearn.study.sequence_numbers import NUMBERS
from oligolearn.study.statistics import compare, labels_saved, learned, learned_order, learning_curves
from oligolearn.study.store import Store

SEQUENCES = "sequences"  # kind of a study, as `study.json` has it
# what a pretrained network must beat: itself without, and the simple way
BASELINES = ("scratch", "logistic", "kmer-logistic", "onehot-logistic", "kmer-ridge", "onehot-ridge")

COMPARED = ("accuracy", "balanced_accuracy")
COMPARED_NUMBERS = ("spearman",)
_BY_OPTIONS = " (--view-strength, --prototypes, --pretrain-epochs)"
_BY_EPOCHS = " (--pretrain-epochs)"
_MOST_PREDICTIONS = 400  # of a method in the figure of predicted and measured numbers


def summarize(store: Store, target: float | None = None) -> dict[str, Any]:
    """Everything that a report says, from the folder of a study alone; the same runs give the same summary.

    `target` is the accuracy to find the number of labels for; None for `usual_target`. Where labels are numbers,
    methods are compared by Spearman's correlation, and there is no such target.

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.
    ValueError
        If no run of it succeeded, or there is a target for numbers.
    """
    description = store.describe()
    asked, about = description["asked"], description["about"]
    known = known_methods(asked)
    runs = store.runs()
    results = store.results()
    if results.empty:
        reasons = "; ".join(sorted({run["error"] for run in runs if "error" in run})) or "no run is finished"
        raise ValueError(f"the study in {store.folder} has no result: {reasons}")
    sizes = about["sizes"]
    n_train, n_test = sizes["n_train"], sizes["n_test"]
    of_numbers = asked.get("target") == NUMBERS
    if of_numbers and target is not None:
        raise ValueError(
            f"--target is an accuracy, but the study in {store.folder} predicts a number; leave it out, and read off "
            "the curves"
        )
    metrics = COMPARED_NUMBERS if of_numbers else COMPARED
    twins = _twins(asked, known)
    pairs = _pairs(asked["methods"], results, known, twins)
    resampled = asked["split"] == "resampled"
    overlap = {"n_train": n_train, "n_test": n_test} if resampled else dict.fromkeys(("n_train", "n_test"))
    return {
        "schema": 1,
        "twins": twins,
        "unfinished": unfinished(runs, about),
        "title": about["title"],
        "data": about["data"],
        "design": {
            "repeats": asked["repeats"],
            "split": asked["split"],
            **sizes,
            "fractions": about["fractions"],
            "methods": [_titled(name, known[name]) for name in asked["methods"]],
        },
        "settings": {**about["settings"], **_pretrainings(runs, known), **_ways(runs, about), **_choices(runs)},
        "seed": asked["seed"],
        "command": about["command"],
        "versions": about["versions"],
        "curves": learning_curves(results, **overlap),
        "comparisons": [
            row for metric in metrics for pair in pairs for row in compare(results, *pair, **overlap, metric=metric)
        ],
        "labels_saved": [
            row
            for pair in pairs
            for row in labels_saved(results, *pair, seed=asked["seed"], **overlap, metric=metrics[0])
        ],
        **(
            _of_numbers(results, runs, asked, sizes)
            if of_numbers
            else {
                "labels_needed": _needed(results, target, asked, n_train=overlap["n_train"], n_test=overlap["n_test"]),
                **_of_classes(results, runs, about, resampled=resampled),
            }
        ),
        "embeddings": store.embeddings(),
        "warnings": [
            *about["warnings"],
            *diagnoses(
                runs,
                {name: one.title for name, one in known.items()},
                _BY_EPOCHS if asked.get("kind") == SEQUENCES else _BY_OPTIONS,
            ),
        ],
        "failures": [
            {name: run[name] for name in ("method", "fraction", "repeat")} | {"reason": run["error"]}
            for run in runs
            if "error" in run
        ],
    }


def unfinished(runs: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """What to say of a study whose runs are not all there; empty where they are."""
    n_runs = about.get("n_runs", len(runs))  # studies of before it was kept
    if len(runs) >= n_runs:
        return ""
    return f"Unfinished: {len(runs):,} of {n_runs:,} runs are there; the command of the study goes on with the others"


def known_methods(asked: Mapping[str, Any]) -> Mapping[str, Method]:
    """Methods that a study of this kind could compare, from what was asked."""
    if asked.get("kind") != SEQUENCES:
        return METHODS
    from oligolearn.study.sequence_methods import methods_for  # brings torch

    return methods_for(asked["target"])


def _of_classes(
    results: pd.DataFrame, runs: Sequence[Mapping[str, Any]], about: Mapping[str, Any], *, resampled: bool
) -> dict[str, Any]:
    """Sections of a summary on predicted classes."""
    shown = _shown_fraction(results, "accuracy")
    return {
        "learned": learned(
            results,
            n_classes=len(about["data"]["classes"]),
            n_train=about["sizes"]["n_train"],
            n_test=about["sizes"]["n_test"],
            test_class_counts=about["test_class_counts"],
            resampled=resampled,
        ),
        "confusion": _confusion(runs, shown, about),
        "calibration": _calibration(runs, shown),
    }


def _of_numbers(
    results: pd.DataFrame, runs: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], sizes: Mapping[str, Any]
) -> dict[str, Any]:
    """Sections of a summary on predicted numbers."""
    resampled = asked["split"] == "resampled"
    return {
        "metric": COMPARED_NUMBERS[0],
        "learned": learned_order(results, n_train=sizes["n_train"], n_test=sizes["n_test"], resampled=resampled),
        "predictions": _predictions(runs, _shown_fraction(results, COMPARED_NUMBERS[0]), seed=asked["seed"]),
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


def _choices(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a method that chooses among others chose, at each number of labels, and the reason in the first repeat."""
    told: dict[str, Any] = {}
    choosing = [run for run in runs if run.get("chosen")]
    for method, n_labels in sorted({(run["method"], run["n_labels"]) for run in choosing}):
        mine = [run for run in choosing if (run["method"], run["n_labels"]) == (method, n_labels)]
        counts = Counter(run["chosen"] for run in mine).most_common()
        first = min(mine, key=lambda run: int(run["repeat"]))
        told[f"{method} with {n_labels:,} labels chose"] = (
            ", ".join(f"{name} ({n} of {len(mine)})" for name, n in counts) + f"; in the first repeat {first['why']}"
        )
    return told


def _twins(asked: Mapping[str, Any], known: Mapping[str, Method]) -> dict[str, str]:
    """Of each method that pretrains another network than ``scratch``, the one that trains it without pretraining."""
    if asked.get("kind") != SEQUENCES:
        return {}
    from oligolearn.study.sequence_methods import untrained_twin  # brings torch

    pretexts = {name: known[name].objective for name in asked["methods"]}
    twins = {name: untrained_twin(one, asked["encoder"]) for name, one in pretexts.items() if one is not None}
    return {name: twin for name, twin in twins.items() if twin != "scratch"}


def _pairs(
    methods: Sequence[str], results: pd.DataFrame, known: Mapping[str, Method], twins: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Comparisons of interest.

    Each pretrained network with itself without, and with the other baselines; each other contender with these; each
    student with its teacher, the network with logistic regression.
    """
    present = [name for name in methods if name in set(results["method"])]
    pretrained = [name for name in present if known[name].objective or known[name].contender]
    baselines = [name for name in BASELINES if name in present]
    pairs = [
        (name, twins.get(name, "scratch") if baseline == "scratch" else baseline)
        for name in pretrained
        for baseline in dict.fromkeys(["scratch", *baselines])
    ]
    pairs = [pair for pair in pairs if pair[1] in present]
    taught = [(name, known[name].teacher or "") for name in present]
    pairs += [pair for pair in taught if pair[1] in present and pair not in pairs]
    if "scratch" in baselines:
        pairs += [("scratch", simple) for simple in baselines if simple != "scratch"]
    return pairs


def _titled(name: str, method: Method) -> dict[str, str]:
    return {"name": name, "title": method.title, "description": method.description}


def _shown_fraction(results: pd.DataFrame, metric: str) -> float:
    """Fraction whose predictions are shown in detail: the one where methods differ most, the smallest of equals."""
    means = results.groupby(["fraction", "method"])[metric].mean().unstack()
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


def _predictions(runs: Sequence[Mapping[str, Any]], fraction: float, *, seed: int) -> dict[str, Any]:
    """Measured and predicted numbers of test samples of all repeats; some are drawn where there are many."""
    chosen = _of_fraction(runs, fraction)
    methods = {}
    for method, those in chosen.items():
        both = np.array(
            [np.concatenate([run["predictions"][name] for run in those]) for name in ("measured", "predicted")]
        )
        rows = np.sort(np.random.default_rng(seed).permutation(both.shape[1])[:_MOST_PREDICTIONS])
        methods[method] = {"measured": both[0, rows].tolist(), "predicted": both[1, rows].tolist()}
    return {**_head(chosen, fraction), "methods": methods}


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


def diagnoses(runs: Sequence[Mapping[str, Any]], titles: Mapping[str, str], options: str) -> list[str]:
    """What pretraining warned of, once for each method with the number of repeats, an example and the fix.

    Parameters
    ----------
    runs
        As the store has them.
    titles
        Of methods, by name.
    options
        What follows the fix: options by which it is done.
    """
    repeats = {run["repeat"] for run in runs}
    found: dict[tuple[str, str, str], dict[int, str]] = {}
    for run in runs:
        for sentence in run.get("diagnosis", []):
            said, _, fix = sentence.partition("; ")
            kind, _, evidence = said.partition(": ")
            found.setdefault((run["method"], kind, fix), {}).setdefault(run["repeat"], evidence)
    return [
        f"{titles[method]}: {kind} in {len(those)} of {len(repeats)} repeats ({next(iter(those.values()))}): "
        f"{fix or 'train longer'}{options}."
        for (method, kind, fix), those in found.items()
    ]


def _pretrainings(runs: Sequence[Mapping[str, Any]], known: Mapping[str, Method]) -> dict[str, str]:
    """Settings that followed from the data, and how good each encoder is without labels: means over repeats."""
    shown = {}
    for method in dict.fromkeys(run["method"] for run in runs if "quality" in run):
        told = list({run["repeat"]: run for run in runs if run["method"] == method and "quality" in run}.values())
        options = ", ".join(f"{name} {_short(value)}" for name, value in told[0]["objective_options"].items())
        shown[f"{known[method].title}: settings"] = f"{options or 'none'}; from {told[0]['n_samples']:,} samples"
        names = {"effective_rank": "effective rank", "rank_me": "RankMe", "alpha_req": "alpha-ReQ"}
        names |= {"neighbour_stability": "neighbourhood stability", "prototypes_in_use": "prototypes in use"}
        means = {name: [run["quality"].get(name) for run in told] for name in names}
        shown[f"{known[method].title}: embedding"] = ", ".join(
            f"{names[name]} {np.mean([float(value) for value in values if value is not None]):.3g}"
            for name, values in means.items()
            if any(value is not None for value in values)
        )
    return shown


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)

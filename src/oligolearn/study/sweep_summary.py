"""From the runs of a sweep to the one dict that its tables, figures and report are made of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from oligolearn.estimators.metric_names import METRICS
from oligolearn.study.statistics import compare, holm, learned, learning_curves
from oligolearn.study.store import Store
from oligolearn.study.summary import COMPARED, diagnoses, known_methods, unfinished

_TITLES = {
    "layers": "hidden layers",
    "n_filters": "filters",
    "n_members": "networks averaged",
    "max_length": "letters read",
    "pretraining_learning_rate": "learning rate of pretraining",
    "pretraining_batch_size": "batch size of pretraining",
    "pretraining_epochs": "epochs of pretraining",
    "pretraining_weight_decay": "weight decay of pretraining",
    "mask_share": "share of genes hidden",
    "n_prototypes": "prototypes",
    "view_strength": "strength of the view",
    "queue_length": "length of the queue",
    "transfer_layers": "layers transferred",
    "frozen_layers": "layers frozen",
}


def setting_title(name: str) -> str:
    """A setting in words.

    >>> setting_title("n_prototypes"), setting_title("batch_size")
    ('prototypes', 'batch size')
    """
    return _TITLES.get(name, name.replace("_", " "))


def titled(names: Iterable[str]) -> str:
    """Settings as the beginning of a title."""
    text = ", ".join(setting_title(name) for name in names)
    return text[:1].upper() + text[1:]


def results_table(store: Store) -> pd.DataFrame:
    """Table of the runs that succeeded, with the columns of `results.csv`: one for each setting that was varied."""
    about = store.describe()["about"]
    choices = {choice["name"]: choice for choice in about["choices"]}
    names = [name for name in about["varied"] if name != "method"]
    rows = [
        {
            **{name: run.get(name) for name in ("repeat", "fraction", "n_labels", *METRICS, "seconds", "seed")},
            **choices[run["method"]]["values"],
            "method": choices[run["method"]]["method"],
            "default": choices[run["method"]]["default"],
        }
        for run in store.runs()
        if "error" not in run
    ]
    columns = ["repeat", "fraction", "n_labels", "method", *names, "default", *METRICS, "seconds", "seed"]
    return pd.DataFrame(rows, columns=columns)


def summarize_sweep(store: Store) -> dict[str, Any]:
    """Everything that a report says, from the folder of a sweep alone; the same runs give the same summary.

    Raises
    ------
    FileNotFoundError
        If the folder holds no sweep.
    ValueError
        If no run of it succeeded.
    """
    description = store.describe()
    asked, about = description["asked"], description["about"]
    runs, results = store.runs(), store.results()
    if results.empty:
        reasons = "; ".join(sorted({run["error"] for run in runs if "error" in run})) or "no run is finished"
        raise ValueError(f"the sweep in {store.folder} has no result: {reasons}")
    sizes = about["sizes"]
    overlap = {"n_train": sizes["n_train"], "n_test": sizes["n_validation"]}
    default = next(choice["name"] for choice in about["choices"] if choice["default"])
    method = known_methods(asked)[asked["method"]]
    return {
        "schema": 1,
        "kind": "sweep",
        "unfinished": unfinished(runs, about),
        "title": about["title"],
        "data": about["data"],
        "design": {"repeats": asked["repeats"], **sizes, "fractions": _fractions(results, about)},
        "method": {"name": asked["method"], "title": method.title, "description": method.description},
        "varied": [_described(name, values, about) for name, values in about["varied"].items()],
        "choices": [{**choice, "title": _choice_title(choice)} for choice in about["choices"]],
        "settings": about["settings"],
        "seed": asked["seed"],
        "command": about["command"],
        "versions": about["versions"],
        "curves": learning_curves(results, **overlap),
        "seconds": {str(name): float(rows["seconds"].mean()) for name, rows in results.groupby("method")},
        "comparisons": _comparisons(results, about["choices"], default, overlap),
        "learned": learned(
            results,
            n_classes=len(about["data"]["classes"]),
            **overlap,
            test_class_counts=about["validation_class_counts"],
        ),
        "warnings": [*about["warnings"], *_diagnoses(runs, about["choices"])],
        "failures": [
            {name: run[name] for name in ("method", "fraction", "repeat")} | {"reason": run["error"]}
            for run in runs
            if "error" in run
        ],
    }


def _fractions(results: pd.DataFrame, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    notes = {entry["fraction"]: entry["note"] for entry in about["fractions"]}
    return [
        {"fraction": fraction, "n_labels": int(rows["n_labels"].iloc[0]), "note": notes.get(fraction)}
        for fraction, rows in ((float(str(key)), rows) for key, rows in results.groupby("fraction"))
    ]


def _described(name: str, values: Sequence[Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """A setting that was varied."""
    default = next(choice["values"][name] for choice in about["choices"] if choice["default"])
    numeric = all(isinstance(value, int | float) for value in values)
    return {
        "name": name,
        "title": setting_title(name),
        "values": list(values),
        "default": default,
        "numeric": numeric,
    }


def _choice_title(choice: Mapping[str, Any]) -> str:
    """A choice in words: its value, or its values with their settings."""
    values = choice["values"]
    if len(values) == 1:
        return shown(next(iter(values.values())))
    return ", ".join(f"{setting_title(name)} {shown(value)}" for name, value in values.items())


def shown(value: Any) -> str:
    """A value in words.

    >>> shown(0.05), shown("512,256"), shown(1000)
    ('0.05', '512-256', '1000')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(",", "-")


def _comparisons(
    results: pd.DataFrame, choices: Sequence[Mapping[str, Any]], default: str, overlap: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Paired tests of every choice against the default, adjusted by Holm's method over the whole sweep."""
    present = set(results["method"])
    if default not in present:
        return []
    found = []
    for metric in COMPARED:
        rows = [
            row
            for choice in choices
            if choice["name"] != default and choice["name"] in present
            for row in compare(results, choice["name"], default, **overlap, metric=metric)
        ]
        for row, p in zip(rows, holm([row["p_corrected"] for row in rows]), strict=True):
            row["p_holm"] = p
        found += rows
    return found


def _diagnoses(runs: Sequence[Mapping[str, Any]], choices: Sequence[Mapping[str, Any]]) -> list[str]:
    """What pretraining warned of, once for each choice."""
    titles = {choice["name"]: _choice_title(choice) for choice in choices}
    return diagnoses(runs, titles, "")

"""Look-ups in a study's summary; what the rest of the report knows of its layout."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from oligolearn.report.wording import known

Summary = Mapping[str, Any]

SCHEMA = 1
# The comparators of every study; whatever is not here is what the study is about.
SIMPLE = ("logistic", "pca-logistic", "kmer-logistic", "onehot-logistic", "kmer-ridge", "onehot-ridge")
BASELINES = (*SIMPLE, "scratch", "untrained")

_SECTIONS = ("data", "design", "curves")
# What XML and HTML cannot carry: control characters, lone surrogates, non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


_Scored = TypeVar("_Scored")


class Point(NamedTuple):
    """Mean score of one method at one number of labels, with its 95% interval."""

    n_labels: int
    fraction: float
    n_runs: int
    mean: float | None
    low: float | None
    high: float | None


def checked(summary: Summary) -> dict[str, Any]:
    """Return a copy that is safe to print: no control characters, None for what is not finite.

    Raises
    ------
    ValueError
        When the summary has another schema or lacks a section that every report needs.
    """
    if not isinstance(summary, Mapping) or summary.get("schema") != SCHEMA:
        found = summary.get("schema") if isinstance(summary, Mapping) else type(summary).__name__
        raise ValueError(
            f"expected a study summary of schema {SCHEMA}, found {found!r}; "
            "run `oligolearn report DIR` with the version of oligolearn that wrote the study"
        )
    missing = [name for name in _SECTIONS if not summary.get(name)]
    if missing:
        raise ValueError(f"the study summary has no {', '.join(missing)}; run the study again to finish it")
    return printable(summary)


def printable(summary: Summary) -> dict[str, Any]:
    """Return a copy without control characters, and with None for what is not finite."""
    return {str(key): _printable(value) for key, value in summary.items()}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return known(value)
    if isinstance(value, Mapping):
        return {_printable(str(key)): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def titles(summary: Summary) -> dict[str, str]:
    """Name -> title of every method, in the order of the study."""
    named = {entry["name"]: entry.get("title") or entry["name"] for entry in summary["design"].get("methods") or []}
    for entry in summary["curves"]:
        named.setdefault(entry["method"], entry["method"])
    return named


def title(summary: Summary, method: str) -> str:
    """Title of a method, its name when it has none."""
    return titles(summary).get(method, method)


def label_numbers(summary: Summary) -> list[int]:
    """Every number of labels that was tried, ascending."""
    return sorted({entry["n_labels"] for entry in summary["curves"]})


def curve(summary: Summary, method: str, metric: str) -> list[Point]:
    """Points of a method, by number of labels."""
    points = []
    for entry in summary["curves"]:
        if entry["method"] == method:
            score = (entry.get("metrics") or {}).get(metric) or {}
            mean, low, high = (known(score.get(key)) for key in ("mean", "low", "high"))
            points.append(Point(entry["n_labels"], entry["fraction"], entry.get("n_runs") or 0, mean, low, high))
    return sorted(points)


def main_metric(summary: Summary) -> str:
    """Name of the score that methods are compared by."""
    return str(summary.get("metric") or "accuracy")


def comparisons(summary: Summary, method: str, baseline: str, metric: str | None = None) -> list[dict[str, Any]]:
    """Paired differences of two methods, by number of labels; in the main score, or another."""
    rows = summary.get("comparisons") or []
    wanted = (method, baseline, metric or main_metric(summary))
    chosen = [row for row in rows if (row["method"], row["baseline"], row.get("metric", "accuracy")) == wanted]
    return sorted(chosen, key=lambda row: row["n_labels"])


def pairs(summary: Summary) -> list[tuple[str, str]]:
    """Every (method, baseline) that was compared, in the order of the summary."""
    rows, metric = summary.get("comparisons") or [], main_metric(summary)
    return list(dict.fromkeys((row["method"], row["baseline"]) for row in rows if row.get("metric") == metric))


def recalls(matrix: list[list[int]]) -> list[float | None]:
    """Recall of each class from a confusion matrix (rows true); None where a class has no sample."""
    return [row[i] / total if (total := sum(row)) else None for i, row in enumerate(matrix)]


def with_all_repeats(scored: Sequence[tuple[Point, _Scored]]) -> list[tuple[Point, _Scored]]:
    """Those whose mean is over as many repeats as any: one over fewer may have missed the hard ones."""
    most = max((one.n_runs for one, _ in scored), default=0)
    return [item for item in scored if item[0].n_runs == most]


def ranking(summary: Summary, n_labels: int) -> list[tuple[float, str]]:
    """(mean of the main score, method) at a number of labels, highest first; methods without all repeats left out."""
    scored = [
        (point, name)
        for name in titles(summary)
        for point in curve(summary, name, main_metric(summary))
        if point.n_labels == n_labels and point.mean is not None
    ]
    return sorted(((one.mean or 0.0, name) for one, name in with_all_repeats(scored)), key=lambda score: -score[0])


def size_of_a_sample(summary: Summary) -> tuple[Any, str]:
    """What a sample consists of, and how that is called: genes, or letters of a sequence."""
    data = summary["data"]
    return (data["n_letters"], "letters (median)") if "n_letters" in data else (data.get("n_genes"), "genes")


def nothing_learned(summary: Summary) -> bool:
    """Whether the study found every method at chance, so that no difference between methods means anything."""
    return (summary.get("learned") or {}).get("any") is False


def main_pairs(summary: Summary) -> list[tuple[str, str]]:
    """The comparisons the study is about: its methods against themselves without pretraining first, then the rest.

    A study of baselines alone is about whatever it compared.
    """
    compared = pairs(summary)
    of_interest = [pair for pair in compared if pair[0] not in BASELINES] or compared
    return sorted(of_interest, key=lambda pair: not against_itself(summary, pair))


def against_itself(summary: Summary, pair: tuple[str, str]) -> bool:
    """Whether a method is compared with the network from scratch, or with its own network where that is another."""
    twins: dict[str, str] = summary.get("twins") or {}
    return pair[1] == twins.get(pair[0], "scratch")

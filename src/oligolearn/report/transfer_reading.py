"""Look-ups in the summary of a transfer study; what its report knows of its layout."""

from typing import Any, NamedTuple

from oligolearn.report.reading import Point, Summary, curve, with_all_repeats
from oligolearn.report.wording import count, known

METRIC = "balanced_accuracy"  # on which conclusions rest: the mix of classes often differs between cohorts
Row = dict[str, Any]


class Shown(NamedTuple):
    """A number of labels of the target that is shown: of each class (None: all labels), its share of all, in total."""

    n_per_class: int | None
    fraction: float
    n_labels: int


def budgets(summary: Summary) -> list[Shown]:
    """Numbers of labels at which something was trained, ascending."""
    tried = {entry["fraction"] for entry in summary["curves"]}
    rows = [Shown(one["n_per_class"], one["fraction"], one["n_labels"]) for one in summary["design"]["budgets"]]
    return [row for row in rows if row.fraction in tried]


def budget_title(shown: Shown) -> str:
    """A number of labels in words, for the head of a column.

    >>> budget_title(Shown(0, 0.0, 0)), budget_title(Shown(5, 0.1, 10)), budget_title(Shown(None, 1.0, 105))
    ('no label', '5 per class', 'all 105')
    """
    if shown.n_per_class is None:
        return f"all {count(shown.n_labels)}"
    return f"{count(shown.n_per_class)} per class" if shown.n_per_class else "no label"


def with_labels(shown: Shown) -> str:
    """A number of labels in a sentence.

    >>> with_labels(Shown(1, 0.1, 3)), with_labels(Shown(0, 0.0, 0))
    ('with 1 label of each class', 'without a label of the target')
    """
    if shown.n_per_class is None:
        return f"with all {count(shown.n_labels)} labels"
    if shown.n_per_class == 0:
        return "without a label of the target"
    return f"with {count(shown.n_per_class)} label{'' if shown.n_per_class == 1 else 's'} of each class"


def adapted(summary: Summary) -> list[str]:
    """Methods that are none of the bounds, in the order of the study."""
    bounds = {summary["bounds"]["source"], summary["bounds"]["target"]}
    return [entry["name"] for entry in summary["design"]["methods"] if entry["name"] not in bounds]


def point(summary: Summary, method: str, fraction: float, metric: str = METRIC) -> Point | None:
    """Mean score of a method at a share of the labels; None where it has none."""
    found = [one for one in curve(summary, method, metric) if one.fraction == fraction and one.mean is not None]
    return found[0] if found else None


def ranked(summary: Summary, fraction: float) -> list[tuple[Point, str]]:
    """Methods that are no bounds with their mean scores at a share of the labels, the highest first.

    Those without all repeats are left out.
    """
    scored = [(point(summary, name, fraction), name) for name in adapted(summary)]
    present = with_all_repeats([(one, name) for one, name in scored if one is not None])
    return sorted(present, key=lambda item: -(item[0].mean or 0.0))


def compared(summary: Summary, method: str, baseline: str, fraction: float, metric: str = METRIC) -> Row | None:
    """Paired difference of two methods at a share of the labels; None where there is none."""
    for row in summary["comparisons"]:
        if (row["method"], row["baseline"], row["fraction"], row["metric"]) == (method, baseline, fraction, metric):
            return dict(row) if known(row.get("difference")) is not None else None
    return None

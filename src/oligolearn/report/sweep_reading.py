"""Look-ups in the summary of a sweep; what its report knows of its layout."""

from itertools import pairwise
from typing import Any, NamedTuple

from oligolearn.report.reading import Point, Summary, curve, with_all_repeats
from oligolearn.report.wording import known, percent

Choice = dict[str, Any]


class Axis(NamedTuple):
    """Where the values of a setting stand in a figure.

    Attributes
    ----------
    name, title
        Of the setting.
    values
        In the order of the axis; the default is among them, unless it is no number among numbers.
    numeric
        Whether they are places on a scale; else they stand side by side.
    log
        Whether the scale is logarithmic.
    default
        Of the setting, whether or not it is among the values.
    """

    name: str
    title: str
    values: list[Any]
    numeric: bool
    log: bool
    default: Any

    @property
    def places(self) -> list[float]:
        """Of the values."""
        return [float(value) for value in self.values] if self.numeric else [float(i) for i in range(len(self.values))]

    @property
    def names(self) -> list[str]:
        """The values, written out."""
        return [shown(value) for value in self.values]


def shown(value: Any) -> str:
    """A value of a setting, written out."""
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(",", "-")


def axes_of(summary: Summary) -> list[Axis]:
    """The settings that were varied; with a single one, the default is a value like the others."""
    found = []
    for setting in summary["varied"]:
        values, default, numeric = list(setting["values"]), setting["default"], bool(setting["numeric"])
        alone = len(summary["varied"]) == 1
        if alone and default not in values and (not numeric or known(default) is not None):
            values = [*values, default] if numeric else [default, *values]
        if numeric:
            values = sorted(values)
        log = numeric and values[0] > 0 and values[-1] / values[0] >= 8 and _uneven(values)
        found.append(Axis(setting["name"], setting["title"], values, numeric, log, default))
    return found


def _uneven(values: list[float]) -> bool:
    """Whether sorted values stand so unevenly that a logarithmic scale suits them."""
    gaps = [right - left for left, right in pairwise(values)]
    return max(gaps) > 3 * min(gaps)


def default_choice(summary: Summary) -> Choice:
    """The choice that the others are compared with."""
    return next(choice for choice in summary["choices"] if choice["default"])


def choice_of(summary: Summary, values: dict[str, Any]) -> Choice | None:
    """The choice of some values; None where it means the same as another, and so was not trained."""
    return next((choice for choice in summary["choices"] if choice["values"] == values), None)


def point(summary: Summary, choice: Choice | None, fraction: float, metric: str = "accuracy") -> Point | None:
    """Mean score of a choice at a fraction; None where it has none."""
    if choice is None:
        return None
    found = [one for one in curve(summary, choice["name"], metric) if one.fraction == fraction]
    return found[0] if found and found[0].mean is not None else None


def comparison(summary: Summary, choice: Choice | None, fraction: float) -> dict[str, Any] | None:
    """Paired difference in accuracy of a choice from the default at a fraction."""
    for row in summary["comparisons"]:
        if choice and (row["method"], row["fraction"], row["metric"]) == (choice["name"], fraction, "accuracy"):
            return dict(row)
    return None


def fractions(summary: Summary) -> list[tuple[float, int]]:
    """Fractions of the labels and their numbers, ascending."""
    return [(entry["fraction"], entry["n_labels"]) for entry in summary["design"]["fractions"]]


def fraction_title(fraction: float, n_labels: int) -> str:
    """A fraction in words."""
    digits = 0 if round(100 * fraction, 3).is_integer() else 1
    return f"{percent(fraction, digits)} of the labels ({n_labels:,})"


def scored(summary: Summary, fraction: float) -> list[tuple[Point, Choice]]:
    """Choices with their mean accuracy at a fraction, the highest first; of equals the default, then the earlier."""
    scores = [(point(summary, choice, fraction), choice) for choice in summary["choices"]]
    present = [(one, choice) for one, choice in scores if one is not None]
    return sorted(present, key=lambda item: (-(item[0].mean or 0.0), not item[1]["default"]))


def ranked(summary: Summary, fraction: float) -> list[tuple[Point, Choice]]:
    """Those of `scored` that have all repeats."""
    return with_all_repeats(scored(summary, fraction))

"""Figures per class: the confusion matrix of a method and the recall of all methods."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from oligolearn.report.reading import Summary, recalls, titles
from oligolearn.report.style import (
    INK,
    RULE,
    legend,
    legend_shape,
    literal,
    literals,
    looks,
    new_figure,
    share_ticks,
    side_by_side,
)
from oligolearn.report.wording import distinct

BLUES = LinearSegmentedColormap.from_list("oligolearn", ["#ffffff", "#d3e4f1", "#7fb2d6", "#0072B2", "#003f66"])
_NUMBERED = 24  # classes beyond which a cell is too small for its number
_NAME = 18  # characters of a class name beside a figure
NARROWEST = 2.6  # inches that the words around even a two-class matrix need


def shares_of_true(matrix: list[list[int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Confusion matrix with rows summing to 1; NaN rows for classes without a sample."""
    counts = np.array(matrix, dtype=float).reshape(len(matrix), -1)
    totals = counts.sum(axis=1, keepdims=True)
    shares: np.ndarray[Any, np.dtype[np.float64]] = np.full_like(counts, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def confusion_matrix(summary: Summary, method: str, width: float) -> Figure:
    """Share of each true class (row) given each predicted class (column), at the chosen fraction."""
    confusion = summary["confusion"]
    classes, n = [str(name) for name in confusion["classes"]], len(confusion["classes"])
    margin = 0.35 + 0.082 * max(map(len, distinct(classes, _NAME)))
    smallest = 0.3 if n <= 12 else 0.27 if n <= _NUMBERED else 0.185
    cell = min(max((width - margin) / n, smallest), 0.62 if n > 2 else 1.0)
    figure = new_figure(max(margin + n * cell, min(width, NARROWEST)), margin + n * cell + 0.2)
    axes = figure.subplots()
    shares = shares_of_true(confusion["methods"][method])
    axes.imshow(np.ma.masked_invalid(shares), cmap=BLUES, vmin=0, vmax=1, interpolation="none", aspect="equal")
    _name_classes(axes, literals(classes, _NAME))
    if n <= _NUMBERED:
        _number_cells(axes, shares, 0.005 if n <= 12 else 0.095)
    return figure


def _name_classes(axes: Axes, names: list[str]) -> None:
    ticks = range(len(names))
    axes.set_yticks(ticks, names)
    axes.set_xticks(ticks, names, rotation=90, rotation_mode="anchor", ha="right", va="center")
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(visible=False)
    axes.grid(which="minor", axis="both", color=RULE, linewidth=0.6)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class", rotation=90, rotation_mode="anchor", ha="center", va="bottom")


def _number_cells(axes: Axes, shares: np.ndarray[Any, np.dtype[np.float64]], smallest: float) -> None:
    """Write the percentage into every cell that has at least `smallest`; light on dark cells."""
    for i, j in zip(*np.nonzero(np.nan_to_num(shares) >= smallest), strict=True):
        color = "white" if shares[i, j] > 0.55 else INK
        axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center_baseline", color=color, fontsize=8.5)


def _floor(matrices: Iterable[list[list[int]]]) -> float:
    """Where the recall axis begins: at zero unless every recall is far from it."""
    lowest = min((share for matrix in matrices for share in recalls(matrix) if share is not None), default=0.0)
    return max(0.0, math.floor(10 * lowest - 1) / 10) if lowest > 0.4 else 0.0


def class_recall(summary: Summary, width: float) -> Figure:
    """Recall of every class, a dot per method, at the chosen fraction."""
    confusion, names = summary["confusion"], titles(summary)
    classes = [str(name) for name in confusion["classes"]]
    drawn = {name: look for name, look in looks(list(names)).items() if name in confusion["methods"]}
    legend_rows = legend_shape(width, [names[name] for name in drawn])[1]
    figure = new_figure(width, 0.55 + 0.2 * legend_rows + (0.235 if side_by_side(width) else 0.26) * len(classes))
    axes = figure.subplots()
    handles = {}
    for name, look in drawn.items():
        recall = [np.nan if share is None else share for share in recalls(confusion["methods"][name])]
        (handles[names[name]],) = axes.plot(
            recall,
            range(len(classes)),
            look.marker,
            color=look.color,
            markersize=6.2,
            markeredgecolor="white",
            markeredgewidth=0.7,
            alpha=0.9,
            clip_on=False,
            label=literal(names[name]),
        )
    axes.set_yticks(range(len(classes)), literals(classes, _NAME))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set(
        xlim=(_floor(confusion["methods"].values()), 1),
        ylim=(len(classes) - 0.4, -0.6),
        xlabel="recall: share of the class recognised",
    )
    share_ticks(axes.xaxis)
    axes.grid(axis="x", color=RULE)
    axes.spines["left"].set_visible(False)
    legend(figure, handles, has_room=True)
    return figure

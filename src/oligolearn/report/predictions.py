"""Predicted numbers against measured ones."""

import numpy as np
from matplotlib.figure import Figure

from oligolearn.report.reading import Summary, titles
from oligolearn.report.style import FAINT, literal, looks, new_figure, side_by_side

_MARGIN = 0.04


def predicted_and_measured(summary: Summary, width: float) -> Figure:
    """One panel for each method, with the same axes; the line is where both are equal."""
    found, names = summary["predictions"]["methods"], titles(summary)
    shown = [(name, look) for name, look in looks(list(names)).items() if name in found]
    columns = min(len(shown), 3 if side_by_side(width) else 1)
    rows = -(-len(shown) // columns)
    figure = new_figure(width, (width / columns + 0.25) * rows if columns > 1 else 2.9 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    ends = _ends([value for one in found.values() for value in one["measured"]])
    for axes, (name, look) in zip(panels, shown, strict=False):
        axes.plot(ends, ends, color=FAINT, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        dots = axes.scatter(found[name]["measured"], found[name]["predicted"], 9, color=look.color)
        dots.set(alpha=0.45, linewidths=0, rasterized=len(shown) > 3)
        axes.set_title(literal(names[name], 26))
        axes.set_xlim(ends)
    for axes in panels[len(shown) :]:
        axes.remove()
    figure.supxlabel("measured", fontsize=8.8)
    figure.supylabel("predicted", fontsize=8.8)
    return figure


def _ends(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low)
    return low - margin, high + margin

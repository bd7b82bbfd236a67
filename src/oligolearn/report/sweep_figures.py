"""Every figure of a sweep, with the words that go with it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from oligolearn.report.classes import BLUES
from oligolearn.report.conclusion import verdict
from oligolearn.report.curves import leave_room, marks
from oligolearn.report.figures import Plate
from oligolearn.report.measures import MEASURES
from oligolearn.report.reading import Summary, nothing_learned
from oligolearn.report.style import (
    FAINT,
    INK,
    Look,
    distinct_looks,
    legend,
    literal,
    literals,
    new_figure,
    share_ticks,
    side_by_side,
)
from oligolearn.report.sweep_reading import (
    Axis,
    Choice,
    axes_of,
    choice_of,
    comparison,
    default_choice,
    fraction_title,
    fractions,
    point,
    scored,
    shown,
)
from oligolearn.report.wording import percent, points

_TIED = "accuracy on validation samples"


def sweep_plates(summary: Summary) -> list[Plate]:
    """Figures of a sweep, in the order of the report; `summary` as `checked` returns it."""
    if len(axes_of(summary)) > 1:
        return [_heat_maps(summary), _lines(summary)]
    found = [_accuracy(summary), _other_metrics(summary)]
    if summary["comparisons"]:
        found.insert(1, _difference(summary))
    return found


def _said(summary: Summary) -> str:
    """The means, for those who do not see a figure."""
    parts = []
    for fraction, n_labels in fractions(summary):
        scores = ", ".join(f"{choice['title']} {percent(one.mean)}" for one, choice in scored(summary, fraction))
        parts.append(f"With {fraction_title(fraction, n_labels)}: {scores}.")
    return " ".join(parts)


def _accuracy(summary: Summary) -> Plate:
    axis = axes_of(summary)[0]
    return Plate(
        "accuracy",
        "curves",
        f"Accuracy and {axis.title}",
        "Each dot is the mean accuracy over the repeats, on validation samples that training never saw; bars and bands "
        f"are 95% intervals of that mean. {_default_is_marked(summary)} Choices of a repeat share samples and labels, "
        "so differences are surer than the intervals suggest; they have a figure of their own below.",
        _said(summary),
        partial(setting_curves, summary),
    )


def _default_is_marked(summary: Summary) -> str:
    axis = axes_of(summary)[0]
    if axis.default in axis.values:
        return "A ring marks the default."
    return f"The dashed line is the default ({shown(axis.default)})."


def _other_metrics(summary: Summary) -> Plate:
    return Plate(
        "other_metrics",
        "curves",
        "The same by balanced accuracy and by AUROC",
        "Balanced accuracy counts every class alike; AUROC asks only whether the right class is ranked first. Where "
        "these favour another value than accuracy does, the classes are uneven.",
        "Two panels like the accuracy figure, for balanced accuracy and the area under the ROC curve; values in the "
        "tables.",
        partial(setting_curves, summary, metrics=("balanced_accuracy", "auroc")),
    )


def _difference(summary: Summary) -> Plate:
    stars = (
        "No marks of significance are shown, since nothing is better than guessing."
        if nothing_learned(summary)
        else "Stars mark p < 0.05 (*), 0.01 (**) and 0.001 (***), after correction for the samples that repeats share "
        "(Nadeau-Bengio) and for all comparisons of the sweep (Holm); no star, no finding."
    )
    return Plate(
        "difference",
        "difference",
        "Against the default",
        "Difference in accuracy, in percentage points, from the default settings on the same samples and labels of the "
        f"same repeat. Bars and bands are 95% intervals: where one crosses zero, the two may be alike. {stars}",
        "Differences in the tables.",
        partial(setting_differences, summary),
    )


def _heat_maps(summary: Summary) -> Plate:
    first, second = axes_of(summary)
    return Plate(
        "heat_map",
        "curves",
        f"Accuracy, {first.title} and {second.title}",
        "Mean accuracy in percent over the repeats, on validation samples that training never saw. The heavy frame is "
        f"the highest mean, the dashed one the default{_where_default(summary)}. ▲ and ▼ mark what is detectably above "
        "and below the default (p < 0.05 after Nadeau-Bengio and Holm). An empty cell means the same as another, or "
        "has no result.",
        _said(summary),
        partial(heat_maps, summary),
    )


def _where_default(summary: Summary) -> str:
    default = default_choice(summary)
    in_grid = all(default["values"][axis.name] in axis.values for axis in axes_of(summary))
    if in_grid:
        return ""
    scores = [point(summary, default, fraction) for fraction, _ in fractions(summary)]
    written = ", ".join(percent(one.mean) for one in scores if one is not None)
    return f", which is not in the grid ({default['title']}: {written or 'no result'})"


def _lines(summary: Summary) -> Plate:
    along, by = _along(summary)
    return Plate(
        "lines",
        "curves",
        f"The same as lines over {along.title}",
        f"A line, or a row of dots, for each value of {by.title}; bars and bands are 95% intervals of the mean. The "
        f"grey dashed line is the default ({default_choice(summary)['title']}).",
        "The numbers of the heat map.",
        partial(setting_lines, summary),
    )


def setting_curves(summary: Summary, width: float, metrics: tuple[str, ...] = ("accuracy",)) -> Figure:
    """Mean score over the values of one setting, a line for each fraction, one panel for each metric."""
    axis = axes_of(summary)[0]
    panels, figure, inches = _panels(width, len(metrics), height=3.9 if len(metrics) == 1 else 3.2)
    handles: dict[str, Any] = {}
    for axes, metric in zip(panels, metrics, strict=True):
        tried = fractions(summary)
        for i, ((fraction, n_labels), look) in enumerate(zip(tried, distinct_looks(len(tried)), strict=True)):
            choices = [choice_of(summary, {axis.name: value}) for value in axis.values]
            scores = [point(summary, choice, fraction, metric) for choice in choices]
            columns = [[getattr(one, key, None) for one in scores] for key in ("mean", "low", "high")]
            shift = _shift(i, len(tried))
            handles[fraction_title(fraction, n_labels)] = _draw(axes, axis, columns, look, shift)
            _mark_default(axes, axis, columns[0], shift, handles)
            _default_line(axes, summary, axis, fraction, metric, look.color, handles)
        axes.set_title(_TIED.capitalize() if metric == "accuracy" else MEASURES[metric].title)
        if MEASURES[metric].write is percent:
            share_ticks(axes.yaxis)
        _end_at_one(axes)
        place_values(axes, axis, inches)
    _legend(figure, handles)
    return figure


def _panels(width: float, n: int, *, height: float) -> tuple[list[Axes], Figure, float]:
    """Panels beside each other where there is room, and the width of each."""
    columns = min(n, 2) if side_by_side(width) else 1
    rows = -(-n // columns)
    figure = new_figure(width, 0.35 + (height if side_by_side(width) else 3.1) * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes in panels[n:]:
        axes.remove()
    return list(panels[:n]), figure, width / columns - 0.7


def _end_at_one(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if axes.get_ylim()[1] > 1:
        axes.set_ylim(top=1)


def _legend(figure: Figure, handles: dict[str, Any]) -> None:
    """Add a legend, the default at its end."""
    legend(figure, dict(sorted(handles.items(), key=lambda item: item[0].startswith("default"))))


def _shift(i: int, n: int) -> float:
    """Sideways shift of the dots of one of `n` series that stand beside each other."""
    return 0.0 if n == 1 else (i - (n - 1) / 2) * min(0.14, 0.6 / n)


def _draw(axes: Axes, axis: Axis, columns: Sequence[Sequence[Any]], look: Look, shift: float) -> Any:
    """Mean and interval at every value: a line with a band on a scale, dots with bars for names."""
    mean, low, high = (np.array([np.nan if one is None else one for one in column], float) for column in columns)
    x = np.array(axis.places) + (0.0 if axis.numeric else shift)
    there = np.isfinite(mean)
    x, mean, low, high = x[there], mean[there], low[there], high[there]
    if axis.numeric and np.isfinite(low).any():
        axes.fill_between(x, low, high, color=look.color, alpha=0.11, linewidth=0)
    axes.vlines(x, low, high, color=look.color, linewidth=0.9 if axis.numeric else 1.4, alpha=0.75)
    line = look.line if axis.numeric else "none"
    (handle,) = axes.plot(x, mean, color=look.color, linestyle=line, marker=look.marker, linewidth=1.7, zorder=3)
    handle.set(markersize=5.4 if axis.numeric else 6.2, markeredgecolor="white", markeredgewidth=0.7, clip_on=False)
    return handle


def _mark_default(axes: Axes, axis: Axis, means: Sequence[Any], shift: float, handles: dict[str, Any]) -> None:
    """Draw a ring around the default where it is one of the values."""
    if axis.default not in axis.values:
        return
    place = axis.values.index(axis.default)
    if means[place] is None:
        return
    x = axis.places[place] + (0.0 if axis.numeric else shift)
    axes.plot([x], [means[place]], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    handles["default"] = Line2D([], [], linestyle="none", marker="o", markersize=9, markerfacecolor="none", color=INK)


def _default_line(
    axes: Axes, summary: Summary, axis: Axis, fraction: float, metric: str, color: str, handles: dict[str, Any]
) -> None:
    """Draw the default as a line across where it is no number, such as "automatic"."""
    one = point(summary, default_choice(summary), fraction, metric)
    if axis.default in axis.values or one is None or one.mean is None:
        return
    axes.axhline(one.mean, color=color, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2)
    handles[f"default ({shown(axis.default)})"] = Line2D([], [], color=FAINT, linewidth=1.1, linestyle=(0, (4, 3)))


def place_values(axes: Axes, axis: Axis, inches: float) -> None:
    """Set the horizontal axis: ticks at the values, as many as fit; long names stand upright."""
    places, names = axis.places, literals(axis.names, 22)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(axis.title)
    if not axis.numeric:
        axes.set_xlim(-0.6, len(places) - 0.4)
        upright = sum(0.068 * len(name) + 0.1 for name in names) > inches
        axes.set_xticks(places, names, rotation=90 if upright and inches < 4 else 30 if upright else 0)
        if upright and inches >= 4:
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        return
    if axis.log:
        axes.set_xscale("log")
        margin = (places[-1] / places[0]) ** 0.05
        axes.set_xlim(places[0] / margin, places[-1] * margin)
    else:
        margin = 0.05 * (places[-1] - places[0]) or 0.5
        axes.set_xlim(places[0] - margin, places[-1] + margin)
    kept = _that_fit(np.log(places) if axis.log else np.array(places), names, inches)
    axes.set_xticks([places[i] for i in kept], [names[i] for i in kept])
    axes.xaxis.set_minor_locator(NullLocator())


def _that_fit(x: np.ndarray[Any, Any], names: Sequence[str], inches: float) -> list[int]:
    """Places whose tick labels stay clear of the last kept one; the first and the last are always kept."""
    length = float(x[-1] - x[0]) or 1.0

    def clear(left: int, right: int) -> bool:
        return float(x[right] - x[left]) / length * inches > 0.04 * (len(names[left]) + len(names[right])) + 0.06

    kept = [0]
    last = len(x) - 1
    for i in range(1, last):
        if clear(kept[-1], i) and clear(i, last):
            kept.append(i)
    return kept if last == 0 else [*kept, last]


def setting_differences(summary: Summary, width: float) -> Figure:
    """Paired difference from the default over the values of one setting, a line for each fraction, with stars."""
    axis = axes_of(summary)[0]
    (axes,), figure, inches = _panels(width, 1, height=3.4)
    tried = fractions(summary)
    handles: dict[str, Any] = {}
    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    for i, ((fraction, n_labels), look) in enumerate(zip(tried, distinct_looks(len(tried)), strict=True)):
        choices = [choice_of(summary, {axis.name: value}) for value in axis.values]
        rows = [comparison(summary, choice, fraction) for choice in choices]
        columns = [
            [_at(row, choice, key) for row, choice in zip(rows, choices, strict=True)]
            for key in ("difference", "low", "high")
        ]
        shift = _shift(i, len(tried))
        handles[fraction_title(fraction, n_labels)] = _draw(axes, axis, columns, look, shift)
        _mark_default(axes, axis, columns[0], shift, handles)
        for row, x in zip(rows, axis.places, strict=True):
            if row is not None:
                axes.annotate(
                    marks(summary, row),
                    (x + (0.0 if axis.numeric else shift), 1),
                    (0, -1 - 9 * i if axis.numeric else -1),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    color=look.color,
                    weight="bold",
                )
    axes.set_title("Points over the default")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: points(value / 100).removesuffix(".0")))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    leave_room(axes, len(tried) if axis.numeric else 1)
    place_values(axes, axis, inches)
    if axis.numeric:  # room for "better" and "worse"
        left, right = axes.get_xlim()
        axes.set_xlim(left * (left / right) ** 0.06 if axis.log else left - 0.06 * (right - left), right)
    _legend(figure, handles)
    return figure


def _at(row: dict[str, Any] | None, choice: Choice | None, key: str) -> float | None:
    """A difference in points; the default differs from itself by nothing."""
    if choice is not None and choice["default"]:
        return 0.0
    return None if row is None or row.get(key) is None else 100 * float(row[key])


def heat_maps(summary: Summary, width: float) -> Figure:
    """Mean accuracy over the values of two settings, a panel for each fraction."""
    across, down = axes_of(summary)
    tried = fractions(summary)
    names = literals(down.names, 18)
    margin = 0.5 + 0.075 * max(map(len, names))
    columns = 2 if len(tried) > 1 and width / 2 - margin > 0.5 * len(across.values) else 1
    rows = -(-len(tried) // columns)
    upright = (width / columns - margin) / len(across.values) < 0.1 + 0.08 * max(map(len, across.names))
    below = 0.95 + (0.06 * max(map(len, across.names)) if upright else 0.0)
    figure = new_figure(width, rows * (below + 0.36 * len(down.values)))
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, (fraction, n_labels) in zip(panels, tried, strict=False):
        _heat_map(axes, summary, fraction)
        axes.set_title(f"With {literal(fraction_title(fraction, n_labels), 40)}")
        axes.set_xticks(range(len(across.values)), literals(across.names, 18), rotation=90 if upright else 0)
        axes.set_yticks(range(len(down.values)), names)
        axes.set(xlabel=across.title, ylabel=down.title)
        axes.tick_params(length=0, labelcolor=INK)
    for axes in panels[len(tried) :]:
        axes.remove()
    return figure


def _heat_map(axes: Axes, summary: Summary, fraction: float) -> None:
    across, down = axes_of(summary)
    grid = [[choice_of(summary, {across.name: x, down.name: y}) for x in across.values] for y in down.values]
    scores = [[point(summary, choice, fraction) for choice in row] for row in grid]
    means = np.array([[np.nan if one is None else one.mean for one in row] for row in scores], float)
    low, high = (np.nanmin(means), np.nanmax(means)) if np.isfinite(means).any() else (0.0, 1.0)
    room = max(high - low, 0.002)
    axes.imshow(np.ma.masked_invalid(means), cmap=BLUES, vmin=low - 0.1 * room, vmax=high + 0.25 * room, aspect="auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    best = np.nanargmax(means) if np.isfinite(means).any() else -1
    for i, row in enumerate(grid):
        for j, choice in enumerate(row):
            if not np.isfinite(means[i, j]):
                continue
            dark = (means[i, j] - low + 0.1 * room) / (1.35 * room) > 0.5
            text = f"{100 * means[i, j]:.1f}{_arrow(summary, choice, fraction)}"
            axes.text(j, i, text, ha="center", va="center_baseline", color="white" if dark else INK, fontsize=8.5)
            if i * len(row) + j == best:
                axes.add_patch(_frame(i, j, linewidth=2.2, edgecolor=INK))
            if choice and choice["default"]:
                axes.add_patch(_frame(i, j, linewidth=1.4, edgecolor="#D55E00", linestyle=(0, (3, 2))))


def _frame(i: int, j: int, **look: Any) -> Rectangle:
    return Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, zorder=4, **look)


def _arrow(summary: Summary, choice: Choice | None, fraction: float) -> str:
    row = comparison(summary, choice, fraction)
    if row is None or nothing_learned(summary):
        return ""
    return {"raises": "▲", "lowers": "▼"}.get(verdict(row), "")


def _along(summary: Summary) -> tuple[Axis, Axis]:
    """The setting on the horizontal axis, one with a scale if there is one, and the other."""
    first, second = axes_of(summary)
    return (second, first) if second.numeric and not first.numeric else (first, second)


def setting_lines(summary: Summary, width: float) -> Figure:
    """Mean accuracy over one of two settings, a line for each value of the other, a panel for each fraction."""
    along, by = _along(summary)
    tried = fractions(summary)
    panels, figure, inches = _panels(width, len(tried), height=3.3)
    handles: dict[str, Any] = {}
    for axes, (fraction, n_labels) in zip(panels, tried, strict=True):
        for i, (value, look) in enumerate(zip(by.values, distinct_looks(len(by.values)), strict=True)):
            choices = [choice_of(summary, {along.name: one, by.name: value}) for one in along.values]
            scores = [point(summary, choice, fraction) for choice in choices]
            columns = [[getattr(one, key, None) for one in scores] for key in ("mean", "low", "high")]
            handles[f"{by.title} {shown(value)}"] = _draw(axes, along, columns, look, _shift(i, len(by.values)))
        one = point(summary, default_choice(summary), fraction)
        if one is not None and one.mean is not None:
            handles["default"] = axes.axhline(one.mean, color=FAINT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.set_title(f"With {literal(fraction_title(fraction, n_labels), 40)}")
        share_ticks(axes.yaxis)
        _end_at_one(axes)
        place_values(axes, along, inches)
    _legend(figure, handles)
    return figure

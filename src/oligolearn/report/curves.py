"""Figures over the number of labels, and the calibration curve."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from oligolearn.report.measures import measures_of, scale_of
from oligolearn.report.reading import (
    Summary,
    comparisons,
    curve,
    label_numbers,
    main_metric,
    main_pairs,
    nothing_learned,
    pairs,
    title,
    titles,
)
from oligolearn.report.style import (
    FAINT,
    INK,
    QUIET,
    Look,
    label_axis,
    legend,
    literal,
    looks,
    new_figure,
    share_ticks,
    side_by_side,
)
from oligolearn.report.wording import known, percent, points

_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def metric_curves(summary: Summary, width: float, metrics: tuple[str, ...]) -> Figure:
    """Mean score of every method over the number of labels, one panel per metric, with 95% intervals."""
    wide = side_by_side(width)
    rows, columns = (1, len(metrics)) if wide else (len(metrics), 1)
    height = (3.9 if len(metrics) == 1 else 3.2) if wide else 0.5 + 2.9 * rows
    figure = new_figure(width, height)
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, metric in zip(panels, metrics, strict=True):
        lines = _draw_metric(axes, summary, metric)
        label_axis(axes, label_numbers(summary), width / columns - 0.7)
    legend(figure, lines)
    return figure


def _draw_metric(axes: Axes, summary: Summary, metric: str) -> dict[str, Any]:
    measure, names = measures_of(summary)[metric], titles(summary)
    lines = {}
    for i, (name, look) in enumerate(looks(list(names)).items()):
        points_ = curve(summary, name, metric)
        columns = [[point.n_labels for point in points_]]
        columns += [[getattr(point, key) for point in points_] for key in ("mean", "low", "high")]
        spread = 1.07 ** (i - (len(names) - 1) / 2) if len(label_numbers(summary)) == 1 else 1.0
        lines[names[name]] = draw_line(axes, as_arrays(columns), look, label=literal(names[name]), spread=spread)
    axes.set_title(f"{measure.title} on held-out samples" if metric == main_metric(summary) else measure.title)
    if measure.write is percent:
        share_ticks(axes.yaxis)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if axes.get_ylim()[1] > 1 and measure.higher_is_better:
        axes.set_ylim(top=1)  # no score drawn here can be higher, though its interval may
    return lines


def as_arrays(columns: list[list[Any]]) -> list[np.ndarray[Any, Any]]:
    """Columns of numbers, NaN where one is not known."""
    return [
        np.array([np.nan if known(value) is None else value for value in column], dtype=float) for column in columns
    ]


def draw_line(
    axes: Axes,
    columns: list[np.ndarray[Any, Any]],
    look: Look,
    *,
    label: str,
    spread: float = 1.0,
    with_band: bool = True,
) -> Any:
    """Line with markers, its interval as a band and as bars; `spread` keeps lone points from hiding each other."""
    x, mean, low, high = columns
    x = x * spread
    if np.isfinite(low).any():
        if with_band:
            axes.fill_between(x, low, high, color=look.color, alpha=0.11, linewidth=0)
        axes.vlines(x, low, high, color=look.color, linewidth=0.9, alpha=0.75)
    (line,) = axes.plot(x, mean, color=look.color, linestyle=look.line, marker=look.marker, label=label)
    line.set(linewidth=1.7, markersize=5.4, markeredgecolor="white", markeredgewidth=0.7, zorder=3)
    line.set_clip_on(not np.isfinite(mean).any())  # markers stand out over the frame; a line of nothing has no place
    return line


def difference_curves(summary: Summary, width: float) -> Figure:
    """Paired difference in the main score from each baseline, with 95% intervals and marks of significance."""
    chosen = main_pairs(summary) or pairs(summary)
    baselines = list(dict.fromkeys(baseline for _, baseline in chosen))
    wide = side_by_side(width) and len(baselines) > 1
    columns = 2 if wide else 1
    rows = -(-len(baselines) // columns)
    figure = new_figure(width, 0.35 + (3.3 if side_by_side(width) else 3.0) * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharey=wide)).ravel()
    lines: dict[str, Any] = {}
    for axes, baseline in zip(panels, baselines, strict=False):
        methods = [method for method, other in chosen if other == baseline]
        lines |= _draw_differences(axes, summary, baseline, methods)
        label_axis(axes, label_numbers(summary), width / columns - 0.7)
        axes.yaxis.set_tick_params(labelleft=True)
    for axes in panels[len(baselines) :]:
        axes.remove()
    legend(figure, lines)
    return figure


def _draw_differences(axes: Axes, summary: Summary, baseline: str, methods: list[str]) -> dict[str, Any]:
    names, how = titles(summary), scale_of(summary)
    lines = {}
    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    for i, (name, look) in enumerate((key, value) for key, value in looks(list(names)).items() if key in methods):
        rows = comparisons(summary, name, baseline)
        columns = as_arrays(
            [
                [row["n_labels"] for row in rows],
                *([row.get(key) for row in rows] for key in ("difference", "low", "high")),
            ]
        )
        scaled = [columns[0], *(how.step * column for column in columns[1:])]
        lines[names.get(name, name)] = draw_line(axes, scaled, look, label=literal(names.get(name, name)))
        for row in rows:
            axes.annotate(
                marks(summary, row),
                (row["n_labels"], 1),
                (0, -1 - 9 * i),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="top",
                color=look.color,
                weight="bold",
            )
    axes.set_title(f"{'Points' if how.unit else how.noun.capitalize()} over {literal(title(summary, baseline), 26)}")
    if how.unit:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: points(value / 100).removesuffix(".0")))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    leave_room(axes, len(methods), how.step / 100)
    return lines


def leave_room(axes: Axes, rows_of_marks: int, smallest: float = 1.0) -> None:
    """Widen the limits, `smallest` apart at least, so that the marks lie above the intervals and words at zero fit."""
    low, high = axes.get_ylim()
    low, high = min(low, 0), max(high, 0)
    height = max(high - low, smallest)
    axes.set_ylim(low - 0.1 * height, high + (0.06 + 0.07 * rows_of_marks) * height)
    for text, offset, va in (("better", 3, "bottom"), ("worse", -3, "top")):
        axes.annotate(
            text,
            (0, 0),
            (4, offset),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="left",
            va=va,
            color=QUIET,
            style="italic",
        )


def marks(summary: Summary, row: dict[str, Any]) -> str:
    """Stars for p after Holm below .05, .01 and .001; none when nothing was learned."""
    p = known(row.get("p_holm"))
    if p is None or nothing_learned(summary):
        return ""
    return next((stars for limit, stars in _STARS if p < limit), "")


def calibration_curves(summary: Summary, width: float) -> Figure:
    """How often each method is right against how confident it is; dots grow with the number of predictions."""
    calibration, names = summary["calibration"], titles(summary)
    figure = new_figure(width, 4.6 if side_by_side(width) else 4.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (3, 3)), label="perfect", zorder=1)
    handles = {}
    for name, look in looks(list(names)).items():
        bins = calibration["methods"].get(name)
        if bins:
            label = f"{names[name]} (ECE {percent(calibration_error(summary, name))})"
            handles[label] = _draw_calibration(axes, bins, look, literal(label, 48))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="stated confidence")
    axes.set_title("Share that is right")
    share_ticks(axes.xaxis)
    share_ticks(axes.yaxis)
    legend(figure, handles, length=48, place="outside right upper" if side_by_side(width) else "outside upper left")
    return figure


def _draw_calibration(axes: Axes, bins: dict[str, Any], look: Look, label: str) -> Any:
    confidence, accuracy, counts = as_arrays([bins["confidence"], bins["accuracy"], bins["count"]])
    axes.plot(confidence, accuracy, color=look.color, linestyle=look.line, linewidth=1.5, label=label, zorder=2)
    share = np.nan_to_num(counts) / max(np.nansum(counts), 1)
    filled = share > 0
    axes.scatter(
        confidence[filled],
        accuracy[filled],
        14 + 160 * share[filled],
        color=look.color,
        marker=look.marker,
        edgecolors="white",
        linewidths=0.6,
        zorder=3,
        clip_on=False,
    )
    return Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=5.4, linewidth=1.5)


def calibration_error(summary: Summary, method: str) -> float | None:
    """Mean ECE of a method's runs at the calibration figure's fraction; of its pooled bins where that is absent."""
    calibration = summary["calibration"]
    for point in curve(summary, method, "ece"):
        if point.n_labels == calibration["n_labels"] and point.mean is not None:
            return point.mean
    bins = calibration["methods"][method]
    rows = [
        (count, abs(right - stated))
        for stated, right, count in zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True)
        if count and known(right) is not None and known(stated) is not None
    ]
    total = sum(count for count, _ in rows)
    return sum(count * gap for count, gap in rows) / total if total else None

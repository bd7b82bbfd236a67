"""How many labels a target accuracy needs: the fitted curves, and each method's answer or why there is none."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oligolearn.report.reading import Summary, curve, label_numbers, title, titles
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
from oligolearn.report.wording import count, known, percent, sentence

Row = dict[str, Any]

ANSWERED = ("tried", "extrapolated")
_SHORT = {
    "too far": "cannot say: too far beyond the data",
    "out of reach": "out of reach: levels off below it",
    "unknown": "cannot say: see the table",
}


def needed_rows(summary: Summary) -> list[Row]:
    """Answers of the methods, in the order of the study; none in summaries of older studies."""
    return list((summary.get("labels_needed") or {}).get("rows") or [])


def target_of(summary: Summary) -> float:
    """The accuracy that was asked for, or that the study chose."""
    return float(summary["labels_needed"]["target"])


def about(value: Any, to_whole: Callable[[float], int] = math.ceil) -> str:
    """Number of labels with no more digits than an extrapolation has: ``1,300``; at least its first two.

    >>> about(1020), about(1020, math.floor), about(96)
    ('1,100', '1,000', '96')
    """
    number = known(value)
    if number is None:
        return count(value)
    step = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return count(to_whole(round(number / step, 9)) * step)


def interval(row: Row) -> str:
    """The 95% interval in words, open ends said so."""
    low, high = known(row.get("low")), known(row.get("high"))
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {about(high)}"
    least = about(low, math.floor)
    return f"{least} or more" if high is None else f"{least} to {about(high)}"


def answers(summary: Summary) -> list[str]:
    """A sentence for each method on the target that was asked for; none where nobody asked."""
    if not (summary.get("labels_needed") or {}).get("asked"):
        return []
    return needed_words(summary)


def needed_words(summary: Summary) -> list[str]:
    """A sentence for each method, whoever named the target."""
    rows = [(row, title(summary, row["method"])) for row in needed_rows(summary)]
    return [sentence(_answer(row, name, percent(target_of(summary)))) for row, name in rows]


def _answer(row: Row, name: str, target: str) -> str:
    status, note = row["status"], str(row.get("note") or "")
    if status in ANSWERED:
        beyond = ", more than were tried" if status == "extrapolated" else ""
        within = f" (95% interval {interval(row)})" if interval(row) else ""
        aside = f"; {note}" if note else ""
        return f"{name} needs about {about(row['labels'])} labels for {target}{beyond}{within}{aside}"
    if status == "out of reach":
        return f"{target} is out of reach of {name}: {note}"
    return f"how many labels {name} needs for {target} cannot be said: {note}"


def needed_curves(summary: Summary, width: float) -> Figure:
    """Fitted curves with their 95% intervals beyond the labels tried, and below them the labels for the target."""
    rows = needed_rows(summary)
    names = titles(summary)
    found = {name: look for name, look in looks(list(names)).items() if name in {row["method"] for row in rows}}
    strip = 0.5 + 0.27 * len(rows)
    figure = new_figure(width, (3.9 if side_by_side(width) else 3.5) + strip)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, strip])
    lines = {names[row["method"]]: _draw_curve(upper, summary, row, found[row["method"]]) for row in rows}
    upper.axhline(target_of(summary), color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    upper.set_title(f"Accuracy, and the target of {percent(target_of(summary))}")
    share_ticks(upper.yaxis)
    _draw_answers(lower, summary, rows, found)
    last, end = float(label_numbers(summary)[-1]), _end(summary, rows)
    for axes in (upper, lower):
        axes.axvspan(last, end * 1.5, color=FAINT, alpha=0.12, linewidth=0, zorder=0)
    label_axis(lower, [*label_numbers(summary), round(end)], width - 0.7)
    upper.annotate(
        "beyond the data",
        (1, 0),
        (-3, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        color=QUIET,
        style="italic",
    )
    legend(figure, lines)
    return figure


def _end(summary: Summary, rows: list[Row]) -> float:
    """Right end of the figure: past every finite answer, twice the labels tried at least, never past the curves."""
    last = float(label_numbers(summary)[-1])
    ends = [known(row.get(key)) or 0.0 for row in rows for key in ("low", "labels", "high")]
    horizon = max((row["curve"]["n_labels"][-1] for row in rows if row.get("curve")), default=2 * last)
    return min(max(2 * last, 1.15 * max(ends, default=0.0)), horizon)


def _draw_curve(axes: Axes, summary: Summary, row: Row, look: Look) -> Any:
    points = curve(summary, row["method"], "accuracy")
    tried, means = (
        [point.n_labels for point in points],
        [np.nan if point.mean is None else point.mean for point in points],
    )
    fitted = row.get("curve")
    if fitted:
        end = _end(summary, needed_rows(summary)) * 1.02
        shown = np.array(fitted["n_labels"]) <= end
        x, middle, low, high = (np.array(fitted[key])[shown] for key in ("n_labels", "median", "low", "high"))
        axes.fill_between(x, low, high, color=look.color, alpha=0.13, linewidth=0)
        axes.plot(x, middle, color=look.color, linestyle=look.line, linewidth=1.5)
    (line,) = axes.plot(tried, means, color=look.color, linestyle="None", marker=look.marker, markersize=5.4)
    line.set(markeredgecolor="white", markeredgewidth=0.7, zorder=3)
    return line


def _draw_answers(axes: Axes, summary: Summary, rows: list[Row], found: dict[str, Look]) -> None:
    """One line per method: the interval and the middle, or in words that there is none."""
    first, end = float(label_numbers(summary)[0]), _end(summary, rows)
    for i, row in enumerate(rows):
        look = found[row["method"]]
        low, high = known(row.get("low")) or first, known(row.get("high")) or end
        if row["status"] in ANSWERED:
            axes.plot([low, high], [i, i], color=look.color, linewidth=1.6, solid_capstyle="butt")
            axes.plot([row["labels"]], [i], color=look.color, marker=look.marker, markersize=6)
            if row.get("high") is None:
                axes.plot([end], [i], color=look.color, marker=">", markersize=5, clip_on=False)
        else:
            axes.text(first, i, literal(_SHORT[row["status"]], 48), color=look.color, va="center", style="italic")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_title("Labels needed for it, with 95% interval")

"""How every figure looks: sizes, type, colours that colour-blind readers tell apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from oligolearn.report.wording import count, distinct

# Widths in inches: a figure is drawn once for a page and once for a telephone, so that its text is never scaled down.
WIDE = 7.4
NARROW = 3.4
_SIDE_BY_SIDE = 5.0  # a figure at least this wide has its panels side by side
LEGEND_ROW = 0.19
_USUAL_ROWS = 4  # of a legend, that figures have room for

INK, QUIET, FAINT, RULE = "#1d2430", "#5b6472", "#9aa3af", "#e3e6ea"

_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same layout everywhere
    "font.size": 8.8,
    "axes.titlesize": 9.2,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.titlecolor": INK,
    "axes.labelsize": 8.8,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8.6,
    "ytick.labelsize": 8.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.8,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.4,
    "legend.borderpad": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and never shrinks
    "pdf.fonttype": 42,
}


class Look(NamedTuple):
    """Colour, marker and line style of one method; any one of the three tells methods apart."""

    color: str
    marker: str
    line: Any


# Okabe and Ito (2008), yellow left out: it vanishes on white.
_LOOKS = {
    "swav": Look("#0072B2", "o", "-"),
    "scratch": Look("#D55E00", "s", (0, (5, 1.6))),
    "logistic": Look("#00795a", "^", (0, (1.2, 1.2))),
    "pca-logistic": Look("#b5518d", "D", (0, (4, 1.4, 1.2, 1.4))),
    "untrained": Look("#6b7280", "v", (0, (2.5, 2.5))),
}
_LIKE = {"kmer-logistic": "logistic", "onehot-logistic": "pca-logistic"}  # what these are to sequences
_MORE_LOOKS = (
    Look("#2f9fdc", "P", "-"),
    Look("#c98500", "X", "-"),
    Look("#5b3f9e", "h", "-"),
    Look("#1d2430", "*", (0, (5, 1.6))),
    Look("#8a4b2a", "p", (0, (1.2, 1.2))),
)
_CLASS_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5b3f9e", "#8a4b2a")
_CLASS_MARKERS = "os^Dv<>"


def styled() -> Any:
    """Context in which figures are made and saved; matplotlib's settings outside are left alone."""
    return rc_context(_RC)


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Look of each method: its own where it has one, else the next that is free."""
    free = iter(_MORE_LOOKS * (1 + len(methods) // len(_MORE_LOOKS)))
    own = {name: _LIKE.get(name, name) for name in methods}
    return {name: _LOOKS[like] if like in _LOOKS else next(free) for name, like in own.items()}


def distinct_looks(n: int) -> list[Look]:
    """Looks of `n` series that have none of their own: ten, then their colours with other markers."""
    every = (*_LOOKS.values(), *_MORE_LOOKS)
    markers = [look.marker for look in every]
    return [every[i % len(every)]._replace(marker=markers[(i + 3 * (i // len(every))) % len(every)]) for i in range(n)]


def class_looks(classes: Sequence[str]) -> dict[str, Look]:
    """Colour and marker of each class; both change from one class to the next, 56 pairs before any returns."""
    colors, markers = len(_CLASS_COLORS), len(_CLASS_MARKERS)  # without common divisor
    return {name: Look(_CLASS_COLORS[i % colors], _CLASS_MARKERS[i % markers], "-") for i, name in enumerate(classes)}


def literal(text: Any, length: int = 28) -> str:
    """`text` for matplotlib: shown as it is (a dollar starts no formula), shortened, never taken for "no legend"."""
    return literals([str(text)], length)[0]


def literals(names: Sequence[str], length: int = 28) -> list[str]:
    """`literal` for names that stand together: they stay different when shortened."""
    shown = [name.replace("$", r"\$") for name in distinct(names, length)]
    return [f"\u200b{name}" if name.startswith("_") else name for name in shown]


def side_by_side(width: float) -> bool:
    """Whether a figure of `width` inches has room for two panels in a row."""
    return width >= _SIDE_BY_SIDE


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of `width` x `height` inches that keeps everything inside."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.06, hspace=0.04))


def legend(
    figure: Figure,
    handles: Mapping[str, Any],
    *,
    place: str = "outside upper left",
    length: int = 28,
    has_room: bool = False,
) -> None:
    """Add a legend of as many columns as fit the width; one column when it stands beside the axes.

    A legend of many rows makes the figure higher, unless it `has_room` already: it would leave none to the axes.
    """
    beside = place.startswith("outside right")
    width, height = figure.get_size_inches()
    columns, rows = (1, len(handles)) if beside else legend_shape(width, list(handles), length)
    if beside:
        figure.set_figheight(max(height, LEGEND_ROW * rows + 0.6))
    elif not has_room:
        figure.set_figheight(height + LEGEND_ROW * max(0, rows - _USUAL_ROWS))
    dots = all(handle.get_linestyle() in ("None", "none", "") for handle in handles.values())
    figure.legend(
        list(handles.values()),
        literals(list(handles), length),
        loc=place,
        ncols=columns,
        handlelength=0.9 if dots else 2.4,
    )


def legend_shape(width: float, names: Sequence[str], length: int = 28) -> tuple[int, int]:
    """Columns and rows of a legend of `names` in `width` inches."""
    longest = max(map(len, distinct(names, length)), default=1)
    columns = max(1, min(len(names), int((width + 0.1) / (0.58 + 0.068 * longest))))
    return columns, -(-len(names) // columns)


def share_ticks(axis: Any) -> None:
    """Write the ticks of a share as percentages with no more decimals than they need."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 3):g}%"))


def label_axis(axes: Axes, numbers: Sequence[int], inches: float) -> None:
    """Logarithmic axis of label numbers, ticked at numbers that were tried, as many as fit in `inches`."""
    axes.set_xscale("log")
    low, high = min(numbers), max(numbers)
    margin = (high / low) ** 0.04 if high > low else 1.6
    axes.set_xlim(low / margin, high * margin)
    ticks = _ticks_that_fit(sorted(set(numbers)), inches)
    axes.set_xticks(ticks, [count(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("labelled training samples")


def _ticks_that_fit(numbers: list[int], inches: float) -> list[int]:
    """Every number whose tick label stays clear of the last one and of its left neighbour."""
    length = math.log(numbers[-1] / numbers[0]) or 1.0

    def clear(left: int, right: int) -> bool:
        return math.log(right / left) / length * inches > 0.045 * (len(count(left)) + len(count(right))) + 0.06

    kept = [numbers[0]]
    for number in numbers[1:-1]:
        if clear(kept[-1], number) and clear(number, numbers[-1]):
            kept.append(number)
    return kept if len(numbers) == 1 else [*kept, numbers[-1]]

"""Every figure of a transfer study, with the words that go with it."""

import math
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from oligolearn.report.curves import as_arrays, draw_line
from oligolearn.report.figures import Plate, slug
from oligolearn.report.measures import MEASURES
from oligolearn.report.reading import Summary, title
from oligolearn.report.scatter import domain_scatter
from oligolearn.report.style import (
    FAINT,
    INK,
    QUIET,
    Look,
    distinct_looks,
    legend,
    literal,
    new_figure,
    share_ticks,
    side_by_side,
)
from oligolearn.report.transfer_reading import (
    METRIC,
    Shown,
    adapted,
    budget_title,
    budgets,
    point,
    with_labels,
)
from oligolearn.report.wording import count, percent

_GREYS = ("#6b7280", INK)  # of the bounds
_SOURCE = Look(QUIET, "none", (0, (1.2, 1.6)))
_TARGET = Look(INK, "v", (0, (4, 2)))
_ORACLE = Look(INK, "none", (0, (7, 2, 1.2, 2)))


def transfer_plates(summary: Summary) -> list[Plate]:
    """Figures of a transfer study, in the order of the report; `summary` as `checked` returns it."""
    return [_curves(summary), _other_metrics(summary), *_embeddings(summary)]


def method_looks(summary: Summary) -> dict[str, Look]:
    """Look of each method; the bounds are grey and black."""
    names = adapted(summary)
    colored = [look for look in distinct_looks(2 * len(names) + 2) if look.color not in _GREYS][: len(names)]
    bounds = {summary["bounds"]["source"]: _SOURCE, summary["bounds"]["target"]: _TARGET}
    return {**dict(zip(names, colored, strict=True)), **bounds}


def _curves(summary: Summary) -> Plate:
    parts = []
    for shown in budgets(summary):
        scores = [
            f"{title(summary, name)} {percent(one.mean)}"
            for name in method_looks(summary)
            if (one := point(summary, name, shown.fraction)) is not None
        ]
        parts.append(f"{with_labels(shown)}: {', '.join(scores)}.")
    return Plate(
        "balanced_accuracy",
        "curves",
        "Balanced accuracy and labels of the target",
        "Each dot is the mean over the repeats, on samples of the target that no method saw; bars and grey bands are "
        "95% intervals of that mean. Left, nothing is known of the target but its values. Between the dotted line, "
        "which knows the sources alone, and the dash-dotted one, which knows all labels of the target's training side, "
        "lies what adaptation can give; the black line with triangles knows the labels below it and no source. Methods "
        "of a repeat share samples and labels, so differences are surer than the intervals suggest.",
        " ".join(parts),
        partial(budget_curves, summary),
    )


def _other_metrics(summary: Summary) -> Plate:
    return Plate(
        "other_metrics",
        "curves",
        "The same by accuracy and by AUROC",
        "Accuracy counts samples alike, so frequent classes count more. AUROC asks only whether the right class is "
        "ranked first, whatever the threshold: where it is high and balanced accuracy is not, the classes are told "
        "apart but the line between them is drawn in the wrong place.",
        "Two panels like the figure above, for accuracy and the area under the ROC curve; values in results.csv.",
        partial(budget_curves, summary, metrics=("accuracy", "auroc")),
    )


def _embeddings(summary: Summary) -> list[Plate]:
    taken: set[str] = set()
    found: list[Plate] = []
    for index, embedding in enumerate(summary.get("embeddings") or []):
        held_out, total = sum(map(bool, embedding["held_out"])), len(embedding["label"])
        found.append(
            Plate(
                f"embedding_{slug(embedding['name'], taken)}",
                "embedding",
                str(embedding["title"]),
                _embedding_caption(str(embedding["note"]), first=not found),
                f"{count(total)} samples by their first two principal components, {count(held_out)} of them held out.",
                partial(domain_scatter, summary, index),
            )
        )
    return found


def _embedding_caption(note: str, *, first: bool) -> str:
    if first:
        return (
            f"The first two principal components of all samples, standardised together ({note}): coloured by cohort "
            "and by class. Samples with a dark outline were held out. Cohorts that lie apart in the first drawing "
            "differ; classes that lie apart in the second can be learned."
        )
    return (
        f"The same samples as this method sees them ({note}), by their first two principal components. Adaptation "
        "should lay the cohorts over each other and keep the classes apart; of the target's classes it knows nothing."
    )


def budget_curves(summary: Summary, width: float, metrics: tuple[str, ...] = (METRIC,)) -> Figure:
    """Mean score over the labels of each class that are shown, between the bounds, one panel for each metric."""
    wide = side_by_side(width)
    rows, columns = (1, len(metrics)) if wide else (len(metrics), 1)
    height = (4.3 if len(metrics) == 1 else 3.5) if wide else 0.9 + 3.0 * rows
    figure = new_figure(width, height)
    handles: dict[str, Any] = {}
    for axes, metric in zip(figure.subplots(rows, columns, squeeze=False).ravel(), metrics, strict=True):
        handles |= _draw_panel(axes, summary, metric)
    legend(figure, handles)
    return figure


def _draw_panel(axes: Axes, summary: Summary, metric: str) -> dict[str, Any]:
    some = [shown for shown in budgets(summary) if shown.n_per_class is not None]
    places = _places(some)
    handles = {}
    drawn = {name: look for name, look in method_looks(summary).items() if name != summary["bounds"]["source"]}
    for i, (name, look) in enumerate(drawn.items()):
        aside = (i - (len(drawn) - 1) / 2) * min(0.05, 0.4 / len(drawn))  # or intervals would hide each other
        scores = [(places[shown] + aside, point(summary, name, shown.fraction, metric)) for shown in some]
        there = [(x, one.mean, one.low, one.high) for x, one in scores if one is not None]
        if there:
            columns = as_arrays([list(column) for column in zip(*there, strict=True)])
            handles[title(summary, name)] = draw_line(
                axes, columns, look, label=literal(title(summary, name)), with_band=False
            )
    handles |= _draw_bounds(axes, summary, metric)
    axes.set_title(MEASURES[metric].title)
    if MEASURES[metric].write is percent:
        share_ticks(axes.yaxis)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if axes.get_ylim()[1] > 1:
        axes.set_ylim(top=1)
    axes.set_xticks(list(places.values()), [count(shown.n_per_class) for shown in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(places.values()) - 0.25, max(places.values()) + 0.25)
    axes.set_xlabel("labels of the target shown of each class")
    return handles


def _places(shown: list[Shown]) -> dict[Shown, float]:
    """Where numbers of labels stand: on a logarithmic scale, none one step before the fewest."""
    numbers = {one: one.n_per_class or 0 for one in shown}
    fewest = min((number for number in numbers.values() if number), default=2)
    return {one: math.log2(number) if number else math.log2(fewest) - 1 for one, number in numbers.items()}


def _draw_bounds(axes: Axes, summary: Summary, metric: str) -> dict[str, Any]:
    """Lines across: what knows the sources alone, and what knows all labels of the target."""
    handles = {}
    last = budgets(summary)[-1]
    for name, shown, look in (
        (summary["bounds"]["source"], budgets(summary)[0], _SOURCE),
        (summary["bounds"]["target"], last, _ORACLE),
    ):
        one = point(summary, name, shown.fraction, metric)
        if one is None or one.mean is None or (look is _ORACLE and last.fraction < 1):
            continue
        if one.low is not None and one.high is not None:
            axes.axhspan(one.low, one.high, color=FAINT, alpha=0.13, linewidth=0, zorder=0)
        text = title(summary, name) + (f", {budget_title(shown)} labels" if look is _ORACLE else "")
        handles[text] = axes.axhline(one.mean, color=look.color, linestyle=look.line, linewidth=1.4, zorder=1)
    return handles

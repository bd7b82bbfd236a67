"""Figure of an embedding: its samples in two dimensions, by PCA and by t-SNE."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from oligolearn.report.reading import Summary
from oligolearn.report.style import (
    FAINT,
    INK,
    LEGEND_ROW,
    Look,
    class_looks,
    legend,
    legend_shape,
    new_figure,
    side_by_side,
)

RASTER_FROM = 2_000  # dots in a figure above which they become a picture: vector dots would make the file large
RASTER_DPI = 160
_UNLABELLED = Look("#b4bac3", "x", "-")
_PANELS = (("pca", "PCA"), ("tsne", "t-SNE"))
_NAME = 24
_FILE = 36
_NO_LABEL, _HELD_OUT = "(unlabelled)", "(held out)"


def embedding_scatter(summary: Summary, index: int, width: float) -> Figure:
    """Samples coloured by label; held-out ones with a dark outline, unlabelled ones as grey crosses."""
    embedding = summary["embeddings"][index]
    panels = [(key, name) for key, name in _PANELS if embedding.get(key)]
    shown = _looks(summary, embedding)
    handles = sample_handles(shown, embedding)
    rows, columns = (1, len(panels)) if side_by_side(width) else (len(panels), 1)
    legend_height = LEGEND_ROW * legend_shape(width, list(handles), _NAME)[1] + 0.1
    side = (width / max(columns, 2)) if side_by_side(width) else width
    figure = new_figure(width, 0.97 * side * rows + legend_height)
    for axes, (key, name) in zip(np.atleast_1d(figure.subplots(rows, columns)).ravel(), panels, strict=True):
        draw_samples(axes, embedding, key, shown, rasterized=len(panels) * len(embedding["label"]) > RASTER_FROM)
        axes.set_title(name)
    legend(figure, handles, place="outside lower left", length=_NAME, has_room=True)
    return figure


def domain_scatter(summary: Summary, index: int, width: float) -> Figure:
    """Samples by PCA, coloured by the cohort that they are from and again by class; held-out ones outlined."""
    embedding, data = summary["embeddings"][index], summary["data"]
    domains, classes = [*data["sources"], data["target"]], [str(one["name"]) for one in data["classes"]]
    everyone = class_looks([f"{i}" for i in range(len(domains) + len(classes))]).values()
    looks = dict(zip(domains, everyone, strict=False)), dict(zip(classes, list(everyone)[len(domains) :], strict=True))
    by_domain = {**embedding, "label": embedding["domain"]}
    panels = (("By cohort", by_domain, looks[0]), ("By class", embedding, looks[1]))
    handles = {
        f"{'target' if name == data['target'] else 'source'}: {name}": handle
        for name, handle in sample_handles(looks[0], {"label": [], "held_out": []}).items()
    } | sample_handles(looks[1], embedding)
    rows, columns = (1, 2) if side_by_side(width) else (2, 1)
    legend_height = LEGEND_ROW * legend_shape(width, list(handles), _FILE)[1] + 0.1
    figure = new_figure(width, 0.97 * (width / columns) * rows + legend_height)
    for axes, (title, shown, look) in zip(figure.subplots(rows, columns).ravel(), panels, strict=True):
        draw_samples(axes, shown, "pca", look, rasterized=2 * len(embedding["label"]) > RASTER_FROM)
        axes.set_title(title)
    legend(figure, handles, place="outside lower left", length=_FILE, has_room=True)
    return figure


def _looks(summary: Summary, embedding: dict[str, Any]) -> dict[str, Look]:
    """Look of each class that occurs, in the order of the study's classes."""
    present = {str(label) for label in embedding["label"] if label is not None}
    known = summary["data"].get("classes") or summary["data"].get("ranges") or []
    listed = [str(entry["name"]) for entry in known]
    everyone = class_looks([*listed, *sorted(present.difference(listed))])
    return {name: look for name, look in everyone.items() if name in present}


def sample_handles(shown: dict[str, Look], embedding: dict[str, Any]) -> dict[str, Line2D]:
    """What a legend shows of samples, by name."""

    def dot(look: Look, edge: str, face: str | None = None) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="",
            marker=look.marker,
            markersize=5.5,
            markerfacecolor=face or look.color,
            markeredgecolor=edge,
            markeredgewidth=0.9,
        )

    handles = {name: dot(look, look.color) for name, look in shown.items()}
    if any(label is None for label in embedding["label"]):
        handles[_NO_LABEL] = dot(_UNLABELLED, _UNLABELLED.color)
    if any(embedding["held_out"]):
        handles[_HELD_OUT] = dot(Look(FAINT, "o", "-"), INK, "white")
    return handles


def draw_samples(axes: Axes, embedding: dict[str, Any], key: str, shown: dict[str, Look], *, rasterized: bool) -> None:
    """Draw the samples of a map in the colours of their labels."""
    places = np.array(
        [[np.nan if value is None else value for value in place] for place in embedding[key]], dtype=float
    )
    labels = np.array(["" if label is None else str(label) for label in embedding["label"]], dtype=object)
    unlabelled = np.array([label is None for label in embedding["label"]])
    held_out = np.array(embedding["held_out"], dtype=bool)
    size = float(np.clip(9000 / max(len(places), 1), 7, 22))

    def dots(rows: np.ndarray[Any, Any], look: Look, **outline: Any) -> None:
        x, y = places[rows].T
        axes.scatter(x, y, size, color=look.color, marker=look.marker, zorder=1, **outline)

    if unlabelled.any():
        dots(unlabelled, _UNLABELLED, linewidths=0.7)
    for name, look in shown.items():
        dots((labels == name) & ~unlabelled & ~held_out, look, linewidths=0, alpha=0.75)
    for name, look in shown.items():  # on top, outlined
        dots((labels == name) & ~unlabelled & held_out, look, linewidths=0.7, edgecolors=INK)
    if rasterized:
        axes.set_rasterization_zorder(1.5)  # one picture of all the dots, not one per class
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#d5d9df")

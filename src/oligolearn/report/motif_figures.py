"""Figures of a search for motifs: logos, letters of single sequences, distances, attention."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from oligolearn.report.figures import Plate
from oligolearn.report.reading import Summary
from oligolearn.report.style import INK, QUIET, distinct_looks, legend, literal, new_figure, side_by_side
from oligolearn.report.wording import count, decimal, p_value

SECTIONS = ("logos", "spacing", "sequences", "attention")
SHOWN_LOGOS, SHOWN_PAIRS = 12, 4
_WIDE_LETTERS, _NARROW_LETTERS = 100, 40
_SMALLEST_LETTER = 0.01  # share of the largest one, below which a letter is not drawn
# Okabe and Ito's colours, which colour-blind readers tell apart; amino acids by their chemistry.
_NUCLEOTIDES = {"A": "#009E73", "C": "#0072B2", "G": "#c98500", "T": "#D55E00", "U": "#D55E00"}
_AMINO_ACIDS = {
    **dict.fromkeys("AILMFVWP", INK),
    **dict.fromkeys("GSTYCNQ", "#009E73"),
    **dict.fromkeys("DE", "#D55E00"),
    **dict.fromkeys("KRH", "#0072B2"),
}


def motif_plates(summary: Summary) -> list[Plate]:
    """Figures of a search, in the order of its report."""
    made = [_logos(summary)] if summary["motifs"] else []
    if summary["spacings"]:
        made.append(_spacings(summary))
    if summary["sequences"]:
        made.append(_sequences(summary))
    if summary["attention"]:
        made += [_by_distance(summary), _example(summary)]
    return made


def shown_motifs(summary: Summary) -> list[dict[str, Any]]:
    """Motifs whose logos are drawn: no copies, the largest effect first."""
    return [one for one in summary["motifs"] if not one["copy_of"]][:SHOWN_LOGOS]


def match_words(match: dict[str, Any] | None) -> str:
    """Name of a match and its q."""
    if match is None:
        return ""
    return f"{match['other_name'] or match['name']} ({match['name']}), q {p_value(match['q'])}"


def _logos(summary: Summary) -> Plate:
    some = shown_motifs(summary)
    with_match = any(one["match"] for one in some)
    beside = (
        "Beside each stands the motif of the database that is most like it, on the strand that was compared. "
        if with_match
        else ""
    )
    said = [
        f"{one['name']}: {one['consensus']}" + (f", like {match_words(one['match'])}" if one["match"] else "")
        for one in some
    ]
    return Plate(
        "logos",
        "logos",
        "The motifs of the largest effect",
        "The height of a place is its information in bits, the share of a letter its probability. "
        f"{beside}Motifs whose sites mostly overlap those of one above are left out here; the table has all.",
        "; ".join(said) + ".",
        partial(logo_figure, some, with_match=with_match),
    )


def logo_figure(motifs: Sequence[dict[str, Any]], width: float, *, with_match: bool) -> Figure:
    """Logos below each other, each with that of its match beside it, or below on a narrow page."""
    columns = 2 if with_match and side_by_side(width) else 1
    stacked = with_match and columns == 1
    n_rows = len(motifs) * (2 if stacked else 1)
    figure, axes = _rows(width, n_rows, columns)
    for i, one in enumerate(motifs):
        places = (axes[2 * i, 0], axes[2 * i + 1, 0]) if stacked else (axes[i, 0], axes[i, -1])
        draw_logo(places[0], one, f"{one['name']}, {count(one['n_sites'])} sites")
        if with_match and one["match"]:
            draw_logo(places[1], one["match"], match_words(one["match"]))
        elif with_match:
            places[1].axis("off")
    return figure


def _rows(width: float, n_rows: int, columns: int, *, left: float = 0.3) -> tuple[Figure, Any]:
    """Figure with axes at fixed places: a layout that looks for room takes seconds for two dozen of them."""
    height = 0.15 + 1.0 * n_rows
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=left / width, right=1 - 0.05 / width, bottom=0.2 / height, top=1 - 0.25 / height, hspace=0.55, wspace=0.1
    )
    return figure, figure.subplots(n_rows, columns, squeeze=False)


def draw_logo(axes: Axes, motif: dict[str, Any], title: str) -> None:
    """Draw letters as high as their share of each place's bits."""
    p = np.asarray(motif["probabilities"], dtype=float)
    most = np.log2(p.shape[1])
    bits = most + (p * np.log2(np.where(p > 0, p, 1))).sum(axis=1)
    draw_letters(axes, p * bits[:, None], motif["letters"])
    axes.set_ylim(0, most)
    axes.set_yticks([0, 2] if len(motif["letters"]) == 4 else [0, 4])
    axes.set_xticks([])
    axes.set_title(literal(title, 44), fontsize=8.4, fontweight="normal", pad=2)


def draw_letters(axes: Axes, heights: NDArray[np.float64], letters: str) -> None:
    """Draw stacked letters ``(length, n_letters)``, the highest outside, those below 0 downwards, by logomaker."""
    import logomaker

    colors = _NUCLEOTIDES if len(letters) == 4 else _AMINO_ACIDS
    seen = np.abs(heights) > _SMALLEST_LETTER * np.abs(heights).max(initial=0)
    logomaker.Logo(
        pd.DataFrame(np.where(seen, heights, 0.0), columns=list(letters)),
        ax=axes,
        color_scheme={letter: colors[letter] for letter in letters},
        font_name="DejaVu Sans",
        flip_below=False,
        baseline_width=0,
    )
    low, high = np.minimum(heights, 0).sum(axis=1).min(initial=0), np.maximum(heights, 0).sum(axis=1).max(initial=0)
    axes.set_xlim(-0.5, len(heights) - 0.5)
    axes.set_ylim(1.05 * low, 1.05 * high if high > low else 1)
    axes.grid(visible=False)


def _spacings(summary: Summary) -> Plate:
    pairs = summary["spacings"][:SHOWN_PAIRS]
    said = [
        f"{one['first']} and {one['second']}: {count(one['n_there'])} of {count(one['n_sequences'])} sequences at "
        f"about {one['distance']} letters, {decimal(one['expected'], 1)} expected, q {p_value(one['q'])}"
        for one in pairs
    ]
    return Plate(
        "spacing",
        "spacing",
        "Distances of pairs",
        "Sequences by the number of letters from where the first motif begins to where the second begins, read on the "
        "strand of the first; below 0 the second comes first. Each sequence counts once, with its strongest sites.",
        "; ".join(said) + ".",
        partial(spacing_figure, pairs),
    )


def spacing_figure(pairs: Sequence[dict[str, Any]], width: float) -> Figure:
    """Draw a histogram of distances for each pair."""
    figure = new_figure(width, 0.2 + 1.5 * len(pairs))
    for axes, one in zip(figure.subplots(len(pairs), 1, squeeze=False)[:, 0], pairs, strict=True):
        places, heights = np.unique(one["distances"], return_counts=True)
        axes.bar(places, heights, width=1.0, color="#0072B2")
        title = f"{one['first']} to {one['second']}: {one['distance']} letters, q {p_value(one['q'])}"
        axes.set_title(literal(title, 60), fontsize=8.6, fontweight="normal", pad=3)
        axes.set_ylabel("sequences")
    axes.set_xlabel("letters from the first to the second")
    return figure


def _sequences(summary: Summary) -> Plate:
    some = summary["sequences"]
    return Plate(
        "sequences",
        "sequences",
        "Letters of single sequences",
        "What each letter gives to the prediction, of the sequences that the model is surest of: upwards for the class "
        "in the title, or for a larger number, downwards against it. Of long sequences the part that matters most is "
        "shown.",
        "; ".join(f"{_called(one)}: output {decimal(one['output'], 2)}" for one in some) + ".",
        partial(sequence_figure, some, letters=_alphabet(summary)),
    )


def _called(one: dict[str, Any]) -> str:
    return f"{one['id']}, class {one['class']}" if one.get("class") else str(one["id"])


def _alphabet(summary: Summary) -> str:
    letters: str = summary["letters"] if "letters" in summary else summary["motifs"][0]["letters"]
    return letters


def sequence_figure(sequences: Sequence[dict[str, Any]], width: float, *, letters: str) -> Figure:
    """Draw the letters of each sequence as high as what they give."""
    most = _WIDE_LETTERS if side_by_side(width) else _NARROW_LETTERS
    figure, rows = _rows(width, len(sequences), 1, left=0.55)
    for axes, one in zip(rows[:, 0], sequences, strict=True):
        scores = np.asarray(one["scores"], dtype=float)
        start = _best_part(np.abs(scores), most)
        text = one["text"][start : start + most]
        heights = np.zeros((len(text), len(letters)))
        for place, letter in enumerate(text):
            if letter in letters:
                heights[place, letters.index(letter)] = scores[start + place]
        draw_letters(axes, heights, letters)
        axes.axhline(0, color=QUIET, linewidth=0.5)
        axes.set_xticks([0, len(text) - 1], [count(start + 1), count(start + len(text))])
        axes.set_title(literal(_called(one), 60), fontsize=8.4, fontweight="normal", pad=2)
    return figure


def _best_part(sizes: NDArray[np.float64], length: int) -> int:
    """Where the part of `length` with the largest sum begins."""
    if len(sizes) <= length:
        return 0
    before = np.concatenate([[0], np.cumsum(sizes)])
    return int((before[length:] - before[:-length]).argmax())


def _by_distance(summary: Summary) -> Plate:
    heads = summary["attention"]["by_distance"]
    return Plate(
        "attention_by_distance",
        "attention",
        "How far the heads look",
        "Mean attention that a letter gives to the one so many places to its right (left of 0, to its left), in the "
        "sequences with the largest predictions. What a head looks at need not be what the prediction depends on.",
        f"{len(heads)} layers of {len(heads[0])} heads.",
        partial(distance_figure, summary["attention"]),
    )


def distance_figure(attention: dict[str, Any], width: float) -> Figure:
    """Draw mean attention by distance, a panel for each layer and a line for each head."""
    layers = attention["by_distance"]
    figure = new_figure(width, 0.6 + 1.7 * len(layers))
    looks = distinct_looks(len(layers[0]))
    handles: dict[str, Any] = {}
    for i, axes in enumerate(figure.subplots(len(layers), 1, squeeze=False)[:, 0]):
        for head, (values, look) in enumerate(zip(layers[i], looks, strict=True), 1):
            (handles[f"head {head}"],) = axes.plot(attention["distances"], values, color=look.color, linewidth=1.2)
        axes.set_title(f"layer {i + 1}", pad=3)
        axes.set_ylabel("attention")
    axes.set_xlabel("places to the right")
    legend(figure, handles)
    return figure


def _example(summary: Summary) -> Plate:
    attention = summary["attention"]
    return Plate(
        "attention_example",
        "attention",
        "The heads in one sequence",
        f"Attention of each letter (rows) to each other one (columns) in {attention['id']}, dark where it is large, "
        f"over its first {count(len(attention['text']))} letters.",
        f"Maps of {len(attention['example'])} layers by {len(attention['example'][0])} heads.",
        partial(map_figure, attention),
    )


def map_figure(attention: dict[str, Any], width: float) -> Figure:
    """Draw one map for each head, a row for each layer."""
    maps = np.asarray(attention["example"], dtype=float)
    columns = min(maps.shape[1], 4 if side_by_side(width) else 2)
    flat = maps.reshape(-1, *maps.shape[2:])
    rows = -(-len(flat) // columns)
    figure = new_figure(width, 0.3 + rows * width / columns)
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        if i >= len(flat):
            axes.axis("off")
            continue
        axes.imshow(flat[i], cmap="Blues", vmin=0, interpolation="nearest")
        axes.set_title(f"layer {i // maps.shape[1] + 1}, head {i % maps.shape[1] + 1}", pad=3)
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure

"""The report of a search for motifs as one HTML file."""

import os
from pathlib import Path
from typing import Any

from oligolearn.report import tables
from oligolearn.report.motif_figures import SECTIONS, match_words, motif_plates, shown_motifs
from oligolearn.report.page import drawn_by_section, rendered
from oligolearn.report.reading import Summary, printable
from oligolearn.report.tables import Cell, Table
from oligolearn.report.wording import MISSING, count, decimal, joined, p_value, percent
from oligolearn.writing import write_text

SURE = 0.01  # q below which a match is told as one
_GLOSSARY = {
    "Motif": "How often each letter stands at each place of the sites that a filter finds, or that attributions single "
    "out.",
    "Information": "Bits by which the letters of a place differ from letters that are all as likely: 2 where DNA has "
    "one letter only, 0 where it has all alike.",
    "Effect": "By how much the loss rises when the filter gives only its average, or when the letters of the motif's "
    "sites are made unknown. Without labels: by how much the predictions change.",
    "q": "Share of false alarms to be expected among all results with a q as small (Benjamini and Hochberg): of "
    "matches over the motifs of the database, of enrichment over the motifs that were found.",
    "Shuffles": "The same sequences with their letters in another order, every pair of neighbours as often as before "
    "(of short ones, each letter): what chance makes of their composition.",
}


def _attribution(summary: Summary) -> str:
    if summary["settings"]["attribution"] == "mutagenesis":
        return "What a letter gives to a prediction over what each other one would give in its place."
    return (
        "What a letter gives to a prediction; over a sequence they sum to its difference from that of a reference "
        "without information."
    )


def write_motif_report(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write the report of a search for motifs as one self-contained HTML file.

    The file loads nothing and runs nothing, and is the same to the byte for the same summary.

    Parameters
    ----------
    summary : mapping
        As `oligolearn.explain.summarise` gives it.
    path : path
        The file to write; its folder must exist.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        When it is not the summary of a search for motifs.
    """
    if summary.get("kind") != "motifs":
        raise ValueError("expected the summary of a search for motifs; studies have their own reports")
    summary = printable(summary)
    path = Path(path)
    figures = drawn_by_section(motif_plates(summary), "", SECTIONS)
    words = {**_words(summary), **_tables(summary)}
    write_text(path, rendered("motifs.html.j2", words, summary=summary, figures=figures, prefix=""))
    return path


def conclude_motifs(summary: Summary) -> list[str]:
    """What a search found, in sentences, the most important first."""
    distinct = [one for one in summary["motifs"] if not one["copy_of"]]
    if not distinct:
        return ["No motif was found."]
    matched = _in_database(distinct)
    source = "filters" if summary["by"] == "filters" else "attributions"
    all_of_them = len(summary["motifs"])
    said = [f"{count(all_of_them)} motifs by {source}, {count(len(distinct))} of them distinct."]
    if matched:
        some = sorted(matched, key=lambda one: float(one["match"]["q"]))[:3]
        names = joined([f"{one['consensus']} ({match_words(one['match'])})" for one in some])
        said.append(
            f"{count(len(matched))} distinct motifs are enriched and match the database, both with q < {SURE}, the "
            f"surest {names}."
        )
    elif any(one["match"] for one in distinct):
        said.append(f"No motif is enriched and matches the database with q < {SURE}.")
    best = distinct[0]
    lost = f"raises the loss by {decimal(best['effect'])}" if summary["has_labels"] else "changes predictions most"
    if summary["has_labels"] and best["effect"] <= 1.96 * (best.get("effect_error") or 0.0):
        said.append("No motif has an effect that can be told from none: taking any away leaves the loss as it is.")
    else:
        said.append(f"{best['name']} ({best['consensus']}) matters most: taking it away {lost}.")
    return [*said, *(_pair(one) for one in summary["spacings"][:1] if one["q"] < SURE)]


def _in_database(distinct: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Motifs that match a known one and are more than chance: noise looks like something among many known ones."""
    enriched = [one for one in distinct if one["enrichment_q"] is None or one["enrichment_q"] < SURE]
    return [one for one in enriched if one["match"] and one["match"]["q"] < SURE]


def _pair(one: dict[str, Any]) -> str:
    classes = f", most in class {one['toward']}" if _by_class(one) else ""
    return (
        f"{one['first']} and {one['second']} stand {abs(one['distance'])} letters from start to start in "
        f"{count(one['n_there'])} of {count(one['n_sequences'])} sequences ({decimal(one['expected'], 1)} expected)"
        f"{classes}."
    )


def _by_class(pair: dict[str, Any]) -> bool:
    return bool(pair["toward"]) and pair["q_class"] is not None and pair["q_class"] < SURE


def _words(summary: Summary) -> dict[str, Any]:
    found = conclude_motifs(summary)
    distinct = [one for one in summary["motifs"] if not one["copy_of"]]
    in_database = [(count(len(_in_database(distinct))), "in the database")] if summary["settings"]["database"] else []
    return {
        "title": summary.get("title") or "Motifs",
        "lead": found[1] if len(found) > 2 else found[0],
        "findings": [found[0], *found[2:]] if len(found) > 2 else found[1:],
        "cautions": _cautions(summary),
        "nothing_learned": False,
        "facts": [
            (count(summary["data"].get("n_sequences")), "sequences"),
            (count(len(summary["motifs"])), "motifs"),
            (count(len(distinct)), "distinct"),
            *in_database,
        ],
        "glossary": _GLOSSARY | {"Attribution": _attribution(summary)},
    }


def _cautions(summary: Summary) -> list[str]:
    said = []
    if summary["motifs"] and all(one["enrichment_q"] >= SURE for one in shown_motifs(summary)):
        said.append("No motif is commoner in the sequences than in their shuffles: these may be no motifs at all.")
    if not summary["has_labels"]:
        said.append("No label was given, so the effect says how much predictions change, not whether they get worse.")
    return said


def _tables(summary: Summary) -> dict[str, Any]:
    return {
        "motif_table": _motif_table(summary) if summary["motifs"] else None,
        "spacing_table": _spacing_table(summary),
        **tables.listings(summary),
    }


def _motif_table(summary: Summary) -> Table:
    rows = []
    for one in summary["motifs"]:
        match = one["match"]
        rows.append(
            [
                Cell(one["name"], f"copy of {one['copy_of']}" if one["copy_of"] else ""),
                Cell(one["consensus"], f"{count(one['n_sites'])} sites"),
                Cell(decimal(one["information"], 1)),
                Cell(_effect_words(one), one["toward"]),
                Cell(decimal(one["auroc_drop"], 4)),
                Cell(percent(one["share"]), f"{percent(one['share_in_shuffles'])} of shuffles"),
                Cell(p_value(one["enrichment_q"])),
                Cell(
                    MISSING if match is None else (match["other_name"] or match["name"]), match["name"] if match else ""
                ),
                Cell(MISSING if match is None else p_value(match["q"])),
            ]
        )
    columns = ["Motif", "Consensus", "Bits", "Effect", "AUROC lost", "Sequences", "q", "Best match", "q of the match"]
    hints = [
        "",
        "Capital letters: at least 1 bit.",
        "Information of all places.",
        "Rise of the loss without it (change of the predictions where there are no labels); below, the class that it "
        "speaks for. ±: standard error over the sequences.",
        "Fall of the area under the ROC curve.",
        "With at least one site.",
        "Fisher's exact test against shuffles of the same sequences.",
        "Of the database, by TOMTOM.",
        "Over the motifs of the database.",
    ]
    return Table("Motifs, the largest effect first", columns, rows, hints)


def _effect_words(one: dict[str, Any]) -> str:
    error = one.get("effect_error")
    return decimal(one["effect"], 4) + ("" if error is None else f" ± {decimal(error, 4)}")


def _spacing_table(summary: Summary) -> Table | None:
    rows = [
        [
            Cell(f"{one['first']} to {one['second']}"),
            Cell(str(one["distance"])),
            Cell(f"{count(one['n_there'])} of {count(one['n_sequences'])}", f"{decimal(one['expected'], 1)} expected"),
            Cell(p_value(one["q"])),
            Cell(p_value(one["q_class"]), one["toward"]),
        ]
        for one in summary["spacings"]
    ]
    columns = ["Pair", "Letters", "Sequences", "q", "p of the class"]
    hints = [
        "",
        "From where the first begins to where the second begins.",
        "With that distance, one letter more or less.",
        "999 shufflings of which sites stand in one sequence; over the pairs.",
        "Fisher's exact test of the distance being commoner in one class: below, which.",
    ]
    return Table("Distances of pairs of motifs", columns, rows, hints) if rows else None

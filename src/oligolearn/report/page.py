"""The report as one HTML file, and as a fragment for Jupyter."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from oligolearn.report import tables
from oligolearn.report.conclusion import cautions, findings
from oligolearn.report.figures import SECTIONS, Plate, plates
from oligolearn.report.measures import GLOSSARY, MEASURES
from oligolearn.report.reading import (
    Summary,
    checked,
    label_numbers,
    nothing_learned,
    ranking,
    size_of_a_sample,
    titles,
)
from oligolearn.report.style import NARROW, WIDE, looks, styled
from oligolearn.report.svg import inline
from oligolearn.report.wording import count, labels, percent
from oligolearn.writing import write_text

_ABOUT = {
    "file": "File",
    "fingerprint": "Fingerprint",
    "n_samples": "Samples",
    "n_genes": "Genes",
    "n_unlabelled": "Samples without a label",
    "label": "Label",
    "group": "Kept together",
    "units": "Values",
}


class Shown(NamedTuple):
    """A figure in a page: drawn for a wide and for a narrow screen, the same drawing where it cannot change."""

    plate: Plate
    wide: Markup
    narrow: Markup | None


def write_report(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write a study's report as one self-contained HTML file.

    The file loads nothing and runs nothing, and is the same to the byte for the same summary.

    Parameters
    ----------
    summary : mapping
        The study's summary, as in ``summary.json``.
    path : path
        The file to write; its folder must exist.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        When the summary has another schema or lacks its curves.
    """
    path = Path(path)
    write_text(path, _render("report.html.j2", checked(summary), prefix=""))
    return path


def fragment(summary: Summary) -> str:
    """Conclusion, main figures and table of a study as HTML for Jupyter.

    Styles reach nothing outside the fragment, and identifiers begin with a digest of the summary, so that several
    studies can stand in one notebook.
    """
    summary = checked(summary)
    return _render("fragment.html.j2", summary, prefix=fragment_prefix(summary), names=("accuracy", "difference"))


def _render(template: str, summary: Summary, *, prefix: str, names: tuple[str, ...] | None = None) -> str:
    chosen = [plate for plate in plates(summary) if names is None or plate.name in names]
    drawn = drawn_by_section(chosen, SECTIONS, prefix)
    return rendered(template, {**_words(summary), **_tables(summary)}, summary=summary, figures=drawn, prefix=prefix)


def fragment_prefix(summary: Summary) -> str:
    """What identifiers in a fragment begin with: a digest of its summary."""
    digest = hashlib.sha256(json.dumps(summary, sort_keys=True, default=str).encode()).hexdigest()
    return f"oligo-{digest[:8]}-"


def drawn_by_section(plates: Sequence[Plate], sections: Sequence[str], prefix: str) -> dict[str, list[Shown]]:
    """Draw figures for a page, in the sections where they stand."""
    by_section: dict[str, list[Shown]] = {section: [] for section in sections}
    with styled():
        for plate in plates:
            by_section[plate.section].append(shown_plate(plate, prefix))
    return by_section


def rendered(template: str, words: Mapping[str, Any], **more: Any) -> str:
    """Fill in a template; everything but the figures is escaped."""
    return environment().get_template(template).render(**words, **more)


def shown_plate(plate: Plate, prefix: str) -> Shown:
    """Draw a figure for a page, wide and narrow; identifiers begin with `prefix`."""
    wide, narrow = plate.draw(WIDE), plate.draw(NARROW)
    same = tuple(wide.get_size_inches()) == tuple(narrow.get_size_inches())
    drawings = [
        # The drawing is ours, its texts were escaped when it was serialised.
        Markup(inline(figure, f"{prefix}{plate.name}-{size}", title=plate.title, description=plate.description))
        for figure, size in ((wide, "wide"), (narrow, "narrow"))[: 1 if same else 2]
    ]
    return Shown(plate, drawings[0], None if same else drawings[1])


def _words(summary: Summary) -> dict[str, Any]:
    data, design = summary["data"], summary["design"]
    names = titles(summary)
    found = findings(summary)
    numbers = label_numbers(summary)
    size, its_unit = size_of_a_sample(summary)
    return {
        "title": summary.get("title") or "Label efficiency",
        "lead": found[0] if found else "The study has too few results to say anything.",
        "findings": found[1:],
        "cautions": cautions(summary),
        "nothing_learned": nothing_learned(summary),
        "facts": [
            (count(data.get("n_samples")), "samples"),
            (count(size), its_unit),
            (count(len(data.get("classes") or [])), "classes"),
            (f"{count(numbers[0])}–{count(numbers[-1])}" if len(numbers) > 1 else count(numbers[0]), "labels tried"),
            (count(design.get("repeats")), "repeat" if design.get("repeats") == 1 else "repeats"),
        ],
        "what_was_done": _what_was_done(summary),
        "methods": [
            (names[entry["name"]], entry["name"], entry.get("description") or "")
            for entry in design.get("methods") or []
        ],
        "colors": {names[name]: look.color for name, look in looks(list(names)).items()},
        "target": percent((summary.get("labels_needed") or {}).get("target")),
        "chosen": labels((summary.get("confusion") or {}).get("n_labels")),
        "calibrated": labels((summary.get("calibration") or {}).get("n_labels")),
        "glossary": {
            **GLOSSARY,
            **{measure.title: measure.meaning for key, measure in MEASURES.items() if key != "seconds"},
        },
    }


def _what_was_done(summary: Summary) -> list[str]:
    """Sentences on data and design that the study's own notes do not contain."""
    data, design = summary["data"], summary["design"]
    repeats, test = count(design.get("repeats")), count(design.get("n_test"))
    split = (
        "The split into training, validation and test samples was drawn once and kept; repeats differ in their "
        "starting weights."
        if design.get("split") == "fixed"
        else f"The split was drawn anew in each of {repeats} repeats, stratified by class"
        + (f", all samples of one {data['group']} on the same side." if data.get("group") else ".")
    )
    sizes = (
        f"Each time {count(design.get('n_train'))} labelled samples were for training, "
        f"{count(design.get('n_validation'))} for "
        f"validation and {test} for testing"
    ) + (f"; pretraining saw {count(design['n_pretrain'])} samples without labels." if "n_pretrain" in design else ".")
    unlabelled = data.get("n_unlabelled") or 0
    extra = [f"{count(unlabelled)} samples have no label and served for pretraining only."] if unlabelled else []
    return [
        split,
        sizes,
        *extra,
        "Smaller label sets are part of larger ones and the same for all methods, so that methods differ in nothing "
        "else.",
    ]


def _tables(summary: Summary) -> dict[str, Any]:
    numbers = label_numbers(summary)
    about = {
        key: value for key, value in summary["data"].items() if key not in ("classes", "notes") and value is not None
    }
    return {
        "overview": tables.overview(summary),
        "per_number": [
            (
                labels(number),
                _best_at(summary, number),
                tables.scores_at(summary, number),
                tables.differences_at(summary, number),
            )
            for number in numbers
        ],
        "saved": tables.saved(summary),
        "needed_table": tables.labels_needed(summary),
        "recall_table": tables.recall_table(summary),
        "learned_table": tables.learned(summary),
        "samples": tables.samples(summary),
        "fractions": tables.fractions(summary),
        "failures": tables.failures(summary),
        "about": tables.listing("Data", about),
        "settings": tables.listing("Settings", {"seed": summary.get("seed"), **(summary.get("settings") or {})}),
        "versions": tables.listing("Versions", summary.get("versions") or {}),
    }


def _best_at(summary: Summary, number: int) -> str:
    scores = ranking(summary, number)
    if not scores or nothing_learned(summary):
        return ""
    return f"highest mean accuracy: {titles(summary)[scores[0][1]]}, {percent(scores[0][0])}"


def _unbroken(text: str) -> Markup:
    """Escape a sentence and keep "p = 0.04" on one line."""
    return Markup(re.sub(r"\bp (=|&lt;) [\d.]+\d", r'<span class="whole">\g<0></span>', str(escape(text))))


@cache
def environment() -> Environment:
    """Where the templates are; everything from a study is escaped."""
    environment = Environment(
        loader=PackageLoader("oligolearn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment

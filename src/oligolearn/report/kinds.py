"""What every kind of study makes of its summary: sentences, figures, a page, and a fragment of it for Jupyter."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from oligolearn.report import conclusion, sweep_conclusion, transfer_conclusion
from oligolearn.report.figures import Plate, plates
from oligolearn.report.page import drawn_by_section, fragment_prefix, rendered
from oligolearn.report.reading import Summary, checked
from oligolearn.report.study_page import study_words
from oligolearn.report.style import WIDE, styled
from oligolearn.report.svg import write_drawn
from oligolearn.report.sweep_figures import sweep_plates
from oligolearn.report.sweep_page import sweep_words
from oligolearn.report.transfer_figures import transfer_plates
from oligolearn.report.transfer_page import transfer_words
from oligolearn.writing import write_text


class _Kind(NamedTuple):
    """Parts of a report; each is a function of the summary, as `checked` returns it.

    Attributes
    ----------
    findings, cautions
        Sentences without markup, the most important first.
    plates
        Figures, in the order of the report.
    words
        What templates are filled in with.
    template
        Of the page.
    """

    findings: Callable[[Summary], list[str]]
    cautions: Callable[[Summary], list[str]]
    plates: Callable[[Summary], list[Plate]]
    words: Callable[[Summary], dict[str, Any]]
    template: str


_KINDS = {
    "study": _Kind(conclusion.findings, conclusion.cautions, plates, study_words, "report.html.j2"),
    "sweep": _Kind(
        sweep_conclusion.sweep_findings,
        sweep_conclusion.sweep_cautions,
        sweep_plates,
        sweep_words,
        "sweep.html.j2",
    ),
    "transfer": _Kind(
        transfer_conclusion.transfer_findings,
        transfer_conclusion.transfer_cautions,
        transfer_plates,
        transfer_words,
        "transfer.html.j2",
    ),
}
_FRAGMENT = ("curves", "difference")  # sections of which a fragment shows the first figures


def conclude(summary: Summary) -> list[str]:
    """Say what a study, a sweep or a transfer study found, in the order a reader needs it.

    A difference is claimed only where the Nadeau-Bengio corrected test, adjusted by Holm's method, is below 0.05: in a
    study over the numbers of labels, each pair of methods by itself; in a sweep or a study of transfer over all
    comparisons that answer the same question. None is claimed when everything is at chance.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``.

    Returns
    -------
    list of str
        Sentences without markup: findings first, then cautions, each beginning "Caution:".

    Raises
    ------
    ValueError
        When the summary has another schema or lacks a section.
    """
    kind, summary = _read(summary)
    unfinished = [f"{summary['unfinished']}."] if summary.get("unfinished") else []
    return [*unfinished, *kind.findings(summary), *(f"Caution: {caution}" for caution in kind.cautions(summary))]


def figures(summary: Summary, *, width: float = WIDE) -> dict[str, Figure]:
    """Draw every figure.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``.
    width : float
        Width in inches. Below 5, panels stand below each other.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        Those that the summary has data for. Of a study: ``accuracy``, ``other_metrics``, ``difference``,
        ``labels_needed``, ``recall``, ``confusion_<method>``, ``calibration``, ``embedding_<name>``, or of numbers
        ``spearman``, ``other_metrics``, ``difference``, ``predictions``, ``embedding_<name>``; of a transfer
        study: ``balanced_accuracy``, ``other_metrics``, ``embedding_<name>``; of a sweep: ``accuracy``, ``difference``
        and ``other_metrics`` of one setting, ``heat_map`` and ``lines`` of two. No figure is registered with pyplot.

    Raises
    ------
    ValueError
        When the summary has another schema or lacks a section.
    """
    kind, summary = _read(summary)
    with styled():
        return {plate.name: plate.draw(width) for plate in kind.plates(summary)}


def write_figures(summary: Summary, folder: str | os.PathLike[str]) -> list[Path]:
    """Write every figure as ``<name>.svg`` and ``<name>.pdf``, the same bytes for the same summary.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``.
    folder : path
        Made if it does not exist.

    Returns
    -------
    list of Path
        The files written.
    """
    return write_drawn(figures(summary), folder)


def write_report(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write the report as one self-contained HTML file.

    The file loads nothing and runs nothing, and is the same to the byte for the same summary.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``.
    path : path
        The file to write; its folder must exist.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        When the summary has another schema or lacks a section.
    """
    path = Path(path)
    kind, summary = _read(summary)
    write_text(path, _render(kind.template, kind, kind.plates(summary), summary))
    return path


def fragment(summary: Summary) -> str:
    """Conclusion, main figures and tables as HTML for Jupyter.

    Styles reach nothing outside the fragment, and identifiers begin with a digest of the summary, so that several
    studies can stand in one notebook.
    """
    kind, summary = _read(summary)
    shown = [plate for plate in kind.plates(summary) if plate.section in _FRAGMENT and plate.name != "other_metrics"]
    return _render("fragment.html.j2", kind, shown, summary, prefix=fragment_prefix(summary))


def _read(summary: Summary) -> tuple[_Kind, dict[str, Any]]:
    summary = checked(summary)
    name = summary.get("kind", "study")
    if name not in _KINDS:
        raise ValueError(f"expected the summary of a {' or a '.join(_KINDS)}, found that of a {name!r}")
    return _KINDS[name], summary


def _render(template: str, kind: _Kind, shown: list[Plate], summary: Summary, *, prefix: str = "") -> str:
    return rendered(
        template, kind.words(summary), summary=summary, figures=drawn_by_section(shown, prefix), prefix=prefix
    )

"""How accuracy grows with the number of labels, with and without pretraining."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import anndata as ad
import numpy as np
import pandas as pd

from oligolearn.data import Sequences, read_expression, read_sequences
from oligolearn.study.cohort import AnyCohort, Cohort
from oligolearn.study.execute import embed_cohort, execute
from oligolearn.study.planning import DesignSettings, Study, plan_study
from oligolearn.study.progress import progress_bar
from oligolearn.study.store import Store
from oligolearn.study.work import FOR_EXPRESSION, FOR_SEQUENCES
from oligolearn.workers import Workers

if TYPE_CHECKING:
    from oligolearn.study.sequence_planning import SequenceSettings, SequenceStudy


@dataclass(frozen=True)
class LabelEfficiency:
    """A finished study; in Jupyter it shows its conclusion, figures and tables.

    Attributes
    ----------
    results
        A row for each run that succeeded.
    summary
        The numbers behind the report: curves, comparisons, labels saved.
    folder
        Where `results.csv`, `summary.json`, `figures/` and `report.html` lie.
    """

    results: pd.DataFrame
    summary: dict[str, Any]
    folder: Path

    def _repr_html_(self) -> str:
        from oligolearn.report import fragment

        return fragment(self.summary)


def label_efficiency(
    data: str | os.PathLike[str] | ad.AnnData,
    label: str,
    *,
    out: str | os.PathLike[str],
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    command: str = "",
    **settings: Unpack[DesignSettings],
) -> LabelEfficiency:
    """Compare methods at growing numbers of labels on one cohort.

    Each repeat splits the labelled samples 70/15/15 into training, validation and test, shows every method the labels
    of the same nested subsets of the training samples, and tests it on the same test samples. Pretraining sees all
    training samples, and unlabelled ones, without labels. Validation samples are set aside for choosing settings; a
    study does not touch them. Every finished run is kept at once: the same call goes on where an interrupted one
    stopped.

    Parameters
    ----------
    data
        File, or samples as `read_expression` gives them.
    label
        Column of `obs` with the classes; empty where a sample is unlabelled.
    out
        Folder for the study: new, empty, or that of the same study.
    workers
        Processes; None for one per processor. They change the time it takes and nothing else.
    scheduler
        Address of a Dask scheduler whose workers do the work; they must see `out` under the same path.
    progress
        Show a bar with the time left, in a terminal or in Jupyter.
    command
        What reproduces the study, for the report.
    **settings
        As in `Design`; `points` instead of `fractions` spreads that many over a logarithmic scale. `pretrain_on`,
        files or samples of other cohorts: pretraining sees all of theirs beside the training samples, and nothing else
        does; `standardize` and `min_overlap` are those of `oligolearn.data.borrow_rows`, `gene_map` (or its file) and
        `probes` those of `oligolearn.data.Translation`.

    Returns
    -------
    LabelEfficiency

    Raises
    ------
    ValueError
        If the data or the settings cannot be used, or `out` holds another study; the message says how to mend it.

    Examples
    --------
    >>> from oligolearn.study import label_efficiency
    >>> study = label_efficiency("cohort.h5ad", "subtype", out="study", repeats=5)  # doctest: +SKIP
    >>> study.results.groupby(["n_labels", "method"]).accuracy.mean()  # doctest: +SKIP
    """
    hands = Workers(workers, scheduler)
    hands.start(*FOR_EXPRESSION)
    columns = [name for name in (label, settings.get("group")) if name]
    adata = data if isinstance(data, ad.AnnData) else read_expression(os.fspath(data), label=columns)
    study = plan_study(adata, label, settings, command=command, workers=hands)
    store = Store(out)
    store.open(study.asked, study.about)
    _carry_out(study, store, lambda: _cohort(study, store), hands, progress=progress)
    return rebuild(out)


def sequence_efficiency(
    data: str | os.PathLike[str] | Sequences,
    label: str,
    *,
    out: str | os.PathLike[str],
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    command: str = "",
    **settings: "Unpack[SequenceSettings]",
) -> LabelEfficiency:
    """Compare methods at growing numbers of labels on one set of sequences, as `label_efficiency` does on expression.

    Copies, the sequences of one group and those alike to `identity` are on one side of every split. Numbers are split
    and shown stratified by fifths, and methods compared by Spearman's correlation on test sequences.

    Parameters
    ----------
    data
        File, or sequences as `oligolearn.data.read_sequences` gives them.
    label
        Column with the classes or numbers; empty where a sequence is unlabelled. A label of more than 20 different
        numbers is learned by regression.
    out, workers, scheduler, progress, command
        As in `label_efficiency`.
    **settings
        As in `SequenceDesign`; `points` instead of `fractions` spreads that many over a logarithmic scale. `file` names
        the file that sequences in memory are from.

    Returns
    -------
    LabelEfficiency

    Raises
    ------
    ValueError
        As `label_efficiency` does.

    Examples
    --------
    >>> from oligolearn.study import sequence_efficiency
    >>> study = sequence_efficiency("splice.tsv.gz", "junction", out="study", repeats=5)  # doctest: +SKIP
    >>> study.results.groupby(["n_labels", "method"]).accuracy.mean()  # doctest: +SKIP
    """
    hands = Workers(workers, scheduler)
    hands.start(*FOR_SEQUENCES)
    from oligolearn.study.sequence_cohort import SequenceCohort  # these bring torch
    from oligolearn.study.sequence_planning import plan_sequence_study

    if not isinstance(data, Sequences):
        settings["file"] = Path(data).name
    sequences = data if isinstance(data, Sequences) else read_sequences(os.fspath(data))
    study = plan_sequence_study(sequences, label, settings, command=command)
    store = Store(out)
    store.open(study.asked, study.about)

    def lay() -> AnyCohort:
        return SequenceCohort.laid(study, store)

    _carry_out(study, store, lay, hands, progress=progress)
    return rebuild(out)


def rebuild(folder: str | os.PathLike[str], *, target: float | None = None) -> LabelEfficiency:
    """Make tables, figures and report anew from the runs that a study's folder holds.

    Parameters
    ----------
    folder
        Of the study.
    target
        Accuracy for which to say how many labels each method needs; None: the one that halves the error of the best.

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.
    ValueError
        If no run of it succeeded, or the target is no accuracy.
    """
    from oligolearn.study.outputs import write_outputs  # trainings must not wait for what comes after them
    from oligolearn.study.summary import summarize

    store = Store(folder)
    summary = summarize(store, target)
    table = store.results()
    write_outputs(store.folder, table, summary)
    return LabelEfficiency(table, summary, store.folder)


def _carry_out(
    study: "Study | SequenceStudy", store: Store, lay: Callable[[], AnyCohort], workers: Workers, *, progress: bool
) -> None:
    """Do the runs that are not done; `lay` lays the data where workers find them. The work folder goes at the end."""
    wants_maps = not store.embeddings()
    if not wants_maps and store.finished() >= set(study.runs):
        return
    cohort = lay()
    with progress_bar(shown=progress) as tell:
        execute(study.design, cohort, study.runs, store, workers=workers, on_progress=tell)
    if wants_maps:
        maps = embed_cohort(study.design, cohort, store, workers=workers)
        store.keep_embeddings([_labelled(one, study) for one in maps])
    store.clear_work()


def _cohort(study: Study, store: Store) -> Cohort:
    """Lay the data where workers find them: one's own rows, then those of other cohorts."""
    codes, genes, borrowed = study.labels.codes, tuple(study.genes), study.borrowed
    if borrowed is None:
        return Cohort(store.keep_matrix(study.X), codes, study.groups, genes)
    each = borrowed.standardize == "each"
    matrix = store.keep_matrix(np.concatenate([study.X, borrowed.ready() if each else borrowed.X]))
    return Cohort(matrix, codes, study.groups, genes, len(borrowed.X), each)


def _labelled(one: dict[str, Any], study: "Study | SequenceStudy") -> dict[str, Any]:
    """Add to a map of samples what the report says of it."""
    rows = np.array(one.pop("rows"))
    codes = study.labels.codes[rows]
    measured = "As measured" if isinstance(study, Study) else "By their k-mers"
    title = (
        measured if one["name"] == "input" else f"As the encoder of {study.design.known[one['name']].title} sees them"
    )
    return {
        **one,
        "title": title,
        "note": "repeat 1",
        "sample": [study.samples[row] for row in rows],
        "label": [study.labels.classes[code] if code >= 0 else None for code in codes],
    }

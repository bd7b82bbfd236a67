"""Whether adaptation helps to predict another cohort, and how many of its labels would do as much."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import anndata as ad
import numpy as np
import pandas as pd

from oligolearn.data import read_expression
from oligolearn.study.cohort import Cohort
from oligolearn.study.outputs import write_outputs
from oligolearn.study.progress import progress_bar
from oligolearn.study.store import Store
from oligolearn.study.transfer_methods import TRANSFER_METHODS
from oligolearn.study.transfer_planning import TransferPlan, TransferSettings, plan_transfer
from oligolearn.study.transfer_summary import summarize_transfer, transfer_table
from oligolearn.study.transfer_training import MEASURED, Domains, map_domains, train_transfer
from oligolearn.workers import Workers

FILE, WHAT = "transfer.json", "transfer study"
Samples: TypeAlias = str | os.PathLike[str] | ad.AnnData


@dataclass(frozen=True)
class Transfer:
    """A finished transfer study; in Jupyter it shows its conclusion, figures and tables.

    Attributes
    ----------
    results
        A row for each run that succeeded.
    summary
        The numbers behind the report: curves, comparisons with the bounds, shift.
    folder
        Where `results.csv`, `summary.json`, `figures/` and `report.html` lie.
    """

    results: pd.DataFrame
    summary: dict[str, Any]
    folder: Path

    def _repr_html_(self) -> str:
        from oligolearn.report import fragment

        return fragment(self.summary)


def transfer(  # noqa: PLR0913  (what to do, who does it, what to say of it)
    source: Samples | Sequence[Samples],
    target: Samples,
    label: str,
    *,
    out: str | os.PathLike[str],
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    command: str = "",
    **settings: Unpack[TransferSettings],
) -> Transfer:
    """Compare adaptations from labelled cohorts to another one, with none and with a few of its labels.

    Each repeat splits the labelled samples of the target 70/30, classes in proportion. Methods learn from all samples
    of the sources, from the 70 % and from unlabelled samples of the target; of the 70 % each is shown as many labels of
    each class as the budget says, smaller sets within larger ones and the same for all methods. The 30 % are tested and
    seen by nobody. Two bounds are always there: `source-only` knows nothing of the target, and `target-only` nothing of
    the sources; with all labels of the 70 % it says what adaptation aims at. Every finished run is kept at once: the
    same call goes on where an interrupted one stopped.

    Parameters
    ----------
    source
        File or samples with labels, as `read_expression` gives them; or several.
    target
        File or samples of the cohort to predict. Its labels are needed to test with.
    label
        Column of `obs` with the classes, in all of them; empty where a sample is unlabelled.
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
        `methods` (names that `DomainAdaptedClassifier` knows), `budgets` (labels of each class, 0, 1, 2, 5, 10),
        `repeats` (10), `group` (column of the target whose rows stay on one side), and the others of
        `TransferDesign`; `gene_map` (or its file) and `probes` are those of `oligolearn.data.Translation`, but that
        ``"auto"`` is the mean of all probes of a gene.

    Returns
    -------
    Transfer

    Raises
    ------
    ValueError
        If the data or the settings cannot be used, or `out` holds another study; the message says how to mend it.

    Examples
    --------
    >>> from oligolearn.study import transfer
    >>> study = transfer("ours.h5ad", "theirs.h5ad", "er", out="transfer")  # doctest: +SKIP
    >>> study.results.groupby(["method", "n_labels"]).balanced_accuracy.mean()  # doctest: +SKIP
    """
    hands = Workers(workers, scheduler)
    hands.start("oligolearn.study.transfer_training")
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    cohorts = [_read(one, label) for one in (*several, target)]
    plan = plan_transfer(cohorts[:-1], cohorts[-1], label, settings, command=command)
    store = Store(out, what=WHAT, file=FILE)
    store.open(plan.asked, plan.about)
    _carry_out(plan, store, hands if scheduler or plan.design.device == "cpu" else Workers(1), progress=progress)
    return rebuild_transfer(out)


def rebuild_transfer(folder: str | os.PathLike[str]) -> Transfer:
    """Make tables, figures and report anew from the runs that the folder of a transfer study holds.

    Raises
    ------
    FileNotFoundError
        If the folder holds no transfer study.
    ValueError
        If no run of it succeeded.
    """
    store = Store(folder, what=WHAT, file=FILE)
    summary, table = summarize_transfer(store), transfer_table(store)
    write_outputs(store.folder, table, summary)
    return Transfer(table, summary, store.folder)


def is_transfer(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a transfer study."""
    return (Path(folder) / FILE).is_file()


def _read(data: Samples, label: str) -> ad.AnnData:
    return data if isinstance(data, ad.AnnData) else read_expression(os.fspath(data), label=label)


def _carry_out(plan: TransferPlan, store: Store, workers: Workers, *, progress: bool) -> None:
    """Do the runs that are not done; the work folder goes when all are."""
    wants_maps = not store.embeddings()
    if wants_maps or not store.finished() >= {run for run, _ in plan.runs}:
        data = Domains(Cohort(store.keep_matrix(plan.X), plan.y, plan.groups), plan.domains)
        with progress_bar(shown=progress) as tell:
            train_transfer(plan.design, data, plan.runs, store, workers=workers, on_progress=tell)
        if wants_maps:
            maps = map_domains(plan.design, data, workers=workers)
            store.keep_embeddings([_labelled(one, plan) for one in maps])
    store.clear_work()


def _labelled(one: dict[str, Any], plan: TransferPlan) -> dict[str, Any]:
    """Add to a map of samples what the report says of it."""
    rows, name = np.array(one.pop("rows")), one["name"]
    return {
        **one,
        "title": "Before: as measured" if name == MEASURED else f"After: {TRANSFER_METHODS[name].title}",
        "note": "repeat 1, no label of the target shown",
        "label": [plan.classes[code] if code >= 0 else None for code in plan.y[rows]],
        "domain": [plan.domain_names[number] for number in plan.domains[rows]],
    }

"""How accuracy depends on one or two settings, judged on validation samples."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack, cast

import anndata as ad
import numpy as np
import pandas as pd

from oligolearn.data import label_counts, read_expression
from oligolearn.study.cohort import Cohort
from oligolearn.study.design import Draw, Run, redraw_repeat
from oligolearn.study.outputs import write_outputs
from oligolearn.study.planning import DesignSettings, SharedSettings, Study, plan_study
from oligolearn.study.progress import progress_bar
from oligolearn.study.search_space import Value
from oligolearn.study.store import Store
from oligolearn.study.sweep_choices import Choice, Sizes, Vary, make_choices, read_vary
from oligolearn.study.sweep_summary import results_table, summarize_sweep, titled
from oligolearn.study.sweep_training import plan_jobs, train_all
from oligolearn.study.training_facts import replicas_at_once
from oligolearn.workers import Workers

FILE = "sweep.json"
DEFAULT_FRACTIONS = (0.1,)


class SweepSettings(SharedSettings, total=False):
    """Settings of a sweep, by name; those that are not here mean what they do in `Design`."""

    method: str
    fractions: Sequence[float]


@dataclass(frozen=True)
class Sweep:
    """A finished sweep; in Jupyter it shows its conclusion, figures and tables.

    Attributes
    ----------
    results
        A row for each run that succeeded, with a column for each setting that was varied.
    summary
        The numbers behind the report: curves and comparisons with the default settings.
    folder
        Where `results.csv`, `summary.json`, `figures/` and `report.html` lie.
    """

    results: pd.DataFrame
    summary: dict[str, Any]
    folder: Path

    def _repr_html_(self) -> str:
        from oligolearn.report import fragment

        return fragment(self.summary)


def sweep(  # noqa: PLR0913  (what to do, who does it, what to say of it)
    data: str | os.PathLike[str] | ad.AnnData,
    label: str,
    *,
    out: str | os.PathLike[str],
    vary: Vary,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    command: str = "",
    **settings: Unpack[SweepSettings],
) -> Sweep:
    """Train a method with every value of a setting, or every pair of values of two, and compare with the default.

    The labelled samples are split 70/15/15 into training, validation and test; each repeat draws training and
    validation samples anew, and scores every choice on its validation samples. **Test samples are not touched**: they
    are those on which `tune`, or `label_efficiency` with ``split="fixed"``, tests with the same seed. Repeats are
    trained together as replicas, and so are choices that differ in the view alone; choices that differ in how the
    classifier is trained share one pretraining. Every finished run is kept at once: the same call goes on where an
    interrupted one stopped.

    Parameters
    ----------
    data
        File, or samples as `read_expression` gives them.
    label
        Column of `obs` with the classes; empty where a sample is unlabelled.
    out
        Folder for the sweep: new, empty, or that of the same sweep.
    vary
        One or two settings and their values: ``{"n_prototypes": [4, 8, 16]}``, or ``["prototypes=4,8,16"]`` as on the
        command line. Names are those of `tune`, and `method`.
    workers
        Processes; None for one per processor. They change the time it takes and nothing else.
    scheduler
        Address of a Dask scheduler whose workers do the work; they must see `out` under the same path.
    progress
        Show a bar with the time left, in a terminal or in Jupyter.
    command
        What reproduces the sweep, for the report.
    **settings
        `method` (default ``"swav"``) and `fractions` (0.1) of the training labels to show; `repeats` (5); the others as
        in `Design`.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        If the data, the settings or the values cannot be used, or `out` holds another sweep; the message says how to
        mend it.

    Examples
    --------
    >>> from oligolearn.study import sweep
    >>> swept = sweep("cohort.h5ad", "subtype", out="sweep", vary={"n_prototypes": [4, 16, 64]})  # doctest: +SKIP
    >>> swept.results.groupby("n_prototypes").accuracy.mean()  # doctest: +SKIP
    """
    hands = Workers(workers, scheduler)
    hands.start("oligolearn.study.sweep_training")
    given = {"pretraining": settings.get("pretraining", {}), "training": settings.get("training", {})}
    varied = read_vary(vary, settings.get("method", "swav"), given=given)
    columns = [name for name in (label, settings.get("group")) if name]
    adata = data if isinstance(data, ad.AnnData) else read_expression(os.fspath(data), label=columns)
    plan = _plan(_plan_study(adata, label, settings, command), varied)
    store = Store(out, what="sweep", file=FILE)
    store.open(plan.asked, plan.about)
    _carry_out(plan, store, hands, progress=progress)
    return rebuild_sweep(out)


def rebuild_sweep(folder: str | os.PathLike[str]) -> Sweep:
    """Make tables, figures and report anew from the runs that a sweep's folder holds.

    Raises
    ------
    FileNotFoundError
        If the folder holds no sweep.
    ValueError
        If no run of it succeeded.
    """
    store = Store(folder, what="sweep", file=FILE)
    summary, table = summarize_sweep(store), results_table(store)
    write_outputs(store.folder, table, summary)
    return Sweep(table, summary, store.folder)


def is_sweep(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a sweep."""
    return (Path(folder) / FILE).is_file()


class _Plan(NamedTuple):
    study: Study
    choices: list[Choice]
    runs: list[Run]
    asked: dict[str, Any]
    about: dict[str, Any]


def _plan_study(adata: ad.AnnData, label: str, settings: SweepSettings, command: str) -> Study:
    chosen = {
        "repeats": 5,
        **{name: value for name, value in settings.items() if name not in ("method", "fractions")},
        "methods": (settings.get("method", "swav"),),
        "fractions": tuple(sorted(settings.get("fractions", DEFAULT_FRACTIONS))),
        "split": "fixed",  # its test samples are those of every repeat
    }
    return plan_study(adata, label, cast(DesignSettings, chosen), command=command)


def _plan(study: Study, varied: Mapping[str, Sequence[Value]]) -> _Plan:
    design, y = study.design, study.labels.codes
    draws = [redraw_repeat(design, y, study.groups, repeat) for repeat in range(design.repeats)]
    n_classes, n_genes = len(study.labels.classes), min(study.X.shape[1], design.top_genes or study.X.shape[1])
    choices = make_choices(design, varied, Sizes(n_classes, len(draws[0].split.pretrain), n_genes))
    counts = label_counts(design.fractions, min(len(draw.split.train) for draw in draws), n_classes)
    runs = [
        Run(repeat, fraction, n_labels, choice.name)
        for choice in choices
        for repeat in range(design.repeats)
        for fraction, n_labels in counts.items()
    ]
    names = [choice.name for choice in choices]
    n_networks = sum(len(job.starts) for job in plan_jobs(choices, runs, 1))
    asked = {**study.asked, "method": design.methods[0], "methods": names}
    about = {
        **study.about,
        **describe_validation(draws, y, n_classes),
        "n_runs": len(runs),
        "title": f"{titled(varied)} and accuracy of {design.label} in {study.about['data']['file']}",
        "varied": {name: list(values) for name, values in varied.items()},
        "choices": [
            {"name": one.name, "method": one.method, "values": one.values, "default": one.default} for one in choices
        ],
        "replicas": replicas_at_once(replace(design, repeats=n_networks), n_genes),
    }
    return _Plan(study, choices, runs, asked, about)


def describe_validation(draws: Sequence[Draw], y: Any, n_classes: int) -> dict[str, Any]:
    """Mean sizes of the parts, and of the classes among validation samples."""
    parts = ("train", "validation", "test", "pretrain")
    sizes = {f"n_{part}": round(float(np.mean([len(getattr(draw.split, part)) for draw in draws]))) for part in parts}
    validation = [np.bincount(y[draw.split.validation], minlength=n_classes) for draw in draws]
    return {"sizes": sizes, "validation_class_counts": np.maximum(1, np.mean(validation, axis=0)).tolist()}


def _carry_out(plan: _Plan, store: Store, workers: Workers, *, progress: bool) -> None:
    """Do the runs that are not done; the work folder goes when all are."""
    study = plan.study
    if store.finished() >= set(plan.runs):
        store.clear_work()
        return
    cohort = Cohort(store.keep_matrix(study.X), study.labels.codes, study.groups, tuple(study.genes))
    on_one_gpu = workers.scheduler is None and study.design.device != "cpu"
    hands = Workers(1) if on_one_gpu else workers
    jobs = plan_jobs(plan.choices, plan.runs, store.replicas())
    with progress_bar(shown=progress) as tell:
        train_all(study.design, cohort, jobs, store, workers=hands, on_progress=tell)
    store.clear_work()

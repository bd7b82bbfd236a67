"""Search for settings on validation samples, and one test at the end."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Unpack, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import read_expression
from oligolearn.saving import write_json
from oligolearn.study.cohort import Cohort
from oligolearn.study.execute import OnProgress
from oligolearn.study.methods import METHODS
from oligolearn.study.planning import DesignSettings, SharedSettings, Study, plan_study
from oligolearn.study.progress import progress_bar
from oligolearn.study.replica_families import shared_names
from oligolearn.study.search_space import (
    Space,
    Value,
    command_options,
    estimator_settings,
    search_space,
    shown_value,
)
from oligolearn.study.store import Store
from oligolearn.study.trial_training import (
    Bench,
    Outcome,
    balanced_accuracies,
    default_settings,
    difference_interval,
)
from oligolearn.study.trials import Trial, Trials, check_storage, open_trials, sqlite_url, storage_name
from oligolearn.workers import Workers
from oligolearn.writing import write_text

AT_ONCE = 8
METRIC = "balanced accuracy"
BEST = "best.json"  # file of the best settings
_DEFAULT, _TEST = "default", "test"
Settings = dict[str, dict[str, Any]]


class TuningSettings(SharedSettings, total=False):
    """Settings of a tuning, by name; those that are not here mean what they do in `Design`."""

    method: str
    trials: int
    at_once: int
    test: bool
    search: Sequence[str]
    fraction: float


@dataclass(frozen=True)
class Tuning:
    """A finished tuning.

    Attributes
    ----------
    trials
        A row for each trial: number, value, state, seconds, and a column for each setting.
    best
        What `best.json` holds: the best settings as `label_efficiency` takes them, and the scores.
    folder
        Where `trials.csv` and `best.json` lie.
    """

    trials: pd.DataFrame
    best: dict[str, Any]
    folder: Path


class AnyBench(Protocol):
    """What trials share, whether of expression or of sequences."""

    @property
    def design(self) -> Any:
        """One method at one fraction of the labels, on one split: `Design` or `SequenceDesign`."""

    @property
    def cohort(self) -> Any:
        """The data: `Cohort` or `SequenceCohort`."""

    @property
    def method(self) -> str:
        """Name of the method."""

    def rows(self, part: Literal["validation", "test"]) -> NDArray[np.intp]:
        """Rows of one part of the split, which all repeats share."""

    def try_all(
        self, choices: Sequence[Mapping[str, Any]], part: Literal["validation", "test"], *, workers: Workers
    ) -> Iterator[tuple[int, Outcome]]:
        """Train every choice of settings and predict; yields its place and its outcome as each is finished."""


class Plan(NamedTuple):
    """A tuning that is planned.

    Attributes
    ----------
    bench
        What trials share.
    space
        What is searched.
    default
        Settings of the estimators without a search.
    at_once, n_trials
        Trials that are proposed together, and all.
    shared
        Names of settings that trials of a family share.
    settings
        From values of a trial to settings of the estimators.
    shown
        From the name of a setting, and settings of the estimators, to a value that a user reads.
    told
        What `best.json` says of the best settings: themselves, and how to train with them.
    """

    bench: AnyBench
    space: Space
    default: Settings
    at_once: int
    n_trials: int
    shared: Collection[str]
    settings: Callable[[Mapping[str, Value]], Settings]
    shown: Callable[[str, Settings], Value]
    told: Callable[[Settings], dict[str, Any]]

    @property
    def total(self) -> int:
        """Choices of settings to train, the default ones included."""
        return self.n_trials + 1


def tune(
    data: str | os.PathLike[str] | ad.AnnData,
    label: str,
    *,
    out: str | os.PathLike[str],
    storage: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    **settings: Unpack[TuningSettings],
) -> Tuning:
    """Search the settings of a method on the validation samples of one split, and test the best once.

    The labelled samples are split 70/15/15 as in `label_efficiency`, once. Each trial is trained on the training
    samples in every repeat, which differ in their seeds, and scored by its mean balanced accuracy on the validation
    samples. When all trials are done, the best settings and the default ones are tested on the test samples, for the
    only time. Every trial is kept at once: the same call goes on where an interrupted one stopped, and a call with
    more trials continues it (the test, once made, is not repeated).

    Parameters
    ----------
    data
        File, or samples as `read_expression` gives them.
    label
        Column of `obs` with the classes; empty where a sample is unlabelled.
    out
        Folder for the tuning: new, empty, or that of the same tuning.
    storage
        Database URL, such as ``postgresql+psycopg://user:password@host/database``; None for SQLite in `out`.
    workers
        Processes; None for one per processor. They change the time it takes and nothing else.
    progress
        Show a bar with the time left, in a terminal or in Jupyter.
    **settings
        `method` (default ``"swav"``); `trials` (50), their number; `at_once` (8) of them are proposed together, from
        what is known of the earlier ones; `test` (True), False to leave the test for a later call; `search`, ranges as
        in `search_space`; `fraction` (1.0) of the training labels to show; `repeats` (3); the others as in `Design`:
        what `pretraining` and `training` fix is not searched.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError
        If the data or the settings cannot be used, `out` holds another tuning, or Optuna or the driver of the
        database is not installed; the message says how to mend it.
    ConnectionError
        If the database cannot be reached.

    Examples
    --------
    >>> from oligolearn.study import tune
    >>> tuned = tune("cohort.h5ad", "subtype", out="tuned", trials=40)  # doctest: +SKIP
    >>> tuned.best["training"]  # doctest: +SKIP
    """
    check_storage(storage)
    Workers(workers).start("oligolearn.study.trial_training")
    search = settings.get("search", ())
    given = {"pretraining": settings.get("pretraining", {}), "training": settings.get("training", {})}
    space = search_space(settings.get("method", "swav"), search, given=given)
    columns = [name for name in (label, settings.get("group")) if name]
    adata = data if isinstance(data, ad.AnnData) else read_expression(os.fspath(data), label=columns)
    study = _plan_study(adata, label, settings)
    store = Store(out, what="tuning", file="tune.json")
    asked = _asked(study, space, settings)
    store.open({**asked, "storage": storage_name(storage)}, study.about)
    plan = _plan(study, store, space, settings)
    return search_and_test(
        plan, store, asked, storage=storage, test=settings.get("test", True), workers=workers, progress=progress
    )


def search_and_test(
    plan: Plan,
    store: Store,
    asked: Mapping[str, Any],
    *,
    storage: str | None,
    test: bool,
    workers: int | None,
    progress: bool,
) -> Tuning:
    """Carry out what is left of a tuning.

    Parameters
    ----------
    plan
        What is tried, and how.
    store
        The folder, which holds this tuning.
    asked
        What decides the trials.
    storage, test, workers, progress
        As in `tune`.
    """
    url = storage or sqlite_url(store.folder / "tune.db")
    hands = Workers(workers if plan.bench.design.device == "cpu" else 1)
    seed = plan.bench.design.seed
    with (
        open_trials(url, _name(asked), plan.space, seed=seed, at_once=plan.at_once, shared=plan.shared) as trials,
        progress_bar(shown=progress) as tell,
    ):
        _search(plan, trials, workers=hands, tell=tell)
        if test and trials.note(_TEST) is None:
            trials.keep_note(_TEST, _test(plan, trials, workers=hands))
        best = _conclude(plan, trials)
        table = _table(trials.finished(), plan.space)
    store.clear_work()
    write_text(store.folder / "trials.csv", table.to_csv(index=False, lineterminator="\n"))
    write_json(store.folder / BEST, best)
    return Tuning(table, best, store.folder)


def check_numbers(**numbers: int) -> None:
    """Refuse numbers of trials that are none."""
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")


def _plan_study(adata: ad.AnnData, label: str, settings: TuningSettings) -> Study:
    check_numbers(trials=settings.get("trials", 1), at_once=settings.get("at_once", 1))
    own = {"method", "trials", "at_once", "test", "search", "fraction"}
    chosen = {
        "repeats": 3,
        **{name: value for name, value in settings.items() if name not in own},
        "methods": (settings.get("method", "swav"),),
        "fractions": (settings.get("fraction", 1.0),),
        "split": "fixed",  # with new splits, what is tested on would have been trained and validated on
    }
    return plan_study(adata, label, cast(DesignSettings, chosen))


def _asked(study: Study, space: Space, settings: TuningSettings) -> dict[str, Any]:
    """What decides the trials; their number is not part of it, so that a tuning can be continued."""
    return {
        **study.asked,
        "search": {name: str(searched) for name, searched in space.items()},
        "at_once": settings.get("at_once", AT_ONCE),
    }


def _name(asked: Mapping[str, Any]) -> str:
    """Name of the tuning in a database that may hold many: another design or other data get another."""
    return f"oligolearn-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}"


def _plan(study: Study, store: Store, space: Space, settings: TuningSettings) -> Plan:
    cohort = Cohort(store.keep_matrix(study.X), study.labels.codes, study.groups, tuple(study.genes))
    bench = Bench(study.design, cohort, study.runs[0].n_labels)
    objective = METHODS[bench.method].objective
    given = {"pretraining": study.design.pretraining, "training": study.design.training}
    return Plan(
        bench,
        space,
        default=default_settings(study.design, cohort.n_classes, len(bench.rows("pretrain"))),
        at_once=settings.get("at_once", AT_ONCE),
        n_trials=settings.get("trials", 50),
        shared=shared_names(space, objective),
        settings=lambda values: estimator_settings(values, given, pretrains=objective is not None),
        shown=lambda name, chosen: shown_value(name, chosen, bench.method),
        told=lambda chosen: {
            **(chosen if objective else {"training": chosen["training"]}),
            **_commands(bench, chosen),
        },
    )


def _search(plan: Plan, trials: Trials, *, workers: Workers, tell: OnProgress | None) -> None:
    """Try group after group, the default settings beside the first."""
    y = plan.bench.cohort.y[plan.bench.rows("validation")]
    while group := trials.propose(plan.n_trials):
        finished = {trial.number for trial in trials.finished()}
        choices = [plan.settings(values) for values in group.values()]
        first, last = min(group), max(group)
        if first == 0:
            choices.append(plan.default)
        outcomes: dict[int, Outcome] = {}
        for i, outcome in plan.bench.try_all(choices, "validation", workers=workers):
            outcomes[i] = outcome
            if tell is not None:
                tell(first + (first > 0) + len(outcomes), plan.total, f"trials {first + 1} to {last + 1}")
        if first == 0 and trials.note(_DEFAULT) is None:
            trials.keep_note(_DEFAULT, _scored(outcomes[len(group)], y))
        for i, (number, values) in enumerate(group.items()):
            if number not in finished:
                trials.tell(Trial(number, values, **_scored(outcomes[i], y)))


def _scored(outcome: Outcome, y: Any) -> dict[str, Any]:
    scores = [] if outcome.predicted is None else balanced_accuracies(y, outcome.predicted)
    value = float(np.mean(scores)) if scores else None
    return {"value": value, "scores": scores, "seconds": round(outcome.seconds, 3), "error": outcome.error}


def _best(trials: Trials) -> Trial | None:
    """The first of the best trials; None where none is better than the default settings.

    Raises
    ------
    ValueError
        If all trainings diverged.
    """
    default = (trials.note(_DEFAULT) or {}).get("value")
    complete = [trial for trial in trials.finished() if trial.value is not None]
    if not complete and default is None:
        raise ValueError("every training diverged, that with the default settings too; search smaller learning rates")
    best = max(complete, key=lambda trial: (trial.value, -trial.number), default=None)
    return None if best is None or (default is not None and best.value is not None and best.value <= default) else best


def _test(plan: Plan, trials: Trials, *, workers: Workers) -> dict[str, Any]:
    """Scores on the test samples, of the default settings and of the best if they are others."""
    best = _best(trials)
    choices = [plan.default] if best is None else [plan.default, plan.settings(best.values)]
    outcomes = dict(plan.bench.try_all(choices, "test", workers=workers))
    rows = plan.bench.rows("test")
    y, groups = plan.bench.cohort.y[rows], plan.bench.cohort.groups
    scores = [_scored(outcomes[i], y)["scores"] for i in range(len(choices))]
    one, other = outcomes[len(choices) - 1].predicted, outcomes[0].predicted
    tested: dict[str, Any] = {
        "n_trials": len(trials.finished()),
        "n_samples": len(rows),
        "trial": None if best is None else best.number,
        "default": scores[0],
        "best": scores[-1],
    }
    if best is not None and one is not None and other is not None:
        units = None if groups is None else groups[rows]
        tested["interval"] = difference_interval(y, one, other, units, seed=plan.bench.design.seed)
    return tested


def _conclude(plan: Plan, trials: Trials) -> dict[str, Any]:
    """What `best.json` holds."""
    best, method = _best(trials), plan.bench.method
    default = trials.note(_DEFAULT) or {}
    settings = plan.default if best is None else plan.settings(best.values)
    told = plan.told(settings)
    commands = {name: told.pop(name) for name in ("commands", "python_only")}
    return {
        "method": method,
        "metric": f"{METRIC}, mean of {plan.bench.design.repeats} repeats",
        "trial": None if best is None else best.number,
        "validation": {"default": default.get("value"), "best": default.get("value") if best is None else best.value},
        "test": trials.note(_TEST),
        **told,
        "settings": {
            name: {"default": plan.shown(name, plan.default), "best": plan.shown(name, settings)} for name in plan.space
        },
        "importances": trials.importances(),
        **commands,
    }


def _commands(bench: Bench, settings: Settings) -> dict[str, Any]:
    """Commands that train with the best settings on all samples: verb and options, without the file."""
    design, method = bench.design, bench.method
    options, rest = command_options(settings, method)
    common = ["--seed", str(design.seed)]
    common += ["--normalize", design.normalize] if design.normalize != "auto" else []
    common += ["--max-missing", f"{design.max_missing:g}"] if design.max_missing != 0.3 else []
    common += ["--top-genes", str(design.top_genes)] if design.top_genes is not None else []
    lines = []
    if "pretrain" in options:
        words = ["pretrain", "--method", str(METHODS[method].objective), *options["pretrain"], *common]
        lines.append([*words, "--out", "pretrained"])
    start = ["--pretrained", "pretrained"] if "pretrain" in options else []
    columns = ["--label", design.label, *(["--group", design.group] if design.group else [])]
    columns += ["--min-class-size", str(design.min_class_size)] if design.min_class_size is not None else []
    train = ["train", *columns, *start, *options["train"], *common, "--out", "model"]
    return {"commands": [*lines, train], "python_only": rest}


def _table(trials: Sequence[Trial], space: Space) -> pd.DataFrame:
    rows = [
        {"number": trial.number, "value": trial.value, "state": trial.state, "seconds": trial.seconds, **trial.values}
        for trial in trials
    ]
    return pd.DataFrame(rows, columns=["number", "value", "state", "seconds", *space])

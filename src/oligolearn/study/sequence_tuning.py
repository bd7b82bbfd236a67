"""Search for settings of networks over sequences on validation sequences, and one test at the end."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Unpack, cast

import joblib
import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Sequences, read_sequences
from oligolearn.estimators import SequenceClassifier
from oligolearn.estimators.sequence_together import SequenceShare, fit_sequences_together
from oligolearn.study.design import training_seed
from oligolearn.study.search_space import Value
from oligolearn.study.sequence_cohort import SequenceCohort
from oligolearn.study.sequence_design import SequenceDesign
from oligolearn.study.sequence_planning import SequenceSettings, check_classes, plan_sequence_study
from oligolearn.study.sequence_settings import (
    ENCODER,
    check_buildable,
    sequence_settings_of,
    sequence_space,
    shown_sequence_value,
    usable_values,
    with_values,
)
from oligolearn.study.store import Store
from oligolearn.study.trial_training import Outcome
from oligolearn.study.trials import check_storage, storage_name
from oligolearn.study.tuning import AT_ONCE, BEST, Plan, Tuning, check_numbers, search_and_test
from oligolearn.training import DivergedError, threads
from oligolearn.workers import Workers

HeldOut = Literal["validation", "test"]
_SCRATCH = "scratch"


class SequenceTuningSettings(SequenceSettings, total=False):
    """Settings of a tuning of sequences, by name; the others are those of `SequenceDesign`."""

    trials: int
    at_once: int
    test: bool
    search: Sequence[str]
    fraction: float


class SequenceBench(NamedTuple):
    """Everything that trials share.

    Attributes
    ----------
    design
        The network at one fraction of the labels, on one split.
    cohort
        The data.
    n_labels
        Labels shown.
    """

    design: SequenceDesign
    cohort: SequenceCohort
    n_labels: int

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.design.methods[0]

    def rows(self, part: HeldOut) -> NDArray[np.intp]:
        """Rows of one part of the split, which all repeats share."""
        split = self.design.draw(self.cohort.y, self.cohort.groups, 0).split
        return split.validation if part == "validation" else split.test

    def try_all(
        self, choices: Sequence[Mapping[str, Any]], part: HeldOut, *, workers: Workers
    ) -> Iterator[tuple[int, Outcome]]:
        """Train every choice of settings in every repeat; a job is one choice, whatever the number of workers."""
        jobs = (joblib.delayed(_try)(self, i, settings, part) for i, settings in enumerate(choices))
        yield from workers.carry_out(jobs)


def _try(bench: SequenceBench, number: int, settings: Mapping[str, Any], part: HeldOut) -> tuple[int, Outcome]:
    """Train on nothing but the training sequences, and predict."""
    started = time.perf_counter()
    design, cohort = bench.design, bench.cohort
    with threads(design.threads):
        draws = [design.draw(cohort.y, cohort.groups, repeat) for repeat in range(design.repeats)]
        models, shares = [], []
        for draw in draws:
            shown = draw.order[: bench.n_labels]
            seed = training_seed(draw.seed, bench.n_labels)
            models.append(SequenceClassifier(random_state=seed, **{**design.hardware, **settings}))
            groups = None if cohort.groups is None else cohort.groups[shown]
            shares.append(SequenceShare(cohort.values(shown), cohort.y[shown], groups))
        fitted = fit_sequences_together(models, shares).models
        errors = [str(model) for model in fitted if isinstance(model, DivergedError)]
        predicted = None
        if not errors:
            held_out = cohort.values(bench.rows(part))
            predicted = np.array([model.predict_proba(held_out).argmax(axis=1) for model in fitted])
    return number, Outcome(predicted, time.perf_counter() - started, errors[0] if errors else None)


def tune_sequences(
    data: str | os.PathLike[str] | Sequences,
    label: str,
    *,
    out: str | os.PathLike[str],
    storage: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    **settings: Unpack[SequenceTuningSettings],
) -> Tuning:
    """Search the settings of a network on the validation sequences of one split, and test the best once.

    As `tune` does on expression: every trial is kept at once, and the same call goes on where an interrupted one
    stopped. By default the encoder is searched too, among those that are convolutions; a trial leaves out settings that
    its encoder does not have.

    Parameters
    ----------
    data, label
        As in `sequence_efficiency`.
    out, storage, workers, progress
        As in `tune`.
    **settings
        `trials`, `at_once`, `test`, `search` and `fraction` as in `tune`; the others as in `sequence_efficiency`, with
        3 `repeats`. An encoder that `encoder` names is not searched.

    Raises
    ------
    ValueError, ConnectionError
        As `tune` does.

    Examples
    --------
    >>> from oligolearn.study import tune_sequences
    >>> tuned = tune_sequences("splice.tsv.gz", "junction", out="tuned", trials=40)  # doctest: +SKIP
    >>> tuned.best["training"]  # doctest: +SKIP
    """
    check_storage(storage)
    check_numbers(trials=settings.get("trials", 1), at_once=settings.get("at_once", 1))
    Workers(workers).start("oligolearn.study.sequence_tuning")
    if not isinstance(data, Sequences):
        settings["file"] = Path(data).name
    sequences = data if isinstance(data, Sequences) else read_sequences(os.fspath(data))
    given = {**settings.get("encoder", {}), **settings.get("training", {})}
    space = sequence_space(settings.get("search", ()), given, aligned=len(np.unique(sequences.lengths)) == 1)
    own = {"trials", "at_once", "test", "search", "fraction"}
    chosen = {name: value for name, value in settings.items() if name not in own}
    fixed = {"methods": (_SCRATCH,), "fractions": (settings.get("fraction", 1.0),), "split": "fixed"}
    check_classes(sequences, label, "tune")
    study = plan_sequence_study(sequences, label, cast(SequenceSettings, {"repeats": 3, **chosen, **fixed}))
    default = {**study.design.encoder, **study.design.training}
    store = Store(out, what="tuning", file="tune.json")
    searched = {name: str(one) for name, one in space.items()}
    asked = {**study.asked, "search": searched, "at_once": settings.get("at_once", AT_ONCE)}
    store.open({**asked, "storage": storage_name(storage)}, study.about)
    cohort = SequenceCohort.laid(study, store)
    bench = SequenceBench(study.design, cohort, study.runs[0].n_labels)

    def settings_for(values: Mapping[str, Value]) -> dict[str, Any]:
        found = with_values(usable_values(values, default), default)
        check_buildable(found, sequences)
        return found

    plan = Plan(
        bench,
        space,
        default=default,
        at_once=settings.get("at_once", AT_ONCE),
        n_trials=settings.get("trials", 50),
        shared=(),  # on a CPU nothing is gained by trials that could be replicas of each other
        settings=settings_for,
        shown=_shown,
        told=lambda best: {"training": best, **_commands(study.design)},
    )
    return search_and_test(
        plan, store, asked, storage=storage, test=settings.get("test", True), workers=workers, progress=progress
    )


def _shown(name: str, settings: Mapping[str, Any]) -> Value:
    """The value of a setting; none of one that the encoder does not have."""
    has = name in sequence_settings_of(str(settings[ENCODER]))
    return shown_sequence_value(name, settings) if has else "none"


def _commands(design: SequenceDesign) -> dict[str, Any]:
    """Command that trains with the best settings on all sequences, without the file."""
    words = ["train", "--label", design.label, *(["--group", design.group] if design.group else [])]
    words += ["--min-class-size", str(design.min_class_size)] if design.min_class_size is not None else []
    words += ["--identity", f"{design.identity:g}"] if design.identity is not None else []
    words += ["--settings", BEST, "--seed", str(design.seed), "--out", "model"]
    return {"commands": [words], "python_only": {}}

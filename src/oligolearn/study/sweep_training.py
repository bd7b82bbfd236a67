"""Train every choice of a sweep in every repeat, and score it on validation samples; each run is kept at once."""

import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators import CollapseWarning, FineTunedClassifier, SelfSupervisedEncoder, Share, fit_together
from oligolearn.estimators.metrics import score_predictions
from oligolearn.study.cohort import Cohort, chosen_genes
from oligolearn.study.design import Design, Draw, Run, redraw_repeat, training_seed
from oligolearn.study.execute import PRETRAINING, OnProgress
from oligolearn.study.methods import METHODS
from oligolearn.study.replica_families import architecture
from oligolearn.study.store import Store
from oligolearn.study.sweep_choices import Choice
from oligolearn.training import DivergedError, threads
from oligolearn.workers import Workers


class Start(NamedTuple):
    """What one network of a repeat starts from: a pretraining, which several runs may share, or nothing.

    Attributes
    ----------
    method
        Name in `METHODS`.
    settings
        Of the pretraining; without one, of the training.
    repeat
        Counted from 0.
    """

    method: str
    settings: Mapping[str, Any]
    repeat: int


class Job(NamedTuple):
    """Trainings that one worker does: networks that start as replicas of each other, and all runs that follow.

    Attributes
    ----------
    starts
        Of the networks.
    runs
        For each of the starts, runs and their settings of the training.
    """

    starts: list[Start]
    runs: list[list[tuple[Run, Mapping[str, Any]]]]

    def all_runs(self) -> list[Run]:
        """Every run."""
        return [run for those in self.runs for run, _ in those]

    @property
    def work(self) -> int:
        """What it costs, in trainings of a classifier."""
        return len(self.all_runs()) + PRETRAINING * sum(bool(METHODS[start.method].objective) for start in self.starts)


def plan_jobs(choices: Sequence[Choice], runs: Sequence[Run], at_once: int) -> list[Job]:
    """Runs that are carried out together, up to `at_once` networks in a job; the same whatever is done already.

    Networks that differ in no more than replicas may, such as those of all repeats, are pretrained together; runs that
    differ in how the classifier is trained share one pretraining.
    """
    by_name = {choice.name: choice for choice in choices}
    alike: dict[str, dict[str, tuple[Start, list[tuple[Run, Mapping[str, Any]]]]]] = {}
    for run in runs:
        choice = by_name[run.method]
        start = _start(choice, run.repeat)
        followers = alike.setdefault(_architecture(start), {})
        followers.setdefault(_key(start.settings, start.repeat), (start, []))[1].append(
            (run, choice.settings["training"])
        )
    jobs = []
    for followers in alike.values():
        members = list(followers.values())
        size = -(-len(members) // -(-len(members) // at_once))
        parts = [members[i : i + size] for i in range(0, len(members), size)]
        jobs += [Job([start for start, _ in part], [those for _, those in part]) for part in parts]
    return jobs


def _start(choice: Choice, repeat: int) -> Start:
    part = "pretraining" if METHODS[choice.method].objective else "training"
    return Start(choice.method, choice.settings[part], repeat)


def _architecture(start: Start) -> str:
    """What replicas must have in common."""
    objective = METHODS[start.method].objective
    part = "pretraining" if objective else "training"
    return _key(start.method, architecture({part: start.settings}, objective))


def _key(*what: Any) -> str:
    return json.dumps(what, sort_keys=True, default=repr)


def train_all(
    design: Design,
    cohort: Cohort,
    jobs: Sequence[Job],
    store: Store,
    *,
    workers: Workers,
    on_progress: OnProgress | None = None,
) -> None:
    """Carry out the jobs of which `store` does not hold every run yet.

    Parameters
    ----------
    design, cohort, jobs
        What decides the results.
    store
        Receives every run when its job is finished.
    workers
        Who does it; decides nothing but the time.
    on_progress
        Called with ``(work done, all work, what was done)``; work is in arbitrary units.
    """
    finished = store.finished()
    waiting = {i: job for i, job in enumerate(jobs) if not finished.issuperset(job.all_runs())}
    total = done = sum(job.work for job in jobs)
    done -= sum(job.work for job in waiting.values())
    if on_progress is not None:
        on_progress(done, total, "")
    for i, outcomes in workers.carry_out(
        joblib.delayed(_carry_out)(design, cohort, i, job) for i, job in waiting.items()
    ):
        for run, outcome in outcomes:
            if run not in finished:  # a job is done as a whole, even where only some of it was missing
                store.add(run, outcome)
        done += waiting[i].work
        if on_progress is not None:
            last = outcomes[-1][0]
            on_progress(done, total, f"{last.method}, repeat {last.repeat + 1}")


class _Repeat(NamedTuple):
    """The rows and genes of a repeat."""

    draw: Draw
    genes: NDArray[np.intp] | None


def _carry_out(design: Design, cohort: Cohort, number: int, job: Job) -> tuple[int, list[tuple[Run, dict[str, Any]]]]:
    with threads(design.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # the diagnosis is kept with the run
        repeats = {repeat: _repeat(design, cohort, repeat) for repeat in sorted({one.repeat for one in job.starts})}
        started = time.perf_counter()
        encoders = _pretrain(design, cohort, job.starts, repeats)
        seconds = (time.perf_counter() - started) / len(job.starts)
        found: dict[Run, dict[str, Any]] = {}
        for together in _same_training(job, encoders):
            found |= _train(design, cohort, together, repeats)
    for encoder, those in zip(encoders, job.runs, strict=True):
        for run, _ in those:
            if isinstance(encoder, DivergedError):
                found[run] = {"error": f"pretraining: {encoder}"}
            elif "error" not in found[run]:
                found[run]["seconds"] = round(found[run]["seconds"] + (seconds if encoder else 0.0), 3)
                found[run]["diagnosis"] = encoder.diagnosis_ if encoder else []
    return number, [(run, found[run]) for run in job.all_runs()]


def _repeat(design: Design, cohort: Cohort, repeat: int) -> _Repeat:
    draw = redraw_repeat(design, cohort.y, cohort.groups, repeat)
    return _Repeat(draw, chosen_genes(cohort, draw.split.pretrain, design.top_genes))


def _pretrain(
    design: Design, cohort: Cohort, starts: Sequence[Start], repeats: Mapping[int, _Repeat]
) -> list[SelfSupervisedEncoder | DivergedError | None]:
    objective = METHODS[starts[0].method].objective
    if not objective:
        return [None] * len(starts)
    models = [
        SelfSupervisedEncoder(
            objective, random_state=repeats[start.repeat].draw.seed, **{**design.hardware, **start.settings}
        )
        for start in starts
    ]
    shares = [
        cohort.pretraining_share(repeats[one.repeat].draw.split.pretrain, repeats[one.repeat].genes) for one in starts
    ]
    fitted: list[Any] = fit_together(models, cohort.expression(), shares, genes=cohort.genes).models
    return fitted


class _Classifier(NamedTuple):
    run: Run
    settings: Mapping[str, Any]
    encoder: SelfSupervisedEncoder | None


def _same_training(job: Job, encoders: Sequence[Any]) -> Iterator[list[_Classifier]]:
    """Runs whose classifiers are trained alike, on encoders that did not diverge."""
    groups: dict[str, list[_Classifier]] = {}
    for encoder, those in zip(encoders, job.runs, strict=True):
        if not isinstance(encoder, DivergedError):
            for run, settings in those:
                groups.setdefault(_key(run.fraction, architecture({"training": settings}, None)), []).append(
                    _Classifier(run, settings, encoder)
                )
    yield from groups.values()


def _train(
    design: Design, cohort: Cohort, together: Sequence[_Classifier], repeats: Mapping[int, _Repeat]
) -> dict[Run, dict[str, Any]]:
    started = time.perf_counter()
    models, shares = [], []
    for run, settings, encoder in together:
        draw, genes = repeats[run.repeat]
        seed = training_seed(draw.seed, run.n_labels)
        models.append(FineTunedClassifier(encoder, random_state=seed, **{**design.hardware, **settings}))
        shares.append(Share(draw.split.pretrain, cohort.shown_labels(draw, run.n_labels), genes))
    fitted = fit_together(models, cohort.expression(), shares)
    found: dict[Run, dict[str, Any]] = {}
    for one, model, how in zip(together, fitted.models, fitted.how, strict=True):
        if isinstance(model, DivergedError):
            found[one.run] = {"error": str(model)}
            continue
        draw, genes = repeats[one.run.repeat]
        rows = draw.split.validation
        scores = score_predictions(cohort.y[rows], model.predict_proba(cohort.values(rows, genes)))
        found[one.run] = {**scores, "seed": training_seed(draw.seed, one.run.n_labels), "trained": how}
    seconds = (time.perf_counter() - started) / len(together)
    return {run: outcome if "error" in outcome else {**outcome, "seconds": seconds} for run, outcome in found.items()}

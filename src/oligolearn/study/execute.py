"""Carry out the runs of a study on worker processes; each finished run is kept at once."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib

from oligolearn.saving import Bundle, is_bundle, load_bundle, save_bundle
from oligolearn.study import work
from oligolearn.study.cohort import AnyCohort
from oligolearn.study.design import AnyDesign, Run, group_runs
from oligolearn.study.store import Store
from oligolearn.workers import Workers

if TYPE_CHECKING:
    pass

OnProgress = Callable[[float, float, str], None]
PRETRAINING = 20  # for the progress bar: a pretraining takes about as long as so many other runs


class Pretrained(NamedTuple):
    """The encoder of a repeat, pretrained with an objective; without weights where that diverged."""

    repeat: int
    objective: str
    bundle: Bundle


def execute(
    design: AnyDesign,
    cohort: AnyCohort,
    runs: Sequence[Run],
    store: Store,
    *,
    workers: Workers,
    on_progress: OnProgress | None = None,
) -> None:
    """Carry out the runs that `store` does not hold yet.

    A job is a group of runs that are trained together. Jobs do not depend on which runs are done already, so a study
    that was interrupted ends with the numbers of one that was not.

    Parameters
    ----------
    design, cohort
        What decides the results.
    runs
        All runs of the study.
    store
        Receives every run when it is finished; pretrained encoders go to its `work` folder.
    workers
        Who does it; decides nothing but the time.
    on_progress
        Called with ``(work done, all work, what was done)``; work is in arbitrary units.
    """
    finished = store.finished()
    at_once = store.replicas()
    known = design.known
    jobs = [group for group in group_runs(runs, at_once, known) if not finished.issuperset(group)]
    ready = [job for job in jobs if not known[job[0].method].objective]
    waiting = [job for job in jobs if known[job[0].method].objective]
    missing = _missing_encoders(design, store, waiting, at_once)
    progress = _Progress(on_progress, sum(map(len, jobs)) + PRETRAINING * sum(len(each) for each, _ in missing))
    plain = (joblib.delayed(work.carry_out)(design, cohort, job) for job in ready)
    pretrainings = (joblib.delayed(work.pretrain)(design, cohort, repeats, name) for repeats, name in missing)
    for done in workers.carry_out(chain(plain, pretrainings)):
        for one in done:
            if isinstance(one, Pretrained):
                save_bundle(_encoder_path(store, one.repeat, one.objective), one.bundle)
                progress.add(PRETRAINING, f"pretraining {one.objective}, repeat {one.repeat + 1}")
            else:
                _keep(one, store, finished, progress)
    tuned = (
        joblib.delayed(work.carry_out)(
            design, cohort, job, [_encoder_path(store, run.repeat, _objective(design, run.method)) for run in job]
        )
        for job in waiting
    )
    for done in workers.carry_out(tuned):
        for one in done:
            _keep(one, store, finished, progress)


def _missing_encoders(
    design: AnyDesign, store: Store, waiting: Sequence[Sequence[Run]], at_once: int
) -> list[tuple[list[int], str]]:
    """Groups of repeats, and the objective, whose encoders are still to be pretrained: methods may share them."""
    wanted = {(run.repeat // at_once, _objective(design, run.method)) for job in waiting for run in job}
    groups = [
        (list(range(part * at_once, min(design.repeats, (part + 1) * at_once))), name) for part, name in sorted(wanted)
    ]
    return [
        (repeats, name)
        for repeats, name in groups
        if not all(is_bundle(_encoder_path(store, repeat, name)) for repeat in repeats)
    ]


def _keep(done: tuple[Run, dict[str, Any]], store: Store, finished: set[Run], progress: "_Progress") -> None:
    run, outcome = done
    if run not in finished:  # a group is done as a whole, even where only some of it was missing
        store.add(run, outcome)
    progress.add(1, _named(run))


def embed_cohort(design: AnyDesign, cohort: AnyCohort, store: Store, *, workers: Workers) -> list[dict[str, Any]]:
    """Maps of the samples of the first repeat: as measured, and as each pretrained encoder sees them."""
    objectives = dict.fromkeys(_objective(design, name) for name in design.methods if design.known[name].objective)
    encoders = [None, *(name for name in objectives if _has_encoder(_encoder_path(store, 0, name)))]
    jobs = (
        joblib.delayed(work.embed)(design, cohort, name, name and _encoder_path(store, 0, name)) for name in encoders
    )
    found = {one["name"]: one for one in workers.carry_out(jobs)}
    return [found[name or "input"] for name in encoders if (name or "input") in found]


def _has_encoder(path: Path) -> bool:
    """Whether a pretraining was finished, and not by diverging."""
    return is_bundle(path) and "error" not in load_bundle(path).description


class _Progress:
    def __init__(self, tell: OnProgress | None, total: float) -> None:
        self.tell = tell
        self.total = total
        self.done = 0.0

    def add(self, work: float, what: str) -> None:
        self.done += work
        if self.tell is not None:
            self.tell(self.done, self.total, what)


def _named(run: Run) -> str:
    return f"{run.method}, {run.n_labels} labels, repeat {run.repeat + 1}"


def _objective(design: AnyDesign, method: str) -> str:
    """What the encoder of a method was pretrained with."""
    return design.known[method].objective or method


def _encoder_path(store: Store, repeat: int, objective: str) -> Path:
    return store.work / f"{objective}-{repeat}"

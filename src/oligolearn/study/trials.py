"""Trials of a tuning in an Optuna storage: proposed in groups, told in order, taken up again after a stop."""

import importlib.util
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oligolearn.study.design import training_seed
from oligolearn.study.replica_families import FAMILY
from oligolearn.study.search_space import Choices, Space, Value

if TYPE_CHECKING:
    import optuna

N_RANDOM = 10  # trials before the sampler learns from them; Optuna's own choice
FEWEST_FOR_IMPORTANCE = 10
_TREES = 64
_PLACE, _ERROR, _SECONDS, _SCORES = "place", "error", "seconds", "scores"


class Trial(NamedTuple):
    """A finished trial.

    Attributes
    ----------
    number
        Counted from 0, in the order of proposal.
    values
        What was tried, by name.
    value
        Validation score, None where the training diverged.
    scores
        Of each repeat.
    seconds
        Its part of the time for training.
    error
        Why there is no value.
    """

    number: int
    values: dict[str, Value]
    value: float | None
    scores: list[float]
    seconds: float
    error: str | None

    @property
    def state(self) -> str:
        """``"complete"`` or ``"diverged"``."""
        return "complete" if self.error is None else "diverged"


class Trials:
    """The trials of one tuning.

    Trials are proposed in families that share what replicas must share, such as layers and batch size, and differ in
    rates, dropout and strengths: those of a family are trained as one program. A trial is proposed from the trials of
    earlier groups and those before it in its own group, with a seed of its own. So it is the same whether or not the
    machine was stopped in between, and whatever else the storage holds.

    Parameters
    ----------
    study
        Optuna's, made by `open_trials`.
    space
        What is searched.
    seed
        Of the proposals.
    at_once
        Size of a group.
    shared
        Names of settings that all trials of a family share.
    """

    def __init__(
        self, study: "optuna.Study", space: Space, *, seed: int, at_once: int, shared: Collection[str] = ()
    ) -> None:
        self._study = study
        self._space = space
        self._seed = seed
        self._at_once = at_once
        self._shared = shared

    def propose(self, n_trials: int) -> dict[int, dict[str, Value]]:
        """The next group that is not finished, values by number of trial; empty when all are done.

        Where some of it is finished it is there all the same: what is trained together decides how results round.
        """
        finished = {trial.number: trial.values for trial in self.finished()}
        missing = [number for number in range(n_trials) if number not in finished]
        if not missing:
            return {}
        first = missing[0] // self._at_once * self._at_once
        numbers = range(first, min(n_trials, first + self._at_once))
        group = {number: finished[number] for number in numbers if number in finished}
        group |= self._left_running([number for number in numbers if number not in finished])
        for number in numbers:
            if number not in group:
                head = first + (number - first) // FAMILY * FAMILY
                group[number] = self._ask(number, {} if head == number else group[head])
        return {number: group[number] for number in numbers}

    def _left_running(self, numbers: list[int]) -> dict[int, dict[str, Value]]:
        """Trials that a stop left unfinished: those proposed to the end are trained again, the rest is given up."""
        from optuna.trial import TrialState

        kept: dict[int, dict[str, Value]] = {}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            number = trial.user_attrs.get(_PLACE)
            if number in numbers and number not in kept and trial.params.keys() == self._space.keys():
                kept[number] = dict(trial.params)
            else:
                self._study.tell(trial.number, state=TrialState.FAIL)
        return kept

    def _ask(self, number: int, head: Mapping[str, Value]) -> dict[str, Value]:
        """Propose a trial of the family whose first has the values `head`; none for the first of a family."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import PartialFixedSampler, TPESampler

        seed = training_seed(self._seed, number)
        self._study.sampler = TPESampler(seed=seed, n_startup_trials=N_RANDOM, multivariate=True, constant_liar=True)
        fixed = {name: head[name] for name in self._space if name in head and name in self._shared}
        if fixed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self._study.sampler = PartialFixedSampler(fixed, self._study.sampler)
        trial = self._study.ask(fixed_distributions=_distributions(self._space))
        trial.set_user_attr(_PLACE, number)  # last: a trial without it was cut off, and is proposed again
        return dict(trial.params)

    def tell(self, told: Trial) -> None:
        """Keep the outcome of a trial that was proposed."""
        from optuna.trial import TrialState

        trial = next(
            trial
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.user_attrs.get(_PLACE) == told.number
        )
        facts = {_SECONDS: told.seconds, _SCORES: told.scores, _ERROR: told.error}
        for name, value in facts.items():
            self._study._storage.set_trial_user_attr(trial._trial_id, name, value)
        if told.value is None:  # pruned, not failed: the sampler learns to keep away from such values
            self._study.tell(trial.number, state=TrialState.PRUNED)
        else:
            self._study.tell(trial.number, told.value)

    def finished(self) -> list[Trial]:
        """Finished trials, in the order of their numbers."""
        from optuna.trial import TrialState

        states = (TrialState.COMPLETE, TrialState.PRUNED)
        found = {
            trial.user_attrs[_PLACE]: Trial(
                trial.user_attrs[_PLACE],
                {name: trial.params[name] for name in self._space},
                trial.value if trial.state == TrialState.COMPLETE else None,
                trial.user_attrs[_SCORES],
                trial.user_attrs[_SECONDS],
                trial.user_attrs[_ERROR],
            )
            for trial in self._study.get_trials(deepcopy=False, states=states)
        }
        return [found[number] for number in sorted(found)]

    def note(self, name: str) -> dict[str, Any] | None:
        """What was kept under a name beside the trials."""
        kept: dict[str, Any] | None = self._study.user_attrs.get(name)
        return kept

    def keep_note(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep something beside the trials."""
        self._study.set_user_attr(name, dict(value))

    def importances(self) -> dict[str, float]:
        """Share of the spread of validation scores that each setting explains (functional ANOVA, Hutter 2014).

        Empty where the trials are too few or too alike to tell.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        complete = [trial for trial in self.finished() if trial.value is not None]
        if len(complete) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in complete}) < 2:
            return {}
        varied = [name for name in self._space if len({trial.values[name] for trial in complete}) > 1]
        evaluator = FanovaImportanceEvaluator(n_trees=_TREES, seed=self._seed)
        return dict(get_param_importances(self._study, evaluator=evaluator, params=varied)) if varied else {}


def _distributions(space: Space) -> "dict[str, optuna.distributions.BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, searched in space.items():
        if isinstance(searched, Choices):
            found[name] = CategoricalDistribution(searched.values)
        elif searched.whole:
            found[name] = IntDistribution(int(searched.low), int(searched.high), log=searched.log)
        else:
            found[name] = FloatDistribution(searched.low, searched.high, log=searched.log)
    return found


def check_storage(url: str | None) -> None:
    """Refuse, before any work is done, a storage that cannot be used here.

    Raises
    ------
    ValueError
        If `url` is no database URL, or if Optuna or the driver of the database is not installed; names the extra.
    ConnectionError
        If a server cannot be reached; the password is not repeated.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("tuning needs Optuna: pip install 'oligolearn[search]'")
    if url is not None and (parsed := _parsed_url(url)).get_backend_name() != "sqlite":
        from sqlalchemy import create_engine

        engine = create_engine(parsed)
        with _database(parsed), engine.connect():
            pass
        engine.dispose()


def sqlite_url(file: Path) -> str:
    """URL of an SQLite database, whatever characters its path has."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string()


def storage_name(url: str | None) -> str:
    """The storage in words that hold neither user nor password."""
    if url is None:
        return "tune.db"
    parsed = _parsed_url(url)
    place = "" if parsed.host is None else f"{parsed.host}:{parsed.port or 5432}/"
    return f"{parsed.get_backend_name()} {place}{parsed.database or ''}"


def _parsed_url(url: str) -> Any:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # not repeated: it may hold a password
        raise ValueError(
            "--storage takes a database URL such as postgresql+psycopg://user:password@host:5432/database or "
            "sqlite:///folder/tune.db"
        ) from None
    backend = parsed.get_backend_name()
    if backend not in ("postgresql", "sqlite"):
        raise ValueError(f"--storage must be a postgresql+psycopg:// or sqlite:/// URL, found {parsed.drivername}://")
    if backend == "postgresql":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        driver = parsed.get_driver_name()
        if importlib.util.find_spec(driver) is None:
            extra = " pip install 'oligolearn[postgres]'" if driver == "psycopg" else " use postgresql+psycopg://"
            raise ValueError(f"PostgreSQL needs the driver {driver}, which is not installed:{extra}")
    return parsed


@contextmanager
def open_trials(
    url: str, name: str, space: Space, *, seed: int, at_once: int, shared: Collection[str] = ()
) -> Iterator[Trials]:
    """Open the trials called `name` in a database, new or as they were left.

    Raises
    ------
    ConnectionError
        If the database cannot be reached or used; the password is not repeated.
    """
    import optuna

    parsed = _parsed_url(url)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = None
    try:
        with _database(parsed):
            storage = optuna.storages.RDBStorage(parsed.render_as_string(hide_password=False))
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
            yield Trials(study, space, seed=seed, at_once=at_once, shared=shared)
    finally:
        optuna.logging.set_verbosity(before)
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def _database(url: Any) -> Iterator[None]:
    """Say what is wrong with a database in one line, without its password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ConnectionError(_without_password(error, url)) from None


def _without_password(error: BaseException, url: Any) -> str:
    """What the database said, in one line."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    said = " ".join(str(cause).split())
    for secret in {str(url.password or ""), *map(str, url.query.values())} - {""}:
        said = said.replace(secret, "***")
    return f"the database {storage_name(url.render_as_string(hide_password=False))} cannot be used: {said}"

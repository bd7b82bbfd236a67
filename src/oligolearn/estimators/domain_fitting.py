"""What classifier and regressor of domains share: from checked rows to models of both sides, and what came of it."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from oligolearn.estimators.adaptation_methods import (
    BY_CONSENSUS,
    LINEAR,
    Asked,
    Method,
    candidates_for,
    check_method,
    choose_standardisation,
    make_objective,
    map_to_target,
)
from oligolearn.estimators.adaptation_selection import Attempt
from oligolearn.estimators.building import OnEpoch, describe_callable, resolve_device, seeded
from oligolearn.estimators.consensus import Agreed, learn_few_labels, train_consensus
from oligolearn.estimators.domain_training import DomainRows, DomainTraining, split_sides
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.shift import row_coordinates, standardise_domains
from oligolearn.estimators.transfer_safety import (
    FEWEST_TARGET,
    NegativeTransferWarning,
    check_target,
    describe_harm,
    fewest_target,
)
from oligolearn.nn import Classifier, Encoder
from oligolearn.training import Runtime, Schedule, n_batches

SMALL_NETWORK = {"hidden": (128, 64), "dropout": 0.5}


class DomainModel(Asked, Protocol):
    """Settings and fitted attributes, see `DomainAdaptedClassifier`."""

    encoder: str | Callable[..., Encoder]
    encoder_options: Mapping[str, Any] | None
    measure_shift: bool
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    min_steps: int
    random_state: int | np.random.RandomState | None
    device: str
    precision: str
    on_epoch: OnEpoch | None
    n_features_in_: int
    domains_: NDArray[np.int64]
    scalers_: dict[int, Scaler]
    adaptation_: dict[str, Any]
    target_model_: Any
    source_model_: Any

    def get_params(self, deep: bool = ...) -> dict[str, Any]:  # noqa: FBT001  (as scikit-learn has it)
        """Settings by name."""
        ...


class Study(Protocol):
    """What is known of a shift before anything is adapted, see `ShiftStudy`."""

    @property
    def how(self) -> str:
        """The standardisation that suits."""

    @property
    def facts(self) -> dict[str, Any]:
        """What it was chosen by, JSON-able."""

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """Rows of targets."""

    @property
    def rows(self) -> NDArray[np.float64]:
        """Coordinates of all rows, so standardised."""


Pair = tuple[Any, Any]  # what predicts rows of the target, and of the sources


class Learning(NamedTuple):
    """What differs between classes and values.

    Attributes
    ----------
    of_values
        Whether labels are numbers.
    regression
        What linear methods are, in words.
    candidates
        Methods that ``"select"`` compares.
    given
        Fitted attributes that are known before anything is trained.
    study
        Measures the shift of rows; None where there is none to measure.
    select
        `select_adaptation` for these labels.
    train_linear, train_network
        Functions of model, method, rows and their standardised values, ``(n_samples, n_genes)``.
    predict
        Probabilities or values that a fitted model gives to rows of domains.
    look_back
        What came of it, from a fitted model, its study, what it predicts of the target and how it sees all rows:
        JSON-able facts, and reasons to think that it does harm.
    """

    of_values: bool
    regression: str
    candidates: Sequence[str]
    given: tuple[str, ...]
    study: Callable[[DomainRows], Any]
    select: Callable[..., tuple[str, list[dict[str, Any]]]]
    train_linear: Callable[[Any, Method, DomainRows, NDArray[np.float32]], Pair]
    train_network: Callable[[Any, Method, DomainRows, NDArray[np.float32]], Pair]
    predict: Callable[[Any, NDArray[np.floating], NDArray[np.int64]], NDArray[np.float64]]
    look_back: Callable[[Any, Any, NDArray[np.float64], NDArray[np.floating]], tuple[dict[str, Any], list[str]]]


def fit_domains(model: DomainModel, rows: DomainRows, learning: Learning) -> None:
    """Measure the shift, choose method and standardisation, train, and look at what came of it.

    Sets `domains_`, `scalers_`, `target_model_`, `source_model_` and `adaptation_`.

    Raises
    ------
    ValueError
        If a setting cannot be used, or the target not be adapted to.
    """
    model.domains_ = np.unique(rows.domains)
    model.adaptation_ = rows.describe()
    named = "linear" if model.method == "auto" else model.method
    candidates = candidates_for(model, learning.candidates) if named == "select" else ()
    for one in candidates or (named,):
        check_method(model, one, of_values=learning.of_values)
    check_target(rows.values, rows.domains)
    if not model.measure_shift and (named == "select" or model.standardize == "auto"):
        raise ValueError("measure_shift=False leaves nothing to choose by: name method and standardize")
    study: Study | None = learning.study(rows) if model.measure_shift else None
    n_target = fewest_target(rows.domains)
    model.adaptation_ |= {} if study is None else study.facts
    if 0 < n_target < FEWEST_TARGET:
        model.adaptation_["few_target_rows"] = n_target
    if named == "select":
        named = "linear" if study is None else _select(model, candidates, rows, study, learning)
    method = _allowed_by_rows(named, rows)
    model.adaptation_["method"] = method if isinstance(method, str) else describe_callable(method)
    how = choose_standardisation(model, method, None if study is None else study.how, n_target)
    model.adaptation_["standardize"] = how
    standardised = _train(model, method, how, rows, learning)
    if study is None:
        return
    is_as_studied = method == "linear" and how == study.how
    seen = study.rows if is_as_studied else _seen(model, method, rows, standardised)
    found = learning.predict(model, rows.values[study.is_target], rows.domains[study.is_target])
    facts, reasons = learning.look_back(model, study, found, seen)
    model.adaptation_ |= facts
    harm = [describe_harm(model.adaptation_, study.how, reasons, learning.regression)] if reasons else []
    model.adaptation_["warnings"] = harm
    for sentence in harm:
        warnings.warn(sentence, NegativeTransferWarning, stacklevel=3)


def _select(
    model: DomainModel, candidates: Sequence[str], rows: DomainRows, study: Study, learning: Learning
) -> Method:
    """Train all candidates in the standardisation that suits, and choose."""

    def attempt(method: str, labels: NDArray[Any], held: NDArray[np.intp]) -> Attempt:
        # not cloned: that would forget what a fitted encoder has learned
        trial = type(model)(**{**model.get_params(deep=False), "method": method})
        for name in ("domains_", "n_features_in_", *learning.given):
            setattr(trial, name, getattr(model, name))
        trial.adaptation_ = {}
        how = choose_standardisation(trial, method, study.how, fewest_target(rows.domains))
        standardised = _train(trial, method, how, rows._replace(labels=labels), learning)
        held_out, target = (
            learning.predict(trial, rows.values[chosen], rows.domains[chosen]) for chosen in (held, study.is_target)
        )
        return Attempt(held_out, target, _seen(trial, method, rows, standardised))

    seed = int(check_random_state(model.random_state).randint(2**31 - 1))
    chosen, table = learning.select(candidates, LINEAR, study, rows.labels, attempt, seed)
    model.adaptation_["selection"] = table
    return chosen


def _allowed_by_rows(method: Method, rows: DomainRows) -> Method:
    """The method, or what is left of it where there is no target."""
    if not rows.is_target.any() and method not in ("linear", "source"):
        warnings.warn("there are no rows of a target: trained on the source alone", UserWarning, stacklevel=4)
        method = "linear" if method in LINEAR else "source"
    if method == "f-cada" and not (rows.is_target & rows.known).any():
        raise ValueError(
            "method 'f-cada' learns from a few labels of the target, found none: show some (on the command line, "
            "--target-labels), or choose 'cada', which needs none"
        )
    return method


def _train(model: DomainModel, method: Method, how: str, rows: DomainRows, learning: Learning) -> NDArray[np.float32]:
    """Standardise and train; gives the standardised rows."""
    standardised, model.scalers_ = standardise_domains(rows.values, rows.domains, how)
    train = learning.train_linear if method in LINEAR else learning.train_network
    model.target_model_, model.source_model_ = train(model, method, rows, standardised)
    return standardised


def _seen(
    model: DomainModel, method: Method, rows: DomainRows, standardised: NDArray[np.float32]
) -> NDArray[np.floating]:
    """What the model sees of each row: standardised, mapped to the target, or embedded."""
    if method in LINEAR:
        return map_to_target(method, row_coordinates(standardised), rows.domains)[0]
    return apply_per_domain(model, rows.values, rows.domains, lambda one, x: one.embed(x))


def apply_per_domain(
    model: DomainModel,
    values: NDArray[np.floating],
    domains: NDArray[np.integer],
    apply: Callable[[Any, NDArray[np.floating]], NDArray[Any]],
) -> NDArray[Any]:
    """What the models of a fitted estimator, each domain standardised by its own scaler, make of rows."""
    parts: dict[int, NDArray[Any]] = {}
    for domain in np.unique(domains).tolist():
        one = copy.copy(model.source_model_ if domain >= 0 else model.target_model_)
        one.scaler_ = model.scalers_[domain]
        parts[domain] = apply(one, values[domains == domain])
    like = next(iter(parts.values()))
    found = np.empty((len(values), *like.shape[1:]), dtype=like.dtype)
    for domain, part in parts.items():
        found[domains == domain] = part
    return found


class NetworkPair(NamedTuple):
    """Trained networks.

    Attributes
    ----------
    of_target, of_source
        One and the same for most methods.
    losses
        Of each epoch.
    schedule
        Of each phase.
    """

    of_target: Classifier
    of_source: Classifier
    losses: list[float]
    schedule: Schedule


def train_pair(
    model: DomainModel,
    method: Method,
    network: Classifier,
    rows: DomainRows,
    standardised: NDArray[np.float32],
    *,
    seed: int,
    class_weight: Tensor | None = None,
) -> NetworkPair:
    """Train a network with its initial weights by a method, on the device that the settings name."""
    device = resolve_device(model.device)
    longest = max(int(rows.is_target.sum()), int((~rows.is_target).sum()))
    steps = max(model.epochs * n_batches(longest, model.batch_size), model.min_steps)
    schedule = Schedule(steps, model.batch_size, model.learning_rate, model.weight_decay)
    x, y = torch.from_numpy(standardised).to(device), torch.from_numpy(rows.labels).to(device)
    sides = split_sides(x, y, rows.domains)
    train = DomainTraining(sides, schedule, seed, Runtime(model.precision), model.on_epoch)
    network = network.to(device)
    if method in BY_CONSENSUS:
        agreed = _by_consensus(model, str(method), train, network, class_weight)
        return NetworkPair(agreed.of_target.eval(), agreed.of_source.eval(), agreed.losses, schedule)
    with seeded(seed + 1, device):
        objective = make_objective(
            method, network, n_sources=rows.n_sources, class_weight=class_weight, options=model.method_options
        ).to(device)
    losses = train.fit(objective)
    return NetworkPair(network.eval(), network, losses, schedule)


def _by_consensus(
    model: Any, method: str, train: DomainTraining, network: Classifier, class_weight: Tensor | None
) -> Agreed:
    rate = model.consensus_rate
    agreed = train_consensus(train, network, class_weight, rate=rate, options=model.method_options)
    return learn_few_labels(train, agreed, class_weight, rate=rate) if method == "f-cada" else agreed


def encoder_options_of(model: DomainModel) -> Mapping[str, Any] | None:
    """Settings of the encoder; those of a small network where nothing is said."""
    return SMALL_NETWORK if model.encoder_options is None and model.encoder == "mlp" else model.encoder_options

"""A classifier for a domain whose labels nobody has, learned from others, as a scikit-learn estimator."""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from oligolearn.adapt import ADAPTATIONS, Batch, Consensus, SourceOnly
from oligolearn.data import ExpressionScaler
from oligolearn.estimators.building import OnEpoch, resolve, resolve_device, seeded
from oligolearn.estimators.fine_tuned import FineTunedClassifier, Pretrained
from oligolearn.estimators.labels import UNLABELLED
from oligolearn.nn import Classifier, Encoder
from oligolearn.saving import Bundle
from oligolearn.training import History, Runtime, Schedule, fit, n_batches

STANDARDIZE = ("each", "together")
_SOURCE, _TARGET = 0, -1
_SMALL = {"hidden": (128, 64), "dropout": 0.5}


class DomainAdaptedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier for a target domain without labels (or with a few), learned from labelled source domains.

    Parameters
    ----------
    method
        ``"dann"``, ``"cdan"``, ``"deep-coral"``, ``"dan"``, ``"wdgrl"`` (see `oligolearn.adapt`), ``"cada"`` (see
        `oligolearn.adapt.Consensus`), ``"source"`` for no adaptation, or a factory
        ``(Classifier, **method_options) -> objective``.
    pretrained
        As in `FineTunedClassifier`: an encoder that is not fitted is pretrained on the rows of all domains.
    encoder, encoder_options
        As in `FineTunedClassifier`; the default is a smaller network with dropout, since what a large one learns by
        heart in the source does not travel.
    method_options
        Settings of the method, by name; of ``"cada"`` those of `oligolearn.adapt.Consensus`.
    standardize
        ``"each"`` standardises the genes of each domain by themselves, ``"together"`` all rows alike. The first takes
        away differences of platforms, and those of the mix of classes with them: where that differs between domains,
        choose the second.
    consensus_rate
        Learning rate of CADA's second phase, as a share of `learning_rate`: encoders that run away from a
        discriminator lose their classes.
    epochs, batch_size, learning_rate, weight_decay, dropout, min_steps
        Of the training (of each phase, for ``"cada"``). A batch has as many rows of the target as of the sources.
    class_weight, unlabelled, random_state, device, precision, on_epoch
        As in `FineTunedClassifier`.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted.
    domains_ : ndarray
        Values of `sample_domain`, sorted.
    network_ : FineTunedClassifier
        What predicts rows of the target.
    history_ : History
        Loss of each epoch; of ``"cada"`` of all phases, one after the other.
    adaptation_ : dict
        What was done, JSON-able.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0.0, 1.0], 80)
    >>> X = rng.normal(size=(160, 10)) + 3 * y[:, None]
    >>> domain = np.repeat([0, -1], 80)
    >>> X[domain < 0] = 5 * X[domain < 0] - 20  # another unit
    >>> shown = np.where(domain < 0, np.nan, y)
    >>> model = DomainAdaptedClassifier("dann", random_state=0, device="cpu").fit(X, shown, domain)
    >>> bool(model.score(X[domain < 0], y[domain < 0]) > 0.95)
    True
    """

    def __init__(
        self,
        method: str | Callable[..., nn.Module] = "dann",
        pretrained: Pretrained = None,
        *,
        encoder: str | Callable[..., Encoder] = "mlp",
        encoder_options: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
        standardize: str = "each",
        consensus_rate: float = 0.1,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        dropout: float = 0.0,
        min_steps: int = 300,
        class_weight: str | Mapping[Any, float] | None = "balanced",
        unlabelled: int | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: str = "auto",
        on_epoch: OnEpoch | None = None,
    ) -> None:
        self.method = method
        self.pretrained = pretrained
        self.encoder = encoder
        self.encoder_options = encoder_options
        self.method_options = method_options
        self.standardize = standardize
        self.consensus_rate = consensus_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.min_steps = min_steps
        self.class_weight = class_weight
        self.unlabelled = unlabelled
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.on_epoch = on_epoch

    def fit(self, X: ArrayLike, y: ArrayLike, sample_domain: ArrayLike | None = None) -> Self:
        """Train on the labelled rows of the sources and on the rows of the target.

        Parameters
        ----------
        X
            Log expression or the like, ``(n_samples, n_genes)``, NaN where missing.
        y
            Labels ``(n_samples,)``; NaN or None where unlabelled. Labels of target rows are used where there are any.
        sample_domain
            Domain of each row, ``(n_samples,)``: 0 or more for sources, negative for the target. None: rows without a
            label are the target.

        Raises
        ------
        ValueError
            If a domain or a setting cannot be used, or no source row has a label.
        """
        values = validate_data(
            self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        network = self._network()
        _, codes, seed = network._prepare(values, y)
        domains = _checked_domains(sample_domain, codes)
        self.domains_ = np.unique(domains)
        self._scale(values, domains, network)
        data = self._rows(values, codes, domains, resolve_device(self.device))
        labelled = codes != UNLABELLED
        known = torch.from_numpy(self._standardised(values[labelled], domains[labelled])).to(data.source.device)
        loss = network._build(known, codes[labelled], seed)
        method = self.method if len(data.target) else "source"
        if method != self.method:
            warnings.warn("there are no rows of a target: trained on the source alone", UserWarning, stacklevel=2)
        schedule = self._schedule(data)
        train = _Training(data, schedule, seed, Runtime(self.precision), self.on_epoch)
        self.source_network_ = self.network_ = network
        if method == "cada":
            losses = self._by_consensus(train, loss.class_weight)
        else:
            losses = train.fit(self._objective(method, train, loss.class_weight))
        self.history_ = History(losses, [], len(losses) - 1)
        return self._finish(data, schedule)

    def _network(self) -> FineTunedClassifier:
        """Settings of the network, which is not built yet."""
        return FineTunedClassifier(
            self.pretrained,
            self.encoder,
            encoder_options=_SMALL if self.encoder_options is None and self.encoder == "mlp" else self.encoder_options,
            dropout=self.dropout,
            class_weight=self.class_weight,
            unlabelled=self.unlabelled,
            random_state=self.random_state,
            device=self.device,
            precision=self.precision,
        )

    def _scale(self, values: NDArray[np.floating], domains: NDArray[np.int64], network: FineTunedClassifier) -> None:
        """Learn what standardises each domain; that of the target is the network's."""
        if self.standardize not in STANDARDIZE:
            raise ValueError(f"standardize must be {' or '.join(STANDARDIZE)}, found {self.standardize!r}")
        self.scalers_ = {
            int(domain): ExpressionScaler().fit(values[domains == domain])
            if self.standardize == "each"
            else network.scaler_
            for domain in self.domains_
        }
        targets = self.domains_[self.domains_ < 0]
        network.scaler_ = self.scalers_[int(targets[-1] if len(targets) else self.domains_[0])]

    @property
    def _targets(self) -> str:
        return ", ".join(map(str, self.domains_[self.domains_ < 0]))

    def _scaler(self, domain: int) -> ExpressionScaler:
        if domain not in self.scalers_:
            raise ValueError(
                f"sample_domain has {domain}, of which no row was seen in training; known are "
                f"{', '.join(map(str, self.scalers_))}"
            )
        return self.scalers_[domain]

    def _standardised(self, values: NDArray[np.floating], domains: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.empty(values.shape, dtype=np.float32)
        for domain in np.unique(domains).tolist():
            found[domains == domain] = self._scaler(domain).transform(values[domains == domain])
        return found

    def _rows(
        self, values: NDArray[np.floating], codes: NDArray[np.int64], domains: NDArray[np.int64], device: torch.device
    ) -> "_Rows":
        if not (codes[domains >= 0] != UNLABELLED).any():
            raise ValueError(
                f"no row of a source has a label: of {len(codes)} rows, {(domains >= 0).sum()} are of a source "
                "(sample_domain of 0 or more)"
            )
        x = torch.from_numpy(self._standardised(values, domains)).to(device)
        is_source = torch.from_numpy(domains >= 0).to(device)
        sources = self.domains_[self.domains_ >= 0]
        numbers = torch.from_numpy(np.searchsorted(sources, domains[domains >= 0])).to(device)
        y = torch.from_numpy(codes).to(device)
        return _Rows(x[is_source], y[is_source], numbers, x[~is_source], y[~is_source], sources.tolist())

    def _schedule(self, data: "_Rows") -> Schedule:
        longest = max(len(data.source), len(data.target))
        steps = max(self.epochs * n_batches(longest, self.batch_size), self.min_steps)
        return Schedule(steps, self.batch_size, self.learning_rate, self.weight_decay)

    def _objective(
        self, method: str | Callable[..., nn.Module], train: "_Training", class_weight: Tensor | None
    ) -> nn.Module:
        factory = resolve("method", method, {"source": SourceOnly, "cada": Consensus, **ADAPTATIONS})
        known = inspect.signature(factory).parameters
        given: dict[str, Any] = {"n_sources": len(train.data.sources), "class_weight": class_weight}
        options = {} if method == "source" else dict(self.method_options or {})
        device = train.data.source.device
        with seeded(train.seed + 1, device):
            made = factory(
                self.network_.module_, **{name: value for name, value in given.items() if name in known}, **options
            )
            return made.to(device)

    def _by_consensus(self, train: "_Training", class_weight: Tensor | None) -> list[float]:
        """The three phases of CADA; afterwards source and target have encoders of their own, and one output layer."""
        network, device = self.network_, train.data.source.device
        of_source = network.module_.encoder
        with seeded(train.seed + 1, device):
            consensus = Consensus(of_source, copy.deepcopy(of_source), **(self.method_options or {})).to(device)
            shared = nn.Linear(of_source.out_dim, len(network.classes_)).to(device)
        first = train.fit(SourceOnly(network.module_, class_weight))
        consensus.target_encoder.load_state_dict(of_source.state_dict())
        second = train.fit(consensus, rate=self.consensus_rate)
        self.source_network_, self.network_ = copy.copy(network), copy.copy(network)
        for one, encoder in ((self.source_network_, of_source), (self.network_, consensus.target_encoder)):
            one.module_ = Classifier(
                encoder, len(network.classes_), dropout=self.dropout, frozen_blocks=len(encoder.blocks)
            ).to(device)
            one.module_.head = shared
        third = train.fit(SourceOnly(self.source_network_.module_, class_weight))
        self.network_.module_.eval()
        return [*first, *second, *third]

    def _finish(self, data: "_Rows", schedule: Schedule) -> Self:
        for network in (self.source_network_, self.network_):
            network._finish(self.history_, schedule)
        self.adaptation_: dict[str, Any] = {
            "method": self.method if isinstance(self.method, str) else repr(self.method),
            "method_options": dict(self.method_options or {}),
            "standardize": self.standardize,
            "n_source": len(data.source),
            "n_target": len(data.target),
            "n_target_labelled": int((data.target_labels != UNLABELLED).sum()),
            "source_domains": data.sources,
        }
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels found in `y`, sorted."""
        return self.network_.classes_

    def predict_proba(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``, in the order of `classes_`.

        Parameters
        ----------
        X
            ``(n_samples, n_genes)``.
        sample_domain
            Domain of each row, as in `fit`; None: all are of the target.
        """
        check_is_fitted(self)
        values = validate_data(self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", reset=False)
        if sample_domain is None:
            if (self.domains_ < 0).sum() > 1:
                raise ValueError(f"there are several targets, {self._targets}: pass sample_domain, the one of each row")
            return self.network_.predict_proba(values)
        domains = np.asarray(sample_domain)
        found = np.empty((len(values), len(self.classes_)))
        for domain in np.unique(domains).tolist():
            network = copy.copy(self.source_network_ if domain >= 0 else self.network_)
            network.scaler_ = self._scaler(domain)
            found[domains == domain] = network.predict_proba(values[domains == domain])
        return found

    def predict(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``; arguments as in `predict_proba`."""
        best = self.predict_proba(X, sample_domain).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Output of the encoder for rows of the target, ``(n_samples, out_dim)``."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", reset=False)
        return self.network_.embed(values)

    def to_bundle(self) -> Bundle:
        """Describe what predicts rows of the target, for saving: it is read as a `FineTunedClassifier`."""
        check_is_fitted(self)
        bundle = self.network_.to_bundle()
        return Bundle({**bundle.description, "adaptation": self.adaptation_}, bundle.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Rows(NamedTuple):
    """Standardised rows of both sides, on the device."""

    source: Tensor
    labels: Tensor
    numbers: Tensor  # of the source domains, from 0
    target: Tensor
    target_labels: Tensor
    sources: list[int]  # values of `sample_domain` that the numbers stand for


class _Training(NamedTuple):
    """How an objective is trained: the phases of a method have this in common."""

    data: _Rows
    schedule: Schedule
    seed: int
    runtime: Runtime
    on_epoch: OnEpoch | None

    def fit(self, objective: nn.Module, rate: float = 1.0) -> list[float]:
        """Train in batches with as many rows of the target as of the sources; gives the loss of each epoch.

        `rate` multiplies the learning rate.
        """
        data, draws = self.data, torch.Generator().manual_seed(self.seed)
        device = data.source.device

        def make_batch(drawn: Tensor) -> Batch:
            rows = drawn.to(device)
            n_target = len(rows) if len(data.target) else 0
            others = torch.randint(max(1, len(data.target)), (n_target,), generator=draws).to(device)
            return (
                data.source[rows],
                data.labels[rows],
                data.numbers[rows],
                data.target[others],
                data.target_labels[others],
            )

        generator = torch.Generator().manual_seed(self.seed)
        return fit(
            objective,
            make_batch,
            len(data.source),
            replace(self.schedule, learning_rate=rate * self.schedule.learning_rate),
            generator=generator,
            on_epoch=self.on_epoch,
            runtime=self.runtime,
        ).losses


def _checked_domains(sample_domain: ArrayLike | None, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    if sample_domain is None:
        return np.where(codes == UNLABELLED, _TARGET, _SOURCE)
    domains = np.asarray(sample_domain)
    if domains.shape != codes.shape or not np.issubdtype(domains.dtype, np.integer):
        raise ValueError(
            f"sample_domain must be {len(codes)} whole numbers, one for each row, 0 or more for sources and negative "
            f"for the target; found {domains.dtype} of shape {domains.shape}"
        )
    return domains.astype(np.int64)

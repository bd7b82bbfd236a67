"""A classifier for a domain whose labels nobody has, learned from others, as a scikit-learn estimator."""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from oligolearn.adapt import ADAPTATIONS, Consensus, SourceOnly
from oligolearn.estimators.adaptation_selection import CANDIDATES, Attempt, select_adaptation
from oligolearn.estimators.building import OnEpoch, describe_callable, resolve, resolve_device, seeded
from oligolearn.estimators.consensus import learn_few_labels, train_consensus
from oligolearn.estimators.domain_training import (
    DomainTraining,
    checked_domains,
    domains_to_predict,
    main_domain,
    split_sides,
)
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.harmonising import HARMONISERS
from oligolearn.estimators.labels import UNLABELLED, encode_labels
from oligolearn.estimators.linear import StandardisedLogistic
from oligolearn.estimators.mapping import MAPS
from oligolearn.estimators.shift import linear_classifier, row_coordinates, standardise_domains
from oligolearn.estimators.starting import Pretrained
from oligolearn.estimators.transfer_safety import (
    FEWEST_TARGET,
    NegativeTransferWarning,
    ShiftStudy,
    check_target,
    describe_harm,
    fewest_target,
    find_negative_transfer,
    look_back,
    study_shift,
)
from oligolearn.nn import Classifier, Encoder
from oligolearn.saving import Bundle
from oligolearn.training import History, Runtime, Schedule, n_batches

_BY_CONSENSUS = ("cada", "f-cada")
_METHODS: dict[str, Callable[..., nn.Module]] = {
    "source": SourceOnly,
    **dict.fromkeys(_BY_CONSENSUS, Consensus),
    **ADAPTATIONS,
}
_LINEAR = ("linear", *MAPS, *HARMONISERS)
_SMALL = {"hidden": (128, 64), "dropout": 0.5}


class DomainAdaptedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier for a target domain without labels (or with a few), learned from labelled source domains.

    Parameters
    ----------
    method
        ``"linear"`` for logistic regression, ``"coral"`` and ``"optimal-transport"`` for one on source rows that were
        given the covariance of the target (see `oligolearn.estimators.mapping`), ``"combat"`` and ``"quantile"`` for
        one on target rows that were given location and scale, or the quantiles, of the source (see
        `oligolearn.estimators.harmonising`); ``"dann"``, ``"cdan"``, ``"deep-coral"``, ``"dan"``, ``"wdgrl"`` (see
        `oligolearn.adapt`), ``"cada"`` (see `oligolearn.adapt.Consensus`), ``"f-cada"`` for one that also learns and
        propagates a few labels of the target, which it needs, ``"source"`` for a network without adaptation, or a
        factory ``(Classifier, **method_options) -> objective``; ``"auto"`` for ``"linear"``, which no network beat on
        average where it was measured; ``"select"`` trains all `candidates` and chooses without labels of the target
        (see `oligolearn.estimators.select_adaptation`).
    pretrained
        As in `FineTunedClassifier`: an encoder that is not fitted is pretrained on the rows of all domains, as they are
        standardised here. For networks only.
    encoder, encoder_options
        As in `FineTunedClassifier`; the default is a smaller network with dropout, since what a large one learns by
        heart in the source does not travel.
    method_options
        Settings of the method, by name; of ``"cada"`` and ``"f-cada"`` those of `oligolearn.adapt.Consensus`.
    standardize
        ``"each"`` standardises the genes of each domain by themselves, ``"together"`` all rows alike. The first takes
        away differences of platforms, and those of the mix of classes with them: where that differs between domains
        the second is better. ``"auto"`` takes the second where, within classes, the domains can hardly be told apart
        (`domain_auroc` below .65), where `reverse_validation` is better with it by more than one standard error, or
        where a target has fewer than five rows. ``"combat"`` and ``"quantile"`` bring all domains to the scale of the
        sources, for networks too.
    consensus_rate
        Learning rate of the second phase of CADA and of the fourth of F-CADA, as a share of `learning_rate`: encoders
        that run away from a discriminator, or after a few labels, lose their classes.
    candidates
        Methods for ``"select"``, the simplest first; None for `oligolearn.estimators.CANDIDATES`.
    measure_shift
        Measure how the domains differ before and after, and warn of negative transfer. Without it, training is faster,
        and `method` and `standardize` must be named.
    epochs, batch_size, learning_rate, weight_decay, dropout, min_steps
        Of the training (of each phase, for ``"cada"`` and ``"f-cada"``). A batch has as many rows of the target as of
        the sources.
    class_weight, unlabelled, random_state, device, precision, on_epoch
        As in `FineTunedClassifier`.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted.
    domains_ : ndarray
        Values of `sample_domain`, sorted.
    target_model_, source_model_ : FineTunedClassifier or StandardisedLogistic
        What predicts rows of the target and of the sources, classes by number.
    scalers_ : dict
        `ExpressionScaler` of each domain, or `QuantileScaler`.
    adaptation_ : dict
        What was done and why, JSON-able: sizes, ``method``, ``standardize``, ``domain_auroc`` before, within classes
        and after, ``reverse_validation``, ``class_mix`` (see `oligolearn.estimators.estimate_class_mix`), ``named``
        (share of each class in the target as predicted), ``warnings``, and ``selection``, the table of ``"select"``.

    Warns
    -----
    NegativeTransferWarning
        If the model is likely to be worse than logistic regression without more adaptation
        (see `oligolearn.estimators.find_negative_transfer`).

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
        method: str | Callable[..., nn.Module] = "auto",
        pretrained: Pretrained = None,
        *,
        encoder: str | Callable[..., Encoder] = "mlp",
        encoder_options: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
        standardize: str = "auto",
        consensus_rate: float = 0.1,
        candidates: Sequence[str] | None = None,
        measure_shift: bool = True,
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
        self.candidates = candidates
        self.measure_shift = measure_shift
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
        self.classes_, codes = encode_labels(y, self.unlabelled)
        if len(codes) != len(values):
            raise ValueError(f"X and y must have as many rows, found {len(values)} and {len(codes)}")
        domains = checked_domains(sample_domain, codes == UNLABELLED)
        self.domains_ = np.unique(domains)
        rows = _Rows(values, codes, domains)
        self.adaptation_ = rows.describe()
        named = "linear" if self.method == "auto" else self.method
        for one in self._candidates if named == "select" else (named,):
            self._check_method(one)
        check_target(values, domains)
        if not self.measure_shift and (self.method == "select" or self.standardize == "auto"):
            raise ValueError("measure_shift=False leaves nothing to choose by: name method and standardize")
        study = study_shift(values, codes, domains) if self.measure_shift else None
        self.adaptation_ |= {} if study is None else study.facts
        if 0 < fewest_target(domains) < FEWEST_TARGET:
            self.adaptation_["few_target_rows"] = fewest_target(domains)
        method = self._chosen_method(rows, study)
        how = self._choose_standardisation(method, study, fewest_target(domains))
        self.adaptation_["standardize"] = how
        standardised = self._train(method, how, rows)
        if study is not None:
            self._look_back(method, rows, study, standardised)
        return self

    def _chosen_method(self, rows: "_Rows", study: ShiftStudy | None) -> str | Callable[..., nn.Module]:
        has_target = bool((rows.domains < 0).any())
        method = "linear" if self.method == "auto" else self.method
        if method == "select":
            method = "linear" if study is None else self._select(self._candidates, rows, study)
        if not has_target and method not in ("linear", "source"):
            warnings.warn("there are no rows of a target: trained on the source alone", UserWarning, stacklevel=3)
            method = "linear" if method in _LINEAR else "source"
        if method == "f-cada" and not self.adaptation_["n_target_labelled"]:
            raise ValueError(
                "method 'f-cada' learns from a few labels of the target, found none: show some (on the command line, "
                "--target-labels), or choose 'cada', which needs none"
            )
        self.adaptation_["method"] = method if isinstance(method, str) else describe_callable(method)
        return method

    @property
    def _candidates(self) -> Sequence[str]:
        if self.candidates is not None:
            if len(self.candidates) == 0:
                raise ValueError("candidates has no method to choose from; pass some, or None for the usual ones")
            return self.candidates
        return [name for name in CANDIDATES if self.standardize in ("each", "auto") or name not in MAPS]

    def _check_method(self, method: str | Callable[..., nn.Module]) -> None:
        if isinstance(method, str) and method not in (*_LINEAR, *_METHODS):
            known = ", ".join((*method_names(), "select"))
            raise ValueError(f"unknown method {method!r}; choose one of {known}, or pass a factory")
        if self.method_options and (method in ("source", *_LINEAR) or self.method == "select"):
            name = method if self.method != "select" else "select"
            raise ValueError(f"method {name!r} has no options, found {', '.join(self.method_options)}")
        if self.pretrained is not None and method in _LINEAR and self.method != "select":
            raise ValueError(f"pretrained is for networks, and method {method!r} trains none: choose one, such as dann")
        if method in MAPS and self.standardize not in ("each", "auto"):
            raise ValueError(f"method {method!r} needs centred domains: pass standardize='each'")
        if method in HARMONISERS and self.standardize not in (method, "auto"):
            raise ValueError(
                f"method {method!r} is a standardisation of its own, found standardize={self.standardize!r}: leave it "
                "at 'auto'"
            )

    def _select(self, candidates: Sequence[str], rows: "_Rows", study: ShiftStudy) -> str:
        """Train all candidates in the standardisation that suits, and choose."""

        def attempt(method: str, codes: NDArray[np.int64], held: NDArray[np.intp]) -> Attempt:
            model = clone(self).set_params(method=method)
            model.classes_, model.domains_, model.n_features_in_ = self.classes_, self.domains_, self.n_features_in_
            how = model._choose_standardisation(method, study, fewest_target(rows.domains))
            standardised = model._train(method, how, rows._replace(codes=codes))
            held_out, target = (
                model.predict_proba(rows.values[chosen], rows.domains[chosen]) for chosen in (held, study.is_target)
            )
            return Attempt(held_out, target, model._seen(method, rows, standardised))

        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        chosen, table = select_adaptation(candidates, _LINEAR, study, rows.codes, attempt, seed)
        self.adaptation_["selection"] = table
        return chosen

    def _choose_standardisation(
        self, method: str | Callable[..., nn.Module], study: ShiftStudy | None, n_target: int
    ) -> str:
        """How to standardise: as asked, else as the study of the shift says, where method and target allow it."""
        if 0 < n_target < FEWEST_TARGET:
            if self.standardize == "each" or method not in ("linear", "source"):
                raise ValueError(
                    f"a target has {n_target} rows, and at least {FEWEST_TARGET} are needed to standardise it by "
                    "itself or to adapt to it; pass method='linear' and standardize='together', or add rows"
                )
            return "together"
        if method in HARMONISERS:
            return str(method)
        if self.standardize != "auto":
            return self.standardize
        return "each" if study is None or method in MAPS else study.how

    def _train(self, method: str | Callable[..., nn.Module], how: str, rows: "_Rows") -> NDArray[np.float32]:
        """Standardise and train; gives the standardised rows."""
        standardised, self.scalers_ = standardise_domains(rows.values, rows.domains, how)
        train = self._linear if method in _LINEAR else self._network
        self.target_model_, self.source_model_ = train(method, rows, standardised)
        return standardised

    def _look_back(
        self,
        method: str | Callable[..., nn.Module],
        rows: "_Rows",
        study: ShiftStudy,
        standardised: NDArray[np.float32],
    ) -> None:
        """Measure what came of it, and warn if the model may do harm."""
        how = self.adaptation_["standardize"]
        seen = study.rows if method == "linear" and how == study.how else self._seen(method, rows, standardised)
        named = self.predict_proba(rows.values[study.is_target], rows.domains[study.is_target]).argmax(axis=1)
        self.adaptation_ |= look_back(study, named, seen, self.classes_.tolist())
        reasons = find_negative_transfer(study, named)
        self.adaptation_["warnings"] = [describe_harm(self.adaptation_, study.how, reasons)] if reasons else []
        for sentence in self.adaptation_["warnings"]:
            warnings.warn(sentence, NegativeTransferWarning, stacklevel=3)

    def _seen(
        self, method: str | Callable[..., nn.Module], rows: "_Rows", standardised: NDArray[np.float32]
    ) -> NDArray[np.floating]:
        """What the classifier sees of each row: standardised, mapped to the target, or embedded."""
        is_source = rows.domains >= 0
        if method in _LINEAR:
            x = row_coordinates(standardised)
            if method in MAPS:
                x[is_source] = MAPS[str(method)](x[is_source], x[~is_source])(x[is_source])
            return x
        parts = {}
        for domain in np.unique(rows.domains).tolist():
            model = copy.copy(self.source_model_ if domain >= 0 else self.target_model_)
            model.scaler_ = self.scalers_[domain]
            parts[domain] = model.embed(rows.values[rows.domains == domain])
        embedded = np.empty((len(rows.values), parts[domain].shape[1]), dtype=np.float32)
        for domain, part in parts.items():
            embedded[rows.domains == domain] = part
        return embedded

    def _linear(
        self, method: str | Callable[..., nn.Module], rows: "_Rows", standardised: NDArray[np.float32]
    ) -> tuple[StandardisedLogistic | FineTunedClassifier, ...]:
        known, is_source = rows.codes != UNLABELLED, rows.domains >= 0
        if method in MAPS:
            to_target = MAPS[str(method)](standardised[is_source], standardised[~is_source])
            x = standardised.astype(np.float64)
            x[is_source] = to_target(x[is_source])
            of_target = linear_classifier(x[known], rows.codes[known], self._weights)
            of_source = copy.copy(of_target)
            of_source.coef_ = to_target.before(of_target.coef_)
            pairs = ((of_target, self._main), (of_source, self._first))
            return tuple(StandardisedLogistic(self.scalers_[domain], one) for one, domain in pairs)
        classifier = linear_classifier(standardised[known], rows.codes[known], self._weights)
        return tuple(StandardisedLogistic(self.scalers_[domain], classifier) for domain in (self._main, self._first))

    def _network(
        self, method: str | Callable[..., nn.Module], rows: "_Rows", standardised: NDArray[np.float32]
    ) -> tuple[StandardisedLogistic | FineTunedClassifier, ...]:
        network = FineTunedClassifier(
            self.pretrained,
            self.encoder,
            encoder_options=_SMALL if self.encoder_options is None and self.encoder == "mlp" else self.encoder_options,
            dropout=self.dropout,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            class_weight=self._weights,
            random_state=self.random_state,
            device=self.device,
            precision=self.precision,
        )
        known = rows.codes != UNLABELLED
        # rows as the network will see them: on raw ones an encoder would be pretrained on what tells platforms apart
        _, codes, seed = network._prepare(standardised, np.where(known, rows.codes, np.nan))
        if network._source is not None:
            self.adaptation_["pretrained"] = (network._source.pretraining_ or {}).get("objective")
        device = resolve_device(self.device)
        x, y = torch.from_numpy(standardised).to(device), torch.from_numpy(codes).to(device)
        loss = network._build(x[torch.from_numpy(known).to(device)], codes[known], seed)
        train = DomainTraining(
            split_sides(x, y, rows.domains),
            self._schedule(rows),
            seed,
            Runtime(self.precision),
            self.on_epoch,
        )
        if method in _BY_CONSENSUS:
            modules, losses = self._by_consensus(str(method), train, network.module_, loss.class_weight)
        else:
            losses = train.fit(self._objective(method, train, network, loss.class_weight))
            modules = network.module_, network.module_
        models = []
        for module, domain in zip(modules, (self._main, self._first), strict=True):
            model = copy.copy(network)
            model.module_, model.scaler_ = module.eval(), self.scalers_[domain]
            models.append(model._finish(History(losses, [], len(losses) - 1), train.schedule))
        return tuple(models)

    def _schedule(self, rows: "_Rows") -> Schedule:
        n_target = int((rows.domains < 0).sum())
        longest = max(n_target, len(rows.domains) - n_target)
        steps = max(self.epochs * n_batches(longest, self.batch_size), self.min_steps)
        return Schedule(steps, self.batch_size, self.learning_rate, self.weight_decay)

    def _objective(
        self,
        method: str | Callable[..., nn.Module],
        train: DomainTraining,
        network: FineTunedClassifier,
        class_weight: Tensor | None,
    ) -> nn.Module:
        factory = resolve("method", method, _METHODS)
        known = inspect.signature(factory).parameters
        given: dict[str, Any] = {"n_sources": int((self.domains_ >= 0).sum()), "class_weight": class_weight}
        options = {} if method == "source" else dict(self.method_options or {})  # also where there is no target
        with seeded(train.seed + 1, train.device):
            made = factory(
                network.module_, **{name: value for name, value in given.items() if name in known}, **options
            )
            return made.to(train.device)

    def _by_consensus(
        self, method: str, train: DomainTraining, network: Classifier, class_weight: Tensor | None
    ) -> tuple[tuple[Classifier, Classifier], list[float]]:
        """Give the networks of target and source, and the loss of each epoch."""
        rate = self.consensus_rate
        agreed = train_consensus(train, network, class_weight, rate=rate, options=self.method_options)
        if method == "f-cada":
            agreed = learn_few_labels(train, agreed, class_weight, rate=rate)
        return (agreed.of_target, agreed.of_source), agreed.losses

    @property
    def _weights(self) -> str | dict[int, float] | None:
        """Weights of the classes by their numbers."""
        weight = self.class_weight
        if not isinstance(weight, Mapping):
            return weight
        return {number: weight.get(name, 1.0) for number, name in enumerate(self.classes_)}

    @property
    def _main(self) -> int:
        return main_domain(self.domains_)

    @property
    def _first(self) -> int:
        return int(self.domains_[self.domains_ >= 0][0])

    def predict_proba(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``, in the order of `classes_`.

        Parameters
        ----------
        X
            ``(n_samples, n_genes)``.
        sample_domain
            Domain of each row, as in `fit`; None: all are of the target.
        """
        values = self._checked(X)
        domains = domains_to_predict(sample_domain, self.domains_, len(values))
        found = np.empty((len(values), len(self.classes_)))
        for domain in np.unique(domains).tolist():
            model = copy.copy(self.source_model_ if domain >= 0 else self.target_model_)
            model.scaler_ = self.scalers_[domain]
            found[domains == domain] = model.predict_proba(values[domains == domain])
        return found

    def predict(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``; arguments as in `predict_proba`."""
        best = self.predict_proba(X, sample_domain).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Output of the network's encoder for rows of the target, ``(n_samples, out_dim)``.

        Raises
        ------
        ValueError
            If the method is logistic regression.
        """
        values = self._checked(X)
        return self.target_model_.embed(values)

    def _checked(self, X: ArrayLike) -> NDArray[np.floating]:
        check_is_fitted(self)
        values: NDArray[np.floating] = validate_data(
            self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", reset=False
        )
        return values

    def to_bundle(self) -> Bundle:
        """Describe what predicts rows of the target, for saving; it is read as the model that it is.

        What predicts rows of sources is not kept.
        """
        check_is_fitted(self)
        bundle = self.target_model_.to_bundle()
        more = {"classes": self.classes_.tolist(), "adaptation": self.adaptation_}
        return Bundle({**bundle.description, **more}, bundle.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Rows(NamedTuple):
    """What `fit` was given, checked."""

    values: NDArray[np.floating]
    codes: NDArray[np.int64]
    domains: NDArray[np.int64]

    def describe(self) -> dict[str, Any]:
        """Sizes, JSON-able."""
        is_target = self.domains < 0
        return {
            "n_source": int((~is_target).sum()),
            "n_target": int(is_target.sum()),
            "n_target_labelled": int((self.codes[is_target] != UNLABELLED).sum()),
            "source_domains": np.unique(self.domains[~is_target]).tolist(),
        }


def method_names() -> tuple[str, ...]:
    """Names of all methods of `DomainAdaptedClassifier`."""
    return ("auto", *_LINEAR, *_METHODS)

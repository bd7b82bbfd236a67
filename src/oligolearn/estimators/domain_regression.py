"""A regression for a domain of which no values are known, learned from others, as a scikit-learn estimator."""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from oligolearn.adapt import DAN, DANN, WDGRL, DeepCORAL, SourceOnly
from oligolearn.estimators.building import OnEpoch, describe_callable, resolve_device, seeded
from oligolearn.estimators.domain_training import DomainTraining, checked_domains, domains_to_predict, split_sides
from oligolearn.estimators.harmonising import HARMONISERS
from oligolearn.estimators.mapping import MAPS
from oligolearn.estimators.shift import standardise_domains
from oligolearn.estimators.starting import Pretrained, Start, find_pretrained
from oligolearn.nn import Classifier, Encoder
from oligolearn.training import Runtime, Schedule, apply_in_batches, n_batches

_LINEAR = ("linear", *MAPS, *HARMONISERS)
_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "source": SourceOnly,
    "dann": DANN,
    "deep-coral": DeepCORAL,
    "dan": DAN,
    "wdgrl": WDGRL,
}
_OF_CLASSES = ("cdan", "cada", "f-cada")
_RIDGES = tuple(10.0**power for power in range(-1, 7))
_SMALL = {"hidden": (128, 64), "dropout": 0.5}


class DomainAdaptedRegressor(RegressorMixin, BaseEstimator):
    """Regression for a target domain without values (or with a few), learned from source domains that have them.

    Values are standardised by those that are known and given back in their own unit; networks minimise the squared
    error in place of the cross-entropy of classes.

    Parameters
    ----------
    method
        As in `DomainAdaptedClassifier`, with ridge regression, its strength chosen by leave-one-out, in place of
        logistic regression: ``"linear"``, ``"coral"``, ``"optimal-transport"``, ``"combat"``, ``"quantile"``,
        ``"source"``, ``"dann"``, ``"deep-coral"``, ``"dan"``, ``"wdgrl"`` or a factory ``(Classifier,
        **method_options) -> objective`` whose classifier has one output, the value. ``"cdan"``, ``"cada"`` and
        ``"f-cada"`` need classes.
    standardize
        ``"each"``, ``"together"``, ``"combat"`` or ``"quantile"``; ``"auto"`` for ``"each"``, since what chooses for
        classes counts how many of them come out right.
    pretrained, encoder, encoder_options, method_options
        As in `DomainAdaptedClassifier`.
    epochs, batch_size, learning_rate, weight_decay, dropout, min_steps, random_state, device, precision, on_epoch
        As in `DomainAdaptedClassifier`.

    Attributes
    ----------
    domains_ : ndarray
        Values of `sample_domain`, sorted.
    target_model_, source_model_ : RidgeCV or Classifier
        What predicts standardised values from standardised rows of the target and of the sources.
    scalers_ : dict
        What standardises the rows of each domain.
    center_, spread_ : float
        Mean and standard deviation of the values that are known.
    adaptation_ : dict
        What was done, JSON-able.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(160, 10))
    >>> y = 50 + 10 * X[:, 0]
    >>> domain = np.repeat([0, -1], 80)
    >>> X[domain < 0] = 5 * X[domain < 0] - 20  # another unit
    >>> shown = np.where(domain < 0, np.nan, y)
    >>> model = DomainAdaptedRegressor().fit(X, shown, domain)
    >>> bool(model.score(X[domain < 0], y[domain < 0]) > 0.9)
    True
    """

    def __init__(
        self,
        method: str | Callable[..., nn.Module] = "linear",
        pretrained: Pretrained = None,
        *,
        encoder: str | Callable[..., Encoder] = "mlp",
        encoder_options: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
        standardize: str = "auto",
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        dropout: float = 0.0,
        min_steps: int = 300,
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
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.min_steps = min_steps
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.on_epoch = on_epoch

    def fit(self, X: ArrayLike, y: ArrayLike, sample_domain: ArrayLike | None = None) -> Self:
        """Train on the rows of the sources whose value is known and on the rows of the target.

        Parameters
        ----------
        X
            Log expression or the like, ``(n_samples, n_genes)``, NaN where missing.
        y
            Values ``(n_samples,)``; NaN where not known. Those of target rows are used where there are any.
        sample_domain
            As in `DomainAdaptedClassifier.fit`.

        Raises
        ------
        ValueError
            If a domain, a value or a setting cannot be used, or no source row has a value.
        """
        rows = validate_data(
            self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        values = _checked_values(y, len(rows))
        domains = checked_domains(sample_domain, np.isnan(values))
        self.domains_ = np.unique(domains)
        is_target, known = domains < 0, ~np.isnan(values)
        method = self._chosen_method(has_target=bool(is_target.any()))
        how = str(method) if method in HARMONISERS else "each" if self.standardize == "auto" else self.standardize
        self.adaptation_: dict[str, Any] = {
            "method": method if isinstance(method, str) else describe_callable(method),
            "standardize": how,
            "n_source": int((~is_target).sum()),
            "n_target": int(is_target.sum()),
            "n_target_labelled": int((is_target & known).sum()),
        }
        standardised, self.scalers_ = standardise_domains(rows, domains, how)
        self.center_ = float(values[known].mean())
        self.spread_ = float(values[known].std()) or 1.0
        wanted = ((values - self.center_) / self.spread_).astype(np.float32)
        train: Callable[..., tuple[Any, Any]] = self._ridge if method in _LINEAR else self._network
        self.target_model_, self.source_model_ = train(method, standardised, wanted, domains)
        return self

    def _chosen_method(self, *, has_target: bool) -> str | Callable[..., nn.Module]:
        method = self.method
        if method in _OF_CLASSES:
            raise ValueError(f"method {method!r} needs classes, not values: choose another one, such as 'dann'")
        if isinstance(method, str) and method not in (*_LINEAR, *_NETWORKS):
            raise ValueError(
                f"unknown method {method!r}; choose one of {', '.join((*_LINEAR, *_NETWORKS))}, or pass a factory"
            )
        if self.method_options and method in ("source", *_LINEAR):
            raise ValueError(f"method {method!r} has no options, found {', '.join(self.method_options)}")
        if self.pretrained is not None and method in _LINEAR:
            raise ValueError(f"pretrained is for networks, and method {method!r} trains none: choose one, such as dann")
        allowed = {**dict.fromkeys(MAPS, "each"), **{name: name for name in HARMONISERS}}.get(str(method))
        if allowed and self.standardize not in ("auto", allowed):
            raise ValueError(f"method {method!r} needs standardize={allowed!r} or 'auto', found {self.standardize!r}")
        if not has_target and method not in ("linear", "source"):
            warnings.warn("there are no rows of a target: trained on the source alone", UserWarning, stacklevel=3)
            return "linear" if method in _LINEAR else "source"
        return method

    def _ridge(
        self, method: object, x: NDArray[np.float32], wanted: NDArray[np.float32], domains: NDArray[np.int64]
    ) -> tuple[RidgeCV, RidgeCV]:
        known, is_source = ~np.isnan(wanted), domains >= 0
        if method not in MAPS:
            model = RidgeCV(_RIDGES).fit(x[known], wanted[known])
            return model, model
        to_target = MAPS[str(method)](x[is_source], x[~is_source])
        mapped = x.astype(np.float64)
        mapped[is_source] = to_target(mapped[is_source])
        of_target = RidgeCV(_RIDGES).fit(mapped[known], wanted[known])
        of_source = copy.copy(of_target)
        of_source.coef_ = to_target.before(of_target.coef_[None])[0]
        return of_target, of_source

    def _network(
        self,
        method: str | Callable[..., nn.Module],
        standardised: NDArray[np.float32],
        wanted: NDArray[np.float32],
        domains: NDArray[np.int64],
    ) -> tuple[Classifier, Classifier]:
        device, seed = resolve_device(self.device), int(check_random_state(self.random_state).randint(2**31))
        options = _SMALL if self.encoder_options is None and self.encoder == "mlp" else self.encoder_options
        source = find_pretrained(self.pretrained, standardised, seed)
        with seeded(seed, device):
            network = Start(self.encoder, options, source, dropout=self.dropout).build(standardised.shape[1], 1)
            objective = self._objective(method, network).to(device)
        sides = split_sides(torch.from_numpy(standardised).to(device), torch.from_numpy(wanted).to(device), domains)
        longest = max(len(sides.source), len(sides.target))
        steps = max(self.epochs * n_batches(longest, self.batch_size), self.min_steps)
        schedule = Schedule(steps, self.batch_size, self.learning_rate, self.weight_decay)
        DomainTraining(sides, schedule, seed, Runtime(self.precision), self.on_epoch).fit(objective)
        return network.eval(), network

    def _objective(self, method: str | Callable[..., nn.Module], network: Classifier) -> nn.Module:
        factory = _NETWORKS[method] if isinstance(method, str) else method
        takes_sources = "n_sources" in inspect.signature(factory).parameters
        given = {"n_sources": int((self.domains_ >= 0).sum())} if takes_sources else {}
        options = {} if method == "source" else dict(self.method_options or {})
        return factory(network, **given, **options)

    def predict(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[np.float64]:
        """Value of each row, ``(n_samples,)``, in the unit of `y`.

        Parameters
        ----------
        X
            ``(n_samples, n_genes)``.
        sample_domain
            Domain of each row, as in `fit`; None: all are of the target.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", reset=False)
        domains = domains_to_predict(sample_domain, self.domains_, len(rows))
        found = np.empty(len(rows))
        for domain in np.unique(domains).tolist():
            x = self.scalers_[domain].transform(rows[domains == domain])
            model = self.source_model_ if domain >= 0 else self.target_model_
            found[domains == domain] = (
                apply_in_batches(model, torch.from_numpy(x))[:, 0].numpy()
                if isinstance(model, nn.Module)
                else model.predict(x.astype(np.float64))  # the same digits whatever other rows there are
            )
        return self.center_ + self.spread_ * found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _checked_values(y: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    if y is None:
        raise ValueError("DomainAdaptedRegressor requires y to be passed, but the target y is None")
    values = column_or_1d(y, dtype=np.float64, warn=True)
    if len(values) != n_rows:
        raise ValueError(f"X and y must have as many rows, found {n_rows} and {len(values)}")
    if np.isinf(values).any():
        raise ValueError("Input y contains infinity; NaN marks rows whose value is not known")
    return values

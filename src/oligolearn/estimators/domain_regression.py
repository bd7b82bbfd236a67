"""A regression for a domain of which no values are known, learned from others, as a scikit-learn estimator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted
from torch import nn

from oligolearn.estimators.adaptation_methods import Method, for_unmapped_rows, map_to_target
from oligolearn.estimators.building import OnEpoch, resolve_device, seeded
from oligolearn.estimators.domain_fitting import (
    Learning,
    Pair,
    apply_per_domain,
    encoder_options_of,
    fit_domains,
    train_pair,
)
from oligolearn.estimators.domain_training import (
    DomainRows,
    checked_domains,
    domains_to_predict,
    first_source,
    main_domain,
    refuse_several_targets,
)
from oligolearn.estimators.expression_input import checked_expression
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.starting import Pretrained, Start, find_pretrained
from oligolearn.estimators.value_models import NetworkRegression, StandardisedRidge, Unit
from oligolearn.estimators.value_selection import VALUE_CANDIDATES, select_for_values
from oligolearn.estimators.value_shift import (
    ValueStudy,
    find_value_harm,
    look_back_on_values,
    ridge_regression,
    study_value_shift,
)
from oligolearn.nn import Encoder
from oligolearn.saving import Bundle


class DomainAdaptedRegressor(RegressorMixin, BaseEstimator):
    """Regression for a target domain without values (or with a few), learned from source domains that have them.

    Values are standardised by those that are known and given back in their own unit; networks minimise the squared
    error in place of the cross-entropy of classes.

    Parameters
    ----------
    method
        As in `DomainAdaptedClassifier`, with ridge regression, its strength chosen by leave-one-out, in place of
        logistic regression: ``"auto"`` and ``"linear"``, ``"coral"``, ``"optimal-transport"``, ``"combat"``,
        ``"quantile"``, ``"source"``, ``"dann"``, ``"deep-coral"``, ``"dan"``, ``"wdgrl"``, ``"select"`` or a factory
        ``(Classifier, **method_options) -> objective`` whose classifier has one output, the value. ``"cdan"``,
        ``"cada"`` and ``"f-cada"`` need classes.
    standardize
        As in `DomainAdaptedClassifier`, but ``"auto"`` takes ``"together"`` where, among samples of like predicted
        values, the domains can hardly be told apart (`domain_auroc` below .65), or where a target has fewer than five
        rows, and ``"each"`` elsewhere; reverse validation cannot tell for numbers.
    candidates
        Methods for ``"select"``, the simplest first; None for `oligolearn.estimators.VALUE_CANDIDATES` (see
        `oligolearn.estimators.select_for_values`).
    pretrained, encoder, encoder_options, method_options, measure_shift
        As in `DomainAdaptedClassifier`.
    epochs, batch_size, learning_rate, weight_decay, dropout, min_steps, random_state, device, precision, on_epoch
        As in `DomainAdaptedClassifier`.

    Attributes
    ----------
    domains_ : ndarray
        Values of `sample_domain`, sorted.
    target_model_, source_model_ : StandardisedRidge or NetworkRegression
        What predicts rows of the target and of the sources.
    scalers_ : dict
        What standardises the rows of each domain.
    unit_ : Unit
        Mean and standard deviation of the values that are known.
    adaptation_ : dict
        What was done and why, JSON-able: sizes, ``method``, ``standardize``, ``domain_auroc`` before, within like
        values and after, ``source_r2`` (of ridge regression in the source, by leave-one-out), ``values`` (of the
        source, and as predicted of the target), ``warnings``, and ``selection``, the table of ``"select"``.

    Warns
    -----
    NegativeTransferWarning
        If the model is likely to be worse than ridge regression without more adaptation.

    Notes
    -----
    The mean of the target's values, as opposed to how its samples differ, is not in the data: where each domain is
    standardised by itself it comes out as that of the sources.

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

    scalers_: dict[int, Scaler]
    target_model_: StandardisedRidge | NetworkRegression
    source_model_: StandardisedRidge | NetworkRegression

    def __init__(
        self,
        method: str | Callable[..., nn.Module] = "auto",
        pretrained: Pretrained = None,
        *,
        encoder: str | Callable[..., Encoder] = "mlp",
        encoder_options: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
        standardize: str = "auto",
        candidates: Sequence[str] | None = None,
        measure_shift: bool = True,
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
        self.candidates = candidates
        self.measure_shift = measure_shift
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
        rows = checked_expression(self, X, to_fit=True)
        values = _checked_values(y, len(rows))
        domains = checked_domains(sample_domain, np.isnan(values))
        known = values[~np.isnan(values)]
        self.unit_ = Unit(float(known.mean()), float(known.std()) or 1.0)
        wanted = self.unit_.standardise(values).astype(np.float32)
        fit_domains(self, DomainRows(rows, wanted, domains), _OF_VALUES)
        return self

    def predict(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[np.float64]:
        """Value of each row, ``(n_samples,)``, in the unit of `y`.

        Parameters
        ----------
        X
            ``(n_samples, n_genes)``.
        sample_domain
            Domain of each row, as in `fit`; None: all are of the target.
        """
        rows = checked_expression(self, X)
        domains = domains_to_predict(sample_domain, self.domains_, len(rows))
        return apply_per_domain(self, rows, domains, lambda one, x: one.predict(x))

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Output of the network's encoder for rows of the target, ``(n_samples, out_dim)``.

        Raises
        ------
        ValueError
            If the method is ridge regression.
        """
        values = checked_expression(self, X)
        return self.target_model_.embed(values)

    def to_bundle(self) -> Bundle:
        """Describe what predicts rows of the target, for saving; it is read as the model that it is.

        What predicts rows of sources is not kept.
        """
        check_is_fitted(self)
        refuse_several_targets(self.domains_)
        bundle = self.target_model_.to_bundle()
        return Bundle({**bundle.description, "adaptation": self.adaptation_}, bundle.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _train_linear(
    model: DomainAdaptedRegressor, method: Method, rows: DomainRows, standardised: NDArray[np.float32]
) -> Pair:
    x, to_target = map_to_target(method, standardised, rows.domains)
    of_target = ridge_regression(x[rows.known], rows.labels[rows.known])
    pairs = (
        (of_target, main_domain(model.domains_)),
        (for_unmapped_rows(of_target, to_target), first_source(model.domains_)),
    )
    of_both = [
        StandardisedRidge(model.scalers_[domain], one.coef_, float(one.intercept_), model.unit_)
        for one, domain in pairs
    ]
    return of_both[0], of_both[1]


def _train_network(
    model: DomainAdaptedRegressor, method: Method, rows: DomainRows, standardised: NDArray[np.float32]
) -> Pair:
    seed = int(check_random_state(model.random_state).randint(2**31))
    source = find_pretrained(model.pretrained, standardised, seed)
    if source is not None:
        model.adaptation_["pretrained"] = (source.pretraining_ or {}).get("objective")
    start = Start(model.encoder, encoder_options_of(model), source, dropout=model.dropout)
    with seeded(seed, resolve_device(model.device)):
        network = start.build(standardised.shape[1], 1)
    pair = train_pair(model, method, network, rows, standardised, seed=seed)
    training = {
        "epochs": len(pair.losses),
        "batch_size": model.batch_size,
        "learning_rate": pair.schedule.learning_rate,
        "weight_decay": model.weight_decay,
        "dropout": model.dropout,
        "losses": pair.losses,
    }
    of_both = [
        NetworkRegression(model.scalers_[domain], module, start.recipe, model.unit_, training)
        for module, domain in (
            (pair.of_target, main_domain(model.domains_)),
            (pair.of_source, first_source(model.domains_)),
        )
    ]
    return of_both[0], of_both[1]


def _standardised_predictions(
    model: DomainAdaptedRegressor, values: NDArray[np.floating], domains: NDArray[np.int64]
) -> NDArray[np.float64]:
    return model.unit_.standardise(model.predict(values, domains))


def _look_back(
    model: DomainAdaptedRegressor, study: ValueStudy, found: NDArray[np.float64], seen: NDArray[np.floating]
) -> tuple[dict[str, Any], list[str]]:
    return look_back_on_values(study, found, seen, model.unit_), find_value_harm(study, found)


_OF_VALUES = Learning(
    of_values=True,
    regression="ridge regression",
    candidates=VALUE_CANDIDATES,
    given=("unit_",),
    study=study_value_shift,
    select=select_for_values,
    train_linear=_train_linear,
    train_network=_train_network,
    predict=_standardised_predictions,
    look_back=_look_back,
)


def _checked_values(y: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    if y is None:
        raise ValueError("DomainAdaptedRegressor requires y to be passed, but the target y is None")
    values = column_or_1d(y, dtype=np.float64, warn=True)
    if len(values) != n_rows:
        raise ValueError(f"X and y must have as many rows, found {n_rows} and {len(values)}")
    if np.isinf(values).any():
        raise ValueError("Input y contains infinity; NaN marks rows whose value is not known")
    return values

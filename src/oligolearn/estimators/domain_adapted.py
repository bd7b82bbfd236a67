"""A classifier for a domain whose labels nobody has, learned from others, as a scikit-learn estimator."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from oligolearn.estimators.adaptation_methods import Method, for_unmapped_rows, map_to_target
from oligolearn.estimators.adaptation_selection import CANDIDATES, select_adaptation
from oligolearn.estimators.building import OnEpoch, resolve_device
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
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.labels import UNLABELLED, encode_labels
from oligolearn.estimators.linear import StandardisedLogistic
from oligolearn.estimators.shift import linear_classifier
from oligolearn.estimators.starting import Pretrained
from oligolearn.estimators.transfer_safety import ShiftStudy, find_negative_transfer, look_back, study_shift
from oligolearn.nn import Encoder
from oligolearn.saving import Bundle
from oligolearn.training import History


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
        (`domain_auroc` below .65), where `reverse_validation` is better with it by more than one standard error, or no
        worse while neighbours in the target have more names in common with it (`neighbour_agreement`, by .1), or where
        a target has fewer than five rows. ``"combat"`` and ``"quantile"`` bring all domains to the scale of the
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
        and after, ``reverse_validation``, ``neighbour_agreement``, ``class_mix`` (see
        `oligolearn.estimators.estimate_class_mix`), ``named`` (share of each class in the target as predicted),
        ``warnings``, and ``selection``, the table of ``"select"``.

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

    scalers_: dict[int, Scaler]
    target_model_: FineTunedClassifier | StandardisedLogistic
    source_model_: FineTunedClassifier | StandardisedLogistic

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
        values = checked_expression(self, X, to_fit=True)
        self.classes_, codes = encode_labels(y, self.unlabelled)
        if len(codes) != len(values):
            raise ValueError(f"X and y must have as many rows, found {len(values)} and {len(codes)}")
        fit_domains(self, DomainRows(values, codes, checked_domains(sample_domain, codes == UNLABELLED)), _OF_CLASSES)
        return self

    def predict_proba(self, X: ArrayLike, sample_domain: ArrayLike | None = None) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``, in the order of `classes_`.

        Parameters
        ----------
        X
            ``(n_samples, n_genes)``.
        sample_domain
            Domain of each row, as in `fit`; None: all are of the target.
        """
        values = checked_expression(self, X)
        domains = domains_to_predict(sample_domain, self.domains_, len(values))
        return apply_per_domain(self, values, domains, lambda one, x: one.predict_proba(x))

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
        values = checked_expression(self, X)
        return self.target_model_.embed(values)

    def to_bundle(self) -> Bundle:
        """Describe what predicts rows of the target, for saving; it is read as the model that it is.

        What predicts rows of sources is not kept.

        Raises
        ------
        ValueError
            If there are several targets, which are standardised and predicted each by itself.
        """
        check_is_fitted(self)
        refuse_several_targets(self.domains_)
        bundle = self.target_model_.to_bundle()
        more = {"classes": self.classes_.tolist(), "adaptation": self.adaptation_}
        return Bundle({**bundle.description, **more}, bundle.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _class_weights(model: DomainAdaptedClassifier) -> str | dict[int, float] | None:
    """Weights of the classes by their numbers."""
    weight = model.class_weight
    if not isinstance(weight, Mapping):
        return weight
    return {number: weight.get(name, 1.0) for number, name in enumerate(model.classes_)}


def _train_linear(
    model: DomainAdaptedClassifier, method: Method, rows: DomainRows, standardised: NDArray[np.float32]
) -> Pair:
    x, to_target = map_to_target(method, standardised, rows.domains)
    of_target = linear_classifier(x[rows.known], rows.labels[rows.known], _class_weights(model))
    of_source = for_unmapped_rows(of_target, to_target)
    return (
        StandardisedLogistic(model.scalers_[main_domain(model.domains_)], of_target),
        StandardisedLogistic(model.scalers_[first_source(model.domains_)], of_source),
    )


def _train_network(
    model: DomainAdaptedClassifier, method: Method, rows: DomainRows, standardised: NDArray[np.float32]
) -> Pair:
    network = FineTunedClassifier(
        model.pretrained,
        model.encoder,
        encoder_options=encoder_options_of(model),
        dropout=model.dropout,
        weight_decay=model.weight_decay,
        batch_size=model.batch_size,
        class_weight=_class_weights(model),
        random_state=model.random_state,
        device=model.device,
        precision=model.precision,
    )
    known = rows.known
    # rows as the network will see them: on raw ones an encoder would be pretrained on what tells platforms apart
    given = network._prepare(standardised, np.where(known, rows.labels, np.nan))
    codes = given.codes
    if given.source is not None:
        model.adaptation_["pretrained"] = (given.source.pretraining_ or {}).get("objective")
    x = torch.from_numpy(standardised[known]).to(resolve_device(model.device))
    weight = network._build(x, codes[known], given).class_weight
    pair = train_pair(
        model,
        method,
        network.module_,
        rows._replace(labels=codes),
        standardised,
        seed=given.seed,
        class_weight=weight,
    )
    models = []
    for module, domain in (
        (pair.of_target, main_domain(model.domains_)),
        (pair.of_source, first_source(model.domains_)),
    ):
        one = copy.copy(network)
        one.module_, one.scaler_ = module, model.scalers_[domain]
        models.append(one._finish(History(pair.losses, [], len(pair.losses) - 1), pair.schedule))
    return models[0], models[1]


def _look_back(
    model: DomainAdaptedClassifier, study: ShiftStudy, probabilities: NDArray[np.float64], seen: NDArray[np.floating]
) -> tuple[dict[str, Any], list[str]]:
    named = probabilities.argmax(axis=1)
    return look_back(study, named, seen, model.classes_.tolist()), find_negative_transfer(study, named)


_OF_CLASSES = Learning(
    of_values=False,
    regression="logistic regression",
    candidates=CANDIDATES,
    given=("classes_",),
    study=lambda rows: study_shift(*rows),
    select=select_adaptation,
    train_linear=_train_linear,
    train_network=_train_network,
    predict=lambda model, values, domains: model.predict_proba(values, domains),
    look_back=_look_back,
)

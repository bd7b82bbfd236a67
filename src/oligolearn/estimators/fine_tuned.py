"""Training a classifier from few labels, from scratch or on top of a pretrained encoder."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.data.scaling import ExpressionScaler
from oligolearn.estimators.building import (
    SCALER,
    OnEpoch,
    describe_encoder,
    describe_scaler,
    resolve_device,
    seeded,
)
from oligolearn.estimators.expression_input import checked_expression
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.labels import UNLABELLED, encode_labels, few_of_each_class
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.estimators.starting import Pretrained, Start, find_pretrained
from oligolearn.nn import ClassificationLoss, Classifier, Encoder
from oligolearn.saving import Bundle
from oligolearn.training import History, Runtime, Schedule, apply_in_batches, fit, n_batches

FROM_SCRATCH_RATE = 3e-3
GENTLEST_RATE = 3e-4


def fine_tuning_rate(n_labelled: int) -> float:
    """Learning rate on top of a pretrained encoder: few rows would distort it, many improve it.

    3e-4 for up to 100 labelled rows, then in proportion to them up to 3e-3, the rate from scratch, from 1,000 on.

    Examples
    --------
    >>> fine_tuning_rate(22), fine_tuning_rate(500), fine_tuning_rate(10_000)
    (0.0003, 0.0015, 0.003)
    """
    return round(min(FROM_SCRATCH_RATE, GENTLEST_RATE * max(1.0, n_labelled / 100)), 8)


class Prepared(NamedTuple):
    """What `FineTunedClassifier.fit` is given, checked.

    Attributes
    ----------
    values
        ``(n_samples, n_genes)``, not standardised.
    codes
        Class numbers, ``(n_samples,)``, -1 where unlabelled.
    seed
        Of the training.
    source
        Fitted encoder that the network starts from, or None.
    """

    values: NDArray[np.floating]
    codes: NDArray[np.int64]
    seed: int
    source: SelfSupervisedEncoder | None


class FineTunedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of expression profiles for few labels and many unlabelled rows.

    Parameters
    ----------
    pretrained
        Where the encoder's weights come from: None (random), a `SelfSupervisedEncoder` (a fitted one is used as it is,
        one that is not fitted is pretrained on all rows given to `fit`, labelled or not), or the folder of a saved
        one. scikit-learn's `clone` forgets what was fitted, so cross-validation pretrains on each fold's training
        rows; wrap it in `sklearn.frozen.FrozenEstimator` to keep it.
    encoder, encoder_options
        Name in `oligolearn.nn.ENCODERS` or a factory, and its settings; ignored when `pretrained` brings its own.
    transfer_layers
        Number of pretrained blocks to take over, from the input on; None for all.
    frozen_layers
        Number of blocks, from the input on, that do not learn; None for all.
    probe_first
        Start the output layer of a wholly transferred (or wholly frozen) encoder from a logistic regression on its
        embedding, which keeps fine-tuning from distorting what was pretrained (Kumar 2022, arXiv:2202.10054).
    epochs, batch_size, learning_rate, weight_decay, dropout
        Of the training. `learning_rate` None: 3e-3 from scratch, `fine_tuning_rate` on a pretrained encoder.
    min_steps
        Fewest optimizer steps: few labels get more epochs.
    class_weight
        None, ``"balanced"`` for weights inverse to the class frequencies, or a dict from class to weight.
    early_stopping
        Hold out `validation_fraction` of the *labelled* rows (no others: a user has no more) and keep the epoch with
        the smallest loss on them. Stops after `patience` epochs without a better one.
    unlabelled
        A value of `y` that means "no label", besides NaN and None: pass -1 for scikit-learn's semi-supervised
        convention.
    random_state, device, precision, on_epoch
        As in `SelfSupervisedEncoder`.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted.
    scaler_ : ExpressionScaler
        That of the pretrained encoder, else fitted on all rows given to `fit`.
    module_ : Classifier
        The network.
    history_ : History
        Loss of each epoch; a classifier read from a bundle has none.
    training_ : dict
        How it was trained, JSON-able.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 10)) + 3 * np.repeat([0, 1], 40)[:, None]
    >>> y = np.repeat([0.0, 1.0], 40)
    >>> y[rng.permutation(80)[:60]] = np.nan
    >>> bool(FineTunedClassifier(random_state=0, device="cpu").fit(X, y).predict(X[:3]).tolist() == [0, 0, 0])
    True
    """

    scaler_: Scaler

    def __init__(
        self,
        pretrained: Pretrained = None,
        encoder: str | Callable[..., Encoder] = "mlp",
        *,
        encoder_options: Mapping[str, Any] | None = None,
        transfer_layers: int | None = None,
        frozen_layers: int | None = 0,
        probe_first: bool = True,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        dropout: float = 0.0,
        min_steps: int = 200,
        class_weight: str | Mapping[Any, float] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        patience: int = 10,
        unlabelled: int | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: str = "auto",
        on_epoch: OnEpoch | None = None,
    ) -> None:
        self.pretrained = pretrained
        self.encoder = encoder
        self.encoder_options = encoder_options
        self.transfer_layers = transfer_layers
        self.frozen_layers = frozen_layers
        self.probe_first = probe_first
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.min_steps = min_steps
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.unlabelled = unlabelled
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.on_epoch = on_epoch

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train on the labelled rows of `X`; unlabelled ones serve scaling and pretraining.

        Parameters
        ----------
        X
            Log expression or the like, ``(n_samples, n_genes)``, NaN where missing.
        y
            Labels ``(n_samples,)``; NaN or None where unlabelled.
        groups
            Patients, ``(n_samples,)``: with `early_stopping` the rows of one stay on one side.

        Raises
        ------
        ValueError
            If `y` has fewer than two classes, or a setting is out of its range.
        """
        given = self._prepare(X, y)
        values, codes, seed = given.values, given.codes, given.seed
        device = resolve_device(self.device)
        labelled = np.flatnonzero(codes != UNLABELLED)
        x = torch.from_numpy(self.scaler_.transform(values[labelled])).to(device)
        target = torch.from_numpy(codes[labelled]).to(device)
        train, held_out = self._hold_out(
            codes[labelled], None if groups is None else np.asarray(groups)[labelled], seed
        )
        loss = self._build(x[train], codes[labelled][train.numpy()], given)
        schedule = self._schedule(len(train))

        @torch.no_grad()
        def score() -> float:
            return -float(F.cross_entropy(self.module_(x[held_out]), target[held_out]))

        history = fit(
            loss,
            lambda numbers: (x[train[numbers]], target[train[numbers]]),
            len(train),
            schedule,
            generator=torch.Generator().manual_seed(seed),
            score=score if len(held_out) else None,
            on_epoch=self.on_epoch,
            runtime=Runtime(self.precision),
        )
        return self._finish(history, schedule)

    def _prepare(self, X: ArrayLike, y: ArrayLike | None) -> "Prepared":
        """Check and encode what `fit` is given, draw the seed, find scaler and pretrained encoder.

        This, `_build`, `_schedule` and `_finish` are the steps of `fit`, and of what trains a network in another way:
        `together`, `self_trained` and `domain_adapted`.
        """
        if y is None:
            raise ValueError("FineTunedClassifier requires y to be passed, but the target y is None")
        values = checked_expression(self, X, to_fit=True)
        self.classes_, codes = encode_labels(y, self.unlabelled)
        if len(codes) != len(values):
            raise ValueError(f"X and y must have as many rows, found {len(values)} and {len(codes)}")
        seed = int(check_random_state(self.random_state).randint(2**31))
        source = find_pretrained(self.pretrained, values, seed)
        self.scaler_ = ExpressionScaler().fit(values) if source is None else source.scaler_
        return Prepared(values, codes, seed, source)

    def _build(self, x: Tensor, codes: NDArray[np.int64], given: "Prepared") -> ClassificationLoss:
        """Loss of a new network for rows `x` and their class numbers; sets `module_`."""
        start = Start(
            self.encoder, self.encoder_options, given.source, self.transfer_layers, self.frozen_layers, self.dropout
        )
        with seeded(given.seed, x.device):
            self.module_ = start.build(x.shape[1], len(self.classes_)).to(x.device)
        self._recipe = start.recipe
        if self.probe_first and self._embeds_already():
            self._probe(x, codes)
        return ClassificationLoss(self.module_, self._class_weights(codes)).to(x.device)

    def _finish(self, history: History, schedule: Schedule) -> Self:
        self.history_ = history
        self.training_ = self._describe_training(schedule)
        return self

    def to_bundle(self) -> Bundle:
        """Describe the fitted classifier for saving."""
        check_is_fitted(self)
        scaling, tables = describe_scaler(self.scaler_)
        description = {
            "kind": "classifier",
            "classes": self.classes_.tolist(),
            "architecture": describe_encoder(*self._recipe),
            "scaling": scaling,
            "training": self.training_,
        }
        return Bundle(description, {**self.module_.state_dict(), **tables})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted classifier from what `to_bundle` described."""
        source = SelfSupervisedEncoder.from_bundle(bundle)
        model = cls(encoder=source.encoder, encoder_options=source.encoder_options)
        model.classes_ = np.array(bundle.description["classes"])
        model.scaler_ = source.scaler_
        model.n_features_in_ = source.n_features_in_
        model._recipe = (source.encoder, source.encoder_options)
        model.training_ = bundle.description["training"]
        model.module_ = Classifier(source.encoder_, len(model.classes_))
        model.module_.load_state_dict(
            {name: value for name, value in bundle.weights.items() if not name.startswith(SCALER)}
        )
        model.module_.eval()
        return model

    def _describe_training(self, schedule: Schedule) -> dict[str, Any]:
        return {
            "transfer_layers": self.transfer_layers if self.pretrained is not None else 0,
            "frozen_layers": self.module_.frozen_blocks,
            "epochs": len(self.history_.losses),
            "batch_size": self.batch_size,
            "learning_rate": schedule.learning_rate,
            "weight_decay": self.weight_decay,
            "dropout": self.dropout,
            "losses": self.history_.losses,
        }

    def _embeds_already(self) -> bool:
        """Whether the encoder is worth reading before it is trained: all of it is pretrained, or none of it learns."""
        return len(self.module_.encoder.blocks) in (self.module_.pretrained_blocks, self.module_.frozen_blocks)

    def _probe(self, x: Tensor, codes: NDArray[np.int64]) -> None:
        """Set the output layer to a logistic regression on the embedding."""
        embedding = apply_in_batches(self.module_.encoder, x).double().numpy()
        spread = embedding.std(axis=0).mean() or 1.0
        of_samples = compute_sample_weight(self.class_weight, self.classes_[codes])
        with few_of_each_class():
            probe = LogisticRegression(max_iter=1000).fit(embedding / spread, codes, sample_weight=of_samples)
        weight, bias = probe.coef_ / spread, probe.intercept_
        if len(probe.classes_) == 2:  # one row for the second class against the first
            weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        known = torch.from_numpy(probe.classes_)
        with torch.no_grad():
            self.module_.head.weight[known] = torch.from_numpy(weight).to(x)
            self.module_.head.bias[known] = torch.from_numpy(bias).to(x)

    def _schedule(self, n_rows: int) -> Schedule:
        rate = self.learning_rate
        if rate is None:
            rate = fine_tuning_rate(n_rows) if self.module_.pretrained_blocks else FROM_SCRATCH_RATE
        steps = max(self.epochs * n_batches(n_rows, self.batch_size), self.min_steps)
        return Schedule(steps, self.batch_size, rate, self.weight_decay, patience=self.patience)

    def _class_weights(self, codes: NDArray[np.int64]) -> Tensor | None:
        if self.class_weight is None:
            return None
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        return torch.from_numpy(weights).float()

    def _hold_out(self, codes: NDArray[np.int64], groups: NDArray[Any] | None, seed: int) -> tuple[Tensor, Tensor]:
        """Rows that train and rows that decide when to stop."""
        rows = np.arange(len(codes))
        if not self.early_stopping:
            return torch.from_numpy(rows), torch.from_numpy(rows[:0])
        if not 0 < self.validation_fraction <= 0.5:
            raise ValueError(f"validation_fraction must lie above 0 and up to 0.5, found {self.validation_fraction}")
        n_parts = round(1 / self.validation_fraction)
        if min(np.bincount(codes)) < 2 or len(codes) < 2 * n_parts:
            raise ValueError(
                f"early_stopping holds out one labelled row in {n_parts} and needs at least two rows of each class, "
                f"found {len(codes)} labelled rows, {min(np.bincount(codes))} in the smallest class; pass "
                "early_stopping=False"
            )
        with few_of_each_class():
            folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
            train, held_out = next(folds.split(rows, codes, rows if groups is None else groups))
        return torch.from_numpy(train), torch.from_numpy(held_out)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``, in the order of `classes_`."""
        values = checked_expression(self, X)
        x = torch.from_numpy(self.scaler_.transform(values))
        probabilities = apply_in_batches(nn.Sequential(self.module_, nn.Softmax(dim=1)), x).double().numpy()
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Output of the fine-tuned encoder, ``(n_samples, out_dim)``."""
        values = checked_expression(self, X)
        return apply_in_batches(self.module_.encoder, torch.from_numpy(self.scaler_.transform(values))).numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

"""A student that learns from a teacher's soft labels of unlabelled rows, as a scikit-learn classifier."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oligolearn.estimators.building import resolve_device
from oligolearn.estimators.expression_input import checked_expression
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.labels import UNLABELLED
from oligolearn.estimators.rows import spread_rows
from oligolearn.estimators.starting import find_pretrained
from oligolearn.nn import DistillationLoss
from oligolearn.saving import Bundle
from oligolearn.training import History, Runtime, Schedule, apply_in_batches, fit
from oligolearn.views import looks_at_rows, make_view

_OF_THE_STUDENT = ("epochs", "batch_size", "learning_rate", "weight_decay", "dropout", "min_steps")


class SelfTrainedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier for few labels: a teacher learns them and labels all rows softly, a student learns from all rows.

    Self-training by distillation, the last step of SimCLRv2 (Chen 2020, arXiv:2006.10029). The teacher is trained on
    the labelled rows and then frozen. The student, a new network of the same architecture, learns the teacher's
    probabilities on all rows, labelled or not (see `oligolearn.nn.DistillationLoss`). The student predicts.

    Differs from the paper: the teacher labels each row as it is, once, and not each random view of it. The student
    sees random views alone, in which half of the genes are hidden, and learns to say of a view what the teacher says of
    the whole row (as in Noisy Student, Xie 2020, arXiv:1911.04252).

    Parameters
    ----------
    teacher
        Settings of the teacher; None for a `FineTunedClassifier` from scratch. A copy of it is trained with this
        estimator's `random_state`: the teacher is then the classifier that it would be by itself. Encoder, transferred
        and frozen layers, class weights, mark of unlabelled rows, device, precision and progress are those of the
        teacher for both.
    temperature, distillation_weight
        See `oligolearn.nn.DistillationLoss`.
    pretrained_student
        Start the student, too, from the encoder that the teacher starts from, where there is one; False for random
        weights.
    view, view_options
        Random view of the rows that the student learns from, see `oligolearn.views.make_view`; None for the rows as
        they are.
    epochs, batch_size, learning_rate, weight_decay, dropout, min_steps
        Of the student's training, whose epochs go over all rows; None for the teacher's. Where the teacher's learning
        rate is None too, that of the student follows by the same rule from the number of all rows.
    random_state
        Seed of both trainings.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted.
    teacher_, student_ : FineTunedClassifier
        Both networks, fitted.
    history_ : History
        Loss of each of the student's epochs.
    self_training_ : dict
        How the student was taught, JSON-able.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 10)) + 3 * np.repeat([0, 1], 40)[:, None]
    >>> y = np.repeat([0.0, 1.0], 40)
    >>> y[rng.permutation(80)[:70]] = np.nan
    >>> model = SelfTrainedClassifier(FineTunedClassifier(device="cpu"), random_state=0).fit(X, y)
    >>> model.predict(X[:3]).tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        teacher: FineTunedClassifier | None = None,
        *,
        temperature: float = 1.0,
        distillation_weight: float = 0.5,
        pretrained_student: bool = True,
        view: str | Callable[..., Any] | None = "masking",
        view_options: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        min_steps: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.teacher = teacher
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.pretrained_student = pretrained_student
        self.view = view
        self.view_options = view_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.min_steps = min_steps
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None, *, genes: Sequence[str] | None = None
    ) -> Self:
        """Train the teacher on the labelled rows of `X`, then the student on all rows.

        Parameters
        ----------
        X
            Log expression or the like, ``(n_samples, n_genes)``, NaN where missing.
        y
            Labels ``(n_samples,)``; NaN or None where unlabelled.
        groups
            Patients, ``(n_samples,)``, for a teacher with `early_stopping`.
        genes
            Names of the columns, for a view of whole gene sets, unless `X` has them.

        Raises
        ------
        ValueError
            If `y` has fewer than two classes, or a setting is out of its range.
        TypeError
            If the teacher is another kind of estimator.
        """
        values, teacher = self._prepare(X, y)
        teacher.fit(values, y, groups)
        lesson = self._teach(teacher, values, y)
        x = torch.from_numpy(lesson.student.scaler_.transform(values)).to(lesson.soft.device)
        view = self._view(lambda: x[spread_rows(*x.shape)], getattr(self, "feature_names_in_", genes))
        draws = torch.Generator(x.device).manual_seed(lesson.seed)
        history = fit(
            lesson.loss,
            lambda numbers: (view(x[numbers], generator=draws), lesson.target[numbers], lesson.soft[numbers]),
            len(x),
            lesson.schedule,
            generator=torch.Generator().manual_seed(lesson.seed),
            on_epoch=lesson.student.on_epoch,
            runtime=Runtime(lesson.student.precision),
        )
        return self._finish(teacher, lesson, history)

    def _prepare(self, X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[np.floating], FineTunedClassifier]:
        """Check what `fit` is given; make the teacher, not fitted, whose encoder is pretrained."""
        if y is None:
            raise ValueError("SelfTrainedClassifier requires y to be passed, but the target y is None")
        values = checked_expression(self, X, to_fit=True)
        model = FineTunedClassifier() if self.teacher is None else self.teacher
        if not isinstance(model, FineTunedClassifier):
            raise TypeError(f"teacher must be a FineTunedClassifier, or None for one from scratch; found {model!r}")
        state = self.random_state
        if not isinstance(state, int | np.integer):
            state = int(check_random_state(state).randint(2**31))
        settings = {**model.get_params(deep=False), "random_state": state}
        teacher = FineTunedClassifier(**settings)
        # The student needs it too, and a teacher that is fitted has forgotten it.
        teacher.pretrained = find_pretrained(teacher.pretrained, values, int(check_random_state(state).randint(2**31)))
        return values, teacher

    def _teach(self, teacher: FineTunedClassifier, values: NDArray[np.floating], y: ArrayLike | None) -> "_Lesson":
        """Make the student of a fitted teacher, and what it learns: the teacher's logits of all rows."""
        settings = teacher.get_params(deep=False)
        own = {name: getattr(self, name) for name in _OF_THE_STUDENT if getattr(self, name) is not None}
        state = int(check_random_state(teacher.random_state).randint(2**31, size=2)[1])  # the first is the teacher's
        student = FineTunedClassifier(**{**settings, **own, "random_state": state})
        if not self.pretrained_student:
            encoder, options = teacher._recipe  # drawn anew, so that all of it has to learn
            student.set_params(
                pretrained=None, encoder=encoder, encoder_options=options, transfer_layers=None, frozen_layers=0
            )
        given = student._prepare(values, y)
        codes = given.codes
        device = resolve_device(student.device)
        labelled = np.flatnonzero(codes != UNLABELLED)
        x = torch.from_numpy(student.scaler_.transform(values[labelled])).to(device)
        class_weight = student._build(x, codes[labelled], given).class_weight
        loss = DistillationLoss(
            student.module_,
            temperature=self.temperature,
            distillation_weight=self.distillation_weight,
            class_weight=class_weight,
        )
        soft = apply_in_batches(teacher.module_, torch.from_numpy(teacher.scaler_.transform(values))).to(device)
        target = torch.from_numpy(codes).to(device)
        return _Lesson(student, loss, student._schedule(len(codes)), given.seed, target, soft)

    def _view(self, some_rows: Callable[[], Tensor], genes: Sequence[str] | None) -> Callable[..., Tensor]:
        """The view that the student sees rows in."""
        if self.view is None:
            return lambda x, generator: x
        options = dict(self.view_options or {})
        rows = some_rows() if looks_at_rows(self.view, options) else torch.empty(0)
        return make_view(self.view, options, rows=rows, genes=genes)

    def _finish(self, teacher: FineTunedClassifier, lesson: "_Lesson", history: History) -> Self:
        self.teacher_ = teacher
        self.student_ = lesson.student._finish(history, lesson.schedule)
        self.history_ = history
        self.self_training_: dict[str, Any] = {
            "temperature": self.temperature,
            "distillation_weight": self.distillation_weight,
            "view": self.view if isinstance(self.view, str | None) else repr(self.view),
            "view_options": dict(self.view_options or {}),
            "pretrained_student": self.pretrained_student and teacher.pretrained is not None,
            "n_samples": len(lesson.target),
            "n_labelled": int((lesson.target != UNLABELLED).sum()),
            "teacher": teacher.training_,
        }
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels found in `y`, sorted."""
        return self.student_.classes_

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``, in the order of `classes_`."""
        values = checked_expression(self, X)
        return self.student_.predict_proba(values)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``."""
        values = checked_expression(self, X)
        return self.student_.predict(values)

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Output of the student's encoder, ``(n_samples, out_dim)``."""
        values = checked_expression(self, X)
        return self.student_.embed(values)

    def to_bundle(self) -> Bundle:
        """Describe the student for saving: it is read as a `FineTunedClassifier`."""
        check_is_fitted(self)
        bundle = self.student_.to_bundle()
        return Bundle({**bundle.description, "self_training": self.self_training_}, bundle.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Lesson(NamedTuple):
    """A student that is set up, and what it learns."""

    student: FineTunedClassifier
    loss: DistillationLoss
    schedule: Schedule
    seed: int
    target: Tensor  # class number of each row, -1 where unlabelled
    soft: Tensor  # the teacher's logits, (n_rows, n_classes)

"""What a method of a study is given, and what it gives back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from oligolearn.estimators import SelfSupervisedEncoder


class Task(NamedTuple):
    """What a method is given.

    Attributes
    ----------
    X
        Expression of the whole cohort, ``(n_samples, n_genes)``; only rows and genes named here may be looked at.
    rows
        Numbers of all rows that may be learned from without labels.
    genes
        Numbers of the genes; None for all.
    shown
        Which of `rows` have their labels shown, ``(n_labels,)``.
    labels
        Class numbers of the rows shown.
    seed
        Of the training.
    settings
        Settings of `FineTunedClassifier` that differ from its defaults.
    pretrained
        The encoder that was pretrained on `rows`, for a method that wants one.
    groups
        Groups of the rows shown, such as patients, ``(n_labels,)``; None where each row stands for itself.
    """

    X: NDArray[np.float32]
    rows: NDArray[np.intp]
    genes: NDArray[np.intp] | None
    shown: NDArray[np.intp]
    labels: NDArray[np.integer]
    seed: int
    settings: Mapping[str, Any]
    pretrained: "SelfSupervisedEncoder | None"
    groups: NDArray[np.integer] | None = None

    def values(self) -> NDArray[np.float32]:
        """Rows and genes to learn from, ``(len(rows), n_genes)``."""
        return self.X[self.rows] if self.genes is None else self.X[np.ix_(self.rows, self.genes)]


class Predictor(Protocol):
    """A fitted classifier."""

    classes_: NDArray[np.integer]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class."""


class Fitted(NamedTuple):
    """What became of a task.

    Attributes
    ----------
    model
        The classifier, or what predicts numbers, or the `DivergedError` that says why there is none.
    how
        How a network was trained: ``"stacked"``, or ``"one at a time: "`` and the reason. Empty for other methods.
    chosen, why
        Of a method that chooses among others: which one, and why.
    """

    model: Any
    how: str = ""
    chosen: str = ""
    why: str = ""

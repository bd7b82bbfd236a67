"""Classical classifiers that every deep model is compared with."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import svd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from oligolearn.estimators.labels import check_are_classes, few_of_each_class

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_ERRORS = 2.0  # standard errors
_TOLERANCE = 1e-6  # the solver's own, 1e-4, stops too early where there are more features than samples


def _likelihood(model: LogisticRegression, X: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Mean log likelihood of the rows whose class the model has seen: with few labels a class can be in one fold only.

    Accuracy would tie at many strengths. Rows count as they do in the fit.
    """
    known = np.isin(y, model.classes_)
    if not known.any():
        return 0.0
    weight = compute_sample_weight(model.class_weight, y[known])
    return -float(log_loss(y[known], model.predict_proba(X[known]), labels=model.classes_, sample_weight=weight))


class SubspaceLogisticRegression(ClassifierMixin, BaseEstimator):
    """L2-regularised logistic regression whose strength is chosen by cross-validation on the rows given to `fit`.

    With more genes than samples the solution lies in the span of the samples, so the samples are first rotated into
    that subspace (a singular value decomposition). The result is the same as without; the cost is that of as many
    features as there are samples, not of 20,000 genes. A sparse matrix with fewer features than samples stays sparse.

    Parameters
    ----------
    Cs
        Inverse strengths to choose from, by the likelihood of held-out rows in `cv`-fold cross-validation.
    cv
        Folds at most; fewer when there are fewer rows than that in every class.
    max_iter
        Iterations of the solver.
    class_weight
        None, ``"balanced"`` for weights inverse to the class frequencies, or a weight for each class.
    strongest
        Choose the strongest regularisation whose Brier score, row by row, is less than two standard errors behind the
        best, instead of the one with the best likelihood: for data that will differ from these. Where classes are far
        apart the likelihood would favour large weights, which do not travel.
    random_state
        Seed of the folds.

    Attributes
    ----------
    coef_, intercept_ : ndarray of shape (n_classes, n_features) and (n_classes,)
        One row for two classes, as in scikit-learn.
    C_ : float
        The strength chosen.
    n_iter_ : int
        Iterations of the final fit.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 500))
    >>> y = (X[:, :20].sum(axis=1) > 0).astype(int)
    >>> SubspaceLogisticRegression().fit(X, y).coef_.shape
    (1, 500)
    """

    def __init__(
        self,
        Cs: tuple[float, ...] = STRENGTHS,
        *,
        cv: int = 5,
        max_iter: int = 1000,
        class_weight: str | Mapping[Any, float] | None = None,
        strongest: bool = False,
        random_state: int | None = 0,
    ) -> None:
        self.Cs = Cs
        self.cv = cv
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.strongest = strongest
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose the strength and fit on all rows: `X` ``(n_samples, n_features)``, also CSR; `y` ``(n_samples,)``."""
        values, y = validate_data(self, X, y, dtype=np.float64, accept_sparse="csr")
        check_are_classes(y)
        classes, counts = np.unique(y, return_counts=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes.tolist()[0]!r}; at least two classes are needed")
        rotation = None
        if values.shape[1] > values.shape[0]:
            dense = values.toarray() if issparse(values) else values
            left, size, rotation = svd(dense, full_matrices=False)
            values = left * size
        with few_of_each_class(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Number of classes in training fold")  # it is in one fold only
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # at the weakest strengths, and harmless
            self.C_ = self._choose_strength(values, np.asarray(y), counts)
            best = LogisticRegression(
                C=self.C_, tol=_TOLERANCE, max_iter=self.max_iter, class_weight=self.class_weight
            ).fit(values, y)
        self.classes_ = classes
        self.coef_ = best.coef_ if rotation is None else best.coef_ @ rotation
        self.intercept_ = best.intercept_
        self.n_iter_ = int(np.max(best.n_iter_))
        return self

    def _choose_strength(self, X: NDArray[np.float64], y: NDArray[Any], counts: NDArray[np.intp]) -> float:
        n_folds = min(self.cv, int(counts.max()))
        if n_folds < 2 or len(counts) == 2 > counts.min():
            return 1.0  # one label per class leaves nothing to validate on
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=self.random_state)
        if self.strongest:
            return self._strongest(X, y, folds)
        search = GridSearchCV(
            LogisticRegression(max_iter=self.max_iter, class_weight=self.class_weight),
            {"C": sorted(self.Cs)},
            cv=folds,
            scoring=_likelihood,
            refit=False,
        )
        return float(search.fit(X, y).best_params_["C"])

    def _strongest(self, X: NDArray[np.float64], y: NDArray[Any], folds: StratifiedKFold) -> float:
        """The strongest regularisation whose Brier score no row-by-row comparison with the best can tell from it."""
        truth = y[:, None] == np.unique(y)
        weight = compute_sample_weight(self.class_weight, y)
        losses = []
        for C in sorted(self.Cs):
            model = LogisticRegression(C=C, max_iter=self.max_iter, class_weight=self.class_weight)
            probabilities = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
            losses.append(weight * np.square(probabilities - truth).sum(axis=1))
        best = losses[int(np.argmin([loss.mean() for loss in losses]))]
        behind = [loss - best for loss in losses]
        within = [one.mean() <= _ERRORS * one.std() / np.sqrt(len(y)) for one in behind]
        return float(sorted(self.Cs)[within.index(True)])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores ``(n_samples, n_classes)``, or ``(n_samples,)`` for two classes."""
        check_is_fitted(self)
        scores = validate_data(self, X, dtype=np.float64, accept_sparse="csr", reset=False) @ self.coef_.T
        scores = scores + self.intercept_
        return scores.ravel() if len(self.classes_) == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

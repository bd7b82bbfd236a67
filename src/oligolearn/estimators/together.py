"""Many estimators fitted on one matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.training import DivergedError


class Share(NamedTuple):
    """What one estimator sees of the matrix.

    Attributes
    ----------
    rows
        Numbers of the rows to fit on.
    y
        Their labels, NaN where unlabelled, ``(len(rows),)``; None for an estimator that needs none.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.floating] | None = None


def fit_together(
    models: Sequence[FineTunedClassifier | SelfSupervisedEncoder], X: NDArray[np.float32], shares: Sequence[Share]
) -> list[FineTunedClassifier | SelfSupervisedEncoder | DivergedError]:
    """Fit each estimator on its share of `X`; those that can be trained as replicas are.

    Parameters
    ----------
    models
        Not fitted; fitted in place.
    X
        ``(n_samples, n_genes)``, shared by all.
    shares
        Rows and labels of each.

    Returns
    -------
    list
        Each model, or the error of one whose loss diverged.
    """
    fitted: list[FineTunedClassifier | SelfSupervisedEncoder | DivergedError] = []
    for model, share in zip(models, shares, strict=True):
        try:
            fitted.append(model.fit(X[share.rows], share.y))
        except DivergedError as error:
            fitted.append(error)
    return fitted

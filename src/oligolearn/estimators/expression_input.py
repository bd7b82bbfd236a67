"""What estimators of expression take as `X`."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data


def checked_expression(model: Any, X: ArrayLike, *, to_fit: bool = False) -> NDArray[np.floating]:
    """Expression as floating-point numbers, ``(n_samples, n_genes)``, NaN where a value is missing.

    Parameters
    ----------
    model
        The estimator.
    X
        What it was given.
    to_fit
        Whether `model` learns the genes of `X`; else they must be those that it was fitted on.

    Raises
    ------
    ValueError
        If a value is infinite, a gene is missing, or fewer than two samples are to be learned from.
    sklearn.exceptions.NotFittedError
        If a model that is not fitted is to be applied.
    """
    if not to_fit:
        check_is_fitted(model)
    values: NDArray[np.floating] = validate_data(
        model,
        X,
        dtype=[np.float32, np.float64],
        ensure_all_finite="allow-nan",
        ensure_min_samples=2 if to_fit else 1,
        reset=to_fit,
    )
    return values

"""How strongly a label goes with the other columns that describe the samples."""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, fdtrc  # scipy.stats, which has these too, takes half a second to import

# Columns that say how or where a sample was measured, not what it is.
BATCH = re.compile(
    r".*(batch|source|platform|study|cent(er|re)|site|plate|dataset|series|scanner|array|lane|flow.?cell|date|library"
    r"|protocol|kit|technician|instrument|project|tss|run).*",
    re.IGNORECASE,
)


class Association(NamedTuple):
    """A column and how much it says about the label.

    Attributes
    ----------
    column
        Its name.
    measure
        "Cramer's V" (bias-corrected; text) or "eta squared" (numbers), both from 0, nothing, to 1, everything.
    value, p_value
        Of the chi-squared test or of the F test of one-way analysis of variance.
    n_classes, n_pure
        Classes of the label, and those in which all samples have the same value (0 for numbers).
    is_batch
        Whether its name is one of a technical column.
    """

    column: str
    measure: str
    value: float
    p_value: float
    n_classes: int
    n_pure: int
    is_batch: bool


def cramers_v(table: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Return Cramer's V with bias correction, and the p-value of the chi-squared test.

    Parameters
    ----------
    table
        Counts, `(n_classes, n_values)`, without empty rows or columns.

    Notes
    -----
    Bergsma (2013), A bias-correction for Cramer's V and Tschuprow's T, Journal of the Korean Statistical Society 42.

    Examples
    --------
    >>> cramers_v(np.array([[50, 0], [0, 50]]))[0]
    1.0
    """
    n, (n_rows, n_columns) = int(table.sum()), table.shape
    if min(n_rows, n_columns) < 2 or n < 3:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    chi2 = float((np.square(table - expected) / expected).sum())
    freedom = (n_rows - 1) * (n_columns - 1)
    phi2 = max(0.0, chi2 / n - freedom / (n - 1))
    size = min(n_rows - (n_rows - 1) ** 2 / (n - 1), n_columns - (n_columns - 1) ** 2 / (n - 1)) - 1
    return (float(min(1.0, np.sqrt(phi2 / size))) if size > 0 else 0.0), float(chdtrc(freedom, chi2))


def eta_squared(values: npt.NDArray[np.floating], classes: npt.NDArray[np.object_]) -> tuple[float, float]:
    """Return the share of a number's variance that lies between classes, and the p-value of the F test."""
    codes, names = pd.factorize(classes)
    n, k = len(values), len(names)
    total = float(np.square(values - values.mean()).sum())
    if k < 2 or n <= k or total == 0:
        return 0.0, 1.0
    sizes = np.bincount(codes)
    means = np.bincount(codes, weights=values) / sizes
    between = float((sizes * np.square(means - values.mean())).sum())
    within = max(total - between, 0.0)
    if within <= 1e-12 * total:
        return 1.0, 0.0
    return between / total, float(fdtrc(k - 1, n - k, (between / (k - 1)) / (within / (n - k))))


def associations(obs: pd.DataFrame, label: "pd.Series[str]") -> list[Association]:
    """Measure how the label goes with every other column, the strongest first.

    Rows without a label or without a value are left out; columns with one value, and those whose values hardly repeat
    (ids), are passed over.

    Parameters
    ----------
    obs
        Columns to compare, a row per sample.
    label
        Class of each sample, NaN if unknown.
    """
    found = []
    for name, column in obs.items():
        if name == label.name:
            continue
        present = (column.notna() & label.notna()).to_numpy()
        known, classes = column[present], label[present].to_numpy(dtype=object)
        is_number = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
        n_values = known.nunique()
        if n_values < 2 or len(set(classes)) < 2 or (not is_number and n_values > len(known) / 2):
            continue
        is_batch = BATCH.fullmatch(str(name)) is not None
        if is_number:
            value, p = eta_squared(known.to_numpy(dtype=np.float64), classes)
            found.append(Association(str(name), "eta squared", value, p, len(set(classes)), 0, is_batch))
        else:
            table = pd.crosstab(classes, known.astype(str).to_numpy()).to_numpy()
            value, p = cramers_v(table)
            n_pure = int(((table > 0).sum(axis=1) == 1).sum())
            found.append(Association(str(name), "Cramer's V", value, p, len(table), n_pure, is_batch))
    return sorted(found, key=lambda one: -one.value)

"""Labels that are numbers: what a study of them splits by, predicts with, and says of the data."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import Labels, parse_numbers
from oligolearn.data.splits import MIN_CLASS_SIZE

NUMBERS, CLASSES = "numbers", "classes"  # what a label is, as `study.json` has it
_MOST_RANGES = 5


class Numbers(NamedTuple):
    """A label that is a number.

    Attributes
    ----------
    values
        ``(n_sequences,)``, NaN where unlabelled.
    ranges
        Fifths of the values, or fewer, numbered as classes are: splits and subsets of labels are stratified by them.
    """

    values: NDArray[np.float64]
    ranges: Labels


def read_numbers(text: "pd.Series[str]", label: str, groups: NDArray[np.integer]) -> Numbers:
    """Read a label that is a number.

    Parameters
    ----------
    text
        Numbers as text, NaN where there is none.
    label
        Its name, for messages.
    groups
        What a split keeps together, ``(n_sequences,)``.

    Raises
    ------
    ValueError
        If numbers are infinite, or too few different groups have one.

    Examples
    --------
    >>> read_numbers(pd.Series([str(i) for i in range(40)]), "rate", np.arange(40)).ranges.classes
    ['0 to 7', '8 to 15', '16 to 23', '24 to 31', '32 to 39']
    """
    values = parse_numbers(text, label)
    known = ~np.isnan(values)
    for n_ranges in range(_MOST_RANGES, 0, -1):
        codes = np.full(len(values), -1, dtype=np.int64)
        cuts = np.unique(np.quantile(values[known], np.arange(1, n_ranges) / n_ranges))
        codes[known] = np.unique(np.searchsorted(cuts, values[known]), return_inverse=True)[1]
        sizes = [len(np.unique(groups[codes == code])) for code in range(codes.max() + 1)]
        if min(sizes) >= MIN_CLASS_SIZE:
            names = [_named(values[codes == code]) for code in range(len(sizes))]
            return Numbers(values, Labels(names, codes, []))
    raise ValueError(
        f"label {label!r} is a number for {sizes[0]:,} different sequences or groups, but the split needs at least "
        f"{MIN_CLASS_SIZE}; give more"
    )


def _named(values: NDArray[np.float64]) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def describe_numbers(numbers: Numbers) -> dict[str, Any]:
    """What a report says of the numbers: their ranges, mean and standard deviation."""
    known = numbers.values[~np.isnan(numbers.values)]
    codes = numbers.ranges.codes
    sizes = np.bincount(codes[codes >= 0], minlength=len(numbers.ranges.classes))
    return {
        "ranges": [{"name": name, "n": int(n)} for name, n in zip(numbers.ranges.classes, sizes, strict=True)],
        "mean": float(known.mean()),
        "sd": float(known.std()),
    }

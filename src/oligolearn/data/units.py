"""What expression values are, and putting them on a log scale. No step of it looks across samples."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oligolearn.data.table import some

UNITS = ("counts", "linear", "log", "centred")
MODES = ("auto", *UNITS, "none")
# No log2 scale in use reaches this: 16-bit scanners end at 16, log2(RSEM + 1) below 30.
LARGEST_LOG = 50.0
SMALLEST_TRANSCRIPTOME = 2000
CELLS_AT_ONCE = 1 << 22


class Normalized(NamedTuple):
    """Expression on the scale that models see.

    Attributes
    ----------
    X
        `(n_samples, n_genes)`.
    units
        The `mode` that does the same to new samples: "counts", "linear", "log", "centred" or "none".
    sentence
        What was done and why.
    """

    X: npt.NDArray[np.float32]
    units: str
    sentence: str


class Survey(NamedTuple):
    """What the values of a matrix, or of a part of it, are like; `guess` says what they are."""

    smallest: float = np.inf
    largest: float = -np.inf
    whole: bool = True
    n_negative: int = 0
    n_present: int = 0

    def joined(self, other: "Survey") -> "Survey":
        """Survey of both parts."""
        return Survey(
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
            self.whole and other.whole,
            self.n_negative + other.n_negative,
            self.n_present + other.n_present,
        )

    def guess(self) -> tuple[str, str]:
        """Units and the evidence, as `guess_units` gives them."""
        return _judge(self)


def guess_units(X: npt.NDArray[np.floating]) -> tuple[str, str]:
    """Guess what the values are, and say by what.

    Parameters
    ----------
    X
        `(n_samples, n_genes)`; NaN is ignored.

    Returns
    -------
    units
        "counts": whole, none negative. "linear": beyond any log scale (TPM, intensities; also background-subtracted
        ones, which can be negative). "log". "centred": log ratios and z-scores, with many negative values.
    sentence
        The evidence.

    Raises
    ------
    ValueError
        There is no value at all.

    Examples
    --------
    >>> guess_units(np.array([[0.0, 310.0], [7.0, 25.0]]))
    ('counts', 'counts: whole numbers from 0 to 310')
    """
    return survey_values(X).guess()


def _judge(values: Survey) -> tuple[str, str]:
    if values.n_present == 0:
        raise ValueError("there is no value: all are missing")
    share_negative = values.n_negative / values.n_present
    span = f"from {values.smallest:.4g} to {values.largest:.4g}"
    if share_negative == 0:
        if values.whole and values.largest > 1:
            return "counts", f"counts: whole numbers {span}"
        if values.largest > LARGEST_LOG:
            return "linear", f"linear intensities or abundances: {span}, beyond any log scale"
        return "log", f"log scale: {span}"
    if max(values.largest, -values.smallest) > LARGEST_LOG:
        return (
            "linear",
            f"linear intensities less background: {span}, {share_negative:.1%} negative",
        )
    # Corrections leave a log scale a few values just below zero; centring makes many.
    if share_negative < 0.01 and -values.smallest < 0.1 * values.largest:
        return "log", f"log scale: {span}, of which {share_negative:.2%} negative"
    return "centred", f"centred values (log ratios or z-scores): {span}, {share_negative:.0%} negative"


def normalize(
    X: npt.NDArray[np.floating],
    mode: str = "auto",
    *,
    sample_names: Sequence[str] | None = None,
    why: str = "as asked",
    inplace: bool = False,
) -> Normalized:
    """Put expression values on a log scale, each sample by itself.

    Parameters
    ----------
    X
        `(n_samples, n_genes)`; NaN stays NaN.
    mode
        "counts": log2(CPM + 1). "linear": log2(x + 1). "log", "centred", "none": as they are. "auto": as guessed;
        linear values with negatives among them, which have no logarithm, are left as they are.
    sample_names
        For error messages.
    why
        Reason for a mode other than "auto", for the sentence.
    inplace
        Overwrite X, which must then be float32.

    Raises
    ------
    ValueError
        Negative values where a logarithm was asked for; a sample without any count.
    """
    if mode not in MODES:
        raise ValueError(f"normalize must be one of {', '.join(MODES)}, found {mode!r}")
    said = why
    units = mode
    if mode == "auto":
        units, said = guess_units(X)
        if units == "linear" and float(np.nanmin(X)) < 0:
            return Normalized(
                _float32(X, inplace), "none", f"Values are left as they are: negatives have no log ({said})."
            )
    if units in {"counts", "linear"}:
        names = sample_names if sample_names is not None else [f"row {i + 1}" for i in range(len(X))]
        out = _logged(X, units, names, inplace=inplace)
        formula = "log2(CPM + 1), each sample divided by its own total" if units == "counts" else "log2(x + 1)"
        # A panel's total is the sum of what was chosen to be measured, not how deep the sample was sequenced.
        caution = units == "counts" and X.shape[1] < SMALLEST_TRANSCRIPTOME
        warning = f" The total of only {X.shape[1]:,} genes is a poor measure of library size." if caution else ""
        return Normalized(out, units, f"Values were transformed to {formula} ({said}).{warning}")
    return Normalized(_float32(X, inplace), units, f"Values are left as they are ({said}).")


def _logged(X: npt.NDArray[np.floating], units: str, names: Sequence[str], *, inplace: bool) -> npt.NDArray[np.float32]:
    _refuse_negative(X, units, names)
    out = X if inplace and X.dtype == np.float32 else np.empty(X.shape, np.float32)
    for rows in _blocks(X):
        block = X[rows].astype(np.float64)
        if units == "counts":
            total = block.sum(axis=1, keepdims=True)
            if np.isnan(total).any():
                total = np.nansum(block, axis=1, keepdims=True)
            empty = np.flatnonzero(total[:, 0] == 0)
            if len(empty):
                listed = some([names[rows.start + int(i)] for i in empty])
                raise ValueError(f"{len(empty)} sample(s) have no counts at all ({listed}); remove them")
            block *= 1e6 / total
        block += 1
        out[rows] = np.log2(block, out=block)
    return out


def _refuse_negative(X: npt.NDArray[np.floating], units: str, names: Sequence[str]) -> None:
    for rows in _blocks(X):
        if not np.fmin.reduce(X[rows], axis=None) >= 0:
            negative = np.argwhere(X[rows] < 0)
            if not len(negative):
                continue  # nothing but missing values
            row, column = (int(i) for i in negative[0])
            what = "counts cannot be" if units == "counts" else "values without a logarithm are"
            raise ValueError(
                f"{what} negative: sample {names[rows.start + row]!r} has {X[rows.start + row, column]:.4g} in column "
                f"{column + 1}; use --normalize log for values on a log scale, or none"
            )


def _float32(X: npt.NDArray[np.floating], inplace: bool) -> npt.NDArray[np.float32]:  # noqa: FBT001
    return X.astype(np.float32, copy=not inplace)


def survey_values(X: npt.NDArray[np.floating]) -> Survey:
    """Survey a matrix, missing values left out."""
    found = Survey()
    for rows in _blocks(X):
        block = X[rows][~np.isnan(X[rows])]
        if block.size:
            whole = found.whole and bool((block == np.rint(block)).all())
            negative = int((block < 0).sum())
            found = found.joined(Survey(float(block.min()), float(block.max()), whole, negative, block.size))
    return found


def _blocks(X: npt.NDArray[np.floating]) -> Iterator[slice]:
    step = max(1, CELLS_AT_ONCE // max(1, X.shape[1]))
    return (slice(start, min(start + step, len(X))) for start in range(0, len(X), step))

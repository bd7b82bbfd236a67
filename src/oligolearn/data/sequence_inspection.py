"""What to know about a set of sequences before learning from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.sequence_groups import copies
from oligolearn.data.sequences import Sequences


def inspect_sequences(
    sequences: Sequences, file: str | Path, label: str | None = None, group: str | None = None
) -> dict[str, Any]:
    """Count, lengths, letters, copies, classes, and what may go wrong.

    Parameters
    ----------
    sequences
        As `read_sequences` gives them.
    file
        Whose name to state.
    label, group
        Columns of `obs`.

    Returns
    -------
    dict
        JSON-able.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    lengths = sequences.lengths
    n_plain = len(sequences.alphabet.letters)
    numbers = copies(sequences)
    sizes = np.bincount(numbers)
    classes: dict[str, int] = {}
    n_unlabelled = 0
    warnings = []
    if label is not None:
        text = sequences.label(label)
        classes = {str(name): int(n) for name, n in text.value_counts().items()}
        n_unlabelled = int(text.isna().sum())
        warnings += conflicting_copies(text, numbers)
    if group is not None:
        sequences.label(group)
    if (sizes > 1).any():
        warnings.append("Copies must stay on one side of a split: `train` and `leak_free_groups` see to it.")
    if lengths.max() > 2_000:
        warnings.append(
            f"{int((lengths > 2_000).sum()):,} sequences are longer than the 2,000 letters read by default."
        )
    return {
        "file": Path(file).name,
        "n_sequences": len(sequences),
        "alphabet": sequences.alphabet.name,
        "aligned": sequences.aligned,
        "notes": sequences.notes,
        "columns": [str(name) for name in sequences.obs.columns],
        "length": {name: float(value) for name, value in _quartiles(lengths).items()},
        "ambiguous": {
            "share": float((sequences.codes > n_plain).mean()),
            "n_sequences": int(sum((sequences.of(row) > n_plain).any() for row in range(len(sequences)))),
        },
        "copies": {"n_sequences": int((sizes - 1).sum()), "n_groups": int((sizes > 1).sum())},
        "label": None if label is None else {"column": label, "classes": classes, "n_unlabelled": n_unlabelled},
        "warnings": warnings,
    }


def conflicting_copies(text: "pd.Series[str]", numbers: NDArray[np.integer]) -> list[str]:
    """Warn of copies with different labels, of which no method gets all right; `numbers` are those of `copies`."""
    n_different = int((text.groupby(numbers).nunique() > 1).sum())
    if not n_different:
        return []
    return [f"{n_different:,} sequences are there several times with different labels."]


def _quartiles(lengths: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    shares = {"shortest": 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "longest": 1.0}
    return {name: np.quantile(lengths, share) for name, share in shares.items()}

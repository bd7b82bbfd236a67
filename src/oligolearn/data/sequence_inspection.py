"""What to know about a set of sequences before learning from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.inspection import column_warnings
from oligolearn.data.multi_label import several_labels
from oligolearn.data.samples import is_number, parse_numbers
from oligolearn.data.sequence_groups import copies
from oligolearn.data.sequences import Sequences


def inspect_sequences(
    sequences: Sequences,
    file: str | Path,
    label: str | None = None,
    group: str | None = None,
    *,
    separator: str | None = None,
) -> dict[str, Any]:
    """Count, lengths, letters, copies, classes, and what may go wrong.

    Parameters
    ----------
    sequences
        As `read_sequences` gives them.
    file
        Whose name to state.
    label, group
        Columns of `obs`; several labels are separated by commas.
    separator
        Between names in a cell of the label, see `several_labels`.

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
    labels, warnings = (None, []) if label is None else _labels(sequences, label, separator, numbers)
    groups = None
    if group is not None:
        values = sequences.label(group)
        groups = {"column": group, "n_groups": int(values.nunique()), "n_without": int(values.isna().sum())}
    if label is not None:
        warnings += sequence_warnings(sequences, label, group)
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
        "length": _quartiles(lengths),
        "ambiguous": {
            "share": float((sequences.codes > n_plain).mean()),
            "n_sequences": int(sum((sequences.of(row) > n_plain).any() for row in range(len(sequences)))),
        },
        "copies": {"n_sequences": int((sizes - 1).sum()), "n_groups": int((sizes > 1).sum())},
        "label": labels,
        "group": groups,
        "warnings": warnings,
    }


def sequence_warnings(sequences: Sequences, label: str, group: str | None) -> list[str]:
    """Warn of columns that explain a label of classes, and of what looks like patients; none of several labels."""
    if label not in sequences.obs or is_number(sequences.label(label)):
        return []
    others = sequences.obs.drop(columns=[label, "description"], errors="ignore")
    numbers = others.apply(pd.to_numeric, errors="coerce")
    whole = [name for name in others if numbers[name].notna().equals(others[name].notna())]
    return column_warnings(others.assign(**{str(name): numbers[name] for name in whole}), sequences.label(label), group)


def _labels(
    sequences: Sequences, label: str, separator: str | None, numbers: NDArray[np.integer]
) -> tuple[dict[str, Any], list[str]]:
    """How many sequences have each class or label, and warnings; `numbers` are those of `copies`."""
    told: dict[str, Any]
    values = several_labels(sequences, label, separator)
    if values is not None:
        counts = {"classes": (values == 1).sum(), "known": values.notna().sum()}
        told = {what: {str(name): int(n) for name, n in count.items()} for what, count in counts.items()}
        rows = pd.Series([str(row) for row in values.to_numpy().tolist()], index=values.index)
        text = rows.where(values.notna().any(axis=1))
        n_unlabelled = int(values.isna().all(axis=1).sum())
    else:
        text = sequences.label(label)
        if is_number(text):
            spread = _quartiles(parse_numbers(text, label), "smallest", "largest")
            told = {"numbers": spread}
        else:
            told = {"classes": {str(name): int(n) for name, n in text.value_counts().items()}}
        n_unlabelled = int(text.isna().sum())
    return {"column": label, **told, "n_unlabelled": n_unlabelled}, conflicting_copies(text, numbers)


def conflicting_copies(text: "pd.Series[str]", numbers: NDArray[np.integer]) -> list[str]:
    """Warn of copies with different labels, of which no method gets all right; `numbers` are those of `copies`."""
    n_different = int((text.groupby(numbers).nunique() > 1).sum())
    if not n_different:
        return []
    return [f"{n_different:,} sequences are there several times with different labels."]


def _quartiles(values: NDArray[Any], least: str = "shortest", most: str = "longest") -> dict[str, Any]:
    shares = {least: 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, most: 1.0}
    return {name: float(np.nanquantile(values, share)) for name, share in shares.items()}

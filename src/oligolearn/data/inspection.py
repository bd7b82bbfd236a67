"""What to know about a data set before learning from it."""

from collections.abc import Sequence
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from oligolearn.data.association import Association, associations
from oligolearn.data.identifiers import naming_of
from oligolearn.data.leakage import SimilarPair, exact_duplicates, near_duplicates, shared_patients
from oligolearn.data.samples import label_of
from oligolearn.data.splits import MIN_CLASS_SIZE
from oligolearn.data.units import guess_units, normalize

STRONG = 0.5  # a column this strongly associated with the label is worth a warning
NEARLY_ALL = 0.8
SIGNIFICANT = 1e-3
LISTED = 20  # pairs and groups listed; all are counted


def inspect_expression(adata: ad.AnnData, label: str | None = None, group: str | None = None) -> dict[str, Any]:
    """Summarise a data set: size, units, gaps, classes, samples that are not independent, and confounded labels.

    Parameters
    ----------
    adata
        As from `read_expression`.
    label
        Column of ``obs`` to be learnt.
    group
        Column of ``obs`` whose rows will be kept together in a split (a patient's samples).

    Returns
    -------
    A dict that can be written as JSON; ``warnings`` holds what deserves attention, in words.

    Raises
    ------
    ValueError
        There is no such column.
    """
    X = np.asarray(adata.X)
    classes = None if label is None else label_of(adata, label)
    groups = None if group is None else label_of(adata, group)
    units, why = guess_units(X)
    exact = exact_duplicates(X)
    summary: dict[str, Any] = {
        **adata.uns.get("oligolearn", {}),
        "n_samples": adata.n_obs,
        "n_genes": adata.n_vars,
        "gene_names": str(naming_of([str(name) for name in adata.var_names])),
        "columns": [str(column) for column in adata.obs.columns],
        "units": {"guess": units, "why": why},
        "missing": _missing(X, adata.var_names),
        "constant_genes": _constant(X, adata.var_names),
        "label": None if classes is None else _balance(classes),
        "duplicates": _duplicates(exact, _nearly_equal(X, exact), adata.obs_names, classes),
        "patients": _patients(adata.obs.drop(columns=[label] if label else []), classes),
        "associations": [] if classes is None else [one._asdict() for one in associations(adata.obs, classes)],
    }
    summary["group"] = None if groups is None else {"column": group, "n_groups": int(groups.nunique())}
    summary["warnings"] = _warnings(summary)
    return summary


def _missing(X: npt.NDArray[np.float32], genes: "pd.Index[str]") -> dict[str, Any]:
    share = np.isnan(X).mean(axis=0)
    worst = np.argsort(-share, kind="stable")[:5]
    return {
        "share": float(share.mean()),
        "n_values": round(float(share.sum()) * len(X)),
        "n_genes": int((share > 0).sum()),
        "worst": [{"gene": str(genes[i]), "share": float(share[i])} for i in worst if share[i] > 0],
    }


def _constant(X: npt.NDArray[np.float32], genes: "pd.Index[str]") -> dict[str, Any]:
    """Find genes with one value (or none): fmin and fmax pass over NaN."""
    constant = np.flatnonzero(~(np.fmax.reduce(X, axis=0) > np.fmin.reduce(X, axis=0)))
    return {"n": len(constant), "first": [str(genes[i]) for i in constant[:5]]}


def _balance(classes: "pd.Series[str]") -> dict[str, Any]:
    counts = classes.value_counts()
    return {
        "column": str(classes.name),
        "classes": {str(name): int(count) for name, count in counts.items()},
        "n_unlabelled": int(classes.isna().sum()),
    }


def _nearly_equal(X: npt.NDArray[np.float32], exact: Sequence[Sequence[int]]) -> list[SimilarPair]:
    group_of = {row: number for number, rows in enumerate(exact) for row in rows}
    logged = normalize(X, "auto" if not _has_empty_samples(X) else "none").X
    return [pair for pair in near_duplicates(logged) if group_of.get(pair.first, -1) != group_of.get(pair.second, -2)]


def _duplicates(
    exact: Sequence[Sequence[int]],
    near: Sequence[SimilarPair],
    samples: "pd.Index[str]",
    classes: "pd.Series[str] | None",
) -> dict[str, Any]:
    pairs = [[pair.first, pair.second] for pair in near]
    return {
        "n_exact_groups": len(exact),
        "n_exact_samples": sum(map(len, exact)),
        "n_near_pairs": len(near),
        "n_with_different_labels": sum(_differ(rows, classes) for rows in [*exact, *pairs]),
        "exact": [
            {
                "n_samples": len(rows),
                "samples": [str(samples[i]) for i in rows[:LISTED]],
                "labels_differ": _differ(rows, classes),
                "whole_class": _whole_class(rows, classes),
            }
            for rows in exact[:LISTED]
        ],
        "near": [
            {
                "samples": [str(samples[pair.first]), str(samples[pair.second])],
                "correlation": pair.correlation,
                "labels_differ": _differ([pair.first, pair.second], classes),
            }
            for pair in near[:LISTED]
        ],
    }


def _has_empty_samples(X: npt.NDArray[np.float32]) -> bool:
    return bool((np.fmax.reduce(X, axis=1) <= 0).any())


def _differ(rows: Sequence[int], classes: "pd.Series[str] | None") -> bool:
    return classes is not None and classes.iloc[list(rows)].dropna().nunique() > 1


def _whole_class(rows: Sequence[int], classes: "pd.Series[str] | None") -> str | None:
    """Return the class of which these rows are all there is, if so."""
    if classes is None:
        return None
    names = classes.iloc[list(rows)].dropna().unique()
    return str(names[0]) if len(names) == 1 and int((classes == names[0]).sum()) == len(rows) else None


def _patients(obs: pd.DataFrame, classes: "pd.Series[str] | None") -> list[dict[str, Any]]:
    found = []
    for shared in shared_patients(obs):
        n_mixed = 0
        if classes is not None:
            n_mixed = int((classes.groupby(obs[shared.column].astype(object)).nunique() > 1).sum())
        found.append({**shared._asdict(), "n_with_different_labels": n_mixed})
    return found


def _warnings(summary: dict[str, Any]) -> list[str]:
    warnings = _class_warnings(summary["label"])
    warnings.extend(_repetition(summary["duplicates"]))
    group = summary["group"]
    warnings.extend(_patient_warnings(summary["patients"], group and group["column"]))
    for one in summary["associations"]:
        warnings.extend(_confounding(Association(**one)))
    return warnings


def _repetition(duplicates: dict[str, Any]) -> list[str]:
    n_exact, n_near = duplicates["n_exact_samples"], duplicates["n_near_pairs"]
    if not n_exact and not n_near:
        return []
    differ = duplicates["n_with_different_labels"]
    warnings = [
        f"{n_exact:,} samples are exact copies of one another"
        + (f" and {n_near:,} pairs nearly so" if n_near else "")
        + ": a copy in training and one in testing makes a score too good"
        + (f"; {differ:,} of them differ in label, so some label is wrong" if differ else "")
    ]
    warnings.extend(
        f"all {one['n_samples']:,} samples of class '{one['whole_class']}' have the same values, as if they had been "
        "filled in: whatever is learnt about this class is not biology"
        for one in duplicates["exact"]
        if one["whole_class"] is not None
    )
    return warnings


def _class_warnings(label: dict[str, Any] | None) -> list[str]:
    if label is None:
        return []
    if len(label["classes"]) < 2:
        return [f"column `{label['column']}` has one class only: there is nothing to tell apart"]
    small = [name for name, count in label["classes"].items() if count < MIN_CLASS_SIZE]
    if not small:
        return []
    named = f"{', '.join(small[:5])}{', ...' if len(small) > 5 else ''}"
    return [
        f"{len(small)} of {len(label['classes'])} classes have fewer than {MIN_CLASS_SIZE} samples ({named}): merge "
        "them, or leave them out (--min-class-size)"
    ]


def _confounding(one: Association) -> list[str]:
    """Say in words that a column explains the label, if it does."""
    if one.value < STRONG or one.p_value > SIGNIFICANT:
        return []
    what = f"a batch column `{one.column}`" if one.is_batch else f"column `{one.column}`"
    if one.measure == "eta squared":
        evidence = f"classes account for {one.value:.0%} of its variance"
    else:
        evidence = f"in {one.n_pure} of {one.n_classes} classes all samples have the same {one.column}"
    verb = "explains" if one.value >= NEARLY_ALL else "goes with"
    if one.is_batch:
        end = "a model could learn the batch instead of the biology"
    else:
        end = f"unless it belongs to the question, a model could learn `{one.column}` instead"
    return [f"{what} {verb} the label ({one.measure} {one.value:.2f}): {evidence}; {end}"]


def sample_warnings(adata: ad.AnnData, label: str, group: str | None) -> list[str]:
    """Warn of what is quickly found: copied samples, shared patients, columns that explain the label.

    Parameters
    ----------
    adata
        As from `read_expression`.
    label, group
        Columns of ``obs``, as for `inspect_expression`, which looks for near copies as well.
    """
    obs, classes = adata.obs, label_of(adata, label)
    warnings = _repetition(_duplicates(exact_duplicates(np.asarray(adata.X)), [], adata.obs_names, classes))
    return warnings + column_warnings(obs.drop(columns=[label]), classes, group)


def column_warnings(obs: pd.DataFrame, classes: "pd.Series[str]", group: str | None) -> list[str]:
    """Warn of shared patients and of columns that explain the label, which is none of `obs`."""
    warnings = _patient_warnings(_patients(obs, classes), group)
    for one in associations(obs, classes):
        warnings.extend(_confounding(one))
    return warnings


def _patient_warnings(patients: list[dict[str, Any]], group: str | None) -> list[str]:
    return [
        f"{one['n_rows']:,} rows share a `{one['column']}` with another ({one['n_shared']:,} of "
        f"{one['n_patients']:,} have several rows): use --group {one['column']}, or the same "
        f"{one['column']} is in training and in testing"
        for one in patients
        if one["column"] != group
    ]

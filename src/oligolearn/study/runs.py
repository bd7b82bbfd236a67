"""The table of a study's runs: one row per (repeat, fraction, method), checked, ordered and paired."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-12  # scores and their differences lie in -1..1; what differs by less is equal
_KEYS = ["method", "fraction", "repeat"]


def checked(results: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """Return the runs in a fixed order, so that sums do not depend on the order in which they finished.

    Raises
    ------
    ValueError
        If a column is missing or a run is in the table twice.
    """
    missing = [name for name in (*_KEYS, "n_labels", *metrics) if name not in results.columns]
    if missing:
        raise ValueError(
            f"the table of runs has no column {', '.join(missing)}; it has {', '.join(map(str, results.columns))}"
        )
    twice = results[results.duplicated(_KEYS)]
    if len(twice):
        first = ", ".join(f"{key} {twice[key].iloc[0]}" for key in _KEYS)
        raise ValueError(f"{len(twice)} runs are in the table twice (the first is {first}); keep one of each")
    return results.sort_values(_KEYS, kind="stable", ignore_index=True)


def groups(table: pd.DataFrame) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """Yield method, fraction and their runs, one per repeat, in order."""
    key: Any
    for key, runs in table.groupby(["method", "fraction"], sort=True):
        yield str(key[0]), float(key[1]), runs


def scores_by_repeat(table: pd.DataFrame, method: str, metric: str) -> dict[float, "pd.Series[float]"]:
    """Map each fraction of a method, ascending, to its scores indexed by repeat; NaN where not finite."""
    chosen = {
        fraction: runs.set_index("repeat")[metric].astype(float).replace([np.inf, -np.inf], np.nan)
        for name, fraction, runs in groups(table)
        if name == method
    }
    if not chosen:
        found = ", ".join(map(str, table["method"].unique())) or "none"
        raise ValueError(f"no run of method '{method}' is in the table; the methods are {found}")
    return chosen


def number_of_labels(table: pd.DataFrame, method: str, fraction: float) -> int:
    """Mean number of labels that a method had at a fraction, which may vary a little between repeats."""
    chosen = (table["method"] == method) & (table["fraction"] == fraction)
    return round(float(table.loc[chosen, "n_labels"].mean()))


def finite(values: Iterable[float]) -> Floats:
    """Drop what is not finite: the scores of failed runs."""
    array: Floats = np.asarray(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def constant(values: Floats) -> bool:
    """Whether values differ by rounding alone."""
    return bool(np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max())))

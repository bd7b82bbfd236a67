"""Do the intervals of "how many labels do I need" hold? Checked by hiding the upper half of real curves.

    python benchmarks/extrapolation.py [--check] [--data FOLDER] [--out FOLDER] [--repeats N] [--sets golub,tcga_mirna]

Runs a study of logistic regression, PCA + logistic regression and the network from scratch on each real cohort
(resumable in --out), shows `labels_needed` the lower half of the numbers of labels only, and judges it by the hidden
half: how often the 95 % interval of the accuracy holds the hidden mean, how far the middle of the curve is from it, how
often the interval of the labels needed for a hidden accuracy holds the number that had it, and how often it refused.
With --check it exits 1 unless the intervals of accuracy hold 85 % of the hidden means at least.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from machine import describe_machine
from scipy.optimize import curve_fit, isotonic_regression

from oligolearn.data import read_expression
from oligolearn.study import label_efficiency, labels_needed

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "expression"
METHODS = ("logistic", "pca-logistic", "scratch")
GOAL = 0.85
POINTS = 12


class Cohort(NamedTuple):
    """A real data set: file, label, the most labels to study as a share, and settings of the study."""

    file: str
    label: str
    most: float = 1.0
    samples: str | None = None
    settings: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    repeats: int = 10


COHORTS = {
    "tcga_mirna": Cohort("tcga_mirna.h5ad", "cancer_type"),
    "tcga_60genes": Cohort(
        "tcga_60genes.h5ad", "cancer_type", 0.25, settings={"group": "patient", "min_class_size": 20}, repeats=5
    ),
    "gtex": Cohort(
        "gtex_v8_reads_59genes.gct.gz",
        "tissue",
        0.25,
        "gtex_v8_samples.csv.gz",
        {"group": "donor", "min_class_size": 20},
        repeats=5,
    ),
    "rnaseqdb": Cohort(
        "rnaseqdb_counts.h5ad",
        "cohort_status",
        settings={"group": "patient", "min_class_size": 10, "top_genes": 2000},
        repeats=5,
    ),
    "golub": Cohort("microarray_golub.csv.gz", "y", settings={"top_genes": 2000}),
    "singh": Cohort("microarray_singh.csv.gz", "y", settings={"top_genes": 2000}),
    "chowdary": Cohort("microarray_chowdary.csv.gz", "y", settings={"top_genes": 2000}),
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if the goal is missed")
    options.add_argument("--data", type=Path, default=DATA, help="folder of the files")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/extrapolation"))
    options.add_argument("--repeats", type=int, help="of every study; default: 10, of large cohorts 5")
    options.add_argument("--sets", default=",".join(COHORTS), help="which cohorts")
    chosen = options.parse_args()
    if not chosen.data.is_dir():
        print(f"the cohorts are not in {chosen.data}; pass --data")
        return 1 if chosen.check else 0
    print(describe_machine())
    judged = []
    for name in chosen.sets.split(","):
        repeats = chosen.repeats or COHORTS[name].repeats
        results, sizes = study_of(COHORTS[name], chosen.data, chosen.out / f"{name}-{repeats}", repeats)
        judged.append(judge(results, sizes).assign(cohort=name))
    table = pd.concat(judged, ignore_index=True)
    show(table)
    answered = table[~table["refused"]]
    held = float(answered["accuracy_held"].mean())
    print(f"goal: {GOAL:.0%} of the hidden means held; found {held:.0%}")
    return 1 if chosen.check and held < GOAL else 0


def study_of(cohort: Cohort, data: Path, out: Path, repeats: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Runs of a study, and the sizes of its training and test sets."""
    adata = read_expression(
        data / cohort.file,
        samples=None if cohort.samples is None else data / cohort.samples,
        label=[cohort.label, *([cohort.settings["group"]] if "group" in cohort.settings else [])],
    )
    known = adata.obs[cohort.label].notna()
    smallest = adata.obs.loc[known, cohort.label].nunique() / (0.7 * known.sum())
    study = label_efficiency(
        adata,
        cohort.label,
        out=out,
        methods=METHODS,
        fractions=tuple(float(f"{f:.3g}") for f in np.geomspace(max(0.01, smallest), cohort.most, POINTS)),
        repeats=repeats,
        seed=5,
        progress=False,
        **cohort.settings,
    )
    design = study.summary["design"]
    return study.results, {"n_train": design["n_train"], "n_test": design["n_test"]}


def judge(results: pd.DataFrame, sizes: dict[str, float]) -> pd.DataFrame:
    """A row for each method and hidden number of labels."""
    numbers = np.sort(results["n_labels"].unique())
    shown, hidden = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
    visible = results[results["n_labels"].isin(shown)]
    rows = []
    for method in METHODS:
        mine, truth = (table[table["method"] == method] for table in (visible, results))
        means = truth.groupby("n_labels")["accuracy"].mean()
        rising = pd.Series(isotonic_regression(means).x, index=means.index)  # a number of labels has one accuracy
        for n in hidden[hidden <= 10 * shown[-1]]:
            wide = labels_needed(mine, min(1.0, float(rising[n])), **sizes)[0]
            narrow = labels_needed(mine, min(1.0, float(rising[n])))[0]
            first = float(rising.index[rising >= rising[n] - 1e-12][0])
            rows.append(
                {
                    "method": method,
                    "distance": n / shown[-1],
                    "truth": means[n],
                    "refused": wide["curve"] is None,
                    "naive_error": abs(naive(mine, n) - means[n]),
                    **of_accuracy(wide, n, means[n]),
                    "narrow_held": of_accuracy(narrow, n, means[n])["accuracy_held"],
                    **of_labels(wide, first),
                }
            )
    return pd.DataFrame(rows)


def of_accuracy(answer: dict[str, Any], n: float, truth: float) -> dict[str, Any]:
    """Whether the band of the curve at n labels holds the hidden mean, its width, and the error of its middle."""
    if answer["curve"] is None:
        return {"accuracy_held": np.nan, "width": np.nan, "error": np.nan}
    logs = np.log(answer["curve"]["n_labels"])
    low, middle, high = (np.interp(np.log(n), logs, answer["curve"][key]) for key in ("low", "median", "high"))
    return {"accuracy_held": float(low <= truth <= high), "width": high - low, "error": abs(middle - truth)}


def of_labels(answer: dict[str, Any], first: float) -> dict[str, Any]:
    """Whether the interval holds the number of labels that first had the accuracy, and how far the middle is off."""
    if answer["curve"] is None:
        return {"labels_held": np.nan, "factor": np.nan, "given": np.nan}
    held = (answer["low"] or 0) <= first <= (answer["high"] or np.inf)
    factor = np.nan if answer["labels"] is None else abs(np.log(answer["labels"] / first))
    wrong = answer["status"] == "out of reach"  # it was reached
    return {"labels_held": float(held and not wrong), "factor": factor, "given": float(answer["labels"] is not None)}


def naive(runs: pd.DataFrame, n: float) -> float:
    """What a least-squares power law says, without any doubt (Mukherjee 2003)."""
    means = runs.groupby("n_labels")["accuracy"].mean()

    def law(x: Any, limit: float, size: float, speed: float) -> Any:
        return limit - size * (x / means.index[0]) ** -speed

    start = (min(0.99, means.max() + 0.02), max(0.01, means.max() - means.min()), 0.5)
    fitted, _ = curve_fit(
        law, means.index.to_numpy(float), means, p0=start, bounds=([0, 0, 0.01], [1, 1.5, 5]), max_nfev=10_000
    )
    return float(law(n, *fitted))


def show(table: pd.DataFrame) -> None:
    """Coverage and error by cohort, and by how far ahead."""
    ahead = pd.cut(table["distance"], [1, 2, 5, 10.01], labels=["up to 2x", "2x to 5x", "5x to 10x"])
    for title, keys in (("cohort", [table["cohort"]]), ("labels ahead", [ahead]), ("all", [table["refused"] * 0])):
        print(f"\nby {title}:")
        summary = table.groupby(keys[0], observed=True).agg(
            hidden=("truth", "size"),
            refused=("refused", "sum"),
            accuracy_held=("accuracy_held", "mean"),
            narrow_held=("narrow_held", "mean"),
            width=("width", "mean"),
            error=("error", "mean"),
            naive_error=("naive_error", "mean"),
            labels_held=("labels_held", "mean"),
            labels_given=("given", "mean"),
            factor=("factor", lambda logs: float(np.exp(logs.mean()))),
        )
        print(summary.round(3).to_string())


if __name__ == "__main__":
    sys.exit(main())

"""Every self-supervised method on real cohorts: the table of docs/methods/pretext.md.

    python benchmarks/pretext.py [--data FOLDER] [--out FOLDER] [--repeats 10] [--sets tcga_mirna,...] [--write PAGE]

Studies of all methods at growing shares of the labels, resumable in --out; prints a table for each cohort, mean
accuracy with its 95 % interval over repeats. With --write the tables take the place of those in a page, between
``<!-- tables -->`` and ``<!-- end of tables -->``. With --check it exits 1 unless, on TCGA miRNA at 1 %, the best
pretrained method is 7 points or more above logistic regression and PCA + logistic regression, and `auto`, where it is
among the methods, is nowhere more than 1 point below the best of logistic, pca-logistic and scratch.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from machine import describe_machine
from scipy import stats

from oligolearn.data import read_expression
from oligolearn.study import METHODS, label_efficiency

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "expression"
CLASSICAL = ("logistic", "pca-logistic", "boosting")
SAFE = ("logistic", "pca-logistic", "scratch")
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.3, 1.0)


class Cohort(NamedTuple):
    """A file and how to study it; large ones are pretrained on for fewer epochs than by default, see `heading`."""

    title: str
    file: str
    label: str
    settings: dict[str, Any]
    fractions: tuple[float, ...] = FRACTIONS
    samples: str | None = None


COHORTS = {
    "tcga_mirna": Cohort(
        "TCGA miRNA, 9 cancer types, 383 miRNAs", "tcga_mirna.h5ad", "cancer_type", {"group": "patient"}
    ),
    "tcga_60genes": Cohort(
        "TCGA, 32 cancer types, 60 genes",
        "tcga_60genes.h5ad",
        "cancer_type",
        {"group": "patient", "min_class_size": 10, "pretraining": {"epochs": 30}},
    ),
    "gtex": Cohort(
        "GTEx, 30 tissues, 59 genes",
        "gtex_v8_reads_59genes.gct.gz",
        "tissue",
        {"group": "donor", "min_class_size": 10, "pretraining": {"epochs": 15}},
        samples="gtex_v8_samples.csv.gz",
    ),
    "rnaseqdb": Cohort(
        "RNAseqDB, tissue and tumour status, the 2,000 genes that vary most",
        "rnaseqdb_counts.h5ad",
        "cohort_status",
        {"group": "patient", "min_class_size": 10, "top_genes": 2000},
        fractions=(0.05, 0.1, 0.3, 1.0),
    ),
    "golub": Cohort(
        "Golub, 2 leukaemias, the 2,000 genes that vary most",
        "microarray_golub.csv.gz",
        "y",
        {"top_genes": 2000},
        fractions=(0.1, 0.2, 0.5, 1.0),
    ),
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--data", type=Path, default=DATA, help="folder of the cohorts")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the studies")
    options.add_argument("--repeats", type=int, default=10)
    options.add_argument("--sets", default=",".join(COHORTS), help="cohorts, comma-separated")
    options.add_argument("--methods", default=",".join(METHODS), help="methods, comma-separated")
    options.add_argument("--fractions", help="shares of the labels, comma-separated; default: each cohort's own")
    options.add_argument("--workers", type=int)
    options.add_argument("--write", type=Path, help="page whose tables to replace")
    chosen = options.parse_args()
    if not chosen.data.is_dir():
        print(f"the cohorts are not in {chosen.data}; pass --data")
        return 1 if chosen.check else 0
    machine = describe_machine()
    print(machine)
    texts, missed = [], []
    for name in chosen.sets.split(","):
        results = study(COHORTS[name], name, chosen)
        texts.append(f"### {heading(COHORTS[name])}\n\n{table(results)}\n")
        print(f"\n{texts[-1]}", flush=True)
        missed += missed_goals(name, results)
    print("goals:", "; ".join(missed) or "all reached")
    if chosen.write:
        replace_tables(chosen.write, f"{chosen.repeats} repeats; {machine}\n\n" + "\n".join(texts))
    return 1 if chosen.check and missed else 0


def study(cohort: Cohort, name: str, chosen: argparse.Namespace) -> pd.DataFrame:
    columns = [cohort.label, *([cohort.settings["group"]] if "group" in cohort.settings else [])]
    samples = None if cohort.samples is None else chosen.data / cohort.samples
    fractions = tuple(map(float, chosen.fractions.split(","))) if chosen.fractions else cohort.fractions
    return label_efficiency(
        read_expression(chosen.data / cohort.file, samples=samples, label=columns),
        cohort.label,
        out=chosen.out / f"pretext-{name}-{chosen.repeats}",
        workers=chosen.workers,
        methods=tuple(chosen.methods.split(",")),
        fractions=fractions,
        repeats=chosen.repeats,
        seed=11,
        **cohort.settings,
    ).results


def heading(cohort: Cohort) -> str:
    epochs = cohort.settings.get("pretraining", {}).get("epochs")
    return cohort.title + (f" (pretraining of {epochs} epochs, to spare time)" if epochs else "")


def table(results: pd.DataFrame) -> str:
    """Mean accuracy and half the width of its 95 % interval, in percent: a row for each method."""
    grouped = results.groupby(["method", "fraction"], sort=False).accuracy
    half = grouped.sem() * stats.t.ppf(0.975, grouped.count() - 1)
    mean = grouped.mean()
    fractions = sorted(results.fraction.unique())
    lines = [
        "| method | " + " | ".join(f"{fraction:.0%}" for fraction in fractions) + " |",
        "|---|" + "---|" * len(fractions),
    ]
    for method in dict.fromkeys(results.method):
        cells = [f"{100 * mean[method, f]:.1f} ± {100 * half[method, f]:.1f}" for f in fractions]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def missed_goals(name: str, results: pd.DataFrame) -> list[str]:
    mean = results.groupby(["fraction", "method"]).accuracy.mean().unstack()
    missed = []
    if name == "tcga_mirna" and 0.01 in mean.index:
        few = mean.loc[0.01]
        pretrained = few[[method for method in mean if METHODS[method].objective and method != "auto"]].max()
        gain = pretrained - few[[method for method in CLASSICAL if method in mean]].max()
        if gain < 0.07:
            missed.append(f"{name}, 1 %: best pretrained - best classical {gain:+.3f}, wanted +.07")
    if "auto" in mean and set(SAFE) <= set(mean):
        loss = mean[list(SAFE)].max(axis=1) - mean["auto"]
        missed += [f"{name}, {f:.0%}: auto {-lost:+.3f} from the best" for f, lost in loss.items() if lost > 0.01]
    return missed


def replace_tables(page: Path, text: str) -> None:
    before, begin, rest = page.read_text(encoding="utf-8").partition("<!-- tables -->\n")
    _, end, after = rest.partition("<!-- end of tables -->")
    if not (begin and end):
        sys.exit(f"{page} has no place for tables: <!-- tables --> and <!-- end of tables -->")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""Can a small cohort borrow from a large one, and how far may platforms differ? The figure of docs/howto/borrow.md.

    python benchmarks/borrowing.py [--check] [--out FOLDER] [--picture FILE] [--repeats 5]

SIMULATED: a small cohort, and a large one of the same kind (same genes, modules and classes) measured on platforms that
differ more and more: each gene is shifted by a normal draw (log2) and its variation stretched by another. For each
platform a study pretrains on the training samples of the small cohort and all of the large one, standardised each by
itself or together, and on the small one alone; the splits are the same. With --check it exits 1 unless, on the same
platform, borrowing beats the network from scratch and pretraining on the small cohort alone, and the gain of cohorts
standardised together fades on the most distant platform.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
from machine import describe_machine
from scipy.stats import t

from oligolearn.data import BatchEffect, ClassEffect, Subjects, simulate_cohort
from oligolearn.study import label_efficiency

DRIFTS = (0.0, 1.0, 2.0)  # log2; 1 is another platform
N_SMALL, N_LARGE, N_GENES = 900, 3000, 500
FRACTIONS = (0.05, 0.2)
STEPS = 1000  # of every pretraining, so that borrowed rows do not win by longer training
METHOD = "simclr"
NETWORK = {"encoder_options": {"hidden": (256, 128, 64)}}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/borrowing"), help="folder of the studies")
    options.add_argument("--picture", type=Path, help="file of the figure, .svg or .png")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--workers", type=int, default=None)
    chosen = options.parse_args()
    print(describe_machine())
    table = pd.concat(list(studies(chosen.out, chosen.repeats, chosen.workers)), ignore_index=True)
    table.to_csv(chosen.out / f"borrowing-{chosen.repeats}.csv", index=False)
    for fraction in FRACTIONS:
        print(f"\naccuracy with {fraction:.0%} of the labels, and its gain on the network from scratch (95% interval)")
        print(describe(table, fraction).to_string(index=False))
    if chosen.picture is not None:
        draw(table, chosen.picture)
    missed = missed_goals(table)
    print("goals:", "; ".join(missed) or "all reached")
    return 1 if chosen.check and missed else 0


def cohorts(drift: float) -> tuple[ad.AnnData, ad.AnnData]:
    """A small cohort, always the same, and a large one on a platform `drift` away."""

    def simulated(distance: float) -> ad.AnnData:
        return simulate_cohort(
            2 * N_LARGE,
            N_GENES,
            classes=ClassEffect(n_classes=6, log2_fold_change=0.5),
            batches=BatchEffect(n_batches=2, location=distance, scale=distance / 2),
            subjects=Subjects(samples_per_patient=1.0),
            seed=1,
        )

    whole, moved = simulated(0.0), simulated(drift)
    small = whole[whole.obs["batch"] == "batch_2"][:N_SMALL].copy()
    large = moved[moved.obs["batch"] == "batch_1"].copy()
    small.obs_names = [f"small-{name}" for name in small.obs_names]
    large.obs_names = [f"large-{name}" for name in large.obs_names]
    large.uns["oligolearn"]["file"] = f"large cohort, drift {drift:g}"
    return small, large


def studies(out: Path, repeats: int, workers: int | None) -> Any:
    """Yield the runs of each study, with what it borrowed."""
    settings: dict[str, Any] = {
        "fractions": FRACTIONS,
        "repeats": repeats,
        "workers": workers,
        "seed": 5,
        "pretraining": {**NETWORK, "view": "masking", "epochs": 1, "min_steps": STEPS},
        "training": NETWORK,
        "normalize": "counts",
    }
    small, _ = cohorts(0.0)
    methods = ("logistic", "pca-logistic", "scratch", METHOD)
    alone = label_efficiency(small, "label", out=out / f"alone-{repeats}", methods=methods, **settings)
    yield alone.results.assign(borrowed="nothing", drift=np.nan)
    for drift in DRIFTS:
        small, large = cohorts(drift)
        for how in ("each", "together"):
            study = label_efficiency(
                small,
                "label",
                out=out / f"{how}-{drift:g}-{repeats}",
                methods=(METHOD,),
                pretrain_on=[large],
                standardize=how,
                **settings,
            )
            yield study.results.assign(borrowed=how, drift=drift)


def gains(table: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Gain on the network from scratch, a row for each (method, borrowed, drift): mean and 95% interval."""
    part = table[table["fraction"] == fraction]
    scratch = part[part["method"] == "scratch"].set_index("repeat")["accuracy"]
    rows = []
    for key, runs in part.groupby(["method", "borrowed", "drift"], dropna=False, sort=False):
        difference = (runs.set_index("repeat")["accuracy"] - scratch).to_numpy()
        n = len(difference)
        # Nadeau and Bengio (2003): training sets overlap, the plain standard error is too small
        error = float(np.std(difference, ddof=1)) * np.sqrt(1 / n + 0.15 / 0.7) if n > 1 else np.nan
        rows.append([*key, runs["accuracy"].mean(), difference.mean(), t.ppf(0.975, n - 1) * error])
    return pd.DataFrame(rows, columns=["method", "borrowed", "drift", "accuracy", "gain", "half"])


def describe(table: pd.DataFrame, fraction: float) -> pd.DataFrame:
    found = gains(table, fraction)
    interval = [
        f"{100 * gain:+.1f} ({100 * half:.1f})" for gain, half in zip(found["gain"], found["half"], strict=True)
    ]
    return found.assign(accuracy=found["accuracy"].round(3), points=interval).drop(columns=["gain", "half"])


def missed_goals(table: pd.DataFrame) -> list[str]:
    found = gains(table, FRACTIONS[0])
    networks = found[found["method"] == METHOD].set_index(["borrowed", "drift"])["gain"]
    alone = networks["nothing"].iloc[0]
    goals = {
        "borrowing on the same platform does not beat scratch": networks["each", 0.0] > 0,
        "borrowing on the same platform does not beat pretraining alone": networks["each", 0.0] > alone,
        "standardised together, the gain does not fade": networks["together", DRIFTS[-1]] < networks["together", 0.0],
        "standardised each, the gain does not fade": networks["each", DRIFTS[-1]] < networks["each", 0.0],
    }
    return [goal for goal, reached in goals.items() if not reached]


def draw(table: pd.DataFrame, path: Path) -> None:
    """Gain on the network from scratch against the distance of the platforms."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(FRACTIONS), figsize=(9, 3.6), sharey=True, layout="constrained")
    places = range(len(DRIFTS))
    for panel, fraction in zip(panels, FRACTIONS, strict=True):
        found = gains(table, fraction)
        networks = found[found["method"] == METHOD]
        for how, color, shift in (("each", "#0072B2", -0.06), ("together", "#D55E00", 0.06)):
            part = networks[networks["borrowed"] == how].sort_values("drift")
            panel.errorbar(
                [place + shift for place in places],
                100 * part["gain"],
                100 * part["half"],
                color=color,
                marker="o",
                capsize=3,
                label=f"also on {N_LARGE:,} others, standardised {how}",
            )
        alone = 100 * networks[networks["borrowed"] == "nothing"]["gain"].iloc[0]
        panel.axhline(alone, color="#555555", linestyle="--", label="pretrained on its own samples alone")
        best = 100 * found[found["method"].isin(["logistic", "pca-logistic"])]["gain"].max()
        panel.axhline(best, color="#009E73", linestyle=":", label="better of logistic and PCA + logistic")
        panel.axhline(0, color="#bbbbbb", linewidth=0.8)
        n_labels = round(float(table.loc[table["fraction"] == fraction, "n_labels"].mean()))
        panel.set_title(f"{n_labels} labels")
        panel.set_xticks(list(places), [f"{drift:g}" for drift in DRIFTS])
        panel.set_xlabel("distance of the platforms (log2)")
    panels[0].set_ylabel("accuracy, points above scratch")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8
    )
    figure.suptitle("SIMULATED cohorts", fontsize=9, color="#555555", x=0.99, ha="right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())

"""How sure is a difference between two methods, and how much surer do more repeats make it?

Repeats draw their samples from one cohort, so they are not independent: the usual t-test is too sure of itself, and
repeating does not replace collecting more samples.
"""

import sys
import tempfile

import oligolearn
from oligolearn.study import compare


def main(folder: str) -> None:
    study = oligolearn.label_efficiency(
        oligolearn.simulate_cohort(300, 200, seed=1),
        "label",
        out=folder,
        group="patient",
        methods=("logistic", "pca-logistic"),
        fractions=(0.15,),
        repeats=20,
        workers=1,
        progress=False,
    )
    sizes = {name: study.summary["design"][name] for name in ("n_train", "n_test")}
    for repeats in (5, 10, 20):
        runs = study.results[study.results["repeat"] < repeats]
        (row,) = compare(runs, "pca-logistic", "logistic", **sizes)
        low, high = 100 * row["low"], 100 * row["high"]
        print(
            f"{repeats} repeats: {100 * row['difference']:+.1f} points (95% CI {low:+.1f} to {high:+.1f}); "
            f"p = {row['p_student']:.3f} taken as independent, p = {row['p_corrected']:.3f} corrected"
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

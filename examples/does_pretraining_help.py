"""Does pretraining on unlabelled samples help when only a few have a label?

Compares a network with and without SwAV pretraining on a simulated cohort, with 8 labels for its four classes.
"""

import sys
import tempfile

import oligolearn
from oligolearn.data.simulate import ClassEffect, Transcriptome
from oligolearn.report import conclude


def main(folder: str) -> None:
    genes = Transcriptome(n_modules=6)
    effect = ClassEffect(log2_fold_change=1.5, share_modules=0.5, unlabelled=0.5)
    cohort = oligolearn.simulate_cohort(300, 300, transcriptome=genes, classes=effect, seed=1)
    study = oligolearn.label_efficiency(
        cohort,
        "label",
        out=folder,
        group="patient",
        methods=("scratch", "swav"),
        fractions=(0.08,),
        repeats=8,
        pretraining={"epochs": 60, "view_options": {"share": 0.4}},  # hide 40% of the genes
        progress=False,
    )
    print(study.results.groupby(["n_labels", "method"]).accuracy.mean().unstack().round(3))
    print(*conclude(study.summary), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

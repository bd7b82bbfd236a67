"""Does pretraining on unlabelled samples help when only a few have a label?

Compares a network with and without SwAV pretraining on a simulated cohort, with about ten labels and with all.
"""

import sys
import tempfile

import oligolearn
from oligolearn.data.simulate import ClassEffect, Transcriptome
from oligolearn.report import conclude


def main(folder: str) -> None:
    cohort = oligolearn.simulate_cohort(
        400,
        500,
        transcriptome=Transcriptome(n_modules=6),
        classes=ClassEffect(n_classes=3, share_modules=0.4, unlabelled=0.5),
        seed=1,
    )
    study = oligolearn.label_efficiency(
        cohort,
        "label",
        out=folder,
        group="patient",
        methods=("scratch", "swav"),
        fractions=(0.07, 1.0),
        repeats=5,
        pretraining={"epochs": 60},
        progress=False,
    )
    print(study.results.groupby(["n_labels", "method"]).accuracy.mean().unstack().round(3))
    print(*conclude(study.summary), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

"""What does a student add to its teacher? Settings of self-training compared on validation samples.

    python benchmarks/self_training.py [--data FILE] [--label COLUMN] [--objective swav] [--repeats 6] [--seed 500]

Each repeat splits the labelled samples 70/15/15 as a study does and shows 1 % of the training labels. Prints the mean
accuracy of the teachers on the *validation* samples, and for each choice of settings the mean difference of their
students to them with its standard error. No test sample is looked at. With --objective the teachers start from an
encoder pretrained so on all training samples.
"""

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from oligolearn.data import read_expression
from oligolearn.estimators import CollapseWarning, FineTunedClassifier, SelfTrainedClassifier, Share, fit_together
from oligolearn.study.design import draw_repeat, training_seed
from oligolearn.study.fitting import pretrain
from oligolearn.study.planning import plan_study

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "expression" / "tcga_mirna.h5ad"
_ROW = {"view_options": {"share": 0.5, "per": "row"}}
CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"view": None},
    {"view": None, "distillation_weight": 1.0},
    {"view": None, "temperature": 0.5},
    {"view": None, "temperature": 2.0},
    {"view": None, "dropout": 0.3},
    {"view": None, "epochs": 100},
    {"view": None, "learning_rate": 3e-4},
    {"view_options": {"share": 0.3}},
    {"view_options": {"share": 0.7, "per": "row"}},
    _ROW,
    {**_ROW, "temperature": 0.5},
    {**_ROW, "distillation_weight": 1.0},
    {"pretrained_student": False},
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--label", default="cancer_type")
    options.add_argument("--fraction", type=float, default=0.01)
    options.add_argument("--objective", help="pretrain with it; default: from scratch")
    options.add_argument("--repeats", type=int, default=6)
    options.add_argument("--seed", type=int, default=500)
    options.add_argument("--choices", type=int, default=len(CHOICES), help="only the first ones")
    chosen = options.parse_args()
    if not chosen.data.exists():
        print(f"{chosen.data} is not there; pass --data")
        return 2
    print(describe_machine())
    adata = read_expression(chosen.data, label=[chosen.label])
    settings = {"methods": ("scratch",), "fractions": [chosen.fraction], "repeats": chosen.repeats, "seed": chosen.seed}
    study = plan_study(adata, chosen.label, settings)
    design, X, y = study.design, study.X, study.labels.codes
    draws = [draw_repeat(design, y, study.groups, repeat) for repeat in range(design.repeats)]
    n_labels = study.runs[0].n_labels
    shares, seeds = [], [training_seed(draw.seed, n_labels) for draw in draws]
    for draw in draws:
        rows, shown = draw.split.pretrain, draw.order[:n_labels]
        labels = np.full(len(rows), np.nan)
        labels[np.searchsorted(rows, shown)] = y[shown]
        shares.append(Share(rows, labels))
    encoders: list[Any] = [None] * len(draws)
    if chosen.objective:
        unlabelled = [Share(share.rows) for share in shares]
        asked = {"n_classes": len(study.labels.classes), "seeds": [draw.seed for draw in draws]}
        encoders = pretrain(chosen.objective, X, unlabelled, settings=design.hardware, **asked)
    held_out = [draw.split.validation for draw in draws]

    def accuracies(models: Any) -> NDArray[np.float64]:
        return np.array(
            [np.mean(m.predict(X[rows]) == y[rows]) for m, rows in zip(models, held_out, strict=True)], dtype=float
        )

    for number, choice in enumerate(CHOICES[: chosen.choices]):
        models = [
            SelfTrainedClassifier(FineTunedClassifier(encoder, **design.hardware), random_state=seed, **choice)
            for encoder, seed in zip(encoders, seeds, strict=True)
        ]
        fitted: Any = fit_together(models, X, shares).models
        before = accuracies([model.teacher_ for model in fitted])
        gain = accuracies(fitted) - before
        if number == 0:
            print(f"{n_labels} labels, {len(held_out[0])} validation samples: teachers {before.mean():.4f}")
        error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else float("nan")
        print(f"{gain.mean():+.4f} (standard error {error:.4f})  {choice or 'as by default'}", flush=True)
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore", CollapseWarning)
    sys.exit(main())

"""A study's summary made of synthetic numbers, and the ways a study can turn out."""

import copy

import numpy as np
import pytest

CLASSES = ["BLCA", "BRCA", "HNSC", "KIRC", "LGG", "LUAD", "PRAD", "THCA", "UCEC"]
METHODS = {
    "logistic": "Logistic regression",
    "pca-logistic": "PCA + logistic regression",
    "scratch": "MLP from scratch",
    "untrained": "Untrained encoder",
    "swav": "SwAV pretraining",
}
LABELS = [22, 44, 109, 218, 650, 1093, 2186]
FLOOR = {"logistic": 0.846, "pca-logistic": 0.835, "scratch": 0.820, "untrained": 0.79, "swav": 0.901}
CEILING = {"logistic": 0.987, "pca-logistic": 0.98, "scratch": 0.986, "untrained": 0.955, "swav": 0.988}


def _score(mean, half):
    return {"mean": mean, "sd": half * 1.4, "low": mean - half, "high": mean + half}


def _curves(methods, numbers, repeats):
    rows = []
    for method in methods:
        for n in numbers:
            progress = np.log(n / 22) / np.log(2186 / 22)
            mean = CEILING[method] - (CEILING[method] - FLOOR[method]) * (1 - progress) ** 1.7
            half = 0.004 + 0.016 * (1 - progress)
            metrics = {
                "accuracy": _score(mean, half),
                "balanced_accuracy": _score(mean - 0.02 * (1 - progress) - 0.004, half),
                "macro_f1": _score(mean - 0.03 * (1 - progress), half),
                "auroc": _score(1 - (1 - mean) / 6, half / 6),
                "mcc": _score(mean - 0.02, half),
                "log_loss": _score(2.6 * (1 - mean) + 0.02, 2 * half),
                "ece": _score(0.4 * (1 - mean) + 0.01, half / 2),
                "seconds": _score(1.5 + n / 900, 0.2),
            }
            rows.append({"method": method, "fraction": n / 2186, "n_labels": n, "n_runs": repeats, "metrics": metrics})
    return rows


def _comparisons(curves, numbers, repeats, pairs):
    means = {(row["method"], row["n_labels"]): row["metrics"]["accuracy"]["mean"] for row in curves}
    rows = []
    for method, baseline in pairs:
        for n in numbers:
            difference = means[method, n] - means[baseline, n]
            p = min(0.9, 0.00006 * np.exp(max(0, 0.085 - difference) * 110))
            rows.append(
                {
                    "method": method,
                    "baseline": baseline,
                    "metric": "accuracy",
                    "fraction": n / 2186,
                    "n_labels": n,
                    "n_pairs": repeats,
                    "difference": difference,
                    "low": difference - 0.021,
                    "high": difference + 0.021,
                    "p_student": p / 8,
                    "p_corrected": p,
                    "p_holm": min(1.0, p * 7),
                    "note": None,
                }
            )
    return rows


def _confusion(rng, classes, sharpness):
    n = len(classes)
    rows = []
    for i in range(n):
        chances = rng.dirichlet(np.full(n, 0.3)) * (1 - sharpness)
        chances[i] += sharpness
        rows.append(rng.multinomial(300 + 40 * i, chances / chances.sum()).tolist())
    return rows


def _calibration(over):
    confidence = np.linspace(0.15, 0.97, 10)
    return {
        "confidence": confidence.tolist(),
        "accuracy": np.clip(confidence - over * np.sin(np.pi * confidence), 0, 1).tolist(),
        "count": [0, 3, 12, 40, 80, 110, 160, 240, 520, 1900],
    }


def _embedding(rng, name, title, classes, n, spread):
    centres = rng.normal(size=(len(classes), 2)) * 6
    kind = rng.integers(len(classes), size=n)
    places = centres[kind] + rng.normal(size=(n, 2)) * spread
    labels = [None if i % 23 == 0 else classes[k] for i, k in enumerate(kind)]
    return {
        "name": name,
        "title": title,
        "note": "repeat 1",
        "sample": [f"sample {i}" for i in range(n)],
        "label": labels,
        "held_out": (rng.random(n) < 0.15).tolist(),
        "pca": places.round(4).tolist(),
        "tsne": (places[:, ::-1] * 1.7 + rng.normal(size=(n, 2)) * 0.3).round(4).tolist(),
    }


def make_summary(classes=None, methods=None, numbers=None, repeats=10, n_embedded=400):
    """Summary of a study in which SwAV helps while labels are few, with every section filled."""
    classes, methods, numbers = classes or CLASSES, methods or METHODS, numbers or LABELS
    rng = np.random.default_rng(4)
    curves = _curves(methods, numbers, repeats)
    pairs = [(method, baseline) for baseline in ("scratch", "logistic") for method in methods if method != baseline]
    pairs = [pair for pair in pairs if pair[1] in methods]
    largest = max(numbers)
    return {
        "schema": 1,
        "title": "Label efficiency of cancer_type in tcga_mirna.h5ad",
        "data": {
            "file": "tcga_mirna.h5ad",
            "fingerprint": "3f9ac2d1b0",
            "n_samples": 3123,
            "n_genes": 383,
            "n_unlabelled": 0,
            "label": "cancer_type",
            "group": "patient",
            "units": "log data, left as they are",
            "classes": [{"name": name, "n": 240 + 31 * i} for i, name in enumerate(classes)],
            "notes": [
                "Genes are in columns.",
                "Values look like log data and were left as they are.",
                "2 constant genes were dropped.",
                "Each gene was centred, scaled and clipped at ±10 with training statistics.",
            ],
        },
        "design": {
            "repeats": repeats,
            "split": "resampled",
            "n_train": largest,
            "n_validation": 468,
            "n_test": 469,
            "n_pretrain": largest,
            "fractions": [{"fraction": n / 2186, "n_labels": n, "note": None} for n in numbers],
            "methods": [
                {"name": name, "title": title, "description": f"How {title} works, in a sentence."}
                for name, title in methods.items()
            ],
        },
        "settings": {"epochs": 100, "learning_rate": 4e-4, "batch_size": 256, "hidden": [512, 256, 128], "threads": 1},
        "seed": 7,
        "command": "oligolearn study tcga_mirna.h5ad --label cancer_type --group patient --repeats 10 --seed "
        "7 --out study",
        "versions": {"oligolearn": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.9"},
        "curves": curves,
        "comparisons": _comparisons(curves, numbers, repeats, pairs),
        "labels_saved": [
            {
                "method": "swav",
                "baseline": "scratch",
                "fraction": n / 2186,
                "n_labels": n,
                "accuracy": 0.901,
                "baseline_labels": n * 4.1,
                "saved": n * 3.1,
                "low": n * 2.2,
                "high": n * 4.6,
                "note": None,
            }
            for n in numbers
        ],
        "learned": {
            "any": True,
            "note": "Every method beats guessing.",
            "rows": [
                {
                    "method": row["method"],
                    "fraction": row["fraction"],
                    "chance": 1 / len(classes),
                    "p": 1e-6,
                    "balanced_accuracy": row["metrics"]["balanced_accuracy"]["mean"],
                }
                for row in curves
            ],
        },
        "confusion": {
            "fraction": numbers[0] / 2186,
            "n_labels": numbers[0],
            "classes": list(classes),
            "methods": {name: _confusion(rng, classes, FLOOR[name]) for name in methods},
        },
        "calibration": {
            "fraction": numbers[0] / 2186,
            "n_labels": numbers[0],
            "methods": {name: _calibration(0.3 - 0.055 * i) for i, name in enumerate(methods)},
        },
        "embeddings": [
            _embedding(rng, "raw", "Expression as measured", classes, n_embedded, 2.2),
            _embedding(rng, "swav", "SwAV encoder", classes, n_embedded, 0.8),
        ],
        "warnings": [],
        "failures": [],
    }


@pytest.fixture(scope="session")
def pristine():
    return make_summary()


@pytest.fixture
def summary(pristine):
    """The usual study; each test gets its own copy to change."""
    return copy.deepcopy(pristine)


@pytest.fixture
def build():
    """The function that makes a summary, for tests that need another size of study."""
    return make_summary

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


SHOWN = [(0, 0.0, 0), (1, 0.02, 2), (5, 0.1, 10), (None, 1.0, 100)]
ADAPTED = {"linear": "plain standardisation", "dann": "DANN"}


def make_transfer(means=None, p_values=None, classes=("ER+", "ER-"), n_mapped=40):
    """Summary of a transfer study; `means` and `p_values` by (method, labels of each class), None for all labels."""
    rng = np.random.default_rng(3)
    scores = {("source-only", 0): 0.6, ("target-only", 1): 0.65, ("target-only", 5): 0.8, ("target-only", None): 0.9}
    scores |= {("linear", n): 0.85 for n in (0, 1, 5)} | {("dann", n): 0.86 for n in (0, 1, 5)} | (means or {})
    tests = {("dann", "source-only", 0): 0.001, ("linear", "source-only", 0): 0.002} | (p_values or {})
    of = {n: (fraction, labels) for n, fraction, labels in SHOWN}
    curves = [
        {"method": name, "fraction": of[n][0], "n_labels": of[n][1], "n_runs": 10,
         "metrics": dict.fromkeys(("balanced_accuracy", "accuracy", "auroc"), _score(mean, 0.02))}
        for (name, n), mean in scores.items()
    ]  # fmt: skip
    compared = [(name, "source-only", 0) for name in ADAPTED]
    compared += [(name, "target-only", n) for name in ADAPTED for n in (1, 5)]
    compared += [("dann", "linear", n) for n in (0, 1, 5)]
    comparisons = []
    for name, baseline, n in compared:
        gain, p = scores[name, n] - scores[baseline, n], tests.get((name, baseline, n), 0.5)
        comparisons.append(
            {"method": name, "baseline": baseline, "metric": "balanced_accuracy", "fraction": of[n][0],
             "n_labels": of[n][1], "n_pairs": 10, "difference": gain, "low": gain - 0.05, "high": gain + 0.05, "t": 1.0,
             "p_student": p, "p_corrected": p, "p_holm": p, "note": ""}
        )  # fmt: skip
    places = rng.normal(size=(n_mapped, 2)).round(4).tolist()
    told = {"label": [list(classes)[i % len(classes)] for i in range(n_mapped)], "note": "repeat 1",
            "domain": [("ours.h5ad", "theirs.h5ad")[i % 2] for i in range(n_mapped)],
            "held_out": [i % 8 == 1 for i in range(n_mapped)], "pca": places, "tsne": None}  # fmt: skip
    return {
        "schema": 1,
        "kind": "transfer",
        "title": "Transfer of er from ours.h5ad to theirs.h5ad",
        "data": {"sources": ["ours.h5ad"], "target": "theirs.h5ad", "n_samples": 300, "n_source": 150, "n_target": 150,
                 "n_target_labelled": 150, "n_genes": 254, "label": "er", "group": None, "units": "log",
                 "classes": [{"name": name, "n": 60, "n_source": 70} for name in classes], "notes": ["Read."]},
        "design": {"repeats": 10, "n_train": 100, "n_test": 50, "n_seen": 100,
                   "budgets": [{"n_per_class": n, "fraction": f, "n_labels": labels} for n, f, labels in SHOWN],
                   "methods": [{"name": name, "title": title, "description": f"How {title} works."} for name, title in
                               {"source-only": "source only", **ADAPTED, "target-only": "target only"}.items()]},
        "bounds": {"source": "source-only", "target": "target-only", "simplest": "linear"},
        "settings": {"standardize": "auto"},
        "seed": 0,
        "command": "oligolearn study --source ours.h5ad --target theirs.h5ad --label er --out transfer",
        "versions": {"oligolearn": "0"},
        "curves": curves,
        "seconds": dict.fromkeys(("source-only", "linear", "dann", "target-only"), 1.0),
        "comparisons": comparisons,
        "labels_replaced": [
            {"method": name, "baseline": "target-only", "fraction": 0.0, "n_labels": 0, "accuracy": scores[name, 0],
             "baseline_labels": 24.0, "saved": 24.0, "low": 12.0, "high": 40.0, "note": ""} for name in ADAPTED
        ],
        "learned": {"any": True, "note": "", "rows": []},
        "shift": {"measures": {"domain_auroc": 1.0, "domain_auroc_within_classes": 0.97},
                  "methods": [{"method": name, "standardize": {"each": 9, "together": 1}, "notes": ["Told apart."]}
                              for name in ADAPTED]},
        "embeddings": [{**told, "name": "measured", "title": "Before: as measured"},
                       {**told, "name": "dann", "title": "After: DANN"}],
        "warnings": [],
        "failures": [],
    }  # fmt: skip


@pytest.fixture
def build_transfer():
    """The function that makes the summary of a transfer study."""
    return make_transfer

"""Every figure of a study, with the words that go with it."""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from matplotlib.figure import Figure

from oligolearn.report.classes import class_recall, confusion_matrix
from oligolearn.report.curves import calibration_curves, calibration_error, difference_curves, metric_curves
from oligolearn.report.measures import scale_of
from oligolearn.report.needed import needed_curves, needed_rows, needed_words, target_of
from oligolearn.report.predictions import predicted_and_measured
from oligolearn.report.reading import (
    BASELINES,
    Summary,
    comparisons,
    curve,
    label_numbers,
    main_pairs,
    nothing_learned,
    pairs,
    recalls,
    title,
    titles,
)
from oligolearn.report.scatter import embedding_scatter
from oligolearn.report.wording import count, joined, labels, percent

SECTIONS = ("curves", "difference", "needed", "recall", "classes", "calibration", "predictions", "embedding")


class Plate(NamedTuple):
    """One figure: its place in the report, its words, and how to draw it at a width in inches."""

    name: str
    section: str
    title: str
    caption: str
    description: str
    draw: Callable[[float], Figure]


def plates(summary: Summary) -> list[Plate]:
    """Figures that the summary has data for, in the order of the report; `summary` as `checked` returns it."""
    found = [_main(summary), _other_metrics(summary)]
    if main_pairs(summary) or pairs(summary):
        found.insert(1, _difference(summary))
    if any(row.get("curve") for row in needed_rows(summary)):
        found.append(_needed(summary))
    if (summary.get("confusion") or {}).get("methods"):
        found += [*_confusions(summary), _recall(summary)]
    if (summary.get("calibration") or {}).get("methods"):
        found.append(_calibration(summary))
    if (summary.get("predictions") or {}).get("methods"):
        found.append(_predictions(summary))
    found += _embeddings(summary)
    return found


def slug(text: str, taken: set[str]) -> str:
    """Name for a file or an identifier, made of safe characters and not yet in `taken`, to which it is added."""
    stem = name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:60] or "unnamed"
    number = 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name


def _main(summary: Summary) -> Plate:
    parts, how = [], scale_of(summary)
    for name, text in titles(summary).items():
        known = [point for point in curve(summary, name, how.metric) if point.mean is not None]
        if known:
            parts.append(
                f"{text}: {how.write(known[0].mean)} with {labels(known[0].n_labels)}, "
                f"{how.write(known[-1].mean)} with {count(known[-1].n_labels)}"
            )
    numbers = label_numbers(summary)
    return Plate(
        how.metric,
        "curves",
        f"How {how.name} grows with the number of labels",
        f"Each dot is the mean {how.name} over the repeats, on samples that the method never saw; bars and bands are "
        "95% intervals of that mean. Read upwards at one number of labels to compare methods; read across at one "
        f"{how.noun} to see how many labels each needs for it. The horizontal axis is logarithmic.",
        f"{how.title} from {count(numbers[0])} to {labels(numbers[-1])}. {'. '.join(parts)}.",
        partial(metric_curves, summary, metrics=(how.metric,)),
    )


def _other_metrics(summary: Summary) -> Plate:
    if summary.get("predictions"):
        return Plate(
            "other_metrics",
            "curves",
            "The same by R² and by error",
            "R² is the share of the variance that predictions explain, RMSE their error in units of the label. A "
            "method may order samples well, and so have a high correlation, and still be wrong about the numbers.",
            "Two panels like the figure above, for R² and the root mean squared error; values in the tables.",
            partial(metric_curves, summary, metrics=("r2", "rmse")),
        )
    return Plate(
        "other_metrics",
        "curves",
        "The same by balanced accuracy and by AUROC",
        "Balanced accuracy counts every class alike, so a method cannot gain by favouring the frequent ones. AUROC "
        "asks only whether the right class is ranked first. Where these disagree with accuracy, the classes are "
        "uneven.",
        "Two panels like the accuracy figure, for balanced accuracy and the area under the ROC curve; values in the "
        "tables.",
        partial(metric_curves, summary, metrics=("balanced_accuracy", "auroc")),
    )


def _difference(summary: Summary) -> Plate:
    stars = (
        "No marks of significance are shown, since no method is better than guessing."
        if nothing_learned(summary)
        else "Stars mark p < 0.05 (*), 0.01 (**) and 0.001 (***), after correction for the samples that repeats share "
        "(Nadeau-Bengio) and for the several numbers of labels (Holm); no star, no finding."
    )
    parts, how = [], scale_of(summary)
    for method, baseline in main_pairs(summary):
        rows = [
            f"{how.change(row.get('difference'))} with {count(row['n_labels'])}"
            for row in comparisons(summary, method, baseline)
        ]
        parts.append(f"{title(summary, method)} against {title(summary, baseline)}: {joined(rows)}")
    return Plate(
        "difference",
        "difference",
        "Pairs of methods on the same labels",
        f"Difference in {how.name}{', in percentage points,' if how.unit else ''} between two methods given the same "
        "labels in the same repeat. Above the zero line the method is better than the baseline. Bars and bands are 95% "
        "intervals of the mean "
        f"difference. {stars}",
        f"{'Points of accuracy' if how.unit else how.title} gained, by number of labels. {'. '.join(parts)}.",
        partial(difference_curves, summary),
    )


def _needed(summary: Summary) -> Plate:
    return Plate(
        "labels_needed",
        "needed",
        f"How many labels for {percent(target_of(summary))}",
        "Dots are the accuracies measured, lines the fitted curves; bands are 95% intervals of where the curve truly "
        "lies. They widen beyond the data, in the grey part. Below, for each method, the number of labels at which its "
        "curve reaches the dashed line. Labels are those of training samples: more are needed to test what was "
        "trained.",
        f"Target {percent(target_of(summary))}. {' '.join(needed_words(summary))}",
        partial(needed_curves, summary),
    )


def _confusions(summary: Summary) -> list[Plate]:
    confusion, taken = summary["confusion"], set[str]()
    found = []
    for method, matrix in sorted(confusion["methods"].items(), key=lambda item: item[0] in BASELINES):
        text = title(summary, method)
        right = [
            f"{name} {percent(share, 0)}" for name, share in zip(confusion["classes"], recalls(matrix), strict=True)
        ]
        found.append(
            Plate(
                f"confusion_{slug(method, taken)}",
                "classes",
                text,
                "Each row is a true class and adds up to 100%; each column is what the method said. Right answers lie "
                "on the diagonal; colour off the diagonal shows which classes are taken for which. Predictions of all "
                "repeats are added up.",
                f"Confusion matrix of {text} with {labels(confusion['n_labels'])}. "
                f"On the diagonal: {', '.join(right)}.",
                partial(confusion_matrix, summary, method),
            )
        )
    return found


def _recall(summary: Summary) -> Plate:
    return Plate(
        "recall",
        "recall",
        "Recall of each class",
        "Of the held-out samples that truly are of a class, the share each method recognised. Dots far to the left "
        "are classes that few labels do not suffice for. The same sample can be held out in several repeats, so no "
        "interval is given.",
        "Recall per class and method; values in the table that follows.",
        partial(class_recall, summary),
    )


def _calibration(summary: Summary) -> Plate:
    calibration = summary["calibration"]
    parts = [
        f"{title(summary, name)}: calibration error {percent(calibration_error(summary, name))}"
        for name in calibration["methods"]
    ]
    return Plate(
        "calibration",
        "calibration",
        "Can the stated probabilities be trusted?",
        "Predictions are grouped by how confident the method was; the larger the dot, the more predictions. On the "
        "dashed line a method is right as often as it says. Below it, it is too sure of itself; above it, too modest. "
        "ECE is the mean distance from the line.",
        f"Calibration with {labels(calibration['n_labels'])}. {'. '.join(parts)}.",
        partial(calibration_curves, summary),
    )


def _predictions(summary: Summary) -> Plate:
    found = summary["predictions"]
    how = scale_of(summary)
    scores = {
        name: point.mean
        for name in found["methods"]
        for point in curve(summary, name, how.metric)
        if point.n_labels == found["n_labels"]
    }
    parts = [f"{title(summary, name)}: {how.name} {how.write(scores.get(name))}" for name in found["methods"]]
    return Plate(
        "predictions",
        "predictions",
        "Predicted and measured numbers",
        "Each dot is a held-out sample, of any repeat; on the dashed line the prediction is right. Predictions that "
        "keep to the middle while the order is right are those of a method that is unsure.",
        f"Predictions with {labels(found['n_labels'])}. {'. '.join(parts)}.",
        partial(predicted_and_measured, summary),
    )


def _embeddings(summary: Summary) -> list[Plate]:
    taken, found = set[str](), []
    for index, embedding in enumerate(summary.get("embeddings") or []):
        if not (embedding.get("pca") or embedding.get("tsne")):
            continue
        text, note = embedding.get("title") or embedding["name"], embedding.get("note")
        held_out, total = sum(map(bool, embedding["held_out"])), len(embedding["label"])
        found.append(
            Plate(
                f"embedding_{slug(embedding['name'], taken)}",
                "embedding",
                text,
                _embedding_caption(note, held_out),
                f"{count(total)} samples in two dimensions, {count(held_out)} of them held out.",
                partial(embedding_scatter, summary, index),
            )
        )
    return found


def _embedding_caption(note: str | None, held_out: int) -> str:
    outline = (
        " Samples with a dark outline were held out: neither pretraining nor training has seen them."
        if held_out
        else ""
    )
    return (
        f"Each dot is a sample{f' ({note})' if note else ''}, coloured by its label; labels were not used to "
        f"place it.{outline} Classes "
        "that form islands can be learned from few labels. In t-SNE the distances between islands and their sizes "
        "mean little."
    )

"""The scores of a run: how each is called, explained and written."""

from collections.abc import Callable
from typing import Any, NamedTuple

from oligolearn.report.reading import Summary, main_metric
from oligolearn.report.wording import MISSING, change, decimal, known, percent, points, size_in_points, size_of_change


class Measure(NamedTuple):
    """One score of a run."""

    title: str
    meaning: str
    write: Callable[[Any], str]
    higher_is_better: bool = True


MEASURES = {
    "accuracy": Measure("Accuracy", "Share of held-out samples given their right class.", percent),
    "balanced_accuracy": Measure(
        "Balanced accuracy",
        "Mean over the classes of the share found in each: every class counts alike, however rare it is.",
        percent,
    ),
    "macro_f1": Measure(
        "Macro F1",
        "Mean over the classes of F1, which is high only where a class is both found and not claimed too often; 0 to "
        "1.",
        decimal,
    ),
    "auroc": Measure(
        "AUROC",
        "Area under the ROC curve: how often a sample of a class is ranked above a sample of another; 1 is perfect, "
        "0.5 is a coin toss.",
        decimal,
    ),
    "mcc": Measure(
        "MCC",
        "Matthews correlation coefficient between true and predicted class: 1 is perfect, 0 is guessing.",
        decimal,
    ),
    "log_loss": Measure(
        "Log loss",
        "Penalty for probability put on wrong classes; confident mistakes cost most. 0 is perfect.",
        decimal,
        higher_is_better=False,
    ),
    "ece": Measure(
        "ECE",
        "Expected calibration error: mean gap between the confidence a method states and how often it is right.",
        percent,
        higher_is_better=False,
    ),
    "seconds": Measure(
        "Seconds",
        "Wall time of one run, as recorded.",
        lambda value: decimal(value, 1),
        higher_is_better=False,
    ),
}

NUMBER_MEASURES = {
    "spearman": Measure(
        "Spearman's correlation",
        "Correlation of the ranks of predicted and measured numbers: 1 if the order is right throughout, 0 by "
        "guessing.",
        decimal,
    ),
    "pearson": Measure(
        "Pearson's correlation",
        "Correlation of predicted and measured numbers: 1 if they lie on a rising line, 0 by guessing.",
        decimal,
    ),
    "r2": Measure(
        "R²",
        "Share of the variance of the numbers that predictions explain; 1 is perfect, 0 is what their mean gives, and "
        "less is worse than that.",
        decimal,
    ),
    "rmse": Measure(
        "RMSE",
        "Root of the mean squared error, in the units of the label. 0 is perfect.",
        lambda value: MISSING if (number := known(value)) is None else f"{number:.4g}",
        higher_is_better=False,
    ),
    "seconds": MEASURES["seconds"],
}


class Scale(NamedTuple):
    """The score that a study compares methods by, and how it is spoken of.

    Attributes
    ----------
    metric
        Its name in tables of runs.
    name, noun
        In a sentence, and in short.
    write
        A value.
    change
        A difference of two values, signed or not.
    size
        The size of a difference, in a sentence.
    unit
        Behind a difference in a sentence, with a blank before it.
    step
        What differences are multiplied by in figures.
    judged, judged_name
        The score that says whether anything was learned.
    write_judged
        A value of that.
    """

    metric: str
    name: str
    noun: str
    write: Callable[[Any], str]
    change: Callable[..., str]
    size: Callable[[float], str]
    unit: str
    step: float
    judged: str
    judged_name: str
    write_judged: Callable[[Any], str]

    @property
    def title(self) -> str:
        """The name as a heading."""
        return self.name[0].upper() + self.name[1:]

    def difference(self, value: Any) -> str:
        """A signed difference with its unit."""
        return self.change(value) + self.unit

    def interval(self, low: Any, high: Any) -> str:
        """The ends of an interval of a value."""
        return f"{self.write(low)} to {self.write(high)}"


_ACCURACY = Scale(
    "accuracy",
    "accuracy",
    "accuracy",
    percent,
    points,
    size_in_points,
    " points",
    100.0,
    "balanced_accuracy",
    "balanced accuracy",
    percent,
)
_ORDER = Scale(
    "spearman",
    "Spearman's correlation",
    "correlation",
    decimal,
    change,
    size_of_change,
    "",
    1.0,
    "spearman",
    "Spearman's correlation",
    decimal,
)


def scale_of(summary: Summary) -> Scale:
    """How the main score of a study is spoken of."""
    return _ORDER if main_metric(summary) == _ORDER.metric else _ACCURACY


def measures_of(summary: Summary) -> dict[str, Measure]:
    """Every score of a study's runs."""
    return NUMBER_MEASURES if scale_of(summary) is _ORDER else MEASURES


GLOSSARY = {
    "Label": "The class of a sample, as somebody had to determine it: by pathology, by a trial, by follow-up. "
    "The scarce thing here.",
    "Pretraining": "Learning from all training samples without their labels, before the few labels are used.",
    "Training, validation and test samples": "A method learns from the first and is judged once on the third, which it "
    "has never seen. The second are set aside for choosing settings, which a study does not do. Held-out samples are "
    "test samples.",
    "Repeat": "The whole comparison done again with another random draw of split, labels and starting weights. "
    "All methods of a repeat see the same draw, so they are compared in pairs.",
    "95% interval": "A range made so that it covers the true mean in 95 of 100 such studies, of other samples of the "
    "same kind. Wide means unsure.",
    "Point": "Percentage point: from 82% to 90% is 8 points.",
    "p": "How often a difference at least this large would be seen if there were none. Below 0.05 is usually "
    "called significant.",
    "Student's t": "The classical paired test. Repeats share samples, which makes it optimistic.",
    "Nadeau-Bengio corrected t": "The paired test widened for the samples that repeats share. The p values in "
    "the conclusion rest on it.",
    "Holm": "Correction for looking at several comparisons: in a study at several numbers of labels, each pair of "
    "methods by itself; in a sweep or a study of transfer at all of them. The chance of even one false alarm among "
    "them stays below 5%.",
    "Labels saved": "How many more labels the baseline needs for the same accuracy.",
    "Recall": "Of the samples that truly are of a class, the share recognised as such (also called sensitivity).",
    "Confusion matrix": "A row per true class, a column per predicted class: right answers lie on the diagonal.",
    "Calibration": "Whether a stated confidence of 80% is right 80 times in 100.",
    "PCA, t-SNE": "Two ways to draw samples of many dimensions on paper. PCA keeps large distances; "
    "t-SNE keeps neighbours, and its distances between clusters and their sizes mean little.",
}
_OF_CLASSES = ("Label", "Point", "Recall", "Confusion matrix", "Calibration")
NUMBER_GLOSSARY = {
    "Label": "The number that belongs to a sample, as somebody had to measure it. The scarce thing here.",
    **{word: meaning for word, meaning in GLOSSARY.items() if word not in _OF_CLASSES},
    "Labels saved": "How many more labels the baseline needs for the same correlation.",
}


def glossary_of(summary: Summary) -> dict[str, str]:
    """Words of a study's report, its scores among them."""
    words = NUMBER_GLOSSARY if scale_of(summary) is _ORDER else GLOSSARY
    scores = {one.title: one.meaning for key, one in measures_of(summary).items() if key != "seconds"}
    return {**words, **scores}

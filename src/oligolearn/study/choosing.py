"""Choose a method by the labels that are there: classical, from scratch or pretrained."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from oligolearn.study.task import Fitted, Predictor, Task
from oligolearn.training import DivergedError

Fit = Callable[[Sequence[Task]], list[Fitted]]
_FOLDS = 5
_HELD_OUT = 100  # rows to have predicted, counted once for each time: fewer labels are split anew more often
_MOST_SPLITS = 2


class Trial(NamedTuple):
    """How a method did on labelled rows that it was not trained on.

    Attributes
    ----------
    accuracy
        Share of rows whose class it named.
    log_loss
        Mean of -log of the probability that it gave to the true class.
    """

    accuracy: float
    log_loss: float


def choose_and_fit(tasks: Sequence[Task], candidates: Mapping[str, Fit]) -> list[Fitted]:
    """Fit on each task the candidate with the best cross-validated accuracy on the labels shown, and say why.

    Of candidates that are as accurate the one with the lowest log loss is taken. Rows of a group stay in one fold. The
    encoder of a task may have been pretrained on rows that a fold holds out, as on those that the task itself is tested
    on it was not: it has seen no labels.

    Parameters
    ----------
    tasks
        What to learn from.
    candidates
        What fits a method, by name; earlier ones are simpler and are taken where nothing tells two apart.
    """
    trials = _try_all(tasks, candidates)
    chosen = [min(found, key=lambda name: (-round(found[name].accuracy, 6), found[name].log_loss)) for found in trials]
    fitted: dict[int, Fitted] = {}
    for name in dict.fromkeys(chosen):
        places = [place for place, one in enumerate(chosen) if one == name]
        for place, result in zip(places, candidates[name]([tasks[place] for place in places]), strict=True):
            why = _why(name, trials[place], len(tasks[place].shown))
            fitted[place] = result._replace(chosen=name, why=why)
    return [fitted[place] for place in range(len(tasks))]


def _try_all(tasks: Sequence[Task], candidates: Mapping[str, Fit]) -> list[dict[str, Trial]]:
    """Cross-validate every candidate on every task."""
    folds = [(place, kept, held) for place, task in enumerate(tasks) for kept, held in split_labels(task)]
    parts = [
        tasks[place]._replace(
            shown=tasks[place].shown[kept], labels=tasks[place].labels[kept], groups=_at(tasks[place].groups, kept)
        )
        for place, kept, _ in folds
    ]
    found: list[dict[str, Trial]] = [{} for _ in tasks]
    for name, fit in candidates.items():
        scores: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for (place, _, held), result in zip(folds, fit(parts), strict=True):
            scores[place] += _scores(tasks[place], held, result.model)
        for place, each in scores.items():
            accuracy, log_loss = np.mean(each, axis=0)
            found[place][name] = Trial(float(accuracy), float(log_loss))
    return found


def split_labels(task: Task) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Places among the labels of a task to train on and to hold out: folds that are stratified, groups kept whole."""
    counts = np.bincount(task.labels)
    groups = np.arange(len(task.labels)) if task.groups is None else task.groups
    n_folds = int(max(2, min(_FOLDS, counts.max(), len(np.unique(groups)))))
    n_splits = min(_MOST_SPLITS, max(1, _HELD_OUT // len(task.labels)))
    for number in range(n_splits):
        split = StratifiedGroupKFold(n_folds, shuffle=True, random_state=(task.seed + number) % 2**32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")
            for kept, held in split.split(task.labels, task.labels, groups):
                if len(held) and len(np.unique(task.labels[kept])) > 1:
                    yield kept, held


def _scores(task: Task, held: NDArray[np.intp], model: Predictor | DivergedError) -> list[tuple[float, float]]:
    """Whether each row that was held out is named right, and -log of the probability of its class."""
    if isinstance(model, DivergedError):
        return [(0.0, np.inf)] * len(held)
    rows = task.rows[task.shown[held]]
    x = task.X[rows] if task.genes is None else task.X[np.ix_(rows, task.genes)]
    probabilities = model.predict_proba(x)
    truth = task.labels[held]
    right = model.classes_[probabilities.argmax(axis=1)] == truth
    of_truth = (probabilities * (model.classes_ == truth[:, None])).sum(axis=1)
    losses = -np.log(np.maximum(of_truth, 1e-6))
    return list(zip(right.astype(float), losses.astype(float), strict=True))


def _why(chosen: str, trials: Mapping[str, Trial], n_labels: int) -> str:
    others = sorted(((trial.accuracy, name) for name, trial in trials.items() if name != chosen), reverse=True)
    told = ", ".join(f"{name} {accuracy:.1%}" for accuracy, name in others)
    return f"{chosen}: cross-validated accuracy {trials[chosen].accuracy:.1%} on the {n_labels} labels shown; {told}"


def _at(groups: NDArray[np.integer] | None, places: NDArray[np.intp]) -> NDArray[np.integer] | None:
    return None if groups is None else groups[places]

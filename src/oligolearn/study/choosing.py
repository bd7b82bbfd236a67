"""Choose a method by the labels that are there: classical, from scratch, pretrained, or the mean of several."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from oligolearn.estimators.labels import few_of_each_class
from oligolearn.study.task import Fitted, Predictor, Task
from oligolearn.training import DivergedError

Fit = Callable[[Sequence[Task]], list[Fitted]]
_FOLDS = 5
_HELD_OUT = 100  # rows to have predicted, counted once for each time: fewer labels are split anew more often
_MOST_SPLITS = 2
_CLEAR = 1.5  # standard errors


class Trial(NamedTuple):
    """How a method did on labelled rows that it was not trained on.

    Attributes
    ----------
    right
        How often it named the class of each row, from 0 to 1, ``(n_rows,)``.
    losses
        -log of the probability that it gave to the true class of each row, the mean of several times, ``(n_rows,)``;
        infinite where a training failed.
    """

    right: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Share of rows whose class it named."""
        return float(self.right.mean())

    @property
    def log_loss(self) -> float:
        """Mean over rows."""
        return float(self.losses.mean())


class Averaged:
    """Several classifiers as one: the mean of their probabilities.

    Parameters
    ----------
    models
        Fitted on the same labels.
    """

    def __init__(self, models: Sequence[Predictor]) -> None:
        self.models = models
        self.classes_ = models[0].classes_

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``."""
        return np.asarray(np.mean([model.predict_proba(X) for model in self.models], axis=0))


def choose_and_fit(tasks: Sequence[Task], candidates: Mapping[str, Fit]) -> list[Fitted]:
    """Fit on each task the candidate with the smallest cross-validated log loss on the labels shown, and say why.

    Where the labels cannot tell it from others, the mean of their probabilities is taken: a candidate counts as worse
    if the best is ahead of it by more than 1.5 standard errors of their difference, row by row. Where labels are so few
    that none can be held out, that is the mean of all. Log loss tells more of
    a row than whether it was named right, and of a few dozen rows that counts. Rows of a group stay in one fold. The
    encoder of a task may have been pretrained on rows that a fold holds out, as on those that the task itself is tested
    on it was not: it has seen no labels.

    Parameters
    ----------
    tasks
        What to learn from.
    candidates
        What fits a method, by name.
    """
    trials = _try_all(tasks, candidates)
    chosen = [_as_good(found) if found else list(candidates) for found in trials]
    fitted: list[dict[str, Fitted]] = [{} for _ in tasks]
    for name, fit in candidates.items():
        places = [place for place, names in enumerate(chosen) if name in names]
        if places:
            for place, result in zip(places, fit([tasks[place] for place in places]), strict=True):
                fitted[place][name] = result
    return [
        _joined(results, _why(list(results), found, len(task.shown)))
        for results, found, task in zip(fitted, trials, tasks, strict=True)
    ]


def _as_good(trials: Mapping[str, Trial]) -> list[str]:
    """The candidate with the smallest log loss, and those that the rows cannot tell from it."""
    best = min(trials, key=lambda name: trials[name].log_loss)
    return [name for name, trial in trials.items() if name == best or not _is_worse(trial, trials[best])]


def _is_worse(trial: Trial, best: Trial) -> bool:
    if np.isinf(trial.log_loss):
        return True
    lead = trial.losses - best.losses
    error = lead.std(ddof=min(1, len(lead) - 1)) / np.sqrt(len(lead))
    return bool(lead.mean() > _CLEAR * error + 1e-9)


def _joined(results: Mapping[str, Fitted], why: str) -> Fitted:
    """The mean of what could be fitted."""
    models = {name: one.model for name, one in results.items() if not isinstance(one.model, DivergedError)}
    first = next(iter(results.values()))
    if not models:
        return first
    model = next(iter(models.values())) if len(models) == 1 else Averaged(list(models.values()))
    how = next((one.how for one in results.values() if one.how), "")
    return Fitted(model, how, chosen=" + ".join(models), why=why)


def _try_all(tasks: Sequence[Task], candidates: Mapping[str, Fit]) -> list[dict[str, Trial]]:
    """Cross-validate every candidate on every task; of one whose labels cannot be held out nothing is found."""
    folds = [(place, kept, held) for place, task in enumerate(tasks) for kept, held in split_labels(task)]
    parts = [
        tasks[place]._replace(
            shown=tasks[place].shown[kept], labels=tasks[place].labels[kept], groups=_at(tasks[place].groups, kept)
        )
        for place, kept, _ in folds
    ]
    found: list[dict[str, Trial]] = [{} for _ in tasks]
    for name, fit in candidates.items() if parts else ():
        scores: dict[int, list[tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]]] = defaultdict(list)
        for (place, _, held), result in zip(folds, fit(parts), strict=True):
            scores[place].append((held, *_scores(tasks[place], held, result.model)))
        for place, each in scores.items():
            found[place][name] = _trial(each)
    return found


def split_labels(task: Task) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Places among the labels of a task to train on and to hold out: folds that are stratified, groups kept whole.

    None where no class has two labels, all are of one group, or every fold would leave one class alone.
    """
    counts = np.bincount(task.labels)
    groups = np.arange(len(task.labels)) if task.groups is None else task.groups
    n_folds = int(min(_FOLDS, counts.max(), len(np.unique(groups))))
    if n_folds < 2:
        return
    n_splits = min(_MOST_SPLITS, max(1, _HELD_OUT // len(task.labels)))
    for number in range(n_splits):
        split = StratifiedGroupKFold(n_folds, shuffle=True, random_state=(task.seed + number) % 2**32)
        with few_of_each_class():
            folds = list(split.split(task.labels, task.labels, groups))
        for kept, held in folds:
            if len(held) and len(np.unique(task.labels[kept])) > 1:
                yield kept, held


def _trial(scores: Sequence[tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]]) -> Trial:
    """Mean of the scores of each row, which may have been held out several times."""
    held, right, losses = (np.concatenate(each) for each in zip(*scores, strict=True))
    place = np.unique(held, return_inverse=True)[1]
    times = np.bincount(place)
    return Trial(np.bincount(place, right) / times, np.bincount(place, losses) / times)


def _scores(
    task: Task, held: NDArray[np.intp], model: Predictor | DivergedError
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether each row that was held out is named right, and -log of the probability of its class."""
    if isinstance(model, DivergedError):
        return np.zeros(len(held)), np.full(len(held), np.inf)
    rows = task.rows[task.shown[held]]
    x = task.X[rows] if task.genes is None else task.X[np.ix_(rows, task.genes)]
    probabilities = model.predict_proba(x)
    truth = task.labels[held]
    right = model.classes_[probabilities.argmax(axis=1)] == truth
    of_truth = (probabilities * (model.classes_ == truth[:, None])).sum(axis=1)
    return right.astype(float), -np.log(np.maximum(of_truth, 1e-6))


def _why(chosen: Sequence[str], trials: Mapping[str, Trial], n_labels: int) -> str:
    if not trials:
        return f"the {n_labels} labels shown are too few, or of too few groups, to hold some out: the mean of all"
    told = f"log loss, cross-validated on the {n_labels} labels shown: {_told(chosen, trials)}"
    if len(chosen) > 1:
        told += ", which these labels cannot tell apart, so their mean"
    others = [name for name in trials if name not in chosen]
    return f"{told}; not {_told(others, trials)}" if others else told


def _told(names: Sequence[str], trials: Mapping[str, Trial]) -> str:
    ordered = sorted(names, key=lambda name: trials[name].log_loss)
    return ", ".join(
        f"{name} (failed)"
        if np.isinf(trials[name].log_loss)
        else f"{name} {trials[name].log_loss:.2f} ({trials[name].accuracy:.1%} right)"
        for name in ordered
    )


def _at(groups: NDArray[np.integer] | None, places: NDArray[np.intp]) -> NDArray[np.integer] | None:
    return None if groups is None else groups[places]

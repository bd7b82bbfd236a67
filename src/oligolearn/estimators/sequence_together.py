"""Many models of sequences fitted at once, those that can be as replicas."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from oligolearn.data import Sequences
from oligolearn.estimators.sequence_classifier import SequenceClassifier
from oligolearn.estimators.sequence_fitting import Prepared, finish
from oligolearn.estimators.sequence_regressor import SequenceRegressor
from oligolearn.estimators.sequence_replicas import train_all
from oligolearn.training import DivergedError

SequenceModels = SequenceClassifier | SequenceRegressor


class SequenceShare(NamedTuple):
    """What one model is fitted on: sequences, their labels, and their groups or None."""

    sequences: Sequences
    y: ArrayLike
    groups: ArrayLike | None = None


class SequencesTogether(NamedTuple):
    """What became of models fitted together.

    Attributes
    ----------
    models
        Each model, fitted, or the error of one whose loss diverged.
    how
        For each: ``"stacked"``, or ``"one at a time: "`` and the reason.
    """

    models: list[Any]
    how: list[str]


def fit_sequences_together(models: Sequence[SequenceModels], shares: Sequence[SequenceShare]) -> SequencesTogether:
    """Fit each model on its share, as its own `fit` would but for rounding.

    Networks of all models whose architecture, schedule and number of sequences agree are trained as replicas where that
    is faster, which is on a GPU (see `oligolearn.training.fit_replicas`).

    Parameters
    ----------
    models
        Not fitted; fitted in place.
    shares
        Sequences and labels of each.

    Raises
    ------
    ValueError, TypeError
        As `fit` does.

    Examples
    --------
    >>> from oligolearn.data import encode_sequences
    >>> share = SequenceShare(encode_sequences(["ACGTAC", "GGGTTT"] * 8), ["a", "b"] * 8)
    >>> small = {"encoder_options": {"n_filters": 4, "width": 3}, "n_members": 1, "min_steps": 4, "epochs": 1}
    >>> models = [SequenceClassifier("motif-cnn", random_state=seed, device="cpu", **small) for seed in (0, 1)]
    >>> fit_sequences_together(models, [share, share]).how
    ['one at a time: on a CPU convolutions are as fast alone', 'one at a time: on a CPU convolutions are as fast alone']
    """
    fitted: list[Any] = list(models)
    prepared: dict[int, Prepared] = {}
    for i, (model, share) in enumerate(zip(models, shares, strict=True)):
        try:
            prepared[i] = model._prepare(share.sequences, share.y, share.groups)
        except DivergedError as error:  # of a candidate, where the encoder is chosen
            fitted[i] = error
    ended = iter(train_all([one for each in prepared.values() for one in each.trainings]))
    how = ["one at a time: the choice of the encoder diverged"] * len(models)
    for i, each in prepared.items():
        mine = [next(ended) for _ in each.trainings]
        how[i] = mine[0].how
        errors = [one.result for one in mine if isinstance(one.result, DivergedError)]
        if errors:
            fitted[i] = errors[0]
        else:
            finish(fitted[i], each, [one.result for one in mine if not isinstance(one.result, DivergedError)])
    return SequencesTogether(fitted, how)

"""What a study compares, on which draws of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Split, label_counts, label_order, redraw_validation, split_rows
from oligolearn.study.methods import AFTER, DEFAULT_METHODS, METHODS, Method

SPLITS = ("resampled", "fixed")


class AnyDesign(Protocol):
    """What carrying out a study needs to know of its design, whether of expression or of sequences."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Names in `known`."""

    @property
    def known(self) -> Mapping[str, Method]:
        """Every method that such a study could compare."""

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the training labels, ascending."""

    @property
    def repeats(self) -> int:
        """Number of draws."""

    @property
    def split(self) -> str:
        """One of `SPLITS`."""

    @property
    def seed(self) -> int:
        """Of every draw."""

    @property
    def judged_on(self) -> str:
        """Which rows of a draw say how good a run is: ``"test"`` or ``"validation"``."""

    def draw(self, y: NDArray[np.integer], groups: NDArray[np.integer] | None, repeat: int) -> "Draw":
        """The rows of a repeat."""

    @property
    def threads(self) -> int:
        """Of each training."""

    @property
    def training(self) -> Mapping[str, Any]:
        """Settings of the estimator that is trained."""

    @property
    def hardware(self) -> dict[str, str]:
        """Settings of every estimator that say what it computes on."""


@dataclass(frozen=True)
class Design:
    """Everything that decides the numbers of a study; kept with it, and compared when it is resumed.

    Attributes
    ----------
    label, group
        Columns of `obs`: what is predicted, and whose rows stay on one side (None: every row for itself).
    methods
        Names in `METHODS`.
    fractions
        Shares of the training labels shown, ascending.
    repeats
        Number of draws.
    split
        ``"resampled"`` draws a new split and new label subsets in each repeat; ``"fixed"`` draws them once, so that
        repeats differ in their training seeds alone (Laurent 2022).
    seed
        Of every draw.
    min_class_size
        Classes with fewer samples count as unlabelled; None refuses a data set with classes too small to split.
    normalize, max_missing, top_genes
        Preparation of the matrix.
    pretraining, training
        Settings of `SelfSupervisedEncoder` and `FineTunedClassifier` that differ from the study's.
    threads, device, precision
        Of each training: part of the design because they decide how sums are rounded.
    """

    label: str
    group: str | None = None
    methods: tuple[str, ...] = DEFAULT_METHODS
    fractions: tuple[float, ...] = ()
    repeats: int = 10
    split: str = "resampled"
    seed: int = 0
    min_class_size: int | None = None
    normalize: str = "auto"
    max_missing: float = 0.3
    top_genes: int | None = None
    pretraining: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    precision: str = "32"

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.methods or len(set(self.methods)) < len(self.methods):
            raise ValueError(
                f"methods must be different names among {', '.join(METHODS)}, or one of those that pretrain with "
                f"{', '.join(f'+{after}' for after in AFTER)} behind it; found {', '.join(self.methods) or 'none'}"
            )
        check_fractions(self.fractions)
        check_draws(self.repeats, self.seed, self.split)

    @property
    def known(self) -> Mapping[str, Method]:
        """Every method that such a study could compare."""
        return METHODS

    @property
    def judged_on(self) -> str:
        """Which rows of a draw say how good a run is."""
        return "test"

    def draw(self, y: NDArray[np.integer], groups: NDArray[np.integer] | None, repeat: int) -> "Draw":
        """The rows of a repeat."""
        return draw_repeat(self, y, groups, repeat)

    @property
    def hardware(self) -> dict[str, str]:
        """Settings of every estimator that say what it computes on."""
        return {"device": self.device, "precision": self.precision}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able settings."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuse what are no shares of the labels, in ascending order."""
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise ValueError(f"fractions must lie above 0 and up to 1 (0.01 is 1 % of the labels), found {list(fractions)}")
    if list(fractions) != sorted(set(fractions)):
        raise ValueError(f"fractions must ascend, each once, found {list(fractions)}")


def check_draws(repeats: int, seed: int, split: str = SPLITS[0]) -> None:
    """Refuse a number of repeats, a seed or a kind of split that is none."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, found {split!r}")
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, found {repeats}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, found {seed}")


class Run(NamedTuple):
    """One training and test: its place in the study."""

    repeat: int
    fraction: float
    n_labels: int
    method: str


class Draw(NamedTuple):
    """The rows of one repeat.

    Attributes
    ----------
    split
        Training, validation, test and pretraining rows.
    order
        Training rows in the order in which their labels are shown.
    seed
        Of the trainings of this repeat.
    """

    split: Split
    order: NDArray[np.intp]
    seed: int


def draw_repeat(design: AnyDesign, y: NDArray[np.integer], groups: NDArray[np.integer] | None, repeat: int) -> Draw:
    """Draw the split and the order of labels of one repeat; the same numbers whenever it is called.

    Parameters
    ----------
    design
        Its seed and kind of split count.
    y
        Class numbers, -1 where unlabelled.
    groups
        Group numbers, or None.
    repeat
        Counted from 0.
    """
    rng = np.random.default_rng([design.seed, repeat if design.split == "resampled" else 0])
    split = split_rows(y, groups=groups, rng=rng)
    order = split.train[label_order(y[split.train], rng)]
    return Draw(split, order, training_seed(design.seed, repeat))


def redraw_repeat(design: AnyDesign, y: NDArray[np.integer], groups: NDArray[np.integer] | None, repeat: int) -> Draw:
    """Draw training and validation rows and the order of labels of one repeat; no repeat has a row of the test set.

    The test set is that of `draw_repeat` with a fixed split, so what was chosen on these validation rows can be tested
    by `tune`, or by a study with ``split="fixed"`` and the same seed.

    Parameters
    ----------
    design, y, groups, repeat
        As in `draw_repeat`; the kind of split does not count.
    """
    split = split_rows(y, groups=groups, rng=np.random.default_rng([design.seed, 0]))
    rng = np.random.default_rng([design.seed, repeat, 1])
    if repeat > 0:
        split = redraw_validation(split, y, groups=groups, rng=rng)
    order = split.train[label_order(y[split.train], rng)]
    return Draw(split, order, training_seed(design.seed, repeat))


def training_seed(*path: int) -> int:
    """Seed derived from the study's seed and a place in the study."""
    return int(np.random.SeedSequence(path).generate_state(1)[0] % 2**31)


def plan_runs(design: AnyDesign, n_train: Sequence[int], n_classes: int) -> list[Run]:
    """All runs of a study, repeat by repeat; a fraction is the same number of labels in each.

    Parameters
    ----------
    design
        What is compared.
    n_train
        Number of training rows of each repeat. Splits that keep groups together differ by a few rows: the smallest
        counts.
    n_classes
        Fractions are raised so that every class keeps a label.
    """
    counts = label_counts(design.fractions, min(n_train), n_classes)
    return [
        Run(repeat, fraction, n_labels, method)
        for repeat in range(len(n_train))
        for fraction, n_labels in counts.items()
        for method in design.methods
    ]


def group_runs(runs: Sequence[Run], at_once: int, known: Mapping[str, Method] = METHODS) -> list[list[Run]]:
    """Runs that are carried out together: up to `at_once` repeats of a network at a number of labels.

    `known` are the methods by name.

    Examples
    --------
    >>> runs = [Run(repeat, 0.5, 40, method) for repeat in range(3) for method in ("logistic", "scratch")]
    >>> [[f"{run.method} {run.repeat}" for run in group] for group in group_runs(runs, 2)]
    [['logistic 0'], ['scratch 0', 'scratch 1'], ['logistic 1'], ['logistic 2'], ['scratch 2']]
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        part = run.repeat // at_once if known[run.method].network else run.repeat
        groups.setdefault((run.method, run.fraction, run.n_labels, part), []).append(run)
    return list(groups.values())


def spread_fractions(n_points: int, n_train: int, n_classes: int) -> tuple[float, ...]:
    """`n_points` fractions from the fewest labels (1 %, or one per class if more) to all, evenly on a log scale.

    Examples
    --------
    >>> spread_fractions(3, 10_000, 2)
    (0.01, 0.1, 1.0)
    """
    if n_points < 1:
        raise ValueError(f"points must be at least 1, found {n_points}")
    lowest = min(1.0, max(0.01, n_classes / n_train))
    points = np.geomspace(lowest, 1.0, n_points) if n_points > 1 else np.ones(1)
    return tuple(sorted({float(f"{point:.3g}") for point in points}))

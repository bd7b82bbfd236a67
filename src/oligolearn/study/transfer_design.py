"""What a transfer study compares, and on which rows of the target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import split_rows
from oligolearn.study.design import Run, check_draws, training_seed
from oligolearn.study.transfer_methods import BOUNDS, NEED_LABELS, SOURCE_ONLY, TARGET_ONLY, TRANSFER_METHODS

DEFAULT_METHODS = ("linear", "coral", "source", "dann", "cada")
DEFAULT_BUDGETS = (0, 1, 2, 5, 10)


@dataclass(frozen=True)
class TransferDesign:
    """Everything that decides the numbers of a transfer study; kept with it, and compared when it is resumed.

    Attributes
    ----------
    label, group
        Columns of `obs`: what is predicted, and whose rows of the target stay on one side (None: every row for itself).
    methods
        Names of methods of `DomainAdaptedClassifier`; the two bounds are always there.
    budgets
        Labels of the target that are shown of each class, ascending; 0 for none.
    repeats
        Number of splits of the target.
    seed
        Of every draw.
    min_class_size
        Classes with fewer samples in a cohort count as unlabelled there.
    normalize, max_missing, top_genes
        Preparation of each matrix; `top_genes` are those that vary most in the sources.
    min_overlap
        Smallest share of the target's genes that every source must have.
    standardize, training
        Settings of `DomainAdaptedClassifier`.
    threads, device, precision
        Of each training: part of the design because they decide how sums are rounded.
    """

    label: str
    group: str | None = None
    methods: tuple[str, ...] = DEFAULT_METHODS
    budgets: tuple[int, ...] = DEFAULT_BUDGETS
    repeats: int = 10
    seed: int = 0
    min_class_size: int | None = None
    normalize: str = "auto"
    max_missing: float = 0.3
    top_genes: int | None = None
    min_overlap: float = 0.2
    standardize: str = "auto"
    training: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    precision: str = "32"

    def __post_init__(self) -> None:
        able = [name for name in TRANSFER_METHODS if name not in BOUNDS]
        if not self.methods or set(self.methods) - set(able) or len(set(self.methods)) < len(self.methods):
            raise ValueError(
                f"methods must be different names among {', '.join(able)} (the bounds {' and '.join(BOUNDS)} are there "
                f"in any case); found {', '.join(self.methods) or 'none'}"
            )
        whole = all(isinstance(budget, int) and budget >= 0 for budget in self.budgets)
        if not self.budgets or not whole or list(self.budgets) != sorted(set(self.budgets)):
            raise ValueError(
                "budgets must be whole numbers from 0 on, ascending, each once (labels of the target for each class); "
                f"found {list(self.budgets)}"
            )
        without = [name for name in self.methods if name in NEED_LABELS]
        if without and self.budgets == (0,):
            raise ValueError(f"{', '.join(without)} needs labels of the target: show some, such as --budgets 0,1,5")
        check_draws(self.repeats, self.seed)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """The methods between their bounds."""
        return (SOURCE_ONLY, *self.methods, TARGET_ONLY)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `DomainAdaptedClassifier` that differ from its defaults."""
        given = {"standardize": self.standardize, "device": self.device, "precision": self.precision}
        return {**given, **self.training}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able settings."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class TransferDraw(NamedTuple):
    """The rows of one repeat, by their numbers in the joined matrix, ascending.

    Attributes
    ----------
    train, test
        Labelled rows of the target: those whose labels may be shown, and those that are tested and seen by nobody.
    seen
        Rows of the target that are seen without labels: `train`, and unlabelled ones that share no group with `test`.
    place
        Place of each row of `train` within its class, from 0 on, in the order in which labels are shown.
    seed
        Of the trainings of this repeat.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    seen: NDArray[np.intp]
    place: NDArray[np.int64]
    seed: int

    def shown(self, budget: int | None) -> NDArray[np.intp]:
        """Rows whose labels are shown: `budget` of each class, all for None; smaller sets are within larger ones."""
        return self.train if budget is None else self.train[self.place < budget]


def draw_transfer(
    design: TransferDesign,
    y: NDArray[np.integer],
    domains: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
    repeat: int,
) -> TransferDraw:
    """Split the labelled rows of the target 70/30; the same numbers whenever it is called.

    Parameters
    ----------
    design
        Its seed counts.
    y
        Class numbers of all rows, -1 where unlabelled.
    domains
        Negative for the target.
    groups
        Group numbers of all rows, or None; those of sources do not count.
    repeat
        Counted from 0.
    """
    target = np.flatnonzero(domains < 0)
    rng = np.random.default_rng([design.seed, repeat])
    split = split_rows(y[target], groups=None if groups is None else groups[target], rng=rng)
    train = target[split.train]
    # no method chooses its settings by labels of the target, so there is nothing to validate
    test = target[np.sort(np.concatenate([split.validation, split.test]))]
    return TransferDraw(train, test, target[split.pretrain], _places(y[train], rng), training_seed(design.seed, repeat))


def _places(y: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
    """Random place of each row within its class."""
    place = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        place[rows] = rng.permutation(len(rows))
    return place


class Budget(NamedTuple):
    """A number of labels that is shown.

    Attributes
    ----------
    n_per_class
        Of each class; None for all labels of the training side, whatever their classes.
    fraction
        The share of the training labels that this is, by which the statistics know it; 1 for all.
    """

    n_per_class: int | None
    fraction: float


def plan_budgets(budgets: Sequence[int], n_train: int, n_classes: int) -> list[Budget]:
    """All budgets of a study, ascending: none, which the bound of the source needs, those asked for, and all labels.

    Parameters
    ----------
    budgets
        Labels of each class.
    n_train
        The largest number of training labels of any repeat: at no other budget is the share then one.
    n_classes
        Of the labels.

    Examples
    --------
    >>> plan_budgets([0, 5], n_train=40, n_classes=2)
    [Budget(n_per_class=0, fraction=0.0), Budget(n_per_class=5, fraction=0.25), Budget(n_per_class=None, fraction=1.0)]
    """
    some = {budget * n_classes / n_train: budget for budget in (0, *budgets)}
    return [Budget(some[share], share) for share in sorted(some) if share < 1] + [Budget(some.get(1.0), 1.0)]


def plan_transfer_runs(
    design: TransferDesign, budgets: Sequence[Budget], draws: Sequence[TransferDraw], n_classes: int
) -> list[Run]:
    """All runs of a study: the bound of the source without labels, that of the target with all of them as well."""
    runs = []
    for repeat, draw in enumerate(draws):
        for n_per_class, fraction in budgets:
            n_labels = len(draw.train) if n_per_class is None else n_per_class * n_classes
            methods = [SOURCE_ONLY] if n_per_class == 0 else []
            able = [name for name in design.methods if n_per_class != 0 or name not in NEED_LABELS]
            methods += able if n_per_class in design.budgets else []
            methods += [TARGET_ONLY] if n_per_class != 0 else []
            runs += [Run(repeat, fraction, n_labels, method) for method in methods]
    return runs

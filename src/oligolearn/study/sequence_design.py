"""What a study of sequences compares."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.study.design import Draw, check_draws, check_fractions, draw_repeat, redraw_repeat
from oligolearn.study.methods import Method
from oligolearn.study.sequence_methods import DEFAULT_SEQUENCE_METHODS, method_of_choice, methods_for
from oligolearn.study.sequence_numbers import CLASSES, NUMBERS


@dataclass(frozen=True)
class SequenceDesign:
    """Everything that decides the numbers of a study of sequences; compared when it is resumed.

    Attributes
    ----------
    label, group
        Columns of `obs`: what is predicted, and whose sequences stay on one side, as copies always do.
    target
        What the label is: ``"classes"`` or ``"numbers"``.
    identity
        Sequences alike to this share stay on one side too; None for copies alone.
    methods
        Names in `SEQUENCE_METHODS`, or of numbers in `NUMBER_METHODS`.
    fractions, repeats, split, seed, min_class_size, threads, device, precision
        As in `Design`.
    encoder
        Settings of `SequenceClassifier` that say which network ``scratch`` is.
    training
        Others of its settings that differ from its defaults.
    pretraining
        Settings of `SelfSupervisedSequenceEncoder` that differ from its defaults, of methods that pretrain.
    choices
        Of a sweep: settings of the network by the name of the choice, which then are the methods. They are compared on
        validation sequences, and no repeat has a test sequence.
    """

    label: str
    group: str | None = None
    target: str = CLASSES
    identity: float | None = None
    methods: tuple[str, ...] = DEFAULT_SEQUENCE_METHODS
    fractions: tuple[float, ...] = ()
    repeats: int = 10
    split: str = "resampled"
    seed: int = 0
    min_class_size: int | None = None
    encoder: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    pretraining: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    precision: str = "32"

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in self.known]
        if unknown or not self.methods or len(set(self.methods)) < len(self.methods):
            what = "a label that is a number" if self.target == NUMBERS else "sequences"
            raise ValueError(
                f"methods for {what} must be different names among {', '.join(methods_for(self.target))}; found "
                f"{', '.join(self.methods) or 'none'}"
            )
        check_fractions(self.fractions)
        check_draws(self.repeats, self.seed, self.split)

    @property
    def known(self) -> Mapping[str, Method]:
        """Every method that such a study could compare."""
        return {name: method_of_choice(name, own) for name, own in self.choices.items()} or methods_for(self.target)

    @property
    def judged_on(self) -> str:
        """Which rows of a draw say how good a run is."""
        return "validation" if self.choices else "test"

    def draw(self, y: NDArray[np.integer], groups: NDArray[np.integer] | None, repeat: int) -> Draw:
        """The rows of a repeat."""
        return (redraw_repeat if self.choices else draw_repeat)(self, y, groups, repeat)

    @property
    def hardware(self) -> dict[str, str]:
        """Settings of every estimator that say what it computes on."""
        return {"device": self.device, "precision": self.precision}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able settings."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

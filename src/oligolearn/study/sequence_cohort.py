"""The sequences of a study, as every worker sees them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import Sequences
from oligolearn.data.alphabets import find_alphabet
from oligolearn.estimators import SelfSupervisedSequenceEncoder
from oligolearn.saving import Bundle
from oligolearn.study.design import Draw, training_seed
from oligolearn.study.scores import class_scores, number_scores
from oligolearn.study.sequence_design import SequenceDesign
from oligolearn.study.sequence_methods import SequenceTask, WordShares, encoder_to_pretrain, pretrain_on_sequences
from oligolearn.study.store import Store
from oligolearn.training import DivergedError

if TYPE_CHECKING:
    from oligolearn.study.sequence_planning import SequenceStudy


class SequenceCohort(NamedTuple):
    """The data of a study.

    Attributes
    ----------
    codes, offsets
        Files of these parts of `Sequences`.
    alphabet, has_gap, aligned
        Name of the alphabet, whether a gap is a letter of it, and whether these are rows of an alignment.
    y
        Class numbers, or those of ranges of numbers, -1 where unlabelled.
    groups
        Group numbers, or None.
    numbers
        What is learned where that is no class, ``(n_sequences,)``.
    """

    codes: Path
    offsets: Path
    alphabet: str
    has_gap: bool
    aligned: bool
    y: NDArray[np.integer]
    groups: NDArray[np.integer] | None
    numbers: NDArray[np.float64] | None = None

    @classmethod
    def laid(cls, study: "SequenceStudy", store: Store) -> "SequenceCohort":
        """Lay the letters of a study where workers find them."""
        sequences, y, groups = study.sequences, study.labels.codes, study.groups
        alphabet = sequences.alphabet
        files = store.keep_matrix(sequences.codes, "codes"), store.keep_matrix(sequences.offsets, "offsets")
        return cls(*files, alphabet.name, alphabet.has_gap, sequences.aligned, y, groups, study.numbers)

    def sequences(self) -> Sequences:
        """All of them, the letters mapped from their file."""
        alphabet = find_alphabet(self.alphabet)
        offsets = np.load(self.offsets)
        names = pd.DataFrame(index=pd.Index([str(i) for i in range(len(offsets) - 1)], dtype=object))
        codes = np.load(self.codes, mmap_mode="r")
        return Sequences(codes, offsets, alphabet.with_gap() if self.has_gap else alphabet, names, self.aligned)

    def columns(self, design: SequenceDesign, rows: NDArray[np.intp]) -> None:
        """None: sequences have no columns to choose from."""

    def values(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None = None) -> Sequences:
        """Some of the sequences."""
        return self.sequences().take(rows)

    def task(
        self, design: SequenceDesign, draw: Draw, genes: NDArray[np.intp] | None, n_labels: int, encoder: Any
    ) -> SequenceTask:
        """What a method may see with the labels of the first `n_labels` training rows."""
        everything, shown = self.sequences(), draw.order[:n_labels]
        groups = None if self.groups is None else self.groups[shown]
        settings = {**design.hardware, **design.encoder, **design.training}
        seed = training_seed(draw.seed, n_labels)
        unlabelled = everything.take(draw.split.pretrain)
        learned = self.y if self.numbers is None else self.numbers
        return SequenceTask(everything.take(shown), learned[shown], groups, seed, settings, unlabelled, encoder)

    def scores(self, model: Any, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> dict[str, Any]:
        """How good the predictions of a fitted method are for some rows."""
        if self.numbers is None:
            return class_scores(self.y[rows], model.predict_proba(self.values(rows)))
        return number_scores(self.numbers[rows], model.predict(self.values(rows)))

    def pretrain(
        self, design: SequenceDesign, drawn: Sequence[tuple[Draw, NDArray[np.intp] | None]], objective: str
    ) -> list[SelfSupervisedSequenceEncoder | DivergedError]:
        """For each repeat an encoder, or the error of one that diverged."""
        everything = self.sequences()
        read = {name: design.training[name] for name in ("alphabet", "aligned", "max_length")}
        encoder = encoder_to_pretrain(objective, design.encoder)
        return pretrain_on_sequences(
            objective,
            [everything.take(draw.split.pretrain) for draw, _ in drawn],
            n_classes=int(self.y.max()) + 1,
            seeds=[draw.seed for draw, _ in drawn],
            settings={**design.hardware, **read, **encoder, **design.pretraining},
        )

    def encoder(self, bundle: Bundle) -> SelfSupervisedSequenceEncoder:
        """The encoder that was pretrained."""
        return SelfSupervisedSequenceEncoder.from_bundle(bundle)

    def measured(
        self, rows: NDArray[np.intp], shown: NDArray[np.intp], genes: NDArray[np.intp] | None
    ) -> NDArray[np.floating]:
        """The rows `shown` as shares of the k-mers that `rows` have."""
        shares: NDArray[np.floating] = WordShares(self.values(rows))(self.values(shown)).toarray()
        return shares

"""Options of `study`, `sweep` and `tune` where the data are sequences."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oligolearn.cli.groups import CohortOptions, SequenceOptions, TrainingOptions, refuse_options
from oligolearn.cli.printing import chosen, of_epochs

if TYPE_CHECKING:
    from oligolearn.data import Sequences

OF_GENES = ("genes_in", "duplicates", "normalize", "max_missing", "top_genes")
_OF_EMBEDDINGS = ("embedding", "freeze_embedding", "k")
_OF_VIEWS = ("view", "view_strength", "mask_share", "prototypes")


def read_for_study(data: Path, cohort: CohortOptions, of_sequences: SequenceOptions) -> "Sequences":
    """Read the sequences that a study is about."""
    from oligolearn.data import read_sequences

    return read_sequences(data, alphabet=of_sequences.alphabet, aligned=of_sequences.aligned, samples=cohort.samples)


def refuse_for_expression(of_sequences: SequenceOptions, data: Path | None) -> None:
    """Refuse options of sequences where the data are expression."""
    if data is not None:
        refuse_options(of_sequences, [field.name for field in fields(of_sequences)], data, "expression")


def sequence_settings(
    data: Path,
    cohort: CohortOptions,
    training: TrainingOptions,
    of_sequences: SequenceOptions,
    *,
    pretrains: bool = False,
) -> dict[str, Any]:
    """Settings of a study of sequences, after refusing options that would do nothing."""
    refuse_options(cohort, OF_GENES, data, "sequences")
    refuse_options(of_sequences, _OF_EMBEDDINGS, data, "sequences, which a study reads as letters")
    refuse_options(training, _OF_VIEWS, data, "sequences")
    if not pretrains:
        refuse_options(training, ("pretrain_epochs",), data, "sequences, on which it does not pretrain")
    encoder: dict[str, Any] = chosen(both_strands=of_sequences.both_strands)
    if of_sequences.encoder != "auto":
        encoder |= {"encoder": of_sequences.encoder, "encoder_options": None}
    return {
        "group": cohort.group,
        "min_class_size": cohort.min_class_size,
        "identity": of_sequences.identity,
        "encoder": encoder,
        **chosen(pretraining=of_epochs(training.pretrain_epochs) or None),
        "training": of_epochs(training.epochs)
        | chosen(n_members=of_sequences.members, max_length=of_sequences.max_length),
        "threads": training.threads,
        "device": training.device,
        "precision": training.precision,
        "seed": training.seed,
        "file": data.name,
    }

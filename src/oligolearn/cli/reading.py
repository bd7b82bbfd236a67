"""Expression files as verbs read them: into memory, or left on disk where they are large."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anndata as ad

    from oligolearn.data import Sequences, StoredExpression, Translation
    from oligolearn.estimators import SavedModel


def read_or_open(
    data: Path,
    *,
    samples: Path | None,
    genes_in: str,
    duplicates: str,
    stream: bool | None,
    label: Sequence[str] = (),
    min_samples: int = 2,
) -> "tuple[ad.AnnData | StoredExpression, list[str]]":
    """Samples, and what was done to them, in sentences.

    Parameters
    ----------
    data, samples, genes_in, duplicates, label, min_samples
        As `oligolearn.data.read_expression` takes them.
    stream
        As `oligolearn.data.open_expression` takes it.
    """
    from oligolearn.data import open_expression, read_expression

    stored = open_expression(data, samples=samples, stream=stream)
    if stored is not None:
        if genes_in == "rows":
            raise ValueError(f"{data.name}: an {data.suffix} file has its genes in columns; leave out --genes-in")
        if len(stored.obs) < min_samples:
            raise ValueError(f"{data.name}: {len(stored.obs)} sample(s); expected at least {min_samples}")
        return stored, stored.notes
    adata = read_expression(
        data,
        samples=samples,
        genes_in=genes_in,
        duplicate_genes=duplicates,
        label=label,
        min_samples=min_samples,
    )
    return adata, adata.uns["oligolearn"]["notes"]


def no_genes(saved: "SavedModel") -> list[str]:
    """Columns that a model's training file had beside its genes, which may be numbers: the label and the group."""
    named = (saved.description.get(name) for name in ("label", "group"))
    return [str(name) for name in named if name is not None and name not in saved.description.get("features", ())]


def read_translation(gene_map: Path | None, probes: str) -> "Translation":
    """How gene names are translated, from the options; `gene_map` is the file."""
    from oligolearn.data import Translation, read_gene_map

    translation = Translation(None if gene_map is None else read_gene_map(gene_map), probes)
    translation.column_rule("log")  # refuses a rule that there is not
    return translation


def read_for(saved: "SavedModel", data: Path, samples: Path | None = None) -> "Sequences":
    """Read sequences in the alphabet that a model was trained on; `samples` is a sheet that says more of them.

    Raises
    ------
    ValueError
        If the model is not one of sequences, or they are in another alphabet.
    """
    from oligolearn.data import read_sequences
    from oligolearn.data.sequences import UnknownLetterError, looks_like_nucleotides
    from oligolearn.estimators import SelfSupervisedSequenceEncoder
    from oligolearn.estimators.sequence_fitting import cut_note, short_note, shortest_read
    from oligolearn.estimators.sequence_jobs import sequence_model

    model = saved.model
    recipes = [model.recipe_] if isinstance(model, SelfSupervisedSequenceEncoder) else sequence_model(saved).recipes_
    alphabet = recipes[0].alphabet
    try:
        sequences = read_sequences(data, samples=samples, alphabet=alphabet.name, aligned=alphabet.has_gap)
    except UnknownLetterError as error:
        if not error.choice:
            raise
        raise ValueError(f"{error.found}, and the model reads {alphabet.name}; give it {alphabet.name}") from None
    likely = looks_like_nucleotides(sequences) if alphabet.complement is None else None
    if likely:
        raise ValueError(
            f"{data.name} looks like {likely}, and the model reads {alphabet.name}; give it {alphabet.name}"
        )
    found = [cut_note(sequences, shortest_read(recipes)), short_note(sequences, recipes)]
    return replace(sequences, notes=[*sequences.notes, *(f"{note}." for note in found if note)])

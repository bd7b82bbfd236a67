"""`oligolearn predict` and `oligolearn embed`: a model applied to new samples."""

from pathlib import Path
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import refuse_named
from oligolearn.cli.options import (
    DataOrSequences,
    Duplicates,
    GeneMapFile,
    GenesIn,
    MinOverlap,
    Model,
    NewProbes,
    Normalize,
    Samples,
    Stream,
)
from oligolearn.cli.printing import print_notes
from oligolearn.cli.reading import read_for, read_or_open, read_translation

MIN_OVERLAP = 0.8

Predictions = Annotated[
    Path, typer.Option(help="CSV to write: sample, prediction, and the probability of each class or label.")
]
Embedding = Annotated[Path, typer.Option(help="File to write: .h5ad with the embedding in X.")]


def predict(
    model: Model,
    data: DataOrSequences,
    out: Predictions,
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    min_overlap: MinOverlap = MIN_OVERLAP,
    gene_map: GeneMapFile = None,
    probes: NewProbes = "auto",
    stream: Stream = None,
) -> None:
    """Predict the class, or the number, of each sample, expression (genes are found by name) or sequence."""
    from oligolearn.data import is_sequence_file
    from oligolearn.estimators import load_model, predict_samples, predict_sequences
    from oligolearn.writing import check_folder, write_text

    check_folder(out)
    saved = load_model(model)
    if is_sequence_file(data):
        _refuse_for_sequences(data, samples, genes_in, duplicates, normalize, min_overlap, gene_map, probes, stream)
        sequences = read_for(saved, data)
        write_text(out, predict_sequences(saved, sequences).to_csv(lineterminator="\n"))
        print_notes(sequences.notes)
        print(f"Predictions: {out}")
        return
    how = {"normalize_as": normalize, "min_overlap": min_overlap, "translation": read_translation(gene_map, probes)}
    cohort, read = read_or_open(data, samples=samples, genes_in=genes_in, duplicates=duplicates, stream=stream)
    table, notes = predict_samples(saved, cohort, **how)
    write_text(out, table.to_csv(lineterminator="\n"))
    print_notes([*read, *notes])
    print(f"Predictions: {out}")


def _refuse_for_sequences(data: Path, *given: Any) -> None:
    """Refuse options that only expression has; what a sequence is and how it is read is known to the model."""
    defaults: dict[str, Any] = {"samples": None, "genes_in": "auto", "duplicates": "auto", "normalize": "auto"}
    defaults |= {"min_overlap": MIN_OVERLAP, "gene_map": None, "probes": "auto", "stream": None}
    values = zip(defaults.items(), given, strict=True)
    refuse_named({name: (value, default) for (name, default), value in values}, data, "sequences")


def embed(
    model: Model,
    data: DataOrSequences,
    out: Embedding,
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    min_overlap: MinOverlap = MIN_OVERLAP,
    gene_map: GeneMapFile = None,
    probes: NewProbes = "auto",
    stream: Stream = None,
) -> None:
    """Write the encoder's embedding of each sample, expression (genes are found by name) or sequence."""
    from oligolearn.data import is_sequence_file
    from oligolearn.data.h5ad import check_target, write_h5ad
    from oligolearn.estimators import embed_new_sequences, embed_samples, load_model

    check_target(out)
    saved = load_model(model)
    if is_sequence_file(data):
        _refuse_for_sequences(data, samples, genes_in, duplicates, normalize, min_overlap, gene_map, probes, stream)
        sequences = read_for(saved, data)
        write_h5ad(embed_new_sequences(saved, sequences), out)
        print_notes(sequences.notes)
        print(f"Embedding: {out}")
        return
    how = {"normalize_as": normalize, "min_overlap": min_overlap, "translation": read_translation(gene_map, probes)}
    cohort, read = read_or_open(data, samples=samples, genes_in=genes_in, duplicates=duplicates, stream=stream)
    embedding, notes = embed_samples(saved, cohort, **how)
    write_h5ad(embedding, out)
    print_notes([*read, *notes])
    print(f"Embedding: {out}")

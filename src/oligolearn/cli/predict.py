"""`oligolearn predict` and `oligolearn embed`: a model applied to new samples."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.groups import NewSamples, refuse_options, with_groups
from oligolearn.cli.options import DataOrSequences, Model
from oligolearn.cli.printing import print_notes
from oligolearn.cli.reading import no_genes, read_for

Predictions = Annotated[
    Path, typer.Option(help="CSV to write: sample, prediction, and the probability of each class or label.")
]
Embedding = Annotated[Path, typer.Option(help="File to write: .h5ad with the embedding in X.")]


@with_groups
def predict(
    model: Model,
    data: DataOrSequences,
    out: Predictions,
    *,
    new: NewSamples,
) -> None:
    """Predict the class, or the number, of each sample, expression (genes are found by name) or sequence."""
    from oligolearn.data import is_sequence_file
    from oligolearn.estimators import load_model, predict_samples, predict_sequences
    from oligolearn.writing import check_folder, write_text

    check_folder(out)
    saved = load_model(model)
    if is_sequence_file(data):
        refuse_options(new, [field.name for field in fields(new)], data, "sequences")
        sequences = read_for(saved, data)
        write_text(out, predict_sequences(saved, sequences).to_csv(lineterminator="\n"))
        print_notes(sequences.notes)
        print(f"Predictions: {out}")
        return
    how = new.alignment()
    cohort, read = new.read(data, label=no_genes(saved))
    table, notes = predict_samples(saved, cohort, **how)
    write_text(out, table.to_csv(lineterminator="\n"))
    print_notes([*read, *notes])
    print(f"Predictions: {out}")


@with_groups
def embed(
    model: Model,
    data: DataOrSequences,
    out: Embedding,
    *,
    new: NewSamples,
) -> None:
    """Write the encoder's embedding of each sample, expression (genes are found by name) or sequence."""
    from oligolearn.data import is_sequence_file
    from oligolearn.data.h5ad import check_target, write_h5ad
    from oligolearn.estimators import embed_new_sequences, embed_samples, load_model

    check_target(out)
    saved = load_model(model)
    if is_sequence_file(data):
        refuse_options(new, [field.name for field in fields(new)], data, "sequences")
        sequences = read_for(saved, data)
        write_h5ad(embed_new_sequences(saved, sequences), out)
        print_notes(sequences.notes)
        print(f"Embedding: {out}")
        return
    how = new.alignment()
    cohort, read = new.read(data, label=no_genes(saved))
    embedding, notes = embed_samples(saved, cohort, **how)
    write_h5ad(embedding, out)
    print_notes([*read, *notes])
    print(f"Embedding: {out}")

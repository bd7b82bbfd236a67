"""`oligolearn next-labels`: which unlabelled samples to label next."""

from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.groups import NewSamples, with_groups
from oligolearn.cli.options import Data, Model, OptionalLabel, Seed
from oligolearn.cli.printing import print_notes
from oligolearn.cli.reading import no_genes

SHOWN = 10  # proposals printed; the file has all

Number = Annotated[int, typer.Option("--n", "-n", help="Number of samples to propose.")]
Strategy = Annotated[
    str,
    typer.Option(
        help="typical: of groups without labels; gradient or unsure: what a classifier is unsure of; auto chooses."
    ),
]
Proposals = Annotated[Path | None, typer.Option(help="CSV to write: sample, rank, reason. Default: print all.")]


@with_groups
def next_labels(
    model: Model,
    data: Data,
    n: Number = 50,
    out: Proposals = None,
    label: OptionalLabel = None,
    strategy: Strategy = "auto",
    *,
    new: NewSamples,
    seed: Seed = 0,
) -> None:
    """Propose the unlabelled samples whose labels would teach a model most, each with the reason."""
    from oligolearn.estimators import load_model, propose_labels
    from oligolearn.writing import check_folder, write_text

    if out is not None:
        check_folder(out)
    saved = load_model(model)
    how = new.alignment()
    cohort, read = new.read(data, label=[*([label] if label else []), *no_genes(saved)])
    proposal = propose_labels(saved, cohort, n, label=label, strategy=strategy, seed=seed, **how)
    print_notes([*read, *proposal.notes])
    shown = proposal.table if out is None else proposal.table.head(SHOWN)
    for sample, row in shown.iterrows():
        print(f"{row['rank']:>4}. {sample}: {row['reason']}")
    if out is not None:
        write_text(out, proposal.table.to_csv(lineterminator="\n"))
        print(f"Proposals: {out} ({len(proposal.table):,} samples)")

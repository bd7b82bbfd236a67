"""`oligolearn convert`: any expression file to .h5ad."""

from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.options import Data, Duplicates, GenesIn, OptionalLabel, Samples

Out = Annotated[Path, typer.Argument(help="File to write: .h5ad.")]


def convert(
    data: Data,
    out: Out,
    samples: Samples = None,
    label: OptionalLabel = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
) -> None:
    """Write an expression matrix, with its sample sheet, as one .h5ad file; no value is transformed."""
    from oligolearn.data import read_expression
    from oligolearn.data.h5ad import check_target, write_h5ad

    check_target(out)
    for source in (data, samples):
        if source is not None and out.exists() and source.exists() and out.samefile(source):
            raise ValueError(f"{out} is the file to read: give the converted file another name")
    adata = read_expression(data, samples=samples, label=label, genes_in=genes_in, duplicate_genes=duplicates)
    write_h5ad(adata, out)
    for note in adata.uns["oligolearn"]["notes"]:
        print(note)
    columns = ", ".join(map(str, adata.obs.columns)) or "none"
    print(f"{out}: {adata.n_obs:,} samples x {adata.n_vars:,} genes; columns: {columns}")

"""`oligolearn sweep`: how accuracy depends on one or two settings, judged on validation samples."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.options import (
    Data,
    Device,
    Duplicates,
    Epochs,
    GenesIn,
    Group,
    Label,
    MaskShare,
    MaxMissing,
    MinClassSize,
    Normalize,
    Precision,
    PretrainEpochs,
    Processes,
    Prototypes,
    Quiet,
    Samples,
    Seed,
    Threads,
    TopGenes,
    View,
    ViewStrength,
)
from oligolearn.cli.printing import chosen, print_sweep, view_settings
from oligolearn.cli.study import shares

Vary = Annotated[
    list[str],
    typer.Option(
        help="A setting and its values: prototypes=4,8,16 or view=masking,noise or layers=512-256-128,128-64. Give it "
        "twice for every pair of two settings."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the sweep. The same command resumes it.")]
Method = Annotated[str, typer.Option(help="What to train: scratch, or a method that pretrains, such as swav.")]
Fractions = Annotated[
    str, typer.Option(help="Shares of the training labels, comma-separated: 0.01,0.1,1 or 1%,10%,100%.")
]
Repeats = Annotated[int, typer.Option(help="Draws of training and validation samples; the test samples stay aside.")]


def sweep(
    data: Data,
    label: Label,
    out: Out,
    vary: Vary,
    method: Method = "swav",
    fractions: Fractions = "10%",
    repeats: Repeats = 5,
    group: Group = None,
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    max_missing: MaxMissing = 0.3,
    top_genes: TopGenes = None,
    min_class_size: MinClassSize = None,
    pretrain_epochs: PretrainEpochs = None,
    view: View = None,
    view_strength: ViewStrength = None,
    mask_share: MaskShare = None,
    prototypes: Prototypes = None,
    epochs: Epochs = None,
    threads: Threads = 1,
    device: Device = "cpu",
    precision: Precision = "auto",
    seed: Seed = 0,
    workers: Processes = None,
    quiet: Quiet = False,
) -> None:
    """Train a method with several values of a setting, compare them on validation samples, and write a report.

    Test samples are not touched: test what you choose with `study --split fixed` and the same --seed.
    """
    from oligolearn.workers import Workers

    Workers(workers).start("oligolearn.study.sweep_training")
    from oligolearn.data import read_expression

    adata = read_expression(
        data,
        samples=samples,
        label=[name for name in (label, group) if name],
        genes_in=genes_in,
        duplicate_genes=duplicates,
    )
    from oligolearn.study import sweep as sweep_settings  # brings torch: a broken file is named before that

    result = sweep_settings(
        adata,
        label,
        out=out,
        vary=vary,
        workers=workers,
        progress=not quiet,
        command=shlex.join(["oligolearn", *sys.argv[1:]]),
        method=method,
        fractions=shares(fractions),
        repeats=repeats,
        group=group,
        seed=seed,
        min_class_size=min_class_size,
        normalize=normalize,
        max_missing=max_missing,
        top_genes=top_genes,
        pretraining=chosen(
            epochs=pretrain_epochs,
            objective_options=chosen(n_prototypes=prototypes) or None,
            **view_settings(view, view_strength, mask_share),
        ),
        training=chosen(epochs=epochs),
        threads=threads,
        device=device,
        precision=precision,
    )
    print_sweep(result)

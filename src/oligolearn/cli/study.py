"""`oligolearn study`: how accuracy grows with the number of labels, and whether pretraining helps."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.options import (
    BorrowedOverlap,
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
    PretrainOn,
    Processes,
    Prototypes,
    Quiet,
    Samples,
    Seed,
    Standardize,
    Threads,
    TopGenes,
    View,
    ViewStrength,
)
from oligolearn.cli.printing import chosen, print_conclusion, view_settings

Methods = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated: logistic, pca-logistic, boosting, scratch, untrained, self-trained; or pretrained: "
        "swav, simclr, moco, byol, vicreg, barlow-twins, deepcluster, autoencoder, denoising-autoencoder, vime, "
        "masked-genes, scarf, each also followed by self-training (swav+self-trained), or kept frozen under a logistic "
        "regression on its embedding as it is or whitened (swav+frozen, swav+whitened). "
        "Default: logistic, pca-logistic, scratch, untrained, swav."
    ),
]
Fractions = Annotated[
    str | None, typer.Option(help="Shares of the training labels, comma-separated: 0.01,0.1,1 or 1%,10%,100%.")
]
Points = Annotated[int, typer.Option(help="Without --fractions: this many, spread over a logarithmic scale.")]
Repeats = Annotated[int, typer.Option(help="Number of random splits.")]
SplitKind = Annotated[str, typer.Option(help="resampled: a new split in each repeat; fixed: one split, seeds vary.")]
Out = Annotated[Path, typer.Option(help="Folder for the study. The same command resumes it.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler (tcp://host:8786) whose workers do the work; they must see --out.")
]


def study(
    data: Data,
    label: Label,
    out: Out,
    methods: Methods = None,
    fractions: Fractions = None,
    points: Points = 10,
    repeats: Repeats = 10,
    group: Group = None,
    split: SplitKind = "resampled",
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    max_missing: MaxMissing = 0.3,
    top_genes: TopGenes = None,
    min_class_size: MinClassSize = None,
    pretrain_on: PretrainOn = None,
    standardize: Standardize = "each",
    min_overlap: BorrowedOverlap = 0.5,
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
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Train every method on growing numbers of labels, test the differences, and write a report."""
    from oligolearn.workers import Workers

    Workers(workers, scheduler).start("oligolearn.study.execute")
    from oligolearn.data import read_expression

    adata = read_expression(
        data,
        samples=samples,
        label=[name for name in (label, group) if name],
        genes_in=genes_in,
        duplicate_genes=duplicates,
    )
    from oligolearn.study import label_efficiency  # brings torch: a broken file is named before that

    result = label_efficiency(
        adata,
        label,
        out=out,
        workers=workers,
        scheduler=scheduler,
        progress=not quiet,
        command=shlex.join(["oligolearn", *sys.argv[1:]]),
        **chosen(
            methods=None if methods is None else _names(methods),
            fractions=None if fractions is None else shares(fractions),
        ),
        points=points,
        repeats=repeats,
        group=group,
        split=split,
        seed=seed,
        min_class_size=min_class_size,
        normalize=normalize,
        max_missing=max_missing,
        top_genes=top_genes,
        pretrain_on=pretrain_on or (),
        standardize=standardize,
        min_overlap=min_overlap,
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
    print_conclusion(result)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def shares(text: str) -> tuple[float, ...]:
    """Ascending shares from text such as ``0.01,0.1`` or ``1%,10%``."""
    try:
        shares = [float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in _names(text)]
    except ValueError:
        raise ValueError(f"--fractions takes numbers such as 0.01,0.1,1 or 1%,10%,100%; found {text!r}") from None
    return tuple(sorted(set(shares)))

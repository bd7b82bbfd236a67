"""`oligolearn study`: how accuracy grows with the number of labels, and whether pretraining helps."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.groups import CohortOptions, TrainingOptions, with_groups
from oligolearn.cli.options import (
    BorrowedOverlap,
    Data,
    GeneMapFile,
    Label,
    PretrainOn,
    Probes,
    Processes,
    Quiet,
    Standardize,
)
from oligolearn.cli.printing import chosen, print_conclusion

Methods = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated: logistic, pca-logistic, boosting, scratch, untrained, self-trained, auto (the best of "
        "some in cross-validation); or pretrained: swav, simclr, moco, byol, vicreg, barlow-twins, deepcluster, "
        "autoencoder, denoising-autoencoder, vime, masked-genes, scarf, each also followed by self-training "
        "(swav+self-trained), or kept frozen under a logistic regression on its embedding as it is or whitened "
        "(swav+frozen, swav+whitened). Default: logistic, pca-logistic, scratch, untrained, swav."
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


@with_groups
def study(
    data: Data,
    label: Label,
    out: Out,
    *,
    methods: Methods = None,
    fractions: Fractions = None,
    points: Points = 10,
    repeats: Repeats = 10,
    cohort: CohortOptions,
    split: SplitKind = "resampled",
    pretrain_on: PretrainOn = None,
    standardize: Standardize = "each",
    min_overlap: BorrowedOverlap = 0.5,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    training: TrainingOptions,
    workers: Processes = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Train every method on growing numbers of labels, test the differences, and write a report."""
    from oligolearn.workers import Workers

    Workers(workers, scheduler).start("oligolearn.study.execute")
    adata = cohort.read(data, label)
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
        split=split,
        pretrain_on=pretrain_on or (),
        standardize=standardize,
        min_overlap=min_overlap,
        gene_map=gene_map,
        probes=probes,
        **cohort.settings(),
        **training.settings(),
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

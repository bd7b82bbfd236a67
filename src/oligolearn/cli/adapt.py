"""`oligolearn adapt`: a model for samples of another platform, hospital or kind, from labelled ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import CohortOptions
from oligolearn.cli.options import (
    BatchSize,
    Device,
    Duplicates,
    Epochs,
    GeneMapFile,
    GenesIn,
    Label,
    LearningRate,
    MaxMissing,
    MinClassSize,
    ModelOut,
    Normalize,
    Precision,
    Probes,
    Quiet,
    Samples,
    Seed,
    TopGenes,
)
from oligolearn.cli.printing import chosen, epoch_bar, of_epochs, print_notes
from oligolearn.cli.reading import read_translation

Source = Annotated[Path, typer.Argument(help="Expression matrix of samples with labels.")]
Target = Annotated[Path, typer.Argument(help="Expression matrix of the samples to predict.")]
MoreSources = Annotated[
    list[Path] | None, typer.Option("--source", help="Another file of samples with labels; give it again for more.")
]
Method = Annotated[
    str,
    typer.Option(
        help="linear (logistic or ridge regression), coral or optimal-transport (linear, the source given the "
        "covariance of the target), combat or quantile (linear, the target given location and scale or quantiles of "
        "the source), dann, deep-coral, dan, wdgrl, for classes also cdan, cada, f-cada (cada with a few labels of the "
        "target: needs --target-labels), source (a network without adaptation), or auto: linear, which no network beat "
        "where it was measured. Several, comma-separated, or select for the usual ones: train all, and choose without "
        "labels of the target."
    ),
]
How = Annotated[
    str,
    typer.Option(
        help="Genes of each domain by itself (takes away differences of platforms), all together (where the mix of "
        "classes differs), on the scale of the sources, or what suits: each, together, combat, quantile, auto."
    ),
]
Pretrained = Annotated[
    str | None,
    typer.Option(
        help="Pretrain the network's encoder on the samples of all files, without labels, by this self-supervised "
        "method: swav, simclr or another one of `oligolearn pretrain`."
    ),
]
UseTargetLabels = Annotated[
    bool, typer.Option("--target-labels", help="Learn from the labels of the target, where there are any, as well.")
]
ShiftTable = Annotated[
    Path | None, typer.Option(help="CSV to write: by how much each gene differs between source and target.")
]
Overlap = Annotated[
    float, typer.Option("--min-overlap", help="Smallest share of the target's genes that every source must have.")
]


def adapt(
    source: Source,
    target: Target,
    label: Label,
    out: ModelOut,
    sources: MoreSources = None,
    method: Method = "auto",
    standardize: How = "auto",
    pretrained: Pretrained = None,
    target_labels: UseTargetLabels = False,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    max_missing: MaxMissing = 0.3,
    top_genes: TopGenes = None,
    min_class_size: MinClassSize = None,
    min_overlap: Overlap = 0.2,
    shift_table: ShiftTable = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    device: Device = "auto",
    precision: Precision = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn from the labelled samples of SOURCE to predict those of TARGET, whose labels are not needed.

    A label of more than 20 different numbers is learned by regression.
    """
    from oligolearn.estimators import (
        LabelColumns,
        Preparation,
        SelfSupervisedEncoder,
        adapt_cohorts,
        save_model,
        tabulate_shift,
    )
    from oligolearn.estimators.adaptation_methods import LINEAR
    from oligolearn.saving import check_bundle_target
    from oligolearn.writing import check_folder, whole_file

    check_bundle_target(out)
    if shift_table is not None:
        check_folder(shift_table)
    candidates = [name.strip() for name in method.split(",")] if "," in method else None
    of_networks = chosen(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if (of_networks or pretrained) and {"auto", *LINEAR}.issuperset(candidates or [method]):
        given = (*chosen(pretrained=pretrained), *of_networks)
        named = ", ".join("--" + name.replace("_", "-") for name in given)
        raise ValueError(f"{named} is for networks, and --method {method} trains none: choose one, such as dann")
    translation = read_translation(gene_map, probes)
    options = CohortOptions(samples=samples, genes_in=genes_in, duplicates=duplicates)
    read = []
    files = [source, *(sources or ()), target]
    for path, adata in zip(files, options.read_all(files, label), strict=True):
        read.append(adata)
        print_notes([f"{path.name}: {note}" for note in adata.uns["oligolearn"]["notes"]])
    with epoch_bar("training", shown=not quiet) as on_epoch:
        machine: dict[str, Any] = {"device": device, "precision": precision, "on_epoch": on_epoch}
        adapted = adapt_cohorts(
            read[:-1],
            read[-1],
            LabelColumns(label, min_class_size=min_class_size),
            {
                "method": "select" if candidates else method,
                "pretrained": None if pretrained is None else SelfSupervisedEncoder(pretrained, **machine),
                "standardize": standardize,
                "candidates": candidates,
                "random_state": seed,
                **machine,
                **of_networks,
                **of_epochs(epochs),
            },
            Preparation(normalize, max_missing, top_genes, translation),
            min_overlap=min_overlap,
            use_target_labels=target_labels,
        )
    save_model(adapted.model, out, features=adapted.features, facts=adapted.facts)
    print_notes(adapted.notes)
    if shift_table is not None:
        with whole_file(shift_table) as temporary:
            tabulate_shift(adapted.values, adapted.domains, adapted.features).to_csv(temporary)
        print(f"Genes by their shift: {shift_table}")
    print(f"Model: {out}")

"""`oligolearn train`: a classifier from labelled samples, from scratch or on a pretrained encoder."""

from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli.groups import CohortOptions, with_groups
from oligolearn.cli.options import (
    BatchSize,
    Data,
    Device,
    Epochs,
    GeneMapFile,
    Label,
    Layers,
    LearningRate,
    ModelOut,
    Precision,
    Probes,
    Quiet,
    Seed,
)
from oligolearn.cli.printing import chosen, epoch_bar, numbers, print_notes
from oligolearn.cli.reading import read_translation

Pretrained = Annotated[Path | None, typer.Option(help="Folder of a model whose encoder to start from.")]
Transfer = Annotated[int | None, typer.Option(help="Number of pretrained blocks to take over. Default: all.")]
Freeze = Annotated[int, typer.Option(help="Number of blocks, from the input on, that do not learn.")]
EarlyStopping = Annotated[
    bool, typer.Option("--early-stopping", help="Hold out labelled samples to decide when to stop.")
]
SelfTrain = Annotated[
    bool,
    typer.Option(
        "--self-train", help="Let a second network learn what the first makes of all samples, labelled or not; keep it."
    ),
]
Folds = Annotated[int, typer.Option(help="Folds of the cross-validation that says how good the model is; 0 for none.")]


@with_groups
def train(
    data: Data,
    label: Label,
    out: ModelOut,
    *,
    pretrained: Pretrained = None,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    transfer_layers: Transfer = None,
    freeze_layers: Freeze = 0,
    cohort: CohortOptions,
    layers: Layers = "512,256,128",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    early_stopping: EarlyStopping = False,
    self_train: SelfTrain = False,
    folds: Folds = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train a classifier on the labelled samples of a file and keep it."""
    from oligolearn.estimators import (
        FineTunedClassifier,
        LabelColumns,
        Preparation,
        SelfTrainedClassifier,
        load_model,
        save_model,
        train_classifier,
    )
    from oligolearn.saving import check_bundle_target

    if gene_map is not None and pretrained is None:
        raise ValueError("--gene-map is for the names of the genes of another model: it needs --pretrained")
    translation = read_translation(gene_map, probes)
    source = None if pretrained is None else load_model(pretrained)
    check_bundle_target(out)
    adata = cohort.read(data, label)
    print_notes(adata.uns["oligolearn"]["notes"])
    with epoch_bar("training", shown=not quiet) as on_epoch:
        model = FineTunedClassifier(
            encoder_options={"hidden": numbers(layers)},
            transfer_layers=transfer_layers,
            frozen_layers=freeze_layers,
            early_stopping=early_stopping,
            random_state=seed,
            device=device,
            precision=precision,
            on_epoch=on_epoch,
            **chosen(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        )
        trained = train_classifier(
            adata,
            LabelColumns(label, cohort.group, cohort.min_class_size),
            SelfTrainedClassifier(model, random_state=seed) if self_train else model,
            Preparation(cohort.normalize, cohort.max_missing, cohort.top_genes, translation),
            pretrained=source,
            n_folds=folds,
        )
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    print_notes(trained.notes)
    metrics = dict(trained.facts["metrics"])
    print(f"{metrics.pop('note')}: {', '.join(f'{name} {value:.3f}' for name, value in metrics.items())}".rstrip(": "))
    print(f"Model: {out}")

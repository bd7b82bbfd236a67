"""`oligolearn train`: a classifier from labelled samples, from scratch or on a pretrained encoder."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import CohortOptions, SequenceOptions, refuse_named, refuse_options, with_groups
from oligolearn.cli.options import (
    BatchSize,
    DataOrSequences,
    Device,
    Epochs,
    GeneMapFile,
    LabelOrLabels,
    Layers,
    LearningRate,
    ModelOut,
    Precision,
    Probes,
    Quiet,
    Seed,
    Separator,
)
from oligolearn.cli.printing import chosen, epoch_bar, numbers, of_epochs, print_notes
from oligolearn.cli.reading import read_translation
from oligolearn.cli.sequence_studies import OF_GENES, read_for_study

Pretrained = Annotated[Path | None, typer.Option(help="Folder of a model whose encoder to start from.")]
Transfer = Annotated[int | None, typer.Option(help="Number of pretrained blocks to take over. Default: all.")]
Freeze = Annotated[int, typer.Option(help="Number of blocks, from the input on, that do not learn.")]
Settings = Annotated[
    Path | None,
    typer.Option("--settings", help="Of sequences: settings that `tune` found, its best.json, in place of options."),
]
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


LAYERS = "512,256,128"
_SHOWN = 20  # labels whose scores are printed; model.json has all


@with_groups
def train(
    data: DataOrSequences,
    label: LabelOrLabels,
    out: ModelOut,
    *,
    separator: Separator = None,
    pretrained: Pretrained = None,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    transfer_layers: Transfer = None,
    freeze_layers: Freeze = 0,
    cohort: CohortOptions,
    layers: Layers = LAYERS,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    early_stopping: EarlyStopping = False,
    self_train: SelfTrain = False,
    settings_file: Settings = None,
    folds: Folds = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    of_sequences: SequenceOptions,
) -> None:
    """Train on the labelled samples of a file, expression or sequences, and keep the model.

    Of sequences, a label of more than 20 different numbers is learned by regression, and several columns of 0 and 1, or
    a column of several names a cell (--separator), as labels that a sequence may have at once.
    """
    from oligolearn.data import is_sequence_file
    from oligolearn.saving import check_bundle_target

    network = (
        of_epochs(epochs)
        | chosen(batch_size=batch_size, learning_rate=learning_rate)
        | {
            "transfer_layers": transfer_layers,
            "frozen_layers": freeze_layers,
            "early_stopping": early_stopping,
            "random_state": seed,
            "device": device,
            "precision": precision,
        }
    )
    if is_sequence_file(data):
        for_expression = {
            "self_train": (self_train, False),
            "layers": (layers, LAYERS),
            "gene_map": (gene_map, None),
            "probes": (probes, "auto"),
        }
        refuse_named(for_expression, data, "sequences")
        refuse_options(cohort, OF_GENES, data, "sequences")
        check_bundle_target(out)
        settings = {"pretrained": pretrained, **network, **of_sequences.settings()}
        if settings_file is not None:
            asked_too = {**of_epochs(epochs), **chosen(batch_size=batch_size, learning_rate=learning_rate)}
            settings |= _tuned(settings_file, {**asked_too, **of_sequences.of_network()})
        asked = {"identity": of_sequences.identity, "n_folds": folds, "separator": separator}
        _train_on_sequences(data, label, out, settings, cohort, of_sequences, {**asked, "quiet": quiet})
        return
    refuse_named({"separator": (separator, None), "settings": (settings_file, None)}, data, "expression")
    refuse_options(of_sequences, [field.name for field in fields(of_sequences)], data, "expression")
    if gene_map is not None and pretrained is None:
        raise ValueError("--gene-map is for the names of the genes of another model: it needs --pretrained")
    if pretrained is not None and cohort.top_genes is not None:
        raise ValueError("--top-genes does nothing with --pretrained, which has its genes already; leave it out")
    check_bundle_target(out)
    settings = {"encoder_options": {"hidden": numbers(layers)}, **network}
    start = {"pretrained": pretrained, "translation": read_translation(gene_map, probes)}
    asked = {"self_train": self_train, "n_folds": folds}
    _train_on_expression(data, label, out, settings, cohort, {**start, **asked, "quiet": quiet})


def _tuned(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a network over sequences that `tune` found.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is not there or holds none, or options say something else.
    """
    if given:
        raise ValueError(f"--settings has the settings of the network; leave out {', '.join(given)}")
    from oligolearn.estimators import SequenceClassifier

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; --settings is the best.json of a tuning")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["training"]
        SequenceClassifier(**settings)
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} holds no settings of a network over sequences; --settings is the best.json of a tuning"
        ) from None
    return dict(settings)


def _train_on_expression(
    data: Path,
    label: str,
    out: Path,
    settings: dict[str, Any],
    cohort: CohortOptions,
    asked: dict[str, Any],
) -> None:
    from oligolearn.data import sample_warnings
    from oligolearn.estimators import (
        FineTunedClassifier,
        LabelColumns,
        Preparation,
        SelfTrainedClassifier,
        load_model,
        save_model,
        train_classifier,
    )

    source = None if asked["pretrained"] is None else load_model(asked["pretrained"])
    adata = cohort.read(data, label)
    print_notes(adata.uns["oligolearn"]["notes"])
    print_notes([f"Warning: {warning}" for warning in sample_warnings(adata, label, cohort.group)])
    with epoch_bar("training", shown=not asked["quiet"]) as on_epoch:
        model = FineTunedClassifier(on_epoch=on_epoch, **settings)
        trained = train_classifier(
            adata,
            LabelColumns(label, cohort.group, cohort.min_class_size),
            SelfTrainedClassifier(model, random_state=settings["random_state"]) if asked["self_train"] else model,
            Preparation(cohort.normalize, cohort.max_missing, cohort.top_genes, asked["translation"]),
            pretrained=source,
            n_folds=asked["n_folds"],
        )
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    _print_trained(trained.notes, trained.facts, out)


def _print_trained(notes: list[str], facts: dict[str, Any], out: Path) -> None:
    print_notes(notes)
    metrics = dict(facts["metrics"])
    labels = metrics.pop("labels", {})
    print(f"{metrics.pop('note')}: {', '.join(f'{name} {value:.3f}' for name, value in metrics.items())}".rstrip(": "))
    for name, one in list(labels.items())[:_SHOWN]:
        print(
            f"  {name}: auroc {one['auroc']:.3f}, average precision {one['average_precision']:.3f} "
            f"({one['n_with']:,} of {one['n_known']:,} sequences have it)"
        )
    if len(labels) > _SHOWN:
        print(f"  and {len(labels) - _SHOWN} more labels: metrics in {out / 'model.json'}")
    print(f"Model: {out}")


def _train_on_sequences(
    data: Path,
    label: str,
    out: Path,
    settings: dict[str, Any],
    cohort: CohortOptions,
    of_sequences: SequenceOptions,
    asked: dict[str, Any],
) -> None:
    from oligolearn.data.sequence_inspection import sequence_warnings
    from oligolearn.estimators import LabelColumns, save_model, train_on_sequences

    sequences = read_for_study(data, cohort, of_sequences)
    print_notes(sequences.notes)
    print_notes([f"Warning: {warning}" for warning in sequence_warnings(sequences, label, cohort.group)])
    with epoch_bar("training", shown=not asked.pop("quiet")) as on_epoch:
        trained = train_on_sequences(
            sequences,
            LabelColumns(label, cohort.group, cohort.min_class_size),
            {**settings, "on_epoch": on_epoch},
            **asked,
        )
    trained.facts["training_data"]["file"] = data.name
    save_model(trained.model, out, facts=trained.facts)
    _print_trained(trained.notes, trained.facts, out)

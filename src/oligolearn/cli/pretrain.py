"""`oligolearn pretrain`: an encoder from samples without labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oligolearn.cli.options import (
    BatchSize,
    BorrowedOverlap,
    CheckpointMinutes,
    Data,
    Device,
    Devices,
    Duplicates,
    Epochs,
    GeneMapFile,
    GenesIn,
    Group,
    Layers,
    LearningRate,
    MaskShare,
    MaxMissing,
    MinClassSize,
    ModelOut,
    Nodes,
    Normalize,
    OptionalLabel,
    Precision,
    PretrainOn,
    Probes,
    Quiet,
    Samples,
    Seed,
    Standardize,
    Stream,
    TopGenes,
    View,
    ViewStrength,
)
from oligolearn.cli.printing import chosen, numbers, pretraining_bar, print_notes, view_settings
from oligolearn.cli.processes import processes
from oligolearn.cli.reading import read_or_open, read_translation

if TYPE_CHECKING:
    import anndata as ad

    from oligolearn.data import StoredExpression
    from oligolearn.estimators import LabelColumns

Method = Annotated[
    str,
    typer.Option(
        help="Self-supervised objective: swav, simclr, moco, byol, vicreg, barlow-twins, deepcluster, autoencoder, "
        "denoising-autoencoder, vime, masked-genes, scarf."
    ),
]
Prototypes = Annotated[int | None, typer.Option(help="SwAV's clusters; about three for each class you expect.")]


def pretrain(
    data: Data,
    out: ModelOut,
    method: Method = "swav",
    label: OptionalLabel = None,
    group: Group = None,
    min_class_size: MinClassSize = None,
    pretrain_on: PretrainOn = None,
    standardize: Standardize = "each",
    min_overlap: BorrowedOverlap = 0.5,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    samples: Samples = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    normalize: Normalize = "auto",
    max_missing: MaxMissing = 0.3,
    top_genes: TopGenes = None,
    layers: Layers = "512,256,128",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    view: View = None,
    view_strength: ViewStrength = None,
    mask_share: MaskShare = None,
    prototypes: Prototypes = None,
    device: Device = "auto",
    precision: Precision = "auto",
    devices: Devices = None,
    nodes: Nodes = None,
    stream: Stream = None,
    checkpoint_minutes: CheckpointMinutes = 5.0,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Pretrain an encoder on all samples of a file, and say how good it may be. Killed, the same command goes on.

    Labels are not learned from; with --label, their classes decide the number of clusters, and simple classifiers on
    the embedding are compared with the same on principal components.
    """
    from oligolearn.estimators import (
        LabelColumns,
        OtherCohorts,
        Preparation,
        SelfSupervisedEncoder,
        pretrain_encoder,
        save_model,
    )
    from oligolearn.saving import check_bundle_target
    from oligolearn.training import is_first_process

    check_bundle_target(out)
    n_devices, n_nodes = processes(devices, nodes)
    checkpoint = out.with_name(f"{out.name}.checkpoint.safetensors")
    if not checkpoint_minutes > 0:
        raise ValueError(f"--checkpoint-minutes must be positive, found {checkpoint_minutes}")
    if group is not None and label is None:
        raise ValueError("--group says which samples stay together when labels are probed: it needs --label")
    if gene_map is not None and not pretrain_on:
        raise ValueError("--gene-map is for the names of other cohorts: it needs --pretrain-on")
    translation = read_translation(gene_map, probes)
    columns = [name for name in (label, group) if name]
    in_memory = bool(columns or pretrain_on) and stream is None
    cohort, notes = read_or_open(
        data,
        samples=samples,
        genes_in=genes_in,
        duplicates=duplicates,
        stream=False if in_memory else stream,
        label=columns,
    )
    print_notes(notes)
    others = OtherCohorts(_read(pretrain_on or [], duplicates), standardize, min_overlap, translation)
    probe = None if label is None else LabelColumns(label, group, min_class_size)
    options = chosen(n_prototypes=prototypes)
    if probe is not None and not options:
        options = _clusters(method, cohort, probe)
    if checkpoint.exists():
        print(f"Going on from {checkpoint}.")
    with pretraining_bar("pretraining", shown=not quiet) as bar:
        model = SelfSupervisedEncoder(
            method,
            encoder_options={"hidden": numbers(layers)},
            objective_options=options,
            random_state=seed,
            device=device,
            precision=precision,
            devices=n_devices,
            nodes=n_nodes,
            checkpoint=checkpoint,
            checkpoint_minutes=checkpoint_minutes,
            on_epoch=bar.tell,
            on_watch=bar.watch,
            **view_settings(view, view_strength, mask_share),
            **chosen(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        )
        preparation = Preparation(normalize, max_missing, top_genes)
        trained = pretrain_encoder(cohort, model, preparation, others=others, probe=probe)
    if not is_first_process():
        return
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    checkpoint.unlink(missing_ok=True)
    print_notes(trained.notes)
    print_notes(_summary(trained.model.pretraining_ or {}, trained.facts))
    print(f"Model: {out}")


def _read(paths: "list[Path]", duplicates: str) -> "list[ad.AnnData]":
    """Other cohorts, with what was done to them printed."""
    from oligolearn.data import read_expression

    cohorts = []
    for path in paths:
        cohorts.append(read_expression(path, duplicate_genes=duplicates))
        print_notes(f"{path.name}: {note}" for note in cohorts[-1].uns["oligolearn"]["notes"])
    return cohorts


def _clusters(method: str, cohort: "ad.AnnData | StoredExpression", probe: "LabelColumns") -> dict[str, int]:
    """Number of clusters for as many classes as there are; nothing for an objective without clusters."""
    from oligolearn.data import StoredExpression, class_labels
    from oligolearn.study.methods import objective_defaults

    if isinstance(cohort, StoredExpression):
        return {}
    classes = class_labels(cohort, probe.label, min_class_size=probe.min_class_size).classes
    found = objective_defaults(method, len(classes), cohort.n_obs)
    if "n_prototypes" in found:
        print(f"{found['n_prototypes']} clusters for {len(classes)} classes of {probe.label!r}.")
    return found


def _summary(pretraining: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """What was derived, and how good the encoder may be, in sentences."""
    from oligolearn.estimators import describe_probes

    options = ", ".join(f"{name} {_number(value)}" for name, value in pretraining["objective_options"].items())
    quality = {name: _number(value) for name, value in pretraining["quality"].items()}
    used = (
        f", {quality['prototypes_in_use']} of {quality['prototypes']} prototypes in use"
        if "prototypes" in quality
        else ""
    )
    return [
        f"{pretraining['objective']}: {options or 'no settings'}; for {pretraining['n_samples']:,} samples in batches "
        f"of {pretraining['batch_size']} or more, {pretraining['epochs']:,} epochs; "
        f"final loss {pretraining['losses'][-1]:.4f}",
        f"Without labels: RankMe {quality['rank_me']} and effective rank {quality['effective_rank']} of "
        f"{quality['dimensions']}, alpha-ReQ {quality['alpha_req']}, neighbourhood stability "
        f"{quality['neighbour_stability']}{used}.",
        *(describe_probes(facts["probes"], "embedding", "principal components") if "probes" in facts else []),
    ]


def _number(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)

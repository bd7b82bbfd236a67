"""`oligolearn pretrain`: an encoder from samples without labels, or vectors of k-mers from genomes."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oligolearn.cli.groups import PretrainingCohort, PretrainingSequences, refuse_options, refuse_with, with_groups
from oligolearn.cli.options import (
    BatchSize,
    CheckpointMinutes,
    Device,
    Epochs,
    LearningRate,
    MaskShare,
    ModelOut,
    Precision,
    PretrainData,
    Quiet,
    Seed,
)
from oligolearn.cli.pretrain_sequences import learn_kmers, pretrain_sequence_encoder
from oligolearn.cli.printing import chosen, numbers, of_epochs, pretraining_bar, print_notes, view_settings
from oligolearn.cli.processes import processes
from oligolearn.cli.reading import read_or_open, read_translation

if TYPE_CHECKING:
    import anndata as ad

    from oligolearn.data import StoredExpression
    from oligolearn.estimators import LabelColumns

Method = Annotated[
    str | None,
    typer.Option(
        help="Self-supervised objective: swav (the default), simclr, moco, byol, vicreg, barlow-twins, deepcluster, "
        "autoencoder, denoising-autoencoder, vime, masked-genes, scarf. Of sequences: masked-letters (the default), "
        "next-letter, simclr, moco, byol, vicreg, barlow-twins, swav, or word2vec."
    ),
]
Prototypes = Annotated[int | None, typer.Option(help="SwAV's clusters; about three for each class you expect.")]


_MINUTES = 5.0  # between two savings


@with_groups
def pretrain(
    data: PretrainData,
    out: ModelOut,
    *,
    method: Method = None,
    cohort: PretrainingCohort,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    mask_share: MaskShare = None,
    prototypes: Prototypes = None,
    device: Device = "auto",
    precision: Precision = "auto",
    checkpoint_minutes: CheckpointMinutes = _MINUTES,
    seed: Seed = 0,
    quiet: Quiet = False,
    of_sequences: PretrainingSequences,
) -> None:
    """Pretrain an encoder on all samples of a file, and say how good it may be. Killed, the same command goes on.

    Labels are not learned from; with --label, their classes decide the number of clusters, and simple classifiers on
    the embedding are compared with the same on principal components. Of sequences there are no such probes; with
    --method word2vec, vectors of k-mers are learned from genomes.
    """
    from oligolearn.data import is_sequence_file
    from oligolearn.saving import check_bundle_target

    check_bundle_target(out)
    if not checkpoint_minutes > 0:
        raise ValueError(f"--checkpoint-minutes must be positive, found {checkpoint_minutes}")
    settings = {
        "random_state": seed,
        "device": device,
        "precision": precision,
        "checkpoint": out.with_name(f"{out.name}.checkpoint.safetensors"),
        "checkpoint_minutes": checkpoint_minutes,
        **of_epochs(epochs),
        **chosen(batch_size=batch_size, learning_rate=learning_rate),
    }
    if is_sequence_file(data[0]):
        refuse_options(cohort, [field.name for field in fields(cohort)], data[0], "sequences")
        if method == "word2vec":
            often = checkpoint_minutes if checkpoint_minutes != _MINUTES else None  # word2vec: after each epoch
            unused = {"batch_size": batch_size, "mask_share": mask_share, "prototypes": prototypes}
            refuse_with(method, **unused, checkpoint_minutes=often)
            kept = {"random_state": seed, "checkpoint": settings["checkpoint"]}
            kept |= chosen(epochs=epochs, learning_rate=learning_rate)
            learn_kmers(data, out, of_sequences, kept, quiet=quiet)
            return
        settings["objective"] = method or "masked-letters"
        pretrain_sequence_encoder(
            data, out, of_sequences, settings, mask_share=mask_share, prototypes=prototypes, quiet=quiet
        )
        return
    refuse_options(of_sequences, [field.name for field in fields(of_sequences)], data[0], "expression")
    if method == "word2vec":
        raise ValueError(f"word2vec learns from sequences, and {data[0].name} holds expression; give FASTA or FASTQ")
    if len(data) > 1:
        raise ValueError(f"pretraining takes one matrix, found {len(data)} files; give others with --pretrain-on")
    settings |= {"objective": method or "swav", **view_settings(cohort.view, cohort.view_strength, mask_share)}
    _pretrain_on_expression(data[0], out, cohort, settings, prototypes, quiet=quiet)


def _pretrain_on_expression(
    data: Path, out: Path, options: PretrainingCohort, settings: dict[str, Any], prototypes: int | None, *, quiet: bool
) -> None:
    from oligolearn.estimators import (
        LabelColumns,
        OtherCohorts,
        Preparation,
        SelfSupervisedEncoder,
        pretrain_encoder,
        save_model,
    )
    from oligolearn.training import is_first_process

    n_devices, n_nodes = processes(options.devices, options.nodes)
    label, group = options.label, options.group
    if group is not None and label is None:
        raise ValueError("--group says which samples stay together when labels are probed: it needs --label")
    if options.gene_map is not None and not options.pretrain_on:
        raise ValueError("--gene-map is for the names of other cohorts: it needs --pretrain-on")
    translation = read_translation(options.gene_map, options.probes)
    columns = [name for name in (label, group) if name]
    in_memory = bool(columns or options.pretrain_on) and options.stream is None
    cohort, notes = read_or_open(
        data,
        samples=options.samples,
        genes_in=options.genes_in,
        duplicates=options.duplicates,
        stream=False if in_memory else options.stream,
        label=columns,
    )
    print_notes(notes)
    borrowed = _read(options.pretrain_on or [], options.duplicates)
    others = OtherCohorts(borrowed, options.standardize, options.min_overlap, translation)
    probe = None if label is None else LabelColumns(label, group, options.min_class_size)
    objective_options = chosen(n_prototypes=prototypes)
    if probe is not None and not objective_options:
        objective_options = _clusters(settings["objective"], cohort, probe)
    if settings["checkpoint"].exists():
        print(f"Going on from {settings['checkpoint']}.")
    with pretraining_bar("pretraining", shown=not quiet) as bar:
        model = SelfSupervisedEncoder(
            encoder_options={"hidden": numbers(options.layers)},
            objective_options=objective_options,
            devices=n_devices,
            nodes=n_nodes,
            on_epoch=bar.tell,
            on_watch=bar.watch,
            **settings,
        )
        preparation = Preparation(options.normalize, options.max_missing, options.top_genes)
        trained = pretrain_encoder(cohort, model, preparation, others=others, probe=probe)
    if not is_first_process():
        return
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    settings["checkpoint"].unlink(missing_ok=True)
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

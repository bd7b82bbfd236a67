"""`oligolearn pretrain`: an encoder from samples without labels."""

from typing import Annotated

import typer

from oligolearn.cli.options import (
    BatchSize,
    CheckpointMinutes,
    Data,
    Device,
    Devices,
    Duplicates,
    Epochs,
    GenesIn,
    Layers,
    LearningRate,
    MaskShare,
    MaxMissing,
    ModelOut,
    Nodes,
    Normalize,
    Precision,
    Quiet,
    Samples,
    Seed,
    Stream,
    TopGenes,
)
from oligolearn.cli.printing import chosen, epoch_bar, numbers, print_notes
from oligolearn.cli.processes import processes
from oligolearn.cli.reading import read_or_open

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
    """Pretrain an encoder on all samples of a file. Labels are not used. Killed, the same command goes on."""
    from oligolearn.estimators import Preparation, SelfSupervisedEncoder, pretrain_encoder, save_model
    from oligolearn.saving import check_bundle_target
    from oligolearn.training import is_first_process

    check_bundle_target(out)
    n_devices, n_nodes = processes(devices, nodes)
    checkpoint = out.with_name(f"{out.name}.checkpoint.safetensors")
    if not checkpoint_minutes > 0:
        raise ValueError(f"--checkpoint-minutes must be positive, found {checkpoint_minutes}")
    cohort, notes = read_or_open(data, samples=samples, genes_in=genes_in, duplicates=duplicates, stream=stream)
    print_notes(notes)
    if checkpoint.exists():
        print(f"Going on from {checkpoint}.")
    with epoch_bar("pretraining", shown=not quiet) as on_epoch:
        model = SelfSupervisedEncoder(
            method,
            encoder_options={"hidden": numbers(layers)},
            view_options=chosen(share=mask_share),
            objective_options=chosen(n_prototypes=prototypes),
            random_state=seed,
            device=device,
            precision=precision,
            devices=n_devices,
            nodes=n_nodes,
            checkpoint=checkpoint,
            checkpoint_minutes=checkpoint_minutes,
            on_epoch=on_epoch,
            **chosen(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        )
        trained = pretrain_encoder(cohort, model, Preparation(normalize, max_missing, top_genes))
    if not is_first_process():
        return
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    checkpoint.unlink(missing_ok=True)
    print_notes(trained.notes)
    settings = ", ".join(f"{name} {value:.4g}" for name, value in trained.model.options_.items())
    print(f"{method}: {settings}; final loss {trained.model.history_.losses[-1]:.4f}")
    print(f"Model: {out}")

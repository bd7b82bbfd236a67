"""`oligolearn pretrain`: an encoder from samples without labels."""

from typing import Annotated

import typer

from oligolearn.cli.options import (
    BatchSize,
    Data,
    Device,
    Duplicates,
    Epochs,
    GenesIn,
    Layers,
    LearningRate,
    MaskShare,
    MaxMissing,
    ModelOut,
    Normalize,
    Quiet,
    Samples,
    Seed,
    TopGenes,
)
from oligolearn.cli.printing import chosen, epoch_bar, numbers, print_notes

Method = Annotated[str, typer.Option(help="Self-supervised objective: swav.")]
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
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Pretrain an encoder on all samples of a file. Labels are not used."""
    from oligolearn.data import read_expression
    from oligolearn.estimators import Preparation, SelfSupervisedEncoder, pretrain_encoder, save_model
    from oligolearn.saving import check_bundle_target

    check_bundle_target(out)
    adata = read_expression(data, samples=samples, genes_in=genes_in, duplicate_genes=duplicates)
    print_notes(adata.uns["oligolearn"]["notes"])
    with epoch_bar("pretraining", shown=not quiet) as on_epoch:
        model = SelfSupervisedEncoder(
            method,
            encoder_options={"hidden": numbers(layers)},
            view_options=chosen(share=mask_share),
            objective_options=chosen(n_prototypes=prototypes),
            random_state=seed,
            device=device,
            on_epoch=on_epoch,
            **chosen(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        )
        trained = pretrain_encoder(adata, model, Preparation(normalize, max_missing, top_genes))
    save_model(trained.model, out, features=trained.features, facts=trained.facts)
    print_notes(trained.notes)
    settings = ", ".join(f"{name} {value:.4g}" for name, value in trained.model.options_.items())
    print(f"{method}: {settings}; final loss {trained.model.history_.losses[-1]:.4f}")
    print(f"Model: {out}")

"""Self-supervised objectives: ``forward(views)`` returns a scalar loss. They own their encoder and heads."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from oligolearn.pretext.autoencoder import AutoEncoder, DenoisingAutoEncoder
from oligolearn.pretext.barlow_twins import BarlowTwins
from oligolearn.pretext.byol import BYOL
from oligolearn.pretext.collapse import (
    diagnose_collapse,
    effective_rank,
    positives_in_queue,
    prototypes_in_use,
    signs_of_collapse,
)
from oligolearn.pretext.deepcluster import DeepCluster, spherical_k_means
from oligolearn.pretext.masked_genes import MaskedGenes
from oligolearn.pretext.masked_letters import MaskedLetters, letter_loss
from oligolearn.pretext.moco import MoCo
from oligolearn.pretext.next_letter import NextLetter
from oligolearn.pretext.quality import alpha_req, neighbour_stability, rank_me
from oligolearn.pretext.scarf import SCARF, info_nce
from oligolearn.pretext.simclr import SimCLR
from oligolearn.pretext.swav import SwAV, sinkhorn
from oligolearn.pretext.vicreg import VICReg
from oligolearn.pretext.vime import VIME

OBJECTIVES: dict[str, Callable[..., nn.Module]] = {
    "swav": SwAV,
    "simclr": SimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "vicreg": VICReg,
    "barlow-twins": BarlowTwins,
    "deepcluster": DeepCluster,
    "autoencoder": AutoEncoder,
    "denoising-autoencoder": DenoisingAutoEncoder,
    "vime": VIME,
    "masked-genes": MaskedGenes,
    "scarf": SCARF,
}
# Those of sequences: the first two read letters one by one, the others compare two views of a sequence.
SEQUENCE_OBJECTIVES: dict[str, Callable[..., nn.Module]] = {
    "masked-letters": MaskedLetters,
    "next-letter": NextLetter,
    **{name: OBJECTIVES[name] for name in ("simclr", "moco", "byol", "vicreg", "barlow-twins", "swav")},
}


def suggest_options(
    objective: Callable[..., nn.Module],
    chosen: Mapping[str, Any],
    *,
    n_rows: int,
    batch_size: int,
    n_epochs: int,
    n_features: int,
) -> dict[str, Any]:
    """Settings of an objective: those chosen, completed by the objective's own `suggest_options` where it has one.

    Raises
    ------
    ValueError
        If the objective has no setting of a name that was chosen.
    """
    parameters = inspect.signature(objective).parameters
    known = list(parameters)[1:]  # the first is the encoder
    unknown = [name for name in chosen if name not in known]
    if unknown and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        name = getattr(objective, "__name__", repr(objective))
        raise ValueError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    suggest = getattr(objective, "suggest_options", None)
    if suggest is None:
        return dict(chosen)
    options: dict[str, Any] = suggest(
        chosen, n_rows=n_rows, batch_size=batch_size, n_epochs=n_epochs, n_features=n_features
    )
    return options


def augmented(objective: nn.Module | Callable[..., nn.Module]) -> tuple[bool, ...]:
    """Which of the elements of a batch are random views; the others are the rows themselves."""
    which: tuple[bool, ...] = getattr(objective, "augmented", (True, True))
    return which


def needs_rows(objective: nn.Module) -> bool:
    """Whether the last element of a batch is the numbers of its rows."""
    return bool(getattr(objective, "needs_rows", False))


def default_view(objective: Callable[..., nn.Module]) -> tuple[str, dict[str, Any]]:
    """Name and settings of the view that suits an objective: its own `default_view`, or masked mixtures.

    Those are what objectives of two views did well with on every cohort of docs/methods/pretext.md.
    """
    view: tuple[str, dict[str, Any]] = getattr(objective, "default_view", ("masked-mixup", {}))
    return view


__all__ = [
    "BYOL",
    "OBJECTIVES",
    "SCARF",
    "SEQUENCE_OBJECTIVES",
    "VIME",
    "AutoEncoder",
    "BarlowTwins",
    "DeepCluster",
    "DenoisingAutoEncoder",
    "MaskedGenes",
    "MaskedLetters",
    "MoCo",
    "NextLetter",
    "SimCLR",
    "SwAV",
    "VICReg",
    "alpha_req",
    "augmented",
    "default_view",
    "diagnose_collapse",
    "effective_rank",
    "info_nce",
    "letter_loss",
    "needs_rows",
    "neighbour_stability",
    "positives_in_queue",
    "prototypes_in_use",
    "rank_me",
    "signs_of_collapse",
    "sinkhorn",
    "spherical_k_means",
    "suggest_options",
]

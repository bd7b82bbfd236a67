"""Signs that pretraining did not learn anything, in words."""

import torch
from torch import Tensor, nn

_NEAR = 0.98  # a loss above this share of its plateau has not moved


def effective_rank(embedding: Tensor) -> float:
    """Number of directions that an embedding ``(n, dim)`` really uses, from 0 to ``min(n, dim)``.

    The exponential of the entropy of the normalised singular values of the centred embedding (Roy & Vetterli 2007);
    0 where all rows are equal.

    Examples
    --------
    >>> round(effective_rank(torch.eye(5)), 3)
    4.0
    """
    centred = embedding.double() - embedding.double().mean(dim=0)
    values = torch.linalg.svdvals(centred)
    total = values.sum()
    if total <= 1e-9 * max(1.0, float(embedding.abs().max())) * len(values):
        return 0.0
    share = values / total
    return float(torch.exp(torch.special.entr(share).sum()))


def diagnose_collapse(objective: nn.Module, loss: float, embedding: Tensor) -> list[str]:
    """Name what points at collapse, each with its fix.

    Parameters
    ----------
    objective
        May have a `plateau`: the loss at which it stays when it learns nothing.
    loss
        Mean loss of the last epoch.
    embedding
        Of training rows, ``(n, dim)``.
    """
    found = []
    plateau = getattr(objective, "plateau", None)
    if plateau is not None and loss > _NEAR * plateau:
        found.append(
            f"collapse: the loss {loss:.3f} stays at its plateau {plateau:.3f}, the value of an encoder that cannot "
            "tell samples apart; hide fewer genes, train longer, or lower the learning rate or epsilon"
        )
    rank = effective_rank(embedding)
    if rank < 2:
        found.append(
            f"collapse: the embedding of {embedding.shape[1]} numbers has an effective rank of {rank:.1f}, all samples "
            "lie at one point or on one line; hide fewer genes, use more prototypes or a larger batch"
        )
    return found

"""Signs that pretraining did not learn anything, in words and with the fix."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NEAR = 0.98  # a loss above this share of its plateau has not moved
_FEWEST_DIRECTIONS = 2
_FEWEST_OF_POSSIBLE = 0.6  # where few are possible: of an embedding of two numbers, or of three samples
_FEWEST_IN_USE = 0.1  # of the prototypes that could be
_MOST_POSITIVES = 0.05  # in the queue, for each query


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


@torch.no_grad()
def prototypes_in_use(objective: nn.Module, embedding: Tensor) -> float | None:
    """How many prototypes the rows of an embedding ``(n, out_dim)`` spread over; None for one without prototypes.

    The exponential of the entropy of the shares of rows nearest to each: all of them where they are equally popular, 1
    where one takes all rows.
    """
    prototypes = getattr(objective, "prototypes", None)
    if prototypes is None:
        return None
    directions: Tensor = prototypes.weight if isinstance(prototypes, nn.Linear) else prototypes
    head = objective.get_submodule("head")
    training = head.training
    z = head.eval()(embedding.to(directions))
    head.train(training)
    nearest = (F.normalize(z, dim=1) @ F.normalize(directions, dim=1).T).argmax(dim=1)
    share = torch.bincount(nearest, minlength=len(directions)).double() / len(nearest)
    return float(torch.exp(torch.special.entr(share).sum()))


def positives_in_queue(queue_length: int, n_rows: int) -> float:
    """Views of a sample that its own queue of negatives holds on average, where rows are shuffled in each epoch.

    A sample's last view is `g` rows back, where `g` is the sum of what was left of the last epoch after it and what has
    passed of this one: triangular between 0 and ``2 n_rows``.

    Examples
    --------
    >>> [round(positives_in_queue(length, 100), 3) for length in (0, 50, 100, 200)]
    [0.0, 0.125, 0.5, 1.5]
    """
    share = queue_length / n_rows
    return 0.5 * share**2 if share <= 1 else share - 0.5


def signs_of_collapse(objective: nn.Module, embedding: Tensor) -> dict[str, float]:
    """Numbers that show a collapse, of the embedding ``(n, out_dim)`` of training rows.

    Returns
    -------
    dict
        ``effective_rank``, ``dimensions``; with prototypes ``prototypes_in_use`` and ``prototypes``; ``plateau`` where
        the objective has one.
    """
    signs = {"effective_rank": effective_rank(embedding), "dimensions": float(embedding.shape[1])}
    used = prototypes_in_use(objective, embedding)
    if used is not None:
        prototypes: Any = objective.prototypes
        n_prototypes = len(prototypes.weight if isinstance(prototypes, nn.Linear) else prototypes)
        signs |= {"prototypes_in_use": used, "prototypes": float(n_prototypes)}
    plateau = getattr(objective, "plateau", None)
    return signs if plateau is None else {**signs, "plateau": float(plateau)}


def diagnose_collapse(
    objective: nn.Module, loss: float, embedding: Tensor, *, n_rows: int | None = None, numbered: bool = True
) -> list[str]:
    """Name what points at collapse, each with its fix: ``"what: evidence; fix"``.

    Parameters
    ----------
    objective
        May have a `plateau`, the loss at which it stays when it learns nothing; `prototypes`; a `queue_length`.
    loss
        Mean loss of the last epoch.
    embedding
        Of training rows, ``(n, dim)``.
    n_rows
        Number of training rows; None for those of the embedding.
    numbered
        Whether the objective was told the numbers of its rows, if it wants them.
    """
    signs = signs_of_collapse(objective, embedding)
    found = []
    plateau = signs.get("plateau")
    if plateau is not None and loss > _NEAR * plateau:
        found.append(
            f"collapse: the loss {loss:.3f} stays at its plateau {plateau:.3f}, the value of an encoder that cannot "
            "tell samples apart; let views change less, train longer, or lower the learning rate or epsilon"
        )
    rank = signs["effective_rank"]
    n_directions = min(embedding.shape[1], len(embedding) - 1)  # that are possible
    if rank < min(_FEWEST_DIRECTIONS, _FEWEST_OF_POSSIBLE * n_directions):
        prototypes = "use more prototypes or a larger batch" if "prototypes" in signs else "use a larger batch"
        found.append(
            f"collapse: the embedding of {embedding.shape[1]} numbers has an effective rank of {rank:.1f}, all samples "
            f"lie at one point or on one line; let views change less, {prototypes}"
        )
    elif "prototypes" in signs:
        possible = min(signs["prototypes"], len(embedding))
        if signs["prototypes_in_use"] < max(1.5, _FEWEST_IN_USE * possible):
            found.append(
                f"collapse: the samples spread over {signs['prototypes_in_use']:.1f} of {signs['prototypes']:.0f} "
                "prototypes, the others are empty; ask for fewer prototypes, or use a larger batch"
            )
    return found + _diagnose_queue(objective, n_rows or len(embedding), numbered)


def _diagnose_queue(objective: nn.Module, n_rows: int, numbered: bool) -> list[str]:  # noqa: FBT001
    length = int(getattr(objective, "queue_length", len(getattr(objective, "queue", ()))))
    if length > n_rows:
        return [
            f"queue: it holds {length:,} embeddings of {n_rows:,} training samples, {length / n_rows:.1f} for each, "
            f"the older ones out of date; set queue_length to {n_rows:,} or less, or leave it out"
        ]
    queued = getattr(objective, "queued", None)
    if length and queued is not None and int(queued) < length:
        return [
            f"queue: it was never full ({int(queued):,} of {length:,} embeddings), so it was never used; shorten "
            "queue_length or train longer"
        ]
    positives = positives_in_queue(length, n_rows)
    if length and not numbered and positives > _MOST_POSITIVES:
        return [
            f"queue: {positives:.2f} of the negatives of each sample are views of the sample itself; keep the matrix "
            "in memory, where they are told apart, or shorten queue_length"
        ]
    return []

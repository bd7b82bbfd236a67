"""F-CADA: CADA that also knows a few labels of the target, and gives them to the rows around."""

from typing import Self

import torch
from torch import Tensor, nn

from oligolearn.adapt.batches import HIDDEN, Batch, label_loss
from oligolearn.nn import Encoder

NEIGHBOURS = 10
_BLOCK = 1024  # rows whose distances to all others are in memory at once


@torch.no_grad()
def propagate_labels(
    embedding: Tensor, probabilities: Tensor, labels: Tensor, *, share: float = 1.0, n_neighbours: int = NEIGHBOURS
) -> Tensor:
    """Give labels to rows that have none, greedily, one at a time, the one that is least in doubt first.

    What is believed of a row is the mean of the probabilities of its nearest rows, itself included; a label that is
    known counts as a probability of 1. The row whose belief has the smallest entropy takes the class that is most
    probable, and counts as known from then on in what is believed of the rows around it.

    Parameters
    ----------
    embedding
        ``(n, d)``.
    probabilities
        Of the classes, by a classifier, ``(n, n_classes)``.
    labels
        Class numbers, ``(n,)``; -1 where not known. Those that are known stay as they are.
    share
        Of the rows without a label, how many to give one, from 0 to 1.
    n_neighbours
        Rows whose mean is taken, at most all.

    Returns
    -------
    Tensor
        Class numbers, ``(n,)``; -1 for rows that got none.

    Notes
    -----
    Zou 2019, eq. 7: labels of the target that make the entropy of its rows small, found greedily. Differs from the
    paper, where a row is compared with the centroid of each class: a class may lie in several places, and where labels
    are few their centroids are noise.

    Examples
    --------
    >>> rows = torch.tensor([[0.0], [10.0], [2.0], [5.5], [3.5]])
    >>> unsure = torch.tensor([[0.5, 0.5]]).repeat(5, 1)
    >>> known = torch.tensor([0, 1, -1, -1, -1])
    >>> propagate_labels(rows, unsure, known, share=1 / 3, n_neighbours=3).tolist()  # 2 lies beside 0 and 3.5
    [0, 1, 0, -1, -1]
    >>> propagate_labels(rows, unsure, known, n_neighbours=3).tolist()  # and then 3.5, and then 5.5
    [0, 1, 0, 0, 0]
    """
    found, beside = labels.cpu().clone(), _nearest(embedding.double().cpu(), min(n_neighbours, len(labels)))
    is_open = found == HIDDEN
    sure = torch.eye(probabilities.shape[1], dtype=torch.float64)
    each = torch.where(is_open[:, None], probabilities.double().cpu(), sure[found.clamp(min=0)])
    belief = each[beside].mean(dim=1)
    for _ in range(round(share * int(is_open.sum()))):
        entropy = -torch.special.xlogy(belief, belief.clamp(min=0)).sum(dim=1)
        row = int(torch.where(is_open, entropy, torch.inf).argmin())
        best = int(belief[row].argmax())
        found[row], is_open[row] = best, False
        belief[(beside == row).any(dim=1)] += (sure[best] - each[row]) / beside.shape[1]
        each[row] = sure[best]
    return found.to(labels.device)


def _nearest(z: Tensor, n: int) -> Tensor:
    """Numbers of the `n` rows nearest to each, ``(len(z), n)``."""
    return torch.cat([torch.cdist(part, z).topk(n, dim=1, largest=False).indices for part in torch.split(z, _BLOCK)])


class FewShot(nn.Module):
    """Last phase of F-CADA (Zou 2019, AAAI): target encoder and shared classifier learn labels of the target as well.

    ``forward(batch)`` takes a `Batch` and returns the cross-entropy of the source rows, whose encoder stays as it is,
    plus that of the target rows whose class is known or was given to them by `propagate_labels`.

    Parameters
    ----------
    source_encoder, target_encoder
        As `Consensus` left them.
    head
        The shared classifier, ``(batch, out_dim) -> (batch, n_classes)``.
    dropout
        Share of the embedding set to zero while training.
    class_weight
        Weight of each class, ``(n_classes,)``, or None.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        source_encoder: Encoder,
        target_encoder: Encoder,
        head: nn.Linear,
        *,
        dropout: float = 0.0,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.source_encoder = source_encoder.requires_grad_(requires_grad=False)
        self.target_encoder = target_encoder.requires_grad_(requires_grad=True)
        self.head = head
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("class_weight", class_weight)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  (torch's signature)
        """Set training mode, but for the encoder of the source."""
        super().train(mode)
        self.source_encoder.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the source's labels plus that of the target's."""
        source, labels, _, target, target_labels = batch
        embedding = torch.cat([self.source_encoder(source), self.target_encoder(target)])
        logits, n = self.head(self.dropout(embedding)), len(source)
        of_source = label_loss(logits[:n], labels, self.class_weight)
        return of_source + label_loss(logits[n:], target_labels, self.class_weight)

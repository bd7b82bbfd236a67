"""What every adaptation objective is given, and the loss on labels that all of them have."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from oligolearn.nn import Classifier
from oligolearn.nn.precision import at_least_float32

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Source rows ``(n, n_features)``, their class numbers ``(n,)`` and domains ``(n,)``, target rows ``(m, n_features)``
and their class numbers ``(m,)``; -1 where a class is not known. For regression values instead of class numbers, in
floating point, NaN where not known."""

HIDDEN = -1


def label_loss(logits: Tensor, labels: Tensor, class_weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of the rows whose class is known, their weighted mean; 0 where none is.

    Parameters
    ----------
    logits
        ``(n, n_classes)``.
    labels
        Class numbers, ``(n,)``; -1 where not known.
    class_weight
        ``(n_classes,)``, or None for equal weights.

    Examples
    --------
    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [9.0, 0.0]])
    >>> round(label_loss(logits, torch.tensor([0, 1, -1])).exp().item(), 3)
    2.0
    >>> label_loss(logits, torch.tensor([-1, -1, -1])).item()
    0.0
    """
    outputs = at_least_float32(logits)
    known = labels != HIDDEN
    weight = None if class_weight is None else class_weight.to(outputs.dtype)
    size = known.sum() if weight is None else (known * weight[labels.clamp(min=0)]).sum()
    losses = F.cross_entropy(outputs, labels, weight, ignore_index=HIDDEN, reduction="sum")
    return losses / size.clamp(min=1 if weight is None else torch.finfo(outputs.dtype).tiny)


def value_loss(outputs: Tensor, values: Tensor) -> Tensor:
    """Mean squared error of the rows whose value is known; 0 where none is.

    Parameters
    ----------
    outputs
        ``(n, 1)``.
    values
        ``(n,)``; NaN where not known.

    Examples
    --------
    >>> value_loss(torch.tensor([[1.0], [5.0], [9.0]]), torch.tensor([1.0, 2.0, torch.nan])).item()
    4.5
    """
    known = ~values.isnan()
    errors = torch.where(known, at_least_float32(outputs)[:, 0] - values.nan_to_num(), 0)
    return errors.square().sum() / known.sum().clamp(min=1)


class Seen(NamedTuple):
    """What a network makes of a batch: source rows first, then those of the target.

    Attributes
    ----------
    embedding, logits
        ``(n + m, out_dim)`` and ``(n + m, n_classes)``.
    loss
        `label_loss` of the rows whose class is known, or `value_loss` of those whose value is.
    """

    embedding: Tensor
    logits: Tensor
    loss: Tensor


def see(model: Classifier, batch: Batch, class_weight: Tensor | None) -> Seen:
    """Pass both sides through the network together."""
    source, labels, _, target, target_labels = batch
    embedding = model.encoder(torch.cat([source, target]))
    logits = model.classify(embedding)
    return Seen(embedding, logits, known_loss(logits, torch.cat([labels, target_labels]), class_weight))


def known_loss(outputs: Tensor, labels: Tensor, class_weight: Tensor | None) -> Tensor:
    """Loss of the rows of which a class, or in floating point a value, is known."""
    return value_loss(outputs, labels) if labels.is_floating_point() else label_loss(outputs, labels, class_weight)


def with_target(domains: Tensor, target: Tensor, n_sources: int) -> Tensor:
    """Domains of source rows, then of the target rows, whose number comes after the last source's, ``(n + m,)``."""
    return torch.cat([domains, domains.new_full((len(target),), n_sources)])

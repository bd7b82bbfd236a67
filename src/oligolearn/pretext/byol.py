"""BYOL: predicting what a slow copy of the network makes of the other view."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import same_rows
from oligolearn.pretext.momentum import MomentumCopy, check_momentum, suggest_momentum

_SHORTEST = 1e-6  # vectors below this length keep theirs, as in the authors' code


def distance_of_directions(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance of unit vectors, ``2 - 2 cos``, over rows ``(batch, dim)`` (Grill 2020, eq. 2).

    Examples
    --------
    >>> import torch
    >>> distance_of_directions(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(2.)
    """
    predicted = F.normalize(at_least_float32(predictions), dim=1, eps=_SHORTEST)
    aimed_at = F.normalize(at_least_float32(targets), dim=1, eps=_SHORTEST)
    return (2 - 2 * (predicted * aimed_at).sum(dim=1)).mean()


class BYOL(nn.Module):
    """Predict what a slow copy of the network makes of the other view (Grill 2020, arXiv:2006.07733).

    ``forward(views)`` takes two views of the same rows, each ``(batch, n_features)``, and returns the sum over both
    directions of ``2 - 2 cos(prediction of one view, projection of the other by the copy)`` (eq. 2), a scalar from 0
    to 8. There are no negatives. The copy's momentum rises along a cosine, from `momentum` to 1 at the end:
    ``1 - (1 - momentum) * (cos(pi * progress) + 1) / 2``.

    A network that sends all samples to one point has a loss of 0, the lowest: there is no plateau, and a low loss is
    no sign of learning. What keeps it from there is the predictor together with the slow copy; look at the effective
    rank of the embedding.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    momentum
        Share of itself that each weight of the copy keeps in the first step.
    projection
        Hidden units of projector and predictor, and their outputs.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the paper: 128 hidden units and 64 outputs instead of 4096 and 256; a momentum that suits the number
    of steps, see `suggest_options` (the paper: .99 for 300 epochs, .996 for 1,000); the copy follows before a step
    instead of after it, and starts from the weights of the network, where the authors' code draws others.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = BYOL(MLP(20, (16, 8)))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = False

    def __init__(self, encoder: Encoder, *, momentum: float = 0.99, projection: tuple[int, int] = (128, 64)) -> None:
        super().__init__()
        check_momentum(momentum)
        n_hidden, n_out = projection
        self.encoder = encoder
        self.projector = _two_layers(encoder.out_dim, n_hidden, n_out)
        self.predictor = _two_layers(n_out, n_hidden, n_out)
        self.slow = MomentumCopy(encoder, self.projector)
        self.momentum = momentum
        self._momentum = momentum

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen by a momentum that suits the steps (`suggest_momentum`)."""
        return {"momentum": suggest_momentum(n_epochs * max(1, n_rows // batch_size)), **chosen}

    def on_step(self, progress: float) -> None:
        """Hear which share of the training is done, from 0 to 1."""
        self._momentum = 1 - (1 - self.momentum) * (math.cos(math.pi * progress) + 1) / 2

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of predicting each view's projection by the copy from the other view."""
        views = same_rows(views)
        if self.training:
            self.slow.follow(self.encoder, self.projector, momentum=self._momentum)
        targets = [self.slow(view) for view in views]
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        first, second = targets
        return distance_of_directions(predictions[0], second) + distance_of_directions(predictions[1], first)


def _two_layers(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear; no bias that the predictor's batch norm would take out again."""
    return nn.Sequential(
        nn.Linear(n_in, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_out, bias=False),
    )

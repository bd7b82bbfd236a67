"""Squared error of a network with one output."""

from torch import Tensor, nn
from torch.nn import functional as F


class RegressionLoss(nn.Module):
    """Mean squared error: ``forward((x, y))`` with `y` the numbers to predict, ``(batch,)``.

    Parameters
    ----------
    model
        Module that returns ``(batch, 1)``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean loss of a batch, a scalar."""
        x, y = batch
        return F.mse_loss(self.model(x)[:, 0], y)

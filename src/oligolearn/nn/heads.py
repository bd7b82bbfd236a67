"""Small networks that sit on an encoder's output."""

from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """Two-layer projection ``(batch, n_in) -> (batch, n_out)`` used while pretraining and dropped afterwards.

    Linear, batch norm, ReLU, linear, as SwAV and SimCLR have it.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, n_hidden, bias=False), nn.BatchNorm1d(n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Project an embedding."""
        projected: Tensor = self.layers(x)
        return projected

"""Which domain an embedding is from."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


class Discriminator(nn.Module):
    """Two-layer network ``(batch, n_in) -> (batch, n_out)``: logits of domains, or a critic's score.

    Linear, ReLU, linear. Without batch norm, which would let it see the domains of the other rows of a batch.

    Parameters
    ----------
    n_in, n_hidden, n_out
        Widths.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each row."""
        logits: Tensor = self.layers(x)
        return logits

    def judge(self, x: Tensor) -> Tensor:
        """Logits that teach whoever made `x`, and not this network: its weights get no gradient."""
        first, last = cast(nn.Linear, self.layers[0]), cast(nn.Linear, self.layers[2])
        hidden = F.relu(F.linear(x, first.weight.detach(), first.bias.detach()))
        return F.linear(hidden, last.weight.detach(), last.bias.detach())

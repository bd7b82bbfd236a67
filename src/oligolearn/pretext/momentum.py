"""Copies of a network that follow it slowly."""

import copy

import torch
from torch import Tensor, nn

FASTEST, SLOWEST = 0.9, 0.999


class MomentumCopy(nn.Module):
    """A copy of networks, one after the other, whose weights are a moving average of theirs.

    ``forward(x)`` passes `x` through the copies without gradient. The copies keep the statistics of their own batch
    norms; only weights follow.

    Parameters
    ----------
    networks
        Copied as they are now, weights included.

    Examples
    --------
    >>> network = nn.Linear(2, 1)
    >>> slow = MomentumCopy(network)
    >>> with torch.no_grad():
    ...     _ = network.bias.add_(1.0)
    >>> before = slow.networks[0].bias.item()
    >>> slow.follow(network, momentum=0.75)
    >>> round(slow.networks[0].bias.item() - before, 4)
    0.25
    """

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(copy.deepcopy(network) for network in networks)
        self.networks.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def follow(self, *networks: nn.Module, momentum: float) -> None:
        """Move each weight to ``momentum * itself + (1 - momentum) * that of the network``, in place."""
        for mine, theirs in zip(self.networks, networks, strict=True):
            for slow, fast in zip(mine.parameters(), theirs.parameters(), strict=True):
                slow.mul_(momentum).add_(fast, alpha=1 - momentum)  # lerp_ is slow under vmap

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Output of the last copy."""
        for network in self.networks:
            x = network(x)
        return x


def suggest_momentum(n_steps: int) -> float:
    """Momentum of a copy that follows a training of `n_steps` steps.

    The copy averages over about ``1 / (1 - momentum)`` steps. The papers' .99 to .999 suit their 100,000 and more
    steps; in 200 steps such a copy would hardly move from its random start. So it averages over a twentieth of
    the steps, at least 10 and at most 1,000 of them.

    Examples
    --------
    >>> [suggest_momentum(n_steps) for n_steps in (200, 1_000, 10_000, 1_000_000)]
    [0.9, 0.98, 0.998, 0.999]
    """
    return round(min(SLOWEST, max(FASTEST, 1 - 20 / n_steps)), 6)


def check_momentum(momentum: float) -> None:
    """Refuse what is no momentum."""
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must lie between 0 and 1, and below 1, found {momentum}; .9 suits 200 steps")

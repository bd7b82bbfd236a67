"""Views from the neighbourhood of a sample's code."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from oligolearn.views.drawing import draw_normal
from oligolearn.views.masking import check_rows


class LatentNeighbours:
    """Decode a point near the code that an auto-encoder gives to the sample.

    An auto-encoder with one hidden layer on either side learns from the training rows when the view is fitted; a view
    adds noise to the code and decodes it. Two views of a sample are two points near its code. Source: Laurent (2022),
    third augmentation.

    Parameters
    ----------
    strength
        Standard deviation of the noise, in standard deviations of each number of the code over the training rows.
    n_codes
        Numbers in a code.
    n_hidden
        Units of the hidden layers.
    steps, batch_size, learning_rate
        Of the training of the auto-encoder by Adam.
    seed
        Of its initial weights and of the order of its rows.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the source, which does not say how its auto-encoder is built: this one is ours.

    Examples
    --------
    >>> rows = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    >>> view = LatentNeighbours(n_codes=4, n_hidden=16, steps=20).fit(rows)
    >>> view(rows[:3], generator=torch.Generator().manual_seed(1)).shape
    torch.Size([3, 8])
    """

    def __init__(
        self,
        *,
        strength: float = 0.5,
        n_codes: int = 32,
        n_hidden: int = 128,
        steps: int = 300,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        if not 0 <= strength < math.inf:
            raise ValueError(f"strength of the noise on a code must be finite and not negative, found {strength}")
        if min(n_codes, n_hidden, batch_size) < 1 or steps < 0 or not learning_rate > 0:
            raise ValueError(
                "n_codes, n_hidden and batch_size must be at least 1, steps not negative, learning_rate positive, "
                f"found {n_codes}, {n_hidden}, {batch_size}, {steps}, {learning_rate}"
            )
        self.strength = strength
        self.n_codes = n_codes
        self.n_hidden = n_hidden
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Train the auto-encoder on the standardised training `rows`, ``(n_rows, n_genes)``, on their device."""
        rows = check_rows(rows)
        source = torch.Generator().manual_seed(self.seed)
        encoder, decoder = (
            _network(sizes, source).to(rows)
            for sizes in (
                (rows.shape[1], self.n_hidden, self.n_codes),
                (self.n_codes, self.n_hidden, rows.shape[1]),
            )
        )
        self._train(encoder, decoder, rows, source)
        with torch.no_grad():
            codes = torch.cat([encoder(part) for part in torch.split(rows, 4096)])
        spread = self.strength * codes.std(dim=0, correction=0)
        return partial(_near, encoder=encoder, decoder=decoder, spread=spread)

    def _train(self, encoder: nn.Module, decoder: nn.Module, rows: Tensor, source: torch.Generator) -> None:
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=self.learning_rate, fused=True)
        with torch.enable_grad():
            for _ in range(self.steps):
                batch = rows[torch.randint(len(rows), (self.batch_size,), generator=source).to(rows.device)]
                optimizer.zero_grad()
                (decoder(encoder(batch)) - batch).square().mean().backward()
                optimizer.step()
        for parameter in (*encoder.parameters(), *decoder.parameters()):
            parameter.requires_grad_(False)  # noqa: FBT003


def _network(sizes: tuple[int, int, int], source: torch.Generator) -> nn.Sequential:
    layers = [nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu") for n_in, n_out in pairwise(sizes)]
    for layer in layers:
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=source)  # torch's own for linear layers
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1])


@torch.no_grad()
def _near(x: Tensor, *, encoder: nn.Module, decoder: nn.Module, spread: Tensor, generator: torch.Generator) -> Tensor:
    code = encoder(x.to(spread.dtype))
    noise = draw_normal(code.shape, generator=generator, dtype=code.dtype)
    decoded: Tensor = decoder(code + spread * noise)
    return decoded.to(x.dtype)

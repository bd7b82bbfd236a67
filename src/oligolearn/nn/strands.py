"""Both strands of DNA."""

from typing import cast

import torch
from torch import Tensor, nn

from oligolearn.nn.encoder import Encoder

COMBINATIONS = ("mean", "max")


class BothStrands(Encoder):
    """An encoder that reads each sequence and its reverse complement with the same weights.

    What it gives is the same for both strands. Shapes: as those of the encoder.

    Parameters
    ----------
    encoder
        Reads one strand.
    complement
        Code on the other strand of each code, ``(n_codes,)``: `oligolearn.data.Alphabet.complement`.
    combine
        ``"mean"``, or ``"max"`` as DeepBind has it (Alipanahi 2015).

    Examples
    --------
    >>> from oligolearn.nn import MotifCNN
    >>> shares = torch.cat([torch.zeros(1, 4), torch.eye(4)])
    >>> encoder = BothStrands(MotifCNN(shares), torch.tensor([0, 4, 3, 2, 1])).eval()
    >>> forward, backward = encoder(torch.tensor([[1, 1, 3, 0]])), encoder(torch.tensor([[2, 4, 4, 0]]))
    >>> torch.allclose(forward, backward)
    True
    """

    complement: Tensor

    def __init__(self, encoder: Encoder, complement: Tensor, combine: str = "mean") -> None:
        super().__init__()
        if combine not in COMBINATIONS:
            raise ValueError(f"unknown way to combine strands {combine!r}; choose one of {', '.join(COMBINATIONS)}")
        self.encoder = encoder
        self.out_dim = encoder.out_dim
        self.combine = combine
        self.register_buffer("complement", complement.long(), persistent=False)

    @property
    def blocks(self) -> nn.ModuleList:  # type: ignore[override]
        """Those of the encoder."""
        return self.encoder.blocks

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes ``(batch, length)``."""
        both = self.encoder(torch.cat([x, reverse_complement(x, self.complement)]))
        forward, backward = cast(tuple[Tensor, Tensor], both.chunk(2))
        return (forward + backward) / 2 if self.combine == "mean" else torch.maximum(forward, backward)


def reverse_complement(codes: Tensor, complement: Tensor) -> Tensor:
    """Give the other strand of each row, ``(batch, length)``; padding stays where it is.

    Examples
    --------
    >>> reverse_complement(torch.tensor([[1, 2, 2, 0, 0], [0, 0, 1, 2, 4]]), torch.tensor([0, 4, 3, 2, 1])).tolist()
    [[3, 3, 4, 0, 0], [0, 0, 1, 3, 4]]
    """
    numbers = codes.long()
    places = torch.arange(codes.shape[1], device=codes.device)
    there = numbers > 0
    first = there.to(torch.uint8).argmax(dim=1, keepdim=True)
    mirrored = (2 * first + there.sum(dim=1, keepdim=True) - 1 - places).clamp(0, codes.shape[1] - 1)
    return (complement[numbers.gather(1, mirrored)] * there).to(codes.dtype)

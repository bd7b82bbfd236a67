"""What every encoder has."""

from torch import nn


class Encoder(nn.Module):
    """From a batch to ``(batch, out_dim)``, through blocks; transferring or freezing k layers means the first k blocks.

    Any `nn.Module` with these attributes will do; this class only names them.

    Attributes
    ----------
    out_dim
        Width of the embedding.
    blocks
        Parts from input to output.
    """

    out_dim: int
    blocks: nn.ModuleList

"""Views that hide genes."""

import torch
from torch import Tensor


def mask_genes(x: Tensor, *, share: float = 0.5, per: str = "batch", generator: torch.Generator) -> Tensor:
    """Replace a random share of the genes by standard normal draws.

    The data are standardised, so N(0, 1) is what an uninformative gene looks like. Source: Laurent (2022), who draws
    the genes once for each batch and finds large shares best on TCGA.

    Parameters
    ----------
    x
        Standardised expression, ``(batch, n_genes)``.
    share
        Probability of each gene to be hidden, from 0 to 1.
    per
        ``"batch"`` hides the same genes in all rows, ``"row"`` draws them anew for each row.
    generator
        Source of randomness, on the device of `x`.

    Returns
    -------
    Tensor
        ``(batch, n_genes)``; `x` itself is left as it is.

    Raises
    ------
    ValueError
        If `share` is no probability or `per` is unknown.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> view = mask_genes(torch.full((2, 1000), 9.0), share=0.3, generator=generator)
    >>> bool(((view[0] == 9) == (view[1] == 9)).all())
    True
    """
    if per not in ("batch", "row"):
        raise ValueError(f"per must be 'batch' or 'row', found {per!r}")
    if not 0 <= share <= 1:
        raise ValueError(f"share of masked genes must lie between 0 and 1, found {share}")
    rows = 1 if per == "batch" else x.shape[0]
    hidden = torch.rand(rows, x.shape[1], generator=generator, device=x.device) < share
    if x.device.type == "cpu":  # only as many draws as are needed; a GPU would have to wait for their number
        hidden = hidden.expand_as(x)
        return x.masked_scatter(hidden, torch.randn(int(hidden.sum()), generator=generator, dtype=x.dtype))
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return torch.where(hidden, noise, x)

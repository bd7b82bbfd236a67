"""Views that hide genes."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from oligolearn.views.drawing import draw_below, draw_normal

FILLS = ("normal", "zero", "marginal")


def mask_genes(
    x: Tensor,
    *,
    share: float = 0.5,
    per: str = "batch",
    fill: str = "normal",
    rows: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """Replace a random share of the genes by values that tell nothing about the sample.

    The data are standardised, so N(0, 1) is what an uninformative gene looks like. Source: Laurent (2022), who draws
    the genes once for each batch and finds large shares best on TCGA; ``fill="marginal"`` is that of VIME
    (Yoon 2020) and SCARF (Bahri 2022, arXiv:2106.15147), who draw the genes anew for each row.

    Parameters
    ----------
    x
        Standardised expression, ``(batch, n_genes)``.
    share
        Probability of each gene to be hidden, from 0 to 1.
    per
        ``"batch"`` hides the same genes in all rows, ``"row"`` draws them anew for each row.
    fill
        What takes the place of a hidden value: ``"normal"`` a draw from N(0, 1), ``"zero"`` the gene's mean,
        ``"marginal"`` the value that this gene has in a training row drawn at random, another one for each value.
    rows
        Training rows, ``(n_rows, n_genes)``, for ``fill="marginal"`` alone.
    generator
        Source of randomness, on the device of `x`.

    Returns
    -------
    Tensor
        ``(batch, n_genes)``; `x` itself is left as it is.

    Raises
    ------
    ValueError
        If `share` is no probability, `per` or `fill` is unknown, or the training rows are missing.

    Notes
    -----
    Differs from SCARF: each gene is hidden with a probability of `share`, the paper hides exactly that share of them;
    a value drawn from the marginal may by chance be the value it replaces.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> view = mask_genes(torch.full((2, 1000), 9.0), share=0.3, generator=generator)
    >>> bool(((view[0] == 9) == (view[1] == 9)).all())
    True
    """
    _check(share, per, fill)
    hidden = draw_genes(x, share, per=per, generator=generator)
    return fill_hidden(x, hidden, fill=fill, rows=rows, generator=generator)


class MarginalMasking:
    """`mask_genes` that fills in values of other training rows, gene by gene.

    Parameters
    ----------
    share, per
        As in `mask_genes`; the defaults are SCARF's.

    Examples
    --------
    >>> rows = torch.arange(8.0).view(4, 2)
    >>> view = MarginalMasking(share=1.0).fit(rows)(rows, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.isin(view[:, 0], rows[:, 0]).all())
    True
    """

    def __init__(self, *, share: float = 0.6, per: str = "row") -> None:
        _check(share, per, "marginal")
        self.share = share
        self.per = per

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Draw from the standardised training `rows`, ``(n_rows, n_genes)``; they are not copied."""
        return partial(mask_genes, share=self.share, per=self.per, fill="marginal", rows=check_rows(rows))


def draw_genes(x: Tensor, share: float, *, per: str, generator: torch.Generator) -> Tensor:
    """Draw genes of `x`, ``(batch, n_genes)``, each with the probability `share`; one row of them per batch or each."""
    return draw_below(share, (1 if per == "batch" else x.shape[0], x.shape[1]), generator=generator)


def fill_hidden(x: Tensor, hidden: Tensor, *, fill: str, rows: Tensor | None, generator: torch.Generator) -> Tensor:
    """Fill the places `hidden`, ``(batch or 1, n_genes)``, of `x`; `fill` and `rows` as in `mask_genes`."""
    if fill == "zero":
        return x.masked_fill(hidden, 0)
    if fill == "marginal" and rows is None:
        raise ValueError(
            "fill='marginal' draws from the training rows, found none; pass rows=, or fit the view 'marginal' to them"
        )
    if fill == "normal" or rows is None:
        drawn = draw_normal(x.shape, generator=generator, dtype=x.dtype)
    elif x.device.type == "cpu":  # only as many draws as are needed; a GPU would have to wait for their number
        return x.masked_scatter(hidden, _values_of_others(hidden.expand_as(x), rows, generator).to(x.dtype))
    else:
        drawn = rows.to(x.device).gather(0, torch.randint(len(rows), x.shape, generator=generator, device=x.device))
    return drawn.to(x.dtype).lerp_(x, (~hidden).to(x.dtype))  # exact at 0 and 1, and a third of the time of `where`


def _values_of_others(hidden: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """As many values as there are hidden ones, in their order: of the same genes in random `rows`."""
    genes = hidden.nonzero()[:, 1]
    numbers = torch.randint(len(rows), genes.shape, generator=generator)
    return rows.cpu().reshape(-1).index_select(0, numbers * rows.shape[1] + genes)


def check_share(share: float, what: str = "masked genes") -> None:
    """Refuse a share that is no probability."""
    if not 0 <= share <= 1:
        raise ValueError(f"share of {what} must lie between 0 and 1, found {share}")


def check_per(per: str) -> None:
    """Refuse what is neither ``"batch"`` nor ``"row"``."""
    if per not in ("batch", "row"):
        raise ValueError(f"per must be 'batch' or 'row', found {per!r}")


def check_fill(fill: str) -> None:
    """Refuse an unknown filling."""
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, found {fill!r}")


def check_rows(rows: Tensor) -> Tensor:
    """Training rows, ``(n_rows, n_genes)``, of which there is at least one, one after the other in memory."""
    if rows.dim() != 2 or not len(rows):
        raise ValueError(f"a view is fitted to training rows (n_rows, n_genes), found {tuple(rows.shape)}")
    return rows.contiguous()


def _check(share: float, per: str, fill: str) -> None:
    check_per(per)
    check_share(share)
    check_fill(fill)

"""Views that take the values of some genes from another sample."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from oligolearn.views.masking import check_per, check_rows, check_share, draw_genes


class GeneSwapping:
    """Each sample takes the values of a random share of its genes from one training row.

    All values that a sample takes come from the same row, so what genes have to do with each other survives among
    them; `MarginalMasking` draws each value from a row of its own. Source: the crossover of CLEAR (Han 2022, Briefings
    in Bioinformatics 23, bbac377), a quarter of the genes.

    Parameters
    ----------
    share
        Probability of each gene to be taken, from 0 to 1.
    per
        ``"row"`` draws the genes anew for each row, ``"batch"`` once for all rows.

    Raises
    ------
    ValueError
        If `share` is no probability or `per` is unknown.

    Notes
    -----
    Differs from CLEAR: every sample is changed, where CLEAR leaves 60% of them as they are; the partner may by chance
    be the sample itself.

    Examples
    --------
    >>> rows = torch.arange(3.0)[:, None].expand(3, 1000)
    >>> view = GeneSwapping(share=0.5).fit(rows)(rows + 10, generator=torch.Generator().manual_seed(0))
    >>> [len(row.unique()) for row in view]  # its own value and that of one other row
    [2, 2, 2]
    """

    def __init__(self, *, share: float = 0.25, per: str = "row") -> None:
        check_share(share, "swapped genes")
        check_per(per)
        self.share = share
        self.per = per

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Draw partners from the standardised training `rows`, ``(n_rows, n_genes)``; they are not copied."""
        return partial(_swap, rows=check_rows(rows), share=self.share, per=self.per)


def _swap(x: Tensor, *, rows: Tensor, share: float, per: str, generator: torch.Generator) -> Tensor:
    taken = draw_genes(x, share, per=per, generator=generator)
    return draw_partners(x, rows, generator).lerp_(x, (~taken).to(x.dtype))


def draw_partners(x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """One random training row for each row of `x`, ``(batch, n_genes)``."""
    numbers = torch.randint(len(rows), (len(x),), generator=generator, device=x.device)
    return rows.to(x.device).index_select(0, numbers).to(x.dtype)

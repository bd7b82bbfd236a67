"""Views that lie between a sample and another one."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from oligolearn.views.masking import check_rows
from oligolearn.views.swapping import draw_partners


class Mixup:
    """Each sample moves some way towards one training row: ``w x + (1 - w) partner``, ``w`` uniform in [`lowest`, 1].

    Source: Verma 2021 (arXiv:2011.04419), mixup as a view for contrastive learning; Zhang 2018 (arXiv:1710.09412).

    Parameters
    ----------
    lowest
        Least weight of the sample itself, from 0 to 1. From 0.5 on a view is nearer to its sample than to the partner.

    Raises
    ------
    ValueError
        If `lowest` does not lie between 0 and 1.

    Notes
    -----
    Differs from the paper: only arithmetic means, no geometric ones or masks; partners come from all training rows, not
    from the batch; the partner may by chance be the sample itself.

    Examples
    --------
    >>> view = Mixup(lowest=0.5).fit(torch.ones(5, 3))
    >>> bool((view(torch.zeros(4, 3), generator=torch.Generator().manual_seed(0)) <= 0.5).all())
    True
    """

    def __init__(self, *, lowest: float = 0.5) -> None:
        if not 0 <= lowest <= 1:
            raise ValueError(f"lowest weight of a sample in a mixture must lie between 0 and 1, found {lowest}")
        self.lowest = lowest

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Draw partners from the standardised training `rows`, ``(n_rows, n_genes)``; they are not copied."""
        return partial(_mix, rows=check_rows(rows), lowest=self.lowest)


def _mix(x: Tensor, *, rows: Tensor, lowest: float, generator: torch.Generator) -> Tensor:
    partners = draw_partners(x, rows, generator)
    weight = torch.rand(len(x), 1, generator=generator, device=x.device).to(x.dtype)
    return torch.lerp(partners, x, lowest + (1 - lowest) * weight)

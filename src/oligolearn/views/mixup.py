"""Views that lie between a sample and another one."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from oligolearn.views.masking import check_fill, check_per, check_rows, check_share, mask_genes
from oligolearn.views.swapping import draw_partners

_SHARE, _MANY_GENES = 0.5, 1000  # compared on six cohorts, see docs/methods/pretext.md


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


class MaskedMixup:
    """A mixture with one training row, as of `Mixup`, in which a share of the genes is hidden, as by `mask_genes`.

    The two make up for each other. Mixtures leave every gene's own noise in place, by which an encoder can tell samples
    apart without any biology; masking takes it away. Masking alone hides too much where genes are few, and teaches
    nothing of what lies between samples.

    Parameters
    ----------
    share
        Probability of each gene to be hidden, from 0 to 1; None for 0.5 with 1,000 genes or more, and in proportion
        for fewer: the genes of a small panel cannot stand in for each other.
    per, fill
        As in `mask_genes`.
    lowest
        As in `Mixup`.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Examples
    --------
    >>> view = MaskedMixup(share=0.5, fill="zero").fit(torch.ones(5, 1000))
    >>> seen = view(torch.ones(4, 1000), generator=torch.Generator().manual_seed(0))
    >>> seen.unique().tolist(), bool((seen == seen[:1]).all())  # the same genes in all rows
    ([0.0, 1.0], True)
    """

    def __init__(
        self, *, share: float | None = None, lowest: float = 0.5, per: str = "batch", fill: str = "normal"
    ) -> None:
        if share is not None:
            check_share(share)
        check_per(per)
        check_fill(fill)
        self.share = share
        self.mixup = Mixup(lowest=lowest)
        self.masking = {"per": per, "fill": fill}

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Draw partners from the standardised training `rows`, ``(n_rows, n_genes)``; they are not copied."""
        rows = check_rows(rows)
        share = _SHARE * min(1.0, rows.shape[1] / _MANY_GENES) if self.share is None else self.share
        return partial(_mix_and_mask, mix=self.mixup.fit(rows), masking={**self.masking, "share": share, "rows": rows})


def _mix_and_mask(
    x: Tensor, *, mix: Callable[..., Tensor], masking: Mapping[str, Any], generator: torch.Generator
) -> Tensor:
    return mask_genes(mix(x, generator=generator), generator=generator, **masking)


def _mix(x: Tensor, *, rows: Tensor, lowest: float, generator: torch.Generator) -> Tensor:
    partners = draw_partners(x, rows, generator)
    weight = torch.rand(len(x), 1, generator=generator, device=x.device).to(x.dtype)
    return partners.lerp_(x, lowest + (1 - lowest) * weight)

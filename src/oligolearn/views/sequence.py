"""Random views of rows of letters: codes ``(batch, length)``, 0 where there is no letter, to codes of that shape."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from oligolearn.views.drawing import draw_below

OtherStrand = Callable[[Tensor], Tensor]  # codes -> codes of the reverse complement


def turn_strands(codes: Tensor, other_strand: OtherStrand, *, share: float = 0.5, generator: torch.Generator) -> Tensor:
    """Read some rows as the other strand: the share that is drawn, whole rows at a time."""
    turned = draw_below(share, (len(codes), 1), generator=generator)
    return torch.where(turned, other_strand(codes), codes)


def mutate_letters(codes: Tensor, *, n_letters: int, share: float = 0.1, generator: torch.Generator) -> Tensor:
    """Replace a share of the letters by others; ambiguous ones and padding stay.

    Examples
    --------
    >>> codes = torch.tensor([[1, 2, 3, 4, 9, 0]])
    >>> mutated = mutate_letters(codes, n_letters=4, share=1.0, generator=torch.Generator().manual_seed(0))
    >>> (mutated != codes).tolist()
    [[True, True, True, True, False, False]]
    """
    steps = torch.randint(1, n_letters, codes.shape, generator=generator, device=codes.device)
    changed = (codes.long() - 1 + steps) % n_letters + 1
    where = draw_below(share, codes.shape, generator=generator) & (codes > 0) & (codes <= n_letters)
    return torch.where(where, changed.to(codes.dtype), codes)


def crop_rows(codes: Tensor, *, shortest: float = 0.6, generator: torch.Generator) -> Tensor:
    """Keep a stretch of each row, of a length drawn between a share of its letters and all, moved to where it began.

    Examples
    --------
    >>> crop_rows(torch.tensor([[1, 2, 3, 4, 0]]), shortest=0.5, generator=torch.Generator().manual_seed(3))
    tensor([[1, 2, 3, 0, 0]])
    """
    first, lengths = _extent(codes)
    share, at = torch.rand((2, len(codes), 1), generator=generator, device=codes.device)
    kept = (lengths * (shortest + (1 - shortest) * share)).ceil().long().clamp(min=1)
    begin = ((lengths - kept + 1) * at).long()
    places = torch.arange(codes.shape[1], device=codes.device)
    inside = (places >= first) & (places < first + kept) & (lengths > 0)
    moved = codes.gather(1, (places + begin).clamp(max=codes.shape[1] - 1).expand_as(codes))
    cropped: Tensor = moved * inside.to(codes.dtype)
    return cropped


def shift_letters(codes: Tensor, *, most: int, unknown: int, generator: torch.Generator) -> Tensor:
    """Move the letters of each row by up to `most` places to either side; places that fall free hold `unknown`.

    Letters that leave the row's extent are lost, and padding stays where it is.
    """
    first, lengths = _extent(codes)
    by = torch.randint(-most, most + 1, (len(codes), 1), generator=generator, device=codes.device)
    places = torch.arange(codes.shape[1], device=codes.device)
    source = places - by
    inside = (source >= first) & (source < first + lengths)
    moved = codes.gather(1, source.clamp(0, codes.shape[1] - 1))
    filled = torch.where(inside, moved, torch.full_like(codes, unknown))
    return filled * (codes > 0).to(codes.dtype)


def mask_letters(
    codes: Tensor, *, n_letters: int, unknown: int, share: float = 0.15, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide letters to be predicted: BERT's way (Devlin 2019, arXiv:1810.04805).

    Of a share of the letters, 80 % become unknown, 10 % another letter or the same, drawn from all, and 10 % stay.

    Returns
    -------
    seen, target
        Codes with hidden letters, and the letters that were chosen, 0 elsewhere; both ``(batch, length)``. Ambiguous
        letters are never chosen.
    """
    chosen = draw_below(share, codes.shape, generator=generator) & (codes > 0) & (codes <= n_letters)
    kind = torch.rand(codes.shape, generator=generator, device=codes.device)
    letters = torch.randint(1, n_letters + 1, codes.shape, generator=generator, device=codes.device).to(codes.dtype)
    replaced = torch.where(kind < 0.8, torch.full_like(codes, unknown), torch.where(kind < 0.9, letters, codes))
    return torch.where(chosen, replaced, codes), codes * chosen.to(codes.dtype)


@dataclass(frozen=True)
class SequenceView:
    """Several of these views in turn: the other strand, a crop, a shift, mutations.

    Parameters
    ----------
    n_letters, unknown
        Letters of the alphabet, whose codes are 1 to `n_letters`, and the code of one that is not known.
    other_strand
        Codes to those of the reverse complement; None for what has one strand.
    turned, shortest, most, mutated
        Of `turn_strands`, `crop_rows`, `shift_letters` and `mutate_letters`; 0, 1, 0 and 0 for none.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    n_letters: int
    unknown: int
    other_strand: OtherStrand | None = None
    turned: float = 0.5
    shortest: float = 0.6
    most: int = 0
    mutated: float = 0.1

    def __post_init__(self) -> None:
        for name in ("turned", "mutated"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, 0 to 1, found {getattr(self, name)}")
        if not 0 < self.shortest <= 1:
            raise ValueError(f"shortest is the smallest share of a row that is kept, found {self.shortest}")
        if self.most < 0:
            raise ValueError(f"most is a number of places, found {self.most}")

    def __call__(self, codes: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a view of each row."""
        if self.other_strand is not None and self.turned:
            codes = turn_strands(codes, self.other_strand, share=self.turned, generator=generator)
        if self.shortest < 1:
            codes = crop_rows(codes, shortest=self.shortest, generator=generator)
        if self.most:
            codes = shift_letters(codes, most=self.most, unknown=self.unknown, generator=generator)
        if self.mutated:
            codes = mutate_letters(codes, n_letters=self.n_letters, share=self.mutated, generator=generator)
        return codes


def _extent(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Place of the first letter of each row, and how many there are, each ``(batch, 1)``."""
    there = codes > 0
    return there.to(torch.uint8).argmax(dim=1, keepdim=True), there.sum(dim=1, keepdim=True)

"""Random views of a sample: ``(x, generator=...) -> x``, all randomness from an explicit generator.

A view that needs the training rows, or the names of the genes, is a class with its settings; its method
``fit(rows, *, genes=None)`` returns the function. `make_view` does the right thing with either.
"""

from oligolearn.views.gene_sets import GeneSetMasking, read_gmt
from oligolearn.views.latent import LatentNeighbours
from oligolearn.views.masking import MarginalMasking, mask_genes
from oligolearn.views.mixup import MaskedMixup, Mixup
from oligolearn.views.named import (
    STRENGTHS,
    VIEWS,
    Compose,
    check_view,
    looks_at_rows,
    make_view,
    read_view,
    settings_of_view,
    strength_options,
    strength_setting,
)
from oligolearn.views.noise import add_noise
from oligolearn.views.sequence import (
    SequenceView,
    crop_rows,
    mask_letters,
    mutate_letters,
    shift_letters,
    turn_strands,
)
from oligolearn.views.swapping import GeneSwapping

__all__ = [
    "STRENGTHS",
    "VIEWS",
    "Compose",
    "GeneSetMasking",
    "GeneSwapping",
    "LatentNeighbours",
    "MarginalMasking",
    "MaskedMixup",
    "Mixup",
    "SequenceView",
    "add_noise",
    "check_view",
    "crop_rows",
    "looks_at_rows",
    "make_view",
    "mask_genes",
    "mask_letters",
    "mutate_letters",
    "read_gmt",
    "read_view",
    "settings_of_view",
    "shift_letters",
    "strength_options",
    "strength_setting",
    "turn_strands",
]

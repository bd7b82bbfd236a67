"""What a simulated cohort can be told: its transcriptome, classes, batches and subjects."""

import math
from dataclasses import dataclass

import numpy as np


def require_share(name: str, value: float) -> None:
    """Raise ValueError unless `value` lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` is {value} but must lie between 0 and 1: it is a share")


def require_size(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and not negative."""
    if not 0 <= value < math.inf:
        raise ValueError(f"`{name}` is {value} but must be 0 or more: it is the size of an effect or spread")


def require_at_least(name: str, value: int, minimum: int) -> None:
    """Raise unless `value` is a whole number (TypeError) of at least `minimum` (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{name}` is {value!r} but must be a whole number of at least {minimum}")
    if value < minimum:
        raise ValueError(f"`{name}` is {value} but must be at least {minimum}")


@dataclass(frozen=True)
class Transcriptome:
    """How genes are expressed before anything differs between samples.

    Parameters
    ----------
    reads_per_gene : float
        Median library size divided by the number of genes; 1000 is 20 million reads over 20,000 genes.
    library_sd : float
        Standard deviation of ln library size; 0 gives every sample the same expected total.
    abundance_sd : float
        Standard deviation of ln mean expression over genes.
    dispersion : float
        Negative-binomial dispersion alpha of abundant genes: their squared biological coefficient of variation. Rare
        genes have up to 1 more, and genes scatter around the trend log-normally. 0 gives Poisson counts for all.
    n_modules : int
        Groups of genes that rise and fall together.
    share_in_modules : float
        Share of genes that belong to a module.
    module_sd : float
        Standard deviation, over samples of one class, of what a module does to its average gene (log2).
    """

    reads_per_gene: float = 1000.0
    library_sd: float = 0.3
    abundance_sd: float = 2.0
    dispersion: float = 0.12
    n_modules: int = 20
    share_in_modules: float = 0.5
    module_sd: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.reads_per_gene <= 1e6:
            raise ValueError(f"`reads_per_gene` is {self.reads_per_gene} but must lie above 0 and be at most 1e6")
        for name in ("library_sd", "abundance_sd", "dispersion", "module_sd"):
            require_size(name, getattr(self, name))
        require_at_least("n_modules", self.n_modules, 0)
        require_share("share_in_modules", self.share_in_modules)


@dataclass(frozen=True)
class ClassEffect:
    """What distinguishes the classes, how many samples each has, and which labels are known.

    The first class is the reference; every other class has its own affected modules and genes.

    Parameters
    ----------
    n_classes : int
        Number of classes, named `class_1`, `class_2`, ...
    log2_fold_change : float
        Size of an effect against `class_1`: exact for genes outside modules, the average over genes for a module. Half
        of the effects, drawn at random, are downwards.
    share_modules : float
        Share of the modules that a class shifts. This is the signal that unlabelled samples reveal.
    share_genes : float
        Share of the genes outside modules that a class shifts, each on its own.
    imbalance : float
        Size of the largest class over that of the smallest; sizes fall geometrically from `class_1` on.
    unlabelled : float
        Share of samples whose label is missing, completely at random.
    keep_truth : bool
        Also write what an analysis must not see: `obs["true_label"]`, and in `var` each gene's `abundance`,
        `dispersion`, `loading` in its module and `log2_fold_change_class_1`, `log2_fold_change_class_2`, ...
    """

    n_classes: int = 4
    log2_fold_change: float = 1.0
    share_modules: float = 0.2
    share_genes: float = 0.02
    imbalance: float = 2.0
    unlabelled: float = 0.0
    keep_truth: bool = False

    def __post_init__(self) -> None:
        require_at_least("n_classes", self.n_classes, 2)
        require_size("log2_fold_change", self.log2_fold_change)
        for name in ("share_modules", "share_genes", "unlabelled"):
            require_share(name, getattr(self, name))
        if not 1 <= self.imbalance < math.inf:
            raise ValueError(f"`imbalance` is {self.imbalance} but must be at least 1 (1: classes of equal size)")


@dataclass(frozen=True)
class BatchEffect:
    """Technical differences between the batches or platforms on which samples were measured.

    Parameters
    ----------
    n_batches : int
        Number of batches, named `batch_1`, `batch_2`, ...
    location : float
        Standard deviation over genes of a batch's shift (log2). 0.1 is another day, 0.3 other reagents, 1 or more
        another platform.
    scale : float
        Standard deviation over genes of log2 of the factor by which a batch stretches variation within classes.
    confounding : float
        Share of samples whose batch follows from their class; the others are spread over batches evenly. 0 is a
        randomised design; with 1 and as many batches as classes the two cannot be told apart.
    """

    n_batches: int = 2
    location: float = 0.1
    scale: float = 0.1
    confounding: float = 0.0

    def __post_init__(self) -> None:
        require_at_least("n_batches", self.n_batches, 1)
        require_size("location", self.location)
        require_size("scale", self.scale)
        require_share("confounding", self.confounding)
        if self.confounding > 0 and self.n_batches == 1:
            raise ValueError(
                f"`confounding` is {self.confounding} but there is one batch; ask for `n_batches` of 2 or more"
            )


@dataclass(frozen=True)
class Subjects:
    """From whom samples come: patients, some with several samples, and cell lines.

    Parameters
    ----------
    samples_per_patient : float
        Mean number of samples of a patient (or of a cell line), which is 1 plus a Poisson number; all have one class.
    patient_sd : float
        Standard deviation of what the samples of a patient share, gene by gene (log2).
    share_cell_lines : float
        Share of samples that are cell lines.
    cell_line_shift : float
        Standard deviation over genes of the difference between cell lines and patients (log2).
    """

    samples_per_patient: float = 1.2
    patient_sd: float = 0.2
    share_cell_lines: float = 0.0
    cell_line_shift: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.samples_per_patient < math.inf:
            raise ValueError(
                f"`samples_per_patient` is {self.samples_per_patient} but must be 1 or more, the mean number"
            )
        require_size("patient_sd", self.patient_sd)
        require_share("share_cell_lines", self.share_cell_lines)
        require_size("cell_line_shift", self.cell_line_shift)

"""Simulated expression cohorts: counts whose classes, modules, batches and patients are known because they were drawn.

Every quantity is log2 fold change unless said otherwise. For sample s of class c, patient p, batch b and kind k, and
gene g of module m, with expected proportion

    log2 q_sg = log2 abundance_g + class_cg + kind_kg + location_bg + scale_bg (module_sd loading_g a_sm + patient_pg)

the count is negative binomial (a Poisson whose rate is gamma distributed) with

    mean mu_sg = library_s q_sg / sum_h q_sh,    variance mu_sg + alpha_bg mu_sg^2,    alpha_bg = scale_bg^2 alpha_g.

Sources: the gamma-Poisson hierarchy, log-normal library sizes and proportions renormalised after every effect are
those of Splat (Zappia, Phipson & Oshlack 2017, Genome Biology 18:174); fold changes of a chosen size on a chosen share
of genes those of compcodeR (Soneson 2014, Bioinformatics 30:2517, after Soneson & Delorenzi 2013, BMC Bioinformatics
14:91); the decline of dispersion to an asymptote is the trend of DESeq2 (Love 2014, Genome Biology 15:550), bounded for
rare genes; location and scale of a batch are the model that ComBat removes (Johnson 2007, Biostatistics 8:118).
Nothing is resampled from real counts as SimSeq does (Benidt & Nettleton 2015, Bioinformatics 31:2131): that keeps more
of a source's oddities, but its effects cannot be chosen. The defaults of the distributions were read off GTEx kidney
(32 samples) in the uniformly processed counts of Wang 2018 (Scientific Data 5:180061).
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from oligolearn.data.cohort_design import BatchEffect, ClassEffect, Subjects, Transcriptome, require_at_least

__all__ = ["BatchEffect", "ClassEffect", "Subjects", "Transcriptome", "simulate_blocks", "simulate_cohort"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

_ROWS_AT_ONCE = 256  # rates of so many samples are in memory at a time
_CPM_OF_AVERAGE_GENE = 50.0  # a million reads over the 20,000 genes of a transcriptome
_DISPERSION_EXCESS = 1.0  # how far the dispersion of the rarest genes lies above the asymptote
_DISPERSION_SCATTER = 0.5  # sd of ln dispersion around its trend
_SHARE_NEGATIVE_LOADINGS = 0.2  # genes that fall when their module rises


def simulate_cohort(
    n_samples: int = 600,
    n_genes: int = 2000,
    *,
    transcriptome: Transcriptome | None = None,
    classes: ClassEffect | None = None,
    batches: BatchEffect | None = None,
    subjects: Subjects | None = None,
    seed: int = 0,
) -> ad.AnnData:
    """Draw a cohort of counts with known classes, gene modules, batches and patients.

    Classes are separated partly by the activity of modules: directions that samples without labels reveal too, which is
    what pretraining can use. Each cause of variation has its own random stream, so that cohorts of one seed that differ
    in the size of one effect share genes, modules, classes, patients and the directions of all effects.

    Parameters
    ----------
    n_samples, n_genes : int
        Size of the cohort.
    transcriptome : Transcriptome
        Library sizes, mean expression, dispersion and modules.
    classes : ClassEffect
        Number of classes, size and sparsity of their effects, imbalance, missing labels.
    batches : BatchEffect
        Number and size of batch or platform effects, and how far they follow the classes.
    subjects : Subjects
        Samples per patient and what they share; cell lines and how far they differ.
    seed : int
        Not negative. The same seed and settings give the same counts to the byte.

    Returns
    -------
    AnnData
        `X` counts, float32, `(n_samples, n_genes)`; `obs` has `label` (missing where unlabelled), `patient`, `batch`
        and `sample_kind` ("patient" or "cell line"; `patient` then names the line); `var` has `module` ("none" outside
        modules); `uns["oligolearn"]` says that the data are simulated, from which seed and settings.

    Raises
    ------
    ValueError
        If a size or share is out of range, or a class would have no sample.
    TypeError
        If a number of things is not whole.

    Examples
    --------
    >>> cohort = simulate_cohort(60, 100, classes=ClassEffect(n_classes=3, imbalance=1), seed=1)
    >>> cohort.shape, cohort.obs["label"].value_counts().tolist()
    ((60, 100), [20, 20, 20])
    """
    frame, blocks = simulate_blocks(
        n_samples,
        n_genes,
        transcriptome=transcriptome,
        classes=classes,
        batches=batches,
        subjects=subjects,
        seed=seed,
    )
    counts = np.empty((n_samples, n_genes), dtype=np.float32)
    start = 0
    for block in blocks:
        counts[start : start + len(block)] = block
        start += len(block)
    return ad.AnnData(X=counts, obs=frame.obs, var=frame.var, uns=frame.uns)


def simulate_blocks(  # noqa: PLR0913  (those of `simulate_cohort` and one)
    n_samples: int = 600,
    n_genes: int = 2000,
    *,
    transcriptome: Transcriptome | None = None,
    classes: ClassEffect | None = None,
    batches: BatchEffect | None = None,
    subjects: Subjects | None = None,
    seed: int = 0,
    block_rows: int | None = None,
) -> tuple[ad.AnnData, Iterator[npt.NDArray[np.float32]]]:
    """Draw a cohort larger than memory: the counts of `simulate_cohort`, some rows at a time.

    Parameters
    ----------
    n_samples, n_genes, transcriptome, classes, batches, subjects, seed
        As for `simulate_cohort`, which also says what is raised.
    block_rows : int
        Rows in a block, but for the last one; decides memory, not values. None for 256.

    Returns
    -------
    AnnData, iterator
        `obs`, `var` and `uns` without `X`; the counts, ``(block_rows, n_genes)`` at a time.
    """
    if block_rows is not None:
        require_at_least("block_rows", block_rows, 1)
    transcriptome, classes = transcriptome or Transcriptome(), classes or ClassEffect()
    batches, subjects = batches or BatchEffect(), subjects or Subjects()
    require_at_least("n_samples", n_samples, 1)
    require_at_least("n_genes", n_genes, 2)
    require_at_least("seed", seed, 0)
    if classes.n_classes > n_samples:
        raise ValueError(
            f"`n_classes` is {classes.n_classes} but `n_samples` is {n_samples}; ask for fewer classes or more samples"
        )
    # The streams are told apart by position: append, never insert, or every seed means another cohort.
    gene_seed, effect_seed, design_seed, sample_seed, patient_seed = np.random.SeedSequence(seed).spawn(5)
    genes = _draw_genes(n_genes, transcriptome, np.random.default_rng(gene_seed))
    effects = _draw_effects(genes, transcriptome.n_modules, classes, batches, subjects, seed=effect_seed)
    samples = _draw_samples(n_samples, classes, batches, subjects, rng=np.random.default_rng(design_seed))
    seeds = _CountSeeds(sample_seed, patient_seed)
    settings: dict[str, Transcriptome | ClassEffect | BatchEffect | Subjects] = {
        "transcriptome": transcriptome,
        "classes": classes,
        "batches": batches,
        "subjects": subjects,
    }
    frame = ad.AnnData(
        obs=_sample_table(samples, classes),
        var=_gene_table(genes, effects, keep_truth=classes.keep_truth),
        uns={
            "oligolearn": {
                "simulated": True,
                "notes": [f"simulated by oligolearn with seed {seed}: no row is a real sample, no column a real gene"],
                "seed": seed,
                "n_samples": n_samples,
                "n_genes": n_genes,
                **{name: asdict(part) for name, part in settings.items()},
            }
        },
    )
    blocks = _draw_counts(genes, effects, samples, transcriptome, subjects.patient_sd, seeds)
    return frame, blocks if block_rows is None else _in_blocks_of(block_rows, blocks)


class _Genes(NamedTuple):
    """All `(n_genes,)`; `module` is -1 and `loading` 0 outside modules."""

    abundance: Floats
    dispersion: Floats
    module: Integers
    loading: Floats


class _Effects(NamedTuple):
    """Shifts in log2 and factors, `(n_classes | n_kinds | n_batches, n_genes)`."""

    by_class: Floats
    by_kind: Floats
    location: Floats
    scale: Floats


class _Samples(NamedTuple):
    """All `(n_samples,)`; `kind` is 0 for patients, 1 for cell lines."""

    label: Integers
    kind: Integers
    patient: Integers
    batch: Integers
    unlabelled: Booleans


class _CountSeeds(NamedTuple):
    samples: np.random.SeedSequence
    patients: np.random.SeedSequence


def _draw_genes(n_genes: int, settings: Transcriptome, rng: np.random.Generator) -> _Genes:
    abundance = rng.lognormal(0.0, settings.abundance_sd, n_genes)
    abundance /= abundance.sum()
    scatter = rng.lognormal(0.0, _DISPERSION_SCATTER, n_genes)
    cpm = abundance * n_genes * _CPM_OF_AVERAGE_GENE
    trend = settings.dispersion + _DISPERSION_EXCESS / (1.0 + cpm) if settings.dispersion > 0 else np.zeros(n_genes)

    n_in_modules = round(settings.share_in_modules * n_genes) if settings.n_modules else 0
    module = np.full(n_genes, -1, dtype=np.int64)
    module[rng.permutation(n_genes)[:n_in_modules]] = np.arange(n_in_modules) % max(settings.n_modules, 1)
    sign = np.where(rng.random(n_genes) < _SHARE_NEGATIVE_LOADINGS, -1.0, 1.0)
    loading = np.where(module >= 0, sign * rng.uniform(0.5, 1.5, n_genes), 0.0)
    return _Genes(abundance, trend * scatter, module, loading)


def _draw_effects(
    genes: _Genes,
    n_modules: int,
    classes: ClassEffect,
    batches: BatchEffect,
    subjects: Subjects,
    *,
    seed: np.random.SeedSequence,
) -> _Effects:
    class_rng, batch_rng, kind_rng = (np.random.default_rng(child) for child in seed.spawn(3))
    n_genes = len(genes.abundance)
    by_class = np.zeros((classes.n_classes, n_genes))
    alone = np.flatnonzero(genes.module < 0)
    for k in range(1, classes.n_classes):  # the first class is the reference
        activity = np.zeros(n_modules + 1)  # the last entry, which module -1 picks, stays 0
        activity[:-1] = _sparse_signs(n_modules, classes.share_modules, class_rng)
        by_class[k] = activity[genes.module] * genes.loading
        by_class[k, alone] = _sparse_signs(len(alone), classes.share_genes, class_rng)
    by_kind = np.zeros((2, n_genes))
    by_kind[1] = subjects.cell_line_shift * kind_rng.standard_normal(n_genes)
    return _Effects(
        by_class=classes.log2_fold_change * by_class,
        by_kind=by_kind,
        location=batches.location * batch_rng.standard_normal((batches.n_batches, n_genes)),
        scale=np.exp2(batches.scale * batch_rng.standard_normal((batches.n_batches, n_genes))),
    )


def _sparse_signs(size: int, share: float, rng: np.random.Generator) -> Floats:
    """+1 or -1 for a share of the entries (at least one unless the share is 0), 0 for the others."""
    n_affected = min(size, max(1, round(share * size))) if share > 0 else 0
    order, sign = rng.permutation(size), rng.choice([-1.0, 1.0], size)
    return np.where(np.isin(np.arange(size), order[:n_affected]), sign, 0.0)


def _draw_samples(
    n_samples: int, classes: ClassEffect, batches: BatchEffect, subjects: Subjects, *, rng: np.random.Generator
) -> _Samples:
    label = rng.permutation(np.repeat(np.arange(classes.n_classes), _class_sizes(n_samples, classes)))
    kind = np.zeros(n_samples, dtype=np.int64)
    kind[rng.permutation(n_samples)[: round(subjects.share_cell_lines * n_samples)]] = 1
    unlabelled = np.zeros(n_samples, dtype=np.bool_)
    unlabelled[rng.permutation(n_samples)[: round(classes.unlabelled * n_samples)]] = True
    batch = rng.permutation(np.arange(n_samples) % batches.n_batches)
    follows_class = rng.random(n_samples) < batches.confounding
    batch[follows_class] = label[follows_class] % batches.n_batches
    return _Samples(label, kind, _draw_patients(label, kind, subjects.samples_per_patient, rng), batch, unlabelled)


def _class_sizes(n_samples: int, classes: ClassEffect) -> Integers:
    """Sizes that fall geometrically and sum to `n_samples`, rounded by largest remainder."""
    weight = classes.imbalance ** -np.linspace(0.0, 1.0, classes.n_classes)
    ideal = n_samples * weight / weight.sum()
    sizes: Integers = np.floor(ideal).astype(np.int64)
    largest_remainders = np.argsort(sizes - ideal, kind="stable")[: n_samples - sizes.sum()]
    sizes[largest_remainders] += 1
    if sizes.min() < 1:
        raise ValueError(
            f"`imbalance` of {classes.imbalance} leaves the smallest of {classes.n_classes} classes none of "
            f"{n_samples} samples; lower it, or ask for fewer classes or more samples"
        )
    return sizes


def _draw_patients(label: Integers, kind: Integers, mean_samples: float, rng: np.random.Generator) -> Integers:
    """Number the patients: each gets 1 + Poisson(mean_samples - 1) samples of one class and kind."""
    patient = np.empty(len(label), dtype=np.int64)
    n_patients = 0
    for stratum in np.unique(np.column_stack([label, kind]), axis=0):
        rows = rng.permutation(np.flatnonzero((label == stratum[0]) & (kind == stratum[1])))
        sizes = 1 + rng.poisson(mean_samples - 1.0, len(rows))  # enough even if each has one sample
        patient[rows] = n_patients + np.repeat(np.arange(len(rows)), sizes)[: len(rows)]
        n_patients = patient[rows].max() + 1
    # Numbered as they appear, so that a patient's number says nothing about the class.
    first_seen, renumbered = np.unique(patient, return_index=True)[1], np.empty(n_patients, dtype=np.int64)
    renumbered[np.argsort(first_seen)] = np.arange(n_patients)
    return renumbered[patient]


def _draw_counts(
    genes: _Genes, effects: _Effects, samples: _Samples, settings: Transcriptome, patient_sd: float, seeds: _CountSeeds
) -> Iterator[npt.NDArray[np.float32]]:
    """Counts, always the same number of rows at a time: they follow each other in one random stream."""
    n_samples, n_genes = len(samples.label), len(genes.abundance)
    library_rng, activity_rng, count_rng = (np.random.default_rng(child) for child in seeds.samples.spawn(3))
    library = settings.reads_per_gene * n_genes * np.exp(settings.library_sd * library_rng.standard_normal(n_samples))
    activity = np.zeros((n_samples, settings.n_modules + 1))  # the last column, which module -1 picks, stays 0
    activity[:, :-1] = settings.module_sd * activity_rng.standard_normal((n_samples, settings.n_modules))

    for start in range(0, n_samples, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        scale = effects.scale[samples.batch[rows]]
        deviation = activity[rows][:, genes.module] * genes.loading
        deviation += patient_sd * _patient_deviations(samples.patient[rows], n_genes, seeds.patients)
        log2_rate = np.log2(genes.abundance) + effects.by_class[samples.label[rows]] + scale * deviation
        log2_rate += effects.by_kind[samples.kind[rows]] + effects.location[samples.batch[rows]]
        rate = np.exp2(log2_rate - log2_rate.max(axis=1, keepdims=True))  # the largest is 1: no overflow
        mean = rate * (library[rows] / rate.sum(axis=1))[:, None]
        dispersion = np.maximum(genes.dispersion * scale**2, 1e-9)  # so small is Poisson
        yield count_rng.poisson(count_rng.gamma(1.0 / dispersion, mean * dispersion)).astype(np.float32)


def _in_blocks_of(size: int, blocks: Iterator[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    """Cut and join blocks of rows to another size."""
    held: list[npt.NDArray[np.float32]] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held >= size:
            joined = np.concatenate(held)
            whole = n_held - n_held % size
            yield from (joined[start : start + size] for start in range(0, whole, size))
            held, n_held = [joined[whole:]], n_held - whole
    if n_held:
        yield np.concatenate(held)


def _patient_deviations(patient: Integers, n_genes: int, seed: np.random.SeedSequence) -> Floats:
    """Standard normal rows, the same whenever a patient is met: each patient has a stream of its own."""
    numbers, index = np.unique(patient, return_inverse=True)
    streams = (np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, int(number))) for number in numbers)
    deviations: Floats = np.stack([np.random.default_rng(stream).standard_normal(n_genes) for stream in streams])
    return deviations[index]


def _class_names(n_classes: int) -> list[str]:
    return [f"class_{k + 1}" for k in range(n_classes)]


def _sample_table(samples: _Samples, classes: ClassEffect) -> pd.DataFrame:
    names = np.array([*_class_names(classes.n_classes), None], dtype=object)  # the last, at -1, is missing
    prefix = np.where(samples.kind == 1, "line", "patient")
    table = pd.DataFrame(
        {
            "label": pd.Categorical(names[np.where(samples.unlabelled, -1, samples.label)]),
            "patient": [f"{word}_{number + 1:05d}" for word, number in zip(prefix, samples.patient, strict=True)],
            "batch": pd.Categorical([f"batch_{number + 1}" for number in samples.batch]),
            "sample_kind": pd.Categorical(np.where(samples.kind == 1, "cell line", "patient")),
        },
        index=[f"sample_{row + 1:05d}" for row in range(len(samples.label))],
    )
    if classes.keep_truth:
        table["true_label"] = pd.Categorical(names[samples.label])
    return table


def _gene_table(genes: _Genes, effects: _Effects, *, keep_truth: bool) -> pd.DataFrame:
    names = [f"module_{number + 1:02d}" if number >= 0 else "none" for number in genes.module]
    index = [f"gene_{column + 1:05d}" for column in range(len(names))]
    table = pd.DataFrame({"module": pd.Categorical(names)}, index=index)
    if keep_truth:
        table = table.assign(abundance=genes.abundance, dispersion=genes.dispersion, loading=genes.loading)
        for name, shift in zip(_class_names(len(effects.by_class)), effects.by_class, strict=True):
            table[f"log2_fold_change_{name}"] = shift
    return table

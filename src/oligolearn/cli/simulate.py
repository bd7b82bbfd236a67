"""`oligolearn simulate`: write a simulated cohort whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from oligolearn.cli import options

_GENES, _CLASSES, _BATCHES, _SUBJECTS = "Genes", "Classes", "Batches or platforms", "Patients and cell lines"


def simulate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT.h5ad|OUT.zarr", help="File to write; one that exists is replaced.")
    ],
    *,
    n_samples: Annotated[int, typer.Option(help="Number of samples.")] = 600,
    n_genes: Annotated[int, typer.Option(help="Number of genes.")] = 2000,
    seed: options.Seed = 0,
    sparse: Annotated[bool, typer.Option("--sparse", help="Write X sparse (CSR).")] = False,
    block_rows: Annotated[
        int | None, typer.Option(help="Samples in memory at a time; decides no value. Default: 256.")
    ] = None,
    n_classes: Annotated[int, typer.Option(help="Number of classes.", rich_help_panel=_CLASSES)] = 4,
    log2_fold_change: Annotated[
        float, typer.Option(help="Size of a class effect against class_1.", rich_help_panel=_CLASSES)
    ] = 1.0,
    share_modules: Annotated[
        float, typer.Option(help="Share of the modules that a class shifts.", rich_help_panel=_CLASSES)
    ] = 0.2,
    share_genes: Annotated[
        float, typer.Option(help="Share of the genes outside modules that a class shifts.", rich_help_panel=_CLASSES)
    ] = 0.02,
    imbalance: Annotated[
        float, typer.Option(help="Size of the largest class over the smallest.", rich_help_panel=_CLASSES)
    ] = 2.0,
    unlabelled: Annotated[
        float, typer.Option(help="Share of samples without a label.", rich_help_panel=_CLASSES)
    ] = 0.0,
    keep_truth: Annotated[
        bool,
        typer.Option(
            "--keep-truth", help="Also write every label (true_label) and the drawn effects.", rich_help_panel=_CLASSES
        ),
    ] = False,
    n_batches: Annotated[int, typer.Option(help="Number of batches.", rich_help_panel=_BATCHES)] = 2,
    batch_location: Annotated[
        float,
        typer.Option(
            help="Spread over genes of a batch's shift, log2: 1 is another platform.", rich_help_panel=_BATCHES
        ),
    ] = 0.1,
    batch_scale: Annotated[
        float,
        typer.Option(help="Spread over genes of log2 of a batch's stretch of variation.", rich_help_panel=_BATCHES),
    ] = 0.1,
    batch_confounding: Annotated[
        float, typer.Option(help="Share of samples whose batch follows from their class.", rich_help_panel=_BATCHES)
    ] = 0.0,
    samples_per_patient: Annotated[
        float, typer.Option(help="Mean number of samples of a patient, 1 or more.", rich_help_panel=_SUBJECTS)
    ] = 1.2,
    patient_sd: Annotated[
        float, typer.Option(help="Spread of what a patient's samples share, log2.", rich_help_panel=_SUBJECTS)
    ] = 0.2,
    share_cell_lines: Annotated[
        float, typer.Option(help="Share of samples that are cell lines.", rich_help_panel=_SUBJECTS)
    ] = 0.0,
    cell_line_shift: Annotated[
        float,
        typer.Option(
            help="Spread over genes of cell lines' difference from patients, log2.", rich_help_panel=_SUBJECTS
        ),
    ] = 1.0,
    reads_per_gene: Annotated[
        float, typer.Option(help="Median library size over the number of genes.", rich_help_panel=_GENES)
    ] = 1000.0,
    library_sd: Annotated[float, typer.Option(help="Spread of ln library size.", rich_help_panel=_GENES)] = 0.3,
    abundance_sd: Annotated[
        float, typer.Option(help="Spread over genes of ln mean expression.", rich_help_panel=_GENES)
    ] = 2.0,
    dispersion: Annotated[
        float, typer.Option(help="Negative-binomial dispersion of abundant genes; 0: Poisson.", rich_help_panel=_GENES)
    ] = 0.12,
    n_modules: Annotated[int, typer.Option(help="Groups of genes that move together.", rich_help_panel=_GENES)] = 20,
    share_in_modules: Annotated[
        float, typer.Option(help="Share of genes that belong to a module.", rich_help_panel=_GENES)
    ] = 0.5,
    module_sd: Annotated[
        float, typer.Option(help="Spread of a module's effect within a class, log2.", rich_help_panel=_GENES)
    ] = 0.5,
) -> None:
    """Write a SIMULATED cohort, to plan a study: counts with known classes, gene modules, batches and patients."""
    from oligolearn.data.simulate import BatchEffect, ClassEffect, Subjects, Transcriptome, simulate_blocks
    from oligolearn.data.storing import check_stored_target, store_expression

    check_stored_target(out)
    cohort, blocks = simulate_blocks(
        n_samples,
        n_genes,
        transcriptome=Transcriptome(
            reads_per_gene, library_sd, abundance_sd, dispersion, n_modules, share_in_modules, module_sd
        ),
        classes=ClassEffect(n_classes, log2_fold_change, share_modules, share_genes, imbalance, unlabelled, keep_truth),
        batches=BatchEffect(n_batches, batch_location, batch_scale, batch_confounding),
        subjects=Subjects(samples_per_patient, patient_sd, share_cell_lines, cell_line_shift),
        seed=seed,
        block_rows=block_rows,
    )
    store_expression(out, cohort, blocks, sparse=sparse)
    counts = cohort.obs["label"].value_counts(sort=False)
    labels = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
    missing = int(cohort.obs["label"].isna().sum())
    typer.echo(
        f"{out}: simulated, {n_samples:,} samples x {n_genes:,} genes (counts), seed {seed}; "
        f"labels: {labels}; {missing:,} unlabelled"
    )

"""`oligolearn sweep`: how accuracy depends on one or two settings, judged on validation samples."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import CohortOptions, SequenceOptions, TrainingOptions, refuse_named, with_groups
from oligolearn.cli.options import DataOrSequences, Label, Processes, Quiet, Scheduler
from oligolearn.cli.printing import print_conclusion
from oligolearn.cli.sequence_studies import read_for_study, refuse_for_expression, sequence_settings
from oligolearn.cli.study import shares

Vary = Annotated[
    list[str],
    typer.Option(
        help="A setting and its values: prototypes=4,8,16 or view=masking,noise or layers=512-256-128,128-64; of "
        "sequences encoder, or a setting of it, such as filters=16,64. Give it twice for every pair of two settings."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the sweep. The same command resumes it.")]
Method = Annotated[
    str | None,
    typer.Option(help="What to train: scratch, or a method that pretrains, such as swav (default). Not of sequences."),
]
Fractions = Annotated[
    str, typer.Option(help="Shares of the training labels, comma-separated: 0.01,0.1,1 or 1%,10%,100%.")
]
Repeats = Annotated[int, typer.Option(help="Draws of training and validation samples; the test samples stay aside.")]


@with_groups
def sweep(
    data: DataOrSequences,
    label: Label,
    out: Out,
    vary: Vary,
    *,
    method: Method = None,
    fractions: Fractions = "10%",
    repeats: Repeats = 5,
    cohort: CohortOptions,
    training: TrainingOptions,
    workers: Processes = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    of_sequences: SequenceOptions,
) -> None:
    """Train a method with several values of a setting, compare them on validation samples, and write a report.

    Test samples are not touched: test what you choose with `study --split fixed` and the same --seed.
    """
    from oligolearn.workers import Workers

    Workers(workers, scheduler).start("oligolearn.study.sweep_training")
    from oligolearn.data import is_sequence_file  # brings anndata, which workers import at the same time

    both: dict[str, Any] = {
        "out": out,
        "vary": vary,
        "workers": workers,
        "scheduler": scheduler,
        "progress": not quiet,
        "command": shlex.join(["oligolearn", *sys.argv[1:]]),
        "fractions": shares(fractions),
        "repeats": repeats,
    }
    if is_sequence_file(data):
        refuse_named({"method": (method, None)}, data, "sequences: the network is that of --encoder")
        settings = sequence_settings(data, cohort, training, of_sequences)
        sequences = read_for_study(data, cohort, of_sequences)
        from oligolearn.study import sweep_sequences

        print_conclusion(sweep_sequences(sequences, label, **both, **settings))
        return
    refuse_for_expression(of_sequences, data)
    adata = cohort.read(data, label)
    from oligolearn.study import sweep as sweep_settings  # brings torch: a broken file is named before that

    result = sweep_settings(
        adata,
        label,
        **both,
        method=method or "swav",
        **cohort.settings(),
        **training.settings(),
    )
    print_conclusion(result)

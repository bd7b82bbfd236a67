"""`oligolearn study`: how accuracy grows with the labels, and whether pretraining, or adaptation, helps."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import CohortOptions, SequenceOptions, TrainingOptions, refuse_named, with_groups
from oligolearn.cli.options import GeneMapFile, Label, OptionalData, PretrainOn, Probes, Processes, Quiet, Scheduler
from oligolearn.cli.printing import chosen, numbers, print_conclusion
from oligolearn.cli.sequence_studies import read_for_study, refuse_for_expression, sequence_settings

Methods = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated: logistic, pca-logistic, boosting, scratch, untrained, self-trained, auto (the best of "
        "some in cross-validation); or pretrained: swav, simclr, moco, byol, vicreg, barlow-twins, deepcluster, "
        "autoencoder, denoising-autoencoder, vime, masked-genes, scarf, each also followed by self-training "
        "(swav+self-trained), or kept frozen under a logistic regression on its embedding as it is or whitened "
        "(swav+frozen, swav+whitened). Default: logistic, pca-logistic, scratch, untrained, swav. With --target: those "
        "of adapt, default linear, coral, source, dann, cada. Of sequences: kmer-logistic, scratch (both by default), "
        "onehot-logistic, auto, an encoder such as motif-cnn; pretrained: masked-letters, next-letter, simclr, moco, "
        "byol, vicreg, barlow-twins, swav."
    ),
]
Sources = Annotated[
    list[Path] | None,
    typer.Option("--source", help="With --target, instead of DATA: samples with labels; give it again for more files."),
]
Target = Annotated[
    Path | None,
    typer.Option(help="With --source: the cohort to predict. Its labels test, and a few are shown."),
]
Budgets = Annotated[
    str | None,
    typer.Option(help="With --target: labels of it to show of each class, comma-separated. Default: 0,1,2,5,10."),
]
Fractions = Annotated[
    str | None, typer.Option(help="Shares of the training labels, comma-separated: 0.01,0.1,1 or 1%,10%,100%.")
]
Points = Annotated[
    int | None, typer.Option(help="Without --fractions: this many, spread over a logarithmic scale. Default: 10.")
]
Repeats = Annotated[int, typer.Option(help="Number of random splits.")]
SplitKind = Annotated[
    str | None, typer.Option(help="resampled (default): a new split in each repeat; fixed: one split, seeds vary.")
]
Standardize = Annotated[
    str | None,
    typer.Option(
        help="With --pretrain-on: each cohort by itself, or together with the means and deviations of all: each "
        "(default), together. With --target, where auto decides by default, the same of source and target."
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        "--min-overlap",
        help="Smallest share of the genes that a cohort of --pretrain-on (default 0.5), or a source of --target (0.2), "
        "must have.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the study. The same command resumes it.")]


@with_groups
def study(
    data: OptionalData = None,
    *,
    label: Label,
    out: Out,
    source: Sources = None,
    target: Target = None,
    methods: Methods = None,
    fractions: Fractions = None,
    points: Points = None,
    budgets: Budgets = None,
    repeats: Repeats = 10,
    cohort: CohortOptions,
    split: SplitKind = None,
    pretrain_on: PretrainOn = None,
    standardize: Standardize = None,
    min_overlap: Overlap = None,
    gene_map: GeneMapFile = None,
    probes: Probes = "auto",
    training: TrainingOptions,
    workers: Processes = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    of_sequences: SequenceOptions,
) -> None:
    """Train every method on growing numbers of labels, test the differences, and write a report.

    With --source and --target: does adaptation help to predict another cohort, and how many of its labels do as much?
    """
    from oligolearn.data import is_sequence_file
    from oligolearn.study.work import FOR_EXPRESSION, FOR_SEQUENCES
    from oligolearn.workers import Workers

    both = {
        "label": label,
        "out": out,
        "workers": workers,
        "scheduler": scheduler,
        "progress": not quiet,
        "command": shlex.join(["oligolearn", *sys.argv[1:]]),
        "repeats": repeats,
        **chosen(
            methods=None if methods is None else _names(methods), standardize=standardize, min_overlap=min_overlap
        ),
        "gene_map": gene_map,
        "probes": probes,
        **cohort.settings(),
        **training.settings(),
    }
    of_one = chosen(fractions=fractions, points=points, split=split, pretrain_on=pretrain_on)
    if source or target is not None:
        _check_transfer(data, source, target, {**of_one, **_of_pretraining(training)})
        files = [path for path in (*(source or ()), target) if path is not None]
        for path in files:
            refuse_for_expression(of_sequences, path)
        Workers(workers, scheduler).start("oligolearn.study.transfer_training")
        cohorts = list(cohort.read_all(files, label))
        from oligolearn.study import transfer  # brings torch: a broken file is named before that

        del both["pretraining"]
        shown = chosen(budgets=None if budgets is None else tuple(sorted(set(_whole(budgets)))))
        print_conclusion(transfer(cohorts[:-1], cohorts[-1], **both, **shown))
        return
    if data is None:
        raise ValueError("expected DATA, a file with labels, or --source and --target for a study of transfer")
    if budgets is not None:
        raise ValueError("--budgets is for a study of transfer, with --source and --target; here it is --fractions")
    if fractions is not None:
        of_one["fractions"] = shares(fractions)
    of_letters = is_sequence_file(data)
    Workers(workers, scheduler).start(*(FOR_SEQUENCES if of_letters else FOR_EXPRESSION))
    if of_letters:
        _refuse_cohorts(data, pretrain_on, gene_map, probes, {"standardize": standardize, "min_overlap": min_overlap})
        for name in ("gene_map", "probes", *cohort.settings(), *training.settings()):
            del both[name]
        settings = sequence_settings(data, cohort, training, of_sequences, pretrains=True)
        sequences = read_for_study(data, cohort, of_sequences)
        from oligolearn.study import sequence_efficiency

        print_conclusion(sequence_efficiency(sequences, **both, **of_one, **settings))
        return
    refuse_for_expression(of_sequences, data)
    adata = cohort.read(data, label)
    from oligolearn.study import label_efficiency

    print_conclusion(label_efficiency(adata, **both, **of_one))


def _check_transfer(
    data: Path | None, source: list[Path] | None, target: Path | None, of_one: Mapping[str, Any]
) -> None:
    """Refuse what contradicts --source and --target."""
    if data is not None:
        raise ValueError(
            f"DATA ({data.name}) is for the study of one cohort; with --source and --target name no other file"
        )
    if not source or target is None:
        there, missing = ("--source", "--target") if source else ("--target", "--source")
        raise ValueError(f"{there} needs {missing}: the one is learned from, the other is predicted")
    if of_one:
        named = ", ".join("--" + name.replace("_", "-") for name in of_one)
        raise ValueError(f"{named} is for the study of one cohort, not for --target; leave it out (see --budgets)")


def _refuse_cohorts(
    data: Path, pretrain_on: list[Path] | None, gene_map: Path | None, probes: str, of_cohorts: Mapping[str, Any]
) -> None:
    """Refuse options about other cohorts of expression."""
    given: dict[str, tuple[Any, Any]] = {name: (value, None) for name, value in of_cohorts.items()}
    given |= {"pretrain_on": (pretrain_on or None, None), "gene_map": (gene_map, None), "probes": (probes, "auto")}
    refuse_named(given, data, "sequences")


def _of_pretraining(training: TrainingOptions) -> dict[str, Any]:
    """Options that say how to pretrain, which nothing does in a study of transfer."""
    names = ("pretrain_epochs", "view", "view_strength", "mask_share", "prototypes")
    return chosen(**{name: getattr(training, name) for name in names})


def _whole(budgets: str) -> tuple[int, ...]:
    try:
        return numbers(budgets)
    except ValueError:
        raise ValueError(f"--budgets takes whole numbers such as 0,1,2,5,10; found {budgets!r}") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def shares(text: str) -> tuple[float, ...]:
    """Ascending shares from text such as ``0.01,0.1`` or ``1%,10%``."""
    try:
        shares = [float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in _names(text)]
    except ValueError:
        raise ValueError(f"--fractions takes numbers such as 0.01,0.1,1 or 1%,10%,100%; found {text!r}") from None
    return tuple(sorted(set(shares)))

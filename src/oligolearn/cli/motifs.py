"""`oligolearn motifs`: what a model of sequences has learned to look for."""

import shlex
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oligolearn.cli.options import SEQUENCES, Model, OptionalLabel, Quiet, Samples, Seed, Separator
from oligolearn.cli.printing import print_notes
from oligolearn.cli.reading import read_for

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from oligolearn.data import Sequences
    from oligolearn.explain import FoundMotifs

SHOWN = 10  # motifs printed; the file has all
_FILES = ("motifs.meme", "motifs.tsv", "report.html")
_BY_FILTERS, _BY_ATTRIBUTIONS = 5000, 500  # sequences by default


class By(StrEnum):
    """How motifs are found."""

    AUTO = "auto"
    FILTERS = "filters"
    ATTRIBUTIONS = "attributions"


class Attribution(StrEnum):
    """How letters get their share."""

    MUTAGENESIS = "mutagenesis"
    INTEGRATED_GRADIENTS = "integrated-gradients"
    DEEPLIFT = "deeplift"


Data = Annotated[Path, typer.Argument(help=f"Sequences: {SEQUENCES}.")]
Out = Annotated[Path, typer.Option(help="Folder for motifs.meme, motifs.tsv, spacing.tsv and report.html.")]
Database = Annotated[
    Path | None, typer.Option(help="Motifs to compare with, in MEME format: JASPAR, HOCOMOCO or your own.")
]
ByOption = Annotated[
    By,
    typer.Option(
        "--by",
        help="filters: of the first layer (motif-cnn, multi-scale-cnn); attributions: windows that the contributions "
        "of letters single out (any model); auto: filters where they are the model's motifs.",
    ),
]
AttributionOption = Annotated[
    Attribution,
    typer.Option(
        "--attribution",
        help="How letters get their share of a prediction. deeplift is fast, and refused where its sums are wrong.",
    ),
]
OneLabel = Annotated[
    str | None, typer.Option("--class", help="Of a model of several labels at once: the one that is explained.")
]
MostSequences = Annotated[
    int | None,
    typer.Option(
        "--sequences",
        help=f"Draw so many if there are more. Default: {_BY_FILTERS:,} by filters, {_BY_ATTRIBUTIONS} by "
        "attributions.",
    ),
]


def motifs(
    model: Model,
    data: Data,
    out: Out,
    label: OptionalLabel = None,
    one_label: OneLabel = None,
    separator: Separator = None,
    samples: Samples = None,
    database: Database = None,
    by: ByOption = By.AUTO,
    attribution: AttributionOption = Attribution.INTEGRATED_GRADIENTS,
    sequences: MostSequences = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Find the motifs that a model of sequences looks for, match them to a database, and say what they are for."""
    _check_target(out)
    if separator is not None and one_label is None:
        raise ValueError("--separator is for the labels of a model of several at once: it needs --class")
    if find_spec("logomaker") is None:
        raise ModuleNotFoundError(
            "motifs are drawn by logomaker, which is not installed: pip install 'oligolearn[motifs]'"
        )
    from rich.console import Console

    from oligolearn.estimators import load_model
    from oligolearn.estimators.installed import versions
    from oligolearn.estimators.sequence_jobs import sequence_model
    from oligolearn.explain import find_motifs, has_filters, motif_table, of_label, read_database, some_sequences
    from oligolearn.explain.summary import summarise
    from oligolearn.report import conclude_motifs

    saved = load_model(model)
    network = of_label(sequence_model(saved), one_label)
    alphabet = network.recipes_[0].alphabet
    if alphabet.has_gap:
        raise ValueError("the model reads alignments with gaps, and motifs have none; train one on unaligned sequences")
    known = [] if database is None else read_database(database, alphabet.letters)
    read = read_for(saved, data, samples)
    filters = by is By.FILTERS or (by is By.AUTO and has_filters(network))
    usual = _BY_FILTERS if filters else _BY_ATTRIBUTIONS
    some, drawn = some_sequences(read, sequences if sequences is not None else usual, seed)
    target = None if label is None else _targets(network, some, label, one_label, separator)
    with Console(stderr=True, quiet=quiet).status("looking for motifs"):
        found = find_motifs(network, some, by=by, method=attribution, target=target, database=known, seed=seed)
    table = motif_table(found, network)
    notes = [*read.notes, *drawn, *found.notes]
    facts = {
        "has_labels": label is not None,
        "title": f"Motifs of {model.name}" + ("" if one_label is None else f", label {one_label}"),
        "data": {"file": data.name, "n_sequences": len(some), "label": label or "", "model": model.name},
        "settings": {
            "by": found.by,
            "attribution": attribution.value,
            "database": "" if database is None else f"{database.name}, {len(known):,} motifs",
            "seed": seed,
        },
        "versions": versions(),
        "command": shlex.join(["oligolearn", *sys.argv[1:]]),
    }
    summary = {**summarise(found, network, some, facts), "notes": notes}
    _write(out, found, table, summary)
    print_notes(notes)
    if len(table):
        _print(table)
    for sentence in conclude_motifs(summary):
        print(sentence)
    print(f"Motifs: {out / 'motifs.tsv'}, {out / 'motifs.meme'}; report: {out / 'report.html'}")


def _targets(
    network: Any, sequences: "Sequences", label: str, one_label: str | None, separator: str | None
) -> "NDArray[np.float64]":
    """What is known of the sequences, as the network learned it."""
    from oligolearn.data import values_of_label
    from oligolearn.explain import target_codes

    if one_label is None:
        return target_codes(network, sequences.label(label))
    values = values_of_label(sequences, label, one_label, separator)
    return target_codes(network, values.map({0.0: network.classes_[0], 1.0: network.classes_[1]}))


def _check_target(out: Path) -> None:
    """Refuse, before any work is done, to replace something other than an earlier search."""
    from oligolearn.writing import check_folder

    check_folder(out)
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or all((out / one).is_file() for one in _FILES))):
        raise FileExistsError(f"{out} exists and holds no motifs; choose another --out or remove it")


def _write(out: Path, found: "FoundMotifs", table: "pd.DataFrame", summary: "dict[str, Any]") -> None:
    """Write all files, whole or not at all."""
    import pandas as pd

    from oligolearn.explain import meme_text
    from oligolearn.report import write_motif_report
    from oligolearn.writing import whole_folder

    with whole_folder(out) as folder:
        text = meme_text([one.motif for one in found.motifs]) if found.motifs else ""
        (folder / "motifs.meme").write_text(text, encoding="utf-8")
        table.to_csv(folder / "motifs.tsv", sep="\t", lineterminator="\n")
        columns = ["first", "second", "n_sequences", "distance", "n_there", "expected", "p", "q", "p_class", "q_class"]
        columns += ["toward"]
        pd.DataFrame(list(summary["spacings"]), columns=columns).to_csv(
            folder / "spacing.tsv", sep="\t", index=False, lineterminator="\n"
        )
        write_motif_report(summary, folder / "report.html")


def _print(table: "pd.DataFrame") -> None:
    """Print the motifs of the largest effect that are no copies."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    distinct = table[table["copy_of"] == ""].head(SHOWN)
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    words = ("motif", "consensus", "toward", "match")
    for heading in ("motif", "consensus", "sites", "effect", "toward", "match", "q"):
        shown.add_column(
            heading,
            justify="left" if heading in words else "right",
            no_wrap=heading in ("motif", "consensus", "effect"),
        )
    for name, row in distinct.iterrows():
        matched = isinstance(row["match"], str)
        shown.add_row(
            str(name),
            row["consensus"],
            f"{row['n_sites']:,}",
            f"{row['effect']:.4f}",
            row["toward"],
            (row["match_name"] or row["match"]) if matched else "",
            f"{row['match_q']:.2g}" if matched else "",
        )
    Console(highlight=False, markup=False).print(shown)

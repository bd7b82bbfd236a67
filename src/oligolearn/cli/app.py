"""The `oligolearn` command: its verbs, and what a user sees when something is wrong."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from oligolearn.cli.adapt import adapt
from oligolearn.cli.convert import convert
from oligolearn.cli.inspect import inspect
from oligolearn.cli.kmers import kmers
from oligolearn.cli.motifs import motifs
from oligolearn.cli.next_labels import next_labels
from oligolearn.cli.predict import embed, predict
from oligolearn.cli.pretrain import pretrain
from oligolearn.cli.processes import speaking_first
from oligolearn.cli.report import report
from oligolearn.cli.simulate import simulate
from oligolearn.cli.study import study
from oligolearn.cli.sweep import sweep
from oligolearn.cli.train import train
from oligolearn.cli.tune import tune

app = typer.Typer(
    name="oligolearn",
    help="Deep learning on omics when labels are few.",
    epilog="Set OLIGOLEARN_DEBUG=1 to see where an error came from.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"oligolearn {version('oligolearn')}")
        raise typer.Exit


@app.callback()
def before_the_verb(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


for verb in (
    inspect,
    pretrain,
    train,
    adapt,
    predict,
    embed,
    next_labels,
    motifs,
    study,
    tune,
    sweep,
    report,
    kmers,
    convert,
    simulate,
):
    app.command()(verb)
app.command("explain", help="Say what a model of sequences looks for: another name of motifs.")(motifs)


INTERRUPTED = 130
_GO_ON = ("study", "sweep", "tune", "pretrain")  # verbs that keep what they have done
_MISTAKES = (
    ValueError,
    TypeError,
    ModuleNotFoundError,  # an extra that is not installed
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 a user's mistake, 1 the machine's fault, 130 interrupted.

    A mistake is one line on stderr, never a traceback, unless OLIGOLEARN_DEBUG is set.
    """
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(speaking_first(_run, given))


def _what_is_left(arguments: Sequence[str]) -> str:
    """What a command that was stopped leaves.

    >>> _what_is_left(["train", "cohort.h5ad"])
    'nothing was written'
    >>> _what_is_left(["pretrain", "genome.fa", "--method", "word2vec"])
    'what was finished is kept, and the same command goes on from there'
    """
    if next(iter(arguments), "") in _GO_ON:
        return "what was finished is kept, and the same command goes on from there"
    return "nothing was written"


def _run(arguments: Sequence[str]) -> int:
    try:
        code = app(args=list(arguments) or ["--help"], standalone_mode=False) or 0
    except typer.TyperException as error:
        return _fail(error.format_message(), 2)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _MISTAKES as error:
        _reraise_for_debugging()
        return _fail(str(error), 2)
    except MemoryError as error:
        _reraise_for_debugging()
        return _fail(
            f"not enough memory: {error or 'no more could be had'}; keep fewer genes, or use a larger machine", 1
        )
    except OSError as error:
        _reraise_for_debugging()
        return _fail(f"{error.strerror or error} {error.filename or ''}", 1)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        return _fail(f"interrupted; {_what_is_left(arguments)}", code)
    return int(code)


def _reraise_for_debugging() -> None:
    if os.environ.get("OLIGOLEARN_DEBUG"):
        raise  # noqa: PLE0704  (called from an except block)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"oligolearn: {line}")
    return code

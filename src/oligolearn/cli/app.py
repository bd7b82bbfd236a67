"""The `oligolearn` command: its verbs, and what a user sees when something is wrong."""

import os
import sys
from collections.abc import Sequence

import click
import typer
from rich.console import Console

from oligolearn.cli.convert import convert
from oligolearn.cli.inspect import inspect
from oligolearn.cli.simulate import simulate

app = typer.Typer(
    name="oligolearn",
    help="Deep learning on omics when labels are few.",
    epilog="Set OLIGOLEARN_DEBUG=1 to see where an error came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for verb in (inspect, convert, simulate):
    app.command()(verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 a user's mistake, 1 the machine's fault, 130 interrupted.

    A mistake is one line on stderr, never a traceback, unless OLIGOLEARN_DEBUG is set.
    """
    try:
        code = app(args=arguments, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(error.format_message() + "\n")
        code = 2
    except click.ClickException as error:
        code = _fail(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        code = _fail("interrupted; what was finished is kept, and the same command goes on from there", 130)
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        _reraise_for_debugging()
        code = _fail(str(error), 2)
    except OSError as error:
        _reraise_for_debugging()
        code = _fail(f"{error.strerror or error} {error.filename or ''}", 1)
    sys.exit(code or 0)


def _reraise_for_debugging() -> None:
    if os.environ.get("OLIGOLEARN_DEBUG"):
        raise  # noqa: PLE0704  (called from an except block)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"oligolearn: {line}")
    return code

"""`oligolearn report`: tables, figures and report of a study, made anew from its runs."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="Folder of a study.")]


def report(folder: Folder) -> None:
    """Rebuild the tables, figures and report of a study from the runs in its folder."""
    from oligolearn.cli.printing import print_conclusion
    from oligolearn.study import rebuild

    print_conclusion(rebuild(folder))

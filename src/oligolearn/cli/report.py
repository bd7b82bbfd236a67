"""`oligolearn report`: tables, figures and report of a study of any kind, made anew from its runs."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="Folder of a study, a sweep or a study of transfer.")]
Target = Annotated[
    str | None,
    typer.Option(help="Accuracy to find the number of labels for: 0.95 or 95%. Default: half the error of the best."),
]


def report(folder: Folder, target: Target = None) -> None:
    """Rebuild the tables, figures and report of a study or a sweep from the runs in its folder."""
    from oligolearn.cli.printing import print_conclusion
    from oligolearn.study import is_sweep, is_transfer, rebuild, rebuild_sweep, rebuild_transfer

    if is_sweep(folder):
        if target is not None:
            raise ValueError("--target is for studies, which tell how many labels an accuracy takes; this is a sweep")
        print_conclusion(rebuild_sweep(folder))
        return
    if is_transfer(folder):
        if target is not None:
            raise ValueError("--target is for studies of one cohort; this folder holds a study of transfer")
        print_conclusion(rebuild_transfer(folder))
        return
    print_conclusion(rebuild(folder, target=None if target is None else _share(target)))


def _share(text: str) -> float:
    """A share from text such as ``0.95`` or ``95%``.

    >>> _share("95%")
    0.95
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"--target takes an accuracy such as 0.95 or 95%; found {text!r}") from None

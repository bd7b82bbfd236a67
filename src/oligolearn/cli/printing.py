"""What verbs share when they read options and print."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from oligolearn.study import LabelEfficiency


def chosen(**options: Any) -> dict[str, Any]:
    """Options that the user gave, without those left at None."""
    return {name: value for name, value in options.items() if value is not None}


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from text such as ``512,256,128``.

    >>> numbers("512, 256")
    (512, 256)
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"expected whole numbers such as 512,256,128, found {text!r}") from None


def print_notes(notes: Iterable[str]) -> None:
    """Print what was done to the data, a line for each sentence."""
    for note in notes:
        print(note)


def print_conclusion(result: "LabelEfficiency") -> None:
    """Print what a study found and where its report is."""
    from oligolearn.report import conclude

    for sentence in conclude(result.summary):
        print(sentence)
    print(f"Report: {result.folder / 'report.html'}")


@contextmanager
def epoch_bar(what: str, *, shown: bool) -> Iterator[Callable[[int, int, float], None] | None]:
    """Yield a function of ``(epochs done, all epochs, mean loss)`` that moves a bar; None where it is not shown."""
    if not shown:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    from oligolearn.study.progress import shown_once_moved

    with shown_once_moved(Progress(*columns, console=Console(stderr=True))) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{what}, loss {loss:.3f}")

        yield tell

"""What verbs share when they read options and print."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from oligolearn.study import LabelEfficiency, Sweep, Transfer


def chosen(**options: Any) -> dict[str, Any]:
    """Options that the user gave, without those left at None."""
    return {name: value for name, value in options.items() if value is not None}


def of_epochs(epochs: int | None) -> dict[str, Any]:
    """Settings of a training of so many epochs, if the user gave any: then also where that is only a few steps.

    >>> of_epochs(5), of_epochs(None)
    ({'epochs': 5, 'min_steps': 1}, {})
    """
    if epochs is None:
        return {}
    if epochs < 1:
        raise ValueError(f"a training takes at least 1 epoch, found {epochs}")
    return {"epochs": epochs, "min_steps": 1}


def view_settings(view: str | None, strength: float | None, mask_share: float | None) -> dict[str, Any]:
    """Settings of a pretraining's view, from the options that the user gave.

    >>> view_settings(None, None, 0.3)
    {'view_options': {'share': 0.3}}
    """
    if view is not None:
        from oligolearn.views import check_view  # brings torch

        check_view(view)
    return chosen(view=view, view_strength=strength, view_options=chosen(share=mask_share) or None)


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


def print_conclusion(result: "LabelEfficiency | Sweep | Transfer") -> None:
    """Print what a study of any kind found and where its report is."""
    from oligolearn.report import conclude

    for sentence in conclude(result.summary):
        print(sentence)
    print(f"Report: {result.folder / 'report.html'}")


class EpochBar(NamedTuple):
    """What moves a bar over epochs.

    Attributes
    ----------
    tell
        Function of ``(epochs done, all epochs, mean loss)``; None where no bar is shown.
    watch
        Function of what shows a collapse (see `oligolearn.pretext.signs_of_collapse`), None likewise.
    """

    tell: Callable[[int, int, float], None] | None
    watch: Callable[[Mapping[str, float]], None] | None


@contextmanager
def epoch_bar(what: str, *, shown: bool) -> Iterator[Callable[[int, int, float], None] | None]:
    """Yield a function of ``(epochs done, all epochs, mean loss)`` that moves a bar; None where it is not shown."""
    with pretraining_bar(what, shown=shown) as bar:
        yield bar.tell


@contextmanager
def pretraining_bar(what: str, *, shown: bool) -> Iterator[EpochBar]:
    """Show a bar over epochs, with the loss and what else it is told."""
    if not shown:
        yield EpochBar(None, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    from oligolearn.study.progress import shown_once_moved

    seen: dict[str, float] = {}
    with shown_once_moved(Progress(*columns, console=Console(stderr=True))) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{what}, {live_words(loss, seen)}")

        yield EpochBar(tell, seen.update)


def live_words(loss: float, seen: Mapping[str, float]) -> str:
    """Loss, and what shows a collapse, in a few words.

    >>> live_words(2.1, {})
    'loss 2.100'
    >>> live_words(3.4, {"plateau": 3.401, "effective_rank": 1.2, "prototypes_in_use": 2.04, "prototypes": 30})
    'loss 3.400 (plateau 3.401), rank 1.2, prototypes 2.0/30: collapsed?'
    """
    words = f"loss {loss:.3f}"
    if "plateau" in seen and math.isfinite(seen["plateau"]):
        words += f" (plateau {seen['plateau']:.3f})"
    if "effective_rank" in seen:
        words += f", rank {seen['effective_rank']:.1f}"
    if "prototypes" in seen:
        words += f", prototypes {seen['prototypes_in_use']:.1f}/{seen['prototypes']:.0f}"
    return words + (": collapsed?" if seen.get("effective_rank", math.inf) < 2 else "")

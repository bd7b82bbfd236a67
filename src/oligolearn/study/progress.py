"""A progress bar with the time left, in a terminal and in Jupyter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[float, float, str], None] | None]:
    """Yield a function of ``(work done, all work, what was done)`` that moves a bar; None where it is not shown."""
    if not shown:
        yield None
        return
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with shown_once_moved(Progress(*columns, console=Console(stderr=True), speed_estimate_period=600)) as bar:
        task = bar.add_task("starting", total=None)

        def tell(done: float, total: float, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield tell


@contextmanager
def shown_once_moved(bar: Progress) -> Iterator[Progress]:
    """Show a bar; a mistake that is found before it has moved leaves the message alone on the screen."""
    bar.start()
    try:
        yield bar
    except BaseException:
        if any(task.completed for task in bar.tasks):
            bar.stop()
        else:
            bar.live.transient = True
            bar.live.stop()  # the bar's own would leave an empty line in a file
        raise
    bar.stop()

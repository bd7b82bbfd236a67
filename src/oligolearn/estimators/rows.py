"""What training draws from: the rows, where they are, and random views of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from oligolearn.data import ExpressionStream
from oligolearn.pretext import default_view
from oligolearn.training import Epoch
from oligolearn.training.memory import lasting
from oligolearn.views import strength_options

_SOME_BYTES = 2**26  # of training rows that a view may draw from
_RUNS = 16
_LARGE_VIEW = 2**20  # numbers: from here on fresh memory takes longer than a copy


class Rows(NamedTuple):
    """Where training has its standardised rows from."""

    n_rows: int
    take: Callable[[Tensor], Tensor]  # what `epoch` draws -> rows on the device
    some: Callable[[], Tensor]  # rows of the whole cohort, those of `spread_rows`, on the device
    epoch: Epoch | None
    identity: Mapping[str, Any]  # for the checkpoint


def spread_rows(n_rows: int, n_genes: int) -> Tensor:
    """Numbers of rows for a view to draw from: all, or what 64 MiB hold, in runs spread over the cohort."""
    return torch.cat([torch.arange(start, stop) for start, stop in _runs(n_rows, n_genes)])


def every_nth(n_rows: int, most: int) -> NDArray[np.intp]:
    """Numbers of at most so many rows, spread evenly: files are often sorted by class.

    >>> every_nth(10, 5).tolist(), every_nth(3, 5).tolist()
    ([0, 2, 4, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, n_rows - 1, min(most, n_rows)).astype(np.intp)


def _runs(n_rows: int, n_genes: int) -> list[tuple[int, int]]:
    """First and last row, the latter not included, of runs that are quick to read from a disk."""
    n_some = max(64, _SOME_BYTES // (4 * n_genes))
    if n_rows <= n_some:
        return [(0, n_rows)]
    each = n_some // _RUNS
    return [(start, start + each) for start in torch.linspace(0, n_rows - each, _RUNS).long().tolist()]


def some_of(stream: ExpressionStream) -> Tensor:
    """The rows of `spread_rows`, from a file."""
    n_genes = len(stream.genes)
    blocks = []
    for start, stop in _runs(len(stream), n_genes):
        blocks.append(np.empty((stop - start, n_genes), np.float32))
        stream.standardised(start, stop, blocks[-1])
    return torch.from_numpy(np.concatenate(blocks))


class Views:
    """Random views of rows, and the rows themselves where an objective takes them.

    Large views lie one after the other in memory that is used again for the next batch: objectives that join them need
    not copy them, and the operating system need not find 40 MB of fresh memory in each step.

    Parameters
    ----------
    view
        ``(x, generator=...) -> x``.
    random
        Which elements of a batch are views.
    generator
        What they are drawn from.
    """

    def __init__(self, view: Callable[..., Tensor], random: Sequence[bool], generator: torch.Generator) -> None:
        self.view = view
        self.random = random
        self.generator = generator
        self._memory: Tensor | None = None

    def draw(self, x: Tensor) -> list[Tensor]:
        """Draw the elements of a batch of the rows `x`, ``(batch, n_genes)``; they last until the next call."""
        drawn = (self.view(x, generator=self.generator) if random else x for random in self.random)
        if x.device.type != "cpu" or x.numel() < _LARGE_VIEW or not all(self.random):
            return list(drawn)
        shape = (len(self.random), *x.shape)
        if self._memory is None or self._memory.shape != shape:
            self._memory = lasting(shape, x.dtype, x.device)
        for place, one in zip(self._memory, drawn, strict=True):
            place.copy_(one)
        return list(self._memory.unbind())


def chosen_view(
    objective: Callable[..., nn.Module],
    view: str | Callable[..., Any] | None,
    options: Mapping[str, Any] | None,
    strength: float | None,
) -> tuple[str | Callable[..., Any], dict[str, Any]]:
    """Give the view and its settings: the one asked for, or the one that suits the objective.

    Without a view, `options` are settings of the objective's own.

    Raises
    ------
    ValueError
        If the view has no strength, or it is out of its range, or given twice.

    Examples
    --------
    >>> from oligolearn.pretext import VIME, SwAV
    >>> chosen_view(SwAV, None, None, 0.4), chosen_view(SwAV, "mixup", None, 0.4)
    (('masked-mixup', {'share': 0.4}), ('mixup', {'lowest': 0.6}))
    >>> chosen_view(VIME, None, {"share": 0.4}, None)
    ('masking', {'share': 0.4, 'per': 'row', 'fill': 'marginal'})
    """
    chosen = dict(options or {})
    if view is None:
        view, own = default_view(objective)
        chosen = {**own, **chosen}
    if strength is None:
        return view, chosen
    told = strength_options(view, strength)
    if told.keys() & set(options or {}):
        raise ValueError(f"view_strength and {', '.join(told)} say the same of the view {view}; give one of them")
    return view, chosen | told


def checked_cohorts(cohorts: ArrayLike, X: ArrayLike) -> NDArray[np.integer]:
    """Give the number of each row's cohort; refuse what does not fit `X`."""
    numbers = np.asarray(cohorts)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(cast(Sequence[Any], X))
    if numbers.shape != (n_rows,) or not np.issubdtype(numbers.dtype, np.integer) or (numbers == 0).sum() < 2:
        raise ValueError(
            f"cohorts must be {n_rows} whole numbers, one for each row, at least two of them 0, the cohort that the "
            f"encoder is for; found {numbers.dtype} of shape {numbers.shape} with {(numbers == 0).sum()} zeros"
        )
    return cast(NDArray[np.integer], numbers)

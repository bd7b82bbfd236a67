"""Expression matrices larger than memory: prepared as those in memory are, read in shuffled blocks ahead of training.

Looked at before this was written: annbatch asks for Python 3.12, scDataset 0.3 cannot go on within an epoch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data.alignment import describe_match, find_features, mode_like_training
from oligolearn.data.genes import FEWEST_GENES, check_missing_shares
from oligolearn.data.matching import Translation
from oligolearn.data.moments import Moments
from oligolearn.data.scaling import ExpressionScaler, largest_variances
from oligolearn.data.table import some
from oligolearn.data.units import Survey, normalize, survey_values

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from oligolearn.data.stored import StoredExpression

BUFFER_BYTES = 512 << 20
_BLOCK_BYTES = 2 << 20  # read at a time from one place: small enough for the cache, large enough for a disk
_BLOCKS_IN_WINDOW = 16  # fewest blocks that are shuffled together
_SAMPLED_ROWS = 1024
_CELLS_AT_ONCE = 1 << 23  # when all rows are read in order


class Order(NamedTuple):
    """How rows are shuffled; decides the result of a training as its seed does.

    Attributes
    ----------
    block_rows
        Rows read together.
    window_rows
        Rows from different blocks that are shuffled together; all rows where they fit in the buffer.
    """

    block_rows: int
    window_rows: int


class _Window(NamedTuple):
    """Blocks in memory at a time, and the order of their rows."""

    starts: NDArray[np.int64]
    order: "Tensor"


class ExpressionStream:
    """Rows of a stored matrix on a log scale, with chosen genes in a chosen order.

    Parameters
    ----------
    stored
        The file.
    genes
        Names of the columns that are given.
    places
        Column of each of them in the file, -1 where it has none: NaN.
    units
        Mode of `normalize`, not ``"auto"``.
    notes
        What was done, in sentences.
    moments
        Statistics of these genes over all rows, for those who train.

    Attributes
    ----------
    scaler
        Fitted on all rows, None without `moments`.
    fingerprint
        Of the data, "" without `moments`.
    """

    def __init__(
        self,
        stored: "StoredExpression",
        genes: Sequence[str],
        places: NDArray[np.intp],
        units: str,
        notes: list[str],
        moments: Moments | None = None,
    ) -> None:
        self.stored = stored
        self.genes = list(genes)
        self.units = units
        self.notes = notes
        self.scaler: ExpressionScaler | None = None
        self.fingerprint = ""
        self._places = places
        self._all = np.array_equal(places, np.arange(stored.shape[1]))
        if moments is not None:
            self.scaler = ExpressionScaler.from_moments(moments.mean[places], moments.variance[places])
            self.fingerprint = moments.fingerprint(genes)

    def __len__(self) -> int:
        return len(self.stored)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Consecutive rows, ``(stop - start, n_genes)``; the same values whatever is read with them.

        Raises
        ------
        ValueError
            Values are infinite, or do not suit the units.
        """
        out = np.empty((stop - start, len(self.genes)), np.float32)
        for first in range(start, stop, self._rows_at_once):
            last = min(stop, first + self._rows_at_once)
            raw = self.stored.read(first, last)
            _check_finite(raw, first, self.stored)
            self._prepare(raw, first, out[first - start : last - start])
        return out

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All rows, in order, a few at a time."""
        for start, stop in _ranges(self.stored):
            yield self.read(start, stop)

    def order(self, buffer_bytes: int = BUFFER_BYTES) -> Order:
        """How rows are shuffled with a buffer of so many bytes."""
        n_rows, width = len(self), 4 * len(self.genes)
        if n_rows * width <= buffer_bytes:
            return Order(n_rows, n_rows)
        window_rows = max(1, buffer_bytes // 2 // width)  # one is read while the other is used
        together = self.stored.together
        block_rows = -(-_BLOCK_BYTES // (4 * self.stored.shape[1]) // together) * together
        block_rows = max(1, min(max(block_rows, together), window_rows // _BLOCKS_IN_WINDOW))
        return Order(block_rows, window_rows // block_rows * block_rows)

    def shuffled(self, *, buffer_bytes: int = BUFFER_BYTES, prefetch: bool = True) -> "Callable[..., Iterator[Tensor]]":
        """Drawer of epochs, an `oligolearn.training.Epoch`, that yields standardised rows, ``(batch, n_genes)``.

        Blocks of consecutive rows are read in random order; the rows of those that fit in the buffer together are
        shuffled. Each row comes once in an epoch, but for a remainder smaller than a batch.

        Parameters
        ----------
        buffer_bytes
            Bounds the memory. Where all rows fit, they are read once and shuffled among all.
        prefetch
            Read ahead in a thread; the batches are the same without it.

        Raises
        ------
        ValueError
            If the stream was not prepared for training.
        """
        if self.scaler is None:
            raise ValueError("this stream has no statistics to standardise rows by; make it with prepare_stream")
        order = self.order(buffer_bytes)
        load = _Loader(self, order)

        def draw(n_parts: int, generator: "torch.Generator", *, skip: int = 0) -> "Iterator[Tensor]":
            size = len(self) // n_parts
            windows = _windows(len(self), order, generator)
            return _batches(load, windows, size, range(skip * size, n_parts * size), prefetch=prefetch)

        return draw

    def standardised(self, start: int, stop: int, out: NDArray[np.float32]) -> None:
        """Write consecutive rows to `out`, standardised by all rows, a block at a time."""
        if self.scaler is None:
            raise ValueError("this stream has no statistics to standardise rows by; make it with prepare_stream")
        step = min(self._rows_at_once, max(1, _BLOCK_BYTES // (4 * self.stored.shape[1])))
        for first in range(start, stop, step):
            last = min(stop, first + step)
            part = out[first - start : last - start]
            self._prepare(self.stored.read(first, last, part if self._all else None), first, part)
            self.scaler.standardise(part, part)

    @property
    def _rows_at_once(self) -> int:
        return max(1, _CELLS_AT_ONCE // self.stored.shape[1])

    def _prepare(self, raw: NDArray[np.float32], first: int, out: NDArray[np.float32]) -> None:
        """Normalise rows as stored, from number `first` on, and pick their genes; `raw` is overwritten."""
        names = list(self.stored.obs.index[first : first + len(raw)])
        values = normalize(raw, self.units, sample_names=names, inplace=True).X
        if self._all:
            if out is not values:
                out[:] = values
            return
        np.take(values, self._places, axis=1, out=out, mode="wrap")  # -1, if any, is overwritten
        out[:, self._places < 0] = np.nan


def prepare_stream(
    stored: "StoredExpression", *, normalize_as: str = "auto", max_missing: float = 0.3, top_genes: int | None = None
) -> ExpressionStream:
    """Prepare a stored matrix for pretraining as `prepare_expression` does, in one pass over the file.

    Parameters
    ----------
    stored
        The file.
    normalize_as
        Mode of `normalize`; "auto" looks at a sample of rows, and the pass over all rows checks what it found.
    max_missing
        Largest share of missing values a gene may have.
    top_genes
        Keep as many genes, those that vary most; None for all.

    Raises
    ------
    ValueError
        If the values do not suit the mode, a gene misses too much, or fewer than two genes vary.
    """
    guessed = _sampled_survey(stored) if normalize_as == "auto" else None
    mode, sentence = _choose_mode(stored, normalize_as, guessed)
    every = ExpressionStream(stored, stored.genes, np.arange(stored.shape[1]), mode, [])
    moments = _scan(every, guessed)
    missing = check_missing_shares(moments.share_missing, stored.genes, max_missing)
    notes = [sentence, *([missing] if missing else [])]
    varies = moments.largest > moments.smallest
    if varies.sum() < FEWEST_GENES:
        raise ValueError(
            f"{int(varies.sum())} of {len(varies)} genes vary between samples; at least {FEWEST_GENES} are needed"
        )
    if not varies.all():
        notes.append(f"{int((~varies).sum()):,} genes with the same value in all samples were dropped.")
    places = np.flatnonzero(varies)
    if top_genes is not None and top_genes < len(places):
        places = places[largest_variances(moments.variance[places], top_genes)]
        notes.append(f"The {len(places):,} genes that vary most were kept.")
    return ExpressionStream(stored, [stored.genes[i] for i in places], places, mode, notes, moments)


def align_stream(
    stored: "StoredExpression",
    features: Sequence[str],
    *,
    units: str,
    normalize_as: str = "auto",
    min_overlap: float = 0.8,
    translation: Translation | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> ExpressionStream:
    """Prepare a stored matrix for a model as `align_expression` does; the scale is checked on a sample of rows.

    Parameters and errors are those of `align_expression`; a gene that several columns measure is an error, too.
    """
    match = find_features(stored.genes, features, min_overlap, translation=translation, known=known)
    several = np.flatnonzero(np.bincount(match.places, minlength=len(features)) > 1)
    if len(several):
        raise ValueError(
            f"{stored.path.name}: several columns measure each of {len(several):,} genes "
            f"({some([features[int(i)] for i in several])}); they become one only in memory (--no-stream)"
        )
    places = np.full(len(features), -1, dtype=np.intp)
    places[match.places] = match.columns
    mode, why = mode_like_training(units, normalize_as, lambda: _sampled_survey(stored, match.columns).guess())
    sentence = normalize(stored.read(0, 1), mode, why=why).sentence
    return ExpressionStream(stored, features, places, mode, [sentence, *match.notes, *describe_match(match)])


def _ranges(stored: "StoredExpression") -> Iterator[tuple[int, int]]:
    """Consecutive ranges of rows that bound the memory, whole chunks where these are not too large."""
    step = max(1, _CELLS_AT_ONCE // stored.shape[1])
    if stored.together <= step:
        step = step // stored.together * stored.together
    return ((start, min(start + step, len(stored))) for start in range(0, len(stored), step))


def _sampled_survey(stored: "StoredExpression", columns: NDArray[np.intp] | None = None) -> Survey:
    """Survey up to 1,024 rows from 32 places of the file; of some columns alone, or of all."""
    found = Survey()
    size = min(len(stored), _SAMPLED_ROWS // 32)
    for start in np.unique(np.linspace(0, len(stored) - size, 32).astype(np.int64)):
        raw = stored.read(int(start), int(start) + size)
        _check_finite(raw, int(start), stored)
        found = found.joined(survey_values(raw if columns is None else raw[:, columns]))
    return found


def _choose_mode(stored: "StoredExpression", normalize_as: str, guessed: Survey | None) -> tuple[str, str]:
    """Mode of `normalize`, and the sentence that says so."""
    if guessed is None:
        return normalize_as, normalize(stored.read(0, 1), normalize_as).sentence
    mode, said = _mode_of(guessed)
    if mode == "none":
        return mode, f"Values are left as they are: negatives have no log ({said})."
    return mode, normalize(stored.read(0, 1), mode, why=f"{said}, in a sample of the rows").sentence


def _mode_of(survey: Survey) -> tuple[str, str]:
    units, said = survey.guess()
    return ("none" if units == "linear" and survey.smallest < 0 else units), said


def _scan(stream: ExpressionStream, guessed: Survey | None) -> Moments:
    """Statistics of all genes over all rows; refuses what a sample of the rows did not show."""
    moments, seen = Moments(stream.stored.shape[1]), Survey()
    for start, stop in _ranges(stream.stored):
        raw = stream.stored.read(start, stop)
        _check_finite(raw, start, stream.stored)
        if guessed is not None:
            seen = seen.joined(survey_values(raw))
        step = max(1, _BLOCK_BYTES // (4 * raw.shape[1]))
        for first in range(0, len(raw), step):
            part = raw[first : first + step]
            stream._prepare(part, start + first, part)
            moments.add(part)
    if guessed is not None:
        _check_guess(stream, seen)
    return moments


def _check_guess(stream: ExpressionStream, seen: Survey) -> None:
    """Refuse a guess from a sample of the rows that all rows do not bear out."""
    mode, said = _mode_of(seen)
    as_they_are = {"log", "centred", "none"}
    if mode != stream.units and not {mode, stream.units} <= as_they_are:
        raise ValueError(
            f"{stream.stored.path.name}: a sample of the rows looks like {stream.units!r} values, but all rows "
            f"together look like {said}; pass --normalize to say what they are"
        )


def _check_finite(raw: NDArray[np.float32], first: int, stored: "StoredExpression") -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(raw.sum())  # missing, infinite, or the sum too large
    if suspect and np.isinf(raw).any():
        i, j = (int(k) for k in np.argwhere(np.isinf(raw))[0])
        raise ValueError(
            f"{stored.path.name}: infinite values, or values too large for 32 bits (sample "
            f"{stored.obs.index[first + i]!r}, gene {stored.genes[j]!r}); replace them by finite numbers, or by NaN "
            "if missing (log of zero?)"
        )


class _Loader:
    """Fills memory that is used again with the standardised rows of a window."""

    def __init__(self, stream: ExpressionStream, order: Order) -> None:
        self._stream = stream
        self._order = order
        self._all = order.window_rows >= len(stream)
        self._buffers: list[NDArray[np.float32] | None] = [None, None]
        self._kept = False

    def __call__(self, window: _Window, number: int) -> "Tensor":
        import torch

        side = 0 if self._all else number % 2
        buffer = self._buffers[side]
        if buffer is None:
            buffer = np.empty((self._order.window_rows, len(self._stream.genes)), np.float32)
            self._buffers[side] = buffer
        if not (self._all and self._kept):
            place = 0
            for start in window.starts:
                stop = min(int(start) + self._order.block_rows, len(self._stream))
                self._stream.standardised(int(start), stop, buffer[place : place + stop - int(start)])
                place += stop - int(start)
            self._kept = True
        return torch.from_numpy(buffer)


def _windows(n_rows: int, order: Order, generator: "torch.Generator") -> list[_Window]:
    """Draw an epoch: blocks in random order, as many as fit in the buffer, and their rows in random order."""
    import torch

    if order.window_rows >= n_rows:  # the very order of a matrix in memory
        return [_Window(np.array([0]), torch.randperm(n_rows, generator=generator))]
    starts = np.arange(0, n_rows, order.block_rows)
    starts = starts[torch.randperm(len(starts), generator=generator).numpy()]
    lengths = np.minimum(starts + order.block_rows, n_rows) - starts
    each = order.window_rows // order.block_rows
    return [
        _Window(starts[i : i + each], torch.randperm(int(lengths[i : i + each].sum()), generator=generator))
        for i in range(0, len(starts), each)
    ]


def _batches(load: _Loader, windows: list[_Window], size: int, wanted: range, *, prefetch: bool) -> "Iterator[Tensor]":
    """Cut the rows of an epoch that are `wanted`, by their place in it, into batches."""
    import torch

    needed: list[tuple[_Window, Tensor]] = []
    place = 0
    for window in windows:
        first, last = max(wanted.start - place, 0), min(wanted.stop - place, len(window.order))
        if first < last:
            needed.append((window, window.order[first:last]))
        place += len(window.order)
    parts: list[Tensor] = []
    for values, order in _loaded(load, needed, prefetch=prefetch):
        rows = order
        while len(rows):
            missing = size - sum(len(part) for part in parts)
            parts.append(values.index_select(0, rows[:missing]))
            rows = rows[missing:]
            if sum(len(part) for part in parts) == size:
                yield parts[0] if len(parts) == 1 else torch.cat(parts)
                parts = []


def _loaded(
    load: _Loader, needed: "list[tuple[_Window, Tensor]]", *, prefetch: bool
) -> "Iterator[tuple[Tensor, Tensor]]":
    """Yield the values of each window; the next one is read meanwhile."""
    if not prefetch or len(needed) < 2:
        for number, (window, order) in enumerate(needed):
            yield load(window, number), order
        return
    with ThreadPoolExecutor(1, thread_name_prefix="oligolearn-read") as reader:
        ahead = reader.submit(load, needed[0][0], 0)
        for number, (_, order) in enumerate(needed):
            values = ahead.result()
            if number + 1 < len(needed):
                ahead = reader.submit(load, needed[number + 1][0], number + 1)
            yield values, order

"""Sequences of any length, a byte a letter, with what is known about them; read from files of every usual kind."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oligolearn.data.alphabets import (
    GAPS,
    PADDING,
    PROTEIN,
    STOP,
    Alphabet,
    count_letters,
    detect_alphabet,
    find_alphabet,
)
from oligolearn.data.samples import as_text, join_sheet, read_sample_sheet
from oligolearn.data.sequence_records import Records, read_records
from oligolearn.data.table import some, text_column

SIDES = ("start", "end", "both")
_LETTERS_AT_ONCE = 1 << 22
_TELLING = 50  # letters, of which an alphabet can be told


class UnknownLetterError(ValueError):
    """A letter that the alphabet has not.

    Attributes
    ----------
    found
        Which, where, and what the whole looks like.
    choice
        The alphabet to choose in its place, where there is one; of no use where a model has chosen.
    """

    def __init__(self, found: str, choice: str = "") -> None:  # one is what a worker process passes on
        super().__init__(found + choice)
        self.found, self.choice = found, choice


class PaddingRule(NamedTuple):
    """How sequences of different lengths become rows of one width.

    Attributes
    ----------
    length
        Width, None for that of the longest sequence.
    pad
        Where shorter ones get padding: at their ``"end"``, their ``"start"``, or ``"both"``, which centres them.
    truncate
        Where longer ones lose letters: at their ``"end"``, their ``"start"``, or ``"both"``, which keeps the centre.
    """

    length: int | None = None
    pad: str = "end"
    truncate: str = "end"


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences one after the other in one array; one-hot encoding is made for a batch at a time.

    Attributes
    ----------
    codes
        Codes of the letters of all sequences, ``(n_letters,)``.
    offsets
        Where each sequence begins, and the end of the last, ``(n_sequences + 1,)``.
    alphabet
        What the codes mean.
    obs
        What is known about each sequence, numbers or text, NaN where missing, indexed by its id.
    aligned
        Whether these are rows of an alignment: of equal length, a gap being a letter.
    notes
        What was done in reading, in sentences.

    Examples
    --------
    >>> both = encode_sequences(["ACGTN", "gg"])
    >>> both.alphabet.name, both.lengths, both.texts()
    ('dna', array([5, 2]), ['ACGTN', 'GG'])
    >>> both.padded().tolist()
    [[1, 2, 3, 4, 15], [3, 3, 0, 0, 0]]
    """

    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    alphabet: Alphabet
    obs: pd.DataFrame
    aligned: bool = False
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Letters of each sequence, ``(n_sequences,)``."""
        return np.diff(self.offsets)

    @property
    def ids(self) -> list[str]:
        """Name of each sequence."""
        return [str(name) for name in self.obs.index]

    def of(self, row: int) -> NDArray[np.uint8]:
        """Codes of one sequence, ``(length,)``."""
        return self.codes[self.offsets[row] : self.offsets[row + 1]]

    def texts(self) -> list[str]:
        """Give every sequence as text in upper case."""
        return [self.alphabet.decode(self.of(row)) for row in range(len(self))]

    def take(self, rows: ArrayLike) -> "Sequences":
        """Some of the sequences, by row number or mask."""
        numbers = self._numbers(rows)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[numbers])])
        codes = np.concatenate([self.codes[:0], *(self.of(row) for row in numbers)])
        return replace(self, codes=codes, offsets=offsets, obs=self.obs.iloc[numbers])

    def cut(self, rule: PaddingRule) -> "Sequences":
        """Sequences without the letters that `padded` leaves out by the same rule."""
        if rule.length is None or not len(self) or int(self.lengths.max()) <= rule.length:
            return self
        lengths = np.minimum(self.lengths, rule.length)
        over = self.lengths - lengths
        before = {"end": np.zeros_like(over), "start": over, "both": over // 2}[rule.truncate]
        starts = self.offsets[:-1] + before
        codes = np.concatenate([self.codes[at : at + n] for at, n in zip(starts, lengths, strict=True)])
        return replace(self, codes=codes, offsets=np.concatenate([[0], np.cumsum(lengths)]))

    def _numbers(self, rows: ArrayLike) -> NDArray[np.intp]:
        asked = np.asarray(rows)
        numbers: NDArray[np.intp] = np.arange(len(self))[asked if asked.size else asked.astype(np.intp)]
        return numbers

    def padded(self, rows: ArrayLike | None = None, rule: PaddingRule | None = None) -> NDArray[np.uint8]:
        """Codes in rows of equal width, ``(n_rows, width)``, 0 where there is no letter.

        Raises
        ------
        ValueError
            If the rule is none.
        """
        rule = rule or PaddingRule()
        for name in ("pad", "truncate"):
            if getattr(rule, name) not in SIDES:
                raise ValueError(f"{name} must be one of {', '.join(SIDES)}, found {getattr(rule, name)!r}")
        numbers = np.arange(len(self)) if rows is None else self._numbers(rows)
        lengths = self.lengths[numbers]
        width = int(lengths.max(initial=0)) if rule.length is None else rule.length
        if width < 1:
            raise ValueError(f"sequences must be padded to a length of at least 1, found {width}")
        # Place i of a row holds letter i + shift of its sequence: cut where that is positive, padded where negative.
        spare = width - lengths
        at = {"end": np.zeros_like(spare), "start": spare, "both": np.sign(spare) * (np.abs(spare) // 2)}
        shift = -np.where(spare >= 0, at[rule.pad], at[rule.truncate])
        letter = np.arange(width) + shift[:, None]
        inside = (letter >= 0) & (letter < lengths[:, None])
        place = np.where(inside, letter + self.offsets[numbers][:, None], 0)
        return np.where(inside, self.codes[place], np.uint8(PADDING)).astype(np.uint8)

    def one_hot(self, rows: ArrayLike | None = None, rule: PaddingRule | None = None) -> NDArray[np.float32]:
        """Channels of a batch, ``(n_rows, width, n_letters)``: padding is zero, an ambiguous letter shared out."""
        return self.alphabet.shares[self.padded(rows, rule)]

    def label(self, column: str) -> "pd.Series[str]":
        """Give a column of `obs` as text, NaN where it is empty.

        Raises
        ------
        ValueError
            If there is no such column, or nothing in it.
        """
        if column not in self.obs.columns:
            known = ", ".join(map(str, self.obs.columns)) or "none"
            raise ValueError(
                f"there is no column {column!r} to use; the columns are: {known} (a sheet can add others: --samples)"
            )
        if self.obs[column].isna().all():
            raise ValueError(f"column {column!r} is empty for all {len(self):,} sequences; choose another")
        return as_text(self.obs[column])


def encode_sequences(
    texts: Iterable[str], *, alphabet: str = "auto", aligned: bool | None = None, ids: Iterable[str] | None = None
) -> Sequences:
    """Encode sequences given as text.

    Parameters
    ----------
    texts
        One text each; case does not matter.
    alphabet, aligned
        As in `read_sequences`.
    ids
        A name each; their numbers if not given.

    Raises
    ------
    TypeError
        If one is no text.
    ValueError
        As `read_sequences` does.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of sequences, found one text {texts[:20]!r}; write [texts]")
    given = list(texts)
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(
                f"sequences must be texts such as 'ACGT', found {type(text).__name__} {str(text)[:20]!r} as number "
                f"{number}; a column of a table is `list(table['sequence'])`"
            )
    letters = [text.strip().encode(errors="replace") for text in given]
    names = [str(number) for number in range(len(given))] if ids is None else list(ids)
    if len(names) != len(given):
        raise ValueError(f"ids must be one for each of {len(given):,} sequences, found {len(names):,}")
    lengths = np.array([len(one) for one in letters], np.int64)
    records = Records(b"".join(letters), lengths, pd.DataFrame(index=pd.Index(names, dtype=object)), [])
    return _encode(records, "the sequences", alphabet, aligned=aligned)


def read_sequences(
    path: str | Path,
    *,
    alphabet: str = "auto",
    aligned: bool | None = None,
    samples: str | Path | None = None,
    column: str = "sequence",
) -> Sequences:
    """Read FASTA, FASTQ, Stockholm, or a table with a column of sequences.

    Parameters
    ----------
    path
        ``.fasta/.fa/.fna/.faa/.ffn/.afa``, ``.fastq/.fq``, ``.sto/.stk``, ``.tsv/.csv/.txt``, gzipped if it ends in
        ``.gz``.
    alphabet
        ``"dna"``, ``"rna"``, ``"protein"``, or ``"auto"`` to tell from the letters. U and T are read as what the
        alphabet has.
    aligned
        True: rows of an alignment, which must be equally long, with a gap (``-`` or ``.``) as one more letter. False:
        gaps are taken out. None: an alignment where there are gaps, or the file is Stockholm.
    samples
        Sheet joined by id, whose columns are added to `obs`.
    column
        Of a table: the one that holds the sequences.

    Returns
    -------
    Sequences
        Columns of `obs`: those of the table; of FASTA ``description``, a column for each ``key=value`` of the header,
        ``field_1``, ``field_2``, ... where it has fields between bars, and ``chromosome`` where ids are places of a
        genome (``chr1:100-200``).

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, damaged or holds letters that the alphabet lacks, records that are empty, ids that occur
        twice, or lengths that differ in an alignment: which record, and what to do.
    """
    path = Path(path)
    records = read_records(path, column)
    found = _encode(records, path.name, alphabet, aligned=True if records.aligned and aligned is None else aligned)
    if samples is None:
        return found
    sheet = Path(samples)
    obs, notes = join_sheet(found.obs, read_sample_sheet(sheet), sheet.name)
    return replace(found, obs=obs, notes=[*found.notes, *notes])


def _encode(records: Records, name: str, alphabet: str, *, aligned: bool | None) -> Sequences:
    """Letters to codes, with all that can be wrong with them."""
    if not len(records.obs):
        raise ValueError(f"{name}: there are no sequences; at least one is needed")
    _check_none_empty(records, name)
    records = _with_own_ids(records, name)
    ids = records.obs.index
    letters = np.frombuffer(records.letters, np.uint8)
    counts = count_letters(letters)
    n_gaps = int(counts[[ord(gap) for gap in GAPS]].sum())
    notes = list(records.notes)
    likely, why = detect_alphabet(counts)
    if alphabet == "auto":
        chosen = likely
        notes.append(f"Read as {_spoken(chosen)}: {why}.")
    else:
        chosen = find_alphabet(alphabet)
        if chosen.name == PROTEIN.name != likely.name and len(letters) >= _TELLING:
            notes.append(f"Read as protein, as asked, though it looks like {_spoken(likely)}: {why}.")
    is_alignment = n_gaps > 0 if aligned is None else aligned
    lengths = records.lengths
    if is_alignment:
        _check_equal_lengths(lengths, ids, name, n_gaps)
        chosen = chosen.with_gap()
        if chosen.name == PROTEIN.name and counts[ord(STOP)]:
            letters, lengths = _stops_as_gaps(letters, lengths)
        notes.append(f"An alignment of {lengths[0]:,} columns; a gap is a letter of its own.")
    elif n_gaps:
        letters, lengths = _without(letters, lengths, np.isin(letters, [ord(gap) for gap in GAPS]))
        notes.append(f"{n_gaps:,} gaps were taken out.")
    if chosen.name == PROTEIN.name and counts[ord(STOP)] and not is_alignment:
        last = np.zeros(len(letters), dtype=bool)
        last[np.cumsum(lengths) - 1] = True
        letters, lengths = _without(letters, lengths, last & (letters == ord(STOP)))
    if len(lengths) and lengths.min() == 0:
        raise ValueError(f"{name}: sequence {ids[int(lengths.argmin())]!r} is nothing but gaps or stops; remove it")
    codes = chosen.encode(letters)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    unknown = codes >= len(chosen.symbols)
    if unknown.any():
        raise _unknown_letter(int(unknown.argmax()), letters, offsets, records.obs.index, chosen, name)
    cleaned = {str(column): text_column(records.obs[column]).set_axis(ids) for column in records.obs}
    return Sequences(codes, offsets, chosen, pd.DataFrame(cleaned, index=ids), is_alignment, notes)


def _check_none_empty(records: Records, name: str) -> None:
    empty = np.flatnonzero(records.lengths == 0)
    if len(empty):
        ids = [str(records.obs.index[int(i)]) for i in empty]
        raise ValueError(
            f"{name}: {len(empty):,} of {len(records.obs):,} sequences are empty ({some(ids)}); remove these records, "
            "or find out what cut them off"
        )


def _with_own_ids(records: Records, name: str) -> Records:
    """Number records that are there twice, alike in all; refuse an id that means two things."""
    ids = records.obs.index
    if not ids.has_duplicates:
        return records
    ends = np.cumsum(records.lengths)
    whole = records.obs.assign(
        **{"": [records.letters[end - n : end].upper() for end, n in zip(ends, records.lengths, strict=True)]}
    ).reset_index(names="id of the record")
    again = whole["id of the record"].duplicated(keep="first")
    differing = whole.loc[again & ~whole.duplicated(keep="first"), "id of the record"].unique().tolist()
    if differing:
        raise ValueError(
            f"{name}: {len(differing):,} id(s) name records that differ ({some(differing)}); each sequence needs an id "
            "of its own"
        )
    nth = whole.groupby("id of the record", sort=False).cumcount() + 1
    own = [f"{one}.{n}" if n > 1 else one for one, n in zip(ids, nth, strict=True)]
    if len(set(own)) < len(own):
        raise ValueError(
            f"{name}: ids that occur twice cannot be numbered, since others end in .2 already; rename them"
        )
    first = own[int(again.argmax())]
    note = f"{int(again.sum()):,} records are exact copies of others; they are called {first!r} and so on."
    return records._replace(obs=records.obs.set_axis(pd.Index(own, dtype=object)), notes=[*records.notes, note])


def _check_equal_lengths(lengths: NDArray[np.int64], ids: "pd.Index[str]", name: str, n_gaps: int) -> None:
    differing = np.flatnonzero(lengths != lengths[0])
    if len(differing):
        why = f"it has {n_gaps:,} gaps" if n_gaps else "so it was said"
        first, other = str(ids[0]), str(ids[int(differing[0])])
        raise ValueError(
            f"{name}: an alignment ({why}) needs sequences of equal length, but {first!r} has {lengths[0]:,} "
            f"letters and {other!r} has {lengths[differing[0]]:,}; align them again, or read them as "
            "unaligned (--unaligned, or aligned=False), which takes gaps out"
        )


def _without(
    letters: NDArray[np.uint8], lengths: NDArray[np.int64], dropped: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Sequences without some of their letters, which take no memory for each letter that stays."""
    ends, n_dropped = np.cumsum(lengths), np.zeros(len(lengths), np.int64)
    for start in range(0, len(dropped), _LETTERS_AT_ONCE):
        places = np.flatnonzero(dropped[start : start + _LETTERS_AT_ONCE]) + start
        n_dropped += np.bincount(np.searchsorted(ends, places, side="right"), minlength=len(lengths))
    return letters[~dropped], lengths - n_dropped


def looks_like_nucleotides(sequences: Sequences) -> str | None:
    """``DNA`` or ``RNA`` where letters that were read as protein look like that, and are enough to tell; else None."""
    symbols = np.frombuffer(sequences.alphabet.symbols.encode(), np.uint8)
    likely, _ = detect_alphabet(count_letters(symbols[sequences.codes]))
    told = likely.name != PROTEIN.name and len(sequences.codes) >= _TELLING
    return _spoken(likely) if told else None


def _stops_as_gaps(
    letters: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rows of an alignment whose last letter is a stop, with a gap in its place; a last column of gaps alone is cut."""
    rows = letters.reshape(len(lengths), -1).copy()
    gap = np.isin(rows, [ord(one) for one in GAPS])
    last = rows.shape[1] - 1 - (~gap)[:, ::-1].argmax(axis=1)
    ends = np.take_along_axis(rows, last[:, None], axis=1)
    np.put_along_axis(rows, last[:, None], np.where(ends == ord(STOP), ord(GAPS[0]), ends).astype(np.uint8), axis=1)
    if (rows[:, -1] == ord(GAPS[0])).all() and not gap[:, -1].all() and rows.shape[1] > 1:
        rows = rows[:, :-1]
    return rows.ravel(), np.full(len(lengths), rows.shape[1], np.int64)


def _unknown_letter(
    at: int, letters: NDArray[np.uint8], offsets: NDArray[np.int64], ids: "pd.Index[str]", chosen: Alphabet, name: str
) -> "UnknownLetterError":
    """Say which letter of which sequence is none, and what the whole looks like."""
    row = int(np.searchsorted(offsets, at, side="right")) - 1
    letter = chr(letters[at]) if 32 < letters[at] < 127 else f"byte 0x{letters[at]:02x}"
    likely, why = detect_alphabet(count_letters(letters))
    advice, choice = "correct it, or write it as the letter for anything", ""
    if likely.name != chosen.name:
        advice = f"this looks like {_spoken(likely)} ({why})"
        choice = f": give alphabet {likely.name!r} (--alphabet {likely.name})"
    place = at - int(offsets[row]) + 1
    return UnknownLetterError(
        f"{name}: sequence {str(ids[row])!r} has {letter!r} at position {place}, which is no letter of "
        f"{_spoken(chosen)} ({chosen.symbols.strip()}); {advice}",
        choice,
    )


def _spoken(alphabet: Alphabet) -> str:
    return alphabet.name if alphabet.name == PROTEIN.name else alphabet.name.upper()

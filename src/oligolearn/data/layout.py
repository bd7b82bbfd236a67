"""Where the parts of a delimited table are: row names, text columns, text rows above the numbers."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oligolearn.data.cells import NUMBER, mask
from oligolearn.data.orientation import GENE, SAMPLE_CORNER

DECIMAL_COMMA = r"^\s*[+-]?\d+,\d+\s*$"
# Annotation that counting programs (featureCounts) put between the gene and its counts: numbers, but not a sample's.
ANNOTATION = frozenset({"chr", "chrom", "chromosome", "start", "end", "strand", "length"})
_OF_IDS = frozenset(
    ["ID", "IDS", "IDX", "INDEX", "KEY", "MRN", "NAME", "NO", "NR", "NUM", "NUMBER", "ROW", "UID", "UUID"]
)  # as symbols are written


class Layout(NamedTuple):
    """Where the parts of a table are.

    Attributes
    ----------
    names
        Header, one name per field.
    text
        Fields that hold text, the row names first where there are any.
    forced
        Those of them that may hold numbers as well: labels, annotation.
    has_ids
        Whether ``text[0]`` names the rows.
    n_leading
        Rows of text above the numbers (properties of the columns).
    """

    names: list[str]
    text: list[int]
    forced: frozenset[int]
    has_ids: bool
    n_leading: int


def find_layout(cells: pa.StringArray, names: list[str], labels: Collection[str], path: Path) -> Layout:
    """Tell text from numbers by the first block of rows."""
    shape = (-1, len(names))
    number = mask(pc.match_substring_regex(cells, NUMBER)).reshape(shape)
    word = ~number & ~mask(pc.is_null(cells)).reshape(shape)
    _refuse_decimal_comma(cells, word, names, path)
    row_names = cells.to_pylist()[:: len(names)]
    n_leading = 0
    for row_name, is_number, is_word in zip(row_names, number[:, 1:], word[:, 1:], strict=True):
        if row_name not in labels and (is_number.any() or not is_word.any()):
            break
        n_leading += 1
    if n_leading == len(row_names):
        raise ValueError(
            f"{path.name}: no numbers in its first {n_leading} rows (row {row_names[0]!r}, column {names[-1]!r}: "
            f"{cells[len(names) - 1].as_py()!r}); expected an expression matrix, one cell per sample and gene; a "
            "sheet that describes samples goes beside it, as --samples (samples=)"
        )
    number, word = number[n_leading:], word[n_leading:]
    annotation = {i for i, name in enumerate(names) if name.strip().lower() in ANNOTATION}
    forced = {i for i, name in enumerate(names) if name in labels} | (annotation if len(annotation) >= 3 else set())
    text = {int(i) for i in np.flatnonzero(word.any(axis=0))} | forced
    has_ids = _names_rows(names, cells.slice(n_leading * len(names)).to_pylist()[:: len(names)], 0 in text, 0 in forced)
    ordered = sorted(text | {0}) if has_ids else sorted(text)
    return Layout(names, ordered, frozenset(forced), has_ids, n_leading)


def _names_rows(names: list[str], cells: list[str | None], is_text: bool, is_label: bool) -> bool:  # noqa: FBT001
    """Tell whether the first column holds names of the rows: text, or whole numbers that differ."""
    if is_label:
        return False
    if is_text or not names[0].strip():
        return True
    return numbers_name_rows(names, cells)


def numbers_name_rows(names: list[str], cells: Sequence[str | None]) -> bool:
    """Whether a first column of numbers names the rows: whole ones that differ, under a header that is no gene's."""
    if len(set(cells)) < len(cells) or not all(cell and cell.strip().isdigit() for cell in cells):
        return False
    if SAMPLE_CORNER.match(names[0]):
        return True
    like_the_others = re.sub(r"\d+", "0", names[0]) == re.sub(r"\d+", "0", names[-1])
    genes = [GENE.fullmatch(name) is not None and name.upper() not in _OF_IDS for name in names]
    return not like_the_others and not (genes[0] and sum(genes[1:]) > len(genes[1:]) / 2)


def _refuse_decimal_comma(cells: pa.StringArray, word: npt.NDArray[np.bool_], names: list[str], path: Path) -> None:
    comma = mask(pc.match_substring_regex(cells, DECIMAL_COMMA)).reshape(word.shape) & word
    if not comma.any() or comma.sum() < 0.5 * word[:, 1:].sum():
        return
    row, column = (int(i) for i in np.argwhere(comma)[0])
    raise ValueError(
        f"{path.name}: column {names[column]!r} has a decimal comma ({cells[row * len(names) + column].as_py()!r}); "
        "expected a decimal point: export again with English number format"
    )

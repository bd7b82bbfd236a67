"""The rows of a delimited table, collected block by block."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from oligolearn.data.cells import NUMBER, every, mask
from oligolearn.data.layout import Layout
from oligolearn.data.table import Table, some, text_column


class Rows:
    """The rows parsed so far."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self.values = np.empty((0, 0), np.float32)
        self.words: dict[int, list[str | None]] = {}
        self.leading: list[list[str | None]] = []

    def add(self, cells: pa.StringArray) -> None:
        """Append a block of cells, whole rows."""
        width = len(self.layout.names)
        while len(self.leading) < self.layout.n_leading and len(cells):
            self.leading.append(cells.slice(0, width).to_pylist())
            cells = cells.slice(width)
        n_new = len(cells) // width
        if n_new == 0:
            return
        for field in self.layout.text:
            self.words.setdefault(field, []).extend(every(cells, field, width).to_pylist())
        numbers = self._numbers(cells, n_new)
        n_old = len(self.values)
        if n_old == 0:
            self.values = np.empty((0, numbers.shape[1]), np.float32)
        # In place: growing by a copy would hold the matrix twice.
        self.values.resize((n_old + n_new, numbers.shape[1]), refcheck=False)
        self.values[n_old:] = numbers

    def _fields(self) -> list[int]:
        text = set(self.layout.text)
        return [i for i in range(len(self.layout.names)) if i not in text]

    def _numbers(self, cells: pa.StringArray, n_rows: int) -> npt.NDArray[np.float32]:
        """Convert the fields that are not text; one that turns out to be text moves there."""
        is_number = np.ones(len(self.layout.names), bool)
        is_number[self.layout.text] = False
        numeric = cells.take(pa.array(np.flatnonzero(np.tile(is_number, n_rows)), pa.int32()))
        try:
            flat = numeric.cast(pa.float32())
        except pa.ArrowInvalid:
            trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(numeric), "+")
            trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
            wrong = ~mask(pc.or_kleene(pc.match_substring_regex(trimmed, NUMBER), pc.is_null(trimmed)))
            if wrong.any():
                self._move_to_text(cells, wrong.reshape(n_rows, -1))
                return self._numbers(cells, n_rows)
            flat = trimmed.cast(pa.float32())
        return np.asarray(flat.to_numpy(zero_copy_only=False), np.float32).reshape(n_rows, -1)

    def _move_to_text(self, cells: pa.StringArray, wrong: npt.NDArray[np.bool_]) -> None:
        """Make text of fields that have had no number so far; any other with a word in it is an error."""
        fields, n_old = self._fields(), len(self.values)
        moving = np.flatnonzero(wrong.any(axis=0))
        columns = [every(cells, fields[i], len(self.layout.names)) for i in moving]
        mixed = [
            bool(
                mask(pc.match_substring_regex(column, NUMBER)).any()
                or (n_old and not np.isnan(self.values[:, i]).all())
            )
            for i, column in zip(moving, columns, strict=True)
        ]
        if any(mixed):
            wrong[:, moving[~np.array(mixed)]] = False
            self._refuse_words(cells, wrong, fields)
        for i, column in zip(moving, columns, strict=True):
            self.words[fields[i]] = [None] * n_old + column.to_pylist()
        if n_old:
            self.values = np.delete(self.values, moving, axis=1)
        # The field of row names, where there is one, stays the first: it comes first in the file as well.
        self.layout = self.layout._replace(text=sorted([*self.layout.text, *(fields[i] for i in moving)]))

    def _refuse_words(self, cells: pa.StringArray, wrong: npt.NDArray[np.bool_], fields: list[int]) -> None:
        width, n_old = len(self.layout.names), len(self.values)
        found = [
            (n_old + int(row), fields[column], cells[int(row) * width + fields[column]].as_py())
            for row, column in np.argwhere(wrong)[:3]
        ]
        self._refuse(found, int(wrong.sum()))

    def _refuse(self, found: list[tuple[int, int, str]], n_found: int) -> None:
        names = self._row_names()
        columns = self.layout.names
        cells = "; ".join(f"row {names[row]!r}, column {columns[field]!r}: {cell!r}" for row, field, cell in found)
        more = "" if n_found <= len(found) else f" and {n_found - len(found):,} more"
        raise ValueError(
            f"{self.path.name}: {n_found:,} cell(s) are not numbers ({cells}{more}); correct them, leave them empty "
            "if missing, or name the column as the label"
        )

    def _row_names(self) -> list[str]:
        if not self.layout.has_ids:
            return [str(i + 1) for i in range(max(map(len, self.words.values()), default=len(self.values)))]
        return [(name or "").strip() for name in self.words[self.layout.text[0]]]

    def _check_text(self) -> None:
        """Refuse a text column that also has numbers in it: either a gene with a wrong cell, or a label to be named."""
        for field in self.layout.text[self.layout.has_ids :]:
            if field in self.layout.forced:
                continue
            words = [(row, cell) for row, cell in enumerate(self.words[field]) if cell is not None]
            found = [(row, field, cell) for row, cell in words if not re.match(NUMBER, cell)]
            if len(found) < len(words):
                self._refuse(found[:3], len(found))

    def table(self) -> Table:
        """Assemble what was read."""
        fields = self._fields()
        if len(self.values) == 0 or not fields:
            raise ValueError(f"{self.path.name} has no numbers below its header; expected one cell per sample and gene")
        self._check_text()
        notes = []
        rows, columns = self._checked_row_names(), self._checked_columns(fields)
        if not self.layout.has_ids:
            notes.append("No column names the rows: they are called 1, 2, 3, ...")
        of_rows = [self.layout.names[i].strip() for i in self.layout.text[self.layout.has_ids :]]
        twice = [name for number, name in enumerate(of_rows) if name in of_rows[:number]]
        if twice:
            raise ValueError(f"{self.path.name}: column {some(twice)} appears twice in the header; rename one")
        described = {
            self.layout.names[i].strip(): text_column(self.words[i], numbers=i in self.layout.forced)
            for i in self.layout.text[self.layout.has_ids :]
        }
        leading = {str(line[0]).strip(): text_column([line[i] for i in fields]) for line in self.leading}
        if described:
            notes.append(f"Columns without numbers describe the rows: {some(list(described), 5)}.")
        if leading:
            notes.append(f"Rows without numbers describe the columns: {some(list(leading), 5)}.")
        return Table(
            self.values,
            rows,
            columns,
            pd.DataFrame(described, index=pd.RangeIndex(len(rows))),
            pd.DataFrame(leading, index=pd.RangeIndex(len(columns))),
            self.layout.names[0].strip() if self.layout.has_ids else "",
            notes,
            has_names=self.layout.has_ids,
        )

    def _checked_row_names(self) -> list[str]:
        rows = self._row_names()
        if "" in rows:
            raise ValueError(
                f"{self.path.name}: the first column names the rows but is empty in row {rows.index('') + 1} "
                "below the header; fill it in"
            )
        return rows

    def _checked_columns(self, fields: list[int]) -> list[str]:
        columns = [self.layout.names[i].strip() for i in fields]
        if "" in columns:
            raise ValueError(
                f"{self.path.name}: column {fields[columns.index('')] + 1} has no name in the header; name or remove it"
            )
        return columns

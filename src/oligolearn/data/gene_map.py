"""Tables that say which gene names of one kind stand for which of another: probes for symbols, symbols for Ensembl."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from oligolearn.data.cells import split_line
from oligolearn.data.identifiers import gene_key, naming_of, readings
from oligolearn.data.table import MISSING, some
from oligolearn.data.textfile import TextFile, decode

SEVERAL = "///"  # what Affymetrix writes between the genes of a probe
_NO_GENE = MISSING | {"---"}
_SHOWN = 4  # columns in a message


class Translated(NamedTuple):
    """Names in the words of the other side.

    Attributes
    ----------
    pairs
        A column of the data and a gene that it stands for, as `oligolearn.data.identifiers.gene_key` spells it.
    wanted
        The wanted genes, spelled alike.
    notes
        What was done, in sentences.
    """

    pairs: list[tuple[int, str]]
    wanted: list[str]
    notes: list[str]


class GeneMap:
    """Gene names of several kinds, a row for what belongs together.

    Parameters
    ----------
    name
        Of the file, for sentences.
    columns
        By header: for each row the names in its cell, none or several.

    Examples
    --------
    >>> from oligolearn.data import GeneMap
    >>> table = GeneMap("hgu133a.csv", {"probe": [["1007_s_at"], ["201746_at"]], "symbol": [["DDR1"], ["TP53"]]})
    >>> table.translate(["201746_at", "unknown_at"], ["TP53", "BRCA1"]).pairs
    [(0, 'TP53'), (1, 'unknown_at')]
    """

    def __init__(self, name: str, columns: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.name = name
        self.columns = {
            header: [[gene_key(one) for one in cell] for cell in cells] for header, cells in columns.items()
        }
        self._known = {header: {key for cell in cells for key in cell} for header, cells in self.columns.items()}

    def translate(self, names: Sequence[str], wanted: Sequence[str]) -> Translated | None:
        """What `names` are called where genes are named as in `wanted`; None if both are named alike.

        The column that holds most of the names is translated to the one that holds most of those wanted. A name that
        stands for several genes, in one row or in two, is left out. Where the names are of genes and those wanted of
        their probes or transcripts, of which a gene has several, it stands for all of them.

        Parameters
        ----------
        names, wanted
            Of genes.

        Raises
        ------
        ValueError
            If the names are of different kinds and no column holds those of one side, or two columns hold as many.
        """
        source, keys = self._column_of(names)
        goal, wanted_keys = self._column_of(wanted)
        own, other = naming_of(names), naming_of(wanted)
        if source is None or goal is None:
            if own.kind == other.kind:
                return None
            raise ValueError(
                f"{self.name}: none of its columns holds {own if source is None else other}; it has {self._shown()}; "
                f"give a table with these names and with {other if source is None else own}"
            )
        if source == goal:
            return None
        if other.is_part and not own.is_part:
            stands_for = _inverse(self._genes_of(goal, source))
            several: set[str] = set()
        else:
            stands_for = self._genes_of(source, goal)
            several = {key for key, genes in stands_for.items() if len(genes) > 1}
        pairs = [
            (column, gene)
            for column, key in enumerate(keys)
            if key and key not in several
            # a name that the table does not list may be one that both sides have
            for gene in (stands_for.get(key, ()) if key in self._known[source] else (key,))
        ]
        n_listed = sum(key in self._known[source] for key in keys)
        n_several = sum(key in several for key in keys)
        note = f"{self.name}, {source!r} to {goal!r}: {n_listed:,} of {len(names):,} names are in it"
        note += f", {n_several:,} of them stand for several genes and are left out." if n_several else "."
        return Translated(pairs, wanted_keys, [note])

    def _column_of(self, names: Sequence[str]) -> tuple[str | None, list[str]]:
        """The column that holds most of some names, None if none holds any, and the reading of the names in it."""
        counts = {
            (header, place): len(known.intersection(keys))
            for place, keys in enumerate(readings(names))
            for header, known in self._known.items()
        }
        most = max(counts.values())
        best = [one for one, count in counts.items() if count == most]
        header, place = best[0]
        if most == 0:
            return None, readings(names)[0]
        rivals = [other for other, _ in best if self.columns[other] != self.columns[header]]
        if rivals:
            raise ValueError(
                f"{self.name}: columns {header!r} and {rivals[0]!r} hold as many of the gene names, such as "
                f"{naming_of(names).example!r} ({most:,} each); leave one of them out of the table"
            )
        return header, readings(names)[place]

    def _genes_of(self, source: str, goal: str) -> dict[str, list[str]]:
        """For each name in one column, all that it stands for in another.

        A row with several in both columns, such as the symbols and the numbers of a probe of two genes, does not say
        which belongs to which: it is passed over.
        """
        found: dict[str, dict[str, None]] = {}
        for names, genes in zip(self.columns[source], self.columns[goal], strict=True):
            for name in names if len(names) == 1 or len(genes) < 2 else ():
                found.setdefault(name, {}).update(dict.fromkeys(genes))
        return {name: list(genes) for name, genes in found.items()}

    def _shown(self) -> str:
        shown = [
            f"{header!r} (such as {next((cell[0] for cell in cells if cell), 'nothing')})"
            for header, cells in list(self.columns.items())[:_SHOWN]
        ]
        more = len(self.columns) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


def _inverse(genes_of: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The parts of each gene, without those that belong to several genes."""
    parts: dict[str, list[str]] = {}
    for part, genes in genes_of.items():
        if len(genes) == 1:
            parts.setdefault(genes[0], []).append(part)
    return parts


def read_gene_map(path: str | os.PathLike[str]) -> GeneMap:
    """Read a table of gene names: CSV, TSV or TXT, gzipped or not, with a header and two columns or more.

    Comments (``#``) above the header, as in the annotation files of Affymetrix and GEO, are passed over. Cells such as
    ``DDR1 /// MIR4640`` name several genes; empty cells, ``NA`` and ``---`` none.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is no text, has one column, ragged rows (which line) or no rows, or names a column twice.
    """
    with TextFile(Path(path)) as text:
        name = text.path.name
        header, separator = _header(text)
        headers = [one.strip() for one in split_line(header, separator)]
        if len(headers) < 2:
            raise ValueError(
                f"{name}: a gene map needs two columns or more, separated by tabs, commas or semicolons; found the "
                f"header {header[:60]!r}"
            )
        repeated = [one for i, one in enumerate(headers) if one in headers[:i]]
        if repeated:
            raise ValueError(f"{name}: column {some(repeated)} appears twice in the header; rename one")
        columns: dict[str, list[list[str]]] = {one: [] for one in headers}
        for first, lines in text.batches():
            for number, line in enumerate(lines, first):
                if not line.strip(separator + b' "'):
                    continue
                cells = split_line(decode(line, text.path, number), separator)
                if len(cells) != len(headers):
                    raise ValueError(
                        f"{name}, line {number}: {len(cells)} fields where the header has {len(headers)}; every row "
                        "needs one cell per column"
                    )
                for one, cell in zip(headers, cells, strict=True):
                    columns[one].append(_names_in(cell))
    if not any(map(any, columns.values())):
        raise ValueError(f"{name} maps no genes: expected a header and below it a row for each gene")
    return GeneMap(name, columns)


def _header(text: TextFile) -> tuple[str, bytes]:
    """The first line that is no comment, and what separates its fields.

    The last line that begins with ``#`` is the header if it has as many fields as the line below it.
    """
    comment, line = "", text.text_line()
    while line is not None and (not line.strip() or line.startswith("#")):
        comment, line = line, text.text_line()
    if line is None:
        raise ValueError(f"{text.path.name} maps no genes: expected a header and below it a row for each gene")
    separator = max(("\t", ",", ";"), key=line.count).encode()
    if line.count(separator.decode()) and comment.count(separator.decode()) == line.count(separator.decode()):
        text.put_back(line.encode())
        line = comment.lstrip("#")
    return line, separator


def _names_in(cell: str) -> list[str]:
    names = dict.fromkeys(one.strip() for one in cell.split(SEVERAL))
    return [one for one in names if one not in _NO_GENE]

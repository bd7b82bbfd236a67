"""Which columns of a file measure which of the genes that are wanted, whatever either side calls them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.gene_map import GeneMap, Translated
from oligolearn.data.genes import COLUMN_RULES, merge_duplicate_genes
from oligolearn.data.identifiers import (
    Naming,
    best_readings,
    describe_naming,
    gene_key,
    may_differ_in_capitals,
    naming_of,
)
from oligolearn.data.table import some

PROBES = ("auto", *COLUMN_RULES)


@dataclass(frozen=True)
class Translation:
    """How gene names of one file become those of another.

    Attributes
    ----------
    gene_map
        From `read_gene_map`; None where names alone suffice.
    probes
        What stands for a gene that several columns measure: ``"max-mean"``, the column with the highest mean;
        ``"max-variance"``, the one that varies most; ``"mean"``, their mean; ``"auto"``, see `column_rule`.
    """

    gene_map: GeneMap | None = None
    probes: str = "auto"

    def column_rule(self, units: str) -> str:
        """The rule for a file to learn from, by its rows and not by labels.

        Of the simple rules the highest mean made studies agree best (Miller 2011, BMC Bioinformatics 12:322). Log
        ratios and z-scores, `units` ``"centred"``, have no level to compare: there it is the largest variance.

        Raises
        ------
        ValueError
            If there is no such rule.
        """
        if self.probes not in PROBES:
            raise ValueError(f"probes must be one of {', '.join(PROBES)}, found {self.probes!r} (--probes)")
        if self.probes != "auto":
            return self.probes
        return "max-variance" if units == "centred" else "max-mean"


class GeneMatch(NamedTuple):
    """Columns of a file and the genes that they measure.

    Attributes
    ----------
    columns, places
        Pairs, ``(n_pairs,)``: a column of the file, and the wanted gene that it measures. A gene may have several.
    n_wanted
        Number of genes wanted.
    n_genes
        Number of different genes that the file measures, as far as known.
    notes
        How they were found, in sentences; none if all names are the same.
    advice
        What to try where too few were found.
    """

    columns: NDArray[np.intp]
    places: NDArray[np.intp]
    n_wanted: int
    n_genes: int
    notes: list[str]
    advice: str

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which of the wanted genes are there, ``(n_wanted,)``."""
        return np.isin(np.arange(self.n_wanted), self.places)


class Gathered(NamedTuple):
    """Values of the wanted genes.

    Attributes
    ----------
    X
        ``(n_samples, n_wanted)``, NaN where a gene is absent.
    columns, places
        Pairs of a column that was used and the gene that it stands for.
    notes
        What was done where several columns measure a gene, in sentences.
    """

    X: NDArray[np.float32]
    columns: NDArray[np.intp]
    places: NDArray[np.intp]
    notes: list[str]


def match_genes(
    names: Sequence[str],
    wanted: Sequence[str],
    *,
    known: Mapping[str, Sequence[str]] | None = None,
    gene_map: GeneMap | None = None,
) -> GeneMatch:
    """Find the genes that are wanted among the names of a file.

    In this order, and what one step finds the next leaves alone: names that are `known` to measure a gene; names that
    are the same, after translation where there is a map; the same but for versions of Ensembl and RefSeq and blanks;
    and symbols that are the same but for capitals, where that fits one name on either side and one species.

    Parameters
    ----------
    names
        Of the file, each once.
    wanted
        Of the genes, each once.
    known
        For a wanted gene, the names of the columns that are known to measure it.
    gene_map
        Which names stand for which.

    Raises
    ------
    ValueError
        If a gene is named twice, or the map does not fit.

    Examples
    --------
    >>> from oligolearn.data import match_genes
    >>> match = match_genes(["ENSG00000012048.25", "ENSG00000141510.18"], ["ENSG00000141510.11"])
    >>> match.columns.tolist(), match.places.tolist()
    ([1], [0])
    """
    index = pd.Index(names)
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        raise ValueError(f"{len(twice)} genes are named more than once: {some(twice)}; merge or rename them")
    search = _Search(len(wanted))
    search.look_up_known(names, wanted, known or {})
    translated = None
    if gene_map and not search.found.all() and index.isin(wanted).sum() < len(wanted):
        translated = gene_map.translate(names, wanted)
    if translated is None:
        search.look_up(enumerate(names), [(gene, place) for place, gene in enumerate(wanted)])
        keys, wanted_keys = best_readings(names, wanted)
        pairs = [(column, key) for column, key in enumerate(keys) if key]
    else:
        pairs, wanted_keys = translated.pairs, translated.wanted
    n_same = search.n_found
    n_ambiguous = search.look_up(pairs, [(key, place) for place, key in enumerate(wanted_keys) if key])
    n_by_key = search.n_found - n_same
    n_by_capitals = search.ignore_capitals(pairs, wanted_keys)
    own, other = naming_of(names), naming_of(wanted)
    notes = []
    if (own.kind, own.detail) != (other.kind, other.detail):
        notes.append(f"Genes are named by {own}, and by {other} where they are looked for.")
    if translated:
        notes += translated.notes
    elif n_by_key:
        notes.append(f"{n_by_key:,} genes were found by their names without versions, blanks or other parts.")
    if n_by_capitals:
        notes.append(f"{n_by_capitals:,} genes were found although capitals differ.")
    if n_ambiguous:
        notes.append(f"{n_ambiguous:,} names fit several of the genes and are left out.")
    columns, places = search.pairs()
    n_genes = len({key for _, key in pairs})
    return GeneMatch(columns, places, len(wanted), n_genes, notes, _advice(own, other, translated))


class _Search:
    """Pairs of columns and wanted genes, found in steps of which none touches what an earlier one found."""

    def __init__(self, n_wanted: int) -> None:
        self.found = np.zeros(n_wanted, dtype=bool)
        self._pairs: list[tuple[int, int]] = []

    @property
    def n_found(self) -> int:
        return int(self.found.sum())

    def look_up(
        self, columns: Iterable[tuple[int, str]], wanted: Iterable[tuple[str, int]], *, several: bool = False
    ) -> int:
        """Pair columns and genes with the same text.

        Returns
        -------
        How many columns fit several genes; they are left out, unless they may stand for `several`.
        """
        places: dict[str, list[int]] = {}
        for text, place in wanted:
            places.setdefault(text, []).append(place)
        used = {column for column, _ in self._pairs}
        new, n_ambiguous = [], 0
        for column, text in columns:
            if column in used or text not in places:
                continue
            if len(places[text]) > 1 and not several:
                n_ambiguous += 1
            else:
                new += [(column, place) for place in places[text] if not self.found[place]]
        self._pairs += new
        self.found[[place for _, place in new]] = True
        return n_ambiguous

    def look_up_known(self, names: Sequence[str], wanted: Sequence[str], known: Mapping[str, Sequence[str]]) -> None:
        """Pair columns with the genes that they are known to measure, by name and then without versions."""
        place_of = {gene: place for place, gene in enumerate(wanted)}
        listed = [(name, place_of[gene]) for gene, each in known.items() if gene in place_of for name in each]
        self.look_up(enumerate(names), listed, several=True)
        keys = ((column, gene_key(name)) for column, name in enumerate(names))
        self.look_up(keys, [(gene_key(name), place) for name, place in listed], several=True)

    def ignore_capitals(self, columns: Sequence[tuple[int, str]], wanted: Sequence[str]) -> int:
        """Pair what is the same but for capitals, where one spelling on either side is; return how many genes it found.

        All spellings count, also those that were found: a file with ``TP53`` and ``tp53`` means two things by them.
        """
        before = self.n_found
        if not may_differ_in_capitals([text for _, text in columns], wanted):
            return 0
        mine = _only_spelling(text for _, text in columns)
        theirs = _only_spelling(wanted)
        self.look_up(
            ((column, text.lower()) for column, text in columns if text.lower() in mine),
            [(text.lower(), place) for place, text in enumerate(wanted) if text.lower() in theirs],
        )
        return self.n_found - before

    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns and places, in the order of the columns."""
        both = np.array(sorted(self._pairs), dtype=np.intp).reshape(-1, 2)
        return both[:, 0], both[:, 1]


def _only_spelling(texts: Iterable[str]) -> set[str]:
    spellings: dict[str, set[str]] = {}
    for text in texts:
        spellings.setdefault(text.lower(), set()).add(text)
    return {lower for lower, each in spellings.items() if lower and len(each) == 1}


def _advice(own: Naming, other: Naming, translated: Translated | None) -> str:
    """What to try where too few genes were found."""
    if translated:
        return f"{describe_naming(own, other)}; {' '.join(translated.notes).rstrip('.')}: check that it is their table"
    if own.kind == other.kind:
        return "check the gene identifiers"
    return f"{describe_naming(own, other)}: give a table that says which stands for which (--gene-map FILE)"


def gather_genes(X: NDArray[np.float32], match: GeneMatch, wanted: Sequence[str], rule: str) -> Gathered:
    """Values of the wanted genes, one column each.

    Parameters
    ----------
    X
        ``(n_samples, n_columns)``, of the file; on a log scale where `rule` is to mean the same for all genes.
    match
        From `match_genes`.
    wanted
        The genes.
    rule
        For genes that several columns measure: ``"mean"``, ``"max-mean"`` or ``"max-variance"``.
    """
    # in the order of the genes, not of the file: the same numbers whatever the order of its columns
    order = np.argsort(match.places, kind="stable")
    columns, places = match.columns[order], match.places[order]
    genes = [wanted[place] for place in places]
    merged, kept, note = merge_duplicate_genes(X[:, columns], genes, rule)
    gathered = np.full((len(X), match.n_wanted), np.nan, dtype=np.float32)
    gathered[:, places[kept]] = merged
    used = slice(None) if rule == "mean" else kept
    return Gathered(gathered, columns[used], places[used], [note] if note else [])


def measured_by(names: Sequence[str], gathered: Gathered, wanted: Sequence[str]) -> dict[str, list[str]]:
    """For each gene that the file calls otherwise, the names of the columns that stand for it: `known` of other files.

    Parameters
    ----------
    names
        Of the columns of the file.
    gathered
        What was taken of it.
    wanted
        The genes.
    """
    found: dict[str, list[str]] = {}
    for column, place in zip(gathered.columns, gathered.places, strict=True):
        if gene_key(names[column]).lower() != gene_key(wanted[place]).lower():
            found.setdefault(wanted[place], []).append(names[column])
    return found

"""Kinds of gene names, and what two spellings of the same identifier have in common."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

EXAMINED = 2000  # names of a file: the kind of most is clear from them
JOINT = "|"  # between the parts of names such as TP53|7157

# "ENSG00000141510.18", "ENSG00000002586.20_PAR_Y", "NM_000546.6", "ENSG00000141510_at" of a custom chip definition
_ACCESSION = re.compile(r"(ENS[A-Z]{0,6}[GTP]\d{6,}|[NX][MR]_\d+)(?:\.\d+)?(_PAR_Y)?(?:_at)?", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)(?:\.0)?")  # "7157.0" is what a column of numbers with gaps is written as
_RODENT = re.compile(r"[A-Z][a-z]+\d*[a-z]*\d*|\d+[A-Z]\d+Rik")
# The first that fits a name is its kind. Those of `_PARTS` are pieces of genes, of which a gene has several.
_KINDS = (
    ("names joined by '|'", re.compile(r"[^|]+(\|[^|]*)+")),
    ("RefSeq transcripts", re.compile(r"[NX][MR]_\d+(\.\d+)?", re.IGNORECASE)),
    ("Affymetrix probes", re.compile(r"\S+_[as]t", re.IGNORECASE)),
    ("Illumina probes", re.compile(r"ILMN_\d+", re.IGNORECASE)),
    ("Agilent probes", re.compile(r"A_\d+_P\d+", re.IGNORECASE)),
    ("miRNAs", re.compile(r"[a-z]{3,4}-(mir|let|lin|bantam)\S*", re.IGNORECASE)),
    ("whole numbers, as Entrez has", _NUMBER),
    ("anonymous names", re.compile(r"(gene|probe|feature|[gvx])[ _.-]?\d+", re.IGNORECASE)),
)
_PARTS = {"RefSeq transcripts", "Ensembl transcripts", "Affymetrix probes", "Illumina probes", "Agilent probes"}
_ENSEMBL = {"G": "Ensembl genes", "T": "Ensembl transcripts", "P": "Ensembl proteins"}
_HUMAN = "ENS"
SYMBOLS, RODENT_SYMBOLS, JOINED = "symbols", "symbols spelled as those of mouse and rat", _KINDS[0][0]


class Naming(NamedTuple):
    """How most of some genes are named.

    Attributes
    ----------
    kind
        In words, such as ``"symbols"`` or ``"Affymetrix probes"``; Ensembl of other species with its prefix.
    detail
        What does not matter for matching, such as versions, in words; mostly "".
    example
        The first name of that kind.
    """

    kind: str
    detail: str
    example: str

    @property
    def is_part(self) -> bool:
        """Whether a gene has several such names, as it has probes or transcripts."""
        return self.kind.partition(" (")[0] in _PARTS

    def __str__(self) -> str:
        return f"{self.kind}{self.detail} (such as {self.example!r})"


def naming_of(names: Sequence[str]) -> Naming:
    """The kind of most names, by those that are spread over all of them.

    Parameters
    ----------
    names
        Of the genes, at least one.

    Examples
    --------
    >>> from oligolearn.data.identifiers import naming_of
    >>> print(naming_of(["ENSG00000141510.18", "ENSG00000012048.25", "spike-in"]))
    Ensembl genes with versions (such as 'ENSG00000141510.18')
    >>> naming_of(["1007_s_at", "1053_at", "AFFX-BioB-5_at"]).kind
    'Affymetrix probes'
    >>> [naming_of([name]).kind for name in ("TP53", "Trp53", "7157", "TP53|7157", "ENSMUSG00000059552")]
    ['symbols', 'symbols spelled as those of mouse and rat', 'whole numbers, as Entrez has', "names joined by '|'", \
'Ensembl genes (ENSMUS)']
    """
    places = np.unique(np.linspace(0, len(names) - 1, EXAMINED).astype(int))
    examined = [names[place].strip() for place in places]
    kinds = [_kind(name) for name in examined]
    kind = Counter(kinds).most_common(1)[0][0]
    alike = [name for name, found in zip(examined, kinds, strict=True) if found == kind]
    versions = "Ensembl" in kind and sum("." in name for name in alike) > len(alike) / 2
    return Naming(kind, " with versions" if versions else "", alike[0])


def _kind(name: str) -> str:
    accession = _ACCESSION.fullmatch(name)
    if accession and accession[1].upper().startswith("ENS"):
        letters = accession[1].upper().rstrip("0123456789")
        species = "" if letters[:-1] == _HUMAN else f" ({letters[:-1]})"
        return _ENSEMBL[letters[-1]] + species
    for kind, pattern in _KINDS:
        if pattern.fullmatch(name):
            return kind
    return RODENT_SYMBOLS if _RODENT.fullmatch(name) else SYMBOLS


def gene_key(name: str) -> str:
    """What all spellings of an identifier share: no blanks around it, no version, no ``.0`` after a number.

    The copies of genes on the Y chromosome that GENCODE calls ``_PAR_Y`` stay apart from those on X. Symbols keep
    their capitals: ``hsa-mir-21`` and ``hsa-miR-21`` are different things.

    Examples
    --------
    >>> from oligolearn.data.identifiers import gene_key
    >>> [gene_key(name) for name in ("ENSG00000002586.20", "ENSG00000002586.20_PAR_Y", " TP53", "7157.0")]
    ['ENSG00000002586', 'ENSG00000002586_PAR_Y', 'TP53', '7157']
    """
    name = name.strip()
    accession = _ACCESSION.fullmatch(name)
    if accession:
        return f"{accession[1]}{accession[2] or ''}".upper()
    number = _NUMBER.fullmatch(name)
    return number[1] if number else name


def readings(names: Sequence[str]) -> list[list[str]]:
    """The keys of names as they stand; for names such as ``TP53|7157`` also those of each of their parts.

    Returns
    -------
    Lists as long as `names`; "" where a name has no such part, or ``?`` in its place.
    """
    whole = [gene_key(name) for name in names]
    if naming_of(names).kind != JOINED:
        return [whole]
    parts = [name.split(JOINT) for name in names]
    each = [
        ["" if place >= len(part) or part[place].strip() == "?" else gene_key(part[place]) for part in parts]
        for place in range(max(map(len, parts)))
    ]
    return [whole, *each]


def best_readings(names: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The readings of two lists of names that have most in common; as they stand where others gain nothing."""
    pairs = [(one, other) for one in readings(names) for other in readings(wanted)]
    return max(pairs, key=lambda pair: len((set(pair[0]) & set(pair[1])) - {""}))


def may_differ_in_capitals(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether names that differ in capitals alone can mean the same gene: symbols of one species, as far as is seen.

    ``Actb`` is not ``ACTB``: where most symbols of one side are spelled as those of mouse and rat and of the other are
    not, two species are meant.
    """
    if not names or not wanted:
        return False
    kinds = {naming_of(names).kind, naming_of(wanted).kind}
    return len(kinds) == 1 and kinds <= {SYMBOLS, RODENT_SYMBOLS}


def describe_naming(names: Naming, wanted: Naming) -> str:
    """How two sides name genes, for a sentence."""
    return f"one side names genes by {names}, the other by {wanted}"

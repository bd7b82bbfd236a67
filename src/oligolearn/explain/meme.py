"""Motifs in the minimal MEME format, read and written."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oligolearn.explain.motif import Motif
from oligolearn.writing import write_text

_NAMED_ALPHABETS = {"DNA": "ACGT", "RNA": "ACGU", "PROTEIN": "ACDEFGHIKLMNPQRSTVWY"}
_OFF_ONE = 0.02  # by which probabilities of a place may miss 1: databases round them


def read_meme(path: str | os.PathLike[str]) -> list[Motif]:
    """Read a file of motifs, such as JASPAR, HOCOMOCO or the MEME suite give.

    Returns
    -------
    list of Motif
        In the file's order; `name` and `other_name` are the two words after MOTIF.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no MEME file, is cut off, or a matrix is not one of probabilities: which line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; give a database of motifs in MEME format")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not text; give a database of motifs in MEME format, unzipped") from None
    if not any(line.startswith("MEME version") for line in lines):
        raise ValueError(f"{path.name} is not in MEME format: no line begins with 'MEME version'")
    letters = _letters(lines, path.name)
    motifs = list(_motifs(lines, letters, path.name))
    if not motifs:
        raise ValueError(f"{path.name} has no motifs: no line begins with 'MOTIF'")
    return motifs


def _letters(lines: list[str], name: str) -> str:
    """Letters of the file's alphabet, in order."""
    for line in lines:
        if line.startswith("ALPHABET"):
            said = line.removeprefix("ALPHABET").lstrip("= ").strip()
            said = said.split('"')[1] if said.count('"') > 1 else said  # ALPHABET "DNA" DNA-LIKE, as DREME has it
            letters = _NAMED_ALPHABETS.get(said.upper(), said)
            if letters not in _NAMED_ALPHABETS.values():
                known = ", ".join(_NAMED_ALPHABETS.values())
                raise ValueError(f"{name} has the alphabet {said!r}; one of {known} can be read")
            return letters
    return _NAMED_ALPHABETS["DNA"]


def _motifs(lines: list[str], letters: str, file: str) -> Iterator[Motif]:
    """Yield motifs; `number` counts lines from 1 for errors."""
    names: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.startswith("MOTIF"):
            if names:
                raise ValueError(f"{file}, line {number}: motif {names[0]!r} has no letter-probability matrix")
            names = line.split()[1:3]
            if not names:
                raise ValueError(f"{file}, line {number}: MOTIF needs a name")
        elif line.startswith("letter-probability matrix") and names:
            width = _said(line, "w")
            rows = [one.split() for one in takewhile(_could_be_row, lines[number:])]
            rows = [row for row in rows if row][:width]
            width = len(rows) if width is None else width
            where = f"{file}, line {number}: the matrix of motif {names[0]!r}"
            yield Motif(
                names[0], letters, _matrix(rows, width, len(letters), where), _said(line, "nsites") or 0
            )._replace(other_name="".join(names[1:]))
            names = []
    if names:
        raise ValueError(f"{file} is cut off: motif {names[0]!r} has no letter-probability matrix")


def _said(line: str, name: str) -> int | None:
    """Whole number after ``name=``."""
    found = re.search(rf"\b{name}=\s*(\d+)", line)
    return None if found is None else int(found[1])


def _could_be_row(line: str) -> bool:
    return _is_numbers(line.split())


def _is_numbers(words: list[str]) -> bool:
    return all(re.fullmatch(r"[\d.eE+-]+", word) for word in words)


def _matrix(rows: list[list[str]], width: int, n_letters: int, where: str) -> NDArray[np.float64]:
    """Check and normalise the probabilities of a motif."""
    good = [row for row in rows if len(row) == n_letters and _is_numbers(row)]
    if not width or len(good) != width:
        raise ValueError(f"{where} needs {width or 'some'} rows of {n_letters} numbers, found {len(good)}")
    try:
        matrix = np.array(good, dtype=np.float64)
    except ValueError:
        raise ValueError(f"{where} holds what is no number") from None
    total = matrix.sum(axis=1)
    if (matrix < 0).any() or (np.abs(total - 1) > _OFF_ONE).any():
        raise ValueError(f"{where} is not one of probabilities: a row sums to {total[np.abs(total - 1).argmax()]:.3g}")
    probabilities: NDArray[np.float64] = matrix / total[:, None]
    return probabilities


def write_meme(path: str | os.PathLike[str], motifs: Sequence[Motif]) -> None:
    """Write motifs of one alphabet in the minimal MEME format, whole or not at all.

    Raises
    ------
    ValueError
        If there is none, or their letters differ or are not an alphabet of the format (gaps are not).
    """
    write_text(path, meme_text(motifs))


def meme_text(motifs: Sequence[Motif]) -> str:
    """Motifs as text in the minimal MEME format; see `write_meme`.

    Examples
    --------
    >>> print(meme_text([Motif("box", "ACGT", np.array([[0.1, 0.7, 0.1, 0.1]]), 12)]))
    MEME version 4
    <BLANKLINE>
    ALPHABET= ACGT
    <BLANKLINE>
    strands: + -
    <BLANKLINE>
    Background letter frequencies
    A 0.25 C 0.25 G 0.25 T 0.25
    <BLANKLINE>
    MOTIF box
    letter-probability matrix: alength= 4 w= 1 nsites= 12 E= 0
    0.100000 0.700000 0.100000 0.100000
    <BLANKLINE>
    """
    alphabets = {motif.letters for motif in motifs}
    if len(alphabets) != 1 or not alphabets <= set(_NAMED_ALPHABETS.values()):
        known = ", ".join(_NAMED_ALPHABETS.values())
        raise ValueError(f"a MEME file holds motifs of one alphabet, {known}; found {', '.join(alphabets) or 'none'}")
    letters = alphabets.pop()
    background = " ".join(f"{letter} {1 / len(letters):g}" for letter in letters)
    strands = ["strands: + -", ""] if letters == "ACGT" else []
    head = ["MEME version 4", "", f"ALPHABET= {letters}", "", *strands, "Background letter frequencies", background, ""]
    return "\n".join([*head, *(line for motif in motifs for line in _written(motif))])


def _written(motif: Motif) -> list[str]:
    width = len(motif.probabilities)
    title = f"letter-probability matrix: alength= {len(motif.letters)} w= {width} nsites= {motif.n_sites} E= 0"
    rows = [" ".join(f"{p:.6f}" for p in row) for row in motif.probabilities]
    return [f"MOTIF {motif.name} {motif.other_name}".strip(), title, *rows, ""]

"""What an encoder of sequences reads in place of one-hot letters: vectors of k-mers, learned with it or before."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oligolearn.data import Alphabet, Sequences
from oligolearn.nn import EmbeddedKmers

NAMES = ("one-hot", "kmer")


@dataclass(frozen=True, eq=False)
class KmerEmbedding:
    """Vectors of k-mers that an encoder of sequences reads in place of one-hot letters.

    Parameters
    ----------
    k, dim
        Letters of a k-mer, and numbers that stand for it.
    vectors
        Those to begin with, ``(n_letters ** k, dim)``, k-mers in the order of the alphabet; None draws them.
    frozen
        Whether they stay as they are while the network learns.

    Examples
    --------
    >>> KmerEmbedding(2, 3, vectors=np.eye(16, 3)).frozen
    False
    """

    k: int = 3
    dim: int = 50
    vectors: NDArray[np.floating] | None = None
    frozen: bool = False

    def layer(self, shares: Tensor) -> EmbeddedKmers:
        """Make the input layer of an encoder of letters with these shares."""
        weight = None if self.vectors is None else torch.from_numpy(np.asarray(self.vectors, np.float32))
        return EmbeddedKmers(shares, self.k, self.dim, weight=weight, frozen=self.frozen)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the vectors are with the weights of the network."""
        return {"k": self.k, "dim": self.dim, "frozen": self.frozen}

    def check_lengths(self, sequences: Sequences) -> None:
        """Refuse sequences without any k-mer.

        Raises
        ------
        ValueError
            If one has fewer than k letters.
        """
        shortest = int(sequences.lengths.argmin())
        n_letters = int(sequences.lengths[shortest])
        if n_letters < self.k:
            raise ValueError(
                f"sequence {sequences.ids[shortest]!r} has {n_letters} letters, but the embedding reads k-mers of "
                f"{self.k}; remove it, or choose a smaller k"
            )


EmbeddingChoice: TypeAlias = str | os.PathLike[str] | KmerEmbedding


def chosen_embedding(given: EmbeddingChoice, alphabet: Alphabet, *, freeze: bool = False) -> KmerEmbedding | None:
    """Give what is to be read in place of one-hot letters; None for the letters themselves.

    Parameters
    ----------
    given
        ``"one-hot"``, ``"kmer"``, a `KmerEmbedding`, a fitted one of another kind, or the folder of a saved one.
    alphabet
        Of the sequences.
    freeze
        Whether the vectors stay as they are.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is none of these, or is of another alphabet.
    """
    if isinstance(given, str) and given == "one-hot":
        if freeze:
            raise ValueError("freeze_embedding keeps vectors of k-mers as they are, but one-hot letters have none")
        return None
    embedding = KmerEmbedding() if isinstance(given, str) and given == "kmer" else _given(given)
    if freeze and embedding.vectors is None:
        raise ValueError("freeze_embedding keeps vectors of k-mers as they are, but these are drawn; give some")
    if embedding.vectors is not None:
        n_letters = len(alphabet.letters)
        if len(embedding.vectors) != n_letters**embedding.k:
            kind = f"{alphabet.name}, which has {n_letters} letters{' with the gap' if alphabet.has_gap else ''}"
            raise ValueError(
                f"the embedding has {len(embedding.vectors):,} vectors of {embedding.k}-mers, but there are "
                f"{n_letters**embedding.k:,} in {kind}; give one of the same alphabet"
            )
    return replace(embedding, frozen=freeze or embedding.frozen)


def named_embedding(name: str, k: int | None) -> EmbeddingChoice:
    """What a name and a length of k-mers mean together.

    Raises
    ------
    ValueError
        If there is nothing that the length could be of.

    Examples
    --------
    >>> named_embedding("one-hot", None), named_embedding("kmer", 4).k
    ('one-hot', 4)
    """
    if k is None:
        return name
    if name == "one-hot":
        raise ValueError("--k is the length of k-mers: it needs --embedding kmer, or the folder of an embedding")
    return KmerEmbedding(k) if name == "kmer" else _given(name, k)


def _given(given: EmbeddingChoice, k: int | None = None) -> KmerEmbedding:
    if isinstance(given, KmerEmbedding):
        return given
    if isinstance(given, str) and not Path(given).exists():
        raise ValueError(f"unknown embedding {given!r}; choose {', '.join(NAMES)}, or the folder of a saved embedding")
    raise ValueError(f"embedding must be one of {', '.join(NAMES)}, a KmerEmbedding, or a folder, found {given!r}")

"""What an encoder of sequences reads in place of one-hot letters: vectors of k-mers, learned with it or before."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from oligolearn.data import Alphabet, Sequences
from oligolearn.nn import EmbeddedKmers
from oligolearn.saving import load_bundle

NAMES = ("one-hot", "kmer")
VECTORS = "kmer-embedding"  # kind of a bundle


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


EmbeddingChoice: TypeAlias = str | os.PathLike[str] | KmerEmbedding | BaseEstimator


def chosen_embedding(given: EmbeddingChoice, alphabet: Alphabet, *, freeze: bool = False) -> KmerEmbedding | None:
    """Give what is to be read in place of one-hot letters; None for the letters themselves.

    Parameters
    ----------
    given
        ``"one-hot"``, ``"kmer"``, a `KmerEmbedding`, a fitted `KmerWord2Vec`, or the folder of a saved one.
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


def named_embedding(name: str, k: int | None, dim: int | None = None) -> EmbeddingChoice:
    """What a name, a length of k-mers and a size of their vectors mean together.

    Raises
    ------
    ValueError
        If there is nothing that the length could be of.

    Examples
    --------
    >>> named_embedding("one-hot", None), named_embedding("kmer", 4).k
    ('one-hot', 4)
    """
    if k is None and dim is None:
        return name
    if name == "one-hot":
        raise ValueError("--k and --dim are of k-mers: they need --embedding kmer, or the folder of an embedding")
    if name == "kmer":
        return KmerEmbedding(k or KmerEmbedding.k, dim or KmerEmbedding.dim)
    if dim is not None:
        raise ValueError("--dim is of vectors that a network learns; those of a folder have a size of their own")
    return _given(name, k)


def _given(given: EmbeddingChoice, k: int | None = None) -> KmerEmbedding:
    if isinstance(given, KmerEmbedding):
        return given
    if isinstance(given, FrozenEstimator):
        given = given.estimator
    if isinstance(given, BaseEstimator):
        if not hasattr(given, "vectors_"):
            raise ValueError(
                "the embedding is not fitted; fit it first (in cross-validation, wrap it in FrozenEstimator)"
            )
        return embedding_of(given.vectors_, k)
    if isinstance(given, str) and not Path(given).exists():
        raise ValueError(f"unknown embedding {given!r}; choose {', '.join(NAMES)}, or the folder of a saved embedding")
    if not isinstance(given, str | os.PathLike):
        raise ValueError(f"embedding must be {', '.join(NAMES)}, a KmerEmbedding or a folder, found {given!r}")
    bundle = load_bundle(given)
    kind = bundle.description.get("kind")
    if kind != VECTORS:
        raise ValueError(
            f"{given} holds a model of kind {kind!r}, not vectors of k-mers; give the folder of an embedding, or "
            "an encoder as the pretrained one"
        )
    return embedding_of({n: bundle.weights[f"vectors.{n}"].numpy() for n in bundle.description["k"]}, k)


def embedding_of(vectors: Mapping[int, NDArray[np.float32]], k: int | None = None) -> KmerEmbedding:
    """Give vectors of k-mers of one length, divided by their root mean square: numbers of the size a network expects.

    Parameters
    ----------
    vectors
        For each length of k-mers, ``(4 ** k, dim)``; zero for one that is not known.
    k
        Which; None where there is one only.

    Raises
    ------
    ValueError
        If there are none of that length, or of several and none is named.

    Examples
    --------
    >>> embedding_of({1: np.array([[2, 2], [0, 0], [-2, -2], [2, -2]], np.float32)}).vectors.tolist()
    [[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0], [1.0, -1.0]]
    """
    known = ", ".join(map(str, vectors))
    if k is None and len(vectors) > 1:
        raise ValueError(f"there are vectors of k-mers of {known} letters; say which with k")
    k = next(iter(vectors)) if k is None else k
    if k not in vectors:
        raise ValueError(f"there are vectors of k-mers of {known} letters, not of {k}; choose one of these")
    table = vectors[k]
    there = table.any(axis=1)
    size = np.sqrt(np.mean(table[there] ** 2)) if there.any() else np.float32(1)
    return KmerEmbedding(k, table.shape[1], table / size)

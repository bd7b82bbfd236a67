"""k-mers of sequences: words of k letters A, C, G, T, counted in genomes and in many short sequences."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oligolearn.kmers.letters import check_k, codes_of, kmers, n_canonical, reverse_complements
from oligolearn.kmers.word2vec import KmerSentences, LearnedVectors, Word2VecSettings, learn_vectors
from oligolearn.kmers.words import Words

if TYPE_CHECKING:
    from oligolearn.kmers.counting import Counter, Counts, count_files, count_strings

__all__ = [
    "Counter",
    "Counts",
    "KmerSentences",
    "LearnedVectors",
    "Word2VecSettings",
    "Words",
    "check_k",
    "codes_of",
    "count_files",
    "count_strings",
    "kmers",
    "learn_vectors",
    "n_canonical",
    "reverse_complements",
]


def __getattr__(name: str) -> Any:
    """Import what counts on first use: it needs numba, which is an extra and takes time to import."""
    if name in {"Counter", "Counts", "count_files", "count_strings"}:
        return getattr(import_module("oligolearn.kmers.counting"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Sequences to k-mer profiles, as a scikit-learn transformer."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from oligolearn.data import Sequences
from oligolearn.estimators.sequence_input import sequence_tags
from oligolearn.kmers.words import MOST_DENSE, Words
from oligolearn.kmers.workers import Workers

KINDS = ("counts", "presence")
SCALINGS = (None, "tf-idf", "hellinger")
OUTPUTS = ("auto", "dense", "csr")


class KmerProfile(TransformerMixin, BaseEstimator):
    """Count the k-mers of each sequence; windows with a letter other than A, C, G, T are skipped.

    Parameters
    ----------
    k
        Length of the k-mers, 1 to 31.
    canonical
        Count a k-mer and its reverse complement as the one that comes first in the alphabet.
    mismatches
        A window counts for every k-mer that differs from it in at most so many letters.
    informative
        Gapped k-mers: a window of k letters counts for every choice of so many of them, the others being gaps, written
        ``-``. None for none.
    kind
        ``"counts"``, or ``"presence"``: 1 for whatever occurs.
    scaling
        ``"tf-idf"``: counts times ``ln((1 + n) / (1 + n_with)) + 1``, where n_with of the n training sequences have the
        word, then rows of length 1. ``"hellinger"``: square roots of each word's share of its row, whose Euclidean
        distances are Hellinger distances times the square root of 2. None for none.
    output
        ``"dense"``, ``"csr"``, or ``"auto"``: dense where there are at most 65,536 words, as for k = 8.
    vocabulary
        Words to count, the columns in this order. Default: all words where there are at most 65,536, else those that
        occur in the training sequences, without mismatch; sorted.
    min_sequences
        Words that occur in fewer training sequences are left out, unless `vocabulary` is given. 1 leaves all.
    threads
        Default: one for each processor. The result does not depend on it.

    Attributes
    ----------
    vocabulary_
        ``(n_words,)``, the words of the columns.
    idf_
        ``(n_words,)``, weights of tf-idf, only with that scaling.

    Notes
    -----
    The vocabulary and the weights come from the rows that `fit` sees. Sources: C. Leslie et al., "Mismatch string
    kernels for discriminative protein classification", Bioinformatics 20, 2004; M. Ghandi et al., "Enhanced regulatory
    sequence prediction using gapped k-mer features", PLoS Computational Biology 10, 2014. Differs from the papers:
    these are the kernels' features, not the kernels; with `canonical`, a feature counts on both strands.

    Examples
    --------
    >>> from oligolearn.estimators import KmerProfile
    >>> profile = KmerProfile(k=2, canonical=True).fit(["ACGT", "AAAA"])
    >>> profile.get_feature_names_out().tolist()
    ['AA', 'AC', 'AG', 'AT', 'CA', 'CC', 'CG', 'GA', 'GC', 'TA']
    >>> profile.transform(["AANAC"])
    array([[1., 1., 0., 0., 0., 0., 0., 0., 0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        k: int = 6,
        *,
        canonical: bool = False,
        mismatches: int = 0,
        informative: int | None = None,
        kind: str = "counts",
        scaling: str | None = None,
        output: str = "auto",
        vocabulary: Sequence[str] | None = None,
        min_sequences: int = 1,
        threads: int | None = None,
    ) -> None:
        self.k = k
        self.canonical = canonical
        self.mismatches = mismatches
        self.informative = informative
        self.kind = kind
        self.scaling = scaling
        self.output = output
        self.vocabulary = vocabulary
        self.min_sequences = min_sequences
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the vocabulary and the weights.

        Parameters
        ----------
        X
            ``(n_sequences,)`` strings, or `oligolearn.data.Sequences`.
        y
            Ignored.

        Raises
        ------
        ValueError
            A setting is out of range, there is nothing to count, or a sequence is protein or has what is no letter of
            DNA or RNA (U is read as T).
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """`fit` and `transform` in one pass over the sequences."""
        return self._scaled(self._fit(X))

    def transform(self, X: Any) -> Any:
        """Profiles, ``(n_sequences, n_words)``, of 32-bit floats."""
        check_is_fitted(self)
        sequences = checked_sequences(X)
        return self._scaled(self._table(self._rows(sequences, self._counted), len(sequences)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The words of the columns."""
        check_is_fitted(self)
        return self.vocabulary_.astype(object)

    def __sklearn_tags__(self) -> Any:
        return sequence_tags(super().__sklearn_tags__())

    def _fit(self, X: Any) -> Any:
        """Fit, and give the unscaled profiles of the training sequences."""
        words = self._words()
        if self.min_sequences < 1:
            raise ValueError(f"min_sequences must be at least 1, found {self.min_sequences}")
        for name, allowed in (("kind", KINDS), ("scaling", SCALINGS), ("output", OUTPUTS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, found {getattr(self, name)!r}")
        sequences = checked_sequences(X)
        rows = self._rows(sequences, words)
        self._keys = self._find_vocabulary(words, rows)
        self._counted = words
        table = self._table(rows, len(sequences))
        n_with = np.asarray((table > 0).sum(axis=0)).ravel()
        if self.vocabulary is None and self.min_sequences > 1:
            kept = n_with >= self.min_sequences
            self._keys, n_with, table = self._keys[kept], n_with[kept], table[:, kept]
        if not len(self._keys):
            raise ValueError(
                f"no word to count: {self.min_sequences} or more of the {len(sequences)} sequences must share {self.k} "
                "letters A, C, G, T in a row; choose a smaller k"
            )
        self.vocabulary_ = words.names(self._keys)
        if self.scaling == "tf-idf":
            self.idf_ = np.log((1 + len(sequences)) / (1 + n_with)) + 1
        return table

    def _find_vocabulary(self, words: Words, rows: Any) -> NDArray[np.uint64]:
        if self.vocabulary is not None:
            keys = words.keys(self.vocabulary)
            if len(np.unique(keys)) < len(keys):
                raise ValueError(f"vocabulary has {len(keys) - len(np.unique(keys))} words twice: give each once")
            return keys
        if words.n_words <= MOST_DENSE:
            return words.all_keys()
        from oligolearn.kmers.profiles import occurring

        return occurring(rows, words)

    def _words(self) -> Words:
        for name in ("k", "mismatches", "informative", "min_sequences"):
            value = getattr(self, name)
            if not (value is None and name == "informative") and (
                not isinstance(value, Integral) or isinstance(value, bool)
            ):
                raise ValueError(f"{name} must be a whole number, found {value!r}")
        return Words(self.k, self.canonical, self.mismatches, self.informative)

    def _rows(self, sequences: list[str], words: Words) -> Any:
        from oligolearn.kmers.profiles import count_sequences

        return count_sequences(sequences, words, Workers(self.threads))

    def _table(self, rows: Any, n_rows: int) -> Any:
        from oligolearn.kmers.profiles import table

        words = self._counted  # those of `fit`, also where settings have changed since
        counts = table(rows, n_rows, words, self._keys, Workers(self.threads))
        dense = self.output == "dense" or (self.output == "auto" and words.n_words <= MOST_DENSE)
        return counts.toarray() if dense else counts

    def _scaled(self, table: Any) -> Any:
        if self.kind == "presence":
            table = (table > 0).astype(np.float32)
        if self.scaling == "tf-idf":
            return normalize(_times(table, self.idf_), copy=False)
        if self.scaling == "hellinger":
            return np.sqrt(normalize(table, norm="l1"))
        return table


def checked_sequences(X: Any) -> list[str]:
    """Return sequences as a list of strings.

    Raises
    ------
    TypeError
        There is something else among them.
    ValueError
        They are not in one dimension, or there are none.
    """
    if isinstance(X, Sequences):
        if X.alphabet.complement is None:
            raise ValueError("k-mers are of A, C, G and T, found protein; give DNA or RNA")
        return X.texts()
    if isinstance(X, str | bytes):
        raise TypeError("expected a list of sequences, found one string: put it in a list")
    if np.ndim(X) != 1 and not isinstance(X, list | tuple):
        raise ValueError(f"expected sequences in one dimension, found {np.ndim(X)}: give one column")
    sequences = list(X)
    for row, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise TypeError(f"expected a sequence as a string in row {row}, found {sequence!r}")
    if not sequences:
        raise ValueError("expected at least one sequence, found none")
    return sequences


def _times(table: Any, weights: NDArray[np.float64]) -> Any:
    """Columns times weights, of an array or a CSR matrix."""
    weights = weights.astype(np.float32)
    return table.multiply(weights).tocsr() if hasattr(table, "tocsr") else table * weights

"""Vectors of k-mers, learned from genomes without labels, as an estimator."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from oligolearn.estimators.sequence_embedding import VECTORS, KmerEmbedding, embedding_of
from oligolearn.estimators.sequence_input import as_sequences, sequence_tags
from oligolearn.kmers.word2vec import Tell, Word2VecSettings, WordState, learn_vectors
from oligolearn.saving import Bundle
from oligolearn.training import read_state, write_state


@dataclass(frozen=True)
class _InFile:
    """Keeps the state of a training in a file.

    Attributes
    ----------
    path
        The file.
    settings
        What decides the training, but for the text.
    """

    path: Path
    settings: Word2VecSettings

    def read(self) -> WordState | None:
        """Give the last state; a file of a training with other settings is refused."""
        if not self.path.exists():
            return None
        tensors, facts = read_state(self.path, asdict(self.settings))
        try:
            arrays = {name: tensors[name].numpy() for name in ("vectors", "hidden", "random")}
            return WordState(**arrays, losses=facts["losses"], vocabulary=facts["vocabulary"])
        except KeyError as error:
            raise ValueError(
                f"the checkpoint {self.path} is damaged ({error} is missing); remove it to start again"
            ) from None

    def keep(self, state: WordState) -> None:
        """Write a state in place of the one before."""
        tensors = {name: torch.from_numpy(getattr(state, name)) for name in ("vectors", "hidden", "random")}
        facts = {"identity": asdict(self.settings), "losses": state.losses, "vocabulary": state.vocabulary}
        write_state(self.path, tensors, facts)


def _lengths(k: Any) -> tuple[int, int]:
    """Shortest and longest word, of one length or two."""
    given = (k, k) if isinstance(k, Integral) else k
    if not (isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(one, Integral) for one in given)):
        raise ValueError(f"k is a whole number, or the shortest and the longest as in (3, 8), found {k!r}")
    return int(given[0]), int(given[1])


class KmerWord2Vec(BaseEstimator):
    """Vectors of k-mers by word2vec: k-mers that stand in like places get like vectors.

    Parameters
    ----------
    k
        Length of the k-mers, 1 to 8; or the shortest and longest, and the length of each is drawn.
    dim
        Numbers of a vector.
    architecture
        ``"cbow"``: a k-mer from the mean of those around it; ``"skip-gram"``: those around it from the k-mer.
    window
        k-mers on either side, at most; each time fewer are drawn, as word2vec does.
    epochs, min_count, negative, learning_rate
        Passes over the sequences; fewest occurrences of a k-mer that gets a vector; noise words for each; rate at the
        start.
    reverse_complement
        Share of the fragments that are read as the other strand.
    random_state
        Seed of every draw.
    checkpoint
        File, ``.safetensors``, that keeps the state after each epoch: a training that was killed goes on from it, and
        ends with the digits of one that was not. It is left when training is over.

    Attributes
    ----------
    vectors_ : dict of int to ndarray
        For each k, ``(4 ** k, dim)``, k-mers in the order of the alphabet; zero where one was too rare.
    counts_ : dict of int to ndarray
        For each k, ``(4 ** k,)``: how often each k-mer occurred.
    losses_ : list of float
        Mean loss of a word in each epoch, of those that gensim does not pass over because they are so frequent (its
        ``sample=0.001``).

    Notes
    -----
    Sources: T. Mikolov et al., arXiv:1301.3781 and 1310.4546 (word2vec, here gensim's); deepRAM (Trabelsi 2019,
    doi:10.1093/bioinformatics/btz339) has continuous bags of 3-mers with 50 numbers and a window of 12, the defaults
    here; dna2vec (Ng 2017, arXiv:1701.06279) has skip-gram, k drawn from 3 to 8, 100 numbers and a window of 10.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("ACGT"), 200)) for _ in range(20)]
    >>> model = KmerWord2Vec(k=2, dim=8, epochs=1, random_state=0).fit(X)
    >>> model.vectors_[2].shape, int(model.counts_[2].sum())
    ((16, 8), 3980)
    """

    def __init__(
        self,
        k: int | tuple[int, int] = 3,
        *,
        dim: int = 50,
        architecture: str = "cbow",
        window: int = 12,
        epochs: int = 5,
        min_count: int = 5,
        negative: int = 5,
        learning_rate: float = 0.025,
        reverse_complement: float = 0.5,
        random_state: int | np.random.RandomState | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        self.k = k
        self.dim = dim
        self.architecture = architecture
        self.window = window
        self.epochs = epochs
        self.min_count = min_count
        self.negative = negative
        self.learning_rate = learning_rate
        self.reverse_complement = reverse_complement
        self.random_state = random_state
        self.checkpoint = checkpoint

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn from sequences in memory, texts or `Sequences` of DNA or RNA; `y` is ignored.

        Raises
        ------
        TypeError, ValueError
            If they are protein, a setting is out of its range, or no k-mer occurs often enough.
        """
        sequences = as_sequences(X)
        if sequences.alphabet.complement is None:
            raise ValueError("word2vec reads k-mers of A, C, G and T, found protein; give DNA or RNA")
        return self._learn([text.replace("U", "T") for text in sequences.texts()], None)

    def fit_files(self, paths: Sequence[Path], tell: Tell | None = None) -> Self:
        """Learn from FASTA or FASTQ files of DNA, gzipped or not, which are read anew for each epoch.

        Parameters
        ----------
        paths
            Files.
        tell
            Is told of ``(passes done, all passes, what is done)``.

        Raises
        ------
        FileNotFoundError, ValueError
            If one cannot be read or is no DNA, a setting is out of its range, or no k-mer occurs often enough.
        """
        from oligolearn.kmers.files import refuse_again

        files = [Path(path) for path in paths]
        refuse_again(files)
        pipe = next((path for path in files if path.exists() and not path.is_file() and not path.is_dir()), None)
        if pipe is not None:
            raise ValueError(f"{pipe} is no regular file: it is read anew in each epoch; write what it gives to a file")
        return self._learn(files, tell)

    def _learn(self, source: Sequence[Any], tell: Tell | None) -> Self:
        settings = Word2VecSettings(
            k=_lengths(self.k),
            dim=self.dim,
            architecture=self.architecture,
            window=self.window,
            epochs=self.epochs,
            min_count=self.min_count,
            negative=self.negative,
            learning_rate=self.learning_rate,
            reverse_complement=self.reverse_complement,
            seed=int(check_random_state(self.random_state).randint(2**31)),
        )
        keeper = None if self.checkpoint is None else _InFile(Path(self.checkpoint), settings)
        self.vectors_, self.counts_, self.losses_ = learn_vectors(source, settings, tell, keeper)
        self.training_: dict[str, Any] = {**asdict(settings), "k": list(settings.k), "losses": self.losses_}
        return self

    def embedding(self, k: int | None = None) -> KmerEmbedding:
        """Give the vectors of k-mers of one length as what an encoder reads.

        They are divided by their root mean square, so that a network sees numbers of the size it is made for.

        Raises
        ------
        ValueError
            If there are none of that length, or of several and none is named.

        Examples
        --------
        >>> KmerWord2Vec(k=2, dim=4, min_count=1, random_state=0).fit(["ACGTTGCA"]).embedding().vectors.shape
        (16, 4)
        """
        check_is_fitted(self, "vectors_")
        return embedding_of(self.vectors_, k)

    def to_bundle(self) -> Bundle:
        """Describe the vectors for saving."""
        check_is_fitted(self, "vectors_")
        description = {"kind": VECTORS, "alphabet": "dna", "k": list(self.vectors_), "training": self.training_}
        tables = {f"vectors.{k}": torch.from_numpy(table) for k, table in self.vectors_.items()}
        counts = {f"counts.{k}": torch.from_numpy(table) for k, table in self.counts_.items()}
        return Bundle(description, tables | counts)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild what `to_bundle` described."""
        training = bundle.description["training"]
        names = ("dim", "architecture", "window", "epochs", "min_count", "negative", "learning_rate")
        low, high = training["k"]
        model = cls(low if low == high else (low, high), **{name: training[name] for name in names})
        model.reverse_complement, model.random_state = training["reverse_complement"], training["seed"]
        lengths = bundle.description["k"]
        model.vectors_ = {k: bundle.weights[f"vectors.{k}"].numpy() for k in lengths}
        model.counts_ = {k: bundle.weights[f"counts.{k}"].numpy() for k in lengths}
        model.losses_, model.training_ = training["losses"], training
        return model

    def __sklearn_tags__(self) -> Any:
        return sequence_tags(super().__sklearn_tags__())

"""Vectors of k-mers by word2vec: genomes as text whose words are k-mers, read from files as training goes."""

import hashlib
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers.letters import kmers

Tell = Callable[[float, float, str], None]  # work done, all work, what is done
ARCHITECTURES = ("cbow", "skip-gram")
LONGEST_WORD = 8  # 65,536 vectors
_SHORTEST_FRAGMENT, _LONGEST_FRAGMENT = 2_500, 5_000  # gensim reads at most 10,000 words of a sentence


@dataclass(frozen=True)
class Word2VecSettings:
    """How vectors of k-mers are learned.

    Attributes
    ----------
    k
        Shortest and longest k-mers; where they differ, the length of each is drawn.
    dim
        Numbers of a vector.
    architecture
        ``"cbow"``: a k-mer from the mean of those around it; ``"skip-gram"``: those around it from the k-mer.
    window
        k-mers on either side, at most.
    epochs, min_count, negative, learning_rate
        Passes over the text; fewest occurrences of a k-mer that gets a vector; noise words drawn for each; rate at
        the start.
    reverse_complement
        Share of the fragments that are read as the other strand.
    seed
        Of every random draw.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    k: tuple[int, int] = (3, 3)
    dim: int = 50
    architecture: str = "cbow"
    window: int = 12
    epochs: int = 5
    min_count: int = 5
    negative: int = 5
    learning_rate: float = 0.025
    reverse_complement: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.k
        if not 1 <= low <= high <= LONGEST_WORD:
            raise ValueError(f"word2vec takes k-mers of 1 to {LONGEST_WORD} letters, found k from {low} to {high}")
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {self.architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
        for name in ("dim", "window", "epochs", "min_count", "negative"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, found {self.learning_rate}")
        if not 0 <= self.reverse_complement <= 1:
            raise ValueError(f"reverse_complement is a share, 0 to 1, found {self.reverse_complement}")


class LearnedVectors(NamedTuple):
    """What word2vec learned.

    Attributes
    ----------
    vectors
        For each k, ``(4 ** k, dim)``, k-mers in the order of the alphabet; zero where one was too rare.
    counts
        For each k, ``(4 ** k,)``: how often each k-mer occurred when the vocabulary was made.
    losses
        Mean loss of a word in each epoch, of those that are not passed over because they are so frequent.
    """

    vectors: dict[int, NDArray[np.float32]]
    counts: dict[int, NDArray[np.int64]]
    losses: list[float]


class WordState(NamedTuple):
    """Where a training stands after an epoch: all that gensim needs to go on.

    Attributes
    ----------
    vectors, hidden
        Of each word of the vocabulary, ``(n_words, dim)``: what is learned, and the weights of the output layer.
    random
        State of the generator of windows and noise words: 624 numbers and a place among them.
    losses
        Of the epochs that are done.
    vocabulary
        Digest of the words with their counts, which the text decides.
    """

    vectors: NDArray[np.float32]
    hidden: NDArray[np.float32]
    random: NDArray[np.int64]
    losses: list[float]
    vocabulary: str


class StateKeeper(Protocol):
    """Keeps the state of a training that may be killed."""

    def read(self) -> WordState | None:
        """The last state that was kept; None where there is none."""

    def keep(self, state: WordState) -> None:
        """Keep a state in place of the one before."""


class KmerSentences:
    """Sentences of k-mers, read anew at each pass: files are in memory half a MiB at a time.

    Runs of A, C, G and T are cut into fragments of 2,500 to 5,000 letters, the same ones at every pass; each is turned
    into its reverse complement with some probability, and becomes one sentence: its overlapping k-mers, each of a
    length that is drawn (dna2vec, Ng 2017, arXiv:1701.06279). What is drawn differs between passes.

    Parameters
    ----------
    source
        FASTA or FASTQ files, gzipped or not; or texts.
    settings
        Which k-mers, how often the other strand, and the seed.
    tell
        Is told of ``(passes done, all passes, what is done)``.

    Examples
    --------
    >>> sentences = KmerSentences(["ACGTNNTTT"], Word2VecSettings(k=(3, 3), reverse_complement=0))
    >>> list(sentences)
    [['ACG', 'CGT'], ['TTT']]
    """

    def __init__(
        self, source: Sequence[Path] | Sequence[str], settings: Word2VecSettings, tell: Tell | None = None
    ) -> None:
        self.source, self.settings, self.tell = source, settings, tell
        self.n_passes = 0
        low, high = settings.k
        codes = {k: np.arange(4**k, dtype=np.uint64) for k in range(low, high + 1)}
        self._texts = np.concatenate([kmers(codes[k], k).astype(object) for k in codes])
        sizes = [0, *(4**k for k in codes)]
        self._begins = np.cumsum(sizes)[:-1]

    def __iter__(self) -> Iterator[list[str]]:
        draws = np.random.default_rng([self.settings.seed, self.n_passes])
        cuts = np.random.default_rng([self.settings.seed])
        self.n_passes += 1
        for run in self._runs():
            start = 0
            while start < len(run):
                end = start + int(cuts.integers(_SHORTEST_FRAGMENT, _LONGEST_FRAGMENT + 1))
                words = self._words(run[start:end], draws)
                if words:
                    yield words
                start = end

    def _words(self, letters: NDArray[np.uint8], draws: np.random.Generator) -> list[str]:
        low, high = self.settings.k
        n_words = len(letters) - high + 1
        if draws.random() < self.settings.reverse_complement:
            letters = 3 - letters[::-1]
        if n_words < 1:
            return []
        codes = np.zeros(n_words, np.int64)
        for place in range(high):
            codes = codes << 2 | letters[place : place + n_words]
        lengths = draws.integers(low, high + 1, n_words) if low < high else np.full(n_words, high)
        words: list[str] = self._texts[self._begins[lengths - low] + (codes >> 2 * (high - lengths))].tolist()
        return words

    def _runs(self) -> Iterator[NDArray[np.uint8]]:
        """Yield runs of A, C, G, T as numbers 0 to 3; a long one in parts that overlap by one letter less than k."""
        from oligolearn.kmers.streaming import Packer, check_letters, pack_file, pack_strings

        high = self.settings.k[1]
        texts = [one for one in self.source if isinstance(one, str)]
        if texts:
            packer, packed = pack_strings(texts, high)
            check_letters(packer, "the text")
            yield from _letters_of(packed)
        files = [one for one in self.source if isinstance(one, Path)]
        sizes = [file.stat().st_size if file.is_file() else 0 for file in files]
        for number, file in enumerate(files):
            for packed in pack_file(file, Packer(high), self._teller(sum(sizes[:number]), sum(sizes))):
                yield from _letters_of(packed)

    def _teller(self, before: int, total: int) -> Callable[[int], None] | None:
        tell, n_before = self.tell, self.n_passes - 1
        if tell is None:
            return None
        n_all = self.settings.epochs + 1
        what = "counting k-mers" if n_before == 0 else f"epoch {n_before} of {self.settings.epochs}"
        return lambda n_bytes: tell(n_before + (before + n_bytes) / total, n_all, what)


def _letters_of(packed: Any) -> Iterator[NDArray[np.uint8]]:
    letters = (packed.bases[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3).ravel()
    for start, end in pairwise(packed.starts.tolist()):
        yield letters[start:end]


def learn_vectors(
    source: Sequence[Path] | Sequence[str],
    settings: Word2VecSettings,
    tell: Tell | None = None,
    keeper: StateKeeper | None = None,
) -> LearnedVectors:
    """Learn vectors of k-mers with gensim's word2vec (Mikolov 2013, arXiv:1301.3781, 1310.4546).

    The same seed gives the same digits: one worker reads in order, and no hash of the interpreter's is used. So does a
    training that was killed and goes on from what `keeper` has; it counts words anew and skips the epochs that are
    done.

    Parameters
    ----------
    source, tell
        As in `KmerSentences`.
    settings
        How.
    keeper
        Is given the state after each epoch.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file cannot be read or is no DNA, no k-mer occurs often enough, or the text is not that of the state.
    ModuleNotFoundError
        If gensim is not installed.
    """
    try:
        from gensim.models import Word2Vec
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "word2vec needs gensim, which is not installed: pip install 'oligolearn[sequences]'"
        ) from None
    model = Word2Vec(
        vector_size=settings.dim,
        window=settings.window,
        min_count=settings.min_count,
        sg=int(settings.architecture == "skip-gram"),
        negative=settings.negative,
        alpha=settings.learning_rate,
        seed=settings.seed,
        workers=1,
        hashfxn=_hash,
    )
    sentences = KmerSentences(source, settings, tell)
    model.build_vocab(sentences)  # reads everything in this thread, so that a bad file is an error here
    if not model.wv.key_to_index:
        low, high = settings.k
        words = f"{high}-mer" if low == high else f"k-mer of {low} to {high} letters"
        raise ValueError(
            f"no {words} occurs {settings.min_count} times among letters A, C, G, T; give longer sequences, a smaller "
            "k or a smaller min_count"
        )

    losses: list[float] = []
    vocabulary, state = _vocabulary(model), None if keeper is None else keeper.read()
    if state is not None:
        if state.vocabulary != vocabulary:
            raise ValueError(
                "the files have other k-mers than when the training began; remove its checkpoint to begin anew"
            )
        losses = _put_back(model, state)
        sentences.n_passes += len(losses)
    while len(losses) < settings.epochs:
        losses.append(_one_epoch(model, sentences, settings, len(losses)))
        if keeper is not None:
            keeper.keep(_state(model, losses, vocabulary))
    return LearnedVectors(*_tables(model.wv, settings), losses)


def _one_epoch(model: Any, sentences: KmerSentences, settings: Word2VecSettings, done: int) -> float:
    """Train for the epoch after `done` others, whose rates lie on the line that falls over all; give the mean loss."""
    last = model.min_alpha
    start, end = (
        settings.learning_rate + (last - settings.learning_rate) * epoch / settings.epochs for epoch in (done, done + 1)
    )
    with _summed_losses(model) as told:
        model.train(
            sentences, total_examples=model.corpus_count, epochs=1, start_alpha=start, end_alpha=end, compute_loss=True
        )
    model.min_alpha = last  # gensim takes the end of one call for that of the next
    loss = told.total / max(1, told.n_words)
    if not math.isfinite(loss):
        raise ValueError(f"the loss became {loss}; a smaller learning rate may help")
    return loss


@dataclass
class _Told:
    """Losses of an epoch, and the words that they are of."""

    total: float = 0.0
    n_words: int = 0


@contextmanager
def _summed_losses(model: Any) -> Iterator[_Told]:
    """Sum the losses of batches in double precision: gensim's own sum has 32 bits, and stops growing at 2**24."""
    train, told = model._do_train_job, _Told()

    def train_batch(*given: Any) -> Any:
        n_words, n_all = train(*given)
        told.total += float(model.running_training_loss)
        told.n_words += n_words
        model.running_training_loss = 0.0
        return n_words, n_all

    model._do_train_job, model.running_training_loss = train_batch, 0.0
    try:
        yield told
    finally:
        del model._do_train_job


def _vocabulary(model: Any) -> str:
    words = [f"{word} {model.wv.get_vecattr(word, 'count')}" for word in model.wv.index_to_key]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _state(model: Any, losses: list[float], vocabulary: str) -> WordState:
    _, key, place, *_ = model.random.get_state(legacy=True)
    random = np.append(key.astype(np.int64), place)
    return WordState(model.wv.vectors.copy(), model.syn1neg.copy(), random, list(losses), vocabulary)


def _put_back(model: Any, state: WordState) -> list[float]:
    """Set a model that knows its vocabulary to a state; give the losses of the epochs that are done."""
    model.wv.vectors[:], model.syn1neg[:] = state.vectors, state.hidden
    model.random.set_state(("MT19937", state.random[:-1].astype(np.uint32), int(state.random[-1])))
    return list(state.losses)


def _hash(text: str) -> int:
    """Hash that is the same in every process: Python's own is salted."""
    return zlib.crc32(text.encode())


def _tables(
    learned: Any, settings: Word2VecSettings
) -> tuple[dict[int, NDArray[np.float32]], dict[int, NDArray[np.int64]]]:
    vectors, counts = {}, {}
    for k in range(settings.k[0], settings.k[1] + 1):
        words = kmers(np.arange(4**k, dtype=np.uint64), k).tolist()
        known = [code for code, word in enumerate(words) if word in learned.key_to_index]
        places = [learned.key_to_index[words[code]] for code in known]
        vectors[k] = np.zeros((4**k, settings.dim), np.float32)
        counts[k] = np.zeros(4**k, np.int64)
        vectors[k][known] = learned.vectors[places]
        counts[k][known] = [learned.get_vecattr(words[code], "count") for code in known]
    return vectors, counts

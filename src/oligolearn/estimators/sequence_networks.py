"""Networks over sequences: how they are built, trained and applied."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.data import Alphabet, PaddingRule, Sequences
from oligolearn.data.alphabets import find_alphabet
from oligolearn.estimators.building import OnEpoch, describe_encoder, resolve, seeded
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.nn import SEQUENCE_ENCODERS, BothStrands, Classifier, Encoder, transfer
from oligolearn.training import History, Runtime, Schedule, exact_copy, fit, n_batches

_OWN_KMERS = ("kmer-bag", "kmer-recurrent")
_LETTERS_AT_ONCE = 2**17  # of a batch in prediction


@dataclass(frozen=True)
class Recipe:
    """How an encoder is built, and how sequences become its input.

    Attributes
    ----------
    encoder, options
        Name in `oligolearn.nn.SEQUENCE_ENCODERS` or a factory, and its settings.
    alphabet
        Of the sequences.
    rule
        Padding and truncation; its length is the longest that the encoder meets.
    both_strands
        Whether it reads the reverse complement as well.
    embedding
        Of k-mers, in place of one-hot letters.
    n_columns
        Of the alignment that it is made for; None for sequences that are not aligned.
    fixed_length
        Whether every batch is padded to the length of the rule: where places mean the same in all sequences.
    """

    encoder: str | Callable[..., Encoder]
    options: Mapping[str, Any]
    alphabet: Alphabet
    rule: PaddingRule
    both_strands: bool = False
    embedding: KmerEmbedding | None = None
    n_columns: int | None = None
    fixed_length: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed_length", self.options.get("pooling") == "positions")
        if self.both_strands and self.alphabet.complement is None:
            raise ValueError("protein has one strand; pass both_strands=False")
        twice = {"k", "embedding"} & set(self.options) if self.encoder in _OWN_KMERS else set()
        if self.embedding is not None and twice:
            raise ValueError(
                f"encoder_options {', '.join(sorted(twice))} are of the k-mers that {self.encoder} has of its own, and "
                "`embedding` takes their place; give one of them"
            )

    def build(self) -> Encoder:
        """Make the encoder, its weights drawn from torch's generator."""
        options = dict(self.options)
        if self.fixed_length:
            options["length"] = self.rule.length
        shares = torch.from_numpy(self.alphabet.shares)
        first = shares if self.embedding is None else self.embedding.layer(shares)
        make = resolve("encoder", self.encoder, SEQUENCE_ENCODERS)
        if isinstance(self.encoder, str):
            known = [name for name in inspect.signature(make).parameters if name != "shares"]
            unknown = [name for name in options if name not in known]
            if unknown:
                raise ValueError(f"{self.encoder} has no option {unknown[0]!r}; its options are {', '.join(known)}")
        encoder = make(first, **options)
        if not self.both_strands:
            return encoder
        return BothStrands(encoder, torch.from_numpy(self.alphabet.complement))

    def codes(self, sequences: Sequences, rows: NDArray[np.integer]) -> Tensor:
        """Input of a batch, ``(n_rows, width)``."""
        rule = self.rule
        if not self.fixed_length and rule.length is not None:
            rule = rule._replace(length=min(rule.length, int(sequences.lengths[rows].max())))
        return torch.from_numpy(sequences.padded(rows, rule))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; an encoder that is a factory is refused."""
        return {
            **describe_encoder(self.encoder, self.options),
            "both_strands": self.both_strands,
            "embedding": None if self.embedding is None else self.embedding.to_dict(),
            "alphabet": self.alphabet.name,
            "gap": self.alphabet.has_gap,
            "padding": self.rule._asdict(),
            "n_columns": self.n_columns,
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> "Recipe":
        """Read what `to_dict` wrote."""
        alphabet = find_alphabet(known["alphabet"])
        alphabet = alphabet.with_gap() if known["gap"] else alphabet
        rule = PaddingRule(**known["padding"])
        read = known.get("embedding")  # bundles of before there were any have none
        embedding = None if read is None else KmerEmbedding(read["k"], read["dim"], frozen=read["frozen"])
        columns = known.get("n_columns", rule.length if known["gap"] else None)  # bundles of before it was kept
        return cls(known["name"], known["options"], alphabet, rule, known["both_strands"], embedding, columns)


def columns_of(sequences: Sequences) -> int | None:
    """Columns of an alignment; None for sequences that are none."""
    return int(sequences.lengths[0]) if sequences.alphabet.has_gap else None


def describe_recipes(recipes: Sequence[Recipe]) -> dict[str, Any]:
    """What `recipes_of` reads: of each network, the first once more by itself."""
    described = [one.to_dict() for one in recipes]
    return {"architecture": described[0], "architectures": described}


def recipes_of(description: Mapping[str, Any]) -> list[Recipe]:
    """Recipe of each network of a bundle; networks built alike share one."""
    first, n = description["architecture"], description["training"]["members"]
    read = description.get("architectures", [first] * n)  # bundles of before networks could differ have one
    made: dict[str, Recipe] = {}
    texts = [json.dumps(one, sort_keys=True) for one in read]
    return [made.setdefault(text, Recipe.from_dict(one)) for text, one in zip(texts, read, strict=True)]


class Task(NamedTuple):
    """What is learned.

    Attributes
    ----------
    sequences
        Those with a label.
    target
        ``(n_sequences,)``: class numbers, or standardised numbers. ``(n_sequences, n_labels)``: several labels at once.
    n_out
        Outputs of the network.
    loss
        Network and row numbers of the training -> module whose ``forward((x, y))`` is the loss.
    pool
        Outputs of several networks, ``(n_networks, n_sequences, n_out)`` -> outputs whose prediction is the mean of
        theirs, ``(n_sequences, n_out)``.
    """

    sequences: Sequences
    target: NDArray[Any]
    n_out: int
    loss: Callable[[nn.Module, NDArray[np.integer]], nn.Module]
    pool: Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Learning:
    """How a network is trained.

    Attributes
    ----------
    epochs, batch_size, learning_rate, weight_decay, min_steps, patience
        As in `SequenceClassifier`.
    dropout
        Of the embedding, before the output layer.
    device, precision
        Where, and of what products.
    on_epoch
        Called with ``(epochs done, all epochs, mean loss)``.
    """

    epochs: int
    batch_size: int | None
    learning_rate: float
    weight_decay: float
    dropout: float
    min_steps: int
    patience: int
    device: torch.device
    precision: str
    on_epoch: OnEpoch | None

    def schedule(self, n_rows: int) -> Schedule:
        """Steps for so many rows."""
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 (min_steps alone) or more, found {self.epochs}")
        size = suited_batch_size(n_rows) if self.batch_size is None else int(self.batch_size)
        steps = max(self.epochs * n_batches(n_rows, size), self.min_steps)
        return Schedule(steps, size, self.learning_rate, self.weight_decay, patience=self.patience)


def suited_batch_size(n_rows: int) -> int:
    """64 rows, and more where there are many: 128 from 8,000 and 256 from 16,000 on.

    Examples
    --------
    >>> suited_batch_size(3_000), suited_batch_size(10_000), suited_batch_size(100_000)
    (64, 128, 256)
    """
    return 64 if n_rows < 8_000 else 128 if n_rows < 16_000 else 256


class Trained(NamedTuple):
    """A network in evaluation mode, and the loss of each epoch."""

    network: Classifier
    history: History


def train_network(
    task: Task,
    recipe: Recipe,
    learning: Learning,
    rows: tuple[NDArray[np.integer], NDArray[np.integer]],
    seed: int,
    pretrained: Encoder | None = None,
    blocks: tuple[int | None, int | None] = (0, 0),
) -> Trained:
    """Train one network.

    Parameters
    ----------
    task, recipe, learning
        What, with which encoder, and how.
    rows
        Those that train, and those whose loss says when to stop; none of the latter for no early stopping.
    seed
        Of weights, order and dropout.
    pretrained, blocks
        Encoder to start from, and the numbers of its blocks to copy and to freeze, None for all.
    """
    train, held_out = rows
    network = new_network(task, recipe, learning, seed, pretrained, blocks)
    loss = task.loss(network, train).to(learning.device)
    target = torch.from_numpy(task.target).to(learning.device)

    def batch(numbers: Tensor) -> tuple[Tensor, Tensor]:
        chosen = train[numbers.numpy()]
        return recipe.codes(task.sequences, chosen).to(learning.device), target[torch.from_numpy(chosen)]

    history = fit(
        loss,
        batch,
        len(train),
        learning.schedule(len(train)),
        generator=torch.Generator().manual_seed(seed),
        score=(lambda: -mean_loss(loss, task, recipe, held_out)) if len(held_out) else None,
        on_epoch=learning.on_epoch,
        runtime=Runtime(learning.precision),
    )
    return Trained(network, history)


def new_network(
    task: Task,
    recipe: Recipe,
    learning: Learning,
    seed: int,
    pretrained: Encoder | None = None,
    blocks: tuple[int | None, int | None] = (0, 0),
) -> Classifier:
    """Build the network that `train_network` trains, its weights drawn from `seed`."""
    with seeded(seed, learning.device):
        return _build_network(task, recipe, learning.dropout, pretrained, blocks).to(learning.device)


def _build_network(
    task: Task, recipe: Recipe, dropout: float, pretrained: Encoder | None, blocks: tuple[int | None, int | None]
) -> Classifier:
    encoder = recipe.build()
    n_transferred, n_frozen = (len(encoder.blocks) if n is None else n for n in blocks)
    if pretrained is None:
        n_transferred = 0
    else:
        transfer(pretrained, encoder, n_transferred)
    return Classifier(encoder, task.n_out, dropout=dropout, frozen_blocks=n_frozen, pretrained_blocks=n_transferred)


@torch.no_grad()
def mean_loss(loss: nn.Module, task: Task, recipe: Recipe, rows: NDArray[np.integer]) -> float:
    """Mean loss of rows, by a module in evaluation mode."""
    device = next(loss.parameters()).device
    total = 0.0
    for part in batches_of_like_lengths(task.sequences, recipe, rows):
        x, y = recipe.codes(task.sequences, part).to(device), torch.from_numpy(task.target[part]).to(device)
        total += float(loss((x, y))) * len(part)
    return total / len(rows)


def batches_of_like_lengths(
    sequences: Sequences, recipe: Recipe, rows: NDArray[np.integer]
) -> list[NDArray[np.integer]]:
    """Cut rows, the shortest first, into batches of bounded memory."""
    lengths = sequences.lengths[rows]
    if recipe.rule.length is not None:
        lengths = lengths.clip(recipe.rule.length if recipe.fixed_length else 1, recipe.rule.length)
    order = np.argsort(lengths, kind="stable")
    parts: list[NDArray[np.integer]] = []
    start = 0
    while start < len(order):
        # The longest of a batch is its last, so its size is found from the end that it would have.
        stop = start + max(1, _LETTERS_AT_ONCE // int(lengths[order[start]]))
        widest = int(lengths[order[min(stop, len(order)) - 1]])
        stop = start + max(1, _LETTERS_AT_ONCE // widest)
        parts.append(rows[order[start:stop]])
        start = stop
    return parts


@torch.no_grad()
def outputs(module: nn.Module, sequences: Sequences, recipe: Recipe) -> NDArray[np.float64]:
    """Outputs of a module in evaluation mode, computed in 64 bits, ``(n_sequences, ...)``.

    In 64 bits a sequence's output is the same, but for the last digits, whatever others it is computed with.
    """
    exact = exact_copy(module)
    device = next(exact.parameters()).device
    rows = np.arange(len(sequences))
    parts = batches_of_like_lengths(sequences, recipe, rows)
    found = [exact(recipe.codes(sequences, part).to(device)).cpu().numpy() for part in parts]
    result = np.empty((len(rows), *found[0].shape[1:]))
    result[np.concatenate(parts)] = np.concatenate(found)
    return result

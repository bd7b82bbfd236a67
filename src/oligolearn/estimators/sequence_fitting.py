"""What classifier and regressor of sequences share: choosing the encoder, training, predicting, saving."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from oligolearn.data import PaddingRule, Sequences
from oligolearn.estimators.building import OnEpoch, resolve_device
from oligolearn.estimators.sequence_choice import Choice, candidates, choose, n_trainings
from oligolearn.estimators.sequence_embedding import EmbeddingChoice, chosen_embedding
from oligolearn.estimators.sequence_input import as_sequences, hold_out, in_alphabet, independent_groups
from oligolearn.estimators.sequence_networks import (
    Learning,
    Recipe,
    Task,
    Trained,
    columns_of,
    describe_recipes,
    outputs,
    recipes_of,
)
from oligolearn.estimators.sequence_replicas import Training, train_all
from oligolearn.estimators.sequence_starting import StartingEncoders
from oligolearn.nn import Classifier, Encoder
from oligolearn.saving import Bundle
from oligolearn.training import DivergedError, History

LONGEST = 2_000  # letters that are read by default: of longer sequences the rest is cut off
_CHOICE_FRACTION = 0.2
_HARDLY_ANY = 0.05  # of the letters, that may be left out without a word


class LabelledSequences(NamedTuple):
    """What `fit` is given.

    Attributes
    ----------
    X
        Texts, or `Sequences`.
    target
        ``(n_sequences,)``: class numbers, or standardised numbers. ``(n_sequences, n_labels)``: several labels at once.
    labelled
        Whether each has one.
    groups
        ``(n_sequences,)`` or None.
    """

    X: Any
    target: NDArray[Any]
    labelled: NDArray[np.bool_]
    groups: ArrayLike | None


class SequenceModel(Protocol):
    """Settings and fitted attributes, see `SequenceClassifier`."""

    encoder: str | Callable[..., Encoder]
    encoder_options: Mapping[str, Any] | None
    both_strands: bool | str
    alphabet: str
    aligned: bool | None
    max_length: int | None
    pad: str
    truncate: str
    embedding: EmbeddingChoice
    freeze_embedding: bool
    transfer_layers: int | None
    frozen_layers: int | None
    n_members: int
    epochs: int
    batch_size: int | None
    learning_rate: float
    weight_decay: float
    dropout: float
    min_steps: int
    early_stopping: bool
    validation_fraction: float
    patience: int
    random_state: int | np.random.RandomState | None
    device: str
    precision: str
    on_epoch: OnEpoch | None
    recipes_: list[Recipe]
    choice_: dict[str, float]
    module_: nn.ModuleList
    history_: list[History]
    training_: dict[str, Any]


class Prepared(NamedTuple):
    """A model whose encoders are chosen and whose networks are still to be trained.

    Attributes
    ----------
    choice
        The encoders, and how they were found.
    learning
        How the networks are trained.
    trainings
        Of each network.
    """

    choice: Choice
    learning: Learning
    trainings: list[Training]


def fit_networks(model: SequenceModel, prepared: Prepared) -> None:
    """Train the networks of a model that is prepared.

    Raises
    ------
    DivergedError
        If the loss of one is not finite.
    """
    networks = []
    for one in train_all(prepared.trainings):
        if isinstance(one.result, DivergedError):
            raise one.result
        networks.append(one.result)
    finish(model, prepared, networks)


def prepare(
    model: SequenceModel,
    source: StartingEncoders | None,
    rows: LabelledSequences,
    n_out: int,
    loss: Callable[[nn.Module, NDArray[np.integer]], nn.Module],
    pool: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Prepared:
    """Check what there is to learn from, and choose the encoders.

    Parameters
    ----------
    model
        Settings.
    source
        Encoders to start from, or None.
    rows
        What there is to learn from.
    n_out, loss, pool
        As in `Task`.
    """
    if source is None and (model.frozen_layers != 0 or model.transfer_layers is not None):
        raise ValueError("transfer_layers and frozen_layers are of a pretrained encoder; give one, or leave them out")
    task, owners = _task(model, source, rows, n_out, loss, pool)
    seed = int(check_random_state(model.random_state).randint(2**31))
    learning = _learning(model)

    def split(rows: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        n_owners = len(np.unique(owners[rows]))
        share = max(_CHOICE_FRACTION, 1 / max(2, n_owners // 2))  # of few chromosomes or families, more rows
        train, held_out = hold_out(task.target[rows], owners[rows], share, seed)
        return rows[train], rows[held_out]

    if source is None:
        tried = _candidates(model, task.sequences)
        n_compared = n_trainings(len(tried), len(task.target), model.n_members)
        learning = _counting(learning, model.n_members + n_compared)
        choice = choose(task, tried, learning, split, seed, model.n_members)
    else:
        learning = _counting(learning, model.n_members)
        recipes = _start(model, source, task.sequences)
        choice = Choice([recipes[i % len(recipes)] for i in range(model.n_members)], ["pretrained"], {})
    note = cut_note(task.sequences, shortest_read(choice.recipes)) if model.max_length is None else None
    if note:
        warnings.warn(note, TruncationWarning, stacklevel=4)
    everyone = np.arange(len(task.target))
    parts = (everyone, everyone[:0])
    if model.early_stopping:
        parts = hold_out(task.target, owners, model.validation_fraction, seed)
    encoders = [None] if source is None else source.encoders
    everything = None if source is None else source.n_trained  # what "all" blocks are
    n_transferred, n_frozen = (everything if n is None else n for n in (model.transfer_layers, model.frozen_layers))
    blocks = (n_transferred, n_frozen)
    trainings = [
        Training(
            task, choice.recipes[member], learning, parts, seed + 1 + member, encoders[member % len(encoders)], blocks
        )
        for member in range(model.n_members)
    ]
    return Prepared(choice, learning, trainings)


def _task(
    model: SequenceModel,
    source: StartingEncoders | None,
    rows: LabelledSequences,
    n_out: int,
    loss: Callable[[nn.Module, NDArray[np.integer]], nn.Module],
    pool: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> tuple[Task, NDArray[np.int64]]:
    """The labelled sequences, and the groups that a hold-out must not part."""
    _, target, labelled, groups = rows
    sequences = as_sequences(rows.X, model.alphabet, aligned=model.aligned)
    if source is not None:
        sequences = in_alphabet(sequences, source.recipes[0].alphabet)
    if len(sequences) != len(target):
        raise ValueError(f"X and y must have as many rows, found {len(sequences)} and {len(target)}")
    if model.n_members < 1:
        raise ValueError(f"n_members must be at least 1, found {model.n_members}")
    owners = independent_groups(sequences, groups, padding_rule(model, sequences))[labelled]
    return Task(sequences.take(labelled), target[labelled], n_out, loss, pool), owners


def finish(model: SequenceModel, prepared: Prepared, trained: Sequence[Trained]) -> None:
    """Set the fitted attributes."""
    model.recipes_ = prepared.choice.recipes
    model.choice_ = prepared.choice.losses
    model.module_ = nn.ModuleList([one.network for one in trained])
    model.history_ = [one.history for one in trained]
    n_rows = len(prepared.trainings[0].rows[0])
    model.training_ = _describe_training(model, prepared.choice, n_rows, prepared.learning)


def _candidates(model: SequenceModel, sequences: Sequences) -> dict[str, Recipe]:
    """Encoders to choose from: one, where it is given."""
    both_strands = model.both_strands
    if both_strands not in (True, False, "auto"):
        raise ValueError(f"both_strands must be True, False or 'auto', found {both_strands!r}")
    both_strands = both_strands if both_strands == "auto" else bool(both_strands)  # a NumPy boolean, too
    rule = padding_rule(model, sequences)
    embedding = chosen_embedding(model.embedding, sequences.alphabet, freeze=model.freeze_embedding)
    if embedding is not None:
        embedding.check_lengths(sequences)
    if model.encoder == "auto":
        if model.encoder_options:
            raise ValueError("encoder_options belong to an encoder by name; give encoder='motif-cnn' or another")
        tried = candidates(sequences, rule, both_strands)
        columns = columns_of(sequences)
        return {name: replace(recipe, embedding=embedding, n_columns=columns) for name, recipe in tried.items()}
    strands = both_strands is True
    options, columns = dict(model.encoder_options or {}), columns_of(sequences)
    return {"given": Recipe(model.encoder, options, sequences.alphabet, rule, strands, embedding, columns)}


def _start(model: SequenceModel, source: StartingEncoders, sequences: Sequences) -> list[Recipe]:
    """Recipes of the pretrained encoders; what they read is their own."""
    if model.freeze_embedding or not (isinstance(model.embedding, str) and model.embedding == "one-hot"):
        raise ValueError("a pretrained encoder has the embedding that it was trained with; leave embedding out")
    recipes = source.recipes
    for one in recipes:
        _check_encoder(model, one)
    asked = padding_rule(model, sequences)
    of_user = model.max_length is not None or (model.pad, model.truncate) != ("end", "end")
    if source.without_labels or of_user:
        own = [one.fixed_length or one.alphabet.has_gap for one in recipes]
        if of_user and any(own):
            read = next(one.rule for one, keeps in zip(recipes, own, strict=True) if keeps)
            if asked != read:
                raise ValueError(
                    f"the pretrained encoder tells places apart, of {read.length:,} letters; leave max_length, pad and "
                    "truncate out"
                )
        recipes = [one if keeps else replace(one, rule=asked) for one, keeps in zip(recipes, own, strict=True)]
    _check_kmers(recipes, sequences)
    return recipes


def _check_encoder(model: SequenceModel, recipe: Recipe) -> None:
    """Refuse settings that contradict the encoder to start from, which brings its own."""
    if model.encoder not in ("auto", recipe.encoder):
        raise ValueError(f"the pretrained encoder is {recipe.encoder!r}, not {model.encoder!r}; leave encoder out")
    if model.both_strands != "auto" and bool(model.both_strands) != recipe.both_strands:
        reads = "both strands" if recipe.both_strands else "one strand"
        raise ValueError(f"the pretrained encoder reads {reads}; leave both_strands out")
    other = [name for name, value in (model.encoder_options or {}).items() if recipe.options.get(name) != value]
    if other:
        raise ValueError(f"the pretrained encoder brings its own {', '.join(other)}; leave encoder_options out")


def _check_kmers(recipes: Sequence[Recipe], sequences: Sequences) -> None:
    """Refuse sequences that are shorter than the k-mers that are read."""
    for one in recipes:
        if one.embedding is not None:
            one.embedding.check_lengths(sequences)


def padding_rule(model: Any, sequences: Sequences) -> PaddingRule:
    """Padding and truncation as the settings have them, with a length."""
    length = model.max_length
    if length is not None and (not isinstance(length, Integral) or length < 1):
        raise ValueError(f"max_length must be a whole number of letters, 1 or more, found {length!r}")
    longest = min(int(sequences.lengths.max()), LONGEST)
    return PaddingRule(longest if model.max_length is None else model.max_length, model.pad, model.truncate)


def _learning(model: SequenceModel) -> Learning:
    return Learning(
        epochs=model.epochs,
        batch_size=model.batch_size,
        learning_rate=model.learning_rate,
        weight_decay=model.weight_decay,
        dropout=model.dropout,
        min_steps=model.min_steps,
        patience=model.patience,
        device=resolve_device(model.device),
        precision=model.precision,
        on_epoch=model.on_epoch,
    )


def _counting(learning: Learning, n_trainings: int) -> Learning:
    """Let `on_epoch` hear of all trainings as one."""
    told = learning.on_epoch
    if told is None:
        return learning
    done = [0, 0]  # epochs of trainings that are over, and of the one that runs

    def tell(epochs: int, of: int, loss: float) -> None:
        if epochs <= done[1]:
            done[0] += done[1]
        done[1] = epochs
        told(done[0] + epochs, max(done[0] + epochs, n_trainings * of), loss)

    return replace(learning, on_epoch=tell)


def _describe_training(model: SequenceModel, choice: Choice, n_rows: int, learning: Learning) -> dict[str, Any]:
    schedule = learning.schedule(n_rows)
    return {
        "encoder_chosen": choice.name,
        "validation_losses": choice.losses,
        "members": model.n_members,
        "epochs": [len(history.losses) for history in model.history_],
        "batch_size": schedule.batch_size,
        "learning_rate": schedule.learning_rate,
        "weight_decay": schedule.weight_decay,
        "dropout": model.dropout,
        "losses": [history.losses for history in model.history_],
    }


class TruncationWarning(UserWarning):
    """Sequences were longer than what a model reads of them."""


def shortest_read(recipes: Sequence[Recipe]) -> int | None:
    """Letters that are read by the network that reads fewest; None for all."""
    return min((one.rule.length for one in recipes if one.rule.length is not None), default=None)


def short_note(sequences: Sequences, recipes: Sequence[Recipe]) -> str | None:
    """Say how many sequences are shorter than those of a network that tells places apart; None for none."""
    lengths = [one.rule.length for one in recipes if one.fixed_length and one.rule.length is not None]
    n_short = int((sequences.lengths < min(lengths)).sum()) if lengths else 0
    if not n_short:
        return None
    return (
        f"{n_short:,} of {len(sequences):,} sequences are shorter than the {min(lengths):,} letters that the model was "
        "trained on; it tells places apart, so what it predicts for them may mean nothing"
    )


def cut_note(sequences: Sequences, length: int | None) -> str | None:
    """Say how many sequences are longer than what is read of them; None where hardly a letter is left out."""
    if length is None or np.maximum(sequences.lengths - length, 0).sum() <= _HARDLY_ANY * sequences.lengths.sum():
        return None
    n_cut = int((sequences.lengths > length).sum())
    return (
        f"{n_cut:,} of {len(sequences):,} sequences are longer than the {length:,} letters that the model reads "
        "(max_length); the others were left out"
    )


def network_outputs(model: SequenceModel, X: Any) -> NDArray[np.float64]:
    """Outputs of every network, ``(n_members, n_sequences, n_out)``."""
    check_is_fitted(model, "module_")
    sequences = checked_sequences(X, model.recipes_)
    note = cut_note(sequences, shortest_read(model.recipes_)) if model.max_length is None else None
    if note:
        warnings.warn(note, TruncationWarning, stacklevel=3)
    networks = zip(model.module_, model.recipes_, strict=True)
    return np.stack([outputs(network, sequences, recipe) for network, recipe in networks])


def embed_sequences(model: SequenceModel, X: Any) -> NDArray[np.float32]:
    """Output of the first network's encoder, ``(n_sequences, out_dim)``."""
    check_is_fitted(model, "module_")
    network: Any = model.module_[0]
    return outputs(network.encoder, checked_sequences(X, model.recipes_), model.recipes_[0]).astype(np.float32)


def checked_sequences(X: Any, recipes: Sequence[Recipe]) -> Sequences:
    """Encode new sequences; refuse rows of another alignment than the one that was learned from."""
    sequences = in_alphabet(X, recipes[0].alphabet)
    _check_kmers(recipes, sequences)
    width = int(sequences.lengths[0])
    learned = [one.n_columns for one in recipes if one.n_columns is not None and one.fixed_length]
    if learned and width != learned[0]:
        raise ValueError(
            f"the model was trained on an alignment of {learned[0]:,} columns, found one of {width:,}; align new "
            "sequences to the same columns"
        )
    return sequences


def letters_read(X: Any, recipes: Sequence[Recipe]) -> Sequences:
    """Encode new sequences as `checked_sequences` does, without the letters that no network reads."""
    longest = max((one.rule for one in recipes), key=lambda rule: math.inf if rule.length is None else rule.length)
    return checked_sequences(X, recipes).cut(longest)


def with_one_output(network: Classifier, number: int) -> Classifier:
    """Make a network whose logits are 0 and one output of the network given, with its encoder."""
    found = Classifier(network.encoder, 2, dropout=network.dropout.p)
    with torch.no_grad():
        found.head.weight.zero_()[1] = network.head.weight[number]
        found.head.bias.zero_()[1] = network.head.bias[number]
    return found.to(network.head.weight.device)


def describe_networks(model: SequenceModel, head: dict[str, Any]) -> Bundle:
    """Describe a fitted model for saving; `head` says of which kind it is."""
    check_is_fitted(model, "module_")
    description = {
        **head,
        **describe_recipes(model.recipes_),
        "training": model.training_,
        "dropout": model.dropout,
    }
    return Bundle(description, dict(model.module_.state_dict()))


def restore_networks(model: SequenceModel, bundle: Bundle, n_out: int) -> None:
    """Set the fitted attributes from what `describe_networks` gave."""
    model.recipes_ = recipes_of(bundle.description)
    model.training_ = bundle.description["training"]
    model.choice_ = model.training_["validation_losses"]
    model.module_ = nn.ModuleList([Classifier(one.build(), n_out) for one in model.recipes_])
    model.module_.load_state_dict(bundle.weights)
    model.module_.eval()

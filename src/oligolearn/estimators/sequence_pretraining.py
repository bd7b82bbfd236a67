"""Encoders of sequences, pretrained without labels, as a scikit-learn transformer."""

import math
import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from oligolearn.data import Sequences
from oligolearn.data.fingerprints import fingerprint, sample_of_rows
from oligolearn.data.sequence_pieces import cut_into_pieces
from oligolearn.estimators.building import OnEpoch, describe_callable, resolve, resolve_device, seeded
from oligolearn.estimators.rows import every_nth
from oligolearn.estimators.self_supervised import CollapseWarning
from oligolearn.estimators.sequence_embedding import EmbeddingChoice, chosen_embedding
from oligolearn.estimators.sequence_fitting import checked_sequences, padding_rule
from oligolearn.estimators.sequence_input import as_sequences, sequence_tags
from oligolearn.estimators.sequence_networks import Recipe, columns_of, outputs, suited_batch_size
from oligolearn.estimators.sequence_starting import SELF_SUPERVISED, restored_encoder
from oligolearn.nn import Encoder, reverse_complement
from oligolearn.pretext import (
    SEQUENCE_OBJECTIVES,
    alpha_req,
    augmented,
    diagnose_collapse,
    needs_rows,
    rank_me,
    signs_of_collapse,
    suggest_options,
)
from oligolearn.saving import Bundle
from oligolearn.training import Checkpoint, Runtime, Schedule, fit, n_batches
from oligolearn.views import SequenceView, mask_letters, turn_strands

_N_DIAGNOSED = 1024  # sequences that are embedded to see a collapse
_N_WATCHED, _TIMES_WATCHED = 128, 20
_EPOCHS, _MOST_STEPS = 50, 6_000
_ENCODERS = {"next-letter": "recurrent"}  # of "auto": the one that reads from left to right
_ENCODER = "motif-cnn"


class SelfSupervisedSequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Encoder of DNA, RNA or protein sequences, pretrained without labels.

    Parameters
    ----------
    objective
        Name in `oligolearn.pretext.SEQUENCE_OBJECTIVES`, or a factory ``(encoder, **options) -> nn.Module``:
        ``"masked-letters"`` and ``"next-letter"`` predict letters, the others compare two views of a sequence.
    encoder
        Name in `oligolearn.nn.SEQUENCE_ENCODERS`, or a factory; ``"auto"``: ``"motif-cnn"``, and ``"recurrent"`` from
        left to right for ``"next-letter"``.
    encoder_options, objective_options
        Settings of both. What an objective is not told is derived from the data: `options_` says what was chosen.
    view_options
        ``share`` of the letters that ``"masked-letters"`` hides, of `oligolearn.views.mask_letters`; for objectives
        that compare views those of `oligolearn.views.SequenceView`. ``turned``, the share of DNA that is read as the
        other strand, is of every objective.
    both_strands
        Read the reverse complement with the same weights.
    alphabet, aligned, max_length, pad, truncate, embedding, freeze_embedding
        As in `SequenceClassifier`; but sequences longer than `max_length` are cut into pieces, so that all of a genome
        is seen, unless they are aligned or the encoder keeps positions.
    epochs
        Times that each sequence is seen; None for 50, or as many as 6,000 steps make, though one at least.
    batch_size, learning_rate, weight_decay, min_steps
        Of the training; `batch_size` None: 64 to 256, by the number of sequences.
    random_state, device, precision, checkpoint, checkpoint_minutes, on_epoch, on_watch
        As in `SelfSupervisedEncoder`.

    Attributes
    ----------
    recipe_ : Recipe
        The encoder, its alphabet and its padding.
    encoder_ : nn.Module
        In evaluation mode.
    options_ : dict
        Settings of the objective, derived ones included.
    history_ : History
        Loss of each epoch.
    diagnosis_ : list of str
        What points at collapse, in words, with the fix; empty when nothing does.
    quality_ : dict
        How good the embedding may be, judged without labels on up to 1,024 sequences: ``rank_me``, ``alpha_req``,
        ``effective_rank``, ``dimensions``, and ``prototypes_in_use`` where there are prototypes.
    pretraining_ : dict
        How it was trained, JSON-able. An encoder read from a bundle has this and none of the four above.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(40)]
    >>> encoder = SelfSupervisedSequenceEncoder(encoder_options={"n_filters": 8}, min_steps=5, epochs=1, random_state=0)
    >>> encoder.fit_transform(X).shape
    (40, 8)
    """

    def __init__(
        self,
        objective: str | Callable[..., nn.Module] = "masked-letters",
        encoder: str | Callable[..., Encoder] = "auto",
        *,
        encoder_options: Mapping[str, Any] | None = None,
        objective_options: Mapping[str, Any] | None = None,
        view_options: Mapping[str, Any] | None = None,
        both_strands: bool = False,
        alphabet: str = "auto",
        aligned: bool | None = None,
        max_length: int | None = None,
        pad: str = "end",
        truncate: str = "end",
        embedding: EmbeddingChoice = "one-hot",
        freeze_embedding: bool = False,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        min_steps: int = 300,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_minutes: float = 5.0,
        on_epoch: OnEpoch | None = None,
        on_watch: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        self.objective = objective
        self.encoder = encoder
        self.encoder_options = encoder_options
        self.objective_options = objective_options
        self.view_options = view_options
        self.both_strands = both_strands
        self.alphabet = alphabet
        self.aligned = aligned
        self.max_length = max_length
        self.pad = pad
        self.truncate = truncate
        self.embedding = embedding
        self.freeze_embedding = freeze_embedding
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.min_steps = min_steps
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.checkpoint = checkpoint
        self.checkpoint_minutes = checkpoint_minutes
        self.on_epoch = on_epoch
        self.on_watch = on_watch

    def fit(self, X: Any, y: object = None) -> Self:
        """Pretrain on sequences, texts or `Sequences`; `y` is ignored.

        Raises
        ------
        TypeError, ValueError
            If sequences cannot be read, a setting is unknown or out of its range, the encoder does not suit the
            objective, or the loss diverges.
        """
        given = as_sequences(X, self.alphabet, aligned=self.aligned)
        seed = int(check_random_state(self.random_state).randint(2**31))
        device = resolve_device(self.device)
        self.recipe_ = self._recipe(given)
        sequences = given
        if not (given.alphabet.has_gap or self.recipe_.fixed_length):
            sequences = cut_into_pieces(given, cast(int, self.recipe_.rule.length))
        if self.recipe_.embedding is not None:
            self.recipe_.embedding.check_lengths(sequences)
        schedule = self._schedule(len(sequences))
        objective = self._build(len(sequences), schedule, seed, device)
        draws = torch.Generator().manual_seed(seed)
        make_batch = self._batches(objective, sequences, draws, device)
        self.history_ = fit(
            objective,
            make_batch,
            len(sequences),
            schedule,
            generator=torch.Generator().manual_seed(seed),
            on_epoch=self._watching(objective, sequences),
            runtime=Runtime(self.precision, self._checkpoint(sequences, seed, draws, device)),
        )
        self.encoder_ = cast(Encoder, objective.encoder).eval()
        self._judge(objective, sequences, len(given), schedule)
        self.pretraining_["sample"] = sample_of_rows(given.of(row) for row in range(len(given)))
        return self

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.out_dim)

    @property
    def encoder_name(self) -> str | Callable[..., Encoder]:
        """The encoder, where it is left to the objective as well."""
        if self.encoder != "auto":
            return self.encoder
        return _ENCODERS.get(self.objective, _ENCODER) if isinstance(self.objective, str) else _ENCODER

    def _recipe(self, sequences: Sequences) -> Recipe:
        encoder, options = self.encoder_name, dict(self.encoder_options or {})
        if self.objective == "next-letter" and encoder == "recurrent":
            options.setdefault("bidirectional", False)
        embedding = chosen_embedding(self.embedding, sequences.alphabet, freeze=self.freeze_embedding)
        rule = padding_rule(self, sequences)
        columns = columns_of(sequences)
        return Recipe(encoder, options, sequences.alphabet, rule, self.both_strands, embedding, columns)

    def _schedule(self, n_rows: int) -> Schedule:
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, found {self.epochs}")
        size = suited_batch_size(n_rows) if self.batch_size is None else int(self.batch_size)
        per_epoch = n_batches(n_rows, size)
        epochs = min(_EPOCHS, max(1, _MOST_STEPS // per_epoch)) if self.epochs is None else self.epochs
        return Schedule(max(epochs * per_epoch, self.min_steps), size, self.learning_rate, self.weight_decay)

    def _build(self, n_rows: int, schedule: Schedule, seed: int, device: torch.device) -> nn.Module:
        make = resolve("objective", self.objective, SEQUENCE_OBJECTIVES)
        per_epoch = n_batches(n_rows, schedule.batch_size)
        self.options_ = suggest_options(
            make,
            self.objective_options or {},
            n_rows=n_rows,
            batch_size=n_rows // per_epoch,
            n_epochs=math.ceil(schedule.steps / per_epoch),
            n_features=len(self.recipe_.alphabet.letters),
        )
        with seeded(seed, device):
            return make(self.recipe_.build(), **self.options_).to(device)

    def _batches(
        self, objective: nn.Module, sequences: Sequences, draws: torch.Generator, device: torch.device
    ) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """From row numbers to what the objective takes: hidden letters, letters, or two views."""
        alphabet, options = self.recipe_.alphabet, self._view_options(objective)
        unknown = int(alphabet.encode(np.frombuffer(b"X", np.uint8))[0])
        letters = {"n_letters": len(alphabet.letters), "unknown": unknown}
        other_strand = None
        if alphabet.name == "dna":
            other_strand = partial(reverse_complement, complement=torch.from_numpy(alphabet.complement))
        if getattr(objective, "reads_letters", False):
            turned = options.pop("turned", 0.5 if other_strand else 0.0)
            views = partial(_letters_of, turn=(other_strand, turned), hide=None)
            if getattr(objective, "hides_letters", False):
                views = partial(views, hide=partial(mask_letters, **{**letters, **options}))
        else:
            view = SequenceView(**letters, other_strand=other_strand, **options)
            views = partial(_two_views, view=view, random=augmented(objective))
        numbered = needs_rows(objective)

        def batch_of(rows: Tensor) -> tuple[Tensor, ...]:
            drawn = views(self.recipe_.codes(sequences, rows.numpy()), generator=draws)
            return tuple(one.to(device) for one in ((*drawn, rows) if numbered else drawn))

        return batch_of

    def _view_options(self, objective: nn.Module) -> dict[str, Any]:
        """Those of the user, if the objective has them and each is in its range."""
        options = dict(self.view_options or {})
        known = ["turned"]
        if getattr(objective, "hides_letters", False):
            known.append("share")
        elif not getattr(objective, "reads_letters", False):
            known += ["shortest", "most", "mutated"]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise ValueError(f"{self.objective} has no view option {unknown[0]!r}; its options are {', '.join(known)}")
        if not 0 <= options.get("turned", 0) <= 1:
            raise ValueError(f"turned is a share, 0 to 1, found {options['turned']}")
        if not 0 < options.get("share", 1) <= 1:
            raise ValueError(f"share of the letters that are hidden lies above 0 and up to 1, found {options['share']}")
        if options.get("turned") and self.recipe_.alphabet.name != "dna":
            raise ValueError(f"turned is of the two strands of DNA; {self.recipe_.alphabet.name} has one")
        return options

    def _watching(self, objective: nn.Module, sequences: Sequences) -> OnEpoch | None:
        watch = self.on_watch
        if watch is None:
            return self.on_epoch
        some = sequences.take(every_nth(len(sequences), _N_WATCHED))

        def hear(done: int, total: int, loss: float) -> None:
            if done % math.ceil(total / _TIMES_WATCHED) == 0 or done == total:
                watch(signs_of_collapse(objective, self._embedding(cast(Encoder, objective.encoder), some)))
            if self.on_epoch is not None:
                self.on_epoch(done, total, loss)

        return hear

    def _embedding(self, encoder: Encoder, sequences: Sequences) -> Tensor:
        return torch.from_numpy(outputs(encoder, sequences, self.recipe_)).float()

    def _checkpoint(
        self, sequences: Sequences, seed: int, draws: torch.Generator, device: torch.device
    ) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        if self.random_state is None:
            raise ValueError("a training goes on from its checkpoint only if it is the same: pass a random_state")
        settings = ("encoder_options", "view_options", "both_strands", "epochs", "batch_size", "learning_rate")
        embedding = self.recipe_.embedding
        named = {"objective": self.objective, "encoder": self.recipe_.encoder}
        identity = {
            **{what: value if isinstance(value, str) else describe_callable(value) for what, value in named.items()},
            **{name: getattr(self, name) for name in (*settings, "weight_decay", "min_steps", "precision")},
            "objective_options": self.options_,
            "embedding": None if embedding is None else embedding.to_dict(),
            **({} if embedding is None or embedding.vectors is None else {"vectors": fingerprint(embedding.vectors)}),
            "padding": list(self.recipe_.rule),
            "seed": seed,
            "device": device.type,
            "data": fingerprint(sequences.codes, sequences.offsets),
        }
        return Checkpoint(self.checkpoint, identity, generators=[draws], minutes=self.checkpoint_minutes)

    def _judge(self, objective: nn.Module, sequences: Sequences, n_given: int, schedule: Schedule) -> None:
        """Say how good the embedding may be, and how it came about."""
        embedding = self._embedding(self.encoder_, sequences.take(every_nth(len(sequences), _N_DIAGNOSED)))
        losses = self.history_.losses
        self.diagnosis_ = diagnose_collapse(objective, losses[-1], embedding, n_rows=len(sequences))
        scores = {"rank_me": rank_me(embedding), "alpha_req": alpha_req(embedding)}
        found = {**scores, **signs_of_collapse(objective, embedding)}
        self.quality_ = {name: value if math.isfinite(value) else None for name, value in found.items()}
        reads_letters = bool(getattr(objective, "reads_letters", False))
        guessing = getattr(objective, "guessing", None)
        self.pretraining_: dict[str, Any] = {
            "objective": self.objective if isinstance(self.objective, str) else repr(self.objective),
            "objective_options": self.options_,
            "view_options": dict(self.view_options or {}),
            "reads_letters": reads_letters,
            "guessing": None if guessing is None else guessing(len(self.recipe_.alphabet.letters)),
            "epochs": len(losses),
            "batch_size": schedule.batch_size,
            "learning_rate": schedule.learning_rate,
            "weight_decay": schedule.weight_decay,
            "losses": losses,
            "n_sequences": n_given,
            "n_samples": len(sequences),
            "fingerprint": fingerprint(sequences.codes, sequences.offsets),
            "diagnosis": self.diagnosis_,
            "quality": self.quality_,
        }
        for sentence in self.diagnosis_:
            warnings.warn(sentence, CollapseWarning, stacklevel=3)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed sequences, ``(n_sequences, out_dim)``; the same whatever the batch. Longer ones are cut off."""
        check_is_fitted(self, "encoder_")
        return outputs(self.encoder_, checked_sequences(X, [self.recipe_]), self.recipe_).astype(np.float32)

    def to_bundle(self) -> Bundle:
        """Describe the fitted encoder for saving."""
        check_is_fitted(self, "encoder_")
        description = {
            "kind": SELF_SUPERVISED,
            "architecture": self.recipe_.to_dict(),
            "pretraining": self.pretraining_,
        }
        return Bundle(description, {f"encoder.{name}": value for name, value in self.encoder_.state_dict().items()})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted encoder from what `to_bundle` described."""
        pretraining = bundle.description["pretraining"]
        recipe = Recipe.from_dict(bundle.description["architecture"])
        model = cls(pretraining["objective"], recipe.encoder, encoder_options=recipe.options)
        model.both_strands, model.alphabet = recipe.both_strands, recipe.alphabet.name
        model.max_length, model.pad, model.truncate = recipe.rule
        model.recipe_, model.pretraining_ = recipe, pretraining
        model.encoder_ = restored_encoder(recipe, bundle.weights, "encoder.")
        return model

    def __sklearn_tags__(self) -> Any:
        tags = sequence_tags(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = []
        return tags


def _letters_of(codes: Tensor, *, turn: Any, hide: Any, generator: torch.Generator) -> tuple[Tensor, ...]:
    other_strand, share = turn
    if other_strand is not None and share:
        codes = turn_strands(codes, other_strand, share=share, generator=generator)
    return (codes,) if hide is None else hide(codes, generator=generator)


def _two_views(
    codes: Tensor, *, view: SequenceView, random: tuple[bool, ...], generator: torch.Generator
) -> tuple[Tensor, ...]:
    return tuple(view(codes, generator=generator) if one else codes for one in random)

"""Pretraining without labels, as a scikit-learn transformer."""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from oligolearn.data.fingerprints import fingerprint
from oligolearn.data.scaling import ExpressionScaler
from oligolearn.data.stream import BUFFER_BYTES, ExpressionStream
from oligolearn.estimators.building import (
    OnEpoch,
    describe_callable,
    describe_encoder,
    describe_scaler,
    launch_team,
    part_of,
    rebuild_scaler,
    resolve,
    resolve_device,
    seeded,
)
from oligolearn.estimators.expression_input import checked_expression
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.rows import (
    Rows,
    Views,
    checked_cohorts,
    chosen_view,
    every_nth,
    some_of,
    spread_rows,
)
from oligolearn.nn import ENCODERS, Encoder
from oligolearn.pretext import (
    OBJECTIVES,
    alpha_req,
    augmented,
    diagnose_collapse,
    needs_rows,
    neighbour_stability,
    rank_me,
    signs_of_collapse,
    suggest_options,
)
from oligolearn.saving import Bundle
from oligolearn.training import Checkpoint, Epoch, History, Runtime, Schedule, Team, apply_in_batches, fit, n_batches
from oligolearn.views import looks_at_rows, make_view, mask_genes

N_DIAGNOSED = 2048  # rows, enough to see a collapse
_N_COMPARED = 1024  # rows whose neighbours are compared across views
_N_WATCHED, _TIMES_WATCHED = 256, 20  # rows that are looked at while training, and how often in all
_ROWS_AT_ONCE = 1024
_EPOCHS, _MOST_STEPS, _FEWEST_EPOCHS = 150, 12_000, 10  # more did not help on GTEx and TCGA, see docs/methods/swav.md


class CollapseWarning(UserWarning):
    """Pretraining produced an embedding that does not tell samples apart."""


class SelfSupervisedEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Encoder of expression profiles, pretrained without labels.

    Parameters
    ----------
    objective
        Name in `oligolearn.pretext.OBJECTIVES`, or a factory ``(encoder, **options) -> nn.Module``.
    encoder
        Name in `oligolearn.nn.ENCODERS`, or a factory ``n_features -> nn.Module`` with `out_dim` and `blocks`.
    view
        Name in `oligolearn.views.VIEWS`, a function ``(x, generator=...) -> x``, or what else
        `oligolearn.views.make_view` takes; None for the view that suits the objective: ``"masked-mixup"`` where
        two views are compared.
    objective_options, encoder_options, view_options
        Settings of the three, by name. What an objective is not told is derived from the data: `options_` says what
        was chosen.
    view_strength
        How much a view changes a sample, see `oligolearn.views.strength_options`; None for the view's own.
    epochs
        Times that each row is seen; None for 150, or for fewer in a large cohort: as many as 12,000 steps make, though
        10 at least.
    batch_size, learning_rate, weight_decay
        Of the training; the learning rate warms up, then falls along a cosine.
    min_steps
        Fewest optimizer steps: small cohorts get more epochs.
    random_state
        Seed of the initial weights, the order of rows and the views.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision
        Of the products of linear layers while training: ``"32"``, ``"bf16"``, or ``"auto"`` for bf16 where the
        hardware has it. Weights, sums and everything after training stay in 32 bits or more.
    devices, nodes
        Processes on each machine, each with a GPU of its own where there are GPUs, and machines. They share each
        batch: the result is that of one process, rounding apart. See `oligolearn.training.Team.launch`: the script
        runs once in each of them, so only the one for which `oligolearn.training.is_first_process()` is true should
        write files.
    checkpoint
        File, ``.safetensors``, that keeps the state of the training as it goes; a `fit` with the same settings and
        data that was killed goes on from it. It is left behind: remove it when the model is saved. Needs a
        `random_state`.
    checkpoint_minutes
        Longest time between two writings of it, see `oligolearn.training.Checkpoint`.
    on_epoch
        Called after each epoch with ``(epochs done, all epochs, mean loss)``.
    on_watch
        Called some twenty times in a training with a dict of what shows a collapse: ``effective_rank`` of the embedding
        of some rows, its ``dimensions``, and where there are such ``plateau``, ``prototypes_in_use``, ``prototypes``.

    Attributes
    ----------
    scaler_ : ExpressionScaler
        Fitted on the rows given to `fit`, like everything else here.
    encoder_ : nn.Module
        In evaluation mode.
    options_ : dict
        Settings of the objective, derived ones included.
    history_ : History
        Loss of each epoch.
    diagnosis_ : list of str
        What points at collapse, in words, with the fix; empty when nothing does.
    quality_ : dict
        How good the embedding may be, judged without labels, on up to 2,048 training rows: ``rank_me``,
        ``effective_rank``, ``alpha_req``, and ``neighbour_stability`` between two views that hide half of the genes,
        the same kind for every objective; ``dimensions``, and ``prototypes_in_use`` where there are prototypes.
    pretraining_ : dict or None
        How it was trained, JSON-able. An encoder read from a bundle has this and none of the four above; it is None
        for one that was trained from scratch within a classifier.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 50))  # 50 genes that follow 3 factors
    >>> small = {"hidden": (16, 8)}
    >>> encoder = SelfSupervisedEncoder(encoder_options=small, view_options={"share": 0.3}, random_state=0)
    >>> encoder.fit_transform(X).shape
    (60, 8)
    """

    scaler_: Scaler

    def __init__(
        self,
        objective: str | Callable[..., nn.Module] = "swav",
        encoder: str | Callable[..., Encoder] = "mlp",
        *,
        view: str | Callable[..., Any] | None = None,
        objective_options: Mapping[str, Any] | None = None,
        encoder_options: Mapping[str, Any] | None = None,
        view_options: Mapping[str, Any] | None = None,
        view_strength: float | None = None,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        min_steps: int = 200,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: str = "auto",
        devices: int = 1,
        nodes: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_minutes: float = 5.0,
        on_epoch: OnEpoch | None = None,
        on_watch: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        self.objective = objective
        self.encoder = encoder
        self.view = view
        self.objective_options = objective_options
        self.encoder_options = encoder_options
        self.view_options = view_options
        self.view_strength = view_strength
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.min_steps = min_steps
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.devices = devices
        self.nodes = nodes
        self.checkpoint = checkpoint
        self.checkpoint_minutes = checkpoint_minutes
        self.on_epoch = on_epoch
        self.on_watch = on_watch

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        genes: Sequence[str] | None = None,
        cohorts: ArrayLike | None = None,
    ) -> Self:
        """Pretrain on `X`, ``(n_samples, n_genes)``, log expression or the like, NaN where missing; `y` is ignored.

        Views of whole gene sets need `genes`, the names of the columns, unless `X` has them. With `cohorts`,
        ``(n_samples,)``, each cohort is standardised by itself; number 0 is the one that the encoder is for, whose
        means and deviations are kept in `scaler_` and whose rows are judged. Without, all rows are standardised
        together.

        Raises
        ------
        ValueError
            If a setting is unknown or the loss diverges.
        """
        numbers = None if cohorts is None else checked_cohorts(cohorts, X)
        values, seed = self._prepare(X, None if numbers is None else numbers == 0)
        team = launch_team(self.device, self.devices, self.nodes)
        if team is not None:
            team.check_alike("samples, genes and sum of X", [*values.shape, float(np.nansum(np.abs(values)))])
            seed = team.first_says(seed)
        device = resolve_device(self.device) if team is None else team.device
        standardised = self.scaler_.transform(values)
        own = np.arange(len(values)) if numbers is None else np.flatnonzero(numbers == 0)
        for number in () if numbers is None else np.unique(numbers[numbers != 0]):
            standardised[numbers == number] = ExpressionScaler().fit_transform(values[numbers == number])
        rows = torch.from_numpy(standardised).to(device)
        objective = self._build(len(rows), rows.shape[1], seed, device)
        identity = {} if self.checkpoint is None else {"data": fingerprint(values)}
        if identity and numbers is not None:
            identity["cohorts"] = fingerprint(numbers)
        source = Rows(
            len(rows),
            lambda numbers: rows.index_select(0, numbers.to(device)),
            lambda: rows[spread_rows(*rows.shape)],
            None,
            identity,
        )
        view = self._view(source.some, getattr(self, "feature_names_in_", genes))
        history = self._train(objective, source, view, seed, team)
        return self._finish(objective, history, rows[own[every_nth(len(own), N_DIAGNOSED)]], n_rows=len(rows))

    def fit_stream(self, stream: ExpressionStream, *, buffer_bytes: int = BUFFER_BYTES) -> Self:
        """Pretrain on rows that stay on disk, in a bounded memory.

        Where all rows fit in the buffer, this is `fit`. Otherwise rows are shuffled within those that fit.

        Parameters
        ----------
        stream
            From `oligolearn.data.prepare_stream`.
        buffer_bytes
            For rows in memory.

        Raises
        ------
        ValueError
            If a setting is unknown, the loss diverges, or the file is damaged.
        """
        if stream.scaler is None:
            raise ValueError("the stream was not prepared for training; make it with prepare_stream")
        self.scaler_ = stream.scaler
        self.n_features_in_ = len(stream.genes)
        seed = int(check_random_state(self.random_state).randint(2**31))
        team = launch_team(self.device, self.devices, self.nodes)
        if team is not None:
            team.check_alike("samples, genes and means of the stream", [len(stream), float(stream.scaler.mean_.sum())])
            seed = team.first_says(seed)
        device = resolve_device(self.device) if team is None else team.device
        objective = self._build(len(stream), len(stream.genes), seed, device)
        identity = {"data": stream.fingerprint, "order of rows": stream.order(buffer_bytes)}
        if hasattr(objective, "on_epoch"):
            raise ValueError(
                f"{self.objective} looks at all rows before each epoch, so they must be in memory; choose another "
                "objective or do without streaming"
            )
        draw = cast(Epoch, stream.shuffled(buffer_bytes=buffer_bytes))
        source = Rows(len(stream), lambda batch: batch.to(device), lambda: some_of(stream).to(device), draw, identity)
        history = self._train(objective, source, self._view(source.some, stream.genes), seed, team)
        some = np.empty((min(N_DIAGNOSED, len(stream)), len(stream.genes)), np.float32)
        stream.standardised(0, len(some), some)
        return self._finish(objective, history, torch.from_numpy(some).to(device), n_rows=len(stream), numbered=False)

    def _prepare(self, X: ArrayLike, own: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.floating], int]:
        """Check `X`, fit the scaler on it or on the rows `own`, draw the seed."""
        values = checked_expression(self, X, to_fit=True)
        self.scaler_ = ExpressionScaler().fit(values if own is None else values[own])
        return values, int(check_random_state(self.random_state).randint(2**31))

    def _finish(
        self, objective: nn.Module, history: History, rows: Tensor, *, n_rows: int, numbered: bool = True
    ) -> Self:
        """Keep what was trained; look at the embedding of some standardised `rows` for collapse and quality."""
        self.history_ = history
        self.encoder_ = cast(Encoder, objective.encoder)
        self._n_features_out = self.encoder_.out_dim
        embedding = apply_in_batches(self.encoder_, rows)
        self.diagnosis_ = diagnose_collapse(
            objective, self.history_.losses[-1], embedding, n_rows=n_rows, numbered=numbered
        )
        self.quality_ = {**self._quality(rows, embedding), **_finite(signs_of_collapse(objective, embedding))}
        self.pretraining_: dict[str, Any] | None = {**self._describe_pretraining(), "n_samples": n_rows}
        for sentence in self.diagnosis_:
            warnings.warn(sentence, CollapseWarning, stacklevel=3)
        return self

    def _quality(self, rows: Tensor, embedding: Tensor) -> dict[str, float | None]:
        """Scores that need no label; None where there are too few rows or directions for one."""
        draws = torch.Generator(rows.device).manual_seed(0)  # a yardstick: the same genes for every encoder
        some = rows[:_N_COMPARED]
        views = [apply_in_batches(self.encoder_, mask_genes(some, per="row", generator=draws)) for _ in range(2)]
        return _finite(
            {
                "rank_me": rank_me(embedding),
                "alpha_req": alpha_req(embedding),
                "neighbour_stability": neighbour_stability(*views),
            }
        )

    def _build(self, n_rows: int, n_features: int, seed: int, device: torch.device) -> nn.Module:
        """Objective with its initial weights."""
        objective = resolve("objective", self.objective, OBJECTIVES)
        self.options_ = suggest_options(
            objective,
            self.objective_options or {},
            n_rows=n_rows,
            batch_size=n_rows // n_batches(n_rows, self.batch_size),
            n_epochs=math.ceil(self._schedule(n_rows).steps / n_batches(n_rows, self.batch_size)),
            n_features=n_features,
        )
        with seeded(seed, device):
            encoder = resolve("encoder", self.encoder, ENCODERS)(n_features, **(self.encoder_options or {}))
            return objective(encoder, **self.options_).to(device)

    def _schedule(self, n_rows: int) -> Schedule:
        steps = max(self._epochs(n_rows) * n_batches(n_rows, self.batch_size), self.min_steps)
        return Schedule(steps, self.batch_size, self.learning_rate, self.weight_decay)

    def _epochs(self, n_rows: int) -> int:
        if self.epochs is not None:
            return self.epochs
        return min(_EPOCHS, max(_FEWEST_EPOCHS, _MOST_STEPS // n_batches(n_rows, self.batch_size)))

    def _named_view(self) -> tuple[str | Callable[..., Any], dict[str, Any]]:
        objective = resolve("objective", self.objective, OBJECTIVES)
        return chosen_view(objective, self.view, self.view_options, self.view_strength)

    def _view(self, some_rows: Callable[[], Tensor], genes: Sequence[str] | None) -> Callable[..., Tensor]:
        view, options = self._named_view()
        rows = some_rows() if looks_at_rows(view, options) else torch.empty(0)
        return make_view(view, options, rows=rows, genes=genes)

    def _train(
        self, objective: nn.Module, rows: Rows, view: Callable[..., Tensor], seed: int, team: Team | None
    ) -> History:
        device = next(objective.parameters()).device
        draws = torch.Generator(device).manual_seed(seed)
        views, numbered = Views(view, augmented(objective), draws), rows.epoch is None and needs_rows(objective)

        def batch_of(drawn: Tensor) -> tuple[Tensor, ...]:
            x = rows.take(drawn)
            return (*views.draw(x), drawn.to(device)) if numbered else tuple(views.draw(x))

        def before_epoch() -> None:
            encoder = cast(Encoder, objective.encoder)
            parts = torch.split(torch.arange(rows.n_rows), _ROWS_AT_ONCE)
            cast(Any, objective).on_epoch(
                torch.cat([apply_in_batches(encoder, rows.take(part)) for part in parts]).to(device)
            )

        return fit(
            objective,
            batch_of,
            rows.n_rows,
            self._schedule(rows.n_rows),
            generator=torch.Generator().manual_seed(seed),
            epoch=rows.epoch,
            before_epoch=before_epoch if hasattr(objective, "on_epoch") else None,
            on_epoch=self._watching(objective, rows),
            runtime=Runtime(self.precision, self._checkpoint(rows, seed, draws), team),
        )

    def _watching(self, objective: nn.Module, rows: Rows) -> OnEpoch | None:
        """`on_epoch`, and `on_watch` now and then, for which some rows are kept at hand."""
        watch = self.on_watch
        if watch is None:
            return self.on_epoch
        some = rows.some()
        some = some[:: max(1, len(some) // _N_WATCHED)].clone()

        def hear(done: int, total: int, loss: float) -> None:
            if done % math.ceil(total / _TIMES_WATCHED) == 0 or done == total:
                watch(signs_of_collapse(objective, apply_in_batches(cast(Encoder, objective.encoder), some)))
            if self.on_epoch is not None:
                self.on_epoch(done, total, loss)

        return hear

    def _checkpoint(self, rows: Rows, seed: int, draws: torch.Generator) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        if self.random_state is None:
            raise ValueError("a training goes on from its checkpoint only if it is the same: pass a random_state")
        view, view_options = self._named_view()
        named = {"objective": self.objective, "encoder": self.encoder, "view": view}
        settings = ("encoder_options", "epochs", "batch_size", "learning_rate", "weight_decay")
        identity = {
            **{what: value if isinstance(value, str) else describe_callable(value) for what, value in named.items()},
            **{name: getattr(self, name) for name in settings},
            "view_options": view_options,
            "min_steps": self.min_steps,
            "objective_options": self.options_,
            "precision": self.precision,
            "seed": seed,
            "device": draws.device.type,
            "samples": rows.n_rows,
            **rows.identity,
        }
        return Checkpoint(self.checkpoint, identity, generators=[draws], minutes=self.checkpoint_minutes)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Embed `X`, ``(n_samples, n_genes)``, as ``(n_samples, out_dim)``; the same whatever the batch."""
        values = checked_expression(self, X)
        embedding = apply_in_batches(self.encoder_, torch.from_numpy(self.scaler_.transform(values)))
        return embedding.numpy()

    def to_bundle(self) -> Bundle:
        """Describe the fitted encoder for saving."""
        check_is_fitted(self)
        scaling, tables = describe_scaler(self.scaler_)
        description = {
            "kind": "encoder",
            "architecture": describe_encoder(self.encoder, self.encoder_options),
            "scaling": scaling,
            "pretraining": self.pretraining_,
        }
        weights = {f"encoder.{name}": value for name, value in self.encoder_.state_dict().items()}
        return Bundle(description, {**weights, **tables})

    def _describe_pretraining(self) -> dict[str, Any]:
        view, view_options = self._named_view()
        return {
            "objective": self.objective if isinstance(self.objective, str) else repr(self.objective),
            "objective_options": self.options_,
            "view": view if isinstance(view, str) else repr(view),
            "view_options": view_options,
            "epochs": len(self.history_.losses),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "losses": self.history_.losses,
            "diagnosis": self.diagnosis_,
            "quality": self.quality_,
        }

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted encoder from what `to_bundle` or `FineTunedClassifier.to_bundle` described."""
        architecture = bundle.description["architecture"]
        options = architecture["options"]
        model = cls(encoder=architecture["name"], encoder_options=options)
        model.scaler_ = rebuild_scaler(bundle)
        model.n_features_in_ = model.scaler_.n_features_in_
        model.encoder_ = resolve("encoder", model.encoder, ENCODERS)(model.n_features_in_, **options)
        model.encoder_.load_state_dict(part_of(bundle.weights, "encoder."))
        model.encoder_.eval()
        model.pretraining_ = bundle.description.get("pretraining")
        model._n_features_out = model.encoder_.out_dim
        return model

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}

"""Where a network starts from: the encoder it takes over, and the new one."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from oligolearn.estimators.building import resolve
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.nn import ENCODERS, Classifier, Encoder, transfer
from oligolearn.saving import load_bundle

Pretrained: TypeAlias = SelfSupervisedEncoder | FrozenEstimator | str | os.PathLike[str] | None


class Start(NamedTuple):
    """What a new network is made of.

    Attributes
    ----------
    encoder, encoder_options
        Name in `oligolearn.nn.ENCODERS` or a factory, and its settings; not used where `source` brings its own.
    source
        Fitted encoder to start from, or None.
    transfer_layers
        Number of its blocks to take over, from the input on; None for all.
    frozen_layers
        Number of blocks that do not learn; None for all.
    dropout
        Share of the embedding set to zero while training.
    """

    encoder: str | Callable[..., Encoder]
    encoder_options: Mapping[str, Any] | None = None
    source: SelfSupervisedEncoder | None = None
    transfer_layers: int | None = None
    frozen_layers: int | None = 0
    dropout: float = 0.0

    @property
    def recipe(self) -> tuple[str | Callable[..., Encoder], Mapping[str, Any] | None]:
        """Encoder and settings that are used."""
        origin = self if self.source is None else self.source
        return origin.encoder, origin.encoder_options

    def build(self, n_features: int, n_outputs: int) -> Classifier:
        """Make the network; its initial weights are drawn from torch's generator."""
        named, options = self.recipe
        encoder = resolve("encoder", named, ENCODERS)(n_features, **(options or {}))
        n_blocks, transferred = len(encoder.blocks), 0
        if self.source is not None:
            transferred = n_blocks if self.transfer_layers is None else self.transfer_layers
            transfer(self.source.encoder_, encoder, transferred)
        return Classifier(
            encoder,
            n_outputs,
            dropout=self.dropout,
            frozen_blocks=n_blocks if self.frozen_layers is None else self.frozen_layers,
            pretrained_blocks=transferred,
        )


def find_pretrained(source: Pretrained, values: NDArray[np.floating], seed: int) -> SelfSupervisedEncoder | None:
    """Give the fitted encoder that `source` stands for; one that is not fitted is pretrained on `values`.

    Raises
    ------
    ValueError
        If it was fitted to another number of genes.
    """
    if source is None:
        return None
    fitted: SelfSupervisedEncoder
    if isinstance(source, str | os.PathLike):
        fitted = SelfSupervisedEncoder.from_bundle(load_bundle(source))
    else:
        fitted = source.estimator if isinstance(source, FrozenEstimator) else source
        if not hasattr(fitted, "encoder_"):
            fitted = clone(fitted).set_params(random_state=seed).fit(values)
    if fitted.n_features_in_ != values.shape[1]:
        raise ValueError(
            f"the pretrained encoder expects {fitted.n_features_in_} genes, X has {values.shape[1]}; align the "
            "genes by name first"
        )
    return fitted

"""Where the heads of a transformer look."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oligolearn.estimators.sequence_fitting import checked_sequences
from oligolearn.explain.filters import SequenceModel
from oligolearn.nn import BothStrands, SequenceTransformer
from oligolearn.nn.sequence_transformer import TransformerLayer, rotated
from oligolearn.nn.track import Track
from oligolearn.training import exact_copy


class AttentionMaps(NamedTuple):
    """Attention of each head of the first network, on the forward strand.

    Attributes
    ----------
    by_distance
        Mean attention that a letter gives to the one so many places to its right (of negative distances, its left),
        ``(n_layers, n_heads, 2 * reach + 1)``, over all letters of all sequences that have one there.
    distances
        ``(2 * reach + 1,)``.
    example
        Attention of each letter (rows) to each (columns) in one sequence, ``(n_layers, n_heads, length, length)``.
    row
        Number of that sequence.
    """

    by_distance: NDArray[np.float64]
    distances: NDArray[np.int64]
    example: NDArray[np.float64]
    row: int


def has_attention(model: SequenceModel) -> bool:
    """Whether the model is a `SequenceTransformer`."""
    return isinstance(_encoder(model), SequenceTransformer)


def attention_maps(model: SequenceModel, X: Any, *, row: int = 0, reach: int = 30) -> AttentionMaps:
    """Attention of each head, averaged by distance, and in full for one sequence.

    What a head looks at is not what the prediction depends on (Jain 2019); for that see `attribute`.

    Parameters
    ----------
    model
        With the encoder ``"transformer"``.
    X
        Texts, or `Sequences`.
    row
        Of the example.
    reach
        Largest distance.

    Raises
    ------
    ValueError
        If the model has no attention, or there is no such row.
    """
    if not has_attention(model):
        raise ValueError("only a model with the encoder 'transformer' has attention maps")
    sequences = checked_sequences(X, model.recipes_)
    if not 0 <= row < len(sequences):
        raise ValueError(f"row must lie between 0 and {len(sequences) - 1}, found {row}")
    encoder: Any = exact_copy(_encoder(model)).cpu()
    total: NDArray[np.float64] | None = None
    seen = np.zeros(2 * reach + 1)
    example = np.zeros(0)
    for number in range(len(sequences)):
        codes = model.recipes_[0].codes(sequences, np.array([number]))
        weights = attention_weights(encoder, codes[:, codes[0] > 0])
        if number == row:
            example = weights.numpy()
        sums, n = _by_distance(weights.numpy(), reach)
        total = sums if total is None else total + sums
        seen += n
    mean = np.zeros_like(sums) if total is None else total / np.maximum(seen, 1)
    return AttentionMaps(mean, np.arange(-reach, reach + 1), example, row)


def _encoder(model: SequenceModel) -> Any:
    network: Any = model.module_[0]
    return network.encoder.encoder if isinstance(network.encoder, BothStrands) else network.encoder


@torch.no_grad()
def attention_weights(encoder: SequenceTransformer, codes: Tensor) -> Tensor:
    """Weights of every layer and head for one sequence without padding, ``(n_layers, n_heads, length, length)``."""
    track: Any = encoder.blocks[0](codes)
    found = []
    for layer in encoder.blocks[1:-1]:
        found.append(layer_weights(layer, track))  # type: ignore[arg-type]
        track = layer(track)
    return torch.stack(found)


def layer_weights(layer: TransformerLayer, track: Track) -> Tensor:
    """Softmax of the products of rotated queries and keys of one sequence, ``(n_heads, length, length)``."""
    x = track.values.transpose(1, 2)
    parts = layer.queries_keys_values(layer.before_attention(x)).view(*x.shape[:2], 3, layer.n_heads, -1)
    queries, keys, _ = parts.permute(2, 0, 3, 1, 4)
    products = rotated(queries) @ rotated(keys).transpose(-1, -2) / math.sqrt(queries.shape[-1])
    weights: Tensor = products.softmax(dim=-1)[0]
    return weights


def _by_distance(weights: NDArray[np.float64], reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over the diagonals of each map, and how many letters each has."""
    length = weights.shape[-1]
    sums = np.zeros((*weights.shape[:2], 2 * reach + 1))
    n = np.zeros(2 * reach + 1)
    for i, distance in enumerate(range(-reach, reach + 1)):
        if abs(distance) < length:
            sums[..., i] = np.diagonal(weights, distance, axis1=2, axis2=3).sum(axis=-1)
            n[i] = length - abs(distance)
    return sums, n

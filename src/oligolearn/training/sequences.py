"""Sequences of plain layers, computed for all replicas at once.

Under `torch.func.vmap` every operation of every layer costs tens of microseconds of Python and dispatch. A sequence of
linear layers, batch norms, elementwise functions and dropout needs none of that: its layers are written out here for
stacked weights, and `torch.func.vmap` meets one operation instead of all of theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oligolearn.training.norms import Affine, Statistics, normalise

Step = Callable[[Tensor], Tensor]
Products = Callable[[nn.Linear, Tensor], Step | None]
Masks = Callable[[Tensor, float], Tensor]
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)


class StackedSequence:
    """An `nn.Sequential` whose layers are written out for all replicas; takes the place of its `forward`.

    Parameters
    ----------
    name, sequence
        Of the module that stands for all replicas.
    stacked
        Parameters and buffers of all replicas by name, ``(n_replicas, ...)``.
    product
        Gives the product with a stacked weight, or None for torch's own.
    masks
        Dropout masks ``(n_replicas, batch, n_units)``; None where dropout is not drawn here.
    """

    def __init__(
        self, name: str, sequence: nn.Sequential, stacked: Mapping[str, Tensor], product: Products, masks: Masks | None
    ) -> None:
        self.sequence = sequence
        self.steps: list[Step] = []
        for number, layer in enumerate(sequence):
            own = {kind: stacked.get(f"{name}.{number}.{kind}") for kind in _NAMES}
            self.steps.append(_step(layer, own, product, masks))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the sequence for rows ``(batch, n_in)`` under `torch.func.vmap`."""
        if x.dim() != 2:
            plain: Tensor = nn.Sequential.forward(self.sequence, x)  # type: ignore[no-untyped-call]
            return plain
        marker = next(self.sequence.parameters())  # batched, even where all replicas see the same rows
        out: Tensor = _Stacked.apply(x, marker, self)  # type: ignore[no-untyped-call]
        return out


_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def is_plain(sequence: nn.Module) -> bool:
    """Whether a module is a sequence of layers that are written out here."""
    return type(sequence) is nn.Sequential and len(sequence) > 0 and all(map(_is_known, sequence))


def _is_known(layer: nn.Module) -> bool:
    if type(layer) is nn.BatchNorm1d:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    return type(layer) in (nn.Linear, nn.Dropout, *_ELEMENTWISE)


def _step(layer: nn.Module, own: Mapping[str, Tensor | None], product: Products, masks: Masks | None) -> Step:
    if isinstance(layer, nn.Linear):
        return _linear(layer, own["weight"], own["bias"], product)
    if isinstance(layer, nn.BatchNorm1d):
        return partial(_norm, layer, own)
    if isinstance(layer, nn.Dropout):
        return lambda x: x * masks(x, layer.p) if masks is not None and layer.training and layer.p > 0 else x
    return layer


def _norm(layer: nn.BatchNorm1d, own: Mapping[str, Tensor | None], x: Tensor) -> Tensor:
    weight, bias, mean, variance, n_seen = (own[name] for name in _NAMES)
    if weight is None or bias is None or mean is None or variance is None:
        raise KeyError("a stacked parameter or buffer of a batch norm is missing")
    return normalise(layer, x, Affine(weight, bias), Statistics(mean, variance, n_seen))


def _linear(layer: nn.Linear, weight: Tensor | None, bias: Tensor | None, product: Products) -> Step:
    if weight is None:
        raise KeyError("a stacked weight is missing")
    compute = product(layer, weight)

    def step(x: Tensor) -> Tensor:
        out = torch.matmul(x, weight.mT) if compute is None else compute(x)
        return out if bias is None else out + bias[:, None]

    return step


class _Stacked(torch.autograd.Function):
    """A `StackedSequence` as `torch.func.vmap` meets it."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor, marker: Tensor, sequence: StackedSequence) -> Tensor:
        raise NotImplementedError("only under vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise NotImplementedError("only under vmap")

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[int | None], x: Tensor, marker: Tensor, sequence: StackedSequence
    ) -> tuple[Tensor, int]:
        x = x if in_dims[0] is None else x.movedim(in_dims[0], 0)
        for step in sequence.steps:
            x = step(x)
        return x, 0

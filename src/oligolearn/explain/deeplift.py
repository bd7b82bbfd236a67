"""DeepLIFT's rescale rule, for the layers that our encoders are made of."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_ALIKE = 1e-9  # inputs closer than that have the gradient for a multiplier


class RescaleRule(TorchFunctionMode):
    """While it is active, backward passes give DeepLIFT's multipliers in place of gradients (Shrikumar 2017).

    Rows of every batch are pairs: an input, then its reference. Of a rectifier the multiplier is the ratio of the
    differences of output and input. Of a maximum over places the difference of outputs goes to the place that is the
    largest in the input, as far as it is above the reference's maximum, and the rest to the place that is the
    largest in the reference. Linear layers have one by themselves. Products, as in attention, recurrent layers and
    layer norm, keep their gradients: there the multipliers do not add up, which the caller has to check.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (F.relu, torch.relu, Tensor.relu, F.gelu):
            return _Elementwise.apply(args[0], F.gelu if func is F.gelu else torch.relu)  # type: ignore[no-untyped-call]
        if func is Tensor.amax and kwargs.get("dim", args[1] if len(args) > 1 else None) == args[0].ndim - 1:
            return _LargestPlace.apply(args[0])  # type: ignore[no-untyped-call]
        if func is F.max_pool1d:
            return _LargestPlace.apply(_windows(args[0], args[1]))  # type: ignore[no-untyped-call]
        return func(*args, **kwargs)


def _windows(x: Tensor, size: int) -> Tensor:
    """Every `size` places side by side in a dimension of their own; the last may be fewer."""
    missing = -x.shape[-1] % size
    padded: Tensor = F.pad(x, (0, missing), value=-torch.inf)
    return padded.view(*x.shape[:-1], -1, size)


class _Elementwise(torch.autograd.Function):
    """A function of each number, whose backward pass is the ratio of differences."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.function = function
        return function(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            inner = x.detach().requires_grad_(requires_grad=True)
            y = ctx.function(inner)
            (slope,) = torch.autograd.grad(y.sum(), inner)
        change = x[0::2] - x[1::2]
        ratio = (y[0::2] - y[1::2]).detach() / torch.where(change.abs() > _ALIKE, change, 1)
        slope[0::2] = torch.where(change.abs() > _ALIKE, ratio, slope[0::2])
        return gradient * slope, None


class _LargestPlace(torch.autograd.Function):
    """Maximum over the last dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        largest = x.max(dim=-1)
        ctx.save_for_backward(x, largest.indices)
        return largest.values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, places = ctx.saved_tensors
        mine, other = x[0::2], x[1::2]
        mine_at, other_at = places[0::2, ..., None], places[1::2, ..., None]
        top = mine.gather(-1, mine_at)
        reference = other.gather(-1, other_at)
        highest = torch.maximum(top, reference)
        multiplier = torch.zeros_like(mine)
        for at, difference in ((mine_at, highest - reference), (other_at, top - highest)):
            change = mine.gather(-1, at) - other.gather(-1, at)
            safe = torch.where(change.abs() > _ALIKE, change, 1)
            share = torch.where(change.abs() > _ALIKE, difference / safe, 0)
            multiplier.scatter_add_(-1, at, share)
        given = torch.zeros_like(x)
        given[0::2] = multiplier * gradient[0::2, ..., None]
        return given

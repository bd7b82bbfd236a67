"""Matrix products of linear layers, as fast as the machine has them, and dropout with a generator of its own.

`fast_products` changes how the `nn.Linear`, `nn.Conv1d` and `nn.Dropout` layers of a module compute while it is
trained; the module itself, and whoever wrote it, need not know. Nearly all time of a network over 20,000 genes goes to
its first layer, and of one over sequences to its convolutions, so:

- products and convolutions run in bfloat16 where the hardware has it, weights and sums stay in 32 bits;
- the gradient of a weight goes to the same memory in every step. Fresh memory of that size is handed out by the
  operating system page by page, which takes longer than the product.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.training.layers import Products, StackedLayers, drop, is_plain, named_within
from oligolearn.training.memory import lasting

PRECISIONS = ("auto", "32", "bf16")
_SMALLEST_BF16 = 2**15  # weights: below, converting costs more than the product
_SMALLEST_FILTER = 16  # numbers that a filter reads: likewise

_SMALLEST_KEPT = 2**20  # weights, over all replicas: from here on, fresh memory costs more than a call of ours
_Forward = tuple[nn.Module, Callable[[Tensor], Tensor]]


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn ``"auto"`` into ``"bf16"`` where the hardware multiplies bfloat16 matrices, else ``"32"``.

    Raises
    ------
    ValueError
        If the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    native = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return "bf16" if native else "32"


@contextmanager
def fast_products(
    module: nn.Module,
    precision: str,
    *,
    generators: Sequence[torch.Generator] = (),
    stacked: Mapping[str, Tensor] | None = None,
) -> Iterator[Callable[[], None]]:
    """Let the layers of `module` compute fast, and its dropout draw from `generators`.

    Parameters
    ----------
    module
        Computes as before when the context is left.
    precision
        ``"32"`` or ``"bf16"``. Linear layers of fewer than 32,768 weights, convolutions of replicas, and modules in 64
        bits, keep their own.
    generators
        For the dropout masks, one for each replica, on the device of the module.
    stacked
        Under `torch.func.vmap`: parameters and buffers of all replicas by name, ``(n_replicas, ...)``.

    Yields
    ------
    callable
        To be called whenever the weights have changed: an optimizer's fused step leaves no trace on them.
    """
    weights: list[_Weight] = []

    def changed() -> None:
        for weight in weights:
            weight.changed = True

    def product(layer: nn.Linear, weight: Tensor) -> Callable[[Tensor], Tensor] | None:
        compute = _product_for(layer, weight, precision)
        if compute is None:
            return None
        weights.append(compute)
        return partial(_multiply, compute, weight)

    if stacked is None:
        forwards = _forwards(module, product, precision, generators)
    else:
        forwards = _stacked_forwards(module, stacked, product, generators)
    patched = []
    try:
        for layer, forward in forwards:
            setattr(layer, _name_of(layer), forward)
            patched.append(layer)
        yield changed
    finally:
        for layer in patched:
            vars(layer).pop(_name_of(layer), None)  # a layer may be there under two names


def exact_copy(module: nn.Module) -> nn.Module:
    """A copy in 64 bits and evaluation mode that computes as torch does, also while `module` is trained.

    What `fast_products` puts into layers is not copied: it would go on rounding to bfloat16, and hold the copy, and
    memory of the size of its weights, until Python looks for cycles.
    """
    changed = [forward for layer in module.modules() if _is_ours(forward := vars(layer).get(_name_of(layer)))]
    copied = copy.deepcopy(module, {id(forward): None for forward in changed})
    for layer in copied.modules():
        if vars(layer).get(_name_of(layer), layer) is None:
            delattr(layer, _name_of(layer))
    return copied.double().eval()


def _name_of(layer: nn.Module) -> str:
    """The method that is replaced; a subclass of a convolution may take more than a tensor in its `forward`."""
    return "_conv_forward" if isinstance(layer, nn.Conv1d) else "forward"


def _is_ours(forward: Any) -> bool:
    ours = (_linear, _convolution, _dropout)
    return isinstance(forward, StackedLayers) or (isinstance(forward, partial) and forward.func in ours)


def _forwards(
    module: nn.Module, product: Products, precision: str, generators: Sequence[torch.Generator]
) -> Iterator[_Forward]:
    """Layers of one model, and what takes the place of their `forward`."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d) and precision == "bf16" and _gains(layer):
            yield layer, partial(_convolution, layer)
        elif type(layer) is nn.Linear:
            compute = product(layer, layer.weight)
            if compute is not None:
                yield layer, partial(_linear, layer, compute)
        elif type(layer) is nn.Dropout and layer.p > 0 and generators:
            yield layer, partial(_dropout, layer, generators[0])


def _stacked_forwards(
    part: nn.Module,
    stacked: Mapping[str, Tensor],
    product: Products,
    generators: Sequence[torch.Generator],
) -> Iterator[_Forward]:
    """Plain parts of the module that stands for all replicas, and what takes the place of their `forward`."""
    names = {name for name, _ in (*part.named_parameters(), *part.named_buffers())}
    if is_plain(part) and names <= stacked.keys():  # a weight that two layers share has one name only
        yield part, StackedLayers(part, stacked, product, generators)
        return
    for name, child in part.named_children():
        yield from _stacked_forwards(child, named_within(name, stacked), product, generators)


def draws_dropout(module: nn.Module) -> bool:
    """Whether a module has dropout that is on."""
    return any(type(layer) is nn.Dropout and layer.p > 0 for layer in module.modules())


def _product_for(layer: nn.Linear, weight: Tensor, precision: str) -> "_Weight | None":
    """Memory for the product of a layer, None where torch's own way is as good."""
    size = layer.weight.numel()
    half = precision == "bf16" and size >= _SMALLEST_BF16 and weight.dtype == torch.float32
    if not half and weight.numel() < _SMALLEST_KEPT:
        return None
    return _Weight(weight, torch.bfloat16 if half else weight.dtype)


def _gains(layer: nn.Conv1d) -> bool:
    """Whether a convolution is faster in bfloat16, and pads with zeros as `_convolution` does."""
    large = layer.weight[0].numel() >= _SMALLEST_FILTER
    return large and layer.weight.dtype == torch.float32 and layer.padding_mode == "zeros"


class _Weight:
    """A weight, ``(n_out, n_in)`` or ``(n_replicas, n_out, n_in)``, with the memory that its products use again."""

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self.weight = weight
        self.dtype = dtype
        self._rounded: Tensor | None = None
        self.changed = True
        self._product: Tensor | None = None
        self._gradient: Tensor | None = None

    def rounded(self) -> Tensor:
        """The weight in the precision of the product, converted once after each change."""
        if self.dtype == self.weight.dtype:
            return self.weight.detach()
        if self._rounded is None:
            self._rounded = lasting(self.weight.shape, self.dtype, self.weight.device)
        if self.changed:
            self._rounded.copy_(self.weight.detach())
            self.changed = False
        return self._rounded

    def add_gradient(self, d_out: Tensor, x: Tensor) -> None:
        """Add ``d_out.T @ x`` to the gradient of the weight."""
        multiply, turned = (torch.mm, d_out.mT.contiguous()) if d_out.dim() == 2 else (torch.bmm, d_out.mT)
        if self._gradient is None:
            self._gradient = lasting(self.weight.shape, self.weight.dtype, self.weight.device)
        if self.weight.grad is None and self.dtype == self.weight.dtype:
            self.weight.grad = multiply(turned, x, out=self._gradient)
            return
        if self._product is None:
            self._product = lasting(self.weight.shape, self.dtype, self.weight.device)
        multiply(turned, x, out=self._product)
        if self.weight.grad is None:
            self.weight.grad = self._gradient.copy_(self._product)
        else:
            self.weight.grad.add_(self._product)


def _multiply(compute: _Weight, weight: Tensor, x: Tensor) -> Tensor:
    out: Tensor = _Product.apply(x, weight, compute)  # type: ignore[no-untyped-call]
    return out


def _linear(layer: nn.Linear, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What `nn.Linear.forward` gives, for rows ``(..., n_in)``."""
    out = compute(x if x.dim() == 2 else x.flatten(0, -2))
    if x.dim() != 2:
        out = out.reshape(*x.shape[:-1], out.shape[-1])
    return out if layer.bias is None else out + layer.bias


def _convolution(layer: nn.Conv1d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `nn.Conv1d` gives, computed in bfloat16."""
    half = torch.bfloat16
    low = None if bias is None else bias.to(half)
    places: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return F.conv1d(x.to(half), weight.to(half), low, *places).to(weight.dtype)


def _dropout(layer: nn.Dropout, generator: torch.Generator, x: Tensor) -> Tensor:
    """What `nn.Dropout.forward` gives."""
    return drop(x, layer.p, generator) if layer.training else x


class _Product(torch.autograd.Function):
    """``x @ weight.T``, of one model or of all replicas; the weight's gradient is kept by `_Weight`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, compute: _Weight) -> Tensor:
        low, rounded = x.to(compute.dtype), compute.rounded()
        ctx.save_for_backward(low)
        ctx.compute = compute
        ctx.dtype = x.dtype
        if rounded.dim() == 2:
            out = F.linear(low, rounded)
        elif low.dim() == 2:  # all replicas see the same rows: one product
            out = F.linear(low, rounded.flatten(0, 1)).view(len(low), *rounded.shape[:2]).transpose(0, 1)
        else:
            out = torch.bmm(low, rounded.mT)
        return out.to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (low,) = ctx.saved_tensors
        d_out = gradients[0].to(low.dtype)
        rounded = ctx.compute.rounded()
        d_x = None
        if ctx.needs_input_grad[0]:
            product = torch.matmul(d_out, rounded).to(ctx.dtype)
            d_x = product if product.dim() == low.dim() else product.sum(dim=0)
        if ctx.needs_input_grad[1]:
            ctx.compute.add_gradient(d_out, low if low.dim() == d_out.dim() else low.expand(len(d_out), -1, -1))
        return d_x, None, None

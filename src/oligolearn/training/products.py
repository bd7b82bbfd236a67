"""Matrix products of linear layers, as fast as the machine has them, and dropout with a generator of its own.

`fast_products` changes how the `nn.Linear` and `nn.Dropout` layers of a module compute while it is trained; the module
itself, and whoever wrote it, need not know. Nearly all time of a network over 20,000 genes goes to its first layer, so:

- products run in bfloat16 where the hardware has it, weights and sums stay in 32 bits;
- the gradient of a weight goes to the same memory in every step. Fresh memory of that size is handed out by the
  operating system page by page, which takes longer than the product.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.training.norms import replicated_norm
from oligolearn.training.sequences import StackedSequence, is_plain

PRECISIONS = ("auto", "32", "bf16")
_SMALLEST_BF16 = 2**15  # weights: below, converting costs more than the product
_SMALLEST_KEPT = 2**20  # weights, over all replicas: from here on, fresh memory costs more than a call of ours


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
    """Let the linear layers of `module` compute fast, and its dropout draw from `generators`.

    Parameters
    ----------
    module
        Computes as before when the context is left.
    precision
        ``"32"`` or ``"bf16"``. Layers of fewer than 32,768 weights, and modules in 64 bits, keep their own.
    generators
        For the dropout masks, one for each replica, on the device of the module.
    stacked
        Under `torch.func.vmap`: parameters and buffers of all replicas by name, ``(n_replicas, ...)``.

    Yields
    ------
    callable
        To be called whenever the weights have changed: an optimizer's fused step leaves no trace on them.
    """
    patched: list[nn.Module] = []
    weights: list[_Weight] = []

    def changed() -> None:
        for weight in weights:
            weight.changed = True

    def product(layer: nn.Linear, weight: Tensor) -> Callable[[Tensor], Tensor] | None:
        compute = _product_for(layer, weight, precision)
        if compute is None:
            return None
        weights.append(compute)
        return partial(_apply, weight=weight, compute=compute)

    try:
        for name, layer in module.named_modules():
            if stacked is not None and is_plain(layer):
                masks = partial(_masks, generators=generators) if generators else None
                layer.forward = StackedSequence(name, layer, stacked, product, masks)
                patched.append(layer)
            elif type(layer) is nn.Linear:
                weight = layer.weight if stacked is None else stacked.get(f"{name}.weight", layer.weight)
                compute = _product_for(layer, weight, precision)
                if compute is not None:
                    layer.forward = partial(_linear, layer, compute)  # type: ignore[method-assign]
                    patched.append(layer)
                    weights.append(compute)
            elif type(layer) is nn.Dropout and layer.p > 0 and generators:
                layer.forward = partial(_dropout, layer, generators)  # type: ignore[method-assign]
                patched.append(layer)
            elif type(layer) is nn.BatchNorm1d and layer.affine and stacked is not None:
                layer.forward = partial(replicated_norm, layer)  # type: ignore[method-assign]
                patched.append(layer)
        yield changed
    finally:
        for layer in patched:
            del layer.forward


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
            self._rounded = torch.empty_like(self.weight, dtype=self.dtype)
        if self.changed:
            self._rounded.copy_(self.weight.detach())
            self.changed = False
        return self._rounded

    def add_gradient(self, d_out: Tensor, x: Tensor) -> None:
        """Add ``d_out.T @ x`` to the gradient of the weight."""
        multiply, turned = (torch.mm, d_out.mT.contiguous()) if d_out.dim() == 2 else (torch.bmm, d_out.mT)
        if self._gradient is None:
            self._gradient = torch.empty_like(self.weight)
        if self.weight.grad is None and self.dtype == self.weight.dtype:
            self.weight.grad = multiply(turned, x, out=self._gradient)
            return
        if self._product is None:
            self._product = torch.empty_like(self.weight, dtype=self.dtype)
        multiply(turned, x, out=self._product)
        if self.weight.grad is None:
            self.weight.grad = self._gradient.copy_(self._product)
        else:
            self.weight.grad.add_(self._product)


def _apply(x: Tensor, weight: Tensor, compute: _Weight) -> Tensor:
    out: Tensor = _Product.apply(x, weight, compute)  # type: ignore[no-untyped-call]
    return out


def _linear(layer: nn.Linear, compute: _Weight, x: Tensor) -> Tensor:
    """What `nn.Linear.forward` gives, for rows ``(..., n_in)``."""
    product = _Replicated if compute.weight.dim() == 3 else _Product
    rows = x if x.dim() == 2 else x.flatten(0, -2)
    out: Tensor = product.apply(rows, layer.weight, compute)  # type: ignore[no-untyped-call]
    if x.dim() != 2:
        out = out.reshape(*x.shape[:-1], out.shape[-1])
    return out if layer.bias is None else out + layer.bias


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


class _Replicated(torch.autograd.Function):
    """`_Product` as `torch.func.vmap` meets it: hands the weights of all replicas on at once."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor, weight: Tensor, compute: _Weight) -> Tensor:
        raise NotImplementedError("only under vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise NotImplementedError("only under vmap")

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, weight: Tensor, compute: _Weight
    ) -> tuple[Tensor, int]:
        rows = x if in_dims[0] is None else x.movedim(in_dims[0], 0)
        return _Product.apply(rows, weight, compute), 0  # type: ignore[no-untyped-call]


def _dropout(layer: nn.Dropout, generators: Sequence[torch.Generator], x: Tensor) -> Tensor:
    """What `nn.Dropout.forward` gives, the mask of each replica drawn from its own generator."""
    if not layer.training:
        return x
    if torch._C._functorch.is_batchedtensor(x):
        kept: Tensor = _Masks.apply(x, layer.p, generators)  # type: ignore[no-untyped-call]
    else:
        kept = _mask(x, layer.p, generators[0])
    return x * kept


def _mask(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) >= p
    return kept.to(x.dtype) / (1 - p) if p < 1 else torch.zeros_like(x)


class _Masks(torch.autograd.Function):
    """Dropout masks as `torch.func.vmap` meets them: one generator for each replica."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor, p: float, generators: Sequence[torch.Generator]) -> Tensor:
        raise NotImplementedError("only under vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, p: float, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, int]:
        return _masks(x.detach().movedim(in_dims[0] or 0, 0), p, generators), 0


def _masks(rows: Tensor, p: float, generators: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([_mask(one, p, generator) for one, generator in zip(rows, generators, strict=True)])

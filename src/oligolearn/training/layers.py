"""Plain layers, computed for all replicas at once.

Under `torch.func.vmap` every operation of every layer costs tens of microseconds of Python and dispatch. Linear layers,
batch norms, elementwise functions and dropout need none of that: they are written out here for stacked weights, and
`torch.func.vmap` meets nothing of what a layer, or a whole sequence of them, does.

They step out of `torch.func.vmap` as a `torch.autograd.Function` with a rule of its own for it does; that one takes 130
µs a call, which is longer than the layers of a small network.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _functorch as functorch
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter

from oligolearn.training.norms import normalise

Step = Callable[[Tensor], Tensor]
Products = Callable[[nn.Linear, Tensor], Step | None]
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)


def is_plain(module: nn.Module) -> bool:
    """Whether a module is a layer that is written out here, or a sequence of such layers."""
    if type(module) is nn.Sequential:
        return len(module) > 0 and all(type(layer) in _ELEMENTWISE or is_plain(layer) for layer in module)
    if type(module) is nn.BatchNorm1d:
        return module.affine and module.track_running_stats and module.momentum is not None
    return type(module) in (nn.Linear, nn.Dropout)


class StackedLayers:
    """Takes the place of the `forward` of a plain module under `torch.func.vmap`.

    Parameters
    ----------
    module
        What is written out.
    own
        Parameters and buffers of `module` by name, those of all replicas: ``(n_replicas, ...)``; rates of dropout where
        they differ.
    product
        Gives the product with a stacked weight, or None for torch's own.
    generators
        For dropout, one for each replica.
    """

    def __init__(
        self,
        module: nn.Module,
        own: Mapping[str, Tensor],
        product: Products,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._steps = list(_steps(module, own, product, generators))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute ``(...)`` of one replica, which is ``(n_replicas, ...)`` behind the scenes.

        Raises
        ------
        NotImplementedError
            Where a module calls `torch.func.vmap` itself.
        """
        level: Any = retrieve_current_functorch_interpreter()
        if level.level() != 1:
            raise NotImplementedError("torch.func.vmap inside of replicas")
        if functorch.is_batchedtensor(x):
            together = functorch.get_unwrapped(x).movedim(functorch.maybe_get_bdim(x), 0)
        else:
            together = x.expand(level.batch_size(), *x.shape)
        with level.lower():
            for step in self._steps:
                together = step(together)
        return functorch._add_batch_dim(together, 0, 1)


def drop(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """What `torch.nn.functional.dropout` gives, its mask drawn from a generator."""
    return x * _mask(x, p, generator)


def _steps(
    module: nn.Module, own: Mapping[str, Tensor], product: Products, generators: Sequence[torch.Generator]
) -> Iterator[Step]:
    if isinstance(module, nn.Sequential):
        for name, layer in module.named_children():
            yield from _steps(layer, named_within(name, own), product, generators)
    elif isinstance(module, nn.Linear):
        yield partial(_linear, product(module, own["weight"]), own["weight"], own.get("bias"))
    elif isinstance(module, nn.BatchNorm1d):
        yield partial(normalise, module, own)
    elif isinstance(module, nn.Dropout):
        rates = own["p"].tolist() if "p" in own else [module.p] * len(generators)
        yield partial(_drop_stacked, module, rates, generators)
    else:
        yield module


def named_within(name: str, stacked: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters and buffers of the part `name` of a module, by the names they have there."""
    prefix = f"{name}." if name else ""
    return {key.removeprefix(prefix): value for key, value in stacked.items() if key.startswith(prefix)}


def _linear(compute: Step | None, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    if x.stride(0) == 0:  # all replicas see the same rows: one product
        rows = x[0].reshape(-1, x.shape[-1])
    else:
        rows = x if x.dim() == 3 else x.reshape(len(x), -1, x.shape[-1])
    out = torch.matmul(rows, weight.mT) if compute is None else compute(rows)
    if bias is not None:
        out = out + bias[:, None]
    return out if x.dim() == 3 else out.reshape(*x.shape[:-1], out.shape[-1])


def _drop_stacked(
    layer: nn.Dropout, rates: Sequence[float], generators: Sequence[torch.Generator], x: Tensor
) -> Tensor:
    if not layer.training or layer.p == 0:
        return x
    masks = [_mask(one, p, generator) for one, p, generator in zip(x.detach(), rates, generators, strict=True)]
    return x * torch.stack(masks)


def _mask(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) >= p
    return kept.to(x.dtype).div_(1 - p) if p < 1 else torch.zeros_like(x)

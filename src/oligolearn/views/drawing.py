"""Random numbers for views, many millions in a step: on a CPU from 16 bits each, a third of the time of torch's own."""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

_LEVELS = 2**16


def draw_below(share: float, shape: Sequence[int], *, generator: torch.Generator) -> Tensor:
    """Draw True with the probability `share`, off by less than 1e-5; on the device of the `generator`."""
    if generator.device.type != "cpu":
        return torch.rand(tuple(shape), generator=generator, device=generator.device) < share
    level = round(share * _LEVELS)
    if level in (0, _LEVELS):  # which 16 bits do not hold
        return torch.full(tuple(shape), level == _LEVELS)
    return _bits(shape, generator) < level - _LEVELS // 2


def draw_normal(shape: Sequence[int], *, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw from N(0, 1); on the device of the `generator`, and there on a CPU one of 65,536 values, up to 4.3.

    Examples
    --------
    >>> drawn = draw_normal((1000, 1000), generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    >>> [round(abs(float(drawn.pow(power).mean())), 1) for power in (1, 2, 4)]
    [0.0, 1.0, 3.0]
    """
    if generator.device.type != "cpu":
        return torch.randn(tuple(shape), generator=generator, device=generator.device, dtype=dtype)
    numbers = _bits(shape, generator).to(torch.int32).add_(_LEVELS // 2)
    return _normal_values().to(dtype).index_select(0, numbers.view(-1)).view(tuple(shape))


def _bits(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Whole numbers of 16 bits, four of them from one draw."""
    n = math.prod(shape)
    drawn = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return drawn.view(torch.int16)[:n].view(tuple(shape))


@functools.cache
def _normal_values() -> Tensor:
    """As many values as there are numbers of 16 bits: in the middle, by probability, of slices of N(0, 1)."""
    middles = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    values: Tensor = torch.special.ndtri(middles)
    return (values / values.pow(2).mean().sqrt()).float()

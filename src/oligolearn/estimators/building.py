"""From names and options to modules on a device."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from oligolearn.data import ExpressionScaler, QuantileScaler
from oligolearn.estimators.harmonising import Scaler
from oligolearn.saving import Bundle
from oligolearn.training import Team

Made = TypeVar("Made")
SCALER = "scaler."  # how the names of a scaler's tables begin in a bundle
OnEpoch = Callable[[int, int, float], None]


def resolve(
    what: str, named: str | Callable[..., Made], table: Mapping[str, Callable[..., Made]]
) -> Callable[..., Made]:
    """Look up a name in `table`; a class or factory is passed through.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if not isinstance(named, str):
        return named
    if named not in table:
        raise ValueError(f"unknown {what} {named!r}; choose one of {', '.join(sorted(table))}, or pass a factory")
    return table[named]


def resolve_device(device: str) -> torch.device:
    """Turn ``"auto"`` into CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If the device is unknown or absent.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"unknown device {device!r}; choose auto, cpu or cuda") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for but this machine has none; pass device='cpu'")
    return found


def launch_team(device: str, devices: int, nodes: int) -> Team | None:
    """Start `devices` processes on each of `nodes` machines; None where one process is all."""
    if devices == nodes == 1:
        return None
    return Team.launch(resolve_device(device).type, devices, nodes)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators, which draw initial weights and dropout, and put them back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def describe_encoder(encoder: str | Callable[..., nn.Module], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """JSON-able recipe of an encoder.

    Raises
    ------
    ValueError
        If the encoder is a factory of the user's own, which a bundle cannot hold.
    """
    if not isinstance(encoder, str):
        raise ValueError(
            f"only encoders known by name can be saved, since loading a model runs no code; found a factory {encoder!r}"
        )
    return {"name": encoder, "options": dict(options or {})}


def describe_callable(factory: Callable[..., Any]) -> str:
    """Name of a factory that is the same in every process."""
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return f"{getattr(factory, '__module__', '')}.{name}"


def part_of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose name starts with `prefix`, which is taken off."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def describe_scaler(scaler: Scaler) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """JSON-able recipe of a scaler, and the tables that lie beside the weights of its model."""
    if isinstance(scaler, ExpressionScaler):
        return scaler.to_dict(), {}
    tables = {"quantiles": scaler.quantiles_, "reference": scaler.reference_}
    return {"kind": "quantile"}, {SCALER + name: torch.from_numpy(table.copy()) for name, table in tables.items()}


def rebuild_scaler(bundle: Bundle) -> Scaler:
    """Make a scaler anew from what `describe_scaler` said."""
    scaling = bundle.description["scaling"]
    if scaling.get("kind") != "quantile":
        return ExpressionScaler.from_dict(scaling)
    tables = part_of(bundle.weights, SCALER)
    return QuantileScaler(tables["quantiles"].numpy(), tables["reference"].numpy())

"""The state of a training on disk, so that a run that was killed goes on where it stopped."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from oligolearn.training.descent import AdamW
from oligolearn.writing import differences, whole_file

_LARGEST_SHARE = 0.1  # of the time, that writing may take


@dataclass
class Progress:
    """How far a training is.

    Attributes
    ----------
    step
        Optimizer steps done.
    losses
        Mean loss of each epoch that is done.
    epoch_losses
        Loss of each step of the epoch under way.
    order
        State of the generator of rows from which that epoch is drawn.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    epoch_losses: list[Tensor] = field(default_factory=list)
    order: Tensor | None = None


class Checkpoint:
    """A file that holds the state of a training, written whole and replaced as training goes on.

    It is written after every epoch (less often where that would take more than a tenth of the time) and, in long
    epochs, every `minutes`.

    Parameters
    ----------
    path
        The file, ``.safetensors``.
    identity
        What decides the training, JSON-able: settings, seed, fingerprint of the data. A file of another training is
        refused.
    generators
        What the batches draw from: views, for example.
    minutes
        Longest time between two writings.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        identity: Mapping[str, Any],
        *,
        generators: Sequence[torch.Generator] = (),
        minutes: float = 5.0,
    ) -> None:
        if not minutes > 0:
            raise ValueError(f"minutes between checkpoints must be positive, found {minutes}")
        self.path = Path(path)
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        self.generators = list(generators)
        self.minutes = minutes
        self._written = time.monotonic()
        self._took = 0.0

    def save(self, module: nn.Module, optimizer: AdamW, at: Progress) -> None:
        """Write the state of the training."""
        started = time.monotonic()
        tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer.state().items()}
        tensors |= {f"generator.{i}": generator.get_state() for i, generator in enumerate(self.generators)}
        tensors["torch"] = torch.get_rng_state()
        if at.order is not None:
            tensors["order"] = at.order
        if at.epoch_losses:
            tensors["epoch_losses"] = torch.stack(at.epoch_losses)
        write_state(self.path, tensors, {"identity": self.identity, "step": at.step, "losses": at.losses})
        self._written = time.monotonic()
        self._took = self._written - started

    def save_if_due(self, module: nn.Module, optimizer: AdamW, at: Progress) -> None:
        """Write the state of the training if it is time."""
        waited = time.monotonic() - self._written
        epoch_ended = not at.epoch_losses
        if waited > 60 * self.minutes or (epoch_ended and waited > self._took / _LARGEST_SHARE):
            self.save(module, optimizer, at)

    def resume(self, module: nn.Module, optimizer: AdamW, order: torch.Generator) -> Progress:
        """Put everything back as the file has it; a training that has no file yet starts at step 0.

        Raises
        ------
        ValueError
            If the file is damaged, or holds another training; says what differs.
        """
        if not self.path.exists():
            return Progress()
        tensors, facts = read_state(self.path, self.identity)
        module.load_state_dict(_part(tensors, "module."))
        optimizer.restore(_part(tensors, "optimizer."))
        for i, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator.{i}"])
        torch.set_rng_state(tensors["torch"])
        losses = list(tensors["epoch_losses"]) if "epoch_losses" in tensors else []
        if "order" in tensors:
            order.set_state(tensors["order"])
        return Progress(facts["step"], facts["losses"], losses)


def write_state(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state of a training, whole or not at all; `facts` are JSON-able, ``identity`` among them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        try:
            save_file(
                {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                temporary,
                metadata={"training": json.dumps(facts)},
            )
        except SafetensorError as error:  # such as a full disk
            raise OSError(f"{path} could not be written: {error}") from error


def read_state(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_state` wrote.

    Raises
    ------
    ValueError
        If the file is damaged, or the training has another identity; says what differs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            there = facts["identity"]
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the checkpoint {path} is damaged ({error}); remove it to start again") from None
    differ = differences(there, json.loads(json.dumps(identity)))
    if differ:
        raise ValueError(
            f"{path} is the checkpoint of another training: {differ}; repeat its command to go on with it, or remove it"
        )
    return tensors, facts


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

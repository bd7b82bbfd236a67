"""Networks over sequences that are trained together, as replicas of each other, where that is faster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from oligolearn.estimators.sequence_networks import Learning, Recipe, Task, Trained, new_network, train_network
from oligolearn.nn import EmbeddedKmers, Encoder, Letters
from oligolearn.nn.sequence_transformer import TransformerLayer
from oligolearn.training import DivergedError, Runtime, Schedule, fit_replicas, room_for_replicas


class Training(NamedTuple):
    """A training that is to be done; its parts are the parameters of `train_network`."""

    task: Task
    recipe: Recipe
    learning: Learning
    rows: tuple[NDArray[np.integer], NDArray[np.integer]]
    seed: int
    pretrained: Encoder | None = None
    blocks: tuple[int | None, int | None] = (0, 0)

    @property
    def schedule(self) -> Schedule:
        """Its length, batch size and rates."""
        return self.learning.schedule(len(self.rows[0]))

    def is_like(self, other: "Training") -> bool:
        """Whether two may be replicas: alike but for seed, sequences, targets, pretrained weights and rates."""
        return self._shared() == other._shared()

    def _shared(self) -> tuple[object, ...]:
        recipe, learning, schedule = self.recipe, self.learning, self.schedule
        built = (recipe.encoder, dict(recipe.options), recipe.rule, recipe.both_strands, self.blocks)
        learned = (self.task.n_out, self.task.target.dtype, self.task.target.ndim)
        embedding = None if recipe.embedding is None else recipe.embedding.to_dict()
        letters = (recipe.alphabet.name, recipe.alphabet.has_gap, embedding, self.pretrained is None)
        length = (len(self.rows[0]), schedule.steps, schedule.batch_size, schedule.clip_norm)
        return (built, learned, letters, length, learning.device, learning.precision, learning.dropout > 0)


class Ended(NamedTuple):
    """What became of a training.

    Attributes
    ----------
    result
        The network and its history, or why there is none.
    how
        ``"stacked"``, or ``"one at a time: "`` and the reason.
    """

    result: Trained | DivergedError
    how: str


def train_all(trainings: Sequence[Training], *, stacked: bool | None = None) -> list[Ended]:
    """Carry out trainings, each as `train_network` would alone but for rounding.

    Those that are alike are trained as replicas on a GPU. On a CPU they are not: one program for all convolutions is
    no faster there than one after the other (see docs/methods/replicas.md).

    Parameters
    ----------
    trainings
        In any order.
    stacked
        True or False decides; None lets the device decide.
    """
    groups: list[list[int]] = []
    for i, one in enumerate(trainings):
        for group in groups:
            if one.is_like(trainings[group[0]]):
                group.append(i)
                break
        else:
            groups.append([i])
    found: dict[int, Ended] = {}
    for group in groups:
        found |= zip(group, _train([trainings[i] for i in group], stacked), strict=True)
    return [found[i] for i in range(len(trainings))]


def why_alone(trainings: Sequence[Training], network: nn.Module, stacked: bool | None = None) -> str | None:  # noqa: FBT001
    """Why trainings that are alike are not done as replicas; None where they are.

    Parameters
    ----------
    trainings
        Alike.
    network
        Of one of them.
    stacked
        As in `train_all`.
    """
    parts = list(network.modules())
    masks_places = any(isinstance(part, TransformerLayer) and part.dropout.p > 0 for part in parts)
    reasons = {
        "torch's recurrent layers cannot be stacked": any(isinstance(part, nn.RNNBase) for part in parts),
        "dropout of padded places, whose number the others decide": masks_places and not _Batches(trainings).complete,
        "early stopping": any(len(one.rows[1]) for one in trainings),
        "asked for": stacked is False,
        "on a CPU convolutions are as fast alone": stacked is None and trainings[0].learning.device.type == "cpu",
        "a single replica": stacked is None and len(trainings) < 2,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _train(group: Sequence[Training], stacked: bool | None) -> list[Ended]:  # noqa: FBT001  (None, True, False)
    with torch.device("meta"):
        blueprint = group[0].recipe.build()
    reason = why_alone(group, blueprint, stacked)
    if reason is not None:
        return [Ended(_train_alone(one), f"one at a time: {reason}") for one in group]
    batches = _Batches(group)
    room = room_for_replicas(blueprint, batches.values(blueprint), group[0].learning.device)
    ended: list[Ended] = []
    for start in range(0, len(group), room):
        ended += _train_stacked(group[start : start + room], stacked)
    return ended


def _train_alone(one: Training) -> Trained | DivergedError:
    try:
        return train_network(*one)
    except DivergedError as error:
        return error


def _train_stacked(group: Sequence[Training], stacked: bool | None) -> list[Ended]:  # noqa: FBT001
    device, batches = group[0].learning.device, _Batches(group)
    networks = [new_network(one.task, one.recipe, one.learning, one.seed, one.pretrained, one.blocks) for one in group]
    losses = [one.task.loss(network, one.rows[0]).to(device) for one, network in zip(group, networks, strict=True)]
    # the other ways to compute attention have no rule for many replicas at once
    with _knowing_of_padding(losses, complete=batches.complete), sdpa_kernel(SDPBackend.MATH):
        found = fit_replicas(
            losses,
            batches,
            len(group[0].rows[0]),
            [one.schedule for one in group],
            generators=[torch.Generator().manual_seed(one.seed) for one in group],
            on_epoch=group[0].learning.on_epoch,
            runtime=Runtime(group[0].learning.precision),
            stacked=stacked,
        )
    return [
        Ended(result if isinstance(result, DivergedError) else Trained(network, result), found.how)
        for network, result in zip(networks, found.results, strict=True)
    ]


@contextmanager
def _knowing_of_padding(modules: Sequence[nn.Module], *, complete: bool) -> Iterator[None]:
    """Tell modules whether their batches have padding, which they cannot look at as replicas."""
    letters = [part for module in modules for part in module.modules() if isinstance(part, Letters | EmbeddedKmers)]
    try:
        for part in letters:
            part.complete = complete
        yield
    finally:
        for part in letters:
            part.complete = None


class _Batches:
    """Batches of replicas: codes ``(n, batch, width)`` and targets ``(n, batch)`` or ``(n, batch, n_labels)``.

    Each is of the replica's own sequences.
    """

    def __init__(self, group: Sequence[Training]) -> None:
        self.group = group
        lengths = np.concatenate([one.task.sequences.lengths[one.rows[0]] for one in group])
        longest = int(lengths.max())
        recipe = group[0].recipe
        self.width = longest if recipe.rule.length is None else recipe.rule.length
        if not recipe.fixed_length:
            self.width = min(self.width, longest)
        self.complete = bool(lengths.min() >= self.width)

    def __call__(self, numbers: Tensor, replicas: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Batch of some replicas; `numbers` ``(n, batch)`` count among the rows of each."""
        codes, targets = [], []
        for part, one in zip(numbers, (self.group[i] for i in replicas), strict=True):
            chosen = one.rows[0][part.numpy()]
            codes.append(one.recipe.codes(one.task.sequences, chosen))
            targets.append(torch.from_numpy(one.task.target[chosen]))
        width = max(part.shape[1] for part in codes)
        device = self.group[0].learning.device
        together = torch.stack([F.pad(part, (0, width - part.shape[1])) for part in codes])
        return together.to(device), torch.stack(targets).to(device)

    def values(self, network: nn.Module) -> int:
        """Numbers in the widest layer of a batch, which memory is counted by."""
        channels = max(len(parameter) for parameter in network.parameters())
        return int(self.group[0].schedule.batch_size * self.width * channels)

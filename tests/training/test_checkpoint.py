"""A training that stops at any step and goes on from its checkpoint ends where one that never stopped does."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from oligolearn.training import Checkpoint, Runtime, Schedule, fit

N_ROWS, N_FEATURES = 40, 6
SCHEDULE = Schedule(23, 10, 1e-2)  # epochs of 4 steps, the last one cut short
X = torch.randn(N_ROWS, N_FEATURES, generator=torch.Generator().manual_seed(1))


class KilledError(Exception):
    """Stands for kill -9."""


class Noisy(nn.Module):
    """A network with batch norm, dropout and views drawn by a generator."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x)[:, 0] - x.sum(dim=1)).square().mean()


def train(path: Path | None = None, *, die_at: int | None = None, identity: str = "one") -> tuple[Noisy, list[float]]:
    views = torch.Generator().manual_seed(5)
    module = Noisy()
    steps = 0

    def make_batch(rows: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == die_at:
            raise KilledError
        return X[rows] + 0.1 * torch.randn(len(rows), N_FEATURES, generator=views)

    checkpoint = None
    if path is not None:
        checkpoint = Checkpoint(path, {"settings": identity}, generators=[views], minutes=1e-9)
    order = torch.Generator().manual_seed(2)
    history = fit(module, make_batch, N_ROWS, SCHEDULE, generator=order, runtime=Runtime(checkpoint=checkpoint))
    return module, history.losses


@pytest.mark.parametrize("die_at", [1, 2, 4, 5, 9, 14, 23])
def test_goes_on_where_it_was_killed(tmp_path: Path, die_at: int) -> None:
    expected, losses = train()
    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        train(path, die_at=die_at)
    assert path.exists() == (die_at > 1)
    with pytest.raises(KilledError):
        train(path, die_at=1)  # killed again, at once
    found, found_losses = train(path)
    assert found_losses == losses
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_another_training_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    train(path)
    with pytest.raises(ValueError, match="settings is 'one' there and 'two' here"):
        train(path, identity="two")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    train(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="is damaged"):
        train(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged"):
        train(path)


def test_without_minutes_to_spare_only_epochs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    module = Noisy()
    states: list[int] = []

    def make_batch(rows: Tensor) -> Tensor:
        states.append(path.stat().st_mtime_ns if path.exists() else 0)
        return X[rows]

    runtime = Runtime(checkpoint=Checkpoint(path, {}, minutes=60))
    fit(module, make_batch, N_ROWS, SCHEDULE, generator=torch.Generator().manual_seed(0), runtime=runtime)
    assert len({*states[:4]}) == len({*states[4:8]}) == 1, "nothing is written within an epoch"

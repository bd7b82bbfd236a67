"""Processes that share each batch end with the model of one process.

The processes are this file, run as a script: each carries out a job of `JOBS` in a team, the test carries it out alone.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import ENCODERS, MLP, Encoder
from oligolearn.pretext import OBJECTIVES
from oligolearn.training import Checkpoint, Runtime, Schedule, Team, fit
from oligolearn.training.products import fast_products

contract = runpy.run_path(str(Path(__file__).parents[1] / "contracts" / "test_objectives.py"))
CASES: dict[str, tuple[str, dict[str, Any], str]] = {case.id: case.values[0] for case in contract["CASES"]}
N_FEATURES: int = contract["N_FEATURES"]
ENCODER_OPTIONS: dict[str, dict[str, Any]] = contract["ENCODER_OPTIONS"]
N_ROWS = 47
SCHEDULE = Schedule(20, 11, 1e-3)
X = torch.randn(N_ROWS, N_FEATURES, generator=torch.Generator().manual_seed(0))


class Contrast(nn.Module):
    """NT-Xent of SimCLR, each view by itself through the encoder, so that an odd batch has uneven shares.

    Every gradient comes from all rows: each is a negative of each other. A scale is learnt before the encoder, and the
    first layer is used once more outside it, for a reconstruction.
    """

    def __init__(self, encoder: nn.Module, n_features: int = N_FEATURES) -> None:
        super().__init__()
        self.encoder = encoder
        self.scale = nn.Parameter(torch.ones(n_features))
        self.head = nn.Sequential(nn.Linear(encoder.out_dim, 8, bias=False), nn.BatchNorm1d(8))

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        z = F.normalize(self.head(torch.cat([self.encoder(view * self.scale) for view in views])), dim=1)
        n = len(views[0])
        similar = (z @ z.T / 0.5).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
        partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
        weight = next(self.encoder.parameters()).flatten(1)
        decoded = views[0][:, : weight.shape[1]] @ weight.mT
        return F.cross_entropy(similar, partner) + 0.01 * decoded.square().mean()


class Convolution(Encoder):
    """Batch norm of every kind: over positions too, without weights, with a cumulative average, and two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.BatchNorm2d(2, momentum=None)])
        self.last = nn.Sequential(nn.Linear(4 * 20, 6), nn.BatchNorm1d(6, affine=False))
        self.out_dim = 6

    def forward(self, x: Tensor) -> Tensor:
        wide = self.blocks[1](self.blocks[0](x[:, None]))
        wide = self.blocks[2](wide.view(-1, 2, 2, 20)).sigmoid()
        out: Tensor = self.last(wide.flatten(1))
        return out


def built(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def objective_of(case: str) -> nn.Module:
    objective, options, encoder = CASES[case]
    return built(
        lambda: OBJECTIVES[objective](ENCODERS[encoder](N_FEATURES, **ENCODER_OPTIONS.get(encoder, {})), **options)
    )


def contrast(dropout: float = 0.0) -> nn.Module:
    return built(lambda: Contrast(MLP(N_FEATURES, (12, 8), dropout=dropout)))


def trained(module: nn.Module, team: Team | None, checkpoint: Checkpoint | None = None) -> dict[str, Tensor]:
    """State after 20 steps."""
    draws = torch.Generator().manual_seed(3)

    def views(rows: Tensor) -> tuple[Tensor, ...]:
        first, second = (X[rows] + 0.5 * torch.randn(len(rows), N_FEATURES, generator=draws) for _ in range(2))
        taken: tuple[Tensor, ...] = contract["as_taken"](module, (first, second), X[rows], rows)
        return taken

    if checkpoint is not None:
        checkpoint.generators.append(draws)
    order = torch.Generator().manual_seed(4)
    history = fit(module, views, N_ROWS, SCHEDULE, generator=order, runtime=Runtime("32", checkpoint, team))
    return {**module.state_dict(), "losses": torch.tensor(history.losses)}


def one_step(module: nn.Module, team: Team | None) -> dict[str, Tensor]:
    """Loss, gradients, also that of the input, and buffers of a step in 64 bits with dropout."""
    module.double()
    views = tuple(X[i : i + 11].double().requires_grad_() for i in (0, 11))
    with fast_products(module, "32", generators=[torch.Generator().manual_seed(0)]):
        if team is None:
            loss = module(views)
            loss.backward()
        else:
            with team.share(module):
                loss = module(views)
                loss.backward()
                team.reduce_gradients(module.parameters())
    assert not any("forward" in vars(part) for part in module.modules())
    state = {"loss": loss.detach(), "input": views[0].grad, **dict(module.named_buffers())}
    return state | {f"gradient of {name}": p.grad for name, p in module.named_parameters()}


def refusals(team: Team) -> dict[str, Tensor]:
    """One for each mistake that every process of the team has named, and a seed that the first one gives to all."""
    module = contrast()
    with team.share(module):
        with pytest.raises(ValueError, match="2 processes cannot share a batch of 1 rows; use a larger batch_size"):
            module((X[:1], X[:1]))
        inside = module.encoder(X[:1].expand(3, -1)).detach()
        own = module.eval().encoder(X[:1]) if team.is_first else None  # in evaluation mode: by itself
    with pytest.raises(ValueError, match=r"the same data: process 0 has \[3.0, 0.0\], process 1 has \[3.0, 1.0\]"):
        team.check_alike("data", [3, team.number])
    team.check_alike("data", [3, 4])
    del own
    return {"rows": torch.tensor(len(inside)), "seed": torch.tensor(team.first_says(2**40 + team.number))}


class Stopped(Exception):  # noqa: N818
    """Stands for the end of a job's time."""


def resumed(folder: Path, team: Team) -> dict[str, Tensor]:
    """Stop after 13 of 20 steps; go on from the file that the first process, and it alone, has written."""

    class Stopping(Contrast):
        steps = 0

        def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
            self.steps += 1
            if self.steps == 14:
                raise Stopped
            return super().forward(views)

    path = folder / "state.safetensors"
    written = []

    class Noted(Checkpoint):
        def save(self, *args: Any) -> None:
            written.append(team.number)
            super().save(*args)

    with pytest.raises(Stopped):
        trained(built(lambda: Stopping(MLP(N_FEATURES, (12, 8), dropout=0.3))), team, Noted(path, {}, minutes=1e-9))
    assert set(written) == ({0} if team.is_first else set())
    assert path.exists()
    dist.barrier()
    return trained(contrast(0.3), team, Noted(path, {}, minutes=1e-9))


ALONE: dict[str, Callable[[Team | None], dict[str, Tensor]]] = {
    **{case: lambda team, case=case: trained(objective_of(case), team) for case in CASES},
    "contrast": lambda team: trained(contrast(), team),
    "contrast with dropout": lambda team: trained(contrast(0.3), team),
    "step": lambda team: one_step(contrast(0.3), team),
    "step of a convolution": lambda team: one_step(built(lambda: Contrast(Convolution())), team),
}
TWENTY_STEPS = [*CASES, "contrast", "contrast with dropout"]
ONE_STEP = ["step", "step of a convolution"]


def member(folder: Path, number: int, size: int) -> None:
    """Do every job as process `number` of `size` and write what came of it."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=size)
    team = Team(torch.device("cpu"))
    results = {name: job(team) for name, job in ALONE.items()}
    if size == 2:
        results |= {"refusals": refusals(team), "resumed": resumed(folder, team)}
    dist.destroy_process_group()
    flat = {f"{job}/{name}": value.contiguous() for job, result in results.items() for name, value in result.items()}
    save_file(flat, folder / f"{number}.safetensors")


def results_of(folder: Path, size: int) -> list[dict[str, Tensor]]:
    """Run this file as `size` processes; what each wrote, by job and name."""
    commands = [[sys.executable, "-W", "error", __file__, str(folder), str(i), str(size)] for i in range(size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(c, env=environment, stderr=subprocess.PIPE, text=True) for c in commands]
    try:
        said = [process.communicate(timeout=120)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * size, "\n".join(said)
    return [load_file(folder / f"{i}.safetensors") for i in range(size)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    return results_of(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    return results_of(tmp_path_factory.mktemp("three"), 3)


def assert_alike(results: list[dict[str, Tensor]], job: str, expected: dict[str, Tensor], tolerance: float) -> None:
    for result in results:
        found = {name.removeprefix(f"{job}/"): x for name, x in result.items() if name.startswith(f"{job}/")}
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.slow
@pytest.mark.parametrize("job", TWENTY_STEPS)
def test_two_processes_end_where_one_does(two: list[dict[str, Tensor]], job: str) -> None:
    start = contrast() if job.startswith("contrast") else objective_of(job)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    expected = ALONE[job](None)
    assert all(
        (expected[name] - before[name]).abs().max() > 2e-3 for name, _ in start.encoder.named_parameters("encoder")
    )
    assert_alike(two, job, expected, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("job", TWENTY_STEPS)
def test_processes_never_drift_apart(three: list[dict[str, Tensor]], job: str) -> None:
    for name in three[0]:
        if name.startswith(f"{job}/"):
            assert all(torch.equal(other[name], three[0][name]) for other in three[1:]), name


@pytest.mark.slow
@pytest.mark.parametrize("job", ONE_STEP)
@pytest.mark.parametrize("size", ["two", "three"])
def test_gradients_and_batch_norm_are_those_of_one_process(size: str, job: str, request: pytest.FixtureRequest) -> None:
    assert_alike(request.getfixturevalue(size), job, ALONE[job](None), 1e-9)


@pytest.mark.slow
def test_mistakes_are_named_by_every_process(two: list[dict[str, Tensor]]) -> None:
    assert_alike(two, "refusals", {"rows": torch.tensor(3), "seed": torch.tensor(2**40)}, 0)


@pytest.mark.slow
def test_a_team_goes_on_from_its_checkpoint(two: list[dict[str, Tensor]]) -> None:
    assert_alike(two, "resumed", trained(contrast(0.3), None), 1e-4)


def test_a_team_needs_connected_processes() -> None:
    with pytest.raises(ValueError, match=r"not connected; start them with Team\.launch"):
        Team(torch.device("cpu"))


def test_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'oligolearn\[distributed\]'"):
        Team.launch("cpu", 2)


def test_impossible_numbers_of_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, found 0 and 1"):
        Team.launch("cpu", 0)
    with pytest.raises(ValueError, match=f"has {torch.cuda.device_count()} GPUs"):
        Team.launch("cuda", torch.cuda.device_count() + 1)


def test_a_team_has_no_early_stopping() -> None:
    with pytest.raises(ValueError, match="has no team"):
        fit(
            contrast(),
            lambda rows: rows,
            N_ROWS,
            SCHEDULE,
            generator=torch.Generator(),
            score=lambda: 0.0,
            runtime=Runtime(team=object()),
        )


if __name__ == "__main__":
    member(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

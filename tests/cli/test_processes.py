"""pretrain as several processes: the model of one, printed and written once."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from oligolearn.cli import main
from oligolearn.cli.processes import processes, speaking_first

SETTINGS = ["--layers", "16,8", "--mask-share", "0.2", "--epochs", "10", "--device", "cpu", "--quiet"]
ONE = ["-m", "oligolearn", "pretrain"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", *ONE]
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}


def run(*command: str, at: Path) -> subprocess.CompletedProcess[str]:
    environment = {**ALONE, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=at, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    with pytest.raises(SystemExit):
        main(["simulate", str(folder / "c.h5ad"), "--n-samples", "90", "--n-genes", "60", "--seed", "1"])
    assert run(*ONE, "c.h5ad", "--out", "one", *SETTINGS, at=folder).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [[*ONE, "c.h5ad", "--devices", "2"], [*TORCHRUN, "c.h5ad"]], ids=["ours", "torchrun"]
)
def test_two_processes_write_the_model_of_one(folder: Path, tmp_path: Path, command: list[str]) -> None:
    done = run(*command, "--out", str(tmp_path / "two"), *SETTINGS, at=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model:") == 1
    assert done.stderr == ""
    one, two = (load_file(path / "weights.safetensors") for path in (folder / "one", tmp_path / "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():  # 201 steps make rounding larger; 20 steps are in tests/training/test_team.py
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "named"),
    [
        ([*ONE, "no.h5ad", "--devices", "2"], "no.h5ad does not exist"),
        ([*TORCHRUN, "no.h5ad"], "no.h5ad does not exist"),
        ([*ONE, "c.h5ad", "--devices", "2", "--learning-rate", "1e30"], "the loss became"),
        ([*ONE, "c.h5ad", "--devices", "3", "--batch-size", "1"], "3 processes cannot share a batch of 2 rows"),
    ],
)
def test_a_mistake_is_named_once(folder: Path, tmp_path: Path, command: list[str], named: str) -> None:
    done = run(*command, "--out", str(tmp_path / "m"), *SETTINGS, at=folder)
    assert done.stderr.count("oligolearn: ") == 1
    assert named in done.stderr
    assert not (tmp_path / "m").exists()
    if "torch.distributed.run" not in command:  # which adds a report of its own
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1  # no traceback


@pytest.mark.parametrize(
    ("environment", "options", "spoken"),
    [
        ({}, [], True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, [], True),
        ({"RANK": "1", "LOCAL_RANK": "0"}, [], False),
        ({"LOCAL_RANK": "1"}, ["--devices", "2"], False),
        ({"NODE_RANK": "1"}, ["--nodes=2"], False),
        ({"SLURM_PROCID": "1"}, ["--nodes=2"], False),
        ({"SLURM_PROCID": "1"}, [], True),  # one of many commands that srun has started
    ],
)
def test_the_first_process_speaks(
    environment: dict[str, str],
    options: list[str],
    spoken: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "OLIGOLEARN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(_: Sequence[str]) -> int:
        print("out")
        print("err", file=sys.stderr)
        return 0

    assert speaking_first(run, ["pretrain", *options]) == 0
    assert capsys.readouterr() == (("out\n", "err\n") if spoken else ("", ""))


@pytest.mark.parametrize(("launcher_ends", "spoken"), [(False, "oligolearn: wrong here\n"), (True, "")])
def test_another_process_names_a_mistake_that_the_first_did_not_make(
    launcher_ends: bool, spoken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("OLIGOLEARN_DEBUG", raising=False)
    monkeypatch.setattr("oligolearn.cli.processes._PATIENCE", 0.2)
    parents = itertools.chain([7], itertools.repeat(1 if launcher_ends else 7))
    monkeypatch.setattr("os.getppid", lambda: next(parents))

    def run(_: Sequence[str]) -> int:
        print("oligolearn: wrong here", file=sys.stderr)
        return 2

    assert speaking_first(run, ["pretrain"]) == 2
    assert capsys.readouterr().err == spoken


def test_torchrun_says_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert processes(None, None) == (1, 1)
    assert processes(2, None) == (2, 1)
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    assert processes(None, None) == (4, 3)
    assert processes(2, None) == (2, 3)


def test_the_command_starts_without_torch_and_lightning() -> None:
    code = "import sys, oligolearn.cli; print({'torch', 'lightning_fabric'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"

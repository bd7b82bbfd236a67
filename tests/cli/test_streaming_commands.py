"""Files that stay on disk, and a pretraining that is killed, as a user types them."""

import os
import signal
import subprocess
import sys
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from oligolearn.cli import main

FAST = ["--quiet", "--device", "cpu", "--layers", "64,32"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    size = ["--n-samples", 120, "--n-genes", 60, "--seed", 3]
    assert run("simulate", folder / "c.h5ad", *size) == 0
    assert run("simulate", folder / "s.zarr", *size, "--sparse", "--block-rows", 50) == 0
    return folder


@pytest.mark.slow
def test_all_verbs_give_the_same_from_disk_and_from_memory(folder, tmp_path, capsys):
    assert run("pretrain", folder / "c.h5ad", "--out", tmp_path / "m", "--epochs", 3, *FAST) == 0
    assert "stays on disk" not in capsys.readouterr().out
    found = ["--stream", *FAST, "--epochs", 3]
    assert run("pretrain", folder / "s.zarr", "--out", tmp_path / "d", *found) == 0
    assert "stays on disk and is read in blocks (as asked)" in capsys.readouterr().out
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in "md")
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, atol=1e-5)
    assert run("train", folder / "c.h5ad", "--label", "label", "--out", tmp_path / "t", "--epochs", 2, *FAST) == 0
    for data, option in (("c.h5ad", "--no-stream"), ("c.h5ad", "--stream"), ("s.zarr", "--stream")):
        name = f"{data}{option}"
        assert run("embed", tmp_path / "m", folder / data, "--out", tmp_path / f"{name}.h5ad", option) == 0
        assert run("predict", tmp_path / "t", folder / data, "--out", tmp_path / f"{name}.csv", option) == 0
    tables = [pd.read_csv(path, index_col=0) for path in sorted(tmp_path.glob("*.csv"))]
    embeddings = [ad.read_h5ad(path) for path in sorted(tmp_path.glob("*.h5ad"))]
    assert len(tables) == len(embeddings) == 3
    for table, embedding in zip(tables, embeddings, strict=True):
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)
        np.testing.assert_array_equal(embedding.X, embeddings[0].X)
        assert embedding.obs["label"].tolist() == embeddings[0].obs["label"].tolist()


def test_mistakes_are_one_line(folder, tmp_path, capsys):
    (tmp_path / "c.csv").write_text("id,a,b\ns1,1,2\ns2,2,3\n")
    assert run("pretrain", tmp_path / "c.csv", "--out", tmp_path / "m", "--stream") == 2
    assert "only .h5ad and .zarr can be read in blocks" in capsys.readouterr().err
    assert run("simulate", tmp_path / "x.h5ad", "--block-rows", 0) == 2
    assert "block_rows" in capsys.readouterr().err
    assert run("pretrain", folder / "c.h5ad", "--out", tmp_path / "m", "--checkpoint-minutes", 0) == 2
    assert "--checkpoint-minutes must be positive" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_a_pretraining_killed_by_the_system_goes_on_to_the_same_model(folder, tmp_path, capsys, option):
    command = ["pretrain", folder / "c.h5ad", option, "--epochs", 600, "--checkpoint-minutes", 1e-4, *FAST]
    program = "import sys; from oligolearn.cli import main; main()"
    killed = [sys.executable, "-c", program, *map(str, [*command, "--out", tmp_path / "killed"])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    state = tmp_path / "killed.checkpoint.safetensors"
    with subprocess.Popen(killed, env=environment, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not state.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert state.exists()
    assert not (tmp_path / "killed").exists()
    again = subprocess.run(killed, env=environment, check=True, capture_output=True, text=True).stdout
    assert "Going on from" in again
    whole = [*killed[:-1], str(tmp_path / "whole")]
    subprocess.run(whole, env=environment, check=True, capture_output=True)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("killed", "whole"))
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
    left = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert left == ["killed", "whole"]  # beside these, a file that was being written when the process was killed

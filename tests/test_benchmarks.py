"""Scripts of benchmarks/, at a small scale."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script from its own folder, where `sklearn.py` is the name of a benchmark."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, name, *options]
    return subprocess.run(
        command, cwd=BENCHMARKS, check=False, capture_output=True, text=True, timeout=300, env=environment
    )


@pytest.mark.slow
def test_the_reference_protocol_finishes_every_training_of_its_plan():
    ended = run("reference_protocol.py", "--scale", "0.03", "--check")
    assert ended.returncode == 0, ended.stderr
    n_fractions, n_repeats, n_methods = 3, 2, 2  # 89 x 50 x 2 at this scale
    assert f"{n_fractions} fractions x {n_repeats} x {n_methods} methods" in ended.stdout
    wanted = n_fractions * n_repeats * n_methods
    assert f"{wanted} of {wanted} trainings" in ended.stdout
    accuracies = re.findall(r"^(scratch|swav) +([\d.]+)$", ended.stdout, re.MULTILINE)
    assert [method for method, _ in accuracies] == ["scratch", "swav"]
    assert all(float(accuracy) > 2 / 12 for _, accuracy in accuracies), "twice what guessing among 12 classes gives"


def test_a_scale_out_of_range_is_refused():
    ended = run("reference_protocol.py", "--scale", "0")
    assert ended.returncode == 2
    assert "--scale takes a share above 0 and up to 1, found 0" in ended.stderr


@pytest.mark.slow
def test_the_throughput_of_sequences_is_measured_against_its_goals():
    small = ("--length", "20", "--batch-size", "8", "--steps", "2", "--rows", "2000", "--large-steps", "2")
    ended = run("sequence_throughput.py", *small)
    assert ended.returncode == 0, ended.stderr
    shown = re.findall(r"^([a-z -]+?) +[\d,]+ +[\d.]+ +[\d.]+%$", ended.stdout, re.MULTILINE)
    assert shown[:3] == ["positions", "anywhere", "words"]
    assert {"motif-cnn", "transformer"} < set(shown)
    assert re.search(r"^2,000 x 200 letters, 2 steps: 0\.\d+ GiB", ended.stdout, re.MULTILINE)


@pytest.mark.slow
def test_our_integrated_gradients_are_those_of_captum():
    ended = run("attributions.py", "--only", "motif-cnn", "--sequences", "2", "--tolerance", "0.005")
    assert ended.returncode == 0, ended.stderr
    (shown,) = re.findall(r"^motif-cnn +(\d+) +(\d+) .* ([\d.]+)%$", ended.stdout, re.MULTILINE)
    assert int(shown[0]) >= 32
    assert int(shown[1]) >= 32
    assert float(shown[2]) < 5

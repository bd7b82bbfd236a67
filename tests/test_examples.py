"""The scripts of examples/ run as a reader would run them, and what they print answers their question."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def run(name: str, *arguments: Path) -> str:
    """Return what a script prints; it must end well and warn of nothing."""
    # one thread: on a busy machine several wait for one another
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def number(pattern: str, text: str) -> float:
    """Return the number that the pattern's group holds."""
    found = re.search(pattern, text)
    assert found is not None, f"no {pattern!r} in: {text}"
    return float(found[1])


def test_every_example_is_short_says_its_question_and_is_run_here():
    here = Path(__file__).read_text(encoding="utf-8")
    for script in SCRIPTS:
        lines = script.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 40, script.name
        assert re.fullmatch(r'"""[A-Z].+\?', lines[0]), f"{script.name} does not begin with its question"
        assert f'run("{script.name}"' in here, f"{script.name} is run by no test"


@pytest.mark.slow
def test_does_pretraining_help(tmp_path):
    said = run("does_pretraining_help.py", tmp_path / "study")
    scratch, swav = map(float, re.findall(r"^8 +([\d.]+) +([\d.]+)$", said, re.MULTILINE)[0])
    assert swav > scratch + 0.05
    assert re.search(r"^SwAV pretraining .* with 8 labels", said, re.MULTILINE)
    assert (tmp_path / "study" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_how_sure_is_it(tmp_path):
    said = run("how_sure_is_it.py", tmp_path / "study")
    pairs = re.findall(r"p = ([\d.]+) taken as independent, p = ([\d.]+) corrected", said)
    assert len(pairs) == 3
    assert all(float(plain) < float(corrected) for plain, corrected in pairs), said


@pytest.mark.slow
def test_classify_new_samples(tmp_path):
    said = run("classify_new_samples.py", tmp_path)
    assert "20 are missing" in said
    assert number(r"accuracy on new samples: ([\d.]+)", said) > 0.85
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "weights.safetensors"]


@pytest.mark.slow
def test_use_in_scikit_learn():
    said = run("use_in_scikit_learn.py")
    scratch, pretrained = (
        number(r"from scratch: accuracy ([\d.]+)", said),
        number(r"pretrained: accuracy ([\d.]+)", said),
    )
    assert pretrained > scratch > 0.5
    assert number(r"on the embedding: accuracy ([\d.]+)", said) > 0.8


@pytest.mark.slow
def test_bring_your_own_encoder():
    said = run("bring_your_own_encoder.py")
    assert number(r"embedding: (\d+) numbers", said) == 64
    assert number(r"accuracy on new samples with 40 labels: ([\d.]+)", said) > 0.8


@pytest.mark.slow
def test_what_binds_here():
    said = run("what_binds_here.py")
    assert re.search(r"held-out sequences: positions [\d.]+, anywhere [\d.]+, words [\d.]+, both strands [\d.]+", said)
    assert number(r"accuracy on 100 new sequences: ([\d.]+)", said) > 0.8

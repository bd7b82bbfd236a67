"""What the process of a command, and that which its workers are forked from, import before the first training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oligolearn import simulate_cohort
from oligolearn.study.work import FOR_EXPRESSION

LARGE = {"torch", "sklearn", "scipy.stats", "matplotlib", "anndata", "dask"}
OPTIONS = ["--label", "label", "--methods", "scratch,swav", "--fractions", "0.2", "--repeats", "1", "--workers", "2"]


def imported(code: str, *arguments: str) -> set[str]:
    """The large modules that a new Python has imported when it has run `code`, which prints `sys.modules` last."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return LARGE & set(json.loads(done.stdout.splitlines()[-1]))


def test_who_names_packages_of_ours_waits_for_nothing() -> None:
    code = (
        "import json, sys, oligolearn.cli, oligolearn.data, oligolearn.estimators, oligolearn.study.methods\n"
        "print(json.dumps(list(sys.modules)))"
    )
    assert imported(code) == set()


def test_what_workers_are_forked_from_needs_no_reader_of_files() -> None:
    code = (
        "import json, sys\nfrom importlib import import_module\n"
        "for name in sys.argv[1:]: import_module(name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    assert imported(code, *FOR_EXPRESSION) <= {"torch", "sklearn", "scipy.stats"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the command asks torch itself")
def test_a_command_hands_out_its_first_job_before_it_imports_torch(tmp_path: Path) -> None:
    simulate_cohort(n_samples=100, n_genes=50, seed=1).write_h5ad(tmp_path / "cohort.h5ad")
    code = (
        "import json, os, sys\n"
        "from oligolearn.cli import main\n"
        "from oligolearn.workers import Workers\n"
        "def carry_out(self, jobs):\n"
        "    list(jobs)\n"
        "    print(json.dumps(list(sys.modules)), flush=True)\n"
        "    os._exit(0)\n"
        "Workers.carry_out = carry_out\n"
        "main()"
    )
    command = ["study", str(tmp_path / "cohort.h5ad"), "--out", str(tmp_path / "out"), "--quiet", *OPTIONS]
    assert imported(code, *command) <= {"anndata", "dask"}
    asked = json.loads((tmp_path / "out" / "study.json").read_text())
    assert asked["about"]["settings"]["network: encoder"] == "mlp"
    assert asked["asked"]["precision"] in {"32", "bf16"}


@pytest.mark.parametrize(("option", "message"), [("--device=gpu", "unknown device"), ("--precision=64", "precision")])
def test_a_wrong_option_is_refused_before_anything_is_written(tmp_path: Path, option: str, message: str) -> None:
    simulate_cohort(n_samples=100, n_genes=50, seed=1).write_h5ad(tmp_path / "cohort.h5ad")
    command = [sys.executable, "-m", "oligolearn", "study", "cohort.h5ad", "--out", "out", *OPTIONS, option]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()

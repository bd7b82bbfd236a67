"""Jobs are all done, once each, whoever dies on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import joblib
import numpy as np
import pandas as pd
import pytest

from oligolearn.study import label_efficiency, sweep, transfer
from oligolearn.workers import Workers

SETTINGS: dict[str, Any] = {
    "fractions": (0.2, 1.0),
    "repeats": 4,
    "progress": False,
    "methods": ("logistic", "scratch", "swav"),
    "pretraining": {"epochs": 3, "min_steps": 6},
    "training": {"epochs": 2, "min_steps": 4},
}


def cohort(name: str = "s") -> ad.AnnData:
    rng = np.random.default_rng(list(name.encode()))
    y = np.arange(120) % 3
    X = rng.normal(8, 1, (120, 40)) + 1.5 * rng.normal(size=(3, 40))[y]
    obs = pd.DataFrame({"y": np.array(["A", "B", "C"])[y]}, index=[f"{name}{i}" for i in range(120)])
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(40)]))


def results(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results.csv").drop(columns="seconds")


def square(folder: Path, number: int) -> int:
    """Square a number; the process that first takes up number 3 is killed."""
    marker = folder / "killed"
    if number == 3 and not marker.exists():
        marker.touch()
        die()
    time.sleep(0.01)
    return number**2


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_sleep(file: Path) -> None:
    file.write_text(str(os.getpid()))
    time.sleep(60)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120  # a loaded machine may take long to start a process
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("study") / "alone"
    label_efficiency(cohort(), "y", out=folder, workers=1, **SETTINGS)
    return results(folder)


@pytest.mark.slow
def test_jobs_of_a_killed_process_are_done_again(tmp_path: Path) -> None:
    found = list(Workers(2).carry_out(joblib.delayed(square)(tmp_path, number) for number in range(12)))
    assert (tmp_path / "killed").exists()
    assert sorted(found) == [number**2 for number in range(12)]


@pytest.mark.slow
def test_processes_that_always_die_are_reported() -> None:
    with pytest.raises(OSError, match=r"worker processes died 3 times.*fewer --workers"):
        list(Workers(2).carry_out([joblib.delayed(die)(), joblib.delayed(die)()]))


@pytest.mark.slow
def test_processes_end_with_whom_they_work_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # without a guard: a worker must not run it again
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport joblib\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_workers import write_and_sleep\n"
        "from oligolearn.workers import Workers\n"
        "folder = Path(sys.argv[1])\n"
        "(folder / f'script-{__name__}').touch()\n"
        "list(Workers(2).carry_out([joblib.delayed(write_and_sleep)(folder / n) for n in 'ab']))\n"
    )
    for number in (signal.SIGKILL, signal.SIGINT):
        folder = tmp_path / number.name
        folder.mkdir()
        parent = subprocess.Popen([sys.executable, script, folder], stderr=subprocess.PIPE)
        files = [folder / "a", folder / "b"]
        wait_until(lambda files=files: all(file.exists() and file.read_text() for file in files))
        workers = [int(file.read_text()) for file in files]
        parent.send_signal(number)
        said = parent.communicate(timeout=10)[1].decode()
        wait_until(lambda workers=workers: not any(map(is_alive, workers)))
        assert sorted(file.name for file in folder.iterdir()) == ["a", "b", "script-__main__"]
        assert said.count("Traceback") == (number == signal.SIGINT), "the script's own, none of its workers'"


def test_the_user_s_backend_is_used() -> None:
    with joblib.parallel_config(backend="threading"):
        assert set(Workers(2).carry_out(joblib.delayed(os.getpid)() for _ in range(3))) == {os.getpid()}


def test_one_worker_needs_no_process() -> None:
    assert set(Workers(1).carry_out(joblib.delayed(os.getpid)() for _ in range(3))) == {os.getpid()}


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Dask and joblib warn of sizes, ports and lost workers
def test_a_dask_worker_killed_in_mid_study_changes_nothing(cluster: Any, alone: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "dask"
    killed: list[int] = []

    def kill_one() -> None:
        while not (folder / "runs.jsonl").exists() or (folder / "runs.jsonl").read_text().count("\n") < 3:
            time.sleep(0.02)
        worker = next(iter(cluster.workers.values()))
        killed.append(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    label_efficiency(cohort(), "y", out=folder, scheduler=cluster.scheduler_address, **SETTINGS)
    watcher.join(timeout=5)
    assert len(killed) == 1
    pd.testing.assert_frame_equal(results(folder), alone, check_exact=True)
    lines = (folder / "runs.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(alone), "every result is written once"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sweeps_and_studies_of_transfer_are_the_same_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    studies: dict[str, Callable[..., Any]] = {
        "sweep": partial(
            sweep,
            cohort(),
            "y",
            vary={"n_prototypes": [4, 8]},
            repeats=2,
            **{part: SETTINGS[part] for part in ("pretraining", "training")},
        ),
        "transfer": partial(
            transfer, cohort(), cohort("other"), "y", methods=("linear", "coral"), budgets=(0, 2), repeats=2
        ),
    }
    for name, study in studies.items():
        for where, hands in {"here": {"workers": 1}, "there": {"scheduler": cluster.scheduler_address}}.items():
            study(out=tmp_path / name / where, progress=False, **hands)
        pd.testing.assert_frame_equal(
            results(tmp_path / name / "here"), results(tmp_path / name / "there"), check_exact=True
        )


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("oligolearn.workers._ANSWER", 0.5)
    with pytest.raises(ValueError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        list(Workers(scheduler="tcp://127.0.0.1:9").carry_out([joblib.delayed(abs)(1)]))

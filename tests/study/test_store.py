"""The folder of a study: nothing finished is lost, nothing torn is believed."""

import json

import pytest

from oligolearn.study.design import Run
from oligolearn.study.store import Store

ASKED = {"methods": ["logistic", "swav"], "repeats": 2, "seed": 0}
RUNS = [Run(repeat, 0.1, 5, method) for repeat in (0, 1) for method in ("logistic", "swav")]


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "study")
    store.open(ASKED, {"title": "t"})
    return store


def test_runs_come_back_in_the_order_of_the_plan(store):
    for run in reversed(RUNS):
        store.add(run, {"accuracy": 0.5})
    assert [(run["repeat"], run["method"]) for run in store.runs()] == [(r.repeat, r.method) for r in RUNS]
    assert store.finished() == set(RUNS)


@pytest.mark.parametrize("n_bytes", [1, 20, 60])
def test_a_torn_last_line_is_cut_off(store, n_bytes):
    store.add(RUNS[0], {"accuracy": 0.5})
    whole = store.folder.joinpath("runs.jsonl").read_bytes()
    store.add(RUNS[1], {"accuracy": 0.25})
    torn = store.folder.joinpath("runs.jsonl").read_bytes()[: len(whole) + n_bytes]
    store.folder.joinpath("runs.jsonl").write_bytes(torn)
    again = Store(store.folder)
    assert again.finished() == {RUNS[0]}
    again.open(ASKED, {})
    again.add(RUNS[1], {"accuracy": 0.75})
    assert [run["accuracy"] for run in Store(store.folder).runs()] == [0.5, 0.75]


def test_another_study_in_the_same_folder_is_refused_with_what_differs(store):
    with pytest.raises(ValueError, match="repeats is 2 there and 6 here"):
        Store(store.folder).open({**ASKED, "repeats": 6}, {})
    Store(store.folder).open(ASKED, {})


def test_going_on_with_other_versions_or_defaults_leaves_a_warning(tmp_path):
    about = {"versions": {"torch": "2.11"}, "settings": {"epochs": (30,)}, "n_runs": 3, "warnings": ["few samples"]}
    store = Store(tmp_path / "study")
    store.open(ASKED, about)
    store.add(RUNS[0], {"accuracy": 0.5})
    Store(store.folder).open(ASKED, about)
    assert store.describe()["about"]["warnings"] == ["few samples"]
    newer = {**about, "versions": {"torch": "2.13"}}
    for _ in range(2):
        Store(store.folder).open(ASKED, newer)
    _, warning = store.describe()["about"]["warnings"]
    assert warning.startswith("after 1 runs this study went on with other versions or settings")
    assert "torch is '2.11' there and '2.13' here" in warning
    assert store.describe()["about"]["versions"] == {"torch": "2.13"}
    store.add(RUNS[1], {"accuracy": 0.5})
    store.add(RUNS[2], {"accuracy": 0.5})
    Store(store.folder).open(ASKED, {**about, "versions": {"torch": "2.14"}})  # nothing is left to do with it
    assert len(store.describe()["about"]["warnings"]) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    tmp_path.joinpath("thesis.docx").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a study"):
        Store(tmp_path).open(ASKED, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_failed_runs_are_finished_but_not_results(store):
    store.add(RUNS[0], {"error": "the loss became nan"})
    store.add(RUNS[1], {"accuracy": 1.0})
    assert store.finished() == set(RUNS[:2])
    assert store.results()["method"].tolist() == ["swav"]


def test_a_run_is_on_the_disk_before_add_returns(store, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    store.add(RUNS[0], {"accuracy": 0.5})
    assert synced
    assert json.loads(store.folder.joinpath("runs.jsonl").read_text())["accuracy"] == 0.5


@pytest.mark.parametrize("name", ["study.json", "runs.jsonl"])
def test_a_damaged_file_is_named(store, name):
    store.add(RUNS[0], {"accuracy": 0.5})
    store.folder.joinpath(name).write_text("gar{bage\n")
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        store.runs()


def test_no_study_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no study"):
        Store(tmp_path).describe()

"""Bundles come back as they were, are replaced whole or not at all, and damage is reported in words."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from oligolearn import saving
from oligolearn.saving import Bundle, is_bundle, load_bundle, save_bundle, write_json, write_text


def example(number: float = 1.0) -> Bundle:
    generator = torch.Generator().manual_seed(0)
    weights = {
        "a": number * torch.randn(3, 4, generator=generator),
        "b.counts": torch.tensor(7),
        "c": torch.randn(5, 2, generator=generator).T,  # not contiguous
        "d": torch.randn(4, generator=generator, dtype=torch.float64),
        "empty": torch.empty(2, 0),
    }
    return Bundle({"kind": "toy", "number": number, "names": ["é", "<b>", "ß"]}, weights)


def assert_equal(found: Bundle, expected: Bundle) -> None:
    assert expected.description.items() <= found.description.items()
    assert found.weights.keys() == expected.weights.keys()
    for name, value in expected.weights.items():
        assert found.weights[name].dtype == value.dtype
        assert torch.equal(found.weights[name], value)


def test_a_bundle_comes_back_to_the_bit(tmp_path: Path) -> None:
    save_bundle(tmp_path / "new" / "model", example(1 / 3))
    assert_equal(load_bundle(tmp_path / "new" / "model"), example(1 / 3))


def test_a_bundle_is_two_plain_files_and_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save_bundle(path, example())
    assert sorted(file.name for file in path.iterdir()) == ["model.json", "weights.safetensors"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    json.loads((path / "model.json").read_text(encoding="utf-8"))
    content = (path / "weights.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) - {"__metadata__"} == set(example().weights)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_bundle(tmp_path / name, example())
    for file in ("model.json", "weights.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_bundle_is_replaced(tmp_path: Path) -> None:
    for number in (1.0, 2.0):
        save_bundle(tmp_path / "model", example(number))
    assert_equal(load_bundle(tmp_path / "model"), example(2.0))
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_becomes_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_bundle(tmp_path / "model", example())
    assert is_bundle(tmp_path / "model")


def test_what_is_no_model_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("more work")
    for name in ("thesis", "file"):
        with pytest.raises(FileExistsError, match=f"{name} exists and is not a model; choose another --out"):
            save_bundle(tmp_path / name, example())
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "more work"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "thesis"]


@pytest.mark.parametrize("step", ["save_file", "write_json", "first rename", "second rename"])
def test_a_failure_at_any_step_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    save_bundle(tmp_path / "model", example(1.0))
    renames = 0

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    def fail_at_rename(source: Path, target: Path, *, rename: object = os.replace) -> None:
        nonlocal renames
        renames += Path(source).is_dir()
        if Path(source).is_dir() and renames == (1 if step == "first rename" else 2):
            fail()
        rename(source, target)  # type: ignore[operator]

    if "rename" in step:
        monkeypatch.setattr(saving.os, "replace", fail_at_rename)
    else:
        monkeypatch.setattr(safetensors.torch if step == "save_file" else saving, step, fail)
    with pytest.raises(OSError, match="no space left"):
        save_bundle(tmp_path / "model", example(2.0))
    monkeypatch.undo()
    assert_equal(load_bundle(tmp_path / "model"), example(1.0))
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


KILLED = """
import os, signal, sys, torch, safetensors.torch
from oligolearn import saving
place = safetensors.torch if sys.argv[2] == "save_file" else saving
step = getattr(place, sys.argv[2])
def die(*arguments):
    step(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, sys.argv[2], die)
saving.save_bundle(sys.argv[1], saving.Bundle({"kind": "toy"}, {"a": torch.zeros(3, 4)}))
"""


@pytest.mark.parametrize("step", ["save_file", "write_json"])
def test_a_killed_process_leaves_the_old_bundle(tmp_path: Path, step: str) -> None:
    save_bundle(tmp_path / "model", example())
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "model", step], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert_equal(load_bundle(tmp_path / "model"), example())
    save_bundle(tmp_path / "model", example(2.0))
    assert_equal(load_bundle(tmp_path / "model"), example(2.0))


@pytest.mark.parametrize("missing", ["model.json", "weights.safetensors", "model"])
def test_what_is_no_bundle_is_not_loaded(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model"
    if missing != "model":
        save_bundle(path, example())
        (path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"expected a folder with model\.json and weights\.safetensors"):
        load_bundle(path)


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def replaced(_: bytes) -> bytes:
    return b"\xff\xfe these are not the bytes of a model" * 10


@pytest.mark.parametrize("damage", [halved, emptied, replaced])
@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_a_damaged_file_is_reported(tmp_path: Path, file: str, damage: object) -> None:
    path = tmp_path / "model"
    save_bundle(path, example())
    (path / file).write_bytes(damage((path / file).read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match="is damaged") as error:
        load_bundle(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "does not describe an oligolearn model"),
        ('{"format": "another"}', "does not describe an oligolearn model"),
        ('{"format": "oligolearn-bundle"}', "has no format_version"),
        ('{"format": "oligolearn-bundle", "format_version": "1"}', "has no format_version"),
        ('{"format": "oligolearn-bundle", "format_version": 99}', "written by a later version"),
    ],
)
def test_a_description_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    save_bundle(tmp_path / "model", example())
    (tmp_path / "model" / "model.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_bundle(tmp_path / "model")


def test_numbers_that_json_lacks_are_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    save_bundle(tmp_path / "model", example())
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_bundle(tmp_path / "model", Bundle({"score": float("nan")}, {}))
    assert_equal(load_bundle(tmp_path / "model"), example())


def test_texts_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old\n")
    monkeypatch.setattr(saving.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new\n")
    assert path.read_text() == "old\n"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_json_keeps_every_digit(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 1e-300, -2.5e17]
    write_json(tmp_path / "x.json", {"values": values})
    assert json.loads((tmp_path / "x.json").read_text())["values"] == values


def test_others_may_read_what_the_user_s_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_bundle(tmp_path / "m", example())
    finally:
        os.umask(before)
    modes = [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "m", *sorted((tmp_path / "m").iterdir()))]
    assert modes == ["0o750", "0o640", "0o640"]


def test_a_disk_that_is_full_is_an_error_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="m could not be written: I/O error: No space left on device"):
        save_bundle(tmp_path / "m", example())
    assert not any(tmp_path.iterdir())


def test_numbers_of_numpy_are_plain_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"n": np.int64(3), "rate": np.float32(0.5), "on": np.True_})
    assert json.loads((tmp_path / "a.json").read_text()) == {"n": 3, "rate": 0.5, "on": True}
    with pytest.raises(TypeError, match="cannot be written"):
        write_json(tmp_path / "a.json", {"what": object()})

"""Model bundles: a folder with `weights.safetensors` and `model.json`. Never pickle; loading runs no code."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import SafetensorError

from oligolearn.writing import usual_mode, write_text

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "oligolearn-bundle"
FORMAT_VERSION = 1
WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"


class Bundle(NamedTuple):
    """A model as it lies on disk.

    Attributes
    ----------
    description
        JSON-able: kind of model, features in order, scaling, units, classes, architecture, versions, metrics.
    weights
        Tensors by name.
    """

    description: dict[str, Any]
    weights: "dict[str, Tensor]"


def save_bundle(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write a bundle to the folder `path`, whole or not at all; an earlier bundle there is replaced.

    Raises
    ------
    FileExistsError
        If `path` is something other than a bundle or an empty folder.
    """
    from safetensors.torch import save_file  # brings torch

    target = Path(path)
    check_bundle_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in bundle.weights.items()}
        try:
            save_file(contiguous, folder / WEIGHTS)
        except SafetensorError as error:  # such as a full disk
            raise OSError(f"{target} could not be written: {error}") from error
        (folder / WEIGHTS).chmod(usual_mode(0o666))
        with (folder / WEIGHTS).open("rb") as file:  # on the disk before the folder has its name
            os.fsync(file.fileno())
        head = {"format": FORMAT, "format_version": FORMAT_VERSION}
        write_json(folder / DESCRIPTION, {**head, **bundle.description})
        folder.chmod(usual_mode(0o777))
        _put_in_place(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _put_in_place(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`. What was there goes last, and comes back if that fails."""
    before = folder.with_name(f"{folder.name}-before")
    if target.exists():
        os.replace(target, before)
    try:
        os.replace(folder, target)
    except BaseException:
        if before.exists():
            os.replace(before, target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def check_bundle_target(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, to write a bundle over something else.

    Raises
    ------
    FileExistsError
        If `path` is something other than a bundle or an empty folder.
    NotADirectoryError, PermissionError
        If no folder can be made there.
    """
    target = Path(path)
    if not target.name:
        raise ValueError(f"{str(path)!r} names no folder for a model; pass one as --out")
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"{above} is not a folder, so {target} cannot be made in it; choose another --out")
    if not os.access(above, os.W_OK):
        raise PermissionError(f"{above} cannot be written to; choose another --out")
    if target.exists() and not (is_bundle(target) or (target.is_dir() and not any(target.iterdir()))):
        raise FileExistsError(f"{target} exists and is not a model; choose another --out or remove it")


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle.

    Raises
    ------
    FileNotFoundError
        If there is no bundle at `path`.
    ValueError
        If a file of it is damaged or of a later format.
    """
    from safetensors.torch import load_file  # brings torch

    folder = Path(path)
    if not is_bundle(folder):
        raise FileNotFoundError(f"{folder} is not a model: expected a folder with {DESCRIPTION} and {WEIGHTS}")
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise ValueError(f"the model in {folder} is damaged: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"{folder / DESCRIPTION} does not describe an oligolearn model")
    if not isinstance(description.get("format_version"), int):
        raise ValueError(f"{folder / DESCRIPTION} has no format_version, the number of the format it is written in")
    if description["format_version"] > FORMAT_VERSION:
        raise ValueError(f"{folder} was written by a later version of oligolearn; upgrade to read it")
    return Bundle(description, weights)


def is_bundle(path: Path) -> bool:
    """Whether `path` is a folder that holds both files of a bundle."""
    return (path / DESCRIPTION).is_file() and (path / WEIGHTS).is_file()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON (no NaN) to a temporary file beside `path` and rename it."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def _plain(value: Any) -> Any:
    """A number of NumPy, as a grid of settings may hold, as one of Python."""
    if getattr(value, "shape", None) == ():
        return value.item()
    raise TypeError(f"{value!r} cannot be written as JSON")

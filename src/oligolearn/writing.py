"""Files that are there whole or not at all, and how what one holds differs from what was asked."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there then takes the place of `path` in one step.

    The content is on the disk before the name is, so that a reader, or a machine that stops, finds the old file or the
    whole new one.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` is one.
    """
    target = Path(path)
    check_folder(target)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: give the name of a file")
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it then takes the place of `path`, file or folder, whatever was there.

    Raises
    ------
    FileNotFoundError
        If the folder above does not exist.
    """
    target = Path(path)
    check_folder(target)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent))
    before = temporary.with_name(f"{temporary.name}-before")
    try:
        yield temporary
        temporary.chmod(usual_mode(0o777))
        if target.exists():
            os.replace(target, before)
        try:
            os.replace(temporary, target)
        except BaseException:
            if before.exists():
                os.replace(before, target)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if before.is_dir():
            shutil.rmtree(before, ignore_errors=True)
        else:
            before.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say how settings that a file holds differ from those that were asked for; empty where they agree.

    Examples
    --------
    >>> differences({"seed": 0, "epochs": 5, "batch_size": 64}, {"seed": 1, "epochs": 5})
    'batch_size is 64 there and None here; seed is 0 there and 1 here'
    """
    return "; ".join(
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    )


def usual_mode(most: int) -> int:
    """Permissions of a file or folder as the user's umask leaves them; of temporary ones they are narrower."""
    umask = os.umask(0)
    os.umask(umask)
    return most & ~umask


def check_folder(path: Path) -> None:
    """Refuse, before any work is done, a file in a folder that does not exist."""
    if not path.name:
        raise ValueError("an empty name is no file to write; give one")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder: create it, or write somewhere else")

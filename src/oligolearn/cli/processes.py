"""What a command does when it runs as several processes that train one model: the first speaks for all."""

import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout

_NUMBERS = ("RANK", "LOCAL_RANK", "NODE_RANK")  # 0 or absent in the first process; torchrun and Fabric set them
_OPTIONS = ("--devices", "--nodes")
_PATIENCE = 10.0  # seconds that the first process has to name a mistake before another does


def speaking_first(run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Give the exit code of `run`, printing nothing in any process but the first of several.

    What makes one of them fail mostly makes all fail, and launchers end the others as soon as the first of them exits.
    So another that fails waits to be ended, and says why only if it still lives after ten seconds.
    OLIGOLEARN_DEBUG lets all errors through.
    """
    if _is_first(arguments):
        return run(arguments)
    launcher = os.getppid()
    said = sys.stderr if os.environ.get("OLIGOLEARN_DEBUG") else io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        code = run(arguments)
    if code and isinstance(said, io.StringIO) and _lives_on(launcher):
        print(said.getvalue(), end="", file=sys.stderr)
    return code


def _is_first(arguments: Sequence[str]) -> bool:
    # srun starts several processes for other reasons, too
    together = any(argument.startswith(_OPTIONS) for argument in arguments)
    names = (*_NUMBERS, "SLURM_PROCID") if together else _NUMBERS
    return all(os.environ.get(name, "0") == "0" for name in names)


def _lives_on(launcher: int) -> bool:
    """Wait; whether the launcher is there still, so that nobody has named the mistake."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and os.getppid() == launcher:
        time.sleep(0.05)
    return os.getppid() == launcher


def processes(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """Numbers of processes on a machine and of machines, those of `torchrun` where it runs this command."""
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    there = [int(os.environ[name]) if launched else 1 for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE")]
    return devices or there[0], nodes or there[1]

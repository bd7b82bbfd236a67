"""What a command does when it runs as several processes that train one model: the first speaks for all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_NUMBERS = ("RANK", "LOCAL_RANK", "NODE_RANK")  # 0 or absent in the first process; torchrun and Fabric set them
_OPTIONS = ("--devices", "--nodes")


@contextmanager
def quiet_unless_first(arguments: Sequence[str]) -> Iterator[None]:
    """Print nothing while any process but the first of several is in this context, errors neither.

    OLIGOLEARN_DEBUG lets errors through.
    """
    # srun starts several processes for other reasons, too
    together = any(argument.startswith(_OPTIONS) for argument in arguments)
    names = (*_NUMBERS, "SLURM_PROCID") if together else _NUMBERS
    if all(os.environ.get(name, "0") == "0" for name in names):
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        if os.environ.get("OLIGOLEARN_DEBUG"):
            yield
            return
        with redirect_stderr(nowhere):
            yield


def processes(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """Numbers of processes on a machine and of machines, those of `torchrun` where it runs this command."""
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    there = [int(os.environ[name]) if launched else 1 for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE")]
    return devices or there[0], nodes or there[1]

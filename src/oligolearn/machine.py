"""What this machine lets this process use."""

import os
from pathlib import Path

_ASSUMED_MEMORY = 8 << 30  # bytes, where the system does not say


def available_processors() -> int:
    """Processors that this process may use; a cluster's scheduler often grants a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_of_machine() -> int:
    """Bytes that this process may use: the machine's, or what a container grants."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        found = _ASSUMED_MEMORY
    try:
        granted = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return found
    return min(found, int(granted)) if granted.isdigit() else found

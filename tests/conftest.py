"""Fixtures shared by the tests."""

import os
from pathlib import Path

import pytest

# Before NumPy and torch are imported: networks this small only wait for each other on several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real public data sets beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("OLIGOLEARN_REQUIRE_DATA") == "1":
            pytest.fail(f"OLIGOLEARN_REQUIRE_DATA=1 but {SHARED_DATA} does not exist")
        pytest.skip("the real data sets (../shared/data) are not on this machine")
    return SHARED_DATA

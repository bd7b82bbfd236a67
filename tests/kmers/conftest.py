"""k-mers the slow way, for comparison."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

_COMPLEMENT = str.maketrans("ACGT-", "TGCA-")


def _folded(word: str) -> str:
    return min(word, word[::-1].translate(_COMPLEMENT))


@pytest.fixture(scope="session")
def folded() -> Callable[[str], str]:
    """The first in the alphabet of a word, gaps allowed, and its reverse complement."""
    return _folded


@pytest.fixture(scope="session")
def slow_count(folded) -> Callable[..., dict[str, int]]:
    """A function that counts the k-mers of strings in a dict."""

    def count(sequences: list[str], k: int, *, canonical: bool = False) -> dict[str, int]:
        found = [s[i : i + k] for s in map(str.upper, sequences) for i in range(len(s) - k + 1)]
        known = [window for window in found if set(window) <= set("ACGT")]
        return dict(Counter(map(folded, known) if canonical else known))

    return count


@pytest.fixture(scope="session")
def sequences() -> list[str]:
    """Random ones in both cases with N and other letters among them, empty, short, monotonous and repetitive ones."""
    rng = np.random.default_rng(7)
    letters = list("ACGTacgt" * 6 + "NRn-")
    drawn = ["".join(rng.choice(letters, length)) for length in rng.integers(0, 700, 12)]
    clean = ["".join(rng.choice(list("ACGT"), length)) for length in (31, 32, 33, 64, 1000)]
    return [*drawn, "", "G", "ACGTN", *clean, "a" * 700 + "CA" * 300, "N" * 40]

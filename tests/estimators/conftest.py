"""A small cohort whose classes can be learned."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray


class Cohort(NamedTuple):
    X: NDArray[np.float32]
    y: NDArray[np.int64]


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    """90 samples of 3 classes and 20 genes on a log scale, correlated as genes are."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(90) % 3)
    factors = rng.normal(size=(90, 4)) + 2.5 * rng.normal(size=(3, 4))[y]
    X = 7 + factors @ rng.normal(size=(4, 20)) + 0.5 * rng.normal(size=(90, 20))
    return Cohort(X.astype(np.float32), y)


@pytest.fixture(scope="session")
def small() -> dict[str, object]:
    """Settings of an estimator that trains in a blink."""
    return {"encoder_options": {"hidden": (16, 8)}, "epochs": 3, "min_steps": 30, "batch_size": 16, "device": "cpu"}

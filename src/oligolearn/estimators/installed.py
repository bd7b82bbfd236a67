"""What is installed of that which decides a result."""

import platform
from importlib.metadata import version

import sklearn
import torch


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    return {
        "oligolearn": version("oligolearn"),
        "torch": str(torch.__version__),  # a string of its own class, which only torch can read
        "scikit-learn": sklearn.__version__,
        "python": platform.python_version(),
    }

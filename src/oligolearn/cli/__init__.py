"""The command `oligolearn`: one file per verb; each parses, calls the library and prints."""

import oligolearn.rare_collection  # noqa: F401  (before what is large)
from oligolearn.cli.app import main

__all__ = ["main"]

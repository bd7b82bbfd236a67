"""The command `oligolearn`: one file per verb; each parses, calls the library and prints."""

from oligolearn.cli.app import main

__all__ = ["main"]

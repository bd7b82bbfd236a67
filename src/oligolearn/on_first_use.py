"""Packages that import a name when it is first asked for: who names a method need not wait for torch."""

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def importer(package: str, homes: Mapping[str, Collection[str]]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package (PEP 562).

    Parameters
    ----------
    package
        Its full name.
    homes
        Names by the module of the package that has them. The package imports the same names where types are checked,
        so that type checkers and the rules of who may import whom see them.

    Returns
    -------
    callable
        From a name, or that of a module of the package, to what it stands for.

    Examples
    --------
    >>> find = importer("oligolearn.data", {"splits": ("Split", "split_rows")})
    >>> find("Split").__name__
    'Split'
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name in home_of:
            found = getattr(import_module(f"{package}.{home_of[name]}"), name)
            setattr(sys.modules[package], name, found)
            return found
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find

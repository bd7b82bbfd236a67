"""Names of packages that import them when they are first asked for."""

import pickle
import subprocess
import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["data", "estimators", "study"])
def test_every_name_is_what_its_package_says(name: str) -> None:
    package = import_module(f"oligolearn.{name}")
    assert dir(package) == sorted(package.__all__)
    for one in package.__all__:
        found = getattr(package, one)
        assert not hasattr(found, "__path__"), "no module"
        assert vars(package)[one] is found, "the second time it is looked up as any other"
        if isinstance(found, type):
            assert pickle.loads(pickle.dumps(found)) is found


def test_a_name_is_the_same_whoever_imported_its_module_before() -> None:
    code = (
        "import oligolearn.data.multi_label, oligolearn.data as data\n"
        "from oligolearn.data import several_labels\n"
        "assert callable(several_labels) and data.splits.Split is data.Split"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_there_is_not_is_said() -> None:
    from oligolearn import data

    with pytest.raises(AttributeError, match=r"'oligolearn\.data' has no attribute 'read_everything'"):
        getattr(data, "read_everything")  # noqa: B009  (as an attribute it is a useless expression)

"""Studies: methods x label fractions x repeats, carried out, kept, tested and reported."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oligolearn.study.design import Design
    from oligolearn.study.efficiency import LabelEfficiency, label_efficiency, rebuild
    from oligolearn.study.methods import METHODS
    from oligolearn.study.statistics import compare, holm, labels_saved, learned, learning_curves, paired_t_test
    from oligolearn.study.tuning import Tuning, tune

__all__ = [
    "METHODS",
    "Design",
    "LabelEfficiency",
    "Tuning",
    "compare",
    "holm",
    "label_efficiency",
    "labels_saved",
    "learned",
    "learning_curves",
    "paired_t_test",
    "rebuild",
    "tune",
]

_HOMES = {
    "Design": "design",
    "LabelEfficiency": "efficiency",
    "METHODS": "methods",
    "Tuning": "tuning",
    "label_efficiency": "efficiency",
    "rebuild": "efficiency",
    "tune": "tuning",
}


def __getattr__(name: str) -> Any:
    """Import on first use: worker processes start without what draws the report."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"oligolearn.study.{_HOMES.get(name, 'statistics')}"), name)


def __dir__() -> list[str]:
    return __all__

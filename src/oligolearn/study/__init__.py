"""Studies: methods x label fractions x repeats, carried out, kept, tested and reported."""

from typing import TYPE_CHECKING

from oligolearn.on_first_use import importer

if TYPE_CHECKING:
    from oligolearn.study.design import Design
    from oligolearn.study.efficiency import LabelEfficiency, label_efficiency, rebuild, sequence_efficiency
    from oligolearn.study.extrapolation import labels_needed
    from oligolearn.study.methods import METHODS
    from oligolearn.study.sequence_design import SequenceDesign
    from oligolearn.study.sequence_methods import SEQUENCE_METHODS
    from oligolearn.study.sequence_sweeping import sweep_sequences
    from oligolearn.study.sequence_tuning import tune_sequences
    from oligolearn.study.statistics import compare, holm, labels_saved, learned, learning_curves, paired_t_test
    from oligolearn.study.sweeping import Sweep, is_sweep, rebuild_sweep, sweep
    from oligolearn.study.transferring import Transfer, is_transfer, rebuild_transfer, transfer
    from oligolearn.study.tuning import Tuning, tune

__all__ = [
    "METHODS",
    "SEQUENCE_METHODS",
    "Design",
    "LabelEfficiency",
    "SequenceDesign",
    "Sweep",
    "Transfer",
    "Tuning",
    "compare",
    "holm",
    "is_sweep",
    "is_transfer",
    "label_efficiency",
    "labels_needed",
    "labels_saved",
    "learned",
    "learning_curves",
    "paired_t_test",
    "rebuild",
    "rebuild_sweep",
    "rebuild_transfer",
    "sequence_efficiency",
    "sweep",
    "sweep_sequences",
    "transfer",
    "tune",
    "tune_sequences",
]

_HOMES = {
    "design": ("Design",),
    "efficiency": ("LabelEfficiency", "label_efficiency", "rebuild", "sequence_efficiency"),
    "extrapolation": ("labels_needed",),
    "methods": ("METHODS",),
    "sequence_design": ("SequenceDesign",),
    "sequence_methods": ("SEQUENCE_METHODS",),
    "sequence_sweeping": ("sweep_sequences",),
    "sequence_tuning": ("tune_sequences",),
    "statistics": ("compare", "holm", "labels_saved", "learned", "learning_curves", "paired_t_test"),
    "sweeping": ("Sweep", "is_sweep", "rebuild_sweep", "sweep"),
    "transferring": ("Transfer", "is_transfer", "rebuild_transfer", "transfer"),
    "tuning": ("Tuning", "tune"),
}

__getattr__ = importer(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

"""Objectives of domain adaptation: source rows with labels and target rows without -> scalar loss."""

from collections.abc import Callable

from torch import nn

from oligolearn.adapt.batches import Batch, label_loss, value_loss
from oligolearn.adapt.cada import Consensus
from oligolearn.adapt.cdan import CDAN, certainty_weights
from oligolearn.adapt.dan import DAN, kernel_discrepancy
from oligolearn.adapt.dann import DANN, reversal_strength
from oligolearn.adapt.deep_coral import DeepCORAL, coral_distance, covariance
from oligolearn.adapt.f_cada import FewShot, propagate_labels
from oligolearn.adapt.source_only import SourceOnly
from oligolearn.adapt.wdgrl import WDGRL

ADAPTATIONS: dict[str, Callable[..., nn.Module]] = {
    "dann": DANN,
    "cdan": CDAN,
    "deep-coral": DeepCORAL,
    "dan": DAN,
    "wdgrl": WDGRL,
}
"""Those that train one network on both domains at once, by name."""

__all__ = [
    "ADAPTATIONS",
    "CDAN",
    "DAN",
    "DANN",
    "WDGRL",
    "Batch",
    "Consensus",
    "DeepCORAL",
    "FewShot",
    "SourceOnly",
    "certainty_weights",
    "coral_distance",
    "covariance",
    "kernel_discrepancy",
    "label_loss",
    "propagate_labels",
    "reversal_strength",
    "value_loss",
]

"""Networks in plain torch. An encoder maps ``(batch, n_features)`` to ``(batch, out_dim)`` through its `blocks`."""

from collections.abc import Callable

from oligolearn.nn.classifier import ClassificationLoss, Classifier, transfer
from oligolearn.nn.decoder import Decoder
from oligolearn.nn.discriminator import Discriminator
from oligolearn.nn.distillation import DistillationLoss
from oligolearn.nn.encoder import Encoder
from oligolearn.nn.gradient_reversal import reverse_gradient
from oligolearn.nn.heads import ProjectionHead
from oligolearn.nn.mlp import MLP

ENCODERS: dict[str, Callable[..., Encoder]] = {"mlp": MLP}

__all__ = [
    "ENCODERS",
    "MLP",
    "ClassificationLoss",
    "Classifier",
    "Decoder",
    "Discriminator",
    "DistillationLoss",
    "Encoder",
    "ProjectionHead",
    "reverse_gradient",
    "transfer",
]

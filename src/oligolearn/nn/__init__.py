"""Networks in plain torch. An encoder maps ``(batch, n_features)`` to ``(batch, out_dim)`` through its `blocks`.

Those of `ENCODERS` read expression and are built from the number of genes; those of `SEQUENCE_ENCODERS` read codes of
letters, ``(batch, length)`` with 0 for padding, and are built from what each code is, ``(n_codes, n_letters)``, or from
`EmbeddedKmers` that read the codes in place of one-hot letters.
"""

from collections.abc import Callable

from oligolearn.nn.at_letters import (
    channels_of_letters,
    encoders_of_letters,
    left_aligned,
    letter_features,
    looks_ahead,
)
from oligolearn.nn.classifier import ClassificationLoss, Classifier, transfer
from oligolearn.nn.decoder import Decoder
from oligolearn.nn.discriminator import Discriminator
from oligolearn.nn.distillation import DistillationLoss
from oligolearn.nn.encoder import Encoder
from oligolearn.nn.gradient_reversal import reverse_gradient
from oligolearn.nn.heads import ProjectionHead
from oligolearn.nn.kmer_bag import KmerBag
from oligolearn.nn.kmer_embedding import EmbeddedKmers
from oligolearn.nn.kmer_recurrent import KmerRecurrentCNN
from oligolearn.nn.mlp import MLP
from oligolearn.nn.motif_cnn import MotifCNN
from oligolearn.nn.multi_label import MultiLabelLoss
from oligolearn.nn.multi_scale_cnn import MultiScaleCNN
from oligolearn.nn.recurrent import Recurrent
from oligolearn.nn.regression import RegressionLoss
from oligolearn.nn.residual_cnn import ResidualCNN
from oligolearn.nn.sequence_pooling import POOLINGS, SequencePool
from oligolearn.nn.sequence_transformer import SequenceTransformer
from oligolearn.nn.strands import BothStrands, reverse_complement
from oligolearn.nn.track import Letters, Track

ENCODERS: dict[str, Callable[..., Encoder]] = {"mlp": MLP}
SEQUENCE_ENCODERS: dict[str, Callable[..., Encoder]] = {
    "motif-cnn": MotifCNN,
    "multi-scale-cnn": MultiScaleCNN,
    "residual-cnn": ResidualCNN,
    "kmer-bag": KmerBag,
    "recurrent": Recurrent,
    "kmer-recurrent": KmerRecurrentCNN,
    "transformer": SequenceTransformer,
}

__all__ = [
    "ENCODERS",
    "MLP",
    "POOLINGS",
    "SEQUENCE_ENCODERS",
    "BothStrands",
    "ClassificationLoss",
    "Classifier",
    "Decoder",
    "Discriminator",
    "DistillationLoss",
    "EmbeddedKmers",
    "Encoder",
    "KmerBag",
    "KmerRecurrentCNN",
    "Letters",
    "MotifCNN",
    "MultiLabelLoss",
    "MultiScaleCNN",
    "ProjectionHead",
    "Recurrent",
    "RegressionLoss",
    "ResidualCNN",
    "SequencePool",
    "SequenceTransformer",
    "Track",
    "channels_of_letters",
    "encoders_of_letters",
    "left_aligned",
    "letter_features",
    "looks_ahead",
    "reverse_complement",
    "reverse_gradient",
    "transfer",
]

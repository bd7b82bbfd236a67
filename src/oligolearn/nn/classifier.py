"""An encoder with a linear layer that names the class."""

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.encoder import Encoder


class Classifier(nn.Module):
    """Encoder, dropout, linear layer: ``(batch, n_features) -> (batch, n_classes)`` logits.

    Parameters
    ----------
    encoder
        Module with `out_dim` and `blocks`.
    n_classes
        Number of logits.
    dropout
        Share of the embedding set to zero while training.
    frozen_blocks
        The first blocks of the encoder that do not learn.
    pretrained_blocks
        The first blocks whose batch norm goes on normalising by the statistics of the many rows it was pretrained
        on: those of a few labelled rows are noise.

    Raises
    ------
    ValueError
        If the encoder has fewer blocks than that.
    """

    def __init__(
        self,
        encoder: Encoder,
        n_classes: int,
        *,
        dropout: float = 0.0,
        frozen_blocks: int = 0,
        pretrained_blocks: int = 0,
    ) -> None:
        super().__init__()
        _check_blocks("frozen", frozen_blocks, encoder)
        _check_blocks("pretrained", pretrained_blocks, encoder)
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.out_dim, n_classes)
        self.frozen_blocks = frozen_blocks
        self.pretrained_blocks = pretrained_blocks
        encoder.blocks[:frozen_blocks].requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  (torch's signature)
        """Set training mode, but for frozen blocks and pretrained batch norms."""
        super().train(mode)
        self.encoder.blocks[: self.frozen_blocks].eval()
        for layer in self.encoder.blocks[: self.pretrained_blocks].modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each class."""
        return self.classify(self.encoder(x))

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits from what the encoder gave, ``(batch, out_dim)``."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits


class ClassificationLoss(nn.Module):
    """Cross-entropy of a `Classifier`: ``forward((x, y))`` with `y` the class numbers, ``(batch,)``.

    Parameters
    ----------
    model
        Module that returns logits.
    class_weight
        Weight of each class, ``(n_classes,)``, or None for equal weights.
    label_smoothing
        Share of the label that is spread evenly over all classes.

    Raises
    ------
    ValueError
        If that share is none.
    """

    class_weight: Tensor | None

    def __init__(self, model: nn.Module, class_weight: Tensor | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), found {label_smoothing}")
        self.model = model
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean loss of a batch, a scalar."""
        x, y = batch
        return F.cross_entropy(self.model(x), y, weight=self.class_weight, label_smoothing=self.label_smoothing)


def transfer(source: Encoder, target: Encoder, n_blocks: int) -> None:
    """Copy the weights of the first `n_blocks` blocks from one encoder to another of the same architecture."""
    _check_blocks("transferred", n_blocks, source)
    for mine, theirs in zip(target.blocks[:n_blocks], source.blocks[:n_blocks], strict=True):
        mine.load_state_dict(theirs.state_dict())


def _check_blocks(what: str, n_blocks: int, encoder: Encoder) -> None:
    if not 0 <= n_blocks <= len(encoder.blocks):
        raise ValueError(f"the number of {what} layers must lie between 0 and {len(encoder.blocks)}, found {n_blocks}")

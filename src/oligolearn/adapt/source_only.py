"""No adaptation: what every other objective has to beat."""

from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, known_loss
from oligolearn.nn import Classifier


class SourceOnly(nn.Module):
    """Loss of the labels of the sources; rows of the target do not enter, whether labelled or not.

    Parameters
    ----------
    model, class_weight
        As in `DANN`.
    """

    class_weight: Tensor | None

    def __init__(self, model: Classifier, class_weight: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels."""
        source, labels, *_ = batch
        return known_loss(self.model(source), labels, self.class_weight)

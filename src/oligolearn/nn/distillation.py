"""A student that learns what a frozen teacher makes of rows without labels (Chen 2020, SimCLRv2, arXiv:2006.10029)."""

from torch import Tensor, nn
from torch.nn import functional as F


class DistillationLoss(nn.Module):
    r"""Cross-entropy with a teacher's soft labels on all rows, and with the labels where there are some.

    ``forward((x, y, t))``, with `y` the class numbers ``(batch,)``, -1 where unlabelled, and `t` the teacher's logits
    ``(batch, n_classes)``, which get no gradient. With student logits :math:`s`, temperature :math:`T` and weight
    :math:`\alpha`, the mean over the batch of

    .. math:: \alpha T^2 H(\mathrm{softmax}(t / T), s / T) + (1 - \alpha) [y \ge 0] H(y, s)

    which is equation 3 of SimCLRv2 divided by the number of rows (equation 2 for :math:`\alpha = 1`); the factor
    :math:`T^2` is that of the authors' code and keeps the gradient's size.

    Parameters
    ----------
    model
        The student: module that returns logits.
    temperature
        Of both softmaxes: above 1 the soft labels grow softer, below 1 harder.
    distillation_weight
        :math:`\alpha`: 1 for the teacher alone, 0 for the labels alone.
    class_weight
        Weight of each class in the term of the labels, ``(n_classes,)``, or None for equal weights.

    Raises
    ------
    ValueError
        If the temperature is not positive or the weight lies outside 0 to 1.
    """

    per_replica = ("temperature", "distillation_weight")
    class_weight: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        temperature: float = 1.0,
        distillation_weight: float = 1.0,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, found {temperature}")
        if not 0 <= distillation_weight <= 1:
            raise ValueError(f"distillation_weight must lie between 0 and 1, found {distillation_weight}")
        self.model = model
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Mean loss of a batch, a scalar."""
        x, y, teacher = batch
        logits: Tensor = self.model(x)
        t = self.temperature
        soft = F.softmax(teacher.detach() / t, dim=1)
        losses = -self.distillation_weight * t**2 * (soft * F.log_softmax(logits / t, dim=1)).sum(dim=1)
        number = y.clamp(min=0)
        known = (y >= 0).to(logits)
        if self.class_weight is not None:
            known = known * self.class_weight[number]
        hard = F.log_softmax(logits, dim=1).gather(1, number[:, None])[:, 0]
        return (losses - (1 - self.distillation_weight) * known * hard).mean()

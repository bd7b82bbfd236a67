"""Binary cross-entropy of a network with an output for each of several labels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiLabelLoss(nn.Module):
    """Binary cross-entropy: ``forward((x, y))`` with `y` 1, 0 or NaN (not known), ``(batch, n_labels)``.

    With :math:`k_{il}` 1 where label l of row i is known and 0 elsewhere, :math:`f_l` the frequency of the label,
    :math:`s` the smoothing and :math:`w_{il}` the weight of what is true of it,

    .. math:: t_{il} = (1 - s)\\,y_{il} + s f_l, \\qquad
        L = \\frac{\\sum_{il} k_{il} w_{il}\\,\\mathrm{BCE}(z_{il}, t_{il})}{\\sum_{il} k_{il} w_{il}}.

    Parameters
    ----------
    model
        Module that returns logits, ``(batch, n_labels)``.
    frequency
        Share of the rows that have each label, ``(n_labels,)``.
    class_weight
        Weights of rows without and with each label, ``(2, n_labels)``, or None for equal weights.
    label_smoothing
        Share of each label that gives way to the label's frequency: a rare label stays rare, unlike with one half.

    Raises
    ------
    ValueError
        If that share is none.
    """

    frequency: Tensor
    class_weight: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        frequency: Tensor,
        class_weight: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), found {label_smoothing}")
        self.model = model
        self.label_smoothing = label_smoothing
        self.register_buffer("frequency", frequency)
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean loss of a batch over what is known of it, a scalar."""
        x, y = batch
        weight = (~torch.isnan(y)).to(y.dtype)
        true = torch.nan_to_num(y)
        if self.class_weight is not None:
            weight = weight * torch.where(true > 0.5, self.class_weight[1], self.class_weight[0])
        target = (1 - self.label_smoothing) * true + self.label_smoothing * self.frequency
        each = F.binary_cross_entropy_with_logits(self.model(x), target, reduction="none")
        return (each * weight).sum() / weight.sum()

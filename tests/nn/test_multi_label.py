"""Binary cross-entropy of several labels against its formula, row by row in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from oligolearn.nn import MultiLabelLoss

Z = np.array([[0.3, -1.2, 2.0], [-0.7, 0.1, 0.4], [1.5, -0.2, -3.0]])
Y = np.array([[1, 0, np.nan], [0, np.nan, 1], [1, 1, 0]])
FREQUENCY = np.array([0.6, 0.3, 0.1])


class Given(nn.Module):
    """Logits that are given."""

    def __init__(self, z):
        super().__init__()
        self.z = nn.Parameter(torch.from_numpy(z))

    def forward(self, x):
        return self.z[x]


def loss_of(y, **settings):
    model = Given(Z)
    loss = MultiLabelLoss(model, torch.from_numpy(FREQUENCY), **settings)
    value = loss((torch.arange(3), torch.from_numpy(y)))
    value.backward()
    return value.item(), model.z.grad.numpy()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_over_what_is_known(smoothing, weighted):
    weights = np.array([[0.5, 1.0, 2.0], [3.0, 0.7, 1.5]])
    total = mass = 0.0
    for row, column in zip(*np.nonzero(~np.isnan(Y)), strict=True):
        true = Y[row, column]
        target = (1 - smoothing) * true + smoothing * FREQUENCY[column]
        p = 1 / (1 + np.exp(-Z[row, column]))
        weight = weights[int(true), column] if weighted else 1.0
        total -= weight * (target * np.log(p) + (1 - target) * np.log(1 - p))
        mass += weight
    given = {"class_weight": torch.from_numpy(weights)} if weighted else {}
    value, _ = loss_of(Y, label_smoothing=smoothing, **given)
    assert value == pytest.approx(total / mass, rel=1e-12)


def test_what_is_not_known_teaches_nothing():
    _, gradient = loss_of(Y)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient == 0, np.isnan(Y))


def test_smoothing_leaves_the_frequency_of_a_label_where_it_is():
    frequency = torch.tensor([0.1], dtype=torch.float64)
    y = torch.zeros(10, 1, dtype=torch.float64)
    y[0] = 1
    z = torch.log(frequency / (1 - frequency)).requires_grad_()
    MultiLabelLoss(lambda x: z.expand(10, 1), frequency, label_smoothing=0.3)((None, y)).backward()
    assert abs(float(z.grad)) < 1e-12, "the logit of the frequency is the best constant, smoothed or not"


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="label_smoothing must lie in"):
        MultiLabelLoss(Given(Z), torch.from_numpy(FREQUENCY), label_smoothing=1.0)

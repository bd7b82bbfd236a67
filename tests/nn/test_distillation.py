"""The loss of a student against its equations, row by row."""

import math

import pytest
import torch
from torch import Tensor, nn

from oligolearn.nn import DistillationLoss

STUDENT = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -0.7], [1.5, 1.0, -2.0], [0.2, 0.1, 4.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 0.0, 0.0], [-2.0, 3.0, 0.5], [0.1, 0.2, 0.3], [5.0, -5.0, 0.0]], dtype=torch.float64)
LABELS = torch.tensor([2, -1, 0, -1])


def probabilities(logits: Tensor, temperature: float) -> list[float]:
    powers = [math.exp(float(value) / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


def expected(temperature: float, weight: float, class_weight: tuple[float, ...] = (1.0, 1.0, 1.0)) -> float:
    """Equation 3 of SimCLRv2 in plain Python, with the factor T^2 of the authors' code, divided by the rows."""
    total = 0.0
    for s, t, y in zip(STUDENT, TEACHER, LABELS.tolist(), strict=True):
        pairs = zip(probabilities(t, temperature), probabilities(s, temperature), strict=True)
        total -= weight * temperature**2 * sum(p * math.log(q) for p, q in pairs)
        if y >= 0:
            total -= (1 - weight) * class_weight[y] * math.log(probabilities(s, 1.0)[y])
    return total / len(STUDENT)


def loss(**settings: object) -> Tensor:
    value: Tensor = DistillationLoss(nn.Identity(), **settings)((STUDENT, LABELS, TEACHER))
    return value


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_is_that_of_the_paper(temperature: float, weight: float) -> None:
    found = loss(temperature=temperature, distillation_weight=weight)
    assert float(found) == pytest.approx(expected(temperature, weight), rel=1e-12)


def test_classes_weigh_in_the_term_of_the_labels_alone() -> None:
    weights = (3.0, 1.0, 0.5)
    found = loss(temperature=2.0, distillation_weight=0.4, class_weight=torch.tensor(weights, dtype=torch.float64))
    assert float(found) == pytest.approx(expected(2.0, 0.4, weights), rel=1e-12)
    alone = loss(distillation_weight=1.0, class_weight=torch.tensor(weights, dtype=torch.float64))
    assert float(alone) == pytest.approx(expected(1.0, 1.0), rel=1e-12)


def test_a_student_that_agrees_with_its_teacher_learns_nothing_from_it() -> None:
    same = TEACHER.clone().requires_grad_()
    DistillationLoss(nn.Identity(), temperature=1.7)((same, torch.full((4,), -1), TEACHER)).backward()
    torch.testing.assert_close(same.grad, torch.zeros_like(same), atol=1e-12, rtol=0)


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    DistillationLoss(nn.Identity(), distillation_weight=0.5)((student, LABELS, teacher)).backward()
    assert teacher.grad is None
    assert student.grad is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive, found 0.0"),
        ({"temperature": math.nan}, "temperature must be positive, found nan"),
        ({"distillation_weight": 1.5}, "distillation_weight must lie between 0 and 1, found 1.5"),
        ({"distillation_weight": -0.1}, "distillation_weight must lie between 0 and 1, found -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistillationLoss(nn.Identity(), **settings)

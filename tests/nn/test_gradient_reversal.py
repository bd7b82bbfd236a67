"""Gradient reversal against hand-computed gradients, alone and under vmap."""

import torch
from torch.func import grad, vmap

from oligolearn.nn import Discriminator, reverse_gradient


def test_the_value_stays_and_the_gradient_turns_around() -> None:
    x = torch.tensor([1e7, -3.0, 0.1], requires_grad=True)
    reversed_ = reverse_gradient(x, 0.25)
    assert torch.equal(reversed_, x), "not off by rounding either"
    (reversed_ * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.tensor([-0.25, -0.5, -0.75]))


def test_each_replica_has_its_own_strength() -> None:
    strengths = torch.tensor([0.0, 0.5, 2.0])
    slopes = vmap(grad(lambda x, s: (reverse_gradient(x, s) ** 2).sum()))(torch.full((3, 2), 3.0), strengths)
    assert torch.equal(slopes, torch.tensor([[0.0, 0.0], [-3.0, -3.0], [-12.0, -12.0]]))


def test_judging_teaches_what_is_judged_and_not_the_judge() -> None:
    torch.manual_seed(0)
    judge, x = Discriminator(4, 5, 2), torch.randn(6, 4, requires_grad=True)
    assert torch.equal(judge.judge(x), judge(x))
    judge.judge(x).square().sum().backward()
    found = x.grad
    assert all(parameter.grad is None for parameter in judge.parameters())
    x.grad = None
    judge(x).square().sum().backward()
    assert found is not None
    assert x.grad is not None
    assert torch.allclose(found, x.grad)

"""Slow copies: what they average, what they leave alone; the momentum suggested for a number of steps."""

import pytest
import torch
from torch import nn

from oligolearn.nn import MLP
from oligolearn.pretext.momentum import MomentumCopy, check_momentum, suggest_momentum


def test_weights_are_the_average_written_out() -> None:
    first, second = MLP(6, (5, 4)).double(), nn.Linear(4, 3).double()
    slow = MomentumCopy(first, second)
    generator = torch.Generator().manual_seed(0)
    history = [[p.detach().clone() for p in (*first.parameters(), *second.parameters())]]
    for _ in range(4):
        with torch.no_grad():
            for p in (*first.parameters(), *second.parameters()):
                p.add_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
        history.append([p.detach().clone() for p in (*first.parameters(), *second.parameters())])
        slow.follow(first, second, momentum=0.7)
    shares = [0.7**4, *(0.3 * 0.7**age for age in (3, 2, 1, 0))]
    for position, found in enumerate(slow.parameters()):
        expected = sum(share * weights[position] for share, weights in zip(shares, history, strict=True))
        torch.testing.assert_close(found.detach(), expected)


def test_a_copy_starts_equal_shares_no_memory_and_takes_no_gradient() -> None:
    network = MLP(6, (5, 4))
    slow, x = MomentumCopy(network), torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(slow(x), network(x).detach())
    assert not slow(x.requires_grad_()).requires_grad
    assert not any(p.requires_grad for p in slow.parameters())
    assert all(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        next(network.parameters()).zero_()
    assert next(slow.parameters()).any()


def test_statistics_of_batch_norm_are_the_copys_own() -> None:
    network = MLP(6, (5,))
    slow = MomentumCopy(network)
    network(torch.full((8, 6), 9.0))
    before = [value.clone() for value in slow.buffers()]
    slow.follow(network, momentum=0.5)
    assert all(torch.equal(one, two) for one, two in zip(before, slow.buffers(), strict=True))


def test_a_short_training_gets_a_copy_that_keeps_up() -> None:
    for n_steps in (1, 50, 200, 1_000, 10_000, 10**7):
        momentum = suggest_momentum(n_steps)
        assert 0.9 <= momentum <= 0.999
        if 200 <= n_steps <= 20_000:
            assert 1 / (1 - momentum) == pytest.approx(n_steps / 20)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 2.0, float("nan")])
def test_what_is_no_momentum_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum must lie between 0 and 1"):
        check_momentum(momentum)

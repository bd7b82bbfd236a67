"""What points at collapse is named, and nothing else is."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oligolearn.pretext import diagnose_collapse, effective_rank


def spread(n: int, rank: int, dim: int, seed: int = 0) -> Tensor:
    """Points of `n` samples that fill `rank` directions of `dim`."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, rank)) @ rng.normal(size=(rank, dim)))


def test_effective_rank_is_the_exponential_of_the_entropy_of_singular_values() -> None:
    x = np.random.default_rng(1).normal(size=(30, 6)) * [9, 5, 3, 1, 0.5, 0.1]
    values = np.sqrt(np.linalg.eigvalsh(np.cov(x.T, bias=True)))
    share = values / values.sum()
    assert effective_rank(torch.from_numpy(x)) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-9)


def test_effective_rank_counts_equal_directions() -> None:
    axes = torch.cat([torch.eye(4), -torch.eye(4)])
    assert effective_rank(axes) == pytest.approx(4.0, abs=1e-6)
    assert effective_rank(torch.nn.functional.pad(axes, (0, 3))) == pytest.approx(4.0, abs=1e-6)


def test_effective_rank_ignores_position_scale_and_rotation() -> None:
    x = spread(40, 5, 5)
    rotation = torch.linalg.qr(spread(5, 5, 5, seed=3)).Q
    for other in (x + 100.0, 0.001 * x, x @ rotation):
        assert effective_rank(other) == pytest.approx(effective_rank(x), rel=1e-6)


@pytest.mark.parametrize(
    ("embedding", "rank"),
    [
        (torch.full((20, 8), 3.7), 0.0),
        (torch.zeros(20, 8), 0.0),
        (1e6 + torch.zeros(20, 8), 0.0),
        (torch.linspace(0, 1, 20)[:, None] * torch.ones(8), 1.0),
        (torch.ones(1, 8), 0.0),
    ],
)
def test_effective_rank_of_points_and_lines(embedding: Tensor, rank: float) -> None:
    assert effective_rank(embedding) == pytest.approx(rank, abs=1e-3)


class WithPlateau(nn.Module):
    plateau = math.log(30)


def test_a_healthy_pretraining_has_nothing_to_say() -> None:
    assert diagnose_collapse(WithPlateau(), 0.5 * math.log(30), spread(50, 6, 8)) == []


def test_a_loss_at_the_plateau_is_named_with_its_value_and_a_fix() -> None:
    for loss in (math.log(30), 0.99 * math.log(30), 1.3 * math.log(30)):
        (sentence,) = diagnose_collapse(WithPlateau(), loss, spread(50, 6, 8))
        assert sentence.startswith("collapse: the loss")
        assert "plateau 3.401" in sentence
        assert "lower the learning rate" in sentence


def test_an_objective_without_a_plateau_is_judged_by_its_embedding_alone() -> None:
    assert diagnose_collapse(nn.Identity(), 99.0, spread(50, 6, 8)) == []
    (sentence,) = diagnose_collapse(nn.Identity(), 99.0, torch.ones(50, 8))
    assert "effective rank of 0.0" in sentence
    assert "larger batch" in sentence


def test_samples_on_one_line_are_named() -> None:
    line = torch.linspace(-1, 1, 50)[:, None] * torch.arange(8.0)
    (sentence,) = diagnose_collapse(WithPlateau(), 1.0, line)
    assert "effective rank of 1.0" in sentence

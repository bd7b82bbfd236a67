"""What points at collapse is named, and nothing else is."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oligolearn.nn import MLP
from oligolearn.pretext import (
    MoCo,
    SwAV,
    diagnose_collapse,
    effective_rank,
    positives_in_queue,
    prototypes_in_use,
    signs_of_collapse,
)


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


def with_prototypes(n_prototypes: int, dim: int = 4) -> SwAV:
    """SwAV whose head passes the embedding on, so that what is near which prototype is known."""
    torch.manual_seed(0)
    objective = SwAV(MLP(6, (5, dim)), n_prototypes=n_prototypes, projection=(8, dim))
    objective.head = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        objective.prototypes.weight.copy_(torch.cat([torch.eye(dim), -torch.eye(dim)])[:n_prototypes])
    return objective


def test_prototypes_in_use_are_the_perplexity_of_their_shares() -> None:
    objective = with_prototypes(4)
    x = torch.eye(4).repeat_interleave(torch.tensor([8, 4, 4, 0]), dim=0)
    share = np.array([0.5, 0.25, 0.25])
    assert prototypes_in_use(objective, x) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert prototypes_in_use(objective, torch.eye(4).repeat(5, 1)) == pytest.approx(4)
    assert prototypes_in_use(nn.Identity(), x) is None


def test_empty_prototypes_are_named_where_the_embedding_is_no_line() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(50, 4))).float() * 0.05
    x[:, 0] += 5  # all nearest to the first prototype, yet spread
    (sentence,) = diagnose_collapse(with_prototypes(8), 0.1, x)
    assert "spread over 1.0 of 8 prototypes" in sentence
    assert "fewer prototypes" in sentence
    assert diagnose_collapse(with_prototypes(8), 0.1, torch.from_numpy(rng.normal(size=(50, 4))).float()) == []


def test_the_head_is_left_in_its_mode() -> None:
    objective = SwAV(MLP(6, (5, 4)), n_prototypes=3)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    for training in (True, False):
        objective.train(training)
        signs_of_collapse(objective, torch.randn(10, 4, generator=torch.Generator().manual_seed(0)))
        assert objective.head.training is training
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())


def simulated_positives(length: int, n_rows: int) -> float:
    """How many views of a row are among the last `length` rows seen, rows being shuffled in each epoch."""
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.permutation(n_rows) for _ in range(60)])
    places = range(20 * n_rows, 60 * n_rows, 7)
    return float(np.mean([(seen[place - length : place] == seen[place]).sum() for place in places]))


@pytest.mark.parametrize("length", [10, 40, 80, 160])
def test_positives_in_the_queue_are_as_many_as_shuffling_gives(length: int) -> None:
    assert positives_in_queue(length, 80) == pytest.approx(simulated_positives(length, 80), abs=0.05)


def test_a_queue_longer_than_the_data_one_never_full_and_one_full_of_positives_are_named() -> None:
    x = spread(60, 6, 8).float()
    encoder = MLP(6, (5, 8))
    (longer,) = diagnose_collapse(MoCo(encoder, queue_length=90), 0.1, x, n_rows=60)
    assert "90 embeddings of 60 training samples, 1.5 for each" in longer
    assert "set queue_length to 60 or less" in longer
    (blind,) = diagnose_collapse(MoCo(encoder, queue_length=48), 0.1, x, n_rows=60, numbered=False)
    assert "0.32 of the negatives" in blind
    assert diagnose_collapse(MoCo(encoder, queue_length=48), 0.1, x, n_rows=60) == []
    unused = SwAV(encoder, n_prototypes=4, queue_length=50)
    unused.queued.fill_(40)
    assert any("never full (40 of 50" in sentence for sentence in diagnose_collapse(unused, 0.1, x, n_rows=60))

"""Each adaptation objective against an independent formula or numbers computed by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.adapt import (
    CDAN,
    DAN,
    DANN,
    WDGRL,
    Consensus,
    DeepCORAL,
    FewShot,
    SourceOnly,
    certainty_weights,
    coral_distance,
    kernel_discrepancy,
    label_loss,
    propagate_labels,
    reversal_strength,
)
from oligolearn.adapt.batches import Batch
from oligolearn.adapt.wdgrl import slopes
from oligolearn.nn import MLP, Classifier, Discriminator

N, M = 10, 7


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def network(n_classes: int = 3) -> Classifier:
    return Classifier(MLP(6, (5, 4)), n_classes).double()


def batch(*, target_labels: bool = False) -> Batch:
    x, y = torch.randn(N + M, 6).double(), torch.randint(3, (N + M,))
    hidden = y[N:] if target_labels else torch.full((M,), -1)
    return x[:N], y[:N], torch.zeros(N, dtype=torch.int64), x[N:] + 1, hidden


def embedded(model: Classifier, rows: Batch) -> Tensor:
    return model.encoder(torch.cat([rows[0], rows[3]]))


def test_label_loss_is_torchs_over_the_rows_that_have_labels() -> None:
    logits, labels, weight = torch.randn(9, 4), torch.randint(4, (9,)), torch.rand(4)
    labels[::3] = -1
    known = labels >= 0
    assert torch.allclose(label_loss(logits, labels), F.cross_entropy(logits[known], labels[known]))
    assert torch.allclose(label_loss(logits, labels, weight), F.cross_entropy(logits[known], labels[known], weight))


@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.1, math.tanh(0.5)), (1.0, math.tanh(5.0))])
def test_reversal_grows_as_a_hyperbolic_tangent(progress: float, strength: float) -> None:
    assert reversal_strength(progress) == pytest.approx(strength)


def test_dann_adds_the_loss_of_the_domains_and_turns_its_gradient_around() -> None:
    model, rows = network(), batch()
    objective = DANN(model, weight=0.5).double()
    objective.on_step(0.1)
    loss = objective(rows)
    z = embedded(model, rows).detach().requires_grad_()
    told = F.cross_entropy(objective.discriminator(z), torch.tensor([0] * N + [1] * M))
    named = F.cross_entropy(model.head(z[:N]), rows[1])
    assert loss.item() == pytest.approx((told + named).item())
    loss.backward()
    (by_domain,) = torch.autograd.grad(told, z, retain_graph=True)
    (by_label,) = torch.autograd.grad(named, z)
    z_again = embedded(model, rows)
    first = model.encoder.blocks[0][0].weight
    strength = 0.5 * math.tanh(0.5)
    (wanted,) = torch.autograd.grad(z_again, first, by_label - strength * by_domain)
    assert torch.allclose(first.grad, wanted, atol=1e-12)
    layer = objective.discriminator.layers[2]
    assert torch.allclose(layer.bias.grad.sum(), torch.zeros(1).double(), atol=1e-12)
    assert layer.bias.grad.abs().sum() > 0, "the discriminator itself learns, whatever the strength"


def test_dann_starts_as_training_on_the_source_and_counts_labels_of_the_target() -> None:
    model, rows = network(), batch(target_labels=True)
    objective = DANN(model).double()
    objective(rows).backward()
    found = model.head.weight.grad.clone()
    model.zero_grad()
    F.cross_entropy(model(torch.cat([rows[0], rows[3]])), torch.cat([rows[1], rows[4]])).backward()
    assert torch.allclose(found, model.head.weight.grad)


def test_dann_tells_source_domains_apart() -> None:
    model, rows = network(), batch()
    objective = DANN(model, n_sources=2).double()
    two = (rows[0], rows[1], torch.arange(N) % 2, *rows[3:])
    told = objective.discriminator(embedded(model, two))
    wanted = F.cross_entropy(told, torch.tensor([0, 1] * (N // 2) + [2] * M))
    logits = model.classify(embedded(model, two))
    assert objective(two).item() == pytest.approx((wanted + F.cross_entropy(logits[:N], two[1])).item())


def test_cdan_weighs_rows_by_certainty() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    raw = np.array([1 + 1, 1 + math.exp(-math.log(3))])
    assert np.allclose(certainty_weights(p), raw / raw.mean())


@pytest.mark.parametrize("largest_product", [4096, 8])
def test_cdan_sees_embedding_and_class_together(largest_product: int) -> None:
    model, rows = network(), batch()
    objective = CDAN(model, largest_product=largest_product).double()
    z = embedded(model, rows)
    p = model.head(z).softmax(dim=1)
    if largest_product == 8:
        joint = (z @ objective.of_embedding) * (p @ objective.of_classes) / math.sqrt(8)
    else:
        joint = torch.einsum("nd,nc->ndc", z, p).reshape(N + M, -1)
    losses = F.cross_entropy(objective.discriminator(joint), torch.tensor([0] * N + [1] * M), reduction="none")
    weights = 1 + torch.exp((p * p.log()).sum(dim=1))
    wanted = F.cross_entropy(model.head(z[:N]), rows[1]) + (weights * losses).sum() / weights.sum()
    assert objective(rows).item() == pytest.approx(wanted.item())


def test_coral_is_the_distance_of_numpys_covariances() -> None:
    a, b = torch.randn(20, 4).double(), 2 * torch.randn(9, 4).double()
    gap = np.cov(a.numpy(), rowvar=False) - np.cov(b.numpy(), rowvar=False)
    assert coral_distance(a, b).item() == pytest.approx((gap**2).sum() / (4 * 16))
    model, rows = network(), batch()
    z = embedded(model, rows)
    wanted = F.cross_entropy(model.head(z[:N]), rows[1]) + 3 * coral_distance(z[:N], z[N:])
    assert DeepCORAL(model, weight=3).double()(rows).item() == pytest.approx(wanted.item())


def test_discrepancy_is_that_of_all_pairs_one_by_one() -> None:
    a, b = torch.randn(6, 3).double(), torch.randn(4, 3).double() + 1
    every = torch.cat([a, b]).numpy()
    pairs = [((x - y) ** 2).sum() for i, x in enumerate(every) for j, y in enumerate(every) if i != j]
    spread = np.mean(pairs)

    def kernel(x: Tensor, y: Tensor) -> float:
        return float(np.mean([math.exp(-((x - y) ** 2).sum() / (w * spread)) for w in (0.25, 0.5, 1, 2, 4)]))

    def mean(one: Tensor, other: Tensor) -> float:
        return float(np.mean([kernel(x, y) for x in one for y in other]))

    assert kernel_discrepancy(a, b).item() == pytest.approx(mean(a, a) + mean(b, b) - 2 * mean(a, b))
    model, rows = network(), batch()
    z = embedded(model, rows)
    wanted = F.cross_entropy(model.head(z[:N]), rows[1]) + 2 * kernel_discrepancy(z[:N], z[N:])
    assert DAN(model, weight=2).double()(rows).item() == pytest.approx(wanted.item())


def test_slopes_are_those_of_autograd_and_can_be_learned_from() -> None:
    critic, x = Discriminator(4, 6, 1).double(), torch.randn(5, 4).double().requires_grad_()
    (wanted,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    found = slopes(critic, x)
    assert torch.allclose(found, wanted)
    weights = [critic.layers[0].weight, critic.layers[2].weight]
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), weights),
        torch.autograd.grad(wanted.square().sum(), weights),
        strict=True,
    ):
        assert torch.allclose(mine, theirs)


def test_wdgrl_pulls_scores_apart_with_slopes_near_one() -> None:
    model, rows = network(), batch()
    objective = WDGRL(model, penalty=10).double()
    z = embedded(model, rows)
    places = torch.tensor([(i + 0.5) / M for i in range(M)]).double()[:, None]
    between = ((1 - places) * z[:M] + places * z[N:]).detach().requires_grad_()
    (steep,) = torch.autograd.grad(objective.critic(between).sum(), between)
    penalty = ((steep.norm(dim=1) - 1) ** 2).mean()
    scores = objective.critic(z)
    wanted = F.cross_entropy(model.head(z[:N]), rows[1]) - (scores[:N].mean() - scores[N:].mean()) + 10 * penalty
    assert objective(rows).item() == pytest.approx(wanted.item())


def consensus(convention: str) -> tuple[Consensus, Batch]:
    one, other = MLP(6, (5, 4)), MLP(6, (5, 4))
    return Consensus(one, other, convention=convention).double(), batch()


@pytest.mark.parametrize(
    ("convention", "pretended"), [("both-inverted", [1] * N + [0] * M), ("inverted", [0] * (N + M))]
)
def test_consensus_teaches_discriminator_and_encoders_each_its_own(convention: str, pretended: list[int]) -> None:
    objective, rows = consensus(convention)
    objective(rows).backward()
    found = {name: p.grad.clone() for name, p in objective.named_parameters()}
    objective.zero_grad()
    z = torch.cat([objective.source_encoder(rows[0]), objective.target_encoder(rows[3])])
    F.cross_entropy(objective.discriminator(z.detach()), torch.tensor([0] * N + [1] * M)).backward()
    encoders = [*objective.source_encoder.parameters(), *objective.target_encoder.parameters()]
    given = torch.autograd.grad(F.cross_entropy(objective.discriminator(z), torch.tensor(pretended)), encoders)
    wanted = dict(zip([n for n in found if "encoder" in n], given, strict=True))
    wanted |= {f"discriminator.{name}": p.grad for name, p in objective.discriminator.named_parameters()}
    for name, gradient in found.items():
        assert torch.allclose(gradient, wanted[name]), name


def test_consensus_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="inverted or both-inverted"):
        Consensus(MLP(6, (4,)), MLP(6, (4,)), convention="other")
    with pytest.raises(ValueError, match="same width"):
        Consensus(MLP(6, (4,)), MLP(6, (3,)))


def test_labels_are_propagated_in_the_order_and_to_the_classes_worked_out_by_hand() -> None:
    """Rows at 0, 1, 2 and 10, 11, 13; each is believed by itself and the nearest other row.

    Known are 0 (class 0) and 13 (class 1). Beliefs in class 1: row at 1 beside 0, (.4 + 0) / 2 = .2; at 2 beside 1,
    (.7 + .4) / 2 = .55; at 10 beside 11, (.3 + .6) / 2 = .45; at 11 beside 10, .45. Least in doubt is the row at 1,
    which becomes class 0; the row at 2 is then at (.7 + 0) / 2 = .35 and the least in doubt; then those at 10 and 11.
    """
    rows = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [13.0]])
    second = torch.tensor([0.5, 0.4, 0.7, 0.3, 0.6, 0.5])
    probabilities = torch.stack([1 - second, second], dim=1)
    known = torch.tensor([0, -1, -1, -1, -1, 1])
    steps = [
        propagate_labels(rows, probabilities, known, share=share / 4, n_neighbours=2).tolist() for share in range(5)
    ]
    assert steps[0] == known.tolist()
    assert steps[1] == [0, 0, -1, -1, -1, 1]
    assert steps[2] == [0, 0, 0, -1, -1, 1], "against its own probability, by the row beside it"
    assert steps[4] == [0, 0, 0, 0, 0, 1]
    wide = propagate_labels(rows, probabilities, known, n_neighbours=3)
    assert wide.tolist() == [0, 0, 0, 1, 1, 1], "with two rows beside each, the known label at 13 reaches 11 and 10"


def test_propagation_keeps_known_labels_and_follows_rows_wherever_they_stand() -> None:
    x, y = torch.randn(60, 3), torch.randint(3, (60,))
    x += 6 * torch.eye(3)[y]
    known = torch.where(torch.arange(60) < 9, (y + 1) % 3, -1)  # of wrong names, which are not for it to judge
    unsure = torch.full((60, 3), 1 / 3)
    found = propagate_labels(x, unsure, known)
    assert torch.equal(found[:9], known[:9])
    assert torch.equal(found, (y + 1) % 3)
    order = torch.randperm(60)
    assert torch.equal(propagate_labels(x[order], unsure, known[order]), found[order])
    assert (propagate_labels(x, unsure, known, share=1 / 3) == -1).sum() == 34  # of 51


def test_few_labels_teach_the_target_encoder_and_the_shared_classifier() -> None:
    one, other, head = MLP(6, (5, 4)), MLP(6, (5, 4)), nn.Linear(4, 3)
    weight = torch.tensor([1.0, 2.0, 3.0])
    objective, rows = FewShot(one, other, head, class_weight=weight).double(), batch(target_labels=True)
    rows[4][:3] = -1
    loss = objective(rows)
    loss.backward()
    by_source = F.cross_entropy(head(one(rows[0])), rows[1], weight.double())
    by_target = F.cross_entropy(head(other(rows[3])[3:]), rows[4][3:], weight.double())
    assert loss.item() == pytest.approx((by_source + by_target).item())
    assert all(parameter.grad is None for parameter in one.parameters()), "the source encoder stays as it is"
    assert all(parameter.grad is not None for parameter in (*other.parameters(), *head.parameters()))
    assert not objective.train().source_encoder.training


@pytest.mark.parametrize("make", [DANN, DeepCORAL, DAN, WDGRL, SourceOnly])
def test_values_in_place_of_classes_are_learned_by_their_squared_error(make: Callable[..., nn.Module]) -> None:
    """The rest of each loss does not look at labels: between two sets of values only the squared errors differ."""
    model, rows = network(1), batch()
    objective = make(model).double()
    values = torch.randn(N + M).double()
    values[[2, N + 1]] = torch.nan
    outputs = model(rows[0] if make is SourceOnly else torch.cat([rows[0], rows[3]]))[:, 0]
    seen = torch.nonzero(~values[: len(outputs)].isnan())[:, 0]
    wanted = F.mse_loss(outputs[seen], values[seen]) - F.mse_loss(outputs[:1], values[:1])
    one = torch.full((N + M,), torch.nan).double()
    one[0] = values[0]
    found = [objective((rows[0], y[:N], rows[2], rows[3], y[N:])) for y in (values, one)]
    assert (found[0] - found[1]).item() == pytest.approx(wanted.item())


def test_nothing_is_learned_from_hidden_labels_of_the_target() -> None:
    for make in (DANN, CDAN, DeepCORAL, DAN, WDGRL):
        model, rows = network(), batch()
        objective: nn.Module = make(model).double()
        assert torch.isfinite(objective(rows))
        seen = batch(target_labels=True)
        assert objective((*rows[:4], seen[4])).item() != pytest.approx(objective(rows).item())

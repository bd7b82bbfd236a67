"""Transfer copies k blocks, freezing stops j of them, and pretrained batch norms keep their statistics."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from oligolearn.nn import MLP, ClassificationLoss, Classifier, transfer
from oligolearn.training import Schedule, fit

N_GENES = 6
HIDDEN = (7, 5, 4)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pretrained(seed: int = 0) -> MLP:
    """An encoder with weights and statistics unlike those of a new one."""
    torch.manual_seed(seed)
    encoder = MLP(N_GENES, HIDDEN)
    for step in range(5):
        encoder(3 + 2 * draw(32, N_GENES, seed=step))
    return encoder.eval()


def states(encoder: MLP) -> list[dict[str, Tensor]]:
    return [copy.deepcopy(dict(block.state_dict())) for block in encoder.blocks]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def train(model: Classifier) -> None:
    x, y = draw(24, N_GENES, seed=9), torch.arange(24) % 3
    schedule = Schedule(12, 8, 1e-2, weight_decay=0.1)
    loss = ClassificationLoss(model)
    fit(loss, lambda rows: (x[rows], y[rows]), 24, schedule, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_blocks", range(4))
def test_transfer_copies_exactly_as_many_blocks(n_blocks: int) -> None:
    source, target = pretrained(0), pretrained(1)
    given, before = states(source), states(target)
    transfer(source, target, n_blocks)
    for number, after in enumerate(states(target)):
        assert same(after, given[number]) is (number < n_blocks)
        assert same(after, before[number]) is (number >= n_blocks)
    assert all(same(one, other) for one, other in zip(states(source), given, strict=True))


def test_transferred_weights_are_copies() -> None:
    source, target = pretrained(0), pretrained(1)
    transfer(source, target, 3)
    given = states(source)
    train(Classifier(target, 3))
    assert all(same(one, other) for one, other in zip(states(source), given, strict=True))


@pytest.mark.parametrize("n_blocks", range(4))
def test_frozen_blocks_keep_weights_and_statistics(n_blocks: int) -> None:
    model = Classifier(pretrained(), 3, frozen_blocks=n_blocks)
    before = states(model.encoder)
    train(model)
    for number, after in enumerate(states(model.encoder)):
        for name, value in after.items():
            frozen = number < n_blocks
            assert torch.equal(value, before[number][name]) is frozen, f"block {number}: {name}"


@pytest.mark.parametrize("n_blocks", range(4))
def test_pretrained_batch_norms_keep_statistics_and_learn_weights(n_blocks: int) -> None:
    model = Classifier(pretrained(), 3, pretrained_blocks=n_blocks)
    before = states(model.encoder)
    train(model)
    for number, after in enumerate(states(model.encoder)):
        for name, value in after.items():
            kept = number < n_blocks and ("running" in name or "tracked" in name)
            assert torch.equal(value, before[number][name]) is kept, f"block {number}: {name}"


def test_frozen_blocks_have_no_dropout_and_others_do() -> None:
    encoder = MLP(N_GENES, HIDDEN, dropout=0.5)
    model = Classifier(encoder, 3, frozen_blocks=1, dropout=0.5).train()
    modes = [layer.training for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert modes == [False, True, True, True]
    model.eval()
    assert not any(module.training for module in model.modules())


def test_the_mode_survives_a_parent_being_set_to_training() -> None:
    model = Classifier(pretrained(), 3, frozen_blocks=2)
    parent = ClassificationLoss(model)
    parent.eval()
    parent.train()
    assert [block.training for block in model.encoder.blocks] == [False, False, True]


def test_the_loss_is_the_weighted_cross_entropy() -> None:
    model = nn.Linear(N_GENES, 3)
    x, y, weight = draw(10, N_GENES), torch.arange(10) % 3, torch.tensor([1.0, 2.0, 5.0])
    with torch.no_grad():
        odds = model(x).exp()
        losses = -(odds[torch.arange(10), y] / odds.sum(dim=1)).log()
        torch.testing.assert_close(ClassificationLoss(model)((x, y)), losses.mean())
        expected = (losses * weight[y]).sum() / weight[y].sum()
        torch.testing.assert_close(ClassificationLoss(model, weight)((x, y)), expected)


@pytest.mark.parametrize("n_blocks", [-1, 4])
@pytest.mark.parametrize("what", ["frozen", "pretrained", "transferred"])
def test_impossible_numbers_of_layers_are_refused(what: str, n_blocks: int) -> None:
    message = f"the number of {what} layers must lie between 0 and 3, found {n_blocks}"
    attempts: dict[str, Callable[[], object]] = {
        "transferred": lambda: transfer(pretrained(), pretrained(), n_blocks),
        "frozen": lambda: Classifier(pretrained(), 2, frozen_blocks=n_blocks),
        "pretrained": lambda: Classifier(pretrained(), 2, pretrained_blocks=n_blocks),
    }
    with pytest.raises(ValueError, match=message):
        attempts[what]()

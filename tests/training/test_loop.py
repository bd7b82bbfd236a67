"""The training loop against one written out here, its schedule, its early stopping, and exact outputs."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from oligolearn.training import DivergedError, Schedule, apply_in_batches, fit, n_batches

N_FEATURES = 5


class Regression(nn.Module):
    """Squared error of a small network with batch norm."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        self.heard: list[float] = []

    def on_step(self, progress: float) -> None:
        self.heard.append(progress)

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return ((self.net(x)[:, 0] - y) ** 2).mean()


def data(n_rows: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, N_FEATURES, generator=generator)
    return x, x.sum(dim=1) + 0.1 * torch.randn(n_rows, generator=generator)


def batches_of(n_rows: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    x, y = data(n_rows)
    return lambda rows: (x[rows], y[rows])


def order(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert all(torch.equal(one[name], other[name]) for name in one)


def adamw_by_hand(module: nn.Module, make_batch: Callable[[Tensor], tuple[Tensor, Tensor]], n_rows: int) -> None:
    """40 steps in batches of a third of the rows: warm-up over 4 steps, half cosine, clipping at 0.5, decay 0.1."""
    steps, peak, decay, longest = 40, 2e-2, 0.1, 0.5
    parameters = list(module.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    generator = order()
    step = 0
    while step < steps:
        shuffled = torch.randperm(n_rows, generator=generator)
        size = n_rows // 3
        for number in range(3):
            if step == steps:
                break
            module.train()
            loss = module(make_batch(shuffled[number * size : (number + 1) * size]))
            gradients = torch.autograd.grad(loss, parameters)
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
            rate = peak * min(1.0, (step + 1) / 4) * (1 + math.cos(math.pi * step / steps)) / 2
            step += 1
            with torch.no_grad():
                clipped = [g * min(1.0, longest / (norm + 1e-6)) for g in gradients]
                for p, g, m, v in zip(parameters, clipped, first, second, strict=True):
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g**2)
                    p.mul_(1 - rate * decay)
                    p.sub_(rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8))


def test_equals_adamw_with_clipping_written_out() -> None:
    n_rows = 31
    schedule = Schedule(40, 10, 2e-2, weight_decay=0.1, warm_up=0.1, clip_norm=0.5)
    module, expected = Regression().double(), Regression().double()
    x, y = (values.double() for values in data(n_rows))
    history = fit(module, lambda rows: (x[rows], y[rows]), n_rows, schedule, generator=order())
    adamw_by_hand(expected, lambda rows: (x[rows], y[rows]), n_rows)
    for found, wanted in zip(module.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    assert len(history.losses) == 14  # 13 epochs of 3 steps and one of 1
    assert history.scores == []
    assert history.best_epoch == 13
    assert history.losses[-1] < 0.5 * history.losses[0]


def test_the_rate_rises_linearly_then_falls_along_a_half_cosine_to_zero() -> None:
    schedule = Schedule(100, 8, 0.3, warm_up=0.2)
    cosine = [0.3 * math.cos(math.pi * step / 200) ** 2 for step in range(101)]
    for step in range(101):
        expected = cosine[step] * (min(step + 1, 20) / 20)
        assert schedule.rate(step) == pytest.approx(expected, abs=1e-15)
    assert schedule.rate(100) == pytest.approx(0, abs=1e-15)
    assert max(range(100), key=schedule.rate) == 19


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert Schedule(50, 8, 0.3, warm_up=0.0).rate(0) == 0.3
    assert Schedule(1, 8, 0.3).rate(0) == 0.3


@pytest.mark.parametrize(("n_rows", "batch_size"), [(100, 32), (64, 64), (65, 64), (127, 64), (128, 64), (5, 64)])
def test_batches_are_equal_and_not_smaller_than_asked(n_rows: int, batch_size: int) -> None:
    seen: list[Tensor] = []

    def make_batch(rows: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(rows)
        return batches_of(n_rows)(rows)

    per_epoch = n_batches(n_rows, batch_size)
    fit(Regression(), make_batch, n_rows, Schedule(3 * per_epoch, batch_size, 1e-3), generator=order())
    assert len({len(rows) for rows in seen}) == 1
    assert min(batch_size, n_rows) <= len(seen[0]) < 2 * batch_size
    for epoch in range(3):
        rows = torch.cat(seen[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert len(rows.unique()) == len(rows) > n_rows - per_epoch, "every row once, but for a remainder"
    assert not torch.equal(torch.cat(seen[:per_epoch]), torch.cat(seen[per_epoch : 2 * per_epoch]))


def test_the_module_hears_its_progress_before_each_step() -> None:
    module = Regression()
    fit(module, batches_of(20), 20, Schedule(8, 10, 1e-3), generator=order())
    assert module.heard == [step / 8 for step in range(8)]


def test_the_listener_hears_every_epoch() -> None:
    heard: list[tuple[int, int, float]] = []
    history = fit(
        Regression(),
        batches_of(20),
        20,
        Schedule(5, 10, 1e-3),
        generator=order(),
        on_epoch=lambda *told: heard.append(told),
    )
    assert [(done, total) for done, total, _ in heard] == [(1, 3), (2, 3), (3, 3)]
    assert [loss for _, _, loss in heard] == history.losses


def test_same_seed_same_weights_and_another_order_others() -> None:
    results = []
    for seed in (0, 0, 1):
        module = Regression()
        torch.manual_seed(seed + len(results))
        fit(module, batches_of(40), 40, Schedule(20, 10, 1e-2), generator=order(seed))
        results.append(weights(module))
    assert_same(results[0], results[1])
    assert not torch.equal(results[0]["net.0.weight"], results[2]["net.0.weight"])


def test_weights_that_do_not_learn_are_left_alone() -> None:
    module = Regression()
    module.net[0].requires_grad_(False)
    before = weights(module)
    fit(module, batches_of(40), 40, Schedule(20, 10, 1e-2, weight_decay=0.5), generator=order())
    assert torch.equal(module.net[0].weight, before["net.0.weight"])
    assert not torch.equal(module.net[3].weight, before["net.3.weight"])


def train_with_scores(scores: list[float], patience: int) -> tuple[Regression, list[dict[str, Tensor]], int]:
    """Train for 12 epochs at most; return the module, its weights after each epoch, and the best epoch."""
    module, after = Regression(), []

    def score() -> float:
        assert not module.training
        after.append(weights(module))
        return scores[len(after) - 1]

    schedule = Schedule(24, 10, 1e-2, patience=patience)
    history = fit(module, batches_of(20), 20, schedule, generator=order(), score=score)
    assert history.scores == scores[: len(after)]
    assert len(history.losses) == len(after)
    return module, after, history.best_epoch


@pytest.mark.parametrize(
    ("scores", "patience", "best", "n_epochs"),
    [
        ([1, 2, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2], 3, 2, 6),
        ([1, 2, 3, 2, 2, 4, 2, 2, 2, 2, 2, 2], 3, 5, 9),
        ([5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6], 1, 0, 2),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 4, 0, 5),  # as good is not better
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 1, 11, 12),
        ([1, 9, 3, 4, 5, 6, 7, 8, 2, 3, 4, 5], 100, 1, 12),  # never stopped, still the best is kept
    ],
)
def test_early_stopping_keeps_the_best_epoch(scores: list[float], patience: int, best: int, n_epochs: int) -> None:
    module, after, found = train_with_scores(scores, patience)
    assert found == best
    assert len(after) == n_epochs
    assert_same(weights(module), after[best])


def test_the_module_is_left_in_evaluation_mode() -> None:
    module = Regression()
    fit(module, batches_of(20), 20, Schedule(4, 10, 1e-2), generator=order())
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_reported(poison: float) -> None:
    x, y = data(40)
    y[7] = poison
    with pytest.raises(DivergedError, match=r"the loss became \w+ in epoch 1 of 5; a smaller learning rate than 0.01"):
        fit(Regression(), lambda rows: (x[rows], y[rows]), 40, Schedule(20, 10, 1e-2), generator=order())
    assert issubclass(DivergedError, ValueError)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be positive, found 0"),
        ({"batch_size": -3}, "batch_size must be positive, found -3"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": math.nan}, "learning_rate must be positive"),
        ({"clip_norm": 0.0}, "clip_norm must be positive"),
        ({"patience": 0}, "patience must be positive"),
        ({"warm_up": 1.0}, "warm_up must lie in"),
        ({"warm_up": -0.1}, "warm_up must lie in"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(**{"steps": 10, "batch_size": 8, "learning_rate": 0.1, **settings})  # type: ignore[arg-type]


def test_an_epoch_of_empty_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, found 0"):
        n_batches(10, 0)


@pytest.fixture
def trained() -> nn.Module:
    module = Regression()
    fit(module, batches_of(40), 40, Schedule(20, 10, 1e-2), generator=order())
    return nn.Sequential(module.net, nn.Dropout(0.5))


def test_outputs_do_not_depend_on_the_batch(trained: nn.Module) -> None:
    x = 3 * torch.randn(97, N_FEATURES, generator=order(3))
    whole = apply_in_batches(trained, x)
    for batch_size in (1, 2, 7, 64, 96):
        assert torch.equal(apply_in_batches(trained, x, batch_size=batch_size), whole)
    shuffled = torch.randperm(97, generator=order(4))
    assert torch.equal(apply_in_batches(trained, x[shuffled]), whole[shuffled])


def test_outputs_are_those_of_the_module_in_evaluation_mode(trained: nn.Module) -> None:
    x = torch.randn(20, N_FEATURES, generator=order(3))
    found = apply_in_batches(trained.train(), x)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(found, trained.eval()(x))


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was_found(trained: nn.Module, training: bool) -> None:
    trained.train(training)
    trained[0][1].eval()  # a mix of modes, as frozen blocks have it
    before, modes = copy.deepcopy(weights(trained)), [part.training for part in trained.modules()]
    state = torch.get_rng_state()
    apply_in_batches(trained, torch.randn(20, N_FEATURES, generator=order()))
    assert [part.training for part in trained.modules()] == modes
    assert_same(weights(trained), before)
    assert all(value.dtype == before[name].dtype for name, value in trained.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_no_rows_give_no_outputs(trained: nn.Module) -> None:
    assert apply_in_batches(trained, torch.empty(0, N_FEATURES)).shape == (0, 1)


def test_an_infinite_norm_clips_nothing() -> None:
    found = []
    for norm in (math.inf, 1e9):
        module = Regression()
        fit(module, batches_of(20), 20, Schedule(8, 10, 1e-2, clip_norm=norm), generator=order())
        found.append(weights(module))
    assert_same(*found)

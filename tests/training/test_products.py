"""The products of wide layers against torch's own."""

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from oligolearn.training import Runtime, Schedule, apply_in_batches, fit
from oligolearn.training.products import exact_copy, fast_products, resolve_precision

N_IN, N_OUT = 4096, 300  # enough weights to be taken over


def layer(dtype: torch.dtype = torch.float32) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(N_IN, N_OUT).to(dtype)


class Loss(nn.Module):
    """Cross-entropy."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])


def rows(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(module: nn.Linear, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    module.zero_grad()
    (module(x).square().sum() + module(2 * x).sin().sum()).backward()
    found = [module.weight.grad, module.bias.grad, x.grad]
    return [gradient.clone() for gradient in found if gradient is not None]


@pytest.mark.parametrize("shape", [(16, N_IN), (2, 5, N_IN)])
@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [
        ("32", torch.float32, 1e-5),
        ("32", torch.float64, 1e-12),
        ("bf16", torch.float64, 1e-12),
        ("bf16", torch.float32, 2e-2),
    ],
)
def test_values_and_gradients_of_a_layer_used_twice(
    shape: tuple[int, ...], precision: str, dtype: torch.dtype, tolerance: float
) -> None:
    module, x = layer(dtype), rows(*shape, dtype=dtype)
    expected, value = gradients(module, x), module(x).detach()
    with fast_products(module, precision):
        for _ in range(2):  # the memory of the first pass serves the second
            found = gradients(module, x)
            for mine, theirs in zip(found, expected, strict=True):
                assert float((mine - theirs).norm() / theirs.norm()) < tolerance
        assert float((module(x).detach() - value).norm() / value.norm()) < tolerance
        assert module(x).dtype == dtype
    assert "forward" not in vars(module)
    assert torch.equal(module(x), value)


def test_bf16_sees_every_change_of_the_weights() -> None:
    module, x = layer(), rows(4, N_IN)
    with fast_products(module, "bf16") as changed:
        before = module(x)
        with torch.no_grad():
            module.weight.mul_(2)
            module.bias.mul_(2)
        changed()
        torch.testing.assert_close(module(x), 2 * before)


def test_small_layers_and_double_precision_are_left_alone() -> None:
    small = nn.Linear(20, 20)
    with fast_products(small, "bf16"):
        assert "forward" not in vars(small)


@pytest.mark.parametrize("dilation", [1, 3])
def test_convolutions_round_what_they_read_and_are_left_as_they_were(dilation: int) -> None:
    torch.manual_seed(0)
    module = nn.Conv1d(4, 8, 9, dilation=dilation, padding=4)
    x = torch.randn(16, 4, 50, requires_grad=True)
    half = [parameter.detach().bfloat16().double() for parameter in module.parameters()]
    by_hand = nn.functional.conv1d(x.detach().bfloat16().double(), *half, padding=4, dilation=dilation)
    value = module(x).detach()
    gradients = torch.autograd.grad(module(x).sin().sum(), [module.weight, x])
    with fast_products(module, "bf16"):
        found = module(x)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), by_hand, rtol=2**-8, atol=1e-3)
        assert not torch.equal(found, value)
        for mine, theirs in zip(torch.autograd.grad(found.sin().sum(), [module.weight, x]), gradients, strict=True):
            assert float((mine - theirs).norm() / theirs.norm()) < 2e-2
        assert torch.equal(exact_copy(module).float()(x), value)
    assert torch.equal(module(x), value)
    circular = nn.Conv1d(4, 8, 9, padding=4, padding_mode="circular")
    for other in (nn.Conv1d(4, 8, 3), nn.Conv1d(4, 8, 9).double(), circular):
        with fast_products(other, "bf16"):
            assert "_conv_forward" not in vars(other), "small, of 64 bits, or padded with other than zeros"


def test_layers_compute_as_before_after_an_error() -> None:
    module = layer()
    with pytest.raises(KeyError), fast_products(module, "bf16"):
        raise KeyError
    assert "forward" not in vars(module)


def test_outputs_while_training_are_exact() -> None:
    module, x = nn.Sequential(layer(), nn.Dropout(0.5)).eval(), rows(8, N_IN)
    expected = apply_in_batches(module, x)
    with fast_products(module, "bf16", generators=[torch.Generator()]):
        module(x)
        assert torch.equal(apply_in_batches(module, x), expected)
        assert not torch.equal(module(x), expected)


def test_copies_made_while_training_go_at_once() -> None:
    module = layer()
    gc.collect()
    gc.disable()
    try:
        with fast_products(module, "bf16"):
            copied = weakref.ref(exact_copy(module))
            assert copied() is None
    finally:
        gc.enable()


def test_unknown_precisions_are_named() -> None:
    with pytest.raises(ValueError, match="unknown precision 'half'; choose one of auto, 32, bf16"):
        resolve_precision("half", torch.device("cpu"))
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"
    assert resolve_precision("auto", torch.device("cpu")) in ("32", "bf16")


def test_dropout_draws_from_its_generator_alone() -> None:
    module = nn.Sequential(nn.Dropout(0.25))
    x = torch.ones(400, 50)
    state = torch.get_rng_state()
    with fast_products(module, "32", generators=[torch.Generator().manual_seed(4)]):
        first = module(x)
        assert torch.equal(module.eval()(x), x)
        module.train()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    with fast_products(module, "32", generators=[torch.Generator().manual_seed(4)]):
        assert torch.equal(module(x), first)


def test_training_in_bf16_moves_the_weights_that_are_kept() -> None:
    """The loss in 32 bits after a training in bf16 is that of a training in 32 bits."""
    x = rows(200, 64)
    y = x[:, :3].argmax(dim=1)
    losses = {}
    for precision in ("32", "bf16"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = nn.Sequential(
                nn.Linear(64, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 256), nn.Linear(256, 3)
            )
        module = Loss(net)
        order = torch.Generator().manual_seed(0)
        fit(module, lambda n: (x[n], y[n]), 200, Schedule(60, 50, 1e-3), generator=order, runtime=Runtime(precision))
        losses[precision] = float(module((x, y)).detach())
    assert losses["bf16"] == pytest.approx(losses["32"], abs=0.02)
    assert losses["32"] < 0.2

"""The MLP and its heads: their formula, their blocks, what they refuse."""

import pytest
import torch
from torch import Tensor, nn

from oligolearn.nn import ENCODERS, MLP, ProjectionHead


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_normed(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch norm in training mode, written out."""
    centred = x - x.mean(dim=0)
    return centred / (centred.pow(2).mean(dim=0) + norm.eps).sqrt() * norm.weight + norm.bias


@torch.no_grad()
def test_each_block_is_linear_then_batch_norm_then_relu() -> None:
    encoder = MLP(6, (5, 4))
    x = draw(16, 6)
    expected = x
    for block in encoder.blocks:
        linear, norm = block[0], block[1]
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.uniform_(-1.0, 1.0)
        expected = batch_normed(expected @ linear.weight.T, norm).clamp(min=0)
    torch.testing.assert_close(encoder(x), expected)


@torch.no_grad()
def test_without_batch_norm_it_is_a_plain_perceptron_with_biases() -> None:
    encoder = MLP(6, (5, 4), batch_norm=False)
    x = expected = draw(3, 6)
    for block in encoder.blocks:
        expected = (expected @ block[0].weight.T + block[0].bias).clamp(min=0)
    torch.testing.assert_close(encoder(x), expected)
    assert sum(p.numel() for p in encoder.parameters()) == 6 * 5 + 5 + 5 * 4 + 4


def test_the_default_is_the_network_of_the_reference_study() -> None:
    encoder = MLP(100)
    assert [block[0].out_features for block in encoder.blocks] == [512, 256, 128]
    assert encoder.out_dim == 128
    linear, norm = 100 * 512 + 512 * 256 + 256 * 128, 2 * (512 + 256 + 128)
    assert sum(p.numel() for p in encoder.parameters()) == linear + norm


@torch.no_grad()
def test_rows_do_not_see_each_other_in_evaluation_mode() -> None:
    encoder = MLP(6, (5, 4), dropout=0.5)
    encoder(draw(32, 6))
    encoder.eval()
    x = draw(10, 6, seed=1)
    torch.testing.assert_close(encoder(x)[3:5], encoder(x[3:5]))
    torch.testing.assert_close(encoder(x.flip(0)).flip(0), encoder(x))


@torch.no_grad()
def test_dropout_drops_its_share_in_training_alone() -> None:
    encoder = MLP(4, (20_000,), dropout=0.3, batch_norm=False)
    kept = MLP(4, (20_000,), batch_norm=False)
    kept.load_state_dict(encoder.state_dict())
    x = draw(2, 4)
    torch.manual_seed(0)
    dropped = encoder(x)
    alive = kept(x) > 0
    assert float((dropped[alive] == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(dropped[dropped > 0], kept(x)[dropped > 0] / 0.7)
    assert torch.equal(encoder.eval()(x), kept(x))


@pytest.mark.parametrize("hidden", [(), (0,), (8, -1)])
def test_a_network_without_units_is_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one block of at least one unit"):
        MLP(5, hidden)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_have_blocks_from_input_to_output(name: str) -> None:
    encoder = ENCODERS[name](40)
    x = draw(8, 40)
    encoder.eval()
    through_blocks = x
    for block in encoder.blocks:
        through_blocks = block(through_blocks)
    assert torch.equal(encoder(x), through_blocks)
    assert encoder(x).shape == (8, encoder.out_dim)
    in_blocks = {id(p) for block in encoder.blocks for p in block.parameters()}
    assert in_blocks == {id(p) for p in encoder.parameters()}, "a weight outside all blocks is never transferred"


@torch.no_grad()
def test_the_projection_head_is_linear_batch_norm_relu_linear() -> None:
    head = ProjectionHead(6, 5, 3)
    first, norm, _, last = head.layers
    x = draw(12, 6)
    expected = batch_normed(x @ first.weight.T, norm).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(head(x), expected)

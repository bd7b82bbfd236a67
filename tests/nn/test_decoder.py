"""The decoder: its layers, and that its outputs have no bounds."""

import pytest
import torch
from torch import nn

from oligolearn.nn import Decoder


@pytest.mark.parametrize(("hidden", "n_linear"), [((), 1), ((6,), 2), ((6, 7), 3)])
def test_hidden_layers_lie_between_embedding_and_genes(hidden: tuple[int, ...], n_linear: int) -> None:
    decoder = Decoder(4, 9, hidden)
    linear = [layer for layer in decoder.modules() if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in linear] == [4, *hidden]
    assert [layer.out_features for layer in linear] == [*hidden, 9]
    assert len(linear) == n_linear
    assert decoder(torch.zeros(3, 4)).shape == (3, 9)


def test_without_hidden_layers_it_is_linear_and_with_them_it_is_not() -> None:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    for hidden, linear in (((), True), ((6,), False)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = Decoder(4, 9, hidden).eval()
        bias = decoder(torch.zeros(1, 4))
        assert torch.allclose(decoder(-x) - bias, bias - decoder(x), atol=1e-5) is linear


@pytest.mark.parametrize("sizes", [(0, 5, ()), (4, 0, ()), (4, 5, (3, 0))])
def test_layers_without_units_are_refused(sizes: tuple[int, int, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="each layer of a decoder must have a unit"):
        Decoder(*sizes)

"""Encoders of sequences: padding, strands, blocks, and their formulas."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.data import DNA, PROTEIN, encode_sequences
from oligolearn.nn import (
    POOLINGS,
    SEQUENCE_ENCODERS,
    BothStrands,
    EmbeddedKmers,
    KmerBag,
    KmerRecurrentCNN,
    Letters,
    MotifCNN,
    MultiScaleCNN,
    Recurrent,
    ResidualCNN,
    SequencePool,
    SequenceTransformer,
    Track,
    reverse_complement,
    transfer,
)
from oligolearn.nn.sequence_transformer import rotated
from oligolearn.nn.track import MaskedNorm

SHARES = torch.from_numpy(DNA.shares)
COMPLEMENT = torch.from_numpy(DNA.complement)
SMALL = [
    ("motif-cnn", {"n_filters": 6, "width": 7, "hidden": 5}),
    *[("motif-cnn", {"n_filters": 6, "width": 8, "pooling": pooling, "length": 30}) for pooling in POOLINGS],
    ("motif-cnn", {"n_filters": 6, "pooling": "positions", "length": 30, "window": 4}),
    ("multi-scale-cnn", {"n_filters": 5, "widths": (4, 7), "hidden": 6}),
    ("multi-scale-cnn", {"n_filters": 5, "widths": (3, 9), "windows": (1, 4), "pooling": "positions", "length": 30}),
    ("residual-cnn", {"n_filters": 6, "bottleneck": 4, "width": 5}),
    ("kmer-bag", {"k": 3, "embedding": 7, "hidden": 5}),
    ("recurrent", {"cell": "rnn", "n_units": 5, "pooling": "mean"}),
    ("recurrent", {"cell": "gru", "n_units": 5, "n_layers": 2, "pooling": "attention"}),
    ("recurrent", {"cell": "lstm", "n_units": 5, "n_layers": 2, "pooling": "last"}),
    ("recurrent", {"cell": "lstm", "n_units": 5, "bidirectional": False, "pooling": "last"}),
    ("kmer-recurrent", {"embedding": 7, "n_filters": 6, "width": 4, "n_units": 5}),
    ("transformer", {"n_channels": 8, "n_heads": 2, "width": 3, "hidden": 5}),
]
# The same over vectors of 2-mers: every property holds whatever an encoder reads.
SMALL += [
    (name, {**{key: n for key, n in options.items() if key not in ("k", "embedding")}, "words": 2})
    for name, options in SMALL
]


def codes(*shape: int, seed: int = 0) -> Tensor:
    """Letters, some of them ambiguous."""
    draws = torch.Generator().manual_seed(seed)
    any_letter, plain = (torch.randint(1, n, shape, generator=draws, dtype=torch.uint8) for n in (16, 5))
    return torch.where(torch.rand(shape, generator=draws) < 0.2, any_letter, plain)


def build(name: str, options: dict[str, object], seed: int = 0, shares: Tensor = SHARES) -> nn.Module:
    """An encoder whose batch norms have seen something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = dict(options)
        words = options.pop("words", 0)
        encoder = SEQUENCE_ENCODERS[name](EmbeddedKmers(shares, words, 7) if words else shares, **options)
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.data.uniform_(-0.5, 0.5)
    return encoder.eval()


every = pytest.mark.parametrize(("name", "options"), SMALL, ids=str)


@every
@torch.no_grad()
def test_a_padded_batch_gives_what_its_rows_give(name, options):
    encoder = build(name, options)
    rows = [codes(length, seed=length) for length in (30, 17, 9, 3, 1)]
    padded = torch.zeros(len(rows), 30, dtype=torch.uint8)
    for row, one in zip(padded, rows, strict=True):
        row[: len(one)] = one
    together = encoder(padded)
    for i, one in enumerate(rows):
        torch.testing.assert_close(together[i], encoder(one[None])[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(together[i], encoder(padded[i : i + 1])[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE_ENCODERS)
@torch.no_grad()
def test_padding_at_the_start_is_ignored_as_well(name):
    encoder = build(name, {})
    row = codes(1, 12)
    torch.testing.assert_close(encoder(F.pad(row, (5, 2))), encoder(row), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_bag_of_kmers_is_the_mean_of_their_vectors_and_leaves_some_out_in_training():
    encoder = KmerBag(SHARES, 2, 3, word_dropout=0.25)
    words = encoder.blocks[0][0].weight
    norm = encoder.blocks[0][3].eval()
    x = torch.tensor([[1, 2, 3, 1, 2], [4, 4, 4, 0, 0]])  # ACGAC and TTT
    wanted = torch.stack([words[[1, 6, 8, 1]].sum(dim=0) / 5, 2 * words[15] / 3])
    torch.testing.assert_close(encoder.eval()(x), F.relu(norm(wanted)))
    drop = encoder.blocks[0][1].train()
    many = Track(torch.ones(200, 3, 300), None)
    kept = drop(many).values
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (kept == kept[:, :1]).all(), "whole words"
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert [KmerBag(torch.cat([torch.zeros(1, n), torch.eye(n)])).blocks[0][0].k for n in (4, 5, 20)] == [6, 5, 3]


@every
@torch.no_grad()
def test_both_strands_give_the_same_and_one_strand_does_not(name, options):
    one = build(name, options)
    padded = F.pad(codes(6, 25), (0, 5))
    padded[3, 20:] = 0
    other = reverse_complement(padded, COMPLEMENT)
    assert not torch.allclose(one(padded), one(other))
    for combine in ("mean", "max"):
        both = BothStrands(one, COMPLEMENT, combine)
        torch.testing.assert_close(both(padded), both(other), atol=1e-6, rtol=1e-5)
    assert both.out_dim == one.out_dim
    assert both.blocks is one.blocks


@every
def test_blocks_lead_from_codes_to_the_embedding_and_hold_every_weight(name, options):
    encoder = build(name, options)
    x = codes(4, 30)
    through = x
    for block in encoder.blocks:
        through = block(through)
    assert torch.equal(encoder(x), through)
    assert encoder(x).shape == (4, encoder.out_dim)
    in_blocks = {id(p) for block in encoder.blocks for p in block.parameters()}
    assert in_blocks == {id(p) for p in encoder.parameters()}, "a weight outside all blocks is never transferred"
    encoder.train()(x).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("name", SEQUENCE_ENCODERS)
def test_transferring_all_blocks_copies_the_encoder_and_fewer_do_not(name):
    source, target = build(name, {"hidden": 8}), build(name, {"hidden": 8}, seed=1)
    x = codes(4, 30)
    transfer(source, target, 1)
    theirs, mine = source.blocks[0](x), target.blocks[0](x)
    assert all(torch.equal(a, b) for a, b in zip(theirs, mine, strict=True) if a is not None)
    assert not torch.equal(source(x), target(x))
    transfer(source, target, len(source.blocks))
    assert torch.equal(source(x), target(x))


@every
@torch.no_grad()
def test_codes_may_be_of_any_type_and_the_encoder_in_64_bits(name, options):
    encoder = build(name, options).double()
    x = codes(3, 20)
    assert torch.equal(encoder(x), encoder(x.double()))
    torch.testing.assert_close(encoder(x).float(), build(name, options)(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["motif-cnn", "residual-cnn", "recurrent", "transformer"])
@torch.no_grad()
def test_protein_is_read_as_well(name):
    shares = torch.from_numpy(PROTEIN.shares)
    encoder = build(name, {}, shares=shares)
    assert torch.isfinite(encoder(torch.randint(1, 25, (2, 40)))).all()


@torch.no_grad()
def test_letters_are_centred_so_that_n_is_nothing():
    track = Letters(SHARES)(torch.tensor([[1, 15, 0]]))
    assert track.values[0].T.tolist() == [[0.75, -0.25, -0.25, -0.25], [0] * 4, [0] * 4]
    assert track.mask.tolist() == [[[1, 1, 0]]]


@torch.no_grad()
def test_the_motif_cnn_is_deepbinds_convolution_with_a_quarter_beyond_the_ends():
    """On plain one-hot letters, with .25 beyond the ends and a bias that makes up for the shift."""
    encoder = build("motif-cnn", {"n_filters": 5, "width": 6, "pooling": "max+mean"})
    x = codes(3, 20)
    _, detectors, norm, _ = encoder.blocks[0]
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = detectors.bias - detectors.weight.sum(dim=(1, 2)) / 4
    plain = F.pad(SHARES[x.long()].transpose(1, 2), (2, 3), value=0.25)
    expected = torch.zeros(3, 5, 20)
    for place in range(20):
        products = torch.einsum("bcw,fcw->bf", plain[:, :, place : place + 6], detectors.weight) + bias
        expected[:, :, place] = ((products - norm.running_mean) * scale + norm.bias).clamp(min=0)
    torch.testing.assert_close(encoder(x), torch.cat([expected.amax(2), expected.mean(2)], dim=1), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_multi_scale_cnn_joins_motif_cnns_of_each_width():
    joined = build(
        "multi-scale-cnn", {"n_filters": 5, "widths": (4, 9), "windows": (1, 3), "pooling": "positions", "length": 20}
    )
    x = codes(3, 20)
    parts = []
    for scale, width, window in zip(joined.blocks[0][1].each, (4, 9), (1, 3), strict=True):
        alone = build(
            "motif-cnn", {"n_filters": 5, "width": width, "window": window, "pooling": "positions", "length": 20}
        )
        alone.blocks[0][1].load_state_dict(scale[0].state_dict())
        alone.blocks[0][2].load_state_dict(scale[1].state_dict())
        parts.append(alone(x))
    torch.testing.assert_close(joined(x), joined.blocks[1](torch.cat(parts, dim=1)))


@torch.no_grad()
def test_a_residual_block_sees_as_far_as_its_dilations_reach():
    encoder = build("residual-cnn", {"n_filters": 8, "width": 3, "dilations": (1, 4), "pooling": "last"})
    x = torch.full((1, 40), 1)
    reach = 1 + 1 + 4  # half of the windows: of the first convolution and of both blocks

    def change(place: int) -> bool:
        y = x.clone()
        y[0, place] = 3
        return not torch.equal(encoder(x), encoder(y))

    assert [change(39 - distance) for distance in (0, reach, reach + 1, 20)] == [True, True, False, False]


@torch.no_grad()
def test_norms_of_padded_batches_are_those_of_their_letters():
    torch.manual_seed(0)
    values, mask = torch.randn(4, 3, 10), torch.zeros(4, 1, 10)
    for row, length in enumerate((10, 6, 3, 1)):
        mask[row, :, :length] = 1
    norm, plain = MaskedNorm(3).train(), nn.BatchNorm1d(3).train()
    out = norm(Track(values * mask, mask)).values
    flat = values.transpose(1, 2)[mask[:, 0] > 0]
    torch.testing.assert_close(out.transpose(1, 2)[mask[:, 0] > 0], plain(flat), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    assert (out * (1 - mask) == 0).all()


@torch.no_grad()
def test_poolings_are_what_their_names_say():
    torch.manual_seed(0)
    values, n = torch.randn(1, 3, 6), 4
    mask = (torch.arange(6) < n).float()[None, None]
    track, letters = Track(values * mask, mask), values[0, :, :n]
    expected = {"max": letters.amax(1), "mean": letters.mean(1), "last": letters[:, -1]}
    expected["max+mean"] = torch.cat([expected["max"], expected["mean"]])
    attention = SequencePool("attention", 3)
    weights = (attention.score(letters.T)[:, 0]).exp()
    expected["attention"] = (letters * weights).sum(1) / weights.sum()
    for name, value in expected.items():
        pool = attention if name == "attention" else SequencePool(name, 3)
        torch.testing.assert_close(pool(track)[0], value)
    positions = SequencePool("positions", 3, length=8)(track)[0].view(3, 8)
    assert torch.equal(positions, F.pad(track.values[0], (0, 2)))


@torch.no_grad()
def test_the_last_states_are_those_that_torch_returns():
    encoder = build("recurrent", {"cell": "gru", "n_units": 4, "pooling": "last"})
    x = codes(3, 11)
    layer = encoder.blocks[0][2].layer
    _, states = layer(Letters(SHARES)(x).values.transpose(1, 2))
    torch.testing.assert_close(encoder(x), torch.cat([states[0], states[1]], dim=1))


@torch.no_grad()
def test_words_are_rows_of_the_table_and_ambiguous_ones_their_mean():
    encoder = build("kmer-recurrent", {"k": 2, "embedding": 5})
    words = encoder.blocks[0][1]
    table = words.weight.view(4, 4, 5)
    found = words(torch.tensor([[1, 3, 15, 5, 2]])).values[0].T  # A G N R C
    expected = [
        table[0, 2],
        table[2].mean(0),
        (table[:, 0] + table[:, 2]).mean(0) / 2,
        (table[0, 1] + table[2, 1]) / 2,
        table[1].mean(0),  # beyond the end a letter may be any
    ]
    torch.testing.assert_close(found, torch.stack(expected))


@torch.no_grad()
def test_embedded_kmers_are_rows_of_the_table_and_none_is_read_across_an_unknown_letter():
    words = EmbeddedKmers(SHARES, 3, 6)
    texts = ["ACGTA", "ACNGTAC", "AC", "TTTRTTT"]
    rows = encode_sequences(texts)
    track = words(torch.from_numpy(rows.padded()))
    vector = {"".join(word): words.weight[i] for i, word in enumerate(itertools.product("ACGT", repeat=3))}
    for values, mask, text in zip(track.values, track.mask, texts, strict=True):
        padded = text.ljust(7)
        expected = [vector.get(padded[place : place + 3], torch.zeros(6)) for place in range(7)]
        assert torch.equal(values.T, torch.stack(expected))
        assert mask[0].tolist() == [1] * len(text) + [0] * (7 - len(text))


@torch.no_grad()
def test_one_hot_triplets_make_a_kmer_network_the_one_that_reads_letters():
    """Vectors that spell their first letter are centred one-hot letters, where a whole k-mer follows."""
    spelled = (torch.eye(4) - 0.25).repeat_interleave(16, dim=0)
    x = torch.randint(1, 5, (2, 30), generator=torch.Generator().manual_seed(1))
    letters, words = Letters(SHARES)(x), EmbeddedKmers(SHARES, 3, 4, weight=spelled)(x)
    assert torch.equal(words.values[:, :, :28], letters.values[:, :, :28])
    assert not words.values[:, :, 28:].any()


def test_given_vectors_are_copied_and_frozen_ones_do_not_learn():
    vectors = torch.randn(16, 3)
    learned, frozen = (EmbeddedKmers(SHARES, 2, 3, weight=vectors, frozen=frozen) for frozen in (False, True))
    with torch.no_grad():
        learned.weight.mul_(2)
    assert torch.equal(frozen.weight, vectors)
    assert not list(frozen.parameters())
    frozen.load_state_dict(learned.state_dict())
    assert torch.equal(frozen.weight, 2 * vectors), "a frozen table takes the weights of one that learned"


@torch.no_grad()
def test_rotated_products_depend_on_the_distance_alone_and_are_those_of_complex_numbers():
    torch.manual_seed(0)
    query, key = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    products = rotated(query.expand(9, 6)) @ rotated(key.expand(9, 6)).T
    for i in range(9):
        for j in range(9):
            pairs = torch.complex(query[:3], query[3:]) * torch.complex(key[:3], key[3:]).conj()
            turned = pairs * torch.tensor(
                [complex(math.cos(a), math.sin(a)) for a in [(i - j) * 10_000 ** (-2 * p / 6) for p in range(3)]]
            )
            assert float(products[i, j]) == pytest.approx(float(turned.real.sum()))


def test_settings_that_make_no_network_are_refused():
    with pytest.raises(ValueError, match="unknown pooling 'median'; choose one of max, mean"):
        MotifCNN(SHARES, pooling="median")
    with pytest.raises(ValueError, match="pooling 'positions' needs the length"):
        ResidualCNN(SHARES, pooling="positions")
    with pytest.raises(ValueError, match="each width needs a window"):
        MultiScaleCNN(SHARES, widths=(4, 8, 16))
    with pytest.raises(ValueError, match="unknown cell 'elman'; choose one of rnn, gru, lstm"):
        Recurrent(SHARES, "elman")
    with pytest.raises(ValueError, match="n_layers must be at least 1"):
        Recurrent(SHARES, n_layers=0)
    with pytest.raises(ValueError, match="multiple of twice n_heads, found 10 and 4"):
        SequenceTransformer(SHARES, 10, 4)
    with pytest.raises(ValueError, match="words of k=8 letters over an alphabet of 4 are 65,536"):
        KmerRecurrentCNN(SHARES, 8)
    with pytest.raises(ValueError, match="k=10 letters over an alphabet of 4 are 1,048,576"):
        EmbeddedKmers(SHARES, 10)
    with pytest.raises(ValueError, match="vectors of 2-mers over an alphabet of 4 letters are 16 x 3, found 64 x 3"):
        EmbeddedKmers(SHARES, 2, 3, weight=torch.zeros(64, 3))
    with pytest.raises(ValueError, match="unknown way to combine strands 'sum'"):
        BothStrands(MotifCNN(SHARES), COMPLEMENT, "sum")
    with pytest.raises(ValueError, match="up to 10 letters, found 12"):
        MotifCNN(SHARES, pooling="positions", length=10)(codes(2, 12))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_truncation_changes_no_output_and_cuts_the_gradient_at_its_parts(cell):
    from oligolearn.nn.recurrent import RecurrentLayer
    from oligolearn.nn.track import Track

    torch.manual_seed(0)
    whole = RecurrentLayer(cell, 3, 5, bidirectional=False).double()
    cut = RecurrentLayer(cell, 3, 5, bidirectional=False, truncation=4).double()
    cut.load_state_dict(whole.state_dict())
    values = torch.randn(2, 3, 10, dtype=torch.float64)
    mask = (torch.arange(10) < torch.tensor([[10], [9]]))[:, None].double()
    gradients = []
    for layer in (whole, cut):
        x = (values * mask).requires_grad_()
        states = layer(Track(x, mask)).values
        gradients.append(torch.autograd.grad(states[:, :, 8].sum(), x)[0])
        if layer is whole:
            expected = states
    torch.testing.assert_close(states, expected)
    assert gradients[0][:, :, 7].abs().min() > 0
    assert gradients[1][:, :, :8].abs().max() == 0, "letters of an earlier part"
    torch.testing.assert_close(gradients[1][:, :, 8], gradients[0][:, :, 8])


def test_truncation_is_of_one_direction():
    with pytest.raises(ValueError, match="pass bidirectional=False"):
        SEQUENCE_ENCODERS["recurrent"](torch.cat([torch.zeros(1, 4), torch.eye(4)]), truncation=20)

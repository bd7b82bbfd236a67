"""Views of sequences: each changes what it says and nothing else; padding stays right; the generator decides."""

from functools import partial

import numpy as np
import pytest
import torch

from oligolearn.data import DNA, PROTEIN, encode_sequences
from oligolearn.nn import reverse_complement
from oligolearn.views import SequenceView, crop_rows, mask_letters, mutate_letters, shift_letters, turn_strands

COMPLEMENT = torch.from_numpy(DNA.complement)
TURN = partial(reverse_complement, complement=COMPLEMENT)
UNKNOWN = 15


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 400, longest: int = 40, seed: int = 0) -> torch.Tensor:
    """Rows of 1 to 40 letters, some ambiguous, padded at the end."""
    rng = np.random.default_rng(seed)
    letters = list("ACGT" * 10 + "NRY")
    texts = ["".join(rng.choice(letters, length)) for length in [longest, *rng.integers(1, longest, n - 1)]]
    return torch.from_numpy(encode_sequences(texts, alphabet="dna").padded())


VIEWS = {
    "turn": partial(turn_strands, other_strand=TURN),
    "mutate": partial(mutate_letters, n_letters=4),
    "crop": crop_rows,
    "shift": partial(shift_letters, most=5, unknown=UNKNOWN),
    "all": SequenceView(4, UNKNOWN, TURN, most=3),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_keep_shape_kind_and_where_a_row_begins_and_the_seed_decides(view):
    codes = batch()
    seen = view(codes, generator=draws())
    assert (seen.shape, seen.dtype) == (codes.shape, codes.dtype)
    assert torch.equal(seen, view(codes, generator=draws()))
    assert not torch.equal(seen, view(codes, generator=draws(1)))
    there = seen > 0
    assert there[:, 0].all(), "no row loses all its letters, and padding stays at the end"
    assert not (there[:, 1:] & ~there[:, :-1]).any()
    assert not (there & (codes == 0)).any(), "padding never becomes a letter"


def test_half_of_the_rows_are_turned_and_the_others_left():
    codes = batch(2000)
    seen = turn_strands(codes, TURN, generator=draws())
    turned, same = (seen == TURN(codes)).all(1), (seen == codes).all(1)
    assert (turned | same).all()
    assert 0.45 < turned.float().mean() < 0.56


def test_mutations_change_the_share_that_is_asked_for_to_each_other_letter_alike():
    codes = torch.full((2000, 50), 2, dtype=torch.uint8)
    seen = mutate_letters(codes, n_letters=4, share=0.3, generator=draws())
    share = torch.bincount(seen.flatten().long(), minlength=5).double() / seen.numel()
    np.testing.assert_allclose(share, [0, 0.1, 0.7, 0.1, 0.1], atol=0.01)


def test_a_crop_is_a_stretch_of_the_row_of_at_least_the_share():
    codes = batch()
    seen = crop_rows(codes, shortest=0.5, generator=draws())
    lengths = []
    for row, cropped in zip(codes, seen, strict=True):
        whole, part = DNA.decode(row.numpy()), DNA.decode(cropped.numpy())
        assert part in whole
        assert len(part) >= 0.5 * len(whole)
        lengths.append(len(part) / len(whole))
    assert min(lengths) < 0.55
    assert max(lengths) == 1


def test_a_shift_moves_all_letters_of_a_row_by_as_much():
    codes = batch()
    seen = shift_letters(codes, most=3, unknown=UNKNOWN, generator=draws())
    moves = set()
    for row, shifted in zip(codes, seen, strict=True):
        whole, part = DNA.decode(row.numpy()), DNA.decode(shifted.numpy())
        assert len(whole) == len(part)
        expected = {by: ("N" * by + whole)[: len(whole)] if by >= 0 else whole[-by:] for by in range(-3, 4)}
        fitting = {by for by, text in expected.items() if text.ljust(len(whole), "N") == part[: len(whole)]}
        moves |= fitting
        assert fitting or len(whole) < 4
    assert moves == set(range(-3, 4))


def test_masks_are_berts_80_10_10_and_ambiguous_letters_are_never_asked_for():
    codes = torch.full((2000, 50), 3, dtype=torch.uint8)
    codes[:, 40:45], codes[:, 45:] = UNKNOWN, 0
    seen, target = mask_letters(codes, n_letters=4, unknown=UNKNOWN, share=0.2, generator=draws())
    chosen = target > 0
    assert not chosen[:, 40:].any()
    assert torch.equal(target[chosen], codes[chosen])
    assert torch.equal(seen[~chosen], codes[~chosen])
    n = int(chosen.sum())
    assert n / (2000 * 40) == pytest.approx(0.2, abs=0.01)
    assert int((seen[chosen] == UNKNOWN).sum()) / n == pytest.approx(0.8, abs=0.02)
    assert int((seen[chosen] == 3).sum()) / n == pytest.approx(0.1 + 0.1 / 4, abs=0.01), "kept, or drawn anew"


def test_protein_has_no_other_strand_and_settings_out_of_range_are_refused():
    codes = torch.from_numpy(encode_sequences(["MKLVEEPWFF"] * 50, alphabet="protein").padded())
    seen = SequenceView(20, int(PROTEIN.encode(np.frombuffer(b"X", np.uint8))[0]), mutated=0.0)(
        codes, generator=draws()
    )
    assert all(PROTEIN.decode(row.numpy()) in "MKLVEEPWFF" for row in seen)
    with pytest.raises(ValueError, match="mutated is a share"):
        SequenceView(4, UNKNOWN, mutated=1.5)
    with pytest.raises(ValueError, match="shortest is the smallest share"):
        SequenceView(4, UNKNOWN, shortest=0.0)
    with pytest.raises(ValueError, match="most is a number of places"):
        SequenceView(4, UNKNOWN, most=-1)

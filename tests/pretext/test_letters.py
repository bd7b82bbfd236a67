"""Masked and next letters: the losses by hand, what they refuse, and that they learn what can be known."""

import math

import pytest
import torch
from torch.nn import functional as F

from oligolearn.data import DNA, encode_sequences
from oligolearn.nn import (
    SEQUENCE_ENCODERS,
    BothStrands,
    EmbeddedKmers,
    KmerRecurrentCNN,
    MotifCNN,
    MultiScaleCNN,
    Recurrent,
    encoders_of_letters,
    letter_features,
    looks_ahead,
)
from oligolearn.pretext import MaskedLetters, NextLetter
from oligolearn.study.sequence_methods import encoder_to_pretrain
from oligolearn.training import Schedule, fit
from oligolearn.views import mask_letters

SHARES = torch.from_numpy(DNA.shares)
READS_LETTERS = [name for name in SEQUENCE_ENCODERS if name not in ("multi-scale-cnn", "kmer-bag", "kmer-recurrent")]


def codes_of(*texts: str) -> torch.Tensor:
    return torch.from_numpy(encode_sequences(texts, alphabet="dna").padded())


def left_to_right(**options) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(SHARES, n_units=6, bidirectional=False, **options)


@pytest.mark.parametrize("name", READS_LETTERS)
@pytest.mark.parametrize("words", [0, 2])
def test_the_masked_loss_is_the_mean_over_hidden_letters_whatever_the_padding(name, words):
    torch.manual_seed(0)
    encoder = SEQUENCE_ENCODERS[name](EmbeddedKmers(SHARES, words, 5) if words else SHARES)
    objective = MaskedLetters(encoder, n_letters=4).double().eval()
    seen, target = codes_of("ACGTNACGT", "ANNT"), codes_of("ACGTAACGT", "ACGT")
    chosen = torch.zeros_like(target)
    for row, place in ((0, 4), (0, 7), (1, 1), (1, 2)):
        chosen[row, place] = target[row, place]
    total = 0.0
    for row, length, places in ((0, 9, (4, 7)), (1, 4, (1, 2))):
        features = letter_features(encoder, seen[row : row + 1, :length]).values[0]
        for place in places:
            logits = objective.head.weight @ features[:, place] + objective.head.bias
            total -= logits.log_softmax(0)[int(target[row, place]) - 1].item()
    assert objective((seen, chosen)).item() == pytest.approx(total / 4, rel=1e-9)
    padded = [F.pad(x, (2, 3)) for x in (seen, chosen)]
    assert objective(padded).item() == pytest.approx(total / 4, rel=1e-9)
    assert objective((seen, torch.zeros_like(seen))).item() == 0
    objective((seen, chosen)).backward()
    reached = [p.grad is not None and bool(p.grad.any()) for p in encoder.blocks[:-1].parameters() if p.dim() > 1]
    assert all(reached)


def test_the_next_letter_loss_is_that_of_the_chain_rule_over_prefixes():
    encoder = left_to_right()
    objective = NextLetter(encoder, n_letters=4).double().eval()
    texts = ["ACGTTGCA", "GTN", "T"]
    total, n = 0.0, 0
    for text in texts:
        for end in range(1, len(text)):
            if text[end] == "N":
                continue
            features = letter_features(encoder, codes_of(text[:end])).values[0, :, -1]
            logits = objective.head.weight @ features + objective.head.bias
            total -= logits.log_softmax(0)["ACGT".index(text[end])].item()
            n += 1
    for codes in (codes_of(*texts), F.pad(codes_of(*texts), (3, 1))):
        assert objective((codes,)).item() == pytest.approx(total / n, rel=1e-9)


def test_only_what_reads_from_left_to_right_predicts_the_next_letter():
    assert not looks_ahead(left_to_right())
    assert not looks_ahead(left_to_right(n_layers=2))
    seeing = [MotifCNN(SHARES), Recurrent(SHARES), Recurrent(EmbeddedKmers(SHARES), bidirectional=False)]
    for encoder in [*seeing, SEQUENCE_ENCODERS["transformer"](SHARES), SEQUENCE_ENCODERS["residual-cnn"](SHARES)]:
        with pytest.raises(ValueError, match="next-letter needs an encoder that reads from left to right"):
            NextLetter(encoder, n_letters=4)
    encoder = left_to_right().train()
    NextLetter(encoder, n_letters=4)
    assert encoder.training, "looking leaves the encoder as it was"


def test_what_pools_before_its_last_block_has_no_letters_to_predict():
    for encoder in (MultiScaleCNN(SHARES), KmerRecurrentCNN(SHARES)):
        for objective in (MaskedLetters, NextLetter):
            with pytest.raises(ValueError, match="pools letters before its last block; choose motif-cnn"):
                objective(encoder, n_letters=4)


def test_encoders_of_letters_are_those_that_can_be_pretrained_and_new_ones_are_among_them(monkeypatch):
    state = torch.random.get_rng_state()
    assert encoders_of_letters() == READS_LETTERS
    assert torch.equal(torch.random.get_rng_state(), state), "looking draws from no generator but its own"
    monkeypatch.setitem(SEQUENCE_ENCODERS, "narrow-cnn", lambda shares: MotifCNN(shares, 4, width=3))
    monkeypatch.setitem(SEQUENCE_ENCODERS, "two-scales", lambda shares: MultiScaleCNN(shares, 4))
    assert encoders_of_letters() == [*READS_LETTERS, "narrow-cnn"]
    with pytest.raises(ValueError, match="residual-cnn, recurrent, transformer or narrow-cnn"):
        MaskedLetters(MultiScaleCNN(SHARES), n_letters=4)
    for name, encoder in (("narrow-cnn", "narrow-cnn"), ("two-scales", "auto")):
        scratch = {"encoder": name, "encoder_options": None, "both_strands": False}
        assert encoder_to_pretrain("masked-letters", scratch)["encoder"] == encoder


def test_both_strands_are_pretrained_as_one():
    torch.manual_seed(0)
    one = MotifCNN(SHARES, 6, width=5)
    both = BothStrands(one, torch.from_numpy(DNA.complement))
    codes = codes_of("ACGTTGCATT")
    assert torch.equal(letter_features(both, codes).values, letter_features(one, codes).values)


def test_letters_that_their_neighbours_decide_are_learned():
    """Of a text in which every letter follows from the one before, masked and next letters can be known."""
    codes = codes_of(*(("ACGT" * 10)[start : start + 30] for start in range(4))).repeat(16, 1)
    draws = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    masked = MaskedLetters(MotifCNN(SHARES, 16, width=9), n_letters=4)

    def hidden(rows):
        return mask_letters(codes[rows], n_letters=4, unknown=15, generator=draws)

    following = NextLetter(left_to_right(), n_letters=4)
    for objective, batch in ((masked, hidden), (following, lambda rows: (codes[rows],))):
        history = fit(
            objective, batch, len(codes), Schedule(150, 16, 1e-2, 0.0), generator=torch.Generator().manual_seed(0)
        )
        assert history.losses[0] > 0.8 * math.log(4)
        assert history.losses[-1] < 0.2

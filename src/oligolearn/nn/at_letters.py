"""What an encoder of sequences makes of each letter, before it pools them."""

from typing import cast

import torch
from torch import Tensor

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.strands import BothStrands
from oligolearn.nn.track import Track

_PROBED = 24  # letters, more than a window of neighbours


def letter_features(encoder: Encoder, codes: Tensor) -> Track:
    """Output of all blocks but the last, which pools, for codes ``(batch, length)``; of one strand.

    Letters begin at the first place of each row (`left_aligned`).
    """
    reading = encoder.encoder if isinstance(encoder, BothStrands) else encoder
    x: Tensor | Track = codes
    for block in reading.blocks[:-1]:
        x = block(x)
    return cast(Track, x)


def left_aligned(codes: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Move the letters of each row to its start, and what belongs to them in `others` with them.

    >>> left_aligned(torch.tensor([[0, 0, 3, 1]]), torch.tensor([[0, 0, 7, 8]]))
    (tensor([[3, 1, 0, 0]]), tensor([[7, 8, 0, 0]]))
    """
    order = (codes == 0).to(torch.uint8).argsort(dim=1, stable=True)
    return tuple(one.gather(1, order) for one in (codes, *others))


def channels_of_letters(encoder: Encoder, method: str) -> int:
    """How many numbers an encoder has at each letter.

    Raises
    ------
    ValueError
        If it pools letters before its last block; `method` says what needs them.
    """
    n_channels = _channels(encoder)
    if not n_channels:
        *names, last = encoders_of_letters()
        raise ValueError(
            f"{method} needs an encoder with an output at each letter, but this one pools letters before its last "
            f"block; choose {', '.join(names)} or {last}"
        )
    return n_channels


def encoders_of_letters() -> list[str]:
    """Names of the encoders of sequences that have an output at each letter, found out by building each.

    >>> encoders_of_letters()
    ['motif-cnn', 'residual-cnn', 'recurrent', 'transformer']
    """
    from oligolearn.nn import SEQUENCE_ENCODERS  # which imports this module

    shares = torch.cat([torch.zeros(1, 4), torch.eye(4)])
    with torch.random.fork_rng(devices=[]):
        return [name for name, build in SEQUENCE_ENCODERS.items() if _channels(build(shares))]


@torch.no_grad()
def _channels(encoder: Encoder) -> int:
    """Numbers at each letter, 0 where there is no output at each."""
    features = _probe(encoder, torch.ones(1, _PROBED, dtype=torch.uint8))
    there = isinstance(features, Track) and features.values.shape[2] == _PROBED
    return features.values.shape[1] if there else 0


@torch.no_grad()
def looks_ahead(encoder: Encoder) -> bool:
    """Whether what an encoder makes of a letter depends on a later one."""
    codes = torch.arange(_PROBED)[None] % 2 + 1
    other = codes.clone()
    other[:, _PROBED // 2 :] = 3 - other[:, _PROBED // 2 :]
    before, after = (_probe(encoder, x).values[:, :, : _PROBED // 2] for x in (codes, other))
    return not torch.allclose(before, after, atol=1e-7, rtol=1e-5)


def _probe(encoder: Encoder, codes: Tensor) -> Track:
    """Features in evaluation mode; the encoder is left as it was."""
    training = encoder.training
    device = next(encoder.parameters()).device
    features = letter_features(encoder.eval(), codes.to(device))
    encoder.train(training)
    return features

"""Integrated gradients, ours against captum's: gradients and processor seconds until sums are right, and the scores.

Encoders have their usual sizes and learn to find TGACTCA for a while. captum integrates by Gauss and Legendre's rule;
its steps are doubled as ours are, for the sequences whose sums miss by more than the tolerance.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from machine import describe_machine
from torch import Tensor

from oligolearn import SequenceClassifier
from oligolearn.data import Sequences, encode_sequences
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.explain import attribute, attributions
from oligolearn.explain.tracks import Track

CASES = {
    "motif-cnn": None,
    "motif-cnn on 3-mers": KmerEmbedding(3, 50),
    "residual-cnn": None,
    "recurrent": None,
    "transformer": None,
}
WORD = "TGACTCA"
Way = Callable[..., Tensor]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sequences", type=int, default=8, help="of 101 letters")
    options.add_argument("--tolerance", type=float, default=0.05)
    options.add_argument("--steps", type=int, default=40, help="of training, 32 sequences each")
    options.add_argument("--only", choices=CASES, help="one of the models")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    print(f"{chosen.sequences} sequences of 101 letters, sums right to {chosen.tolerance:.1%}, one thread\n")
    print("                       gradients           seconds              largest difference")
    print("model                 ours  captum     ours  captum   ratio       of scores")
    X, y = planted(200)
    for name in [chosen.only] if chosen.only else CASES:
        model = trained(name.split()[0], CASES[name], (X, y), chosen.steps)
        some = X.take(np.arange(chosen.sequences))
        ours = run(model, some, chosen.tolerance, attributions._integrated)
        theirs = run(model, some, chosen.tolerance, by_captum)
        difference = np.abs(ours[0] - theirs[0]).max() / np.abs(theirs[0]).max()
        print(
            f"{name:<20} {ours[1]:5}  {theirs[1]:6}  {ours[2]:7.2f} {theirs[2]:7.2f}   {theirs[2] / ours[2]:5.2f}"
            f"       {difference:.1%}",
            flush=True,
        )
    return 0


def planted(n: int) -> tuple[Sequences, list[str]]:
    """Sequences, every other of which has the word."""
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (n, 101))]
    places = rng.integers(0, 101 - len(WORD), n)
    for i in range(0, n, 2):
        texts[i] = texts[i][: places[i]] + WORD + texts[i][places[i] + len(WORD) :]
    return encode_sequences(texts, alphabet="dna"), ["bound", "free"] * (n // 2)


def trained(
    encoder: str, embedding: KmerEmbedding | None, data: tuple[Sequences, list[str]], steps: int
) -> SequenceClassifier:
    """Train one network."""
    settings = {"epochs": 1, "min_steps": steps, "batch_size": 32, "learning_rate": 3e-3, "dropout": 0.0}
    model = SequenceClassifier(
        encoder, embedding=embedding or "one-hot", n_members=1, random_state=0, device="cpu", **settings
    )
    return model.fit(*data)


def run(model: SequenceClassifier, X: Any, tolerance: float, way: Way) -> tuple[np.ndarray, int, float]:
    """Scores, gradients of single sequences, processor seconds."""
    n_gradients = 0

    def counted(output: Any, track: Track, *others: Any) -> Tensor:
        class Counting:
            """The same function, counting the rows whose gradient is taken."""

            @staticmethod
            def of_track(some: Track, weights: Tensor) -> Tensor:
                nonlocal n_gradients
                n_gradients += len(weights)
                outputs: Tensor = output.of_track(some, weights)
                return outputs

        return way(Counting, track, *others)

    kept, attributions._integrated = attributions._integrated, counted
    try:
        start = time.process_time()
        found = attribute(model, X, tolerance=tolerance)
        return found.scores, n_gradients, time.process_time() - start
    finally:
        attributions._integrated = kept


def by_captum(output: Any, track: Track, reference: Track, weights: Tensor, change: Tensor, tolerance: float) -> Tensor:
    """Multipliers as `attributions._integrated` gives them."""
    way = IntegratedGradients(
        lambda values, there, asked: output.of_track(Track(values, there), asked), multiply_by_inputs=False
    )
    multipliers = torch.zeros_like(track.values)
    rows, n_steps = torch.arange(len(weights)), attributions._FEWEST_STEPS
    while len(rows) and n_steps <= attributions._MOST_STEPS:
        start, end = reference.values[rows], track.values[rows]
        multipliers[rows] = way.attribute(
            end,
            start,
            additional_forward_args=(track.there[rows], weights[rows]),
            n_steps=n_steps,
            internal_batch_size=len(rows),
        )
        miss = ((multipliers[rows] * (end - start)).sum(dim=(1, 2)) - change[rows]).abs()
        asked = attributions._ASKED * tolerance * torch.maximum(change[rows].abs(), change.abs().mean())
        rows, n_steps = rows[miss > asked], 2 * n_steps
    return multipliers


if __name__ == "__main__":
    raise SystemExit(main())

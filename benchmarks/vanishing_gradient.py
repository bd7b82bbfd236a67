"""How far back recurrent networks learn: gradients by distance, and a task whose answer stands at the start.

    python benchmarks/vanishing_gradient.py [--check] [--repeats 3]

First table: the gradient of the last state with respect to a letter so many places before it, its norm relative to
that of the last letter, in networks before training. Second table: accuracy on 1,000 new sequences of 100 letters whose
class is the word among their first 20, after training on 3,000: with the state after the last letter, read from left to
right; with both directions, whose backward one ends at the word; and with the maximum over all states. With --check it
exits 1 unless the plain RNN fails on its last state and each cell succeeds with one of the two mends.
"""

import argparse
import sys
from typing import Any

import numpy as np
import torch
from machine import describe_machine

from oligolearn import SequenceClassifier
from oligolearn.nn import Recurrent

CELLS = ("rnn", "gru", "lstm")
DISTANCES = (1, 5, 10, 20, 50, 100)
LENGTH, N_TRAIN, N_TEST = 100, 3000, 1000
READINGS: dict[str, dict[str, Any]] = {
    "last state": {"bidirectional": False, "pooling": "last"},
    "both directions": {"bidirectional": True, "pooling": "last"},
    "maximum": {"bidirectional": True, "pooling": "max"},
}
WORDS = ("TGACTCA", "GCCACGT")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if a claim does not hold")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    print(describe_machine())
    print("\n| cell | " + " | ".join(f"{distance} back" for distance in DISTANCES) + " |")
    print("|---|" + "---|" * len(DISTANCES))
    for cell in CELLS:
        norms = gradients(cell)
        print(f"| {cell} | " + " | ".join(f"{norms[-distance]:.1e}" for distance in DISTANCES) + " |", flush=True)
    print("\n| cell | " + " | ".join(READINGS) + " |")
    print("|---|" + "---|" * len(READINGS))
    found: dict[tuple[str, str], float] = {}
    for cell in CELLS:
        for name, reading in READINGS.items():
            scores = [accuracy(cell, reading, seed) for seed in range(chosen.repeats)]
            found[cell, name] = float(np.mean(scores))
        print(f"| {cell} | " + " | ".join(f"{found[cell, name]:.3f}" for name in READINGS) + " |", flush=True)
    mended = all(max(found[cell, name] for name in ("both directions", "maximum")) > 0.9 for cell in CELLS)
    holds = found["rnn", "last state"] < 0.6 and mended
    print("claims:", "hold" if holds else "do not hold")
    return 1 if chosen.check and not holds else 0


def gradients(cell: str) -> np.ndarray:
    """Norm of the gradient of the last state with respect to each letter, the last one's being 1; mean over 20."""
    torch.manual_seed(0)
    encoder = Recurrent(torch.cat([torch.zeros(1, 4), torch.eye(4)]), cell, 64, bidirectional=False, pooling="last")
    rows = torch.nn.functional.one_hot(torch.randint(0, 4, (20, LENGTH)), 4).float().requires_grad_()
    layer: Any = encoder.blocks[0][2]
    states, _ = layer.layer(rows)
    (gradient,) = torch.autograd.grad((states[:, -1] * torch.randn(64)).sum(), rows)
    norms = gradient.norm(dim=2).mean(dim=0).numpy()
    return norms / norms[-1]


def accuracy(cell: str, reading: dict[str, Any], seed: int) -> float:
    X, y = sequences(N_TRAIN + N_TEST, seed)
    model = SequenceClassifier(
        "recurrent",
        encoder_options={"cell": cell, "n_units": 32, **reading},
        n_members=1,
        epochs=20,
        learning_rate=3e-3,
        random_state=seed,
        device="cpu",
    )
    model.fit(X[:N_TRAIN], y[:N_TRAIN])
    return float(np.mean(model.predict(X[N_TRAIN:]) == y[N_TRAIN:]))


def sequences(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Random letters with one of two words somewhere among the first 20; which one is the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    texts = []
    for code in y:
        text = "".join(rng.choice(list("ACGT"), LENGTH))
        start = int(rng.integers(0, 20 - len(WORDS[code])))
        texts.append(text[:start] + WORDS[code] + text[start + len(WORDS[code]) :])
    return texts, y


if __name__ == "__main__":
    sys.exit(main())

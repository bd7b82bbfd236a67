"""Which sequences carry a motif, and does it matter where it stands?

    python examples/what_binds_here.py [SEQUENCES LABEL]

SEQUENCES is FASTA, or a table with a column `sequence`. Without arguments, DNA is drawn in which every second sequence
has the motif TGACGTCA.
"""

import sys

import numpy as np
from sklearn.model_selection import train_test_split

from oligolearn import SequenceClassifier, read_sequences


def draw() -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (400, 40))]
    places = rng.integers(30, size=400)
    bound = [text[:at] + "TGACGTCA" + text[at + 8 :] for text, at in zip(texts[::2], places[::2], strict=True)]
    return bound + texts[1::2], ["bound"] * 200 + ["free"] * 200


def main() -> None:
    if len(sys.argv) == 3:
        sequences = read_sequences(sys.argv[1])
        X, y = sequences.texts(), sequences.label(sys.argv[2]).tolist()
    else:
        X, y = draw()
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    model = SequenceClassifier(n_members=1, epochs=10, random_state=0, device="cpu").fit(X_train, y_train)
    losses = ", ".join(f"{name} {loss:.2f}" for name, loss in model.choice_.items())
    print(f"loss of each encoder on held-out sequences: {losses}")
    print(f"accuracy on {len(y_test)} new sequences: {np.mean(model.predict(X_test) == y_test):.2f}")


if __name__ == "__main__":
    main()

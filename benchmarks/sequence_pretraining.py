"""Does pretraining without labels help to tell promoters of E. coli with few labels?

Encoders and vectors of k-mers are pretrained on the genome of Salmonella, so that no sequence of the test is seen,
cut into pieces of 81 letters. Each repeat draws training sequences anew; the others are the test, up to 1,500. One
network each, the same settings for all but the start.

Run `python benchmarks/sequence_pretraining.py --data FOLDER` with ecoli_promoters.tsv.gz and
genome_salmonella_lt2.fna.gz in the folder (default: ../shared/data/sequence).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe_machine
from sklearn.metrics import roc_auc_score

from oligolearn import SequenceClassifier, read_sequences
from oligolearn.estimators import KmerEmbedding, KmerWord2Vec, SelfSupervisedSequenceEncoder

LENGTH = 81
ENCODER = ("residual-cnn", {"n_filters": 32, "bottleneck": 16, "dilations": (1, 3, 9), "pooling": "max+mean"})
METHODS = ("masked-letters", "simclr")
N_TEST = 1_500


def pretrain(genome: Path, steps: int) -> dict[str, object]:
    """Encoders and vectors from the genome."""
    sequences = read_sequences(genome)
    made: dict[str, object] = {}
    for method in METHODS:
        began = time.monotonic()
        model = SelfSupervisedSequenceEncoder(
            method, ENCODER[0], encoder_options=ENCODER[1], max_length=LENGTH, epochs=1, min_steps=steps,
            batch_size=128, random_state=0, device="cpu",
        ).fit(sequences)  # fmt: skip
        losses = model.history_.losses
        print(f"{method}: {losses[0]:.4f} -> {losses[-1]:.4f}, {time.monotonic() - began:.0f} s", flush=True)
        made[method] = model
    began = time.monotonic()
    vectors = KmerWord2Vec(3, epochs=1, random_state=0).fit_files([genome])
    print(f"word2vec: {time.monotonic() - began:.0f} s", flush=True)
    made["word2vec"] = vectors.embedding()
    return made


def candidates(made: dict[str, object]) -> dict[str, dict[str, object]]:
    """Settings of each way to start."""
    scratch = {"encoder": ENCODER[0], "encoder_options": ENCODER[1]}
    return {
        "one-hot": scratch,
        "3-mers learned": {**scratch, "embedding": KmerEmbedding(3, 50)},
        "word2vec frozen": {**scratch, "embedding": made["word2vec"], "freeze_embedding": True},
        "word2vec to begin with": {**scratch, "embedding": made["word2vec"]},
        **{method: {"pretrained": made[method]} for method in METHODS},
    }


def measure(table: pd.DataFrame, made: dict[str, object], n_labels: int, repeats: int) -> dict[str, list[float]]:
    """Areas under the curve of each way, one for each repeat."""
    found: dict[str, list[float]] = {}
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(len(table))
        train, test = order[:n_labels], order[n_labels : n_labels + N_TEST]
        X, y = table.sequence.to_numpy(), table["class"].to_numpy()
        for name, settings in candidates(made).items():
            model = SequenceClassifier(n_members=1, min_steps=200, epochs=10, random_state=repeat, device="cpu")
            model.set_params(**settings).fit(X[train], y[train])
            score = roc_auc_score(y[test] == model.classes_[1], model.predict_proba(X[test])[:, 1])
            found.setdefault(name, []).append(float(score))
    return found


def main() -> None:
    """Print a table of means over repeats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data/sequence")
    parser.add_argument("--steps", type=int, default=1_500, help="of each pretraining")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200])
    options = parser.parse_args()
    print(describe_machine())
    table = pd.read_csv(options.data / "ecoli_promoters.tsv.gz", sep="\t").drop_duplicates("sequence")
    made = pretrain(options.data / "genome_salmonella_lt2.fna.gz", options.steps)
    for n_labels in options.labels:
        found = measure(table, made, n_labels, options.repeats)
        base = np.array(found["one-hot"])
        for name, scores in found.items():
            difference = np.array(scores) - base
            spread = difference.std(ddof=1) / np.sqrt(len(base)) if len(base) > 1 else float("nan")
            print(
                f"{n_labels} labels, {name}: AUROC {np.mean(scores):.3f}, "
                f"difference from one-hot {difference.mean():+.3f} (standard error {spread:.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""The supervised network against scikit-learn's `MLPClassifier`: time to fit, at equal test accuracy.

Same hidden layers, batches and epochs. ``--check`` exits with 1 where ours is slower, or less accurate by more than a
point.
"""

import argparse
import statistics
import sys
import time
import warnings

import numpy as np
from machine import describe_machine, simulated_classes  # first: it lets `sklearn` be the library
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from oligolearn import FineTunedClassifier

HIDDEN, EPOCHS, BATCH, N_TRAIN, N_TEST = (512, 256, 128), 15, 64, 1024, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where ours is slower or less accurate")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    missed = False
    print(describe_machine())
    for n_genes in (383, 2000, 10_000):
        X, y = simulated_classes(N_TRAIN + N_TEST, n_genes, 10)
        train, test = np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + N_TEST)
        times: dict[str, list[float]] = {"ours": [], "scikit-learn": []}
        scores: dict[str, list[float]] = {"ours": [], "scikit-learn": []}
        for seed in range(arguments.repeats):
            network = MLPClassifier(HIDDEN, batch_size=BATCH, max_iter=EPOCHS, random_state=seed)
            models = {
                "scikit-learn": make_pipeline(StandardScaler(), network),
                "ours": FineTunedClassifier(
                    epochs=EPOCHS, min_steps=1, batch_size=BATCH, random_state=seed, device="cpu"
                ),
            }
            for name, model in models.items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    if seed == 0:
                        model.fit(X[: 2 * BATCH], y[: 2 * BATCH])  # what is loaded at the first fit is not timed
                    started = time.perf_counter()
                    model.fit(X[train], y[train])
                times[name].append(time.perf_counter() - started)
                scores[name].append(float(model.score(X[test], y[test])))
        seconds = {name: statistics.median(values) for name, values in times.items()}
        accuracy = {name: statistics.mean(values) for name, values in scores.items()}
        ratio = seconds["scikit-learn"] / seconds["ours"]
        print(
            f"{n_genes:6,} genes: scikit-learn {seconds['scikit-learn']:.2f} s, accuracy "
            f"{accuracy['scikit-learn']:.3f}; ours {seconds['ours']:.2f} s, {accuracy['ours']:.3f}; ratio {ratio:.2f}"
        )
        missed |= ratio < 1 or accuracy["ours"] < accuracy["scikit-learn"] - 0.01
    if arguments.check and missed:
        sys.exit("a goal was missed")


if __name__ == "__main__":
    main()

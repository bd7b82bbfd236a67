"""Encoders of sequences on public data: the tables of docs/methods/sequence-models.md.

    python benchmarks/sequences.py [--data FOLDER] [--out FILE] [--sets splice,promoters,...] [--repeats 5]
                                   [--encoders auto,... or every] [--inputs one-hot,kmer,word2vec] [--rows N] [--check]

Each line of --out, a JSON file, is one training; those that are there are not done again. Prints mean and range of each
encoder's score over folds (data without a split of its own: 5-fold cross-validation) or seeds. ChIP-seq has no
training negatives: dinucleotide shuffles of the peaks are made, as the negatives of its test set were. Vectors of
word2vec are learned from the training sequences alone, of DNA. With --check it exits 1 where a goal is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from machine import describe_machine
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from oligolearn import KmerWord2Vec, SequenceClassifier, SequenceRegressor, read_sequences
from oligolearn.data import Sequences, shuffle_dinucleotides
from oligolearn.nn import SEQUENCE_ENCODERS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sequence"
KEYS = ("set", "encoder", "input", "rows", "options", "repeat")
INPUTS = ("one-hot", "kmer", "word2vec")


class DataSet(NamedTuple):
    """A file, its label, the score that counts, and the score to reach."""

    file: str
    label: str
    score: str
    goal: float
    samples: str | None = None


SETS = {
    "splice": DataSet("splice_junctions.tsv.gz", "junction", "accuracy", 0.970),
    "promoters": DataSet("ecoli_promoters.tsv.gz", "class", "auc", 0.92),
    "hnrnpc": DataSet("clipseq_hnrnpc.tsv.gz", "bound", "auc", 0.955),
    "qki": DataSet("clipseq_qki.tsv.gz", "bound", "auc", 0.955),
    "rest": DataSet("chipseq_rest.tsv.gz", "bound", "auc", 0.99),
    "sp1": DataSet("chipseq_sp1.tsv.gz", "bound", "auc", 0.87),
    "myc": DataSet("chipseq_myc.tsv.gz", "bound", "auc", 0.90),
    "gabpa": DataSet("chipseq_gabpa.tsv.gz", "bound", "auc", 0.96),
    "usf1": DataSet("chipseq_usf1.tsv.gz", "bound", "auc", 0.989),
    "16s": DataSet("rrna16s_1000.fasta.gz", "genus", "accuracy", 0.984, "rrna16s_1000_taxonomy.tsv.gz"),
    "families": DataSet("protein_families.tsv.gz", "family", "accuracy", 0.95),
    "beta-lactamase": DataSet("beta_lactamase_fitness.tsv.gz", "fitness", "spearman", 0.725),
}


class Part(NamedTuple):
    """Training and test sequences of one repeat."""

    train: Sequences
    y_train: NDArray[Any]
    test: Sequences
    y_test: NDArray[Any]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    options.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/sequences.jsonl"))
    options.add_argument("--sets", default="splice,promoters", help=f"comma-separated, or all: {', '.join(SETS)}")
    options.add_argument("--encoders", default="auto", help="names of encoders, comma-separated, or every one")
    options.add_argument("--inputs", default="one-hot", help=f"what they read, comma-separated: {', '.join(INPUTS)}")
    options.add_argument("--rows", type=int, default=0, help="training sequences to draw, to save time; 0 for all")
    options.add_argument("--options", type=json.loads, default={}, help="settings of the estimator, as JSON")
    options.add_argument("--repeats", type=int, default=5, help="folds or seeds, at most 5")
    chosen = options.parse_args()
    if not chosen.data.is_dir():
        print(f"the data sets are not in {chosen.data}; pass --data")
        return 1 if chosen.check else 0
    print(describe_machine())
    names = list(SETS) if chosen.sets == "all" else chosen.sets.split(",")
    encoders = list(SEQUENCE_ENCODERS) if chosen.encoders == "every" else chosen.encoders.split(",")
    for name, encoder, read in product(names, encoders, chosen.inputs.split(",")):
        run(name, encoder, read, chosen)
    results = read_results(chosen.out)
    results = results[results.set.isin(names) & (results.rows == chosen.rows)]
    print(table(results))
    if len(encoders) > 1:
        print(wide_table(results))
    best = results.groupby(["set", "encoder", "input", "options"]).score.mean().groupby("set").max()
    missed = [name for name in names if best.get(name, -1.0) < SETS[name].goal]
    print("goals missed:", ", ".join(missed) or "none")
    return 1 if chosen.check and missed else 0


def run(name: str, encoder: str, read: str, chosen: argparse.Namespace) -> None:
    """Train what is not in the results yet."""
    options = json.dumps(chosen.options, sort_keys=True)
    key = {"set": name, "encoder": encoder, "input": read, "rows": chosen.rows, "options": options}
    done = read_results(chosen.out)
    same = (done[list(key)] == list(key.values())).all(axis=1)
    for repeat, whole in enumerate(parts(name, chosen.data, chosen.repeats)):
        part = some_rows(whole, chosen.rows, repeat)
        if repeat in set(done.repeat[same]):
            continue
        if read == "word2vec" and part.train.alphabet.name == "protein":
            return
        kind = SequenceRegressor if SETS[name].score == "spearman" else SequenceClassifier
        start = time.process_time()
        embedding = KmerWord2Vec(random_state=repeat).fit(part.train) if read == "word2vec" else read
        model = kind(encoder, embedding=embedding, random_state=repeat, **chosen.options).fit(part.train, part.y_train)
        seconds = time.process_time() - start
        score = measure(SETS[name].score, model, part)
        line = {**key, "repeat": repeat, "score": score, "seconds": round(seconds, 1)}
        line["chosen"] = model.training_["encoder_chosen"]
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        with chosen.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def parts(name: str, data: Path, n_repeats: int) -> Iterator[Part]:
    known = SETS[name]
    sequences = read_sequences(data / known.file, samples=None if known.samples is None else data / known.samples)
    y = sequences.obs[known.label].astype(float if known.score in ("auc", "spearman") and name != "promoters" else str)
    y = y.to_numpy()
    if "split" in sequences.obs:
        test = (sequences.obs["split"] == "test").to_numpy()
        for seed in range(n_repeats):
            yield with_negatives(Part(sequences.take(~test), y[~test], sequences.take(test), y[test]), seed)
        return
    strata = y if y.dtype.kind != "f" else np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for _, (train, test_rows) in zip(range(n_repeats), folds.split(y, strata), strict=False):
        yield Part(sequences.take(train), y[train], sequences.take(test_rows), y[test_rows])


def some_rows(part: Part, n_rows: int, seed: int) -> Part:
    """Some of the training sequences, drawn; all where that is 0 or more than there are."""
    if not 0 < n_rows < len(part.y_train):
        return part
    rows = np.sort(np.random.default_rng(seed).permutation(len(part.y_train))[:n_rows])
    return part._replace(train=part.train.take(rows), y_train=part.y_train[rows])


def with_negatives(part: Part, seed: int) -> Part:
    """Training peaks with a shuffle of each, where there are peaks alone."""
    if len(np.unique(part.y_train)) > 1:
        return part
    shuffled = shuffle_dinucleotides(part.train, np.random.default_rng(seed))
    texts = [*part.train.texts(), *shuffled.texts()]
    return part._replace(train=encode(texts), y_train=np.repeat([1.0, 0.0], len(part.y_train)))


def encode(texts: list[str]) -> Sequences:
    from oligolearn.data import encode_sequences

    return encode_sequences(texts, alphabet="dna")


def measure(score: str, model: Any, part: Part) -> float:
    if score == "spearman":
        return float(spearmanr(part.y_test, model.predict(part.test))[0])
    if score == "accuracy":
        return float(np.mean(model.predict(part.test) == part.y_test))
    return float(roc_auc_score(part.y_test == model.classes_[1], model.predict_proba(part.test)[:, 1]))


def read_results(path: Path) -> pd.DataFrame:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    columns = [*KEYS, "score", "seconds", "chosen"]
    return pd.DataFrame([json.loads(line) for line in lines], columns=columns)


def wide_table(results: pd.DataFrame) -> str:
    """A row for each data set and input, a column for each encoder: mean score, and seconds of a training."""
    grouped = results.groupby(["set", "input", "encoder"], sort=False)
    cells = grouped.score.mean().map("{:.3f}".format) + ", " + grouped.seconds.median().map("{:.0f} s".format)
    shown = cells.unstack("encoder").fillna("")[list(dict.fromkeys(results.encoder))]
    lines = [
        "| " + " | ".join(["data set", "score", "input", *shown.columns]) + " |",
        "|---" * (3 + shown.shape[1]) + "|",
    ]
    for (name, read), row in shown.iterrows():
        lines.append("| " + " | ".join([name, SETS[name].score, read, *row]) + " |")
    return "\n".join(lines)


def table(results: pd.DataFrame) -> str:
    """A row for each data set and encoder: mean and range of the score, and the time of a training."""
    lines = [
        "| data set | encoder | input | settings | repeats | score | range | goal | s | chosen |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, encoder, read, settings), rows in results.groupby(["set", "encoder", "input", "options"], sort=False):
        known = SETS[str(name)]
        found = ", ".join(f"{choice} {n}" for choice, n in rows.chosen.value_counts().items())
        lines.append(
            f"| {name} | {encoder} | {read} | {settings} | {len(rows)} | {known.score} {rows.score.mean():.4f} | "
            f"{rows.score.min():.3f} to {rows.score.max():.3f} | {known.goal} | {rows.seconds.median():.0f} | {found} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

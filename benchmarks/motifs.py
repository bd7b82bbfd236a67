"""The best filter of a shallow network against the factor that was precipitated, for five ChIP-seq sets.

For each factor a `motif-cnn` learns to tell peaks from their dinucleotide shuffles; its filters become motifs, and
these are compared with JASPAR by TOMTOM. Printed are the filter that is most like the factor's own motif, and its q
over all pairs of filter and motif of the database.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from oligolearn import SequenceClassifier
from oligolearn.data import Sequences, encode_sequences, read_sequences, shuffle_dinucleotides
from oligolearn.explain import Filter, Motif, filter_effects, filter_motifs, read_meme, similarities

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sequence"
# Names of the factor's motif in JASPAR 2016; MYC binds its E-box with MAX.
FACTORS = {
    "usf1": ("USF1",),
    "rest": ("REST",),
    "gabpa": ("GABPA",),
    "myc": ("Myc", "MAX::MYC"),
    "sp1": ("SP1",),
}
WANTED, BELOW = 4, 0.01


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help=f"exit 1 if fewer than {WANTED} of 5 have q < {BELOW}")
    options.add_argument("--data", type=Path, default=DATA, help="folder of the data sets and the database")
    options.add_argument("--peaks", type=int, default=1500, help="training peaks that are drawn of each set")
    options.add_argument("--filters", type=int, default=32, help="filters of 20 letters")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    if not chosen.data.is_dir():
        print(f"the data sets are not in {chosen.data}; pass --data")
        return 1 if chosen.check else 0
    print(describe_machine())
    database = read_meme(chosen.data / "jaspar2016_vertebrates.meme")
    print(f"{len(database)} motifs of JASPAR; q is over them, for each filter\n")
    print(
        "factor  seconds  filter     consensus             sites  target             p        q        loss   nearest"
    )
    found = {name: run(name, chosen, database) for name in FACTORS}
    n = sum(q < BELOW for q in found.values())
    print(f"\n{n} of {len(found)} factors have a filter that matches their motif with q < {BELOW}")
    return 1 if chosen.check and n < WANTED else 0


def run(name: str, chosen: argparse.Namespace, database: list[Motif]) -> float:
    """Train, compare, print; the smallest q with a motif of the factor."""
    start = time.perf_counter()
    peaks = training_peaks(name, chosen)
    shuffled = shuffle_dinucleotides(peaks, np.random.default_rng(chosen.seed))
    texts = encode_sequences([*peaks.texts(), *shuffled.texts()], alphabet="dna")
    bound = np.repeat(["1", "0"], len(peaks))
    model: Any = SequenceClassifier(
        "motif-cnn",
        encoder_options={"n_filters": chosen.filters, "width": 20},
        both_strands=True,
        n_members=1,
        random_state=chosen.seed,
    ).fit(texts, bound)
    filters = filter_motifs(model, peaks)
    said: list[Filter] = [one for one in filters if one.motif.says_something]
    alike = similarities([one.motif for one in said], database)
    own = [i for i, motif in enumerate(database) if motif.other_name.upper() in [n.upper() for n in FACTORS[name]]]
    row, column = np.unravel_index(alike.p[:, own].argmin(), (len(said), len(own)))
    best, target = said[row], own[column]
    loss = filter_effects(model, [best], texts, (bound == "1").astype(float))[0].loss
    nearest = database[int(alike.p[row].argmin())]
    print(
        f"{name:<7} {time.perf_counter() - start:7.0f}  {best.motif.name:<9}  {best.motif.consensus:<20}  "
        f"{best.motif.n_sites:5}  {database[target].name} {database[target].other_name:<8} {alike.p[row, target]:.1e}  "
        f"{alike.q[row, target]:.1e}  {loss:.3f}  {nearest.other_name}",
        flush=True,
    )
    return float(alike.q[row, target])


def training_peaks(name: str, chosen: argparse.Namespace) -> Sequences:
    sequences = read_sequences(chosen.data / f"chipseq_{name}.tsv.gz", alphabet="dna")
    train = np.flatnonzero((sequences.obs["split"] == "train").to_numpy())
    n = min(chosen.peaks, len(train))
    return sequences.take(np.sort(np.random.default_rng(chosen.seed).permutation(train)[:n]))


if __name__ == "__main__":
    raise SystemExit(main())

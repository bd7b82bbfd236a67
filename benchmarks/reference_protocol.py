"""The reference protocol on one machine: 9,352 samples x 57,387 genes, 89 label fractions x 50 repeats x 2 methods.

8,900 trainings and the pretrainings before them, on a simulated cohort, through the `oligolearn` command. The goal is
30 minutes on one H200. ``--scale`` shrinks samples, genes, fractions and repeats, to try the script; ``--check`` exits
with 1 where the goal is missed or trainings failed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from machine import describe_machine

GOAL_MINUTES = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the goal is missed")
    parser.add_argument("--scale", type=float, help="share of the protocol; default: 1 on a GPU, 0.02 elsewhere")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.scale is not None and not 0 < arguments.scale <= 1:
        parser.error(f"--scale takes a share above 0 and up to 1, found {arguments.scale}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scale = arguments.scale or (1.0 if device == "cuda" else 0.02)
    n_samples, n_genes = max(300, round(9352 * scale)), max(500, round(57_387 * scale))
    n_repeats, n_fractions = max(2, round(50 * scale)), max(2, round(89 * scale))
    fractions = ",".join(f"{share:.4g}" for share in np.linspace(0.01 if scale == 1 else 0.1, 1.0, n_fractions))
    print(f"{describe_machine(device)}; {n_samples:,} x {n_genes:,}, {n_fractions} fractions x {n_repeats} x 2 methods")
    with tempfile.TemporaryDirectory() as folder:
        cohort, out = str(Path(folder) / "cohort.h5ad"), Path(folder) / "study"
        command = [sys.executable, "-P", "-m", "oligolearn"]  # -P: started in this folder, `sklearn.py` stays unseen
        size = ["--n-samples", str(n_samples), "--n-genes", str(n_genes), "--n-classes", "12"]
        subprocess.run([*command, "simulate", cohort, *size], check=True)
        study = ["study", cohort, "--label", "label", "--methods", "scratch,swav", "--fractions", fractions]
        chosen = ["--repeats", str(n_repeats), "--split", "fixed", "--device", device, "--quiet"]
        started = time.perf_counter()
        subprocess.run([*command, *study, *chosen, "--workers", str(arguments.workers), "--out", str(out)], check=True)
        minutes = (time.perf_counter() - started) / 60
        results = pd.read_csv(out / "results.csv")
    wanted = 2 * n_repeats * n_fractions
    print(f"{len(results):,} of {wanted:,} trainings in {minutes:.1f} minutes")
    print(results.groupby("method")["accuracy"].mean().round(3).to_string())
    if arguments.check and (len(results) < wanted or (scale == 1 and minutes > GOAL_MINUTES)):
        sys.exit(f"the goal, {GOAL_MINUTES:.0f} minutes on an H200, was missed")


if __name__ == "__main__":
    main()

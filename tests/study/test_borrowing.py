"""Studies that pretrain on other cohorts as well: these enter pretraining and nothing else."""

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from oligolearn.saving import Bundle
from oligolearn.study import jobs, label_efficiency
from oligolearn.study.cohort import Cohort
from oligolearn.study.design import Design, Run, draw_repeat

SMALL = {"encoder_options": {"hidden": (12, 6)}, "epochs": 2, "min_steps": 20, "batch_size": 16}
DESIGN = Design("kind", fractions=(0.5,), repeats=2, top_genes=15, pretraining=SMALL, training=SMALL)
N_OWN, N_OTHER = 80, 50


def matrix(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, 30)) * np.linspace(1, 3, 30) + 2 * y[:, None] * np.sin(np.arange(30)) + 7
    return X.astype(np.float32), y


def cohort(folder: Path, change: Any = None, *, ready: bool) -> Cohort:
    own, y = matrix(N_OWN, 0)
    other = matrix(N_OTHER, 1)[0]
    if ready:
        other = (other - other.mean(axis=0)) / other.std(axis=0)
    if change is not None:
        change(own, other)
    folder.mkdir()
    np.save(folder / "matrix.npy", np.concatenate([own, other]))
    return Cohort(folder / "matrix.npy", y, None, None, N_OTHER, ready)


def pretrained(data: Cohort) -> Bundle:
    return jobs.pretrain(DESIGN, data, [0, 1], "simclr")[0].bundle


def same(first: Bundle, second: Bundle) -> bool:
    return all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


@pytest.mark.parametrize("ready", [True, False])
def test_borrowed_rows_are_pretrained_on_and_held_out_ones_are_not(tmp_path: Path, *, ready: bool) -> None:
    plain = cohort(tmp_path / "plain", ready=ready)
    split = draw_repeat(DESIGN, plain.y, None, 0).split
    held_out = np.setdiff1d(np.arange(N_OWN), split.pretrain)
    assert len(held_out) > 15

    def spoil_held_out(own: Any, _: Any) -> None:
        own[held_out] *= 1000

    def spoil_borrowed(_: Any, other: Any) -> None:
        other[7] *= -1

    first = pretrained(plain)
    assert first.description["pretraining"]["n_samples"] == len(split.pretrain) + N_OTHER
    assert same(first, pretrained(cohort(tmp_path / "held-out", spoil_held_out, ready=ready)))
    assert not same(first, pretrained(cohort(tmp_path / "borrowed", spoil_borrowed, ready=ready)))


@pytest.mark.parametrize("method", ["logistic", "pca-logistic", "scratch", "untrained"])
def test_what_does_not_pretrain_sees_nothing_of_borrowed_rows(method: str, tmp_path: Path) -> None:
    def spoil(_: Any, other: Any) -> None:
        other *= 1000

    runs = [Run(repeat, 0.5, 20, method) for repeat in (0, 1)]
    outcomes = [
        jobs.carry_out(DESIGN, data, runs)
        for data in (cohort(tmp_path / "a", ready=False), cohort(tmp_path / "b", spoil, ready=False))
    ]
    for (_, first), (_, second) in zip(*outcomes, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


def files(folder: Path) -> tuple[Path, Path]:
    """One's own cohort, and another that lacks genes, has them in another order, and repeats one sample."""
    genes = [f"g{i}" for i in range(30)]
    own, y = matrix(N_OWN, 0)
    other = matrix(N_OTHER, 1)[0]
    other[5] = own[0]
    names = [f"GSM{i}" for i in range(N_OTHER)]
    kind = pd.DataFrame({"kind": np.array(["a", "b"])[y]}, index=[f"TCGA-{i}" for i in range(N_OWN)])
    ad.AnnData(own, obs=kind, var=pd.DataFrame(index=genes)).write_h5ad(folder / "own.h5ad")
    ad.AnnData(
        other[:, ::-1][:, :25].copy(), obs=pd.DataFrame(index=names), var=pd.DataFrame(index=genes[::-1][:25])
    ).write_h5ad(folder / "other.h5ad")
    return folder / "own.h5ad", folder / "other.h5ad"


QUICK: dict[str, Any] = {"fractions": (0.5,), "repeats": 2, "pretraining": SMALL, "training": SMALL, "seed": 3}


@pytest.mark.slow
def test_a_study_says_what_it_borrowed_and_knows_it_again(tmp_path: Path) -> None:
    own, other = files(tmp_path)
    settings = {**QUICK, "methods": ("scratch", "simclr"), "workers": 1, "progress": False}
    study = label_efficiency(own, "kind", out=tmp_path / "s", pretrain_on=[other], **settings)
    notes = " ".join(study.summary["data"]["notes"])
    assert "Pretraining also sees 49 samples of other.h5ad: 83% of the 30 genes" in notes
    assert "1 samples have nearly their values and are left out" in notes
    assert "Each cohort is standardised by itself" in notes
    assert study.summary["design"]["n_pretrain"] == study.summary["design"]["n_train"] + 49
    assert study.summary["settings"]["SimCLR pretraining: settings"].endswith("105 samples")
    assert "effective rank" in study.summary["settings"]["SimCLR pretraining: embedding"]
    assert "49 samples of other.h5ad" in (tmp_path / "s" / "report.html").read_text()
    with pytest.raises(ValueError, match="standardize"):
        label_efficiency(own, "kind", out=tmp_path / "s", pretrain_on=[other], standardize="together", **settings)
    alone = label_efficiency(own, "kind", out=tmp_path / "alone", **settings)
    with pytest.raises(ValueError, match="pretrain_on"):
        label_efficiency(own, "kind", out=tmp_path / "alone", pretrain_on=[other], **settings)
    both = [one.results.query("method == 'scratch'")["log_loss"].tolist() for one in (study, alone)]
    assert both[0] == both[1], "the network from scratch is that without other cohorts"


def test_nothing_to_pretrain_is_a_mistake(tmp_path: Path) -> None:
    own, other = files(tmp_path)
    with pytest.raises(ValueError, match="none of the methods logistic pretrains"):
        label_efficiency(
            own, "kind", out=tmp_path / "s", methods=("logistic",), pretrain_on=[other], workers=1, progress=False
        )

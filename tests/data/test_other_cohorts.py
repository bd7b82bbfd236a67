"""Rows of other cohorts: found by gene names, standardised as said, and never one's own."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from oligolearn.data import GeneMap, OwnCohort, Translation, borrow_rows

RNG = np.random.default_rng(0)
GENES = [f"g{i}" for i in range(60)]


def values(n: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 60)) * rng.uniform(0.5, 3, 60) + 8).astype(np.float32)


OWN = OwnCohort(values(30, 1), GENES, "log", [f"TCGA-{i:02d}" for i in range(30)])


def cohort(X: NDArray[Any], genes: list[str] | None = None, names: list[str] | None = None, **obs: Any) -> ad.AnnData:
    names = names or [f"GSM{i + 500}" for i in range(len(X))]
    found = ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(obs, index=names), var=pd.DataFrame(index=genes or GENES))
    found.uns["oligolearn"] = {"file": "other.h5ad"}
    return found


def test_genes_are_found_by_name_and_absent_ones_are_missing() -> None:
    X = values(20, 2)
    order = np.random.default_rng(3).permutation(60)[:45]
    shuffled = cohort(np.hstack([X[:, order], X[:, :2]]), [*(GENES[i] for i in order), "other1", "other2"])
    found = borrow_rows([shuffled], OWN)
    assert np.array_equal(found.X[:, order], X[:, order])
    absent = np.setdiff1d(np.arange(60), order)
    assert np.isnan(found.X[:, absent]).all()
    assert found.facts[0]["share_of_genes"] == 0.75
    assert "75% of the 60 genes" in found.notes[0]
    assert (found.ready()[:, absent] == 0).all(), "what is missing counts as average"


def test_one_s_own_samples_have_no_say_in_which_probe_counts() -> None:
    """Two probes of each gene; the second has the higher mean only through a sample that is one's own."""
    X = np.repeat(values(20, 2), 2, axis=1)
    X[:, 1::2] -= 0.3
    X[4, 1::2] += 8
    probes = [f"{i}_at" for i in range(120)]
    table = GeneMap("map", {"probe": [[probe] for probe in probes], "gene": [[gene] for gene in GENES for _ in "ab"]})
    names = ["TCGA-03" if i == 4 else f"GSM{i + 500}" for i in range(20)]
    found = borrow_rows([cohort(X, probes, names)], OWN, translation=Translation(table))
    assert np.array_equal(found.X, np.delete(X[:, ::2], 4, axis=0))
    assert "other.h5ad: 60 gene(s) named more than once are represented by the column" in found.notes[-2]
    mean = borrow_rows([cohort(X, probes, names)], OWN, translation=Translation(table, "mean"))
    np.testing.assert_allclose(mean.X, np.delete(X[:, ::2] - 0.15, 4, axis=0), rtol=1e-5)


def test_too_small_an_overlap_is_refused_with_what_to_do() -> None:
    few = cohort(values(20, 2)[:, :24], GENES[:24])
    with pytest.raises(ValueError, match=r"other.h5ad: 24 of the 60 genes .* \(40%\), at least 50%.*--min-overlap"):
        borrow_rows([few], OWN)
    assert len(borrow_rows([few], OWN, min_overlap=0.4).X) == 20


def test_each_cohort_is_standardised_by_itself() -> None:
    """Whatever scale a platform has, gene by gene: the same rows come of it."""
    X, Y = values(20, 2), values(25, 3)
    stretched = np.abs(Y) * np.linspace(1, 2, 60, dtype=np.float32) + np.linspace(0, 5, 60, dtype=np.float32)
    plain = borrow_rows([cohort(X), cohort(np.abs(Y))], OWN)
    other = borrow_rows([cohort(X), cohort(stretched)], OWN)
    np.testing.assert_allclose(plain.ready(), other.ready(), atol=1e-4)
    for number in (1, 2):
        part = plain.ready()[plain.cohorts == number]
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(part.std(axis=0), 1, atol=1e-4)


def test_together_needs_the_same_units_and_says_so() -> None:
    counts = np.random.default_rng(5).poisson(50, (20, 60))
    with pytest.raises(ValueError, match=r"other.h5ad: .*counts.*--standardize each"):
        borrow_rows([cohort(counts)], OWN, standardize="together")
    assert "log2(CPM + 1)" in borrow_rows([cohort(counts)], OWN).notes[0]
    with pytest.raises(ValueError, match="each, together, found 'both'"):
        borrow_rows([cohort(counts)], OWN, standardize="both")


def test_ones_own_samples_are_left_out_by_name_group_and_values() -> None:
    X = values(20, 2)
    X[4] = OWN.X[7]
    names = [f"GSM{i + 500}" for i in range(20)]
    names[1] = "TCGA-03"
    own = OWN._replace(groups=pd.Series([f"donor-{i}x" for i in range(30)]))
    other = cohort(X, names=names, donor=["donor-2x" if i == 9 else f"donor-{i}y" for i in range(20)])
    found = borrow_rows([other], own, group="donor")
    assert np.array_equal(found.X, np.delete(X, [1, 4, 9], axis=0))
    assert "1 samples have the name of one of your samples" in found.notes[1]
    assert "1 samples share a 'donor' with them" in found.notes[1]
    assert "1 samples have nearly their values" in found.notes[1]


def test_copies_are_found_in_other_units_and_among_other_samples() -> None:
    """A copy is found though its file has other samples, a subset of the genes, or another offset."""
    X = values(40, 2) + 3
    X[:5] = OWN.X[:5]
    assert len(borrow_rows([cohort(X[:, ::2], GENES[::2])], OWN).X) == 35


def test_mere_numbers_are_no_names() -> None:
    own = OWN._replace(samples=[f"sample_{i:05d}" for i in range(30)])
    assert len(borrow_rows([cohort(values(20, 2), names=[f"sample_{i:05d}" for i in range(20)])], own).X) == 20


def test_a_cohort_of_ones_own_samples_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"30 samples have the name .* 0 are left"):
        borrow_rows([cohort(OWN.X, names=list(OWN.samples))], OWN)

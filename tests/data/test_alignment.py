"""New samples meet a model's genes by name."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.data import align_expression, prepare_expression

FEATURES = [f"g{i}" for i in range(10)]


def samples(genes: list[str], *, counts: bool = False, seed: int = 0) -> ad.AnnData:
    """Values that depend on sample and gene alone, not on the order of genes."""
    rng = np.random.default_rng(seed)
    values = pd.DataFrame(rng.poisson(90, size=(5, 12)) if counts else rng.normal(8, 1, size=(5, 12)))
    values.columns = [*FEATURES, "extra", "more"]
    index = [f"s{i}" for i in range(5)]
    return ad.AnnData(values[genes].to_numpy(np.float32), obs=pd.DataFrame(index=index), var=pd.DataFrame(index=genes))


def test_the_order_of_genes_and_others_beside_them_do_not_matter() -> None:
    expected = align_expression(samples(FEATURES), FEATURES, units="log").X
    np.testing.assert_array_equal(expected, samples(FEATURES).X)
    for genes in (FEATURES[::-1], ["more", *FEATURES[5:], "extra", *FEATURES[:5]]):
        np.testing.assert_array_equal(align_expression(samples(genes), FEATURES, units="log").X, expected)


def test_counts_are_normalised_as_in_training() -> None:
    prepared = prepare_expression(samples(FEATURES, counts=True))
    aligned = align_expression(samples(FEATURES[::-1], counts=True), prepared.genes, units=prepared.units)
    np.testing.assert_allclose(aligned.X, prepared.X, rtol=1e-6)


def test_missing_genes_are_missing_values_and_counted() -> None:
    aligned = align_expression(samples(FEATURES[:8]), FEATURES, units="log")
    np.testing.assert_array_equal(aligned.X[:, :8], samples(FEATURES).X[:, :8])
    assert np.isnan(aligned.X[:, 8:]).all()
    assert "8 of the model's 10 genes are in the data." in aligned.notes
    assert "2 are missing and count as average." in aligned.notes


@pytest.mark.parametrize(("n_there", "min_overlap", "accepted"), [(8, 0.8, True), (7, 0.8, False), (7, 0.7, True)])
def test_too_few_genes_are_refused(n_there: int, min_overlap: float, accepted: bool) -> None:
    adata = samples([*FEATURES[:n_there], "extra", "more"])
    if accepted:
        assert align_expression(adata, FEATURES, units="log", min_overlap=min_overlap).X.shape == (5, 10)
        return
    with pytest.raises(ValueError, match=r"7 of the model's 10 genes are in the data \(70%\), at least 80% .* 'g7'"):
        align_expression(adata, FEATURES, units="log", min_overlap=min_overlap)


def test_a_gene_named_twice_is_refused() -> None:
    adata = samples(FEATURES)
    adata.var_names = ["g1", *FEATURES[1:]]
    with pytest.raises(ValueError, match="1 genes are named more than once: 'g1'"):
        align_expression(adata, FEATURES, units="log")


@pytest.mark.parametrize("min_overlap", [0.0, 1.1, float("nan")])
def test_an_overlap_that_is_no_share_is_refused(min_overlap: float) -> None:
    with pytest.raises(ValueError, match="min_overlap must lie above 0"):
        align_expression(samples(FEATURES), FEATURES, units="log", min_overlap=min_overlap)


def test_values_on_another_scale_are_refused_unless_taken_at_the_users_word() -> None:
    counts = samples(FEATURES, counts=True)
    with pytest.raises(ValueError, match=r"trained on 'log' values but these look like counts.*pass --normalize"):
        align_expression(counts, FEATURES, units="log")
    as_log = align_expression(counts, FEATURES, units="log", normalize_as="none")
    np.testing.assert_array_equal(as_log.X, counts.X)
    with pytest.raises(ValueError, match="trained on 'counts' values"):
        align_expression(samples(FEATURES), FEATURES, units="counts")


def test_centred_and_logged_values_are_told_apart_by_a_guess_that_cannot_refuse() -> None:
    centred = samples(FEATURES)
    centred.X -= centred.X.mean()
    assert align_expression(centred, FEATURES, units="log").X.shape == (5, 10)

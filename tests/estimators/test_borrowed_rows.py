"""Pretraining on other cohorts as well: alone or as replicas, each cohort standardised by itself or together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oligolearn import SelfSupervisedEncoder
from oligolearn.data import ExpressionScaler
from oligolearn.estimators.together import Share, fit_together

RNG = np.random.default_rng(0)
N_OWN, N_OTHER, N_GENES = 80, 60, 30
X = (RNG.normal(size=(N_OWN + N_OTHER, 4)) @ RNG.normal(size=(4, N_GENES)) + 5).astype(np.float32)
X[N_OWN:] = 3 * X[N_OWN:] + 20  # another platform
X[3, 4] = X[90, 2] = np.nan
OTHER = np.arange(N_OWN, N_OWN + N_OTHER)
NAMES = [f"g{i}" for i in range(N_GENES)]

pytestmark = pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")


def encoder(seed: int, objective: str = "simclr", **options: Any) -> SelfSupervisedEncoder:
    small: dict[str, Any] = {"encoder_options": {"hidden": (16, 8)}, "epochs": 4, "min_steps": 20, "batch_size": 32}
    return SelfSupervisedEncoder(objective, random_state=seed, device="cpu", precision="32", **{**small, **options})


def own_rows(seed: int) -> Any:
    return np.sort(np.random.default_rng(seed).permutation(N_OWN)[:60])


@pytest.mark.parametrize("objective", ["swav", "simclr", "moco", "deepcluster", "scarf"])
@pytest.mark.parametrize("standardize", ["each", "together"])
def test_replicas_with_borrowed_rows_are_those_fitted_alone(objective: str, standardize: str) -> None:
    genes = [np.sort(np.random.default_rng(i).permutation(N_GENES)[:20]) for i in range(3)]
    matrix, start = X, None
    if standardize == "each":
        matrix, start = X.copy(), N_OWN
        matrix[N_OWN:] = ExpressionScaler().fit_transform(X[N_OWN:])
    shares = [Share(np.concatenate([own_rows(i), OTHER]), genes=genes[i], borrowed_from=start) for i in range(3)]
    found = fit_together([encoder(i, objective) for i in range(3)], matrix, shares)
    assert found.how == ["stacked"] * 3
    for i, model in enumerate(found.models):
        assert isinstance(model, SelfSupervisedEncoder)
        values = X[np.ix_(shares[i].rows, genes[i])]
        cohorts = (shares[i].rows >= N_OWN).astype(int) if standardize == "each" else None
        alone = encoder(i, objective).fit(values, cohorts=cohorts)
        np.testing.assert_allclose(model.transform(values), alone.transform(values), atol=5e-3)
        assert model.history_.losses == pytest.approx(alone.history_.losses, rel=1e-3, abs=1e-4)
        np.testing.assert_array_equal(model.scaler_.mean_, alone.scaler_.mean_)
        assert model.pretraining_ is not None
        assert model.pretraining_["n_samples"] == 120


def test_the_scaler_is_that_of_ones_own_cohort_alone() -> None:
    cohorts = np.repeat([0, 1], [N_OWN, N_OTHER])
    model = encoder(0).fit(X, cohorts=cohorts)
    np.testing.assert_array_equal(model.scaler_.mean_, ExpressionScaler().fit(X[:N_OWN]).mean_)


def test_the_scale_of_another_cohort_does_not_matter_when_each_is_standardised() -> None:
    cohorts = np.repeat([0, 1], [N_OWN, N_OTHER])
    moved = X.copy()
    moved[N_OWN:] = moved[N_OWN:] * 4 + 64
    first, second = (encoder(0).fit(values, cohorts=cohorts).transform(X[:N_OWN]) for values in (X, moved))
    np.testing.assert_allclose(first, second, atol=1e-3)
    together = [encoder(0).fit(values).transform(X[:N_OWN]) for values in (X, moved)]
    assert not np.allclose(*together, atol=1e-2)


def test_the_order_of_cohorts_among_the_rows_is_free_but_one_is_ones_own() -> None:
    with pytest.raises(ValueError, match="two of them 0"):
        encoder(0).fit(X, cohorts=np.ones(len(X), dtype=int))
    with pytest.raises(ValueError, match="140 whole numbers"):
        encoder(0).fit(X, cohorts=np.zeros(3, dtype=int))


def test_quality_is_that_of_ones_own_rows() -> None:
    """Borrowed rows that all are alike would make any embedding look collapsed."""
    spoiled = X.copy()
    spoiled[N_OWN:] = spoiled[N_OWN]
    model = encoder(0).fit(spoiled, cohorts=np.repeat([0, 1], [N_OWN, N_OTHER]))
    alone = np.linalg.svd(model.transform(X[:N_OWN]), compute_uv=False)
    p = alone / alone.sum() + 1e-7
    assert model.quality_["rank_me"] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


def test_views_of_gene_sets_work_for_replicas_with_other_genes_each(tmp_path: Path) -> None:
    path = tmp_path / "sets.gmt"
    path.write_text("first\tx\t" + "\t".join(NAMES[:15]) + "\nsecond\tx\t" + "\t".join(NAMES[10:]) + "\n")
    options: dict[str, Any] = {"view": "gene-sets", "view_options": {"sets": str(path)}}
    genes = [np.sort(np.random.default_rng(i).permutation(N_GENES)[:20]) for i in range(2)]
    shares = [Share(own_rows(i), genes=genes[i]) for i in range(2)]
    found = fit_together([encoder(i, **options) for i in range(2)], X, shares, genes=NAMES)
    assert found.how == ["stacked"] * 2
    for i, model in enumerate(found.models):
        assert isinstance(model, SelfSupervisedEncoder)
        values = X[np.ix_(shares[i].rows, genes[i])]
        alone = encoder(i, **options).fit(values, genes=[NAMES[j] for j in genes[i]])
        np.testing.assert_allclose(model.transform(values), alone.transform(values), atol=5e-3)


def test_all_rows_are_shown_to_an_objective_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same clusters come of it, and no more than a block of rows is taken at once."""
    from oligolearn.estimators import self_supervised

    whole = encoder(0, "deepcluster").fit(X[:N_OWN]).transform(X[:N_OWN])
    taken: list[int] = []
    apply = self_supervised.apply_in_batches

    def noting(module: Any, rows: Any) -> Any:
        taken.append(len(rows))
        return apply(module, rows)

    monkeypatch.setattr(self_supervised, "_ROWS_AT_ONCE", 32)
    monkeypatch.setattr(self_supervised, "apply_in_batches", noting)
    model = encoder(0, "deepcluster").fit(X[:N_OWN])
    assert taken[:3] == [32, 32, 16]
    monkeypatch.undo()
    assert np.array_equal(model.transform(X[:N_OWN]), whole)


def test_watching_hears_of_collapse_and_changes_nothing() -> None:
    heard: list[dict[str, float]] = []
    watched = encoder(0, "swav", epochs=30, on_watch=heard.append).fit(X[:N_OWN])
    assert np.array_equal(watched.transform(X), encoder(0, "swav", epochs=30).fit(X[:N_OWN]).transform(X))
    assert 10 <= len(heard) <= 20
    assert set(heard[0]) == {"effective_rank", "dimensions", "prototypes_in_use", "prototypes", "plateau"}
    assert heard[-1]["effective_rank"] == pytest.approx(watched.quality_["effective_rank"], rel=1e-6)

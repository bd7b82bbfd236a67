"""A matrix on disk is read as one in memory is: same values, same statistics, same errors, in any order of blocks."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from oligolearn.data import (
    ExpressionScaler,
    StoredExpression,
    align_expression,
    align_stream,
    open_expression,
    prepare_expression,
    prepare_stream,
    read_expression,
    simulate_cohort,
    top_variance_genes,
)
from oligolearn.data import stored as stored_module
from oligolearn.data.moments import Moments
from oligolearn.data.simulate import simulate_blocks
from oligolearn.data.storing import store_expression

N_ROWS, N_GENES = 230, 40
FORMS = ("dense.h5ad", "sparse.h5ad", "chunked.h5ad", "wide.h5ad", "csr.h5ad", "dense.zarr", "sparse.zarr", "csr.zarr")


def cohort() -> ad.AnnData:
    made = simulate_cohort(N_ROWS, N_GENES, seed=2)
    made.X[:, 7] = 0  # a gene that never varies
    return made


def write(folder: Path, form: str, adata: ad.AnnData) -> Path:
    """Write `adata` in one of the ways that people do, or that we do."""
    path, kind = folder / f"c{Path(form).suffix}", Path(form).stem
    copy = adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zarr, on formats to come
        if kind in {"dense", "sparse"}:
            blocks = (adata.X[i : i + 50] for i in range(0, len(adata), 50))
            store_expression(path, adata, blocks, sparse=kind == "sparse")
        elif kind == "csr":
            copy.X = sp.csr_matrix(adata.X)
            (copy.write_h5ad if path.suffix == ".h5ad" else copy.write_zarr)(path)
        elif kind == "wide":
            copy.X = adata.X.astype(np.float64)
            copy.write_h5ad(path)
        else:
            copy.write_h5ad(path, compression="gzip")
    return path


@pytest.fixture(scope="module", params=FORMS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredExpression]:
    with StoredExpression(write(tmp_path_factory.mktemp("stored"), request.param, cohort())) as stored:
        yield stored


def stored_with(tmp_path: Path, X: np.ndarray, form: str = "dense.h5ad") -> StoredExpression:
    obs = pd.DataFrame(index=[f"s{i}" for i in range(len(X))])
    var = pd.DataFrame(index=[f"g{i}" for i in range(X.shape[1])])
    return StoredExpression(write(tmp_path, form, ad.AnnData(X.astype(np.float32), obs=obs, var=var)))


def log_values(n_rows: int = 90, n_genes: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(8, 2, (n_rows, n_genes)).clip(0).astype(np.float32)


# Values


def test_every_form_holds_what_was_written(opened: StoredExpression) -> None:
    expected = cohort()
    np.testing.assert_array_equal(opened.read(0, N_ROWS), expected.X)
    np.testing.assert_array_equal(opened.read(63, 71), expected.X[63:71])
    assert opened.obs["label"].tolist() == expected.obs["label"].tolist()
    assert opened.genes == expected.var_names.tolist()


def test_it_is_prepared_as_in_memory(opened: StoredExpression) -> None:
    expected, stream = prepare_expression(cohort()), prepare_stream(opened)
    assert stream.genes == expected.genes
    assert stream.units == expected.units == "counts"
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), expected.X)
    assert stream.notes[1] == expected.notes[1]
    scaler = ExpressionScaler().fit(expected.X)
    np.testing.assert_allclose(stream.scaler.mean_, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(stream.scaler.scale_, scaler.scale_, rtol=1e-10)


def test_the_genes_that_vary_most_are_those_of_the_matrix_in_memory(opened: StoredExpression) -> None:
    expected = prepare_expression(cohort())
    kept = top_variance_genes(expected.X, 9)
    stream = prepare_stream(opened, top_genes=9)
    assert stream.genes == [expected.genes[i] for i in kept]
    np.testing.assert_array_equal(stream.read(3, 50), expected.X[3:50, kept])


def test_it_is_aligned_as_in_memory(opened: StoredExpression) -> None:
    features = ["elsewhere", *cohort().var_names[::-2]]
    expected = align_expression(cohort(), features, units="counts", min_overlap=0.5)
    stream = align_stream(opened, features, units="counts", min_overlap=0.5)
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), expected.X)
    assert stream.notes == expected.notes


def test_a_store_is_read_into_memory_too(tmp_path: Path) -> None:
    for form in ("dense.zarr", "csr.zarr"):
        folder = tmp_path / form
        folder.mkdir()
        found = read_expression(write(folder, form, cohort()))
        np.testing.assert_array_equal(found.X, cohort().X)
        assert found.obs["label"].tolist() == cohort().obs["label"].tolist()


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_of_blocks_are_those_of_the_whole(offset: float) -> None:
    rng = np.random.default_rng(1)
    X = (rng.normal(size=(301, 6)) + offset).astype(np.float64)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:, 5] = np.nan
    moments = Moments(6)
    for block in np.split(X, [1, 7, 8, 200]):
        moments.add(block)
    np.testing.assert_allclose(moments.mean[:5], np.nanmean(X[:, :5], axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance[:5], np.nanvar(X[:, :5], axis=0), rtol=1e-9)
    np.testing.assert_array_equal(moments.share_missing, np.isnan(X).mean(axis=0))
    np.testing.assert_array_equal(moments.smallest, np.fmin.reduce(X))


def test_missing_values_count_as_in_memory(tmp_path: Path) -> None:
    X = log_values()
    X[np.random.default_rng(3).random(X.shape) < 0.1] = np.nan
    stream = prepare_stream(stored_with(tmp_path, X))
    scaler = ExpressionScaler().fit(X)
    np.testing.assert_allclose(stream.scaler.scale_, scaler.scale_, rtol=1e-6)
    out = np.empty_like(X)
    stream.standardised(0, len(X), out)
    np.testing.assert_allclose(out, scaler.transform(X), atol=1e-5)
    with pytest.raises(ValueError, match=r"genes miss more than 1%"):
        prepare_stream(stream.stored, max_missing=0.01)


def test_a_fingerprint_changes_with_a_value(tmp_path: Path) -> None:
    X = log_values()
    first = prepare_stream(stored_with(tmp_path, X)).fingerprint
    assert prepare_stream(stored_with(tmp_path, X)).fingerprint == first
    X[17, 3] += 0.25
    assert prepare_stream(stored_with(tmp_path, X)).fingerprint != first


# Epochs


def drawn(stream: object, n_parts: int, buffer_rows: int, *, seed: int = 0, **how: object) -> list[torch.Tensor]:
    options = {name: how.pop(name) for name in ("prefetch",) if name in how}
    draw = stream.shuffled(buffer_bytes=buffer_rows * 4 * len(stream.genes), **options)
    return list(draw(n_parts, torch.Generator().manual_seed(seed), **how))


@pytest.mark.parametrize("buffer_rows", [16, 60, 1000])
def test_an_epoch_has_each_row_once(opened: StoredExpression, buffer_rows: int) -> None:
    stream = prepare_stream(opened)
    expected = stream.scaler.transform(prepare_expression(cohort()).X)
    batches = drawn(stream, 10, buffer_rows)
    assert [len(batch) for batch in batches] == [23] * 10
    found = torch.cat(batches).numpy()
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize("buffer_rows", [16, 60, 1000])
def test_what_is_skipped_and_read_ahead_decides_nothing(opened: StoredExpression, buffer_rows: int) -> None:
    stream = prepare_stream(opened)
    whole = drawn(stream, 7, buffer_rows)
    for skip in (0, 1, 4, 7):
        for prefetch in (True, False):
            rest = drawn(stream, 7, buffer_rows, skip=skip, prefetch=prefetch)
            assert all(torch.equal(a, b) for a, b in zip(whole[skip:], rest, strict=True))
    assert not torch.equal(whole[0], drawn(stream, 7, buffer_rows, seed=1)[0])


def test_one_generator_goes_on_the_same_after_a_skip(opened: StoredExpression) -> None:
    draw = prepare_stream(opened).shuffled(buffer_bytes=60 * 4 * N_GENES)
    once, again = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    list(draw(5, once))
    next(iter(draw(5, again, skip=4)))
    assert torch.equal(once.get_state(), again.get_state())


def test_skipped_rows_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = prepare_stream(stored_with(tmp_path, log_values(400)))
    read: list[int] = []
    original = stream.stored.read

    def count(start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        read.append(stop - start)
        return original(start, stop, out)

    monkeypatch.setattr(stream.stored, "read", count)
    drawn(stream, 10, 40, skip=9)
    assert sum(read) <= 40 + 20  # the last batch, and what is read with it


def test_rows_of_different_places_are_mixed(tmp_path: Path) -> None:
    X = log_values(4000)
    X[:, 0] = np.linspace(0, 10, 4000)
    stream = prepare_stream(stored_with(tmp_path, X))
    spread = [float(batch[:, 0].std()) for batch in drawn(stream, 40, 400)]
    assert min(spread) > 0.5  # 1 if shuffled among all, near 0 in the order of the file


def test_rows_that_fit_in_memory_come_in_the_order_of_training_in_memory(tmp_path: Path) -> None:
    X = log_values()
    stream = prepare_stream(stored_with(tmp_path, X))
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(stream.scaler.transform(X))[order[:30]]
    assert torch.equal(drawn(stream, 3, 100)[0], expected)


# Files that are wrong, or not what they seem


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "dense.h5ad", cohort())
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"c\.h5ad is not an AnnData file that can be read \(.*\); write it again"):
        prepare_stream(StoredExpression(path))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.__delitem__("X"), "has no X"),
        (lambda f: f.__delitem__("obs"), "is not an AnnData file"),
        (lambda f: f["X/indices"].__setitem__(3, 99), "a column beyond the last"),
        (lambda f: f["X/indptr"].__setitem__(3, 10**6), "its row starts do not fit"),
        (lambda f: f["X"].attrs.__setitem__("encoding-type", "csc_matrix"), r"by columns \(CSC\).*tocsr"),
        (lambda f: f["X"].attrs.__setitem__("shape", [230, 41]), "230 x 41 but obs has 230 samples and var 40 genes"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, spoil: object, message: str) -> None:
    path = write(tmp_path, "csr.h5ad", cohort())
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(ValueError, match=message) as error:
        prepare_stream(StoredExpression(path))
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,g1\n")
    with pytest.raises(ValueError, match=r"a\.csv: only \.h5ad and \.zarr can be read in blocks"):
        open_expression(tmp_path / "a.csv", stream=True)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_expression(tmp_path / "a.zarr", stream=True)
    (tmp_path / "b.h5ad").write_text("no")
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        open_expression(tmp_path / "b.h5ad", stream=True)


def test_values_that_a_sample_of_rows_does_not_show_are_found(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(9, (5000, 6)).astype(np.float32)
    for value, message in ((0.5, "'counts' values, but all rows together look like log"), (-1, "cannot be negative")):
        X = counts.copy()
        X[50, 2] = value  # between the rows that are sampled
        with pytest.raises(ValueError, match=message):
            prepare_stream(stored_with(tmp_path, X))
    X = counts.copy()
    X[50, 2] = np.inf
    with pytest.raises(ValueError, match=r"infinite values.*sample 's50', gene 'g2'"):
        prepare_stream(stored_with(tmp_path, X))


def test_genes_that_do_not_suit_a_model_are_refused(opened: StoredExpression) -> None:
    with pytest.raises(ValueError, match="0 of the model's 2 genes"):
        align_stream(opened, ["a", "b"], units="counts")
    with pytest.raises(ValueError, match="trained on 'log' values but these look like counts"):
        align_stream(opened, opened.genes, units="log")


def test_what_is_larger_than_a_share_of_memory_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "csr.h5ad", cohort())
    assert open_expression(path) is None
    monkeypatch.setattr(stored_module, "memory_of_machine", lambda: 5 * 4 * N_ROWS * N_GENES - 5)
    assert open_expression(path, stream=False) is None
    found = open_expression(path)
    assert found is not None
    assert "stays on disk" in found.notes[-1]


# Writing in blocks


@pytest.mark.parametrize("block_rows", [1, 100, 256, 1000])
def test_the_simulated_cohort_does_not_depend_on_the_block(block_rows: int) -> None:
    expected = simulate_cohort(520, 30, seed=5)
    frame, blocks = simulate_blocks(520, 30, seed=5, block_rows=block_rows)
    found = list(blocks)
    assert {len(block) for block in found[:-1]} <= {block_rows}
    np.testing.assert_array_equal(np.concatenate(found), expected.X)
    pd.testing.assert_frame_equal(frame.obs, expected.obs)


@pytest.mark.parametrize("name", ["c.h5ad", "c.zarr"])
def test_a_writing_that_fails_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"dense{Path(name).suffix}", cohort())

    def breaks() -> Iterator[np.ndarray]:
        yield cohort().X[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_expression(tmp_path / name, cohort(), breaks())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(StoredExpression(tmp_path / name).read(0, 20), cohort().X[:20])

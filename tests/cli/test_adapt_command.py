"""`oligolearn adapt`: from a labelled cohort to one of another platform."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn import load_model
from oligolearn.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., SimpleNamespace]:
    """Run the command; notes are unwrapped."""

    def call(*arguments: object) -> SimpleNamespace:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return SimpleNamespace(exit_code=end.value.code or 0, output=" ".join((said.out + said.err).split()))

    return call


def write(path: Path, X: Any, y: Any, genes: list[str]) -> Path:
    obs = pd.DataFrame({"er": y}, index=[f"{path.stem}-{i}" for i in range(len(X))])
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=genes)).write_h5ad(path)
    return path


@pytest.fixture
def cohorts(tmp_path: Path) -> tuple[Path, Path, Any]:
    """80 patients each; the target lacks 10 genes of 50, has others instead, another order and another unit."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(160) < 0.5, "pos", "neg")
    X = rng.normal(size=(160, 50)) + 6
    X[:, 5:20] += 1.5 * (y == "pos")[:, None]
    genes = [f"G{i}" for i in range(50)]
    order = rng.permutation(np.arange(10, 50))
    other = np.hstack([1.7 * X[80:, order] + rng.normal(size=40), rng.normal(size=(80, 10)) + 5])
    source = write(tmp_path / "source.h5ad", X[:80], y[:80], genes)
    target = write(tmp_path / "target.h5ad", other, y[80:], [*(genes[i] for i in order), *(f"H{i}" for i in range(10))])
    return source, target, y[80:]


@pytest.mark.parametrize("method", ["auto", "dann"])
def test_a_model_for_another_platform(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path, method: str
) -> None:
    source, target, truth = cohorts
    done = run("adapt", source, target, "--label", "er", "--method", method, "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 0, done.output
    assert "40 of the target's 50 genes are in every source (50 genes)." in done.output
    assert "The genes of each domain were standardised by themselves" in done.output
    assert "The target has 80 labels, which were not learned from" in done.output
    saved = load_model(tmp_path / "model")
    assert saved.description["adaptation"]["n_target_labelled"] == 0
    assert saved.description["overlap"] == {"n_shared": 40, "n_target": 50}
    assert run("predict", tmp_path / "model", target, "--out", tmp_path / "found.csv").exit_code == 0
    found = pd.read_csv(tmp_path / "found.csv", index_col=0)
    right = (found.prediction.to_numpy() == truth).mean()
    assert right > 0.9
    assert saved.description["metrics"]["accuracy"] == pytest.approx(right)


def test_labels_of_the_target_are_used_only_when_asked_for(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, truth = cohorts
    other = ad.read_h5ad(target)
    other.obs["er"] = np.where(truth == "pos", "neg", "pos")  # all wrong
    other.write_h5ad(tmp_path / "wrong.h5ad")
    other.obs = other.obs.drop(columns="er")
    other.write_h5ad(tmp_path / "none.h5ad")
    found = {}
    for name, options in (("wrong", []), ("none", []), ("wrong-used", ["--target-labels"])):
        file = tmp_path / f"{name.split('-')[0]}.h5ad"
        done = run("adapt", source, file, "--label", "er", "--out", tmp_path / name, "--quiet", *options)
        assert done.exit_code == 0, done.output
        assert ("were not learned from" in done.output) == (name == "wrong")
        assert run("predict", tmp_path / name, file, "--out", tmp_path / f"{name}.csv").exit_code == 0
        found[name] = pd.read_csv(tmp_path / f"{name}.csv", index_col=0)
    assert found["wrong"].equals(found["none"])
    assert (found["wrong"].prediction.to_numpy() == truth).mean() > 0.9
    assert (found["wrong-used"].prediction.to_numpy() == truth).mean() < 0.9


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("combat", "Location and scale of each gene were brought to those of the sources"),
        ("quantile", "Each gene was given the quantiles that it has in the sources"),
        pytest.param("f-cada", "Trained: a network by f-cada", marks=pytest.mark.slow),
    ],
)
def test_a_method_says_what_it_did_and_its_model_predicts(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path, method: str, said: str
) -> None:
    source, target, truth = cohorts
    half = ad.read_h5ad(target)
    half.obs["er"] = [*truth[:10], *[None] * 70]
    half.write_h5ad(tmp_path / "half.h5ad")
    options = ["--label", "er", "--method", method, "--out", tmp_path / "model", "--quiet"]
    done = run("adapt", source, tmp_path / "half.h5ad", "--target-labels", *options)
    assert done.exit_code == 0, done.output
    assert said in done.output
    assert run("predict", tmp_path / "model", target, "--out", tmp_path / "found.csv").exit_code == 0
    found = pd.read_csv(tmp_path / "found.csv", index_col=0)
    assert (found.prediction.to_numpy() == truth)[10:].mean() > 0.85
    if method == "f-cada":
        done = run("adapt", source, target, *options)
        assert done.exit_code == 2
        assert "a few labels of the target, found none: show some (on the command line, --target-labels)" in done.output


def test_a_network_pretrained_on_both_cohorts(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    options = ["--label", "er", "--epochs", 1, "--out", tmp_path / "model", "--quiet"]
    done = run("adapt", source, target, "--method", "dann", "--pretrained", "autoencoder", *options)
    assert done.exit_code == 0, done.output
    assert "Its encoder was pretrained without labels (autoencoder)." in done.output
    assert load_model(tmp_path / "model").description["adaptation"]["pretrained"] == "autoencoder"
    for method, pretrained, message in (
        ("dann", "other", "unknown objective 'other'"),
        ("auto", "swav", "--pretrained, --epochs is for networks, and --method auto trains none"),
    ):
        done = run("adapt", source, target, "--method", method, "--pretrained", pretrained, *options)
        assert done.exit_code == 2
        assert message in done.output


def aged(path: Path, X: Any, ages: Any, genes: list[str]) -> Path:
    obs = pd.DataFrame({"age": ages}, index=[f"{path.stem}-{i}" for i in range(len(X))])
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=genes)).write_h5ad(path)
    return path


@pytest.fixture
def ages(tmp_path: Path) -> tuple[Path, Path, Any]:
    """80 patients each, whose age eight genes tell; the target is on another platform, and lacks 20 ages."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=160)
    X = rng.normal(size=(160, 40)) + 6
    X[:, :8] += 1.5 * factor[:, None]
    X[80:] = 1.7 * X[80:] + rng.normal(size=40)
    truth = np.round(60 + 10 * factor, 1)
    genes = [f"G{i}" for i in range(40)]
    source = aged(tmp_path / "source.h5ad", X[:80], np.where(np.arange(80) < 5, np.nan, truth[:80]), genes)
    target = aged(tmp_path / "target.h5ad", X[80:], np.where(np.arange(80) < 20, np.nan, truth[80:]), genes)
    return source, target, truth[80:]


@pytest.mark.parametrize("method", ["auto", "coral", "quantile", "deep-coral"])
def test_a_number_is_learned_by_regression(
    run: Callable[..., SimpleNamespace], ages: tuple[Path, Path, Any], tmp_path: Path, method: str
) -> None:
    source, target, truth = ages
    done = run("adapt", source, target, "--label", "age", "--method", method, "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 0, done.output
    assert "'age' is a number: it is learned by regression." in done.output
    assert "source.h5ad: 5 samples have no 'age'." in done.output
    assert "cannot be known without values of it" in done.output
    assert "The target has 60 labels, which were not learned from: Spearman correlation 0." in done.output
    saved = load_model(tmp_path / "model")
    assert saved.description["adaptation"]["n_target_labelled"] == 0
    assert run("predict", tmp_path / "model", target, "--out", tmp_path / "found.csv").exit_code == 0
    found = pd.read_csv(tmp_path / "found.csv", index_col="sample")
    assert list(found.columns) == ["prediction"]
    assert np.corrcoef(found.prediction, truth)[0, 1] > 0.85
    told, errors = saved.description["metrics"], found.prediction.to_numpy()[20:] - truth[20:]
    assert told["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert told["r2"] == pytest.approx(1 - np.sum(errors**2) / np.sum((truth[20:] - truth[20:].mean()) ** 2))
    assert told["mean_error"] == pytest.approx(errors.mean())
    assert told["spearman"] == pytest.approx(
        pd.Series(truth[20:]).corr(found.prediction[20:].reset_index(drop=True), method="spearman")
    )


def test_known_numbers_of_the_target_are_used_only_when_asked_for(
    run: Callable[..., SimpleNamespace], ages: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, truth = ages
    other = ad.read_h5ad(target)
    other.obs["age"] = ["unknown", *(120 - truth[1:]).astype(str)]
    other.write_h5ad(tmp_path / "wrong.h5ad")
    other.obs = other.obs.drop(columns="age")
    other.write_h5ad(tmp_path / "none.h5ad")
    found = {}
    for name, options in (("wrong", []), ("none", []), ("wrong-used", ["--target-labels"])):
        file = tmp_path / f"{name.split('-')[0]}.h5ad"
        done = run("adapt", source, file, "--label", "age", "--out", tmp_path / name, "--quiet", *options)
        assert done.exit_code == 0, done.output
        assert ("1 samples whose 'age' is no number ('unknown') count as having none" in done.output) == (
            name != "none"
        )
        assert run("predict", tmp_path / name, file, "--out", tmp_path / f"{name}.csv").exit_code == 0
        found[name] = pd.read_csv(tmp_path / f"{name}.csv", index_col=0).prediction
    assert found["wrong"].equals(found["none"])
    assert np.corrcoef(found["none"], truth)[0, 1] > 0.85 > np.corrcoef(found["wrong-used"], truth)[0, 1]


def test_what_no_regression_can_do_is_refused_in_one_line(
    run: Callable[..., SimpleNamespace], ages: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = ages
    infinite = ad.read_h5ad(source)
    infinite.obs.loc[infinite.obs.index[9], "age"] = np.inf
    infinite.write_h5ad(tmp_path / "infinite.h5ad")
    for file, options, message in (
        (source, ["--method", "cada"], "method 'cada' needs classes, not values"),
        (source, ["--method", "linear,cdan"], "method 'cdan' needs classes, not values"),
        (source, ["--min-class-size", "5"], "--min-class-size is for classes, and label 'age' is a number"),
        (tmp_path / "infinite.h5ad", [], "label 'age' has 1 infinite values"),
    ):
        done = run("adapt", file, target, "--label", "age", "--out", tmp_path / "model", "--quiet", *options)
        assert done.exit_code == 2
        assert message in done.output
        assert "Traceback" not in done.output
        assert not (tmp_path / "model").exists()
    assert run("adapt", source, target, "--label", "age", "--out", tmp_path / "model", "--quiet").exit_code == 0
    for verb in (
        ("embed", tmp_path / "model", target, "--out", tmp_path / "e.h5ad"),
        ("train", target, "--label", "age", "--pretrained", tmp_path / "model", "--out", tmp_path / "other"),
    ):
        done = run(*verb)
        assert done.exit_code == 2, done.output
        assert "ridge regression" in done.output


def test_a_regression_is_chosen_and_its_network_embeds(
    run: Callable[..., SimpleNamespace], ages: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = ages
    common = ("adapt", source, target, "--label", "age", "--quiet", "--epochs", 2, "--out")
    done = run(*common, tmp_path / "chosen", "--method", "linear,dann")
    assert done.exit_code == 0, done.output
    assert "method source R2 back R2 DEV linear" in done.output
    assert "Chosen, without values of the target: " in done.output
    done = run(*common, tmp_path / "network", "--method", "dann", "--pretrained", "autoencoder")
    assert done.exit_code == 0, done.output
    assert "Its encoder was pretrained without labels (autoencoder)." in done.output
    assert run("embed", tmp_path / "network", target, "--out", tmp_path / "e.h5ad").exit_code == 0
    assert ad.read_h5ad(tmp_path / "e.h5ad").shape[0] == 80


def test_several_sources(run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path) -> None:
    source, target, _ = cohorts
    done = run("adapt", source, target, "--source", source, "--label", "er", "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "model").description["adaptation"]["source_domains"] == [0, 1]


def test_what_cannot_be_adapted_is_refused(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    strange = ad.read_h5ad(target)
    strange.var_names = [f"ENSG{i:05d}" for i in range(50)]
    strange.write_h5ad(tmp_path / "strange.h5ad")
    for file, options, message in (
        (tmp_path / "strange.h5ad", [], "0 of the target's 50 genes"),
        (target, ["--method", "other"], "unknown method 'other'"),
        (target, ["--standardize", "other"], "each, together or auto"),
        (target, ["--min-overlap", "0.9"], "at least 90% are needed"),
    ):
        done = run("adapt", source, file, "--label", "er", "--out", tmp_path / "model", "--quiet", *options)
        assert done.exit_code == 2
        assert message in done.output
        assert not (tmp_path / "model").exists()
    done = run("adapt", source, target, "--label", "missing", "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 2


def test_empty_cells_are_no_labels_and_classes_that_no_source_has_are_wrong(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, truth = cohorts
    other = ad.read_h5ad(target)
    table = other.to_df().assign(er=[*[""] * 60, *["other"] * 10, *truth[70:]])
    table.to_csv(tmp_path / "target.csv")
    done = run("adapt", source, tmp_path / "target.csv", "--label", "er", "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 0, done.output
    assert "The target has 20 labels, which were not learned from: of them 50.0% were predicted right" in done.output


def test_a_target_of_a_few_samples(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    ad.read_h5ad(target)[:6].copy().write_h5ad(tmp_path / "few.h5ad")
    done = run("adapt", source, tmp_path / "few.h5ad", "--label", "er", "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 0, done.output
    assert "nan" not in done.output
    assert load_model(tmp_path / "model").description["adaptation"]["domain_auroc"] is None


def test_options_of_networks_and_encoders_of_regressions_are_refused(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    model = tmp_path / "model"
    done = run("adapt", source, target, "--label", "er", "--epochs", 3, "--out", model, "--quiet")
    assert done.exit_code == 2
    assert "--epochs is for networks, and --method auto trains none" in done.output
    assert run("adapt", source, target, "--label", "er", "--out", model, "--quiet").exit_code == 0
    half = ad.read_h5ad(target)
    half.obs["er"] = [*half.obs["er"].astype(str)[:40], *[None] * 40]
    half.write_h5ad(tmp_path / "half.h5ad")
    for verb in (
        ("embed", model, target, "--out", tmp_path / "e.h5ad"),
        ("train", target, "--label", "er", "--pretrained", model, "--out", tmp_path / "other"),
        ("next-labels", model, tmp_path / "half.h5ad", "--n", 3, "--label", "er", "--out", tmp_path / "n.csv"),
    ):
        done = run(*verb)
        assert done.exit_code == 2, done.output
        assert "logistic regression" in done.output
        assert "Traceback" not in done.output


def test_methods_are_compared_and_one_is_chosen(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, truth = cohorts
    model = tmp_path / "model"
    common = ("adapt", source, target, "--label", "er", "--out", model, "--quiet", "--method")
    done = run(*common, "linear, coral,dann", "--epochs", 2)
    assert done.exit_code == 0, done.output
    assert "method source back mix err entropy density DEV linear" in done.output
    assert "Chosen, without labels of the target: " in done.output
    told = load_model(model).description["adaptation"]
    assert [row["method"] for row in told["selection"]] == ["linear", "coral", "dann"]
    assert [row["method"] for row in told["selection"] if row["chosen"]] == [told["method"]]
    assert run("predict", model, target, "--out", tmp_path / "found.csv").exit_code == 0
    assert (pd.read_csv(tmp_path / "found.csv", index_col=0).prediction.to_numpy() == truth).mean() > 0.9
    common = tuple(tmp_path / "other" if one == model else one for one in common)
    assert "unknown method 'danm'" in run(*common, "linear,danm").output
    assert "--epochs is for networks" in run(*common, "linear,coral", "--epochs", 2).output


def test_genes_by_their_shift(
    run: Callable[..., SimpleNamespace], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    common = ("adapt", source, target, "--label", "er", "--out", tmp_path / "model", "--quiet", "--shift-table")
    done = run(*common, tmp_path / "nowhere" / "genes.csv")
    assert done.exit_code == 2
    assert "is not a folder" in done.output
    assert not (tmp_path / "model").exists()
    done = run(*common, tmp_path / "genes.csv")
    assert done.exit_code == 0, done.output
    assert "Genes by their shift: " in done.output
    table = pd.read_csv(tmp_path / "genes.csv", index_col="gene")
    here, there = (ad.read_h5ad(file).to_df() for file in (source, target))
    assert set(table.index) == set(here.columns) & set(there.columns)
    assert np.allclose(table.mean_source, here[table.index].mean())
    assert np.allclose(table.sd_target, there[table.index].std(), rtol=1e-5)
    assert table.ks.is_monotonic_decreasing


def test_harm_and_the_mix_of_classes_are_said_in_numbers(run: Callable[..., SimpleNamespace], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.append(rng.random(120) < 0.5, rng.random(120) < 0.9)
    X = rng.normal(size=(240, 30)) + 6
    X[:, :10] += 1.2 * y[:, None]
    genes, names = [f"G{i}" for i in range(30)], np.where(y, "pos", "neg")
    source = write(tmp_path / "source.h5ad", X[:120], names[:120], genes)
    target = write(tmp_path / "target.h5ad", X[120:], names[120:], genes)
    common = ("adapt", source, target, "--label", "er", "--quiet", "--out")
    done = run(*common, tmp_path / "auto")
    assert done.exit_code == 0, done.output
    mix = load_model(tmp_path / "auto").description["adaptation"]["class_mix"]
    assert mix["target"]["pos"] == pytest.approx(0.9, abs=0.12)
    sentences = [f"The target seems to have {share:.0%} of class {name}" for name, share in mix["target"].items()]
    assert any(sentence in done.output for sentence in sentences)
    assert "to standardise each domain by itself would take this difference away" in done.output
    assert "Warning" not in done.output
    done = run(*common, tmp_path / "each", "--standardize", "each")
    assert done.exit_code == 0, done.output
    assert "Warning: linear on genes standardised in each domain by itself may do harm: at least" in done.output
    assert load_model(tmp_path / "each").description["adaptation"]["warnings"]


def test_names_that_mean_other_genes_are_refused(run: Callable[..., SimpleNamespace], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(4, 60))
    X = rng.normal(size=(160, 4)) @ loadings + rng.normal(size=(160, 60)) + 10
    y = np.where(X[:, 0] > 10, "pos", "neg")
    source = write(tmp_path / "source.h5ad", X[:80], y[:80], [f"{i}_at" for i in range(60)])
    target = write(tmp_path / "target.h5ad", X[80:, rng.permutation(60)], y[80:], [f"{i}_at" for i in range(60)])
    done = run("adapt", source, target, "--label", "er", "--out", tmp_path / "model", "--quiet")
    assert done.exit_code == 2
    assert "genes vary together in the target in no way as in the sources" in done.output
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("described", ["source", "target", "both", "none"])
def test_a_sample_sheet_may_be_of_one_file_alone(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path, described: str
) -> None:
    source, target, _ = cohorts
    files = {"source": [source], "target": [target], "both": [source, target], "none": []}[described]
    samples = [ad.read_h5ad(path).obs for path in files]
    sheet = pd.concat(samples) if samples else pd.DataFrame({"er": ["pos"]}, index=["stranger"])
    sheet.rename_axis("sample").rename(columns={"er": "receptor" if described != "target" else "er"}).to_csv(
        tmp_path / "sheet.csv"
    )
    label = "receptor" if described != "target" else "er"
    done = run(
        *("adapt", source, target, "--label", label, "--samples", tmp_path / "sheet.csv"),
        *("--method", "linear", "--out", tmp_path / "model", "--quiet"),
    )
    if described == "none":
        assert done.exit_code == 2
        assert "no sample id of the data file occurs in the sheet" in done.output
        return
    assert done.exit_code == 0, done.output
    for path in (source, target):
        how_many = "80 of 80" if path in files else "none of the"
        assert f"{path.name}: The sample sheet sheet.csv describes {how_many} samples" in done.output


def test_whole_numbers_are_the_same_classes_where_some_are_missing(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    """A column of 0, 1 and empty cells is one of floats: 1.0 is the class 1."""
    source, target, _ = cohorts
    for path in (source, target):
        adata = ad.read_h5ad(path)
        adata.obs["er"] = (adata.obs["er"] == "pos").astype(float)
        if path == target:
            adata.obs.iloc[:3, adata.obs.columns.get_loc("er")] = np.nan
        adata.write_h5ad(path)
    done = run("adapt", source, target, "--label", "er", "--method", "linear", "--out", tmp_path / "m", "--quiet")
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "m").description["metrics"]["accuracy"] > 0.9
    shown = run(
        *("adapt", source, target, "--label", "er", "--method", "linear", "--target-labels"),
        *("--out", tmp_path / "n", "--quiet"),
    )
    assert shown.exit_code == 0, shown.output
    assert load_model(tmp_path / "n").description["classes"] == ["0", "1"]


def test_a_method_that_learns_no_labels_of_the_target_refuses_them(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    done = run(
        *("adapt", *cohorts[:2], "--label", "er", "--method", "cada", "--target-labels"),
        *("--out", tmp_path / "m", "--quiet"),
    )
    assert done.exit_code == 2
    assert "cada learns nothing from labels of the target; choose f-cada" in done.output


def test_sources_of_one_class_each_are_two_classes(
    run: Callable[..., Any], cohorts: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, target, _ = cohorts
    whole = ad.read_h5ad(source)
    files = []
    for name in ("pos", "neg"):
        files.append(tmp_path / f"{name}.h5ad")
        whole[whole.obs["er"] == name].copy().write_h5ad(files[-1])
    done = run(
        *("adapt", files[0], target, "--source", files[1], "--label", "er", "--method", "linear"),
        *("--standardize", "together", "--out", tmp_path / "m", "--quiet"),
    )
    assert done.exit_code == 0, done.output
    assert "pos.h5ad has the class 'pos' alone: standardised by itself" in done.output

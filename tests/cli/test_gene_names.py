"""Files that name their genes differently, as a user meets them: adapt, predict, train and pretrain on others."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn import load_model, read_expression
from oligolearn.cli import main
from oligolearn.study.planning import plan_study

SYMBOLS = [f"GEN{i}" for i in range(40)]
ENSEMBL = [f"ENSG{i:011d}" for i in range(40)]
FAST = ["--epochs", 2, "--layers", "16", "--quiet", "--device", "cpu"]


def run(*arguments: object) -> SimpleNamespace:
    """Run the command; notes are unwrapped."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return SimpleNamespace(exit_code=end.value.code or 0, output=" ".join(said.getvalue().split()))


def write(path: Path, X: np.ndarray, genes: list[str], y: np.ndarray | None = None) -> Path:
    obs = pd.DataFrame(index=[f"{path.stem}x-{i}" for i in range(len(X))])
    if y is not None:
        obs["er"] = y
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=genes)).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A labelled source with symbols, and the same target by probes, by Ensembl genes and by hand with symbols.

    Genes have one to three probes, probe 0 belongs to two genes in one row of the map, probe 1 to two in two rows.
    """
    tmp_path = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    y = np.where(rng.random(120) < 0.5, "pos", "neg")
    genes = rng.normal(size=(120, 40))
    genes[:, 5:20] += 1.5 * (y == "pos")[:, None]
    owners = [0, 1, *[i for i in range(40) for _ in range(1 + i % 3)]]
    probes = [f"{200000 + i}_{'s_at' if i % 4 else 'at'}" for i in range(len(owners))]
    level, strength = rng.uniform(6, 9, len(owners)), rng.uniform(0.3, 1, len(owners))
    measured = (level + strength * genes[60:, owners] + 0.5 * rng.normal(size=(60, len(owners)))).astype(np.float32)
    rows = [f"{probe},{SYMBOLS[gene]},{ENSEMBL[gene]}" for probe, gene in zip(probes, owners, strict=True)]
    rows[0] = f"{probes[0]},{SYMBOLS[0]} /// {SYMBOLS[7]},{ENSEMBL[0]} /// {ENSEMBL[7]}"
    rows.append(f"{probes[1]},{SYMBOLS[8]},{ENSEMBL[8]}")
    table = tmp_path / "chip.csv"
    table.write_text("\n".join(["probe,symbol,ensembl", *rng.permutation(rows)]) + "\n")
    best = [
        max((i for i in range(2, len(owners)) if owners[i] == gene), key=lambda i: measured[:, i].mean())
        for gene in range(40)
    ]
    order = rng.permutation(len(owners))
    return SimpleNamespace(
        source=write(tmp_path / "source.h5ad", genes[:60] + 6, SYMBOLS, y[:60]),
        probes=write(tmp_path / "target.h5ad", measured[:, order], [probes[i] for i in order]),
        by_hand=write(tmp_path / "by_hand.h5ad", measured[:, best], SYMBOLS),
        ensembl=write(tmp_path / "ensembl.h5ad", measured[:, best], [f"{name}.{i}" for i, name in enumerate(ENSEMBL)]),
        later=write(tmp_path / "later.h5ad", measured[:, best], [f"{name}.{i + 3}" for i, name in enumerate(ENSEMBL)]),
        map=table,
        truth=y[60:],
    )


@pytest.fixture(scope="module")
def made(files: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two models of the same: the target by probes and a map, and the target whose symbols were found by hand."""
    folder = tmp_path_factory.mktemp("models")
    through_map, by_hand = folder / "map", folder / "hand"
    adapt = ("adapt", files.source, files.probes, "--label", "er", "--gene-map", files.map, "--out", through_map)
    done = run(*adapt, "--quiet")
    assert done.exit_code == 0, done.output
    assert run("adapt", files.source, files.by_hand, "--label", "er", "--out", by_hand, "--quiet").exit_code == 0
    return SimpleNamespace(through_map=through_map, by_hand=by_hand, said=done.output, folder=folder)


def predicted(model: Path, file: Path, *options: object) -> pd.DataFrame:
    out = model.with_name(f"{model.name}-{file.stem}.csv")
    done = run("predict", model, file, "--out", out, *options)
    assert done.exit_code == 0, done.output
    return pd.read_csv(out, index_col=0).reset_index(drop=True)


def test_a_source_with_symbols_for_a_target_by_probes(files, made):
    assert "Genes of target.h5ad are named by Affymetrix probes" in made.said
    assert "2 of them stand for several genes and are left out" in made.said
    assert "represented by the column with the highest mean" in made.said
    assert "40 of the target's 40 genes are in every source (40 genes)." in made.said
    assert load_model(made.through_map).description["features"] == SYMBOLS
    expected = predicted(made.by_hand, files.by_hand)
    pd.testing.assert_frame_equal(predicted(made.through_map, files.probes), expected)
    assert (expected.prediction.to_numpy() == files.truth).mean() > 0.8


def test_the_probes_of_training_are_those_of_prediction(files, made, tmp_path):
    """In three samples other probes have the highest mean: those of training are taken, and no map is asked for."""
    model = made.through_map
    assert len(load_model(model).description["measured_by"]) == 40
    expected = predicted(model, files.probes)
    few = ad.read_h5ad(files.probes)[:3, ::-1].copy()
    few.write_h5ad(tmp_path / "few.h5ad")
    for options in ((), ("--gene-map", files.map), ("--stream",)):
        pd.testing.assert_frame_equal(predicted(model, tmp_path / "few.h5ad", *options), expected[:3])
    assert predicted(model, files.by_hand).equals(expected), "the names of the source are those of the model"


@pytest.mark.parametrize("rule", ["mean", "max-variance"])
def test_other_rules_hold_at_prediction_too(files, tmp_path, rule):
    model = tmp_path / "model"
    asked = ["--gene-map", files.map, "--probes", rule]
    done = run("adapt", files.source, files.probes, "--label", "er", "--out", model, "--quiet", *asked)
    assert done.exit_code == 0, done.output
    expected = predicted(model, files.probes)
    ad.read_h5ad(files.probes)[:2].copy().write_h5ad(tmp_path / "few.h5ad")
    pd.testing.assert_frame_equal(predicted(model, tmp_path / "few.h5ad"), expected[:2])
    taken = load_model(model).description["measured_by"].values()
    assert sum(map(len, taken)) == (79 if rule == "mean" else 40)


def test_ensembl_genes_of_another_release(files, made, tmp_path):
    model = tmp_path / "model"
    done = run(
        "adapt", files.source, files.ensembl, "--label", "er", "--gene-map", files.map, "--out", model, "--quiet"
    )
    assert done.exit_code == 0, done.output
    assert "named by Ensembl genes with versions" in done.output
    expected = predicted(model, files.ensembl)
    assert predicted(model, files.later).equals(expected)
    assert predicted(made.by_hand, files.by_hand).equals(expected)
    assert predicted(made.by_hand, files.later, "--gene-map", files.map).equals(expected)


def test_a_source_by_probes_for_a_target_with_symbols(files, tmp_path):
    """The source's own rows say which of its probes count, and a second source of the same chip follows them."""
    labelled = ad.read_h5ad(files.probes)
    labelled.obs["er"] = files.truth
    labelled.write_h5ad(tmp_path / "chip.h5ad")
    labelled = ad.read_h5ad(files.by_hand)
    labelled.obs["er"] = files.truth
    labelled.write_h5ad(tmp_path / "hand.h5ad")
    target, few = files.source, ad.read_h5ad(tmp_path / "chip.h5ad")[:20].copy()
    few.obs_names = [f"few-{i}" for i in range(20)]
    few.write_h5ad(tmp_path / "few.h5ad")
    few = ad.read_h5ad(tmp_path / "hand.h5ad")[:20].copy()
    few.write_h5ad(tmp_path / "few_hand.h5ad")
    made = []
    for source, second in (("chip", "few"), ("hand", "few_hand")):
        asked = ["--gene-map", files.map, "--source", tmp_path / f"{second}.h5ad"]
        out = tmp_path / f"model-{source}"
        done = run("adapt", tmp_path / f"{source}.h5ad", target, "--label", "er", "--out", out, "--quiet", *asked)
        assert done.exit_code == 0, done.output
        made.append(predicted(out, target))
    pd.testing.assert_frame_equal(made[0], made[1])


def test_without_a_map_the_kinds_are_named_and_a_map_is_asked_for(files, made, tmp_path):
    refused = run("adapt", files.source, files.probes, "--label", "er", "--out", tmp_path / "m", "--quiet")
    assert refused.exit_code == 2
    for said in ("0 of the target's 81 genes", "Affymetrix probes (such as '20", "symbols (such as 'GEN", "--gene-map"):
        assert said in refused.output
    refused = run("predict", made.by_hand, files.later, "--out", tmp_path / "p.csv")
    assert refused.exit_code == 2
    for said in ("0 of the model's 40 genes", "Ensembl genes with versions", "symbols (such as 'GEN0')", "--gene-map"):
        assert said in refused.output
    assert not (tmp_path / "p.csv").exists()


def test_the_map_of_another_chip_is_refused(files, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("probe,symbol\n" + "".join(f"{i}_at,GEN{i}\n" for i in range(40)))
    arguments = ("adapt", files.source, files.probes, "--label", "er", "--out", tmp_path / "m", "--quiet")
    refused = run(*arguments, "--gene-map", other)
    assert refused.exit_code == 2
    assert "target.h5ad: other.csv: none of its columns holds Affymetrix probes" in refused.output
    other.write_text("probe,symbol\n" + "".join(f"{200000 + i}_at,GEN{i}\n" for i in range(0, 40, 10)))
    refused = run(*arguments, "--gene-map", other)
    assert refused.exit_code == 2
    assert "are in it: check that it is their table" in refused.output
    assert not (tmp_path / "m").exists()
    for path, message in ((tmp_path / "none.csv", "does not exist"), (files.source, "binary data")):
        refused = run(*arguments, "--gene-map", path)
        assert refused.exit_code == 2
        assert message in refused.output
    refused = run(*arguments, "--gene-map", files.map, "--probes", "median")
    assert refused.exit_code == 2
    assert "found 'median'" in refused.output


def test_new_probes_are_averaged_so_that_no_sample_depends_on_others(files, made, tmp_path):
    model = made.by_hand
    whole = predicted(model, files.probes, "--gene-map", files.map)
    ad.read_h5ad(files.probes)[:3].copy().write_h5ad(tmp_path / "few.h5ad")
    few = predicted(model, tmp_path / "few.h5ad", "--gene-map", files.map)
    pd.testing.assert_frame_equal(few, whole[:3])
    best = predicted(model, files.probes, "--gene-map", files.map, "--probes", "max-mean")
    assert best.equals(predicted(model, files.by_hand))
    assert not best.equals(whole)
    refused = run(
        "predict", model, files.probes, "--gene-map", files.map, "--stream", "--out", tmp_path / "streamed.csv"
    )
    assert refused.exit_code == 2
    assert "several columns measure each of" in refused.output
    assert "--no-stream" in refused.output


def test_an_encoder_for_symbols_is_trained_on_by_probes(files, tmp_path):
    """The classifier remembers the probes: predictions need no map."""
    encoder, model = tmp_path / "encoder", tmp_path / "model"
    assert run("pretrain", files.source, "--method", "simclr", "--out", encoder, *FAST).exit_code == 0
    labelled = ad.read_h5ad(files.probes)
    labelled.obs["er"] = files.truth
    labelled.write_h5ad(tmp_path / "chip.h5ad")
    train = ("train", tmp_path / "chip.h5ad", "--label", "er", "--out", model, "--folds", 0, *FAST)
    done = run(*train, "--pretrained", encoder, "--gene-map", files.map)
    assert done.exit_code == 0, done.output
    assert predicted(model, files.probes).equals(predicted(model, files.by_hand))
    refused = run(*train, "--gene-map", files.map)
    assert refused.exit_code == 2
    assert "--gene-map is for the names of the genes of another model: it needs --pretrained" in refused.output


def test_other_cohorts_by_probes_are_borrowed_from(files, tmp_path):
    """Through `pretrain` and through a study's plan, the rows are those that were translated by hand."""
    prints = {}
    for name, other, asked in (("map", files.probes, ["--gene-map", files.map]), ("hand", files.by_hand, [])):
        pretrain = ("pretrain", files.source, "--pretrain-on", other, "--method", "simclr", "--out", tmp_path / name)
        done = run(*pretrain, *FAST, *asked)
        assert done.exit_code == 0, done.output
        assert "100% of the 40 genes" in done.output
        prints[name] = load_model(tmp_path / name).description["pretrained_on"]["cohorts"][0]["fingerprint"]
    assert prints["map"] == prints["hand"]
    own = read_expression(files.source)
    settings = {"methods": ("simclr",), "repeats": 1, "fractions": (1.0,), "pretrain_on": (files.probes,)}
    study = plan_study(own, "er", {**settings, "gene_map": files.map})
    assert study.borrowed is not None
    assert study.borrowed.facts[0]["fingerprint"] == prints["hand"]
    with pytest.raises(ValueError, match=r"target.h5ad: 0 of the 40 genes .*Affymetrix probes.*--gene-map FILE"):
        plan_study(own, "er", settings)
    with pytest.raises(ValueError, match="it needs --pretrain-on"):
        plan_study(own, "er", {**settings, "pretrain_on": (), "gene_map": files.map})
    refused = run("pretrain", files.source, "--gene-map", files.map, "--out", tmp_path / "none")
    assert refused.exit_code == 2
    assert "it needs --pretrain-on" in refused.output


def test_symbols_serve_an_encoder_of_probes(files, tmp_path):
    """A gene of the other cohort stands for all its probes in one's own."""
    done = run(
        "pretrain", files.probes, "--pretrain-on", files.source, "--gene-map", files.map, "--method", "simclr",
        "--out", tmp_path / "m", *FAST,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "98% of the 81 genes are in it" in done.output

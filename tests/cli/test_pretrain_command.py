"""`oligolearn pretrain`: what it says of quality, probes and other cohorts."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main
from oligolearn.cli.printing import live_words

FAST = ["--epochs", "2", "--layers", "16,8", "--device", "cpu", "--quiet"]
GENES = [f"g{i}" for i in range(30)]


def run(*arguments: object) -> object:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def write(path: Path, n: int, seed: int, prefix: str, genes: list[str] = GENES) -> Path:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = (rng.normal(8, 1, (n, 30)) + 3 * np.sin(y[:, None] + np.arange(30))).astype(np.float32)[:, : len(genes)]
    kind = np.array(["a", "b", "c"], dtype=object)[y]
    kind[::4] = None
    obs = pd.DataFrame(
        {"kind": kind, "patient": [f"{prefix}{i // 2}x" for i in range(n)]}, index=[f"{prefix}-{i}" for i in range(n)]
    )
    ad.AnnData(X, obs=obs, var=pd.DataFrame(index=genes)).write_h5ad(path)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write(tmp_path / "own.h5ad", 60, 0, "TCGA")


def description(model: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((model / "model.json").read_text())
    return found


def test_quality_without_labels_is_printed_and_kept(own: Path, tmp_path: Path, capsys) -> None:
    assert run("pretrain", own, "--out", tmp_path / "m", *FAST) == 0
    printed = capsys.readouterr().out
    assert "swav: n_prototypes 15, queue_length 0" in printed
    assert "60 samples" in printed
    assert all(name in printed for name in ("RankMe", "alpha-ReQ", "neighbourhood stability"))
    kept = description(tmp_path / "m")
    quality = kept["pretraining"]["quality"]  # type: ignore[index]
    assert {"rank_me", "alpha_req", "neighbour_stability", "effective_rank", "prototypes_in_use"} <= set(quality)
    assert f"RankMe {quality['rank_me']:.4g}" in printed
    assert "probes" not in kept


def test_labels_choose_clusters_and_are_probed_next_to_the_raw_data(own: Path, tmp_path: Path, capsys) -> None:
    assert run("pretrain", own, "--label", "kind", "--group", "patient", "--out", tmp_path / "m", *FAST) == 0
    printed = capsys.readouterr().out
    assert "9 clusters for 3 classes of 'kind'." in printed
    assert "linear probe:" in printed
    assert "on the principal components" in printed
    probes = description(tmp_path / "m")["probes"]
    assert probes["n_labelled"] == 45  # type: ignore[index]
    scores = probes["balanced_accuracy"]["linear probe"]  # type: ignore[index]
    assert scores["principal components"]["mean"] > 0.8
    assert f"{scores['embedding']['mean']:.3f}" in printed


def test_a_number_of_prototypes_that_is_asked_for_is_taken(own: Path, tmp_path: Path, capsys) -> None:
    assert run("pretrain", own, "--label", "kind", "--prototypes", "5", "--out", tmp_path / "m", *FAST) == 0
    assert "n_prototypes 5" in capsys.readouterr().out


def test_other_cohorts_are_named_with_what_was_found_of_them(own: Path, tmp_path: Path, capsys) -> None:
    others = [write(tmp_path / f"o{i}.h5ad", 40, i, f"GSM{i}", GENES[:25]) for i in (1, 2)]
    arguments = [part for other in others for part in ("--pretrain-on", other)]
    assert run("pretrain", own, *arguments, "--out", tmp_path / "m", *FAST) == 0
    printed = capsys.readouterr().out
    assert "40 samples of o1.h5ad: 83% of the 30 genes" in printed
    assert "standardised by itself" in printed
    assert "140 samples in batches" in printed
    kept = description(tmp_path / "m")
    borrowed = kept["pretrained_on"]
    assert [one["file"] for one in borrowed["cohorts"]] == ["o1.h5ad", "o2.h5ad"]  # type: ignore[index]
    assert borrowed["standardize"] == "each"  # type: ignore[index]
    assert kept["features"] == GENES
    assert run("predict", tmp_path / "m", own, "--out", tmp_path / "p.csv") == 2, "an encoder has no classes"
    assert run("embed", tmp_path / "m", own, "--out", tmp_path / "e.h5ad") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "nothing"], "nothing"),
        (["--group", "patient"], "--label"),
        (["--pretrain-on", "{few}"], "10 of the 30 genes"),
        (["--pretrain-on", "{gone}"], "gone.h5ad"),
        (["--pretrain-on", "{own}"], "name of one of your samples"),
        (["--pretrain-on", "{few}", "--min-overlap", "2"], "min_overlap"),
        (["--pretrain-on", "{few}", "--standardize", "both"], "each, together"),
        (["--label", "kind", "--stream"], "--no-stream"),
        (["--method", "simclr", "--prototypes", "5"], "SimCLR has no setting n_prototypes; it has temperature"),
        (["--view", "blur"], "unknown view 'blur'; choose one of masking"),
        (["--view", "gone.gmt"], "gone.gmt does not exist"),
        (["--view", "gene-sets"], "write the path of a .gmt file"),
        (["--view", "masking+noise", "--view-strength", "0.2"], "write each with its own"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, own: Path, tmp_path: Path, capsys) -> None:
    few = write(tmp_path / "few.h5ad", 40, 1, "GSM", GENES[:10])
    filled = [word.format(few=few, own=own, gone=tmp_path / "gone.h5ad") for word in arguments]
    assert run("pretrain", own, *filled, "--out", tmp_path / "m", *FAST) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("method", "options", "view", "settings"),
    [
        ("simclr", [], "masked-mixup", {}),
        ("simclr", ["--view", "mixup", "--view-strength", "0.25"], "mixup", {"lowest": 0.75}),
        ("simclr", ["--mask-share", "0.3"], "masked-mixup", {"share": 0.3}),
        ("simclr", ["--view", "noise", "--view-strength", "0.2"], "noise", {"scale": 0.2}),
        ("simclr", ["--view", "masking:0.3+noise:0.1"], "masking:0.3+noise:0.1", {}),
        ("masked-genes", ["--mask-share", "0.3"], "masking", {"share": 0.3, "per": "row", "fill": "zero"}),
    ],
)
def test_the_view_is_the_methods_own_unless_asked_for(
    own: Path, tmp_path: Path, method: str, options: list[str], view: str, settings: dict[str, object]
) -> None:
    assert run("pretrain", own, "--method", method, *options, "--out", tmp_path / "m", *FAST) == 0
    kept = json.loads((tmp_path / "m" / "model.json").read_text())["pretraining"]
    assert (kept["view"], kept["view_options"]) == (view, settings)


def test_gene_sets_of_a_file_are_a_view(own: Path, tmp_path: Path) -> None:
    sets = tmp_path / "sets.gmt"
    sets.write_text("first\tnone\tg0\tg1\tg2\nlast\tnone\tg28\tg29\tother\n")
    weights = []
    for name, view in (("sets", str(sets)), ("again", f"{sets}:0.5"), ("single", "masking")):
        assert run("pretrain", own, "--method", "simclr", "--view", view, "--out", tmp_path / name, *FAST) == 0
        assert description(tmp_path / name)["pretraining"]["view"] == view  # type: ignore[index]
        weights.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_a_collapse_is_seen_while_it_trains_and_named_with_its_fix(own: Path, tmp_path: Path, capsys) -> None:
    assert run("pretrain", own, "--mask-share", "1", "--out", tmp_path / "m", *FAST, "--epochs", "60") == 0
    assert "Warning: collapse: " in capsys.readouterr().out
    words = live_words(1.0, {"effective_rank": 1.3, "plateau": 2.0})
    assert words == "loss 1.000 (plateau 2.000), rank 1.3: collapsed?"
    assert "collapsed" not in live_words(1.0, {"effective_rank": 5.0, "plateau": 2.0})

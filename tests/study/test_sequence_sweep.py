"""A sweep over settings of networks on sequences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from oligolearn.data import encode_sequences
from oligolearn.study import sweep_sequences
from oligolearn.study.design import redraw_repeat
from oligolearn.study.sequence_planning import plan_sequence_study
from oligolearn.study.sequence_settings import sequence_settings_of, with_values
from oligolearn.study.sequence_sweeping import read_sequence_vary

SMALL = {"encoder": "motif-cnn", "encoder_options": {"n_filters": 4, "width": 6}}
QUICK = {"training": {"epochs": 1, "min_steps": 3}, "encoder": SMALL, "progress": False, "fractions": (0.5,)}


def draw(n=80, length=20):
    texts = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (n, length))]
    sequences = encode_sequences([text[:6] + "TGACGT" + text[12:] if i % 2 else text for i, text in enumerate(texts)])
    return replace(sequences, obs=sequences.obs.assign(y=np.array(["free", "bound"])[np.arange(n) % 2]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    vary = ["filters=2,4", "learning_rate=0.01,0.001"]
    return sweep_sequences(draw(), "y", out=folder, vary=vary, repeats=2, workers=1, **QUICK)


def test_every_pair_of_values_is_trained_and_compared_with_the_default(finished):
    results = finished.results
    assert len(results) == 2 * 4
    assert set(zip(results.n_filters, results.learning_rate, strict=True)) == {
        (2, 0.01),
        (2, 0.001),
        (4, 0.01),
        (4, 0.001),
    }
    assert {tuple(row) for row in results.loc[results.default, ["n_filters", "learning_rate"]].to_numpy()} == {
        (4, 0.001)
    }
    assert {row["baseline"] for row in finished.summary["comparisons"]} == {"n_filters=4, learning_rate=0.001"}
    assert "filters" in (finished.folder / "report.html").read_text()


def test_the_number_of_workers_and_a_stop_change_nothing(finished, tmp_path):
    runs = (finished.folder / "runs.jsonl").read_text().splitlines(keepends=True)
    settings = {**QUICK, "vary": {"filters": [2, 4], "learning_rate": [0.01, 0.001]}, "repeats": 2}
    again = sweep_sequences(draw(), "y", out=tmp_path, workers=2, **settings)
    (tmp_path / "runs.jsonl").write_text("".join(runs[:3]))
    again = sweep_sequences(draw(), "y", out=tmp_path, workers=1, **settings)
    columns = [name for name in finished.results if name != "seconds"]
    pd.testing.assert_frame_equal(finished.results[columns], again.results[columns], check_exact=True)


def test_choices_are_judged_on_validation_sequences_and_no_repeat_has_a_test_sequence(finished):
    plan = plan_sequence_study(draw(), "y", {"fractions": (0.5,), "repeats": 3, "split": "fixed"})
    test = plan.design.draw(plan.labels.codes, None, 0).split.test
    for repeat in range(3):
        split = redraw_repeat(plan.design, plan.labels.codes, None, repeat).split
        assert not set(np.concatenate([split.train, split.validation, split.pretrain])) & set(test)
    assert finished.summary["design"]["n_validation"] == len(
        redraw_repeat(plan.design, plan.labels.codes, None, 0).split.validation
    )


def test_another_encoder_starts_from_its_own_settings():
    default = {"encoder": "motif-cnn", "encoder_options": {"width": 15}, "both_strands": False}
    settings = with_values({"encoder": "residual-cnn", "pooling": "mean"}, default)
    assert settings["encoder_options"] == {"pooling": "mean"}
    assert with_values({"both_strands": "True"}, default)["both_strands"] is True
    scales = with_values({"widths": "3,5"}, {**default, "encoder": "multi-scale-cnn"})
    assert scales["encoder_options"]["widths"] == [3, 5]


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        (["colour=red,blue"], "motif-cnn has no setting 'colour'; it has encoder"),
        (["filtres=2,3"], "did you mean n_filters"),
        (["filters=2,2"], "names a value twice"),
        (["filters=0,2"], "n_filters must be at least 1"),
        (["pooling=top"], "pooling must be one of max"),
        (["encoder=motif-cnn,recurrent", "width=3,4"], "recurrent has no setting 'width'"),
        (["width=1", "filters=2", "hidden=3"], "one or two settings"),
    ],
)
def test_values_that_cannot_be_used_are_one_line(vary, said):
    with pytest.raises(ValueError, match=said):
        read_sequence_vary(vary, "motif-cnn")


def test_what_an_encoder_refuses_is_refused_before_training(tmp_path):
    settings = {**QUICK, "encoder": {"encoder": "transformer", "encoder_options": None}}
    with pytest.raises(ValueError, match="n_channels must be a multiple"):
        sweep_sequences(draw(), "y", out=tmp_path / "x", vary=["n_heads=3"], workers=1, **settings)
    assert not (tmp_path / "x").exists()


def test_settings_follow_from_the_signature_of_the_encoder():
    assert sequence_settings_of("recurrent")["cell"].choices == ("rnn", "gru", "lstm")
    assert sequence_settings_of("residual-cnn")["dilations"].kind is str
    assert "length" not in sequence_settings_of("motif-cnn")

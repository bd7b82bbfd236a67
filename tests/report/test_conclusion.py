"""The conclusion tells the truth, whichever way a study turns out."""

import pytest

from oligolearn.report import conclude, fragment, write_report


def rewrite(summary, differences, *, p_holm, p_corrected=None, pair=("swav", "scratch")):
    """Keep one comparison only, with the given differences and p values by number of labels."""
    rows = [row for row in summary["comparisons"] if (row["method"], row["baseline"]) == pair]
    for i, row in enumerate(rows):
        row["difference"], row["low"], row["high"] = differences[i], differences[i] - 0.02, differences[i] + 0.02
        row["p_holm"] = p_holm[i]
        row["p_corrected"] = p_holm[i] if p_corrected is None else p_corrected[i]
    summary["comparisons"] = rows
    return rows


def only(summary, words):
    """The one sentence that contains `words`."""
    (found,) = [text for text in conclude(summary) if words in text]
    return found


def test_gain_while_labels_are_few(summary):
    rewrite(summary, [0.081, 0.05, 0.03, 0.02, 0.001, 0.0, 0.0], p_holm=[0.0004, 0.001, 0.01, 0.04, 0.8, 1.0, 1.0])
    assert conclude(summary)[0] == (
        "SwAV pretraining raises accuracy by 8.1 points with 22 labels (95% CI 6.1 to 10.1, p = 0.0004) and still by "
        "2.0 points with 218 labels (95% CI 0.0 to 4.0, p = 0.040), and makes no detectable difference with 650 labels "
        "or more, compared with the MLP from scratch."
    )


def test_harm_is_called_harm_with_a_positive_size(summary):
    rewrite(summary, [-0.03] + [0.001] * 6, p_holm=[0.002] + [0.9] * 6)
    text = only(summary, "lowers")
    assert "SwAV pretraining lowers accuracy by 3.0 points with 22 labels (95% CI 1.0 to 5.0, p = 0.002)" in text
    assert "raises" not in " ".join(conclude(summary))


def test_no_difference_gives_the_largest_and_its_interval(summary):
    rewrite(summary, [0.012, 0.0, -0.004, 0.0, 0.001, 0.0, 0.0], p_holm=[0.21] * 7)
    text = conclude(summary)[0]
    assert "makes no detectable difference to accuracy at any number of labels tried (22 to 2,186)" in text
    assert "with 22 labels, +1.2 points (95% CI −0.8 to 3.2, p = 0.21)" in text
    assert not any("saved" in sentence for sentence in conclude(summary))


def test_mixed_pattern_lists_both_directions(summary):
    rewrite(summary, [0.08, -0.03, 0.04, -0.02, 0.0, 0.0, 0.01], p_holm=[0.001, 0.01, 0.02, 0.03, 1, 1, 0.5])
    text = conclude(summary)[0]
    assert "mixed picture" in text
    assert "raises accuracy with 22 and 109 labels (most with 22: 8.0 points" in text
    assert "lowers accuracy with 44 and 218 labels (most with 44: 3.0 points" in text
    assert "and there is no detectable difference with 650, 1,093 and 2,186 labels" in text
    rows = rewrite(summary, [0.08, -0.03, 0.04, -0.02] + [0.02] * 3, p_holm=[0.001, 0.01, 0.02, 0.03] + [None] * 3)
    assert len(rows) == 7
    text = conclude(summary)[0]
    assert "and nothing can be tested with 650, 1,093 and 2,186 labels" in text
    assert "no detectable difference" not in text


def test_significant_alone_but_not_after_holm_is_only_a_hint(summary):
    rewrite(summary, [0.02] * 7, p_holm=[0.21] + [1.0] * 6, p_corrected=[0.03] + [0.4] * 6)
    text = only(summary, "Holm's correction")
    assert text.startswith("A hint, not a finding")
    assert "p = 0.030 alone, p = 0.21 adjusted" in text
    assert "raises" not in " ".join(conclude(summary))


def test_one_repeat_cannot_be_tested(build):
    summary = build(repeats=1)
    for row in summary["comparisons"]:
        row.update(low=None, high=None, p_student=None, p_corrected=None, p_holm=None, note="only one repeat")
    for row in summary["curves"]:
        for score in row["metrics"].values():
            score.update(sd=None, low=None, high=None)
    text = " ".join(conclude(summary))
    assert "cannot be tested: there is only one repeat" in text
    assert not any(word in text for word in ("raises", "lowers", "95% CI", "p =", "None", "nan"))


@pytest.mark.parametrize("p_holm", [1e-6, 0.9])
def test_shuffled_labels_allow_no_claim_even_with_small_p(summary, p_holm):
    summary["learned"]["any"] = False
    for row in summary["learned"]["rows"]:
        row.update(balanced_accuracy=0.12, chance=1 / 9, p=0.4)
    for row in summary["comparisons"]:
        row.update(p_holm=p_holm, p_corrected=p_holm)
    text = " ".join(conclude(summary))
    assert "Nothing was learned" in text
    assert "no better than chance" in text
    assert "12.0%" in text
    assert "11.1%" in text
    assert not any(word in text for word in ("raises", "lowers", "highest mean accuracy", "saved", "wins"))


def test_chance_is_not_mentioned_when_something_was_learned(summary):
    text = " ".join(conclude(summary)).lower()
    assert "chance" not in text
    assert "nothing was" not in text


def test_methods_not_shown_to_learn_are_named(summary):
    for row in summary["learned"]["rows"]:
        if row["method"] == "untrained" and row["fraction"] < 0.02:
            row["p"] = 0.3
    assert (
        only(summary, "Not shown to beat guessing")
        == "Not shown to beat guessing: the untrained encoder with 22 labels."
    )


def test_a_simple_baseline_that_wins_is_named_plainly(summary):
    for row in summary["curves"]:
        if row["method"] == "logistic":
            row["metrics"]["accuracy"] = {"mean": 0.995, "sd": 0.001, "low": 0.99, "high": 1.0}
    rest = "logistic regression has the highest mean accuracy at both ends"
    assert only(summary, "highest mean accuracy").startswith(f"No method beats a simple baseline: {rest}")
    for row in summary["comparisons"]:  # now every lead is a finding
        row.update(baseline="logistic", difference=-0.1, low=-0.12, high=-0.08, p_corrected=0.001, p_holm=0.001)
    summary["curves"] = [row for row in summary["curves"] if row["method"] in ("swav", "logistic")]
    text = only(summary, "highest mean accuracy")
    assert text.startswith("A simple baseline wins: logistic regression has the highest mean accuracy at both ends")


def test_best_at_each_end_and_whether_the_lead_is_real(summary):
    first, last = [text for text in conclude(summary) if "highest mean accuracy" in text]
    assert first.startswith("With 22 labels, SwAV pretraining")
    assert "5.5 points ahead of logistic regression" in first
    assert "not a detectable lead" in last


def test_a_mean_over_fewer_repeats_is_in_no_ranking(summary, tmp_path):
    """A method that fails where it is hard would else have the highest mean, and yet lower accuracy in pairs."""
    for row in summary["curves"]:
        if row["method"] == "scratch":
            row["n_runs"] -= 3
            row["metrics"]["accuracy"] = {"mean": 0.999, "sd": 0.001, "low": 0.99, "high": 1.0}
    summary["failures"] = [{"method": "scratch", "fraction": 0.01, "repeat": r, "reason": "diverged"} for r in range(3)]
    said = " ".join(conclude(summary))
    assert "MLP from scratch has the highest" not in said
    assert "methods with fewer runs than others from every ranking" in said
    page = write_report(summary, tmp_path / "report.html").read_text()
    assert "highest mean accuracy: MLP from scratch" not in page
    assert "99.9%" in page


def test_labels_saved_with_and_without_an_end(summary):
    assert "about 68 labels saved (95% CI 48 to 101)" in only(summary, "saved")
    for entry in summary["labels_saved"]:
        entry.update(saved=None, low=None, high=None, note="the baseline never reaches it: more than 2,000 saved")
    assert "never reaches it: more than 2,000 saved" in only(summary, "saved")


def test_classes_missed_more_often_than_found_are_named(summary):
    matrix = summary["confusion"]["methods"]["swav"]
    matrix[0] = [30, 70] + [0] * 7
    assert "of 1 of 9 classes: BLCA (30%)" in only(summary, "fewer than half")


def test_balanced_accuracy_that_says_the_opposite(summary):
    rows = rewrite(summary, [0.05] + [0.0] * 6, p_holm=[0.001] + [1.0] * 6)
    summary["comparisons"].append({**rows[0], "metric": "balanced_accuracy", "difference": -0.06})
    assert "says the opposite of SwAV pretraining with 22 labels (−6.0 points" in only(summary, "Balanced accuracy")


def test_cautions_come_last_and_cover_warnings_failures_and_a_fixed_split(summary):
    summary["warnings"] = ["the column source explains the label"]
    summary["failures"] = [{"method": "swav", "fraction": 0.01, "repeat": 3, "reason": "ran out of memory"}]
    summary["design"]["split"] = "fixed"
    last = conclude(summary)[-3:]
    assert last[0] == "Caution: The column source explains the label."
    assert "not of other patients" in last[1]
    assert last[2].startswith("Caution: 1 run failed and is missing")


def test_single_fraction_and_single_method(build):
    one = build(numbers=[22])
    assert "Holm's method for" not in " ".join(conclude(one))
    alone = build(methods={"scratch": "MLP from scratch"})
    assert all("highest" not in text for text in conclude(alone))


def test_no_numbers_no_claims(summary):
    for row in summary["curves"]:
        row["metrics"] = {name: {"mean": None, "sd": None, "low": None, "high": None} for name in row["metrics"]}
    for row in summary["comparisons"]:
        row.update(
            difference=None, low=None, high=float("nan"), p_student=None, p_corrected=None, p_holm=None, n_pairs=0
        )
    text = " ".join(conclude(summary))
    assert "no repeat has a result for both" in text
    assert not any(word in text for word in ("None", "nan", "raises", "highest"))


@pytest.mark.parametrize("broken", [{"schema": 2}, {"schema": 1}, {}])
def test_what_is_no_summary_is_refused_in_one_line(broken):
    with pytest.raises(ValueError, match="summary") as error:
        conclude(broken)
    assert "\n" not in str(error.value)


def test_methods_that_make_no_difference_share_a_sentence(summary):
    """The first comparison stands by itself, so does one that makes a difference; three others are one sentence."""
    rows = rewrite(summary, [0.012, 0.0, -0.004, 0.0, 0.001, 0.0, 0.0], p_holm=[0.21] * 7)
    for name in ("simclr", "moco", "byol", "vicreg"):
        summary["comparisons"] = [*summary["comparisons"], *({**row, "method": name} for row in rows)]
    for row in summary["comparisons"]:
        if row["method"] == "vicreg":
            row |= {"difference": 0.1, "low": 0.08, "high": 0.12, "p_holm": 0.001}
        if (row["method"], row["n_labels"]) == ("byol", 44):
            row |= {"difference": -0.03, "low": -0.05, "high": -0.01}
    found = conclude(summary)
    assert found[0].startswith("SwAV pretraining makes no detectable difference")
    shared = [text for text in found if text.startswith("None of")]
    assert len(shared) == 1
    assert shared[0].startswith("None of simclr, moco and byol makes a detectable difference to accuracy at any number")
    assert "the largest seen was that of byol, with 44 labels: −3.0 points (95% CI −5.0 to −1.0, p = 0.21)" in shared[0]
    assert any(text.startswith("Vicreg raises accuracy by 10.0 points") for text in found)


def test_a_study_with_runs_missing_says_so_first(summary, tmp_path):
    summary["unfinished"] = "Unfinished: 2 of 12 runs are there; the command of the study goes on with the others"
    assert conclude(summary)[0] == f"{summary['unfinished']}."
    assert f"{summary['unfinished']}." in write_report(summary, tmp_path / "report.html").read_text()
    assert f"{summary['unfinished']}." in fragment(summary)
    summary["unfinished"] = ""
    assert not conclude(summary)[0].startswith("Unfinished")

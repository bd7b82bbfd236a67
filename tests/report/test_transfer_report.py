"""What the report of a transfer study claims, and what it must not claim."""

import re
import xml.etree.ElementTree as ET

from oligolearn.report import (
    conclude,
    figures,
    fragment,
    write_figures,
    write_report,
)


def said(summary):
    return " ".join(conclude(summary))


def test_help_is_claimed_with_its_evidence_and_what_it_is_worth_in_labels(build_transfer):
    first, *others = conclude(build_transfer())
    assert first == (
        "Adaptation helps here: without a label of the target, the best of 2 methods, DANN, reaches a balanced "
        "accuracy of 86.0% (95% CI 84.0% to 88.0%), 26.0 points above the 60.0% of source only (95% CI 21.0 to "
        "31.0, p = 0.001)."
    )
    assert "Detectably better than source only as well: plain standardisation (+25.0 points, p = 0.002)." in others
    assert (
        "For what DANN reaches without a label of the target, a classifier that learns from labels of the target alone "
        "would need about 24 of them (95% CI 12 to 40), 12 of each class." in others
    )
    assert any("4.0 points above DANN without any (not tested)" in one for one in others)


def test_no_difference_is_said_where_there_is_none(build_transfer):
    p_values = {("dann", "source-only", 0): 0.3, ("linear", "source-only", 0): 0.4}
    text = said(build_transfer({("source-only", 0): 0.85}, p_values))
    assert "Adaptation makes no detectable difference here: without a label" in text
    assert "1.0 point above the 85.0% of source only (95% CI −4.0 to 6.0, p = 0.30)" in text
    assert "Not detectably different: plain standardisation" in text
    assert "Adaptation helps" not in text


def test_harm_is_said(build_transfer):
    p_values = {("dann", "source-only", 0): 0.01, ("linear", "source-only", 0): 0.001}
    text = said(build_transfer({("source-only", 0): 0.95}, p_values))
    assert "Adaptation does harm here" in text
    assert "9.0 points below the 95.0% of source only" in text
    assert "Detectably worse than source only: plain standardisation (−10.0 points, p = 0.001)" in text


def test_a_steady_gain_is_not_hidden_by_a_noisy_one(build_transfer):
    text = said(build_transfer(p_values={("dann", "source-only", 0): 0.5}))
    assert text.startswith(
        "Adaptation helps here: without a label of the target, the best that is detectably better, of 2 methods, plain "
        "standardisation, reaches"
    )
    assert "Not detectably different: DANN" in text
    assert "makes no detectable difference here" not in text


def test_labels_that_could_not_be_counted_are_no_number(build_transfer):
    summary = build_transfer()
    note = "no repeat has a result of the method and of the baseline at every number of labels"
    for row in summary["labels_replaced"]:
        row.update(accuracy=None, baseline_labels=None, saved=None, low=None, high=None, note=note)
    assert "the fewest that were tried" not in said(summary)


def test_a_network_is_worth_its_trouble_only_where_it_beats_the_simplest_method(build_transfer):
    assert "DANN is not detectably better than plain standardisation at any number of labels tried" in said(
        build_transfer()
    )
    better = build_transfer({("dann", 5): 0.95}, {("dann", "linear", 5): 0.003})
    assert "Detectably better than plain standardisation: DANN with 5 labels of each class (+10.0 points" in said(
        better
    )


def test_from_how_many_labels_on_the_sources_add_nothing(build_transfer):
    text = said(build_transfer(p_values={("linear", "target-only", 1): 0.01}))
    assert "With 1 label of each class, DANN reaches 86.0%, 21.0 points above the 65.0% of these labels alone" in text
    assert "From 5 labels of each class on, no method is detectably better than these labels alone" in text
    always = said(build_transfer(p_values={("dann", "target-only", 5): 0.01}))
    assert "Up to the most labels tried (5 of each class) the sources still add to them" in always


def test_more_labels_than_were_tried_are_no_number(build_transfer):
    summary = build_transfer()
    note = "the baseline would need more than 100 labels, the most that were tried"
    for row in summary["labels_replaced"]:
        row.update(baseline_labels=None, saved=None, low=9.0, high=None, note=note)
    assert "would need more than 100 labels, the most that were tried (95% CI 9 or more)." in said(summary)
    for row in summary["labels_replaced"]:
        row.update(low=None, high=5.0, note="the baseline is better with its fewest labels: it needs less than 2")
    assert "would need less than 2 of them, the fewest that were tried (95% CI 5 or fewer)." in said(summary)


def test_nothing_is_claimed_at_chance_or_after_one_repeat(build_transfer):
    chance = build_transfer()
    chance["learned"] = {"any": False, "note": "", "rows": []}
    assert "Nothing was learned" in said(chance)
    assert "Adaptation" not in said(chance)
    once = build_transfer()
    for row in once["comparisons"]:
        row.update(low=None, high=None, p_holm=None, p_corrected=None, note="one repeat: no test")
    text = said(once)
    assert "Whether adaptation helps here cannot be tested" in text
    assert "one repeat: no test" in text
    assert "detectably" not in text


def test_a_study_that_always_shows_labels_begins_with_them(build_transfer):
    summary = build_transfer(p_values={("dann", "target-only", 1): 0.01})
    summary["curves"] = [row for row in summary["curves"] if row["method"] not in ("linear", "dann") or row["fraction"]]
    summary["comparisons"] = [row for row in summary["comparisons"] if row["fraction"]]
    first, *others = conclude(summary)
    assert first.startswith("With 1 label of each class, DANN reaches 86.0%")
    assert "without a label" not in " ".join(others)
    assert next(iter(figures(summary))) == "balanced_accuracy"


def test_what_limits_the_findings_is_said(build_transfer):
    summary = build_transfer()
    summary["failures"] = [{"method": "dann", "n_labels": 2, "repeat": 0, "reason": "the loss became nan"}]
    text = said(summary)
    assert "Caution: The source is the same in every repeat" in text
    assert "Caution: 1 run failed and is missing from every number here (DANN)" in text


def test_the_page_has_its_parts_and_escapes_names(build_transfer, tmp_path):
    summary = build_transfer(classes=["<script>alert(1)</script>", "ER-"])
    summary["failures"] = [{"method": "dann", "n_labels": 2, "repeat": 0, "reason": "<b>nan</b>"}]
    page = write_report(summary, tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;nan&lt;/b&gt;" in page
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    for part in ("each cohort by itself in 9 of 10 repeats and all together in 1", "Told apart.", "0.97",
                 "150 labelled samples of the target were split anew into 100", "oligolearn study --source ours.h5ad",
                 "5 per class", "All 100", "Labels of the target that do as much",
                 "12 to 40", "Before: as measured", "After: DANN"):  # fmt: skip
        assert part in page, part
    assert "<script" not in fragment(summary)


def test_dots_stand_at_their_labels_and_bounds_are_lines_across(build_transfer):
    drawn = figures(build_transfer())
    assert list(drawn) == ["balanced_accuracy", "other_metrics", "embedding_measured", "embedding_dann"]
    (axes,) = drawn["balanced_accuracy"].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "5"]
    across = {line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]}
    assert across == {0.6, 0.9}
    (target,) = [line for line in axes.lines if line.get_label() == "target only"]
    assert list(target.get_ydata()) == [0.65, 0.8]
    places = axes.get_xticks()
    assert abs(target.get_xdata() - places[1:]).max() < (places[1] - places[0]) / 4


def test_a_map_shows_every_sample_by_cohort_and_by_class(build_transfer):
    figure = figures(build_transfer())["embedding_dann"]
    by_cohort, by_class = figure.axes
    for axes in (by_cohort, by_class):
        drawn = sorted(tuple(place) for dots in axes.collections for place in dots.get_offsets().tolist())
        assert drawn == sorted(map(tuple, build_transfer()["embeddings"][1]["pca"]))
    colors = [{tuple(dots.get_facecolor()[0]) for dots in axes.collections} for axes in (by_cohort, by_class)]
    assert not colors[0] & colors[1]


def test_files_are_the_same_to_the_byte_and_well_formed(build_transfer, tmp_path):
    first = {path.name: path.read_bytes() for path in write_figures(build_transfer(), tmp_path / "a")}
    again = {path.name: path.read_bytes() for path in write_figures(build_transfer(), tmp_path / "b")}
    assert first == again
    for name, drawn in first.items():
        if name.endswith(".svg"):
            ET.fromstring(drawn)

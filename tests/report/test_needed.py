"""Labels needed, in the report: nothing is said that the summary does not say."""

import copy

import numpy as np
import pytest

from oligolearn.report import conclude, figures, write_report
from oligolearn.report.needed import about, interval

PLACES = np.geomspace(22, 21860, 30)


def row(method, status, **values):
    empty = dict.fromkeys(("labels", "low", "high", "reachable", "limit", "curve", "note"))
    return {"method": method, "target": 0.995, "status": status, **empty, **values}


@pytest.fixture
def summary(pristine):
    curve = {
        "n_labels": PLACES.tolist(),
        **{
            key: (0.99 - gap - 0.1 * (PLACES / 22) ** -0.5).tolist()
            for key, gap in (("median", 0.01), ("low", 0.02), ("high", 0))
        },
    }
    limit = {"median": 0.99, "low": 0.985, "high": 0.999}
    summary = copy.deepcopy(pristine)
    summary["labels_needed"] = {
        "metric": "accuracy",
        "target": 0.995,
        "asked": True,
        "rows": [
            row("logistic", "unknown", note="the curve is flat"),
            row("pca-logistic", "out of reach", limit=limit, curve=curve, reachable=0.01, note="levels off <below>"),
            row("scratch", "too far", limit=limit, curve=curve, reachable=0.2, low=4000.0, note="not in the data"),
            row("swav", "extrapolated", limit=limit, curve=curve, reachable=0.97, labels=3456.7, low=2501.0, high=None),
        ],
    }
    return summary


def test_each_method_has_a_sentence_and_no_number_where_there_is_none(summary):
    said = conclude(summary)
    assert any("SwAV pretraining needs about 3,500 labels for 99.5%, more than were tried" in text for text in said)
    assert any("2,500 or more" in text for text in said)
    assert any("MLP from scratch needs for 99.5% cannot be said: not in the data" in text for text in said)
    assert any("99.5% is out of reach of PCA + logistic regression" in text for text in said)


def test_nothing_is_concluded_of_a_target_that_nobody_named(summary):
    summary["labels_needed"]["asked"] = False
    assert not any("99.5%" in text for text in conclude(summary))


def test_the_page_has_the_figure_and_the_table_escaped(summary, tmp_path):
    page = write_report(summary, tmp_path / "report.html").read_text()
    assert page.count('id="needed"') == 1
    assert "levels off &lt;below&gt;" in page
    assert "labels_needed" in figures(summary)


def test_older_summaries_have_no_such_section(pristine, tmp_path):
    page = write_report(pristine, tmp_path / "report.html").read_text()
    assert 'id="needed"' not in page
    assert "labels_needed" not in figures(pristine)


def test_without_any_curve_the_table_says_why_and_there_is_no_figure(summary, tmp_path):
    summary["labels_needed"]["rows"] = [row("swav", "unknown", note="too few repeats")]
    page = write_report(summary, tmp_path / "report.html").read_text()
    assert "too few repeats" in page
    assert "labels_needed" not in figures(summary)


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (99.2, "100"), (1234, "1,300"), (1300, "1,300"), (None, "–")])
def test_a_number_of_labels_is_rounded_up_to_two_digits(number, text):
    assert about(number) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(120, 480, "120 to 480"), (None, 50, "up to 50"), (50, None, "50 or more"), (None, None, "")],
)
def test_open_ends_are_said(low, high, text):
    assert interval({"low": low, "high": high}) == text

"""Figures show the numbers of the summary, and the same bytes each time."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_hex

from oligolearn.report import figures, write_figures
from oligolearn.report.classes import shares_of_true
from oligolearn.report.curves import calibration_error, marks
from oligolearn.report.reading import checked
from oligolearn.report.style import class_looks, literal, looks

HOSTILE = [r"$\alpha$ & <b>", "_細胞 $5", r"\$ naïve $x^2$"]


@pytest.fixture(scope="module")
def drawn(pristine):
    return figures(pristine)


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.parametrize(
    ("figure", "panel", "metric"),
    [
        ("accuracy", 0, "accuracy"),
        ("other_metrics", 0, "balanced_accuracy"),
        ("other_metrics", 1, "auroc"),
    ],
)
def test_curves_are_the_means(drawn, pristine, figure, panel, metric):
    found = lines(drawn[figure].axes[panel])
    for method in pristine["design"]["methods"]:
        expected = [
            (row["n_labels"], row["metrics"][metric]["mean"])
            for row in pristine["curves"]
            if row["method"] == method["name"]
        ]
        np.testing.assert_array_equal(found[method["title"]].get_xydata(), sorted(expected))


def test_difference_curve_is_in_points_with_stars_by_holm(drawn, pristine):
    axes = drawn["difference"].axes[0]
    rows = [row for row in pristine["comparisons"] if (row["method"], row["baseline"]) == ("swav", "scratch")]
    expected = [(row["n_labels"], 100 * row["difference"]) for row in rows]
    np.testing.assert_allclose(lines(axes)["SwAV pretraining"].get_xydata(), expected)
    stars = [text.get_text() for text in axes.texts if set(text.get_text()) == {"*"}]
    assert stars == [marks(pristine, row) for row in rows if row["p_holm"] < 0.05]


@pytest.mark.parametrize(("p", "expected"), [(0.0009, "***"), (0.009, "**"), (0.049, "*"), (0.05, ""), (None, "")])
def test_marks(p, expected):
    assert marks({"learned": {"any": True}}, {"p_holm": p}) == expected
    assert marks({"learned": {"any": False}}, {"p_holm": p}) == ""


def test_confusion_is_normalised_by_true_class(drawn, pristine):
    image = drawn["confusion_swav"].axes[0].get_images()[0].get_array()
    counts = np.array(pristine["confusion"]["methods"]["swav"])
    np.testing.assert_allclose(np.asarray(image), counts / counts.sum(axis=1)[:, None])
    assert np.isnan(shares_of_true([[0, 0], [1, 3]])[0]).all()


def test_recall_is_the_diagonal(drawn, pristine):
    counts = np.array(pristine["confusion"]["methods"]["scratch"])
    drawn_recall = lines(drawn["recall"].axes[0])["MLP from scratch"].get_xdata()
    np.testing.assert_allclose(drawn_recall, np.diag(counts) / counts.sum(axis=1))


def test_embedding_draws_every_sample_once_in_both_panels(drawn, pristine):
    embedding = next(entry for entry in pristine["embeddings"] if entry["name"] == "swav")
    for axes, key in zip(drawn["embedding_swav"].axes, ("pca", "tsne"), strict=True):
        places = np.concatenate([np.asarray(dots.get_offsets()) for dots in axes.collections])
        np.testing.assert_array_equal(sorted(map(tuple, places)), sorted(map(tuple, embedding[key])))


def test_calibration_error_falls_back_to_the_pooled_bins(pristine):
    summary = checked({**pristine, "curves": [{**row, "metrics": {}} for row in pristine["curves"]]})
    bins = summary["calibration"]["methods"]["swav"]
    weights = np.array(bins["count"]) / sum(bins["count"])
    expected = weights @ np.abs(np.array(bins["accuracy"]) - np.array(bins["confidence"]))
    assert calibration_error(summary, "swav") == pytest.approx(expected)


def test_methods_and_classes_differ_in_more_than_colour():
    methods = looks(["logistic", "pca-logistic", "scratch", "untrained", "swav", "simclr", "moco", "byol"])
    assert len({look.marker for look in methods.values()}) == len(methods)
    assert len({to_hex(look.color) for look in methods.values()}) == len(methods)
    classes = class_looks([str(i) for i in range(56)])
    assert len({(look.color, look.marker) for look in classes.values()}) == 56


@pytest.mark.slow
def test_files_are_the_same_each_time_and_nothing_else_is_left(pristine, tmp_path):
    first = {path.name: path.read_bytes() for path in write_figures(pristine, tmp_path / "a")}
    second = {path.name: path.read_bytes() for path in write_figures(pristine, tmp_path / "b")}
    assert first == second
    assert {path.name for path in (tmp_path / "a").iterdir()} == set(first)
    assert {"accuracy.svg", "accuracy.pdf", "difference.svg", "confusion_swav.svg", "embedding_raw.pdf"} <= set(first)


def test_settings_of_matplotlib_are_left_alone(pristine):
    before = dict(rcParams)
    figures(pristine, width=3.4)
    assert dict(rcParams) == before


@pytest.mark.slow
def test_names_are_shown_literally(build, tmp_path):
    summary = build(classes=HOSTILE, n_embedded=30, methods={"scratch": r"MLP $\beta$", "swav": "SwAV"})
    written = {path.name: path for path in write_figures(summary, tmp_path)}
    for name in ("recall.svg", "confusion_swav.svg", "embedding_raw.svg"):
        texts = {
            "".join(element.itertext()).strip("\u200b")
            for element in ET.parse(written[name]).iter("{http://www.w3.org/2000/svg}text")
        }
        assert set(HOSTILE) <= texts
    assert literal("x" * 100) != "x" * 100


@pytest.mark.slow
def test_large_embeddings_become_a_picture(build, tmp_path):
    summary = build(n_embedded=6000, methods={"scratch": "MLP from scratch"})
    summary["embeddings"] = summary["embeddings"][:1]
    path = next(path for path in write_figures(summary, tmp_path) if path.name == "embedding_raw.svg")
    assert path.stat().st_size < 600_000
    assert "data:image/png;base64" in path.read_text()


@pytest.mark.parametrize("n_classes", [2, 12, 40])
def test_any_number_of_classes(build, n_classes):
    summary = build(classes=[f"class number {i}" for i in range(n_classes)], n_embedded=60)
    matrix = figures(summary, width=3.4)["confusion_swav"]
    inches_per_class = matrix.axes[0].get_position().width * matrix.get_size_inches()[0] / n_classes
    assert inches_per_class > 0.13
    assert len(matrix.axes[0].get_yticklabels()) == n_classes


def test_sections_without_data_have_no_figure(summary):
    summary.update(confusion=None, calibration={}, embeddings=[], comparisons=[])
    assert set(figures(summary)) == {"accuracy", "other_metrics"}

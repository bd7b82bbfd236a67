"""The HTML report: whole, safe, the same each time."""

import copy
import re
from html.parser import HTMLParser

import pytest

from oligolearn.report import fragment, write_report

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "]]>{{ 7*7 }}</style>",
)


class Page(HTMLParser):
    """Elements, attributes, identifiers and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.ids, self.text = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text.append(data)


def poisoned(value, attack, path=()):
    """Append an attack to every string that a user's file or a message could bring in."""
    if isinstance(value, str):
        return value if path[-1:] in (("method",), ("baseline",), ("metric",), ("split",)) else value + attack
    if isinstance(value, dict):
        return {key: poisoned(item, attack, (*path, key)) for key, item in value.items()}
    return [poisoned(item, attack, path) for item in value] if isinstance(value, list) else value


def hostile(build, attack):
    summary = build(n_embedded=20, numbers=[22, 218], methods={"scratch": "MLP", "swav": "SwAV"})
    methods = [entry["name"] for entry in summary["design"]["methods"]]
    summary["failures"] = [{"method": "swav", "fraction": 0.01, "repeat": 1, "reason": "reason"}]
    summary["warnings"], summary["settings"] = ["warning"], {"setting": "value", "nested": ["value"]}
    summary = poisoned(summary, attack)
    summary["settings"][attack] = attack
    for entry, name in zip(summary["design"]["methods"], methods, strict=True):
        entry["name"] = name
    return summary


@pytest.fixture(scope="module")
def html(pristine, tmp_path_factory):
    return write_report(pristine, tmp_path_factory.mktemp("report") / "report.html").read_text()


def test_the_same_bytes_each_time(pristine, html, tmp_path):
    assert write_report(copy.deepcopy(pristine), tmp_path / "again.html").read_text() == html
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_nothing_is_loaded_and_nothing_runs(html):
    page = Page(html)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "action", "poster"):
            assert value.startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def test_identifiers_are_unique_and_every_reference_has_its_target(html):
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    targets = {value[1:] for name, value in page.attributes if name.endswith("href") and value.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", html))
    targets |= {
        word
        for name, value in page.attributes
        if name in ("aria-labelledby", "aria-describedby")
        for word in value.split()
    }
    assert targets <= set(page.ids)


def test_conclusion_comes_first_and_every_section_is_there(html):
    places = [
        html.index(f'id="{name}"')
        for name in (
            "conclusion",
            "curves",
            "difference",
            "numbers",
            "classes",
            "calibration",
            "embedding",
            "methods",
            "again",
            "words",
        )
    ]
    assert places == sorted(places)
    assert "oligolearn study tcga_mirna.h5ad --label cancer_type" in html
    assert '<html lang="en">' in html
    assert html.count("<h1>") == 1


def test_every_figure_speaks_to_those_who_do_not_see_it(html):
    drawings = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) > 10
    for drawing in drawings:
        assert 'role="img"' in drawing
        assert re.search(r"<title id=[^>]*>[^<]{10,}|<title id=[^>]*>\w", drawing)
        assert len(re.search(r"<desc id=[^>]*>([^<]*)", drawing)[1]) > 30


def test_numbers_in_the_tables_are_those_of_the_summary(html, pristine):
    text = " ".join(Page(html).text)
    for row in pristine["curves"]:
        assert f"{row['metrics']['accuracy']['mean']:.1%}" in text
        assert f"{row['metrics']['log_loss']['mean']:.3f}" in text


@pytest.mark.slow
def test_every_string_is_escaped_and_shown(build, tmp_path):
    attack = " ".join(ATTACKS)
    summary = hostile(build, attack)
    for output in (write_report(summary, tmp_path / "report.html").read_text(), fragment(summary)):
        page = Page(output)
        assert not {"script", "img"} & set(page.tags)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert attack in "".join(page.text)


def test_control_characters_and_absent_values_do_not_reach_the_page(summary, tmp_path):
    summary["data"]["classes"][0]["name"] = "a\x00b\x1b"
    summary["confusion"]["classes"][0] = "a\x00b\x1b"
    summary["confusion"]["methods"]["swav"][1] = [0] * 9
    summary["data"].update(group=None, n_unlabelled=None)
    for row in summary["curves"]:
        row["metrics"]["auroc"] = {"mean": None, "sd": None, "low": None, "high": None}
        row["metrics"]["ece"] = {"mean": float("nan"), "sd": None, "low": None, "high": None}
    for row in summary["comparisons"]:
        row.update(p_student=None, p_corrected=None, p_holm=None, low=None, high=None, note="zero variance")
    text = write_report(summary, tmp_path / "report.html").read_text()
    assert "\x00" not in text
    assert "\x1b" not in text
    visible = " ".join(Page(text).text)
    assert not re.search(r"\b(nan|None|inf)\b", visible)
    assert "zero variance" in visible


def test_shuffled_labels(summary, tmp_path):
    summary["learned"]["any"] = False
    text = write_report(summary, tmp_path / "report.html").read_text()
    assert "Nothing was learned" in text
    assert "no better than chance" in text
    assert "(best)" not in text
    assert "***" not in re.sub(r"<figcaption>.*?</figcaption>", "", text, flags=re.DOTALL)


def test_something_learned_never_reads_as_chance(html):
    assert not re.search(
        r"nothing (was|could be) learn|better than chance|indistinguishable from chance|chance level", html.lower()
    )


@pytest.mark.parametrize(
    "missing",
    ["confusion", "calibration", "embeddings", "comparisons", "labels_saved", "learned", "failures", "warnings"],
)
def test_a_study_without_a_section_still_has_a_report(build, tmp_path, missing):
    summary = build(methods={"scratch": "MLP", "swav": "SwAV"}, numbers=[22, 218], n_embedded=20)
    del summary[missing]
    assert "Conclusion" in write_report(summary, tmp_path / "report.html").read_text()


def test_fragment_is_scoped_and_two_can_share_a_notebook(pristine, build):
    first, second = fragment(pristine), fragment(build(repeats=4))
    assert not set(Page(first).ids) & set(Page(second).ids)
    assert fragment(pristine) == first
    style = re.search(r"<style>(.*?)</style>", first, flags=re.DOTALL)[1]
    rules = [line.strip() for line in style.splitlines() if "{" in line and "@media" not in line]
    assert all(
        part.strip().startswith(".oligolearn-fragment") for rule in rules for part in rule.split("{")[0].split(",")
    )
    assert "<html" not in first

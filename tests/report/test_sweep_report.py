"""What the report of a sweep claims, and what it must not claim."""

import copy
import re
import xml.etree.ElementTree as ET

import pytest

from oligolearn.report import conclude, figures, fragment, write_figures, write_report


def curve(name, fraction, mean):
    score = {"mean": mean, "sd": 0.02, "low": mean - 0.02, "high": min(1.0, mean + 0.02)}
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "auroc"), score)
    n_labels = round(fraction * 2000)
    return {"method": name, "fraction": fraction, "n_labels": n_labels, "n_runs": 5, "metrics": metrics}


def difference(name, fraction, gain, p):
    return {
        "method": name, "baseline": "n=16", "metric": "accuracy", "fraction": fraction,
        "n_labels": round(fraction * 2000), "n_pairs": 5,
        "difference": gain, "low": gain - 0.01, "high": gain + 0.01, "t": 1.0, "p_student": p,
        "p_corrected": p, "p_holm": p, "note": "",
    }  # fmt: skip


def summary_of(means, p_values, fractions=(0.01, 0.1), varied=None, choices=None):
    """A sweep over prototypes; `means` by value, the same at each fraction."""
    names = {value: f"n={value}" for value in means}
    return {
        "schema": 1,
        "kind": "sweep",
        "title": "Prototypes and accuracy of <kind> in cohort.h5ad",
        "data": {"n_samples": 3000, "n_genes": 500, "classes": [{"name": "a<b>", "n": 9}, {"name": "c", "n": 8}],
                 "group": "patient", "notes": ["Read."], "file": "cohort.h5ad"},
        "design": {"repeats": 5, "n_train": 2000, "n_validation": 430, "n_test": 430, "n_pretrain": 2000,
                   "fractions": [{"fraction": f, "n_labels": round(2000 * f), "note": None} for f in fractions]},
        "method": {"name": "swav", "title": "SwAV pretraining", "description": "a network"},
        "varied": varied or [{"name": "n_prototypes", "title": "prototypes", "values": list(means), "default": 16,
                              "numeric": True}],
        "choices": choices or [{"name": names[value], "method": "swav", "title": str(value), "default": value == 16,
                                "values": {"n_prototypes": value}} for value in means],
        "settings": {"network: epochs": 30},
        "seed": 0,
        "command": "oligolearn sweep cohort.h5ad --label kind --vary 'prototypes=4,16'",
        "versions": {"oligolearn": "0"},
        "curves": [curve(names[value], f, mean) for value, mean in means.items() for f in fractions],
        "seconds": dict.fromkeys(names.values(), 1.0),
        "comparisons": [
            difference(names[value], f, mean - means[16], p_values[value])
            for value, mean in means.items() if value != 16 for f in fractions
        ],
        "learned": {"any": True, "note": "", "rows": []},
        "warnings": [],
        "failures": [],
    }  # fmt: skip


@pytest.fixture
def clear():
    return summary_of({4: 0.60, 16: 0.80, 64: 0.85}, {4: 0.001, 64: 0.01})


def test_a_significant_best_value_is_claimed_with_its_evidence(clear):
    said = conclude(clear)
    assert "prototypes 64 has the highest accuracy on validation samples, 85.0%" in said[0]
    assert "5.0 points above the default (16) (95% CI 4.0 to 6.0, p = 0.010)" in said[0]
    assert any("detectably worse than the default (16): 4 (−20.0 points, p = 0.001)" in one for one in said)
    assert any("worst choice there are 25.0 points with 20 labels (64 against 4)" in one for one in said)


def test_a_choice_that_failed_where_it_is_hard_is_not_the_best(clear):
    for row in clear["curves"]:
        if row["method"] == "n=64":
            row["n_runs"] = 3
    for row in clear["comparisons"]:
        if row["method"] == "n=64":
            row.update(difference=-0.088, low=-0.1, high=-0.07)
    said = conclude(clear)
    assert "prototypes 16 has the highest accuracy" in said[0]
    assert any("detectably worse than the default (16): 4" in one and "64 (−8.8 points" in one for one in said)
    assert not any("64 has the highest" in one or "(64 against" in one for one in said)


def test_only_what_was_tested_is_said_to_be_alike():
    summary = summary_of({4: 0.79, 16: 0.80, 64: 0.81}, {4: 0.4, 64: 0.3}, fractions=(0.1,))
    assert any("none of the 2 others differs detectably" in one.lower() for one in conclude(summary))
    summary["comparisons"][0].update(difference=None, low=None, high=None, p_corrected=None, p_holm=None, n_pairs=0)
    assert not any("none of the 2 others" in one.lower() for one in conclude(summary))


def test_what_is_not_significant_is_not_claimed():
    said = " ".join(conclude(summary_of({4: 0.79, 16: 0.80, 64: 0.81}, {4: 0.4, 64: 0.3})))
    assert "1.0 point above the default (16): no detectable difference" in said
    assert "None of the 2 others differs detectably from the default (16), with 20 and 200 labels" in said
    assert "detectably worse" not in said
    assert "detectably also better" not in said


def test_a_default_that_is_best_is_said_so():
    said = conclude(summary_of({4: 0.5, 16: 0.8}, {4: 0.001}))
    assert "prototypes 16 has the highest accuracy" in said[0]
    assert said[0].endswith("it is the default.")


def test_nothing_is_claimed_at_chance(clear):
    clear["learned"] = {"any": False, "note": "", "rows": []}
    said = " ".join(conclude(clear))
    assert "Nothing was learned" in said
    assert "highest" not in said


def test_one_repeat_claims_nothing(clear):
    for row in clear["comparisons"]:
        row.update(low=None, high=None, p_holm=None, p_corrected=None, note="one repeat: no test")
    said = " ".join(conclude(clear))
    assert "which cannot be tested: one repeat: no test" in said
    assert "detectably" not in said


def test_the_reader_is_told_that_test_samples_were_not_touched(clear, tmp_path):
    page = write_report(clear, tmp_path / "r.html").read_text()
    assert "430 samples were set aside as test samples and not touched" in page
    assert any(one.startswith("Caution:") and "which this sweep has not touched" in one for one in conclude(clear))
    assert "oligolearn sweep cohort.h5ad" in page
    assert "<kind>" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)


def two_settings():
    views, strengths = ["masking", "noise"], [0.2, 0.5, 0.9]
    means = {(v, s): 0.6 + 0.1 * i + 0.05 * j for i, v in enumerate(views) for j, s in enumerate(strengths)}
    choices = [
        {"name": f"{v}{s}", "method": "swav", "title": f"view {v}, strength {s:g}",
         "default": (v, s) == ("masking", 0.5), "values": {"view": v, "view_strength": s}}
        for v, s in means
    ]  # fmt: skip
    varied = [
        {"name": "view", "title": "view", "values": views, "default": "masking", "numeric": False},
        {
            "name": "view_strength",
            "title": "strength of the view",
            "values": strengths,
            "default": 0.5,
            "numeric": True,
        },
    ]
    summary = summary_of({16: 0.5}, {}, varied=varied, choices=choices[:-1])  # the last pair was not trained
    summary["curves"] = [
        curve(one["name"], f, means[tuple(one["values"].values())]) for one in choices for f in (0.01,)
    ]
    summary["design"]["fractions"] = summary["design"]["fractions"][:1]
    return summary


def test_figures_are_those_of_one_setting_or_of_two(clear):
    assert list(figures(clear)) == ["accuracy", "difference", "other_metrics"]
    assert list(figures(two_settings())) == ["heat_map", "lines"]


def test_a_heat_map_writes_the_mean_of_every_pair_and_leaves_the_missing_one_empty():
    (axes,) = figures(two_settings())["heat_map"].axes
    assert sorted(text.get_text() for text in axes.texts) == ["60.0", "65.0", "70.0", "70.0", "75.0"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["masking", "noise"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0.2", "0.5", "0.9"]


def test_dots_stand_where_the_values_are(clear):
    (axes,) = figures(clear)["accuracy"].axes
    assert axes.get_xscale() == "log"
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 2  # fractions
    assert all(list(line.get_xdata()) == [4, 16, 64] for line in lines)
    assert all(list(line.get_ydata()) == pytest.approx([0.6, 0.8, 0.85]) for line in lines)


def test_a_default_without_a_number_is_a_line_across(clear):
    clear = copy.deepcopy(clear)
    clear["varied"][0].update(name="learning_rate", title="learning rate", values=[4, 64], default="automatic")
    for choice in clear["choices"]:
        choice["values"] = {"learning_rate": "automatic" if choice["default"] else choice["values"]["n_prototypes"]}
    (axes,) = figures(clear)["accuracy"].axes
    across = [line for line in axes.lines if len(set(line.get_ydata())) == 1 and list(line.get_xdata()) == [0, 1]]
    assert len(across) == 2
    assert across[0].get_ydata()[0] == pytest.approx(0.8)


def test_names_are_dots_without_a_line_between_them(clear):
    clear["varied"][0].update(name="view", title="view", values=["4", "16", "64"], default="16", numeric=False)
    for choice in clear["choices"]:
        choice["values"] = {"view": choice["title"]}
    (axes,) = figures(clear)["accuracy"].axes
    assert all(line.get_linestyle() == "None" for line in axes.lines if len(line.get_xdata()) == 3)


@pytest.mark.parametrize("summary", [summary_of({4: 0.6, 16: 0.8}, {4: 0.2}), two_settings()])
def test_files_are_the_same_to_the_byte_and_well_formed(summary, tmp_path):
    first = {path.name: path.read_bytes() for path in write_figures(summary, tmp_path / "a")}
    again = {path.name: path.read_bytes() for path in write_figures(summary, tmp_path / "b")}
    assert first == again
    for name, drawn in first.items():
        if name.endswith(".svg"):
            ET.fromstring(drawn)
    write_report(summary, tmp_path / "a.html")
    write_report(summary, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "<script" not in fragment(summary)


def test_a_summary_of_a_kind_that_is_not_known_is_refused(clear):
    with pytest.raises(ValueError, match="found that of a 'poll'"):
        conclude({**clear, "kind": "poll"})

"""What the page of a sweep says."""

from typing import Any

from oligolearn.report import tables
from oligolearn.report.conclusion import verdict
from oligolearn.report.measures import GLOSSARY, MEASURES
from oligolearn.report.reading import Summary, nothing_learned, size_of_a_sample
from oligolearn.report.sweep_conclusion import sweep_cautions, sweep_findings
from oligolearn.report.sweep_reading import (
    comparison,
    default_choice,
    fraction_title,
    fractions,
    point,
    ranked,
    scored,
)
from oligolearn.report.tables import VERDICTS, Cell, Table
from oligolearn.report.wording import MISSING, count, decimal, p_value, percent, points, span

_COLUMNS = ("accuracy", "balanced_accuracy", "auroc")
_WORDS = ("Label", "Pretraining", "95% interval", "Point", "p", "Nadeau-Bengio corrected t")


def sweep_words(summary: Summary) -> dict[str, Any]:
    """What the templates of a sweep are filled in with, but for its figures."""
    data, design, found = summary["data"], summary["design"], sweep_findings(summary)
    repeats = design.get("repeats")
    size, its_unit = size_of_a_sample(summary)
    return {
        **_tables(summary),
        "title": summary.get("title") or "Sensitivity to settings",
        "lead": found[0] if found else "The sweep has too few results to say anything.",
        "findings": found[1:],
        "cautions": sweep_cautions(summary),
        "nothing_learned": nothing_learned(summary),
        "facts": [
            (count(data.get("n_samples")), "samples"),
            (count(size), its_unit),
            (count(len(data.get("classes") or [])), "classes"),
            (count(len(summary["choices"])), "choices of settings"),
            (count(repeats), "repeat" if repeats == 1 else "repeats"),
        ],
        "what_was_done": _what_was_done(summary),
        "glossary": {
            **{term: GLOSSARY[term] for term in _WORDS},
            "Holm": "Correction for making many comparisons: the chance of even one false alarm in the whole sweep "
            "stays below 5%.",
            "Default": "What `oligolearn study` would train with on these data, with the options that were given.",
            "Training, validation and test samples": "A method learns from the first; choices of settings are compared "
            "on the second; the third are kept for one test at the end, and this sweep has not touched them.",
            **{MEASURES[name].title: MEASURES[name].meaning for name in _COLUMNS},
        },
    }


def _what_was_done(summary: Summary) -> list[str]:
    """Sentences on the design that the notes on the data do not contain."""
    data, design, method = summary["data"], summary["design"], summary["method"]
    varied = " and ".join(setting["title"] for setting in summary["varied"])
    together = f", all samples of one {data['group']} on the same side" if data.get("group") else ""
    n_pretrain = design.get("n_pretrain")
    pretrained = "" if n_pretrain is None else f"; pretraining saw {count(n_pretrain)} samples without labels"
    others = "" if summary["varied"][0]["name"] == "method" else f" of {method['title']} ({method['description']})"
    return [
        f"Varied: {varied}{others}. All other settings are those of a study; they are listed below.",
        f"{count(design['n_test'])} samples were set aside as test samples and not touched. In each of "
        f"{count(design.get('repeats'))} repeats the others were drawn anew into {count(design['n_train'])} training "
        f"and {count(design['n_validation'])} validation samples, stratified by class{together}{pretrained}.",
        "All choices of a repeat see the same samples and labels and are scored on the same validation samples, so "
        "that they are compared in pairs.",
    ]


def _tables(summary: Summary) -> dict[str, Any]:
    per_fraction = [
        (fraction_title(fraction, n_labels), _at_fraction(summary, fraction))
        for fraction, n_labels in fractions(summary)
    ]
    return {
        "per_fraction": per_fraction,
        "fragment_tables": [table for _, table in per_fraction],
        "colors": {},
        "samples": tables.samples(summary),
        "failures": _failures(summary),
        **tables.listings(summary),
    }


def _at_fraction(summary: Summary, fraction: float) -> Table:
    """Scores of every choice at a fraction, the best first, with its difference from the default."""
    scores, first = scored(summary, fraction), [choice for _, choice in ranked(summary, fraction)][:1]
    rows = []
    for _, choice in scores:
        cells = []
        for metric in _COLUMNS:
            one = point(summary, choice, fraction, metric)
            write = MEASURES[metric].write
            interval = "" if one is None or one.low is None else f"{write(one.low)} to {write(one.high)}"
            text = MISSING if one is None else write(one.mean)
            best = metric == "accuracy" and choice in first and len(scores) > 1 and not nothing_learned(summary)
            cells.append(Cell(text, interval.replace("% to", " to"), best))
        seconds = (summary.get("seconds") or {}).get(choice["name"])
        rows.append(
            [
                Cell(choice["title"], "default" if choice["default"] else ""),
                *cells,
                *_difference(summary, choice, fraction),
                Cell(decimal(seconds, 1)),
            ]
        )
    name = " and ".join(setting["title"] for setting in summary["varied"])
    columns = [
        name[:1].upper() + name[1:],
        *(MEASURES[metric].title for metric in _COLUMNS),
        "Points",
        "p Holm",
        "Verdict",
        "Seconds",
    ]
    default = default_choice(summary)["title"]
    hints = [
        "",
        *(MEASURES[metric].meaning for metric in _COLUMNS),
        f"Difference in accuracy from the default ({default}), mean over the repeats, and its 95% interval.",
        "Nadeau-Bengio corrected paired t-test, after Holm's method over the whole sweep; below it, before.",
        "At p Holm < 0.05.",
        "Of one run, its share of the pretraining included.",
    ]
    return Table("Scores on validation samples: mean over the repeats and 95% interval", columns, rows, hints)


def _difference(summary: Summary, choice: dict[str, Any], fraction: float) -> list[Cell]:
    row = comparison(summary, choice, fraction)
    if row is None:
        return [Cell(MISSING) for _ in range(3)]
    said = "noise: nothing was learned" if nothing_learned(summary) else VERDICTS[verdict(row)]
    return [
        Cell(points(row.get("difference")), span(row.get("low"), row.get("high"))),
        Cell(p_value(row.get("p_holm")), "" if row.get("p_holm") is None else f"{p_value(row['p_corrected'])} alone"),
        Cell(said, str(row.get("note") or "")),
    ]


def _failures(summary: Summary) -> Table | None:
    rows = [
        [Cell(one["method"]), Cell(percent(one["fraction"])), Cell(str(one["repeat"])), Cell(str(one["reason"]))]
        for one in summary.get("failures") or []
    ]
    columns = ["Choice", "Fraction", "Repeat", "Reason"]
    return Table("Runs without a result", columns, rows, [""] * 4, numeric=False) if rows else None

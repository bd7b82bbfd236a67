"""What the page of a transfer study says."""

from typing import Any

from oligolearn.report import tables
from oligolearn.report.conclusion import verdict
from oligolearn.report.measures import GLOSSARY, MEASURES
from oligolearn.report.reading import Summary, nothing_learned, title
from oligolearn.report.tables import VERDICTS, Cell, Table
from oligolearn.report.transfer_conclusion import transfer_cautions, transfer_findings
from oligolearn.report.transfer_figures import method_looks
from oligolearn.report.transfer_reading import (
    METRIC,
    Row,
    Shown,
    adapted,
    budget_title,
    budgets,
    compared,
    point,
    ranked,
    with_labels,
)
from oligolearn.report.wording import (
    MISSING,
    count,
    decimal,
    joined,
    label_interval,
    labels,
    p_value,
    percent,
    points,
    sentence,
    span,
)

_WORDS = ("Label", "95% interval", "Point", "p", "Nadeau-Bengio corrected t", "Repeat")
_HOW = {"each": "each cohort by itself", "together": "all together"}
_SHIFTS = {
    "domain_auroc": "Source and target are told apart",
    "domain_auroc_within_classes": "The same within classes",
}


def transfer_words(summary: Summary) -> dict[str, Any]:
    """What the templates of a transfer study are filled in with, but for its figures."""
    data, design, found = summary["data"], summary["design"], transfer_findings(summary)
    repeats = design.get("repeats")
    return {
        **_tables(summary),
        "title": summary.get("title") or "Transfer to another cohort",
        "lead": found[0] if found else "The study has too few results to say anything.",
        "findings": found[1:],
        "cautions": transfer_cautions(summary),
        "nothing_learned": nothing_learned(summary),
        "facts": [
            (count(data.get("n_source")), "samples of sources"),
            (count(data.get("n_target")), "samples of the target"),
            (count(data.get("n_genes")), "shared genes"),
            (count(len(data.get("classes") or [])), "classes"),
            (count(repeats), "repeat" if repeats == 1 else "repeats"),
        ],
        "what_was_done": _what_was_done(summary),
        "methods": [
            (entry.get("title") or entry["name"], entry["name"], entry.get("description") or "")
            for entry in design["methods"]
        ],
        "colors": {title(summary, name): look.color for name, look in method_looks(summary).items()},
        "shift_notes": _shift_notes(summary),
        "glossary": {
            **{term: GLOSSARY[term] for term in _WORDS},
            "Source, target": "The cohorts with labels that are learned from, and the one whose samples are to be "
            "predicted.",
            "Source only, target only": "The bounds: logistic regression that knows nothing of the target, and one "
            "that knows nothing of the sources.",
            "Holm": "Correction for making many comparisons: for each question the chance of even one false alarm "
            "stays below 5%.",
            "Reverse validation": "The source names the classes of the target, and what learns from these names must "
            "name the source right: a check that needs no label of the target.",
            **{MEASURES[name].title: MEASURES[name].meaning for name in (METRIC, "accuracy", "auroc")},
        },
    }


def _what_was_done(summary: Summary) -> list[str]:
    """Sentences on the design that the notes on the data do not contain."""
    data, design = summary["data"], summary["design"]
    together = f", all samples of one {data['group']} on the same side" if data.get("group") else ""
    return [
        f"In each of {count(design.get('repeats'))} repeats the {count(data['n_target_labelled'])} labelled samples of "
        f"the target were split anew into {count(design['n_train'])} whose labels may be shown and "
        f"{count(design['n_test'])} that are tested, stratified by class{together}.",
        f"Methods saw all {count(data['n_source'])} samples of the sources and {count(design['n_seen'])} of the "
        "target, without its labels but for those shown; genes were standardised with these samples. No tested sample "
        "was seen.",
        "Smaller sets of labels are part of larger ones and the same for all methods, so that methods of a repeat are "
        "compared in pairs.",
    ]


def _shift_notes(summary: Summary) -> list[tuple[str, list[str]]]:
    """What each method found and did in the first repeat; what several say is said once."""
    told: dict[tuple[str, ...], list[str]] = {}
    for entry in summary["shift"]["methods"]:
        told.setdefault(tuple(map(str, entry["notes"])), []).append(title(summary, entry["method"]))
    return [(joined(names), list(notes)) for notes, names in told.items()]


def _tables(summary: Summary) -> dict[str, Any]:
    overview = scores_table(summary, METRIC)
    return {
        "overview": overview,
        "fragment_tables": [overview],
        "accuracy_table": scores_table(summary, "accuracy"),
        "per_budget": [
            (sentence(with_labels(shown)).removesuffix("."), table)
            for shown in budgets(summary)
            if (table := _differences(summary, shown)) is not None
        ],
        "replaced_table": _replaced(summary),
        "shift_table": _shift_table(summary),
        "samples": _samples(summary),
        "failures": _failures(summary),
        **tables.listings(summary),
    }


def scores_table(summary: Summary, metric: str) -> Table:
    """Mean score of every method at every number of labels, and its interval."""
    tried = budgets(summary)
    write = MEASURES[metric].write
    best = {shown: scores[0][1] for shown in tried if len(scores := ranked(summary, shown.fraction)) > 1}
    rows = []
    for name in [entry["name"] for entry in summary["design"]["methods"]]:
        cells = []
        for shown in tried:
            one = point(summary, name, shown.fraction, metric)
            interval = "" if one is None or one.low is None else f"{write(one.low)} to {write(one.high)}"
            marked = metric == METRIC and best.get(shown) == name and not nothing_learned(summary)
            text = MISSING if one is None else write(one.mean)
            cells.append(Cell(text, interval.replace("% to", " to"), marked))
        seconds = decimal((summary.get("seconds") or {}).get(name), 1)
        rows.append([Cell(title(summary, name)), *cells, Cell(seconds)])
    columns = ["Method", *(budget_title(shown).capitalize() for shown in tried), "Seconds"]
    hints = ["", *(f"{labels(shown.n_labels)} of the target" for shown in tried), "Of one run."]
    return Table(
        f"{MEASURES[metric].title} on held-out samples of the target: mean over the repeats and 95% interval",
        columns,
        rows,
        hints,
    )


def _differences(summary: Summary, shown: Shown) -> Table | None:
    """Paired differences at a number of labels, from the bound and from the simplest method."""
    bounds = summary["bounds"]
    rows = []
    for baseline in (bounds["source"], bounds["target"], bounds["simplest"]):
        for name in adapted(summary):
            row = compared(summary, name, baseline, shown.fraction)
            if row is not None:
                rows.append([Cell(title(summary, name), f"against {title(summary, baseline)}"), *_cells(summary, row)])
    columns = ["Difference in balanced accuracy", "Points", "95% interval", "p Holm", "Verdict"]
    hints = [
        "",
        "Percentage points, mean over the repeats.",
        "Of the mean paired difference.",
        "Nadeau-Bengio corrected paired t-test, after Holm's method over all comparisons that answer the same "
        "question; below it, before.",
        "At p Holm < 0.05.",
    ]
    return Table(f"Paired differences {with_labels(shown)}", columns, rows, hints) if rows else None


def _cells(summary: Summary, row: Row) -> list[Cell]:
    said = "noise: nothing was learned" if nothing_learned(summary) else VERDICTS[verdict(row)]
    alone = "" if row.get("p_holm") is None else f"{p_value(row['p_corrected'])} alone"
    return [
        Cell(points(row.get("difference")), f"{count(row.get('n_pairs'))} pairs"),
        Cell(span(row.get("low"), row.get("high")) or MISSING),
        Cell(p_value(row.get("p_holm")), alone),
        Cell(said, str(row.get("note") or "")),
    ]


def _replaced(summary: Summary) -> Table | None:
    """Labels of the target that alone give what each method reaches without any."""
    rows = [
        [
            Cell(title(summary, row["method"])),
            Cell(percent(row.get("accuracy"))),
            Cell(count(row.get("baseline_labels"))),
            Cell(label_interval(row.get("low"), row.get("high")) or MISSING),
            Cell(str(row.get("note") or "")),
        ]
        for row in summary.get("labels_replaced") or []
    ]
    baseline = title(summary, summary["bounds"]["target"])
    columns = ["Method", "Without a label", f"Labels of {baseline}", "95% interval", "Note"]
    hints = [
        "",
        "Balanced accuracy without labels of the target.",
        f"With how many labels {baseline} is as good, on its curve.",
        "Bootstrap over repeats.",
        "The baseline is what learns from labels of the target alone.",
    ]
    return Table("Labels of the target that do as much", columns, rows, hints) if rows else None


def _shift_table(summary: Summary) -> Table | None:
    """How far apart the domains are, and how each method standardised them."""
    shift = summary["shift"]
    if not shift["methods"]:
        return None
    rows = [
        [
            Cell(text, "AUROC, mean over the repeats; .5 is not at all, 1 always"),
            Cell(decimal(shift["measures"][key], 2)),
        ]
        for key, text in _SHIFTS.items()
    ]
    repeats = summary["design"].get("repeats")
    for entry in shift["methods"]:
        done = [
            f"{_HOW.get(how, how)} in {count(n)} of {count(repeats)} repeats" for how, n in entry["standardize"].items()
        ]
        rows.append([Cell(title(summary, entry["method"]), "genes standardised"), Cell(joined(done))])
    return Table("Shift between the cohorts", ["What", "Found"], rows, ["", ""], numeric=False)


def _samples(summary: Summary) -> Table:
    rows = [
        [Cell(str(one["name"])), *(cell for key in ("n_source", "n") for cell in _share(summary, one, key))]
        for one in summary["data"]["classes"]
    ]
    columns = ["Class", "Sources", "Share", "Target", "Share"]
    return Table("Labelled samples of each class", columns, rows, [""] * 5)


def _share(summary: Summary, one: Row, key: str) -> list[Cell]:
    total = sum(entry[key] for entry in summary["data"]["classes"])
    return [Cell(count(one[key])), Cell(percent(one[key] / total if total else None))]


def _failures(summary: Summary) -> Table | None:
    rows = [
        [
            Cell(title(summary, one["method"])),
            Cell(count(one["n_labels"])),
            Cell(str(one["repeat"])),
            Cell(str(one["reason"])),
        ]
        for one in summary.get("failures") or []
    ]
    columns = ["Method", "Labels", "Repeat", "Reason"]
    return Table("Runs without a result", columns, rows, [""] * 4, numeric=False) if rows else None

"""The tables of a report: what stands in each cell, already written out."""

import json
from typing import Any, NamedTuple

from oligolearn.report.conclusion import verdict
from oligolearn.report.measures import measures_of, scale_of
from oligolearn.report.needed import ANSWERED, about, interval, needed_rows, target_of
from oligolearn.report.reading import (
    Summary,
    against_itself,
    comparisons,
    curve,
    label_numbers,
    nothing_learned,
    pairs,
    ranking,
    recalls,
    title,
    titles,
)
from oligolearn.report.wording import MISSING, count, known, labels, p_value, percent, span

VERDICTS = {"raises": "better", "lowers": "worse", "none": "no detectable difference", "untested": "not tested"}


class Cell(NamedTuple):
    """One cell: what it says, in smaller type what qualifies it, and whether it is the best of its kind."""

    text: str
    small: str = ""
    best: bool = False


class Table(NamedTuple):
    """A table; the first cell of a row names the row, the hint of a column explains it."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    hints: list[str]
    numeric: bool = True


def overview(summary: Summary) -> Table:
    """Main score of every method at every number of labels."""
    names, how = titles(summary), scale_of(summary)
    rows = []
    for number in label_numbers(summary):
        scores = [_score(summary, name, how.metric, number) for name in names]
        fraction = next(entry["fraction"] for entry in summary["curves"] if entry["n_labels"] == number)
        rows.append(
            [
                Cell(labels(number), percent(fraction, 0 if fraction >= 0.1 else 1)),
                *_mark_best(summary, scores, how.metric, _whole(summary, number)),
            ]
        )
    caption = f"{how.title} on held-out samples, with its 95% interval"
    return Table(caption, ["Labels", *names.values()], rows, [""] * (1 + len(names)))


def scores_at(summary: Summary, number: int) -> Table:
    """Every score of every method at one number of labels."""
    names, measures = titles(summary), measures_of(summary)
    metrics = [
        metric for metric in measures if any(metric in (entry.get("metrics") or {}) for entry in summary["curves"])
    ]
    by_metric, whole = [], _whole(summary, number)
    for metric in metrics:
        column = [_score(summary, name, metric, number) for name in names]
        marked = _mark_best(summary, column, metric, whole)
        by_metric.append(column if metric == "seconds" else marked)
    runs = {entry["method"]: entry.get("n_runs") for entry in summary["curves"] if entry["n_labels"] == number}
    rows = [
        [Cell(text), *(column[i] for column in by_metric), Cell(count(runs.get(name)))]
        for i, (name, text) in enumerate(names.items())
    ]
    columns = ["Method", *(measures[metric].title for metric in metrics), "Runs"]
    hints = ["", *(measures[metric].meaning for metric in metrics), "Repeats that this row is the mean of."]
    return Table(f"Scores with {labels(number)}: mean over the repeats and 95% interval", columns, rows, hints)


def differences_at(summary: Summary, number: int) -> Table | None:
    """Paired differences in the main score at one number of labels; None when nothing was compared."""
    how = scale_of(summary)
    rows = [
        [Cell(f"{title(summary, method)} − {title(summary, baseline)}"), *_difference(summary, row)]
        for method, baseline in sorted(pairs(summary), key=lambda pair: not against_itself(summary, pair))
        for row in comparisons(summary, method, baseline)
        if row["n_labels"] == number
    ]
    size = "Points" if how.unit else "Size"
    columns = [f"Difference in {how.name}", size, "95% interval", "p Student", "p corrected", "p Holm", "Verdict"]
    hints = [
        "",
        "Percentage points, mean over the repeats." if how.unit else "Mean over the repeats.",
        "Of the mean paired difference.",
        "Paired t-test; optimistic here.",
        "Nadeau-Bengio corrected paired t-test.",
        "The corrected p after Holm's method over the numbers of labels.",
        "At p Holm < 0.05.",
    ]
    return Table(f"Paired differences with {labels(number)}", columns, rows, hints) if rows else None


def _difference(summary: Summary, row: dict[str, Any]) -> list[Cell]:
    said = "noise: nothing was learned" if nothing_learned(summary) else VERDICTS[verdict(row)]
    how = scale_of(summary)
    return [
        Cell(how.change(row.get("difference")), f"{count(row.get('n_pairs'))} pairs"),
        Cell(span(row.get("low"), row.get("high"), how.change) or MISSING),
        *(Cell(p_value(row.get(key))) for key in ("p_student", "p_corrected", "p_holm")),
        Cell(said, str(row.get("note") or "")),
    ]


def labels_needed(summary: Summary) -> Table | None:
    """Labels that each method needs for the target; None in summaries that know no target."""
    rows = [
        [
            Cell(title(summary, row["method"])),
            Cell(about(row["labels"]) if row["status"] in ANSWERED else "cannot say", row["status"]),
            Cell(interval(row) or MISSING),
            Cell(percent((row.get("limit") or {}).get("median")), _limit(row)),
            Cell(percent(row.get("reachable"), 0)),
            Cell(str(row.get("note") or "")),
        ]
        for row in needed_rows(summary)
    ]
    columns = ["Method", "Labels needed", "95% interval", "Levels off at", "Reached within ten times", "Remark"]
    hints = [
        "",
        "Labelled training samples for the target; the middle of what the curves say.",
        "Open where it leaves ten times the most labels that were tried.",
        "Accuracy that the curve comes near with ever more labels, with its 95% interval.",
        "Chance of reaching the target with up to ten times the most labels that were tried.",
        "",
    ]
    caption = f"Labels needed for an accuracy of {percent(target_of(summary))}" if rows else ""
    return Table(caption, columns, rows, hints) if rows else None


def _limit(row: dict[str, Any]) -> str:
    limit = row.get("limit") or {}
    return f"{percent(limit['low'])} to {percent(limit['high'])}" if limit else ""


def saved(summary: Summary) -> Table | None:
    """Labels saved at an equal score; None when it was not computed."""
    how = scale_of(summary)
    rows = [
        [
            Cell(title(summary, entry["method"]), f"against {title(summary, entry['baseline'])}"),
            Cell(count(entry["n_labels"])),
            Cell(how.write(entry.get("accuracy"))),
            Cell(count(entry.get("baseline_labels"))),
            Cell(count(entry.get("saved")), _range(entry)),
            Cell(str(entry.get("note") or "")),
        ]
        for entry in summary.get("labels_saved") or []
    ]
    columns = ["Method", "Labels", how.title, "Baseline needs", "Saved", "Note"]
    hints = [
        "",
        "Labels the method was given.",
        "What it reaches with them.",
        f"Labels the baseline needs for that {how.name}.",
        "The difference, with a bootstrap interval.",
        "",
    ]
    return Table(f"Labels saved at equal {how.name}", columns, rows, hints) if rows else None


def recall_table(summary: Summary) -> Table | None:
    """Recall of every class by every method at the chosen fraction; None when it was not computed."""
    confusion = summary.get("confusion") or {}
    matrices = confusion.get("methods") or {}
    if not matrices:
        return None
    by_method = [recalls(matrix) for matrix in matrices.values()]
    support = [sum(row) for row in next(iter(matrices.values()))]
    rows = [
        [Cell(str(name), f"{count(support[i])} predictions"), *(Cell(percent(column[i], 0)) for column in by_method)]
        for i, name in enumerate(confusion["classes"])
    ]
    columns = ["Class", *(title(summary, name) for name in matrices)]
    return Table(f"Recall of each class with {labels(confusion['n_labels'])}", columns, rows, [""] * len(columns))


def learned(summary: Summary) -> Table | None:
    """Balanced accuracy, or the correlation, against guessing; None when it was not tested."""
    how = scale_of(summary)
    numbers = {entry["fraction"]: entry["n_labels"] for entry in summary["curves"]}
    rows = [
        [
            Cell(title(summary, row["method"]), f"with {labels(numbers.get(row['fraction']))}"),
            Cell(how.write_judged(row.get(how.judged))),
            Cell(how.write_judged(row.get("chance"))),
            Cell(p_value(row.get("p"))),
        ]
        for row in (summary.get("learned") or {}).get("rows") or []
    ]
    judged = measures_of(summary)[how.judged]
    columns = ["Method", judged.title, "Guessing", "p"]
    hints = ["", judged.meaning, "What guessing gives.", "Of being at guessing by accident."]
    return Table(f"{judged.title} against guessing", columns, rows, hints) if rows else None


def samples(summary: Summary) -> Table:
    """Samples of each class, or of each range of numbers."""
    ranges = summary["data"].get("ranges") or []
    classes = ranges or summary["data"].get("classes") or []
    total = sum(entry["n"] for entry in classes)
    rows = [
        [Cell(str(entry["name"])), Cell(count(entry["n"])), Cell(percent(entry["n"] / total if total else None))]
        for entry in classes
    ]
    what = "range" if ranges else "class"
    columns, hints = [what.capitalize(), "Samples", "Share"], ["", "", "Of the labelled samples."]
    return Table(f"Labelled samples of each {what}", columns, rows, hints)


def fractions(summary: Summary) -> Table:
    """Which numbers of labels were tried, and which had to be raised."""
    rows = [
        [Cell(percent(entry["fraction"], 1)), Cell(count(entry["n_labels"])), Cell(str(entry.get("note") or ""))]
        for entry in summary["design"].get("fractions") or []
    ]
    return Table("Numbers of labels tried", ["Share of the training labels", "Labels", "Note"], rows, [""] * 3)


def failures(summary: Summary) -> Table | None:
    """Runs that gave no result and why; None when all did."""
    rows = [
        [
            Cell(title(summary, str(entry.get("method")))),
            Cell(percent(entry.get("fraction"))),
            Cell(str(entry.get("repeat"))),
            Cell(str(entry.get("reason"))),
        ]
        for entry in summary.get("failures") or []
    ]
    return (
        Table("Runs without a result", ["Method", "Fraction", "Repeat", "Reason"], rows, [""] * 4, numeric=False)
        if rows
        else None
    )


def listings(summary: Summary) -> dict[str, Table]:
    """What a study was made of: its data, settings and versions."""
    about = {
        key: value
        for key, value in summary["data"].items()
        if key not in ("classes", "ranges", "notes") and value is not None
    }
    return {
        "about": listing("Data", about),
        "settings": listing("Settings", {"seed": summary.get("seed"), **(summary.get("settings") or {})}),
        "versions": listing("Versions", summary.get("versions") or {}),
    }


def listing(caption: str, items: dict[str, Any]) -> Table:
    """Two columns of names and values."""
    rows = [
        [Cell(str(name)), Cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))]
        for name, value in items.items()
    ]
    return Table(caption, ["Name", "Value"], rows, ["", ""], numeric=False)


def _range(entry: dict[str, Any]) -> str:
    low, high = known(entry.get("low")), known(entry.get("high"))
    return f"{count(low)} to {count(high)}" if low is not None and high is not None else ""


def _score(summary: Summary, method: str, metric: str, number: int) -> Cell:
    write = measures_of(summary)[metric].write
    for point in curve(summary, method, metric):
        if point.n_labels == number:
            interval = f"{write(point.low)} to {write(point.high)}" if point.low is not None else ""
            return Cell(write(point.mean), interval.replace("% to", " to"))
    return Cell(MISSING)


def _whole(summary: Summary, number: int) -> list[bool]:
    """Which methods have all repeats at a number of labels."""
    ranked = {name for _, name in ranking(summary, number)}
    return [name in ranked for name in titles(summary)]


def _mark_best(summary: Summary, cells: list[Cell], metric: str, whole: list[bool]) -> list[Cell]:
    """Mark the cells whose number, as written, is the best of those that are means of all repeats.

    None is when nothing was learned or all are alike.
    """
    values = [_as_written(cell.text) if all_there else None for cell, all_there in zip(cells, whole, strict=True)]
    present = [value for value in values if value is not None]
    if nothing_learned(summary) or len(set(present)) < 2:
        return cells
    best = max(present) if measures_of(summary)[metric].higher_is_better else min(present)
    return [cell._replace(best=value == best) for cell, value in zip(cells, values, strict=True)]


def _as_written(text: str) -> float | None:
    """Number that a score was written as; None for the dash of a missing one."""
    return None if text == MISSING else float(text.rstrip("%").replace("−", "-").replace(",", ""))

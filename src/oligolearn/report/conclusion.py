"""The conclusion of a study in sentences, each generated from the numbers it states."""

from itertools import groupby
from typing import Any

from oligolearn.report.measures import Scale, scale_of
from oligolearn.report.needed import answers
from oligolearn.report.reading import (
    BASELINES,
    SIMPLE,
    Summary,
    comparisons,
    curve,
    label_numbers,
    main_pairs,
    nothing_learned,
    ranking,
    recalls,
    title,
    titles,
)
from oligolearn.report.wording import (
    count,
    joined,
    known,
    label_interval,
    labels,
    p_equals,
    percent,
    points,
    sentence,
    span,
)

ALPHA = 0.05
_FEWEST_ALIKE = 3  # methods that share a sentence where none of them makes a difference
_MOST_CLAUSES = 3  # beyond this many changes of direction a sentence is replaced by a list

Row = dict[str, Any]


def findings(summary: Summary) -> list[str]:
    """Sentences on what was found, the most important first; `summary` as `checked` returns it."""
    if nothing_learned(summary):
        return _nothing_learned(summary)
    compared = [comparisons(summary, method, baseline) for method, baseline in main_pairs(summary)]
    sentences = _differences(summary, compared) or _alone(summary)
    sentences += [*answers(summary), *_best(summary), *_weak_classes(summary), *_not_learned(summary)]
    for rows in compared:
        sentences += _lost_to_holm(summary, rows)
    sentences += _how_tested(summary)
    return [sentence(text) for text in sentences if text]


def cautions(summary: Summary) -> list[str]:
    """Sentences on what limits the findings; `summary` as `checked` returns it."""
    found = [str(warning) for warning in summary.get("warnings") or []]
    if summary["design"].get("split") == "fixed":
        found.append(
            "the split is fixed, so intervals and p values speak of other starting weights on these same samples, not "
            "of other patients"
        )
    runs = {
        (failure.get("method"), failure.get("fraction"), failure.get("repeat"))
        for failure in summary.get("failures") or []
    }
    if runs:
        verb = "run failed and is" if len(runs) == 1 else "runs failed and are"
        found.append(
            f"{count(len(runs))} {verb} missing from every number here, and methods with fewer runs than others from "
            "every ranking; the reasons are listed with the study"
        )
    return [sentence(text) for text in found]


def verdict(row: Row) -> str:
    """What one comparison allows to say: ``raises``, ``lowers``, ``none`` or ``untested``."""
    difference, p = known(row.get("difference")), known(row.get("p_holm"))
    if difference is None or p is None:
        return "untested"
    if p >= ALPHA or difference == 0:
        return "none"
    return "raises" if difference > 0 else "lowers"


def _nothing_learned(summary: Summary) -> list[str]:
    how = scale_of(summary)
    rows = [row for row in summary["learned"].get("rows") or [] if known(row.get(how.judged)) is not None]
    detail = ""
    if rows:
        top = max(rows, key=lambda row: row[how.judged])
        detail = (
            f" (the highest {how.judged_name} is {how.write_judged(top[how.judged])}, "
            f"by {_named(summary, top['method'])}; guessing gives {how.write_judged(top.get('chance'))})"
        )
    sentences = [
        "Nothing was learned: on held-out samples the methods are no better than chance, as far as these repeats can "
        f"tell{detail}",
        "Differences between the methods are therefore noise, whatever their p values, and none is claimed",
    ]
    return [sentence(text) for text in sentences]


def _differences(summary: Summary, compared: list[list[Row]]) -> list[str]:
    """Sentences on each comparison; one for all methods, but the first, that are no different from a baseline."""
    each = [
        [_difference(summary, rows), *_labels_saved(summary, rows), *_contradicted(summary, rows)] for rows in compared
    ]
    alike: dict[str, list[int]] = {}
    for i, (rows, said) in enumerate(zip(compared, each, strict=True)):
        if i and len(said) == 1 and {verdict(row) for row in rows} == {"none"}:
            alike.setdefault(rows[0]["baseline"], []).append(i)
    for places in alike.values():
        if len(places) >= _FEWEST_ALIKE:
            each[places[0]] = [_none_differs(summary, [compared[i] for i in places])]
            for i in places[1:]:
                each[i] = []
    return [text for said in each for text in said]


def _none_differs(summary: Summary, compared: list[list[Row]]) -> str:
    subjects = [title(summary, rows[0]["method"]) for rows in compared]
    listed = "; ".join(subjects) if any("," in subject for subject in subjects) else joined(subjects)
    how = scale_of(summary)
    row = max((row for rows in compared for row in rows), key=lambda row: abs(row["difference"]))
    interval = span(row.get("low"), row.get("high"), how.change)
    return (
        f"none of {listed} makes a detectable difference to {how.name} at any number of labels tried, compared "
        f"with {_named(summary, row['baseline'])}; the largest seen was that of {_named(summary, row['method'])}, with "
        f"{labels(row['n_labels'])}: {how.difference(row['difference'])} ({f'95% CI {interval}, ' if interval else ''}"
        f"{p_equals(row['p_holm'])})"
    )


def _difference(summary: Summary, rows: list[Row]) -> str:
    """One sentence on a method against a baseline over all numbers of labels."""
    subject, how = title(summary, rows[0]["method"]), scale_of(summary)
    versus = f"compared with {_named(summary, rows[0]['baseline'])}"
    verdicts = {verdict(row) for row in rows}
    if verdicts == {"untested"}:
        return _untested(rows, subject, versus, how)
    if verdicts == {"none"}:
        return _no_difference(rows, subject, versus, how)
    runs = [(kind, list(group)) for kind, group in groupby(rows, key=verdict)]
    if len(runs) > _MOST_CLAUSES:
        return f"{subject} gives a mixed picture {versus}: {_mixed(rows, how)}"
    clauses = [_clause(kind, run, rows, how) for kind, run in runs]
    return f"{subject} {', and '.join(clauses)}, {versus}"


def _untested(rows: list[Row], subject: str, versus: str, how: Scale) -> str:
    first, last = rows[0], rows[-1]
    seen = [
        f"{how.difference(row.get('difference'))} with {labels(row['n_labels'])}"
        for row in ([first] if first is last else [first, last])
        if known(row.get("difference")) is not None
    ]
    observed = f"; observed: {joined(seen)}" if seen else ""
    return f"whether {subject} changes {how.name}, {versus}, cannot be tested: {_why_untested(first)}{observed}"


def _why_untested(row: Row) -> str:
    if (row.get("n_pairs") or 0) == 1:
        return "there is only one repeat, so no interval and no p value"
    if (row.get("n_pairs") or 0) == 0:
        return "no repeat has a result for both"
    return str(row.get("note") or "the test is undefined").strip().rstrip(".")


def _no_difference(rows: list[Row], subject: str, versus: str, how: Scale) -> str:
    largest = max(rows, key=lambda row: abs(row["difference"]))
    where = (
        f"with {labels(rows[0]['n_labels'])}"
        if len(rows) == 1
        else f"at any number of labels tried ({count(rows[0]['n_labels'])} to {count(rows[-1]['n_labels'])})"
    )
    lead = "it was" if len(rows) == 1 else f"the largest seen was, with {labels(largest['n_labels'])},"
    interval = span(largest.get("low"), largest.get("high"), how.change)
    details = f" ({f'95% CI {interval}, ' if interval else ''}{p_equals(largest['p_holm'])})"
    return (
        f"{subject} makes no detectable difference to {how.name} {where}, {versus}; "
        f"{lead} {how.difference(largest['difference'])}{details}"
    )


def _clause(kind: str, run: list[Row], rows: list[Row], how: Scale) -> str:
    """Verb phrase for neighbouring numbers of labels with the same verdict."""
    if kind == "none":
        return f"makes no detectable difference {_where(run, rows)}"
    if kind == "untested":
        return f"cannot be tested {_where(run, rows)} ({_why_untested(run[0])})"
    first, last = run[0], run[-1]
    text = f"{kind} {how.name} by {how.size(first['difference'])} with {labels(first['n_labels'])}"
    text += f" ({_evidence(first, how)})"
    if len(run) > 1:
        still = "" if len(run) == 2 else "still "
        text += (
            f" and {still}by {how.size(last['difference'])} with {labels(last['n_labels'])} ({_evidence(last, how)})"
        )
    return text


def _where(run: list[Row], rows: list[Row]) -> str:
    first, last = run[0]["n_labels"], run[-1]["n_labels"]
    if len(run) == 1:
        return f"with {labels(first)}"
    if run[-1] is rows[-1]:
        return f"with {labels(first)} or more"
    return f"with up to {labels(last)}" if run[0] is rows[0] else f"with {count(first)} to {labels(last)}"


def _mixed(rows: list[Row], how: Scale) -> str:
    parts = []
    for kind in ("raises", "lowers"):
        chosen = [row for row in rows if verdict(row) == kind]
        if chosen:
            largest = max(chosen, key=lambda row: abs(row["difference"]))
            numbers = joined([count(row["n_labels"]) for row in chosen])
            most = f"most with {count(largest['n_labels'])}: " if len(chosen) > 1 else ""
            size = how.size(largest["difference"])
            parts.append(f"it {kind} {how.name} with {numbers} labels ({most}{size}, {_evidence(largest, how)})")
    for kind, words in (("none", "there is no detectable difference with"), ("untested", "nothing can be tested with")):
        if there := [count(row["n_labels"]) for row in rows if verdict(row) == kind]:
            parts.append(f"{words} {joined(there)} labels")
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _evidence(row: Row, how: Scale) -> str:
    low, high = known(row.get("low")), known(row.get("high"))
    if low is not None and high is not None and row["difference"] < 0:
        low, high = -high, -low
    interval = span(low, high, how.change)
    return f"95% CI {interval}, {p_equals(row['p_holm'])}" if interval else p_equals(row["p_holm"])


def _lost_to_holm(summary: Summary, rows: list[Row]) -> list[str]:
    """Differences significant alone but not after looking at all numbers of labels."""
    lost = [row for row in rows if verdict(row) == "none" and (known(row.get("p_corrected")) or 1) < ALPHA]
    if not lost:
        return []
    how = scale_of(summary)
    items = [
        f"with {labels(row['n_labels'])} ({how.difference(row['difference'])}, {p_equals(row['p_corrected'])} alone, "
        f"{p_equals(row['p_holm'])} adjusted)"
        for row in lost
    ]
    pair = f"{title(summary, rows[0]['method'])} and {_named(summary, rows[0]['baseline'])}"
    return [
        f"a hint, not a finding: {pair} differ {joined(items)}, which does not survive Holm's correction "
        f"for looking at {count(len(rows))} numbers of labels"
    ]


def _labels_saved(summary: Summary, rows: list[Row]) -> list[str]:
    """What the gain is worth in labels, at the fewest labels where there is one."""
    gains = [row["n_labels"] for row in rows if verdict(row) == "raises"]
    pair = (rows[0]["method"], rows[0]["baseline"])
    for entry in sorted(summary.get("labels_saved") or [], key=lambda entry: entry["n_labels"]):
        if gains and (entry["method"], entry["baseline"], entry["n_labels"]) == (*pair, gains[0]):
            return _saved(summary, entry)
    return []


def _saved(summary: Summary, entry: Row) -> list[str]:
    method, baseline = title(summary, entry["method"]), _named(summary, entry["baseline"])
    saved, note = known(entry.get("saved")), str(entry.get("note") or "").strip()
    start = f"with {labels(entry['n_labels'])} {method} reaches {scale_of(summary).write(entry.get('accuracy'))}"
    if saved is None:
        return [f"{start}; {note}"] if note else []
    if saved <= 0:
        return []
    ends = label_interval(known(entry.get("low")), known(entry.get("high")))
    interval = f" (95% CI {ends})" if ends else ""
    aside = f"; {note}" if note else ""
    return [
        f"{start}, for which {baseline} needs about {labels(entry.get('baseline_labels'))}: "
        f"about {labels(round(saved))} saved{interval}{aside}"
    ]


def _contradicted(summary: Summary, rows: list[Row]) -> list[str]:
    """Where balanced accuracy moves the other way: the gain is paid for by rare classes, or the reverse."""
    accuracy = {row["n_labels"]: verdict(row) for row in rows}
    pair = (rows[0]["method"], rows[0]["baseline"])
    against = [
        row
        for row in comparisons(summary, *pair, "balanced_accuracy")
        if {verdict(row), accuracy.get(row["n_labels"])} == {"raises", "lowers"}
    ]
    if not against:
        return []
    items = [
        f"with {labels(row['n_labels'])} ({points(row['difference'])} points, {p_equals(row['p_holm'])})"
        for row in against
    ]
    return [
        f"balanced accuracy, which counts every class alike, says the opposite of {title(summary, pair[0])} "
        f"{joined(items)}"
    ]


def _alone(summary: Summary) -> list[str]:
    """What the only method reaches with the fewest and the most labels."""
    if len(titles(summary)) > 1:
        return []
    how, name = scale_of(summary), next(iter(titles(summary)))
    reached = [point for point in curve(summary, name, how.metric) if point.mean is not None]
    parts = []
    for point in dict.fromkeys(reached[:1] + reached[-1:]):
        interval = f" (95% CI {how.interval(point.low, point.high)})" if point.low is not None else ""
        parts.append(f"{how.write(point.mean)}{interval} with {labels(point.n_labels)}")
    said = f"{_named(summary, name)} has a mean {how.name} of {joined(parts)}; it was compared with no other"
    return [said] if parts else []


def _best(summary: Summary) -> list[str]:
    """The method with the highest mean score at the fewest and at the most labels."""
    numbers = label_numbers(summary)
    ends = [(number, ranking(summary, number)) for number in sorted({numbers[0], numbers[-1]})]
    ends = [(number, scores) for number, scores in ends if len(scores) > 1]
    if not ends:
        return []
    winners = {scores[0][1] for _, scores in ends}
    if len(winners) == 1 and winners <= set(SIMPLE) and len(ends) > 1:
        name = _named(summary, ends[0][1][0][1])
        parts = joined([f"{_score(summary, scores, number)} with {labels(number)}" for number, scores in ends])
        most = f"the highest mean {scale_of(summary).name} at both ends"
        start = _simple_first(summary, ends)
        return [f"{start}{name} has {most}, {parts}"]
    return [_winner(summary, number, scores) for number, scores in ends]


def _simple_first(summary: Summary, ends: list[tuple[int, list[tuple[float, str]]]]) -> str:
    """What to say first where a simple baseline has the highest mean: it wins only if its lead can be detected."""
    led = [
        _lead_verdict(summary, scores[0][1], name, number) == "raises"
        for number, scores in ends
        for mean, name in scores[1:]
        if name not in SIMPLE and mean < scores[0][0]
    ]
    return "a simple baseline wins: " if led and all(led) else "no method beats a simple baseline: "


def _winner(summary: Summary, number: int, scores: list[tuple[float, str]]) -> str:
    name = scores[0][1]
    simple = _simple_first(summary, [(number, scores)]) if name in SIMPLE else ""
    found = f"with {labels(number)}, {_named(summary, name)} has the highest mean {scale_of(summary).name}, "
    found += _score(summary, scores, number)
    return simple + found


def _score(summary: Summary, scores: list[tuple[float, str]], number: int) -> str:
    """Score of the first of `scores` with its interval, and its lead over the second."""
    how = scale_of(summary)
    (mean, name), (second, runner_up) = scores[:2]
    point = next(point for point in curve(summary, name, how.metric) if point.n_labels == number)
    interval = f" (95% CI {how.interval(point.low, point.high)})" if point.low is not None else ""
    lead = mean - second
    after = (
        f"level with {_named(summary, runner_up)}"
        if lead == 0
        else (f"{how.size(lead)} ahead of {_named(summary, runner_up)}{_lead_tested(summary, name, runner_up, number)}")
    )
    return f"{how.write(mean)}{interval}, {after}"


def _lead_verdict(summary: Summary, first: str, second: str, number: int) -> str:
    """`verdict` on the first method over the second, whichever of them was compared with the other."""
    turned = {"raises": "lowers", "lowers": "raises"}
    found = [verdict(row) for row in comparisons(summary, first, second) if row["n_labels"] == number]
    other_way = [verdict(row) for row in comparisons(summary, second, first) if row["n_labels"] == number]
    return next(iter([*found, *(turned.get(one, one) for one in other_way)]), "untested")


def _lead_tested(summary: Summary, first: str, second: str, number: int) -> str:
    return {
        "raises": "",
        "lowers": " (on other repeats; behind it on those of both)",
        "none": " (not a detectable lead)",
        "untested": " (not tested)",
    }[_lead_verdict(summary, first, second, number)]


def _weak_classes(summary: Summary) -> list[str]:
    """Classes that the best method misses more often than it finds."""
    confusion = summary.get("confusion") or {}
    matrices = confusion.get("methods") or {}
    scores = [name for _, name in ranking(summary, confusion.get("n_labels") or 0) if name in matrices]
    if not scores:
        return []
    shares = zip(confusion["classes"], recalls(matrices[scores[0]]), strict=True)
    weak = sorted((share, str(name)) for name, share in shares if share is not None and share < 0.5)
    if not weak:
        return []
    named = joined([f"{name} ({percent(share, 0)})" for share, name in weak[:3]])
    more = f", and {count(len(weak) - 3)} more" if len(weak) > 3 else ""
    return [
        f"with {labels(confusion['n_labels'])} even {_named(summary, scores[0])} recognises fewer than half "
        f"of the samples of {count(len(weak))} of {count(len(confusion['classes']))} classes: {named}{more}"
    ]


def _not_learned(summary: Summary) -> list[str]:
    """Methods and label numbers for which learning could not be shown, when it could for others."""
    learned = summary.get("learned") or {}
    if learned.get("any") is None:
        return [f"whether anything was learned cannot be tested: {learned['note']}"] if learned.get("note") else []
    numbers = {entry["fraction"]: entry["n_labels"] for entry in summary["curves"]}
    failed = [row for row in learned.get("rows") or [] if (known(row.get("p")) or 0) >= ALPHA]
    items = [f"{_named(summary, row['method'])} with {labels(numbers.get(row['fraction']))}" for row in failed]
    if not items:
        return []
    more = f" and {count(len(items) - 4)} more" if len(items) > 4 else ""
    return [f"not shown to beat guessing: {'; '.join(items[:4])}{more}"]


def _how_tested(summary: Summary) -> list[str]:
    rows = [row for pair in main_pairs(summary) for row in comparisons(summary, *pair)]
    if all(verdict(row) == "untested" for row in rows):
        return []
    number = len({row["n_labels"] for row in rows})
    each = ", each pair of methods by itself" if len(main_pairs(summary)) > 1 else ""
    holm = f", adjusted by Holm's method for {count(number)} numbers of labels{each}" if number > 1 else ""
    corrected = any(known(row.get("p_corrected")) is not None for row in rows)
    test = "the Nadeau-Bengio corrected t-test" if corrected else "Student's t-test"
    return [f"all p values here are those of {test} on paired repeats{holm}"]


def _named(summary: Summary, method: str) -> str:
    """Title of a method inside a sentence: baselines begin in lower case unless they are acronyms."""
    text = title(summary, method)
    if method in BASELINES and text[1:2].islower():
        text = text[0].lower() + text[1:]
    return f"the {text}" if method in ("scratch", "untrained") and not text.lower().startswith("the ") else text

"""The conclusion of a transfer study in sentences, each generated from the numbers it states."""

from collections.abc import Sequence

from oligolearn.report.conclusion import verdict
from oligolearn.report.reading import Summary, nothing_learned, title
from oligolearn.report.sweep_conclusion import judged
from oligolearn.report.transfer_reading import (
    Row,
    Shown,
    adapted,
    budgets,
    compared,
    point,
    ranked,
    with_labels,
)
from oligolearn.report.wording import (
    count,
    joined,
    known,
    label_interval,
    p_equals,
    percent,
    points,
    sentence,
    size_in_points,
)

_MOST_NAMED = 4


def transfer_findings(summary: Summary) -> list[str]:
    """Sentences on what was found, the most important first; `summary` as `checked` returns it."""
    if nothing_learned(summary):
        found = [
            "Nothing was learned: on held-out samples of the target nothing is better than chance, not even what knows "
            "labels of the target",
            "Differences between the methods are therefore noise, whatever their p values, and none is claimed",
        ]
        return [sentence(text) for text in found]
    without = [_does_it_help(summary), *_others(summary)]
    with_some = [_labels_replaced(summary), *_with_few_labels(summary)]
    simplest = _against_simplest(summary)
    # the first sentence stands alone in large letters
    found = [*without, simplest, *with_some] if without[0] else [*with_some, simplest]
    found += [_left_to_gain(summary), *_how_tested(summary)]
    return [sentence(text) for text in found if text]


def transfer_cautions(summary: Summary) -> list[str]:
    """Sentences on what limits the findings; `summary` as `checked` returns it."""
    found = [str(warning) for warning in summary.get("warnings") or []]
    what = "source is" if len(summary["data"]["sources"]) == 1 else "sources are"
    found.append(
        f"the {what} the same in every repeat: intervals and p values speak of other samples of this target, not of "
        "other studies"
    )
    failures = summary.get("failures") or []
    if failures:
        named = joined(list(dict.fromkeys(title(summary, one["method"]) for one in failures)))
        verb = "run failed and is" if len(failures) == 1 else "runs failed and are"
        found.append(
            f"{count(len(failures))} {verb} missing from every number here ({named}), and methods with fewer runs than "
            "others from every ranking; the reasons are listed with the study"
        )
    return [sentence(text) for text in found]


def _none_shown(summary: Summary) -> Shown | None:
    """The budget without labels, where adaptations were tried at it."""
    first = budgets(summary)[0]
    return first if first.n_labels == 0 and ranked(summary, first.fraction) else None


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% CI {percent(low)} to {percent(high)})"


def _spoken_of(summary: Summary, shown: Shown) -> str:
    """The method of the first sentence: the best of those that are detectably better than the source, or of all."""
    names = [name for _, name in ranked(summary, shown.fraction)]
    against = {name: compared(summary, name, summary["bounds"]["source"], shown.fraction) for name in names}
    better = [name for name, row in against.items() if row is not None and verdict(row) == "raises"]
    return (better or names)[0]


def _does_it_help(summary: Summary) -> str:
    """A method without labels of the target, against what knows the sources alone."""
    shown, bound = _none_shown(summary), summary["bounds"]["source"]
    if shown is None:
        return ""
    scores, name = ranked(summary, shown.fraction), _spoken_of(summary, shown)
    best, of_source = next(one for one, other in scores if other == name), point(summary, bound, shown.fraction)
    row = compared(summary, name, bound, shown.fraction)
    place = "the best of" if name == scores[0][1] else "the best that is detectably better, of"
    among = f"{place} {count(len(scores))} methods, " if len(scores) > 1 else ""
    reached = (
        f"{with_labels(shown)}, {among}{title(summary, name)}{',' if among else ''} reaches a balanced accuracy of "
        f"{percent(best.mean)}{_interval(best.low, best.high)}"
    )
    if row is None or of_source is None:
        return f"{reached}; {title(summary, bound)} has no result to compare it with"
    where = "above" if row["difference"] >= 0 else "below"
    against = f"{size_in_points(row['difference'])} {where} the {percent(of_source.mean)} of {title(summary, bound)}"
    says = {
        "raises": "Adaptation helps here",
        "lowers": "Adaptation does harm here",
        "none": "Adaptation makes no detectable difference here",
        "untested": "Whether adaptation helps here cannot be tested",
    }[verdict(row)]
    return f"{says}: {reached}, {against}{judged(row).replace(': no detectable difference', '')}"


def _others(summary: Summary) -> list[str]:
    """How the other methods compare with what knows the sources alone."""
    shown, bound = _none_shown(summary), summary["bounds"]["source"]
    if shown is None:
        return []
    first = _spoken_of(summary, shown)
    others = [name for name in adapted(summary) if name != first]
    rows = [(name, row) for name in others if (row := compared(summary, name, bound, shown.fraction))]
    rows.sort(key=lambda item: -float(item[1]["difference"]))
    return _grouped(summary, rows, f"than {title(summary, bound)}", "as well")


def _grouped(summary: Summary, rows: Sequence[tuple[str, Row]], than: str, also: str) -> list[str]:
    """One sentence for all that are detectably better, one for all that are worse, one for the rest."""
    found = []
    for kind, words in (("raises", f"detectably better {than}"), ("lowers", f"detectably worse {than}")):
        those = [_item(summary, name, row) for name, row in rows if verdict(row) == kind]
        if those:
            found.append(
                f"{words}{f' {also}' if kind == 'raises' else ''}: {'; '.join(those[:_MOST_NAMED])}{_more(those)}"
            )
    alike = [title(summary, name) for name, row in rows if verdict(row) == "none"]
    if alike:
        found.append(f"not detectably different: {joined(alike)}")
    return [". ".join(sentence(text).removesuffix(".") for text in found)] if found else []


def _item(summary: Summary, name: str, row: Row) -> str:
    return f"{title(summary, name)} ({points(row['difference'])} points, {p_equals(row['p_holm'])})"


def _more(items: Sequence[str]) -> str:
    return f"; and {count(len(items) - _MOST_NAMED)} more" if len(items) > _MOST_NAMED else ""


def _against_simplest(summary: Summary) -> str:
    """Whether any method is worth more than logistic regression on standardised genes, at any budget."""
    simplest = summary["bounds"]["simplest"]
    others = [name for name in adapted(summary) if name != simplest]
    rows = [
        (name, shown, row)
        for name in others
        for shown in budgets(summary)
        if (row := compared(summary, name, simplest, shown.fraction)) and verdict(row) != "untested"
    ]
    if not rows:
        return ""
    better = sorted(
        (item for item in rows if verdict(item[2]) == "raises"), key=lambda item: -float(item[2]["difference"])
    )
    if not better:
        subject = f"{title(summary, others[0])} is not" if len(others) == 1 else "no other method is"
        tried = " at any number of labels tried" if len({shown for _, shown, _ in rows}) > 1 else ""
        return f"{subject} detectably better than {title(summary, simplest)}{tried}"
    items = [
        f"{title(summary, name)} {with_labels(shown)} ({points(row['difference'])} points, {p_equals(row['p_holm'])})"
        for name, shown, row in better
    ]
    return f"detectably better than {title(summary, simplest)}: {'; '.join(items[:_MOST_NAMED])}{_more(items)}"


def _labels_replaced(summary: Summary) -> str:
    """How many labels of the target alone give what the best method reaches without any."""
    shown = _none_shown(summary)
    if shown is None:
        return ""
    best = ranked(summary, shown.fraction)[0][1]
    entry = next((one for one in summary.get("labels_replaced") or [] if one["method"] == best), None)
    if entry is None or known(entry.get("accuracy")) is None:
        return ""
    start = (
        f"for what {title(summary, best)} reaches {with_labels(shown)}, a classifier that learns from labels of the "
        "target alone would need"
    )
    needed, low, high = (known(entry.get(key)) for key in ("baseline_labels", "low", "high"))
    interval = label_interval(low, high)
    between = f" (95% CI {interval})" if interval else ""
    if needed is None:
        more = str(entry.get("note") or "").partition("the baseline would need ")[2].partition(";")[0]
        fewer = f"less than {budgets(summary)[1].n_labels} of them, the fewest that were tried"
        return f"{start} {more or fewer}{between}"
    n_classes = max(1, len(summary["data"]["classes"]))
    return f"{start} about {count(needed)} of them{between}, {count(max(1, round(needed / n_classes)))} of each class"


def _with_few_labels(summary: Summary) -> list[str]:
    """With labels of the target: the best method against what learns from these labels alone."""
    bound = summary["bounds"]["target"]
    found: list[tuple[Shown, str, Row]] = []
    for shown in budgets(summary):
        scores = ranked(summary, shown.fraction)
        if shown.n_labels and scores:
            row = compared(summary, scores[0][1], bound, shown.fraction)
            if row is not None:
                found.append((shown, scores[0][1], row))
    if not found:
        return []
    sentences = []
    for shown, name, row in found if len(found) == 1 else (found[0], found[-1]):
        own, other = point(summary, name, shown.fraction), point(summary, bound, shown.fraction)
        if own is not None and other is not None:
            where = "above" if row["difference"] >= 0 else "below"
            sentences.append(
                f"{with_labels(shown)}, {title(summary, name)} reaches {percent(own.mean)}, "
                f"{size_in_points(row['difference'])} {where} the {percent(other.mean)} of these labels alone"
                f"{judged(row)}"
            )
    return [*sentences, _until(summary, [shown for shown, _, _ in found])]


def _until(summary: Summary, tried: Sequence[Shown]) -> str:
    """From how many labels on the sources add nothing that can be told from chance."""
    bound = summary["bounds"]["target"]

    def helps(shown: Shown) -> bool:
        rows = (compared(summary, name, bound, shown.fraction) for name in adapted(summary))
        return any(verdict(row) == "raises" for row in rows if row)

    helped = [shown for shown in tried if helps(shown)]
    if not helped or len(tried) == 1:
        return ""
    if helped[-1] is tried[-1]:
        return (
            f"up to the most labels tried ({count(tried[-1].n_per_class)} of each class) the sources still add to them"
        )
    after = tried[tried.index(helped[-1]) + 1]
    return (
        f"from {count(after.n_per_class)} label{'' if after.n_per_class == 1 else 's'} of each class on, no method is "
        "detectably better than these labels alone"
    )


def _left_to_gain(summary: Summary) -> str:
    """What all labels of the target give, next to the best method without any."""
    shown, last = _none_shown(summary), budgets(summary)[-1]
    oracle = point(summary, summary["bounds"]["target"], last.fraction)
    if shown is None or oracle is None or last.fraction < 1:
        return ""
    best, name = ranked(summary, shown.fraction)[0]
    gap = (oracle.mean or 0.0) - (best.mean or 0.0)
    other = f"{title(summary, name)} without any (not tested)"
    where = f"{size_in_points(gap)} {'above' if gap > 0 else 'below'} {other}" if gap else f"level with {other}"
    bound = title(summary, summary["bounds"]["target"])
    reached = f"{percent(oracle.mean)}{_interval(oracle.low, oracle.high)}"
    return f"with all {count(last.n_labels)} labels that can be shown, {bound} reaches {reached}, {where}"


def _how_tested(summary: Summary) -> list[str]:
    rows = [row for row in summary["comparisons"] if verdict(row) != "untested"]
    if not rows:
        return []
    return [
        "all p values here are those of the Nadeau-Bengio corrected t-test on paired repeats, adjusted by Holm's "
        "method over all comparisons that answer the same question: without labels against the sources alone, "
        "with labels against these alone, and against the simplest method"
    ]

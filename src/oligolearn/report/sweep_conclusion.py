"""The conclusion of a sweep in sentences, each generated from the numbers it states."""

from typing import Any

from oligolearn.report.conclusion import ALPHA, verdict
from oligolearn.report.reading import Summary, nothing_learned
from oligolearn.report.sweep_reading import (
    Choice,
    comparison,
    default_choice,
    fraction_title,
    fractions,
    ranked,
    scored,
)
from oligolearn.report.wording import (
    count,
    joined,
    known,
    p_equals,
    percent,
    points,
    sentence,
    size_in_points,
    span,
)

_MOST_NAMED = 4


def sweep_findings(summary: Summary) -> list[str]:
    """Sentences on what was found, the most important first; `summary` as `checked` returns it."""
    if nothing_learned(summary):
        found = [
            "Nothing was learned: on validation samples no choice is better than chance, as far as these repeats can "
            "tell",
            "Differences between the choices are therefore noise, whatever their p values, and none is claimed",
        ]
        return [sentence(text) for text in found]
    found = []
    alike = _all_alike(summary)
    for fraction, n_labels in fractions(summary):
        found += [_best(summary, fraction, n_labels), "" if alike else _others(summary, fraction, n_labels)]
    found.append(alike)
    return [sentence(text) for text in (*found, _range(summary), *_how_tested(summary)) if text]


def sweep_cautions(summary: Summary) -> list[str]:
    """Sentences on what limits the findings; `summary` as `checked` returns it."""
    found = [str(warning) for warning in summary.get("warnings") or []]
    if not nothing_learned(summary):
        found.append(
            f"the highest of {count(len(summary['choices']))} means flatters itself a little: to say how good it is, "
            f"test it on the {count(summary['design']['n_test'])} test samples, which this sweep has not touched"
        )
    runs = {(one.get("method"), one.get("fraction"), one.get("repeat")) for one in summary.get("failures") or []}
    if runs:
        verb = "run failed and is" if len(runs) == 1 else "runs failed and are"
        found.append(
            f"{count(len(runs))} {verb} missing from every number here, and choices with fewer runs than others from "
            "every ranking; the reasons are listed with the sweep"
        )
    return [sentence(text) for text in found]


def named(summary: Summary, choice: Choice) -> str:
    """A choice inside a sentence."""
    if len(summary["varied"]) > 1:
        return str(choice["title"])
    return f"{summary['varied'][0]['title']} {choice['title']}"


def _default(summary: Summary) -> str:
    return f"the default ({default_choice(summary)['title']})"


def _best(summary: Summary, fraction: float, n_labels: int) -> str:
    """The best choice at a fraction, and how it compares with the default."""
    scores = ranked(summary, fraction)
    if not scores:
        return ""
    best, choice = scores[0]
    interval = f" (95% CI {percent(best.low)} to {percent(best.high)})" if best.low is not None else ""
    text = (
        f"with {fraction_title(fraction, n_labels)}, {named(summary, choice)} has the highest accuracy on validation "
        f"samples, {percent(best.mean)}{interval}"
    )
    if choice["default"]:
        return f"{text}; it is the default"
    row = comparison(summary, choice, fraction)
    if row is None or known(row.get("difference")) is None:
        return text
    where = "above" if row["difference"] >= 0 else "below"  # on the repeats of both
    return f"{text}, {size_in_points(row['difference'])} {where} {_default(summary)}{judged(row)}"


def judged(row: dict[str, Any]) -> str:
    """What follows the size of a difference: whether it is one."""
    kind = verdict(row)
    if kind == "untested":
        return f", which cannot be tested: {row.get('note') or 'the test is undefined'}"
    if _hint(row):
        return f": a hint, not a finding ({_evidence(row)} adjusted, {p_equals(row['p_corrected'])} alone)"
    return f"{': no detectable difference' if kind == 'none' else ''} ({_evidence(row)})"


def _hint(row: dict[str, Any]) -> bool:
    """Whether a difference is significant alone, but not after looking at all of them."""
    return verdict(row) == "none" and (known(row.get("p_corrected")) or 1.0) < ALPHA


def _evidence(row: dict[str, Any]) -> str:
    interval = span(row.get("low"), row.get("high"))
    return f"95% CI {interval}, {p_equals(row['p_holm'])}" if interval else p_equals(row["p_holm"])


def _all_alike(summary: Summary) -> str:
    """A sentence where no choice differs detectably from the default, whatever the fraction; else empty."""
    rows = [row for row in summary["comparisons"] if row["metric"] == "accuracy"]
    if not rows or any(verdict(row) != "none" for row in rows):
        return ""
    others = len({row["method"] for row in rows})
    subject = "the other choice does not differ" if others == 1 else f"none of the {count(others)} others differs"
    numbers = joined([count(n_labels) for _, n_labels in fractions(summary)])
    return f"{subject} detectably from {_default(summary)}, with {numbers} labels"


def _others(summary: Summary, fraction: float, n_labels: int) -> str:
    """Which other choices differ detectably from the default at a fraction."""
    rows = [(comparison(summary, choice, fraction), choice) for _, choice in scored(summary, fraction)]
    tested = [(row, choice) for row, choice in rows if row is not None and verdict(row) != "untested"]
    if not tested:
        return ""
    best = next(choice for _, choice in ranked(summary, fraction))
    better = [_item(row, choice) for row, choice in tested if verdict(row) == "raises" and choice is not best]
    worse = [_item(row, choice) for row, choice in tested if verdict(row) == "lowers"]
    parts = [
        f"{word} than {_default(summary)}: {_listed(items)}"
        for word, items in (("also better", better), ("worse", worse[::-1]))
        if items
    ]
    if parts:
        return f"with {fraction_title(fraction, n_labels)}, detectably {'; '.join(parts)}"
    if any(verdict(row) == "raises" for row, _ in tested):
        return ""
    alone = len(tested) == 1
    what = "the other choice does not differ" if alone else f"none of the {count(len(tested))} other choices differs"
    return f"with {fraction_title(fraction, n_labels)}, {what} detectably from {_default(summary)}"


def _item(row: dict[str, Any], choice: Choice) -> str:
    return f"{choice['title']} ({points(row['difference'])} points, {p_equals(row['p_holm'])})"


def _listed(items: list[str]) -> str:
    more = f"; and {count(len(items) - _MOST_NAMED)} more" if len(items) > _MOST_NAMED else ""
    return "; ".join(items[:_MOST_NAMED]) + more


def _range(summary: Summary) -> str:
    """How far apart the best and the worst choice are."""
    parts = []
    for fraction, n_labels in fractions(summary):
        scores = ranked(summary, fraction)
        if len(scores) > 1:
            gap = (scores[0][0].mean or 0.0) - (scores[-1][0].mean or 0.0)
            between = f" ({scores[0][1]['title']} against {scores[-1][1]['title']})" if gap > 0 else ""
            parts.append(f"{size_in_points(gap)} with {count(n_labels)} labels{between}")
    return f"from the best to the worst choice there are {joined(parts)}" if parts else ""


def _how_tested(summary: Summary) -> list[str]:
    rows = [row for row in summary["comparisons"] if row["metric"] == "accuracy" and verdict(row) != "untested"]
    if not rows:
        return []
    lost = [row for row in rows if _hint(row)]
    holm = f", adjusted by Holm's method for all {count(len(rows))} comparisons of the sweep" if len(rows) > 1 else ""
    number = "one difference is" if len(lost) == 1 else f"{count(len(lost))} differences are"
    hint = f"; {number} below 0.05 alone, but not after that adjustment" if lost else ""
    return [f"all p values here are those of the Nadeau-Bengio corrected t-test on paired repeats{holm}{hint}"]

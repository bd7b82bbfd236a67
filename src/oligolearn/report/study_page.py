"""What the page of a study says."""

from typing import Any

from oligolearn.report import tables
from oligolearn.report.conclusion import cautions, findings
from oligolearn.report.measures import glossary_of, scale_of
from oligolearn.report.reading import Summary, label_numbers, nothing_learned, ranking, size_of_a_sample, titles
from oligolearn.report.style import looks
from oligolearn.report.wording import count, labels, percent


def study_words(summary: Summary) -> dict[str, Any]:
    """What the templates of a study are filled in with, but for its figures."""
    data, design = summary["data"], summary["design"]
    names = titles(summary)
    found = findings(summary)
    numbers = label_numbers(summary)
    size, its_unit = size_of_a_sample(summary)
    how = scale_of(summary)
    return {
        **_tables(summary),
        "score": how.name,
        "score_title": how.title,
        "title": summary.get("title") or "Label efficiency",
        "lead": found[0] if found else "The study has too few results to say anything.",
        "findings": found[1:],
        "cautions": cautions(summary),
        "nothing_learned": nothing_learned(summary),
        "facts": [
            (count(data.get("n_samples")), "samples"),
            (count(size), its_unit),
            *([(count(len(data["classes"])), "classes")] if data.get("classes") else []),
            (f"{count(numbers[0])}–{count(numbers[-1])}" if len(numbers) > 1 else count(numbers[0]), "labels tried"),
            (count(design.get("repeats")), "repeat" if design.get("repeats") == 1 else "repeats"),
        ],
        "what_was_done": _what_was_done(summary),
        "methods": [
            (names[entry["name"]], entry["name"], entry.get("description") or "")
            for entry in design.get("methods") or []
        ],
        "colors": {names[name]: look.color for name, look in looks(list(names)).items()},
        "target": percent((summary.get("labels_needed") or {}).get("target")),
        "chosen": labels((summary.get("confusion") or {}).get("n_labels")),
        "calibrated": labels((summary.get("calibration") or {}).get("n_labels")),
        "predicted": labels((summary.get("predictions") or {}).get("n_labels")),
        "glossary": glossary_of(summary),
    }


def _what_was_done(summary: Summary) -> list[str]:
    """Sentences on data and design that the study's own notes do not contain."""
    data, design = summary["data"], summary["design"]
    stratum = "ranges of the number" if data.get("ranges") else "class"
    repeats, test = count(design.get("repeats")), count(design.get("n_test"))
    split = (
        "The split into training, validation and test samples was drawn once and kept; repeats differ in their "
        "starting weights."
        if design.get("split") == "fixed"
        else f"The split was drawn anew in each of {repeats} repeats, stratified by {stratum}"
        + (f", all samples of one {data['group']} on the same side." if data.get("group") else ".")
    )
    sizes = (
        f"Each time {count(design.get('n_train'))} labelled samples were for training, "
        f"{count(design.get('n_validation'))} for "
        f"validation and {test} for testing"
    ) + (f"; pretraining saw {count(design['n_pretrain'])} samples without labels." if "n_pretrain" in design else ".")
    unlabelled = data.get("n_unlabelled") or 0
    extra = [f"{count(unlabelled)} samples have no label and served for pretraining only."] if unlabelled else []
    return [
        split,
        sizes,
        *extra,
        "Smaller label sets are part of larger ones and the same for all methods, so that methods differ in nothing "
        "else.",
    ]


def _tables(summary: Summary) -> dict[str, Any]:
    numbers, overview = label_numbers(summary), tables.overview(summary)
    return {
        "overview": overview,
        "fragment_tables": [overview],
        "per_number": [
            (
                labels(number),
                _best_at(summary, number),
                tables.scores_at(summary, number),
                tables.differences_at(summary, number),
            )
            for number in numbers
        ],
        "saved": tables.saved(summary),
        "needed_table": tables.labels_needed(summary),
        "recall_table": tables.recall_table(summary),
        "learned_table": tables.learned(summary),
        "samples": tables.samples(summary),
        "fractions": tables.fractions(summary),
        "failures": tables.failures(summary),
        **tables.listings(summary),
    }


def _best_at(summary: Summary, number: int) -> str:
    scores = ranking(summary, number)
    if not scores or nothing_learned(summary):
        return ""
    how = scale_of(summary)
    return f"highest mean {how.name}: {titles(summary)[scores[0][1]]}, {how.write(scores[0][0])}"

"""From sequences and settings to a study that is planned, checked and described, before anything is trained."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import (
    Labels,
    Sequences,
    check_class_groups,
    check_class_sizes,
    is_number,
    leak_free_groups,
    number_classes,
)
from oligolearn.data.sequence_groups import copies
from oligolearn.data.sequence_inspection import conflicting_copies
from oligolearn.estimators import SelfSupervisedSequenceEncoder, SequenceClassifier, versions
from oligolearn.estimators.sequence_fitting import LONGEST
from oligolearn.study.design import Draw, Run, draw_repeat, plan_runs, spread_fractions
from oligolearn.study.planning import DEFAULT_POINTS, describe_draws, hardware
from oligolearn.study.sequence_design import SequenceDesign
from oligolearn.study.sequence_methods import (
    DEFAULT_SEQUENCE_METHODS,
    SEQUENCE_METHODS,
    encoder_to_pretrain,
    suited_encoder,
    word_length,
)
from oligolearn.study.sequence_settings import check_buildable
from oligolearn.study.summary import SEQUENCES

MOST_AT_ONCE = 16  # networks of a group; on a GPU they are stacked as far as memory has room
_TOLD = ("epochs", "min_steps", "learning_rate", "weight_decay", "dropout", "label_smoothing", "n_members")


class SequenceSettings(TypedDict, total=False):
    """Settings of a `SequenceDesign`, by name; `points` spreads that many fractions over a logarithmic scale.

    `file` names the file that sequences in memory were read from, for the report.
    """

    methods: Sequence[str]
    fractions: Sequence[float] | None
    points: int
    repeats: int
    split: str
    group: str | None
    identity: float | None
    seed: int
    min_class_size: int | None
    encoder: dict[str, Any]
    training: dict[str, Any]
    pretraining: dict[str, Any]
    threads: int
    device: str
    precision: str
    file: str


class SequenceStudy(NamedTuple):
    """A study that is planned and not yet carried out.

    Attributes
    ----------
    design
        What is compared.
    sequences
        What it is compared on.
    labels, groups
        Class numbers, and group numbers or None.
    runs
        All trainings.
    asked, about
        As in `oligolearn.study.planning.Study`.
    """

    design: SequenceDesign
    sequences: Sequences
    labels: Labels
    groups: NDArray[np.int64] | None
    runs: list[Run]
    asked: dict[str, Any]
    about: dict[str, Any]

    @property
    def samples(self) -> list[str]:
        """Names of the sequences."""
        return self.sequences.ids


def plan_sequence_study(
    sequences: Sequences, label: str, settings: SequenceSettings, *, command: str = ""
) -> SequenceStudy:
    """Check data and settings and draw all splits.

    Parameters
    ----------
    sequences
        As `read_sequences` gives them.
    label
        Column of `obs`.
    settings
        Of the design.
    command
        What reproduces the study, for the report.

    Raises
    ------
    ValueError
        If the data or the settings cannot be used.
    """
    file = settings.get("file", "data in memory")
    labels = _labels(sequences, label, settings)
    group, identity = settings.get("group"), settings.get("identity")
    groups, grouping = leak_free_groups(sequences, column=group, identity=identity)
    kept = None if len(np.unique(groups)) == len(groups) else groups
    if kept is not None:
        check_class_groups(labels, kept, group or "sequence")
    design = _design(sequences, label, labels, settings)
    draws = [draw_repeat(design, labels.codes, kept, repeat) for repeat in range(design.repeats)]
    runs = plan_runs(design, [len(draw.split.train) for draw in draws], len(labels.classes))
    asked = {"kind": SEQUENCES, **design.as_dict(), "data": _fingerprint(sequences, labels, kept)}
    notes = [*sequences.notes, *labels.notes, *grouping]
    about = {
        "title": f"Label efficiency of {label} in {file}",
        "command": command,
        "versions": versions(),
        "settings": _settings(sequences, design),
        "data": {**_describe(sequences, labels, design, notes), "file": file, "fingerprint": asked["data"]},
        "warnings": conflicting_copies(sequences.label(label), copies(sequences)),
        "replicas": min(design.repeats, MOST_AT_ONCE) if design.device != "cpu" else 1,
        **_describe_draws(draws, runs, labels, design),
    }
    return SequenceStudy(design, sequences, labels, kept, runs, asked, about)


def _labels(sequences: Sequences, label: str, settings: SequenceSettings) -> Labels:
    text = sequences.label(label)
    if is_number(text):
        raise ValueError(
            f"label {label!r} is a number with {text.nunique():,} values, but a study of sequences compares "
            "classifiers; use `oligolearn train`, which gives R2 and Spearman's correlation, or cut it into classes"
        )
    labels = number_classes(text, label, min_class_size=settings.get("min_class_size"))
    if settings.get("min_class_size") is None:
        check_class_sizes(label, labels)
    return labels


def _design(sequences: Sequences, label: str, labels: Labels, settings: SequenceSettings) -> SequenceDesign:
    chosen: dict[str, Any] = {
        name: value for name, value in settings.items() if name not in ("points", "fractions", "file")
    }
    fractions = settings.get("fractions")
    if fractions is None:
        n_train = round(0.7 * int((labels.codes >= 0).sum()))
        fractions = spread_fractions(settings.get("points", DEFAULT_POINTS), n_train, len(labels.classes))
    training = {"n_members": 1, **settings.get("training", {})}
    length = training.setdefault("max_length", min(int(sequences.lengths.max()), LONGEST))
    design = SequenceDesign(
        label=label,
        fractions=tuple(map(float, fractions)),
        **{
            **chosen,
            "methods": tuple(settings.get("methods", DEFAULT_SEQUENCE_METHODS)),
            "encoder": {**suited_encoder(sequences, length), **settings.get("encoder", {})},
            "training": {"alphabet": sequences.alphabet.name, "aligned": sequences.alphabet.has_gap, **training},
            **hardware({"device": settings.get("device", "cpu"), "precision": settings.get("precision", "auto")}),
        },
    )
    shortest, longest = int(sequences.lengths.min()), int(sequences.lengths.max())
    if "onehot-logistic" in design.methods and shortest < longest:
        raise ValueError(
            f"onehot-logistic compares letters at the same place, but lengths differ ({shortest:,} to {longest:,}); "
            "leave it out, or take kmer-logistic"
        )
    if any(SEQUENCE_METHODS[name].network for name in design.methods):
        check_buildable({**design.encoder, **design.training}, sequences)
    return design


def _fingerprint(sequences: Sequences, labels: Labels, groups: NDArray[np.int64] | None) -> str:
    """Digest of everything in the data that decides the results."""
    digest = hashlib.sha256(sequences.codes.tobytes())
    digest.update(sequences.offsets.tobytes())
    digest.update("\n".join(labels.classes).encode())
    digest.update(labels.codes.tobytes())
    if groups is not None:
        digest.update(groups.tobytes())
    return digest.hexdigest()[:16]


def _settings(sequences: Sequences, design: SequenceDesign) -> dict[str, Any]:
    """Settings of the trainings, as the estimator has them."""
    shown: dict[str, Any] = {}
    if any(SEQUENCE_METHODS[name].network for name in design.methods):
        network = SequenceClassifier(**design.training).get_params(deep=False)
        shown = {f"network: {name}": network[name] for name in (*_TOLD, "max_length")}
        shown["network: batch_size"] = network["batch_size"] or "64 to 256, by the number of sequences"
    if "scratch" in design.methods:
        options = ", ".join(f"{name} {value}" for name, value in (design.encoder["encoder_options"] or {}).items())
        shown["scratch: encoder"] = f"{design.encoder['encoder']} ({options or 'its own settings'})"
        shown["scratch: both strands"] = design.encoder["both_strands"]
    for name in design.methods:
        if (objective := SEQUENCE_METHODS[name].objective) is not None:
            encoder = encoder_to_pretrain(objective, design.encoder)
            shown[f"{name}: encoder"] = SelfSupervisedSequenceEncoder(objective, **encoder).encoder_name
            shown[f"{name}: epochs"] = design.pretraining.get("epochs") or "50, or 6,000 steps if these are fewer"
    if "kmer-logistic" in design.methods:
        shown["kmer-logistic: k"] = word_length(sequences)
    return {
        **shown,
        "threads per training": design.threads,
        "device": design.device,
        "precision of products": design.precision,
    }


def _describe(sequences: Sequences, labels: Labels, design: SequenceDesign, notes: list[str]) -> dict[str, Any]:
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.classes))
    return {
        "n_samples": len(sequences),
        "n_letters": int(np.median(sequences.lengths)),
        "n_unlabelled": int((labels.codes < 0).sum()),
        "label": design.label,
        "group": design.group,
        "units": sequences.alphabet.name.upper() if sequences.alphabet.name != "protein" else "protein",
        "classes": [{"name": name, "n": int(n)} for name, n in zip(labels.classes, sizes, strict=True)],
        "notes": notes,
    }


def _describe_draws(
    draws: Sequence[Draw], runs: Sequence[Run], labels: Labels, design: SequenceDesign
) -> dict[str, Any]:
    described = describe_draws(draws, runs, labels)
    if not any(SEQUENCE_METHODS[name].objective for name in design.methods):
        del described["sizes"]["n_pretrain"]
    return described

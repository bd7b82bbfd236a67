"""From sequences and settings to a study that is planned, checked and described, before anything is trained."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import (
    Labels,
    PaddingRule,
    Sequences,
    check_class_groups,
    check_class_sizes,
    is_number,
    leak_free_groups,
    number_classes,
)
from oligolearn.data.sequence_groups import copies
from oligolearn.data.sequence_inspection import conflicting_copies
from oligolearn.estimators import SelfSupervisedSequenceEncoder, SequenceClassifier, SequenceRegressor, versions
from oligolearn.estimators.sequence_fitting import LONGEST, cut_note
from oligolearn.study.design import Draw, Run, draw_repeat, plan_runs, spread_fractions
from oligolearn.study.planning import DEFAULT_POINTS, describe_draws
from oligolearn.study.sequence_design import SequenceDesign
from oligolearn.study.sequence_methods import (
    DEFAULT_NUMBER_METHODS,
    DEFAULT_SEQUENCE_METHODS,
    encoder_to_pretrain,
    methods_for,
    suited_encoder,
    untrained_twin,
    word_length,
)
from oligolearn.study.sequence_numbers import CLASSES, NUMBERS, Numbers, describe_numbers, read_numbers
from oligolearn.study.sequence_settings import check_buildable
from oligolearn.study.summary import SEQUENCES
from oligolearn.study.training_facts import hardware

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
        Class numbers, or those of ranges of numbers, and group numbers or None.
    runs
        All trainings.
    numbers
        What is learned where that is no class, ``(n_sequences,)``.
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
    numbers: NDArray[np.float64] | None = None

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
    text = _text(sequences, label)
    group, identity = settings.get("group"), settings.get("identity")
    read = PaddingRule(settings.get("training", {}).get("max_length") or LONGEST)
    groups, grouping = leak_free_groups(sequences, column=group, identity=identity, read=read)
    numbers = read_numbers(text, label, groups) if is_number(text) else None
    if numbers is not None and settings.get("min_class_size") is not None:
        raise ValueError(f"--min-class-size is for classes, but label {label!r} is a number; leave it out")
    labels = _labels(text, label, settings) if numbers is None else numbers.ranges
    kept = None if len(np.unique(groups)) == len(groups) else groups
    if kept is not None and numbers is None:
        check_class_groups(labels, kept, group or "sequence")
    design = _design(sequences, label, labels, settings, CLASSES if numbers is None else NUMBERS)
    draws = [draw_repeat(design, labels.codes, kept, repeat) for repeat in range(design.repeats)]
    runs = plan_runs(design, [len(draw.split.train) for draw in draws], len(labels.classes))
    asked = {"kind": SEQUENCES, **design.as_dict(), "data": _fingerprint(sequences, labels, kept, numbers)}
    notes = [*sequences.notes, *labels.notes, *grouping]
    added = [name for name in design.methods if name not in settings.get("methods", design.methods)]
    if added:
        notes.append(
            f"{' and '.join(added)} was added: the network that is pretrained, without pretraining, is what tells "
            "whether that helps."
        )
    cut = cut_note(sequences, design.training["max_length"])
    if cut:
        notes.append(f"{cut}.")
    if numbers is not None:
        notes.append(f"{label!r} is a number: it is learned by regression.")
    described = _describe_classes(labels) if numbers is None else describe_numbers(numbers)
    about = {
        "title": f"Label efficiency of {label} in {file}",
        "command": command,
        "versions": versions(),
        "settings": _settings(sequences, design),
        "data": {
            **_describe(sequences, labels, design, notes),
            **described,
            "file": file,
            "fingerprint": asked["data"],
        },
        "n_runs": len(runs),
        "warnings": conflicting_copies(text, copies(sequences)),
        "replicas": min(design.repeats, MOST_AT_ONCE) if design.device != "cpu" else 1,
        **_describe_draws(draws, runs, labels, design),
    }
    return SequenceStudy(
        design, sequences, labels, kept, runs, asked, about, None if numbers is None else numbers.values
    )


def check_classes(sequences: Sequences, label: str, verb: str) -> None:
    """Refuse a label that is a number, of a verb that compares classifiers.

    Raises
    ------
    ValueError
        If it is one, or there is no such column.
    """
    text = _text(sequences, label)
    if is_number(text):
        raise ValueError(
            f"label {label!r} is a number with {text.nunique():,} values, but {verb} compares classifiers; `oligolearn "
            "study` and `train` learn numbers, or cut it into classes"
        )


def _text(sequences: Sequences, label: str) -> "pd.Series[str]":
    if "," in label and label not in sequences.obs.columns:
        raise ValueError(
            f"a study is about one label, found several, {label!r}; `oligolearn train` learns them at once"
        )
    return sequences.label(label)


def _labels(text: "pd.Series[str]", label: str, settings: SequenceSettings) -> Labels:
    labels = number_classes(text, label, min_class_size=settings.get("min_class_size"))
    if settings.get("min_class_size") is None:
        check_class_sizes(label, labels)
    return labels


def _design(
    sequences: Sequences, label: str, labels: Labels, settings: SequenceSettings, target: str
) -> SequenceDesign:
    chosen: dict[str, Any] = {
        name: value for name, value in settings.items() if name not in ("points", "fractions", "file")
    }
    fractions = settings.get("fractions")
    if fractions is None:
        n_train = round(0.7 * int((labels.codes >= 0).sum()))
        fractions = spread_fractions(settings.get("points", DEFAULT_POINTS), n_train, len(labels.classes))
    usual = DEFAULT_NUMBER_METHODS if target == NUMBERS else DEFAULT_SEQUENCE_METHODS
    training = {"n_members": 1, **settings.get("training", {})}
    length = training.setdefault("max_length", min(int(sequences.lengths.max()), LONGEST))
    methods = tuple(settings.get("methods", usual))
    encoder = {**suited_encoder(sequences, length), **settings.get("encoder", {})}
    known = methods_for(target)
    pretexts = [objective for name in methods if name in known and (objective := known[name].objective) is not None]
    twins = dict.fromkeys(untrained_twin(objective, encoder) for objective in pretexts)
    design = SequenceDesign(
        label=label,
        target=target,
        fractions=tuple(map(float, fractions)),
        **{
            **chosen,
            "methods": (*methods, *(twin for twin in twins if twin not in methods)),
            "encoder": encoder,
            "training": {"alphabet": sequences.alphabet.name, "aligned": sequences.alphabet.has_gap, **training},
            **hardware({"device": settings.get("device", "cpu"), "precision": settings.get("precision", "auto")}),
        },
    )
    shortest, longest = int(sequences.lengths.min()), int(sequences.lengths.max())
    aligned = [name for name in design.methods if name.startswith("onehot-")]
    if aligned and shortest < longest:
        raise ValueError(
            f"{aligned[0]} compares letters at the same place, but lengths differ ({shortest:,} to {longest:,}); "
            f"leave it out, or take {aligned[0].replace('onehot', 'kmer')}"
        )
    if any(design.known[name].network for name in design.methods):
        check_buildable({**design.encoder, **design.training}, sequences)
    return design


def _fingerprint(
    sequences: Sequences, labels: Labels, groups: NDArray[np.int64] | None, numbers: Numbers | None
) -> str:
    """Digest of everything in the data that decides the results."""
    digest = hashlib.sha256(sequences.codes.tobytes())
    digest.update(sequences.offsets.tobytes())
    digest.update("\n".join(labels.classes).encode())
    digest.update(labels.codes.tobytes())
    if groups is not None:
        digest.update(groups.tobytes())
    if numbers is not None:
        digest.update(numbers.values.tobytes())
    return digest.hexdigest()[:16]


def _settings(sequences: Sequences, design: SequenceDesign) -> dict[str, Any]:
    """Settings of the trainings, as the estimator has them."""
    shown: dict[str, Any] = {}
    if any(design.known[name].network for name in design.methods):
        kind = SequenceRegressor if design.target == NUMBERS else SequenceClassifier
        network = kind(**design.training).get_params(deep=False)
        shown = {f"network: {name}": network[name] for name in (*_TOLD, "max_length") if name in network}
        shown["network: batch_size"] = network["batch_size"] or "64 to 256, by the number of sequences"
    if "scratch" in design.methods:
        options = ", ".join(f"{name} {value}" for name, value in (design.encoder["encoder_options"] or {}).items())
        shown["scratch: encoder"] = f"{design.encoder['encoder']} ({options or 'its own settings'})"
        shown["scratch: both strands"] = design.encoder["both_strands"]
    for name in design.methods:
        if (objective := design.known[name].objective) is not None:
            encoder = encoder_to_pretrain(objective, design.encoder)
            shown[f"{name}: encoder"] = SelfSupervisedSequenceEncoder(objective, **encoder).encoder_name
            shown[f"{name}: epochs"] = design.pretraining.get("epochs") or "50, or 6,000 steps if these are fewer"
    shown |= {
        f"{name}: k": word_length(sequences) for name in design.methods if name in ("kmer-logistic", "kmer-ridge")
    }
    return {
        **shown,
        "threads per training": design.threads,
        "device": design.device,
        "precision of products": design.precision,
    }


def _describe(sequences: Sequences, labels: Labels, design: SequenceDesign, notes: list[str]) -> dict[str, Any]:
    return {
        "n_samples": len(sequences),
        "n_letters": int(np.median(sequences.lengths)),
        "n_unlabelled": int((labels.codes < 0).sum()),
        "label": design.label,
        "group": design.group,
        "units": sequences.alphabet.name.upper() if sequences.alphabet.name != "protein" else "protein",
        "notes": notes,
    }


def _describe_classes(labels: Labels) -> dict[str, Any]:
    """What a report says of classes: how many labelled sequences each has."""
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.classes))
    return {"classes": [{"name": name, "n": int(n)} for name, n in zip(labels.classes, sizes, strict=True)]}


def _describe_draws(
    draws: Sequence[Draw], runs: Sequence[Run], labels: Labels, design: SequenceDesign
) -> dict[str, Any]:
    described = describe_draws(draws, runs, labels)
    if design.target == NUMBERS:
        for entry in described["fractions"]:
            entry["note"] = entry["note"] and entry["note"].replace("every class", "every range of the number")
    if not any(design.known[name].objective for name in design.methods):
        del described["sizes"]["n_pretrain"]
    return described

"""How accuracy on sequences depends on one or two settings, judged on validation sequences."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from oligolearn.data import Sequences, label_counts, read_sequences
from oligolearn.study.design import Run, redraw_repeat
from oligolearn.study.execute import execute
from oligolearn.study.progress import progress_bar
from oligolearn.study.search_space import Value
from oligolearn.study.sequence_cohort import SequenceCohort
from oligolearn.study.sequence_design import SequenceDesign
from oligolearn.study.sequence_planning import SequenceSettings, SequenceStudy, check_classes, plan_sequence_study
from oligolearn.study.sequence_settings import (
    ENCODER,
    check_buildable,
    read_sequence_value,
    sequence_name,
    shown_sequence_value,
    with_values,
)
from oligolearn.study.store import Store
from oligolearn.study.sweep_choices import DEFAULT, MOST_VARIED, Vary, choice_name, texts_of_values, values_once
from oligolearn.study.sweep_summary import titled
from oligolearn.study.sweeping import DEFAULT_FRACTIONS, FILE, Sweep, describe_validation, rebuild_sweep
from oligolearn.study.work import FOR_SEQUENCES
from oligolearn.workers import Workers

_SCRATCH = "scratch"


class _Plan(NamedTuple):
    design: SequenceDesign
    study: SequenceStudy
    runs: list[Run]
    asked: dict[str, Any]
    about: dict[str, Any]


def sweep_sequences(  # noqa: PLR0913  (what to do, who does it, what to say of it)
    data: str | os.PathLike[str] | Sequences,
    label: str,
    *,
    out: str | os.PathLike[str],
    vary: Vary,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    command: str = "",
    **settings: Unpack[SequenceSettings],
) -> Sweep:
    """Train a network with every value of a setting, or every pair of values of two, and compare with the default.

    As `sweep` does on expression: choices are scored on the validation sequences of each repeat, test sequences are not
    touched, and the same call goes on where an interrupted one stopped.

    Parameters
    ----------
    data, label
        As in `sequence_efficiency`.
    out, workers, scheduler, progress, command
        As in `sweep`.
    vary
        One or two settings and their values: ``{"n_filters": [16, 64]}``, or ``["filters=16,64"]`` as on the command
        line. Any setting of the encoder (`n_filters`, `width`, `pooling`, ...), ``encoder`` itself, and of the training
        (`learning_rate`, `batch_size`, `dropout`, ...).
    **settings
        As in `sequence_efficiency`; `repeats` is 5 and `fractions` 0.1 unless given. `encoder` is what the default
        network is, see `SequenceDesign`.

    Raises
    ------
    ValueError
        If the data, the settings or the values cannot be used, or `out` holds another sweep.

    Examples
    --------
    >>> from oligolearn.study import sweep_sequences
    >>> swept = sweep_sequences("splice.tsv.gz", "junction", out="swept", vary=["filters=16,64"])  # doctest: +SKIP
    >>> swept.results.groupby("n_filters").accuracy.mean()  # doctest: +SKIP
    """
    hands = Workers(workers, scheduler)
    hands.start(*FOR_SEQUENCES)
    if not isinstance(data, Sequences):
        settings["file"] = Path(data).name
    sequences = data if isinstance(data, Sequences) else read_sequences(os.fspath(data))
    plan = _plan(sequences, label, vary, settings, command)
    store = Store(out, what="sweep", file=FILE)
    store.open(plan.asked, plan.about)
    if not store.finished() >= set(plan.runs):
        cohort = SequenceCohort.laid(plan.study, store)
        with progress_bar(shown=progress) as tell:
            execute(plan.design, cohort, plan.runs, store, workers=hands, on_progress=tell)
    store.clear_work()
    return rebuild_sweep(out)


def read_sequence_vary(vary: Vary, default: str) -> dict[str, tuple[Value, ...]]:
    """Values of the settings to vary; `default` is the encoder where that is not one of them.

    Raises
    ------
    ValueError
        If a name or a value cannot be used.

    Examples
    --------
    >>> read_sequence_vary(["filters=16,64", "pooling=max,mean"], "motif-cnn")
    {'n_filters': (16, 64), 'pooling': ('max', 'mean')}
    """
    texts = texts_of_values(vary, sequence_name)
    if not 1 <= len(texts) <= MOST_VARIED:
        raise ValueError(f"a sweep varies one or two settings, found {', '.join(texts) or 'none'}; use --vary name=a,b")
    encoders = [default]
    if ENCODER in texts:
        encoders += [str(read_sequence_value(ENCODER, text, [default])) for text in texts[ENCODER]]
    return {
        name: tuple(values_once(name, [read_sequence_value(name, text, encoders) for text in parts]))
        for name, parts in texts.items()
    }


def _plan(sequences: Sequences, label: str, vary: Vary, settings: SequenceSettings, command: str) -> _Plan:
    fractions = tuple(sorted(settings.get("fractions") or DEFAULT_FRACTIONS))
    chosen: SequenceSettings = {**settings, "methods": (_SCRATCH,), "fractions": fractions, "split": "fixed"}
    check_classes(sequences, label, "sweep")
    study = plan_sequence_study(sequences, label, {"repeats": 5, **chosen}, command=command)
    default = {**study.design.encoder, **study.design.training}
    varied = read_sequence_vary(vary, default[ENCODER])
    choices = _choices(varied, default)
    design = replace(
        study.design,
        methods=tuple(choice["name"] for choice in choices),
        choices={choice["name"]: with_values(_different(choice), default) for choice in choices},
    )
    for own in design.choices.values():
        check_buildable(own, sequences)
    y = study.labels.codes
    draws = [redraw_repeat(design, y, study.groups, repeat) for repeat in range(design.repeats)]
    n_classes = len(study.labels.classes)
    counts = label_counts(design.fractions, min(len(draw.split.train) for draw in draws), n_classes)
    runs = [
        Run(repeat, fraction, n_labels, name)
        for name in design.methods
        for repeat in range(design.repeats)
        for fraction, n_labels in counts.items()
    ]
    described = describe_validation(draws, y, n_classes)
    del described["sizes"]["n_pretrain"]  # nothing pretrains
    about = {
        **study.about,
        **described,
        "n_runs": len(runs),
        "title": f"{titled(varied)} and accuracy of {label} in {study.about['data']['file']}",
        "varied": {name: list(values) for name, values in varied.items()},
        "choices": choices,
    }
    return _Plan(design, study, runs, {**study.asked, **design.as_dict(), "method": _SCRATCH}, about)


def _different(choice: Mapping[str, Any]) -> dict[str, Value]:
    """Values of a choice; none of the default one, whose settings are kept as they are."""
    return {} if choice["default"] else dict(choice["values"])


def _choices(varied: Mapping[str, Sequence[Value]], default: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the values, and the default settings where these are none of them."""
    usual = {name: shown_sequence_value(name, default) for name in varied}
    # The network that suits the lengths has options of its own, which the same encoder by its name has not.
    by_name = ENCODER not in varied or not default["encoder_options"]
    found = []
    for combination in product(*varied.values()):
        values = dict(zip(varied, combination, strict=True))
        found.append(
            {"name": choice_name(values), "method": _SCRATCH, "values": values, "default": by_name and values == usual}
        )
    if not any(choice["default"] for choice in found):
        found.insert(0, {"name": DEFAULT, "method": _SCRATCH, "values": usual, "default": True})
    return found

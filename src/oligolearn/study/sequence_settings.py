"""Settings of networks over sequences that a sweep varies, by name: those of the encoder and of the training."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from oligolearn.data import PaddingRule, Sequences
from oligolearn.estimators import SequenceClassifier
from oligolearn.estimators.building import resolve
from oligolearn.estimators.sequence_networks import Recipe
from oligolearn.nn import POOLINGS, SEQUENCE_ENCODERS
from oligolearn.nn.recurrent import CELLS
from oligolearn.study.search_space import (
    Choices,
    Range,
    Setting,
    Space,
    Value,
    items_of_search,
    known_name,
    read_searched,
    read_value,
    unknown_setting,
    with_whole_numbers,
)

ENCODER, _IN_ENCODER = "encoder", "encoder_options"
_ALIASES = {"filters": "n_filters", "units": "n_units", "layers": "n_layers", "channels": "n_channels"}
_POSITIVE, _COUNT, _SHARE = (1e-12, math.inf), (1, math.inf), (0.0, 0.95)
_NAMES = {"pooling": tuple(POOLINGS), "cell": tuple(CELLS), "bidirectional": ("True", "False")}
_FROM_ZERO = ("hidden",)
_OPTIONAL = ("truncation", "k")  # whole numbers, where there is one
_OF_TRAINING = {
    ENCODER: Setting((ENCODER,), None, (0, 0), str, tuple(SEQUENCE_ENCODERS)),
    "both_strands": Setting(("both_strands",), None, (0, 0), str, ("True", "False")),
    "learning_rate": Setting(("learning_rate",), None, _POSITIVE),
    "batch_size": Setting(("batch_size",), None, (2, math.inf), int),
    "dropout": Setting(("dropout",), None, _SHARE),
    "weight_decay": Setting(("weight_decay",), None, (0.0, math.inf)),
    "label_smoothing": Setting(("label_smoothing",), None, _SHARE),
    "epochs": Setting(("epochs",), None, _COUNT, int),
    "min_steps": Setting(("min_steps",), None, _COUNT, int),
    "n_members": Setting(("n_members",), None, _COUNT, int),
    "max_length": Setting(("max_length",), None, _COUNT, int),
}
_SEARCHED_ENCODERS = ("motif-cnn", "multi-scale-cnn", "residual-cnn")
_SEARCHED: Space = {  # by `tune`, unless the user says otherwise
    ENCODER: Choices(_SEARCHED_ENCODERS),
    "n_filters": Range(16, 128, log=True),
    "width": Range(5, 24),
    "encoder_dropout": Range(0.0, 0.5),
    "learning_rate": Range(3e-4, 1e-2, log=True),
    "batch_size": Choices((32, 64, 128)),
    "dropout": Range(0.0, 0.6),
}


def sequence_settings_of(encoder: str) -> dict[str, Setting]:
    """Settings by name; `dropout` is that of the training, ``encoder_dropout`` that inside the encoder.

    Examples
    --------
    >>> list(sequence_settings_of("motif-cnn"))[-6:]
    ['n_filters', 'width', 'pooling', 'window', 'hidden', 'encoder_dropout']
    """
    found = dict(_OF_TRAINING)
    for name, parameter in inspect.signature(resolve("encoder", encoder, SEQUENCE_ENCODERS)).parameters.items():
        if name in ("shares", "length"):
            continue
        place = (_IN_ENCODER, name)
        shown = f"encoder_{name}" if name in found else name
        if name in _NAMES:
            found[shown] = Setting(place, None, (0, 0), str, _NAMES[name])
        elif isinstance(parameter.default, float):
            found[shown] = Setting(place, None, _SHARE)
        elif isinstance(parameter.default, int) or name in _OPTIONAL:
            found[shown] = Setting(place, None, (0 if name in _FROM_ZERO else 1, math.inf), int)
        else:
            found[shown] = Setting(place, None, _COUNT, str)  # several numbers, such as widths
    return found


def read_sequence_value(name: str, text: str, encoders: Sequence[str]) -> Value:
    """One value of a setting that every one of `encoders` has, checked.

    Raises
    ------
    ValueError
        If one has no such setting, or the value cannot be used.
    """
    for encoder in encoders:
        known = sequence_settings_of(encoder)
        if name not in known:
            raise ValueError(unknown_setting(name, encoder, known, option="--vary"))
    return read_value(name, text, sequence_settings_of(encoders[0])[name], option="--vary")


def sequence_name(written: str) -> str:
    """The name of a setting, from that or from the way it is typed.

    >>> sequence_name("filters"), sequence_name("learning-rate")
    ('n_filters', 'learning_rate')
    """
    name = known_name(written)
    return _ALIASES.get(name, name)


def with_values(values: Mapping[str, Value], default: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `SequenceClassifier` for values by name, the others as `default` has them.

    Another encoder than that of `default` starts from its own settings.

    Examples
    --------
    >>> default = {"encoder": "motif-cnn", "encoder_options": {"width": 15}, "both_strands": False}
    >>> with_values({"n_filters": 16, "dropout": 0.2}, default)["encoder_options"]
    {'width': 15, 'n_filters': 16}
    >>> with_values({"encoder": "transformer"}, default)["encoder_options"]
    {}
    """
    settings = dict(default)
    if values.get(ENCODER, default[ENCODER]) != default[ENCODER]:
        settings |= {ENCODER: values[ENCODER], _IN_ENCODER: None}
    options = dict(settings[_IN_ENCODER] or {})
    known = sequence_settings_of(str(settings[ENCODER]))
    for name, value in values.items():
        place = known[name].place
        if place[0] == _IN_ENCODER:
            options[place[1]] = _as_told(value, known[name])
        else:
            settings[name] = _as_told(value, known[name])
    few = (
        {"min_steps": 1} if "epochs" in values and "min_steps" not in values else {}
    )  # also where epochs are few steps
    return {**settings, **few, _IN_ENCODER: options}


def usable_values(values: Mapping[str, Value], default: Mapping[str, Any]) -> dict[str, Value]:
    """Those of the values that the encoder they name, or that of `default`, has.

    Examples
    --------
    >>> usable_values({"encoder": "transformer", "width": 9, "n_filters": 8}, {"encoder": "motif-cnn"})
    {'encoder': 'transformer', 'width': 9}
    """
    known = sequence_settings_of(str(values.get(ENCODER, default[ENCODER])))
    return {name: value for name, value in values.items() if name in known}


def check_buildable(settings: Mapping[str, Any], sequences: Sequences) -> None:
    """Refuse what an encoder refuses before anything is trained.

    Raises
    ------
    ValueError
        As the encoder does.
    """
    rule, options = PaddingRule(settings["max_length"]), dict(settings[_IN_ENCODER] or {})
    with torch.device("meta"):
        Recipe(settings[ENCODER], options, sequences.alphabet, rule, settings["both_strands"] is True).build()


def sequence_space(asked: Iterable[str], given: Mapping[str, Any], *, aligned: bool) -> Space:
    """Settings to search, with their ranges.

    Parameters
    ----------
    asked
        As in `oligolearn.study.search_space.search_space`.
    given
        Settings that are fixed, and so not searched, by name.
    aligned
        Whether places mean the same in all sequences, so that they may be kept apart.

    Raises
    ------
    ValueError
        If a name or a range cannot be used; says which there are.

    Examples
    --------
    >>> space = sequence_space(["dropout=0:0.3"], {"encoder": "motif-cnn"}, aligned=False)
    >>> {name: str(searched) for name, searched in space.items()}["dropout"], "encoder" in space
    ('0:0.3', False)
    """
    fixed = {name for name, value in given.items() if value is not None}
    poolings = ("max", "mean", "max+mean", "attention", *(("positions",) if aligned else ()))
    usual: Space = {**_SEARCHED, "pooling": Choices(poolings)}
    items = [(_ALIASES.get(name, name), text) for name, text in items_of_search(asked)]
    encoders = [str(given[ENCODER])] if ENCODER in fixed else [str(name) for name in _SEARCHED_ENCODERS]
    for name, text in items:
        if name == ENCODER:
            encoders = [str(read_value(name, part, _OF_TRAINING[ENCODER])) for part in text.split("|")]
    known = {name: setting for one in encoders for name, setting in sequence_settings_of(one).items()}
    space = {name: usual[name] for name in known if name in usual and name not in fixed}
    seen: set[str] = set()
    for name, text in items:
        if name not in known:
            raise ValueError(unknown_setting(name, " and ".join(encoders), known))
        if name in seen:
            raise ValueError(f"--search names {name} twice")
        if name in fixed:
            raise ValueError(f"--search names {name}, which is fixed by another option; leave one of the two out")
        seen.add(name)
        space[name] = read_searched(name, text, known[name])
    return {name: with_whole_numbers(space[name], known[name]) for name in known if name in space}


def _as_told(value: Value, setting: Setting) -> Any:
    """A value as the estimator takes it."""
    if setting.choices == ("True", "False"):
        return value == "True"
    if setting.kind is str and not setting.choices:
        return [int(part) for part in str(value).split(",")]
    return value


def shown_sequence_value(name: str, settings: Mapping[str, Any]) -> Value:
    """The value of a setting as a user reads it; that of the estimator or the encoder where `settings` give none."""
    encoder = str(settings[ENCODER])
    place = sequence_settings_of(encoder)[name].place
    if place[0] == _IN_ENCODER:
        default = inspect.signature(SEQUENCE_ENCODERS[encoder]).parameters[place[1]].default
        value = (settings.get(_IN_ENCODER) or {}).get(place[1], default)
    else:
        value = settings.get(name, inspect.signature(SequenceClassifier).parameters[name].default)
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return str(value)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value

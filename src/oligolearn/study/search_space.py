"""Which settings a tuning searches, in which ranges, and how a user says so."""

import difflib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from oligolearn.estimators import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.estimators.rows import chosen_view
from oligolearn.nn import ENCODERS
from oligolearn.pretext import OBJECTIVES, augmented, default_view
from oligolearn.study.methods import METHODS
from oligolearn.views import STRENGTHS, check_view, read_view, settings_of_view, strength_setting

Value = int | float | str


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included, whole ones alone where `whole`.

    `log` spreads them evenly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}{':log' if self.log else ''}"


class Choices(NamedTuple):
    """A few values; a single one fixes the setting."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return "|".join(map(str, self.values))


class Setting(NamedTuple):
    """One setting that can be searched.

    Attributes
    ----------
    place
        Where the estimators take it: ``("training", "dropout")`` is `dropout` of `FineTunedClassifier`,
        ``("pretraining", "view_options", "share")`` the view option `share` of `SelfSupervisedEncoder`.
    searched
        Range or choices searched unless the user says otherwise; None for one that is searched on demand only.
    limits
        Smallest and largest value that makes sense.
    kind
        ``int``, ``float``, or ``str`` for names, and for units of layers such as ``"512,256"``.
    choices
        The names there are.
    """

    place: tuple[str, ...]
    searched: Range | Choices | None
    limits: tuple[float, float]
    kind: type = float
    choices: tuple[str, ...] = ()


Space = dict[str, Range | Choices]

_POSITIVE = (1e-12, math.inf)
_COUNT = (1, math.inf)
_LAYERS = "layers"
_STRENGTH = "view_strength"
_VIEW = "view"
ALIASES = {"prototypes": "n_prototypes", "pretrain_epochs": "pretraining_epochs", "freeze_layers": "frozen_layers"}
SETTINGS: dict[str, Setting] = {
    _LAYERS: Setting(
        ("training", "encoder_options", "hidden"), Choices(("512,256,128", "256,128", "128,64", "128")), _COUNT, str
    ),
    "learning_rate": Setting(("training", "learning_rate"), Range(1e-4, 1e-2, log=True), _POSITIVE),
    "batch_size": Setting(("training", "batch_size"), Choices((16, 32, 64, 128)), _COUNT, int),
    "dropout": Setting(("training", "dropout"), Range(0.0, 0.6), (0.0, 0.95)),
    "weight_decay": Setting(("training", "weight_decay"), Range(1e-5, 0.1, log=True), (0.0, math.inf)),
    "epochs": Setting(("training", "epochs"), Range(10, 100, log=True), _COUNT, int),
    "pretraining_learning_rate": Setting(("pretraining", "learning_rate"), Range(1e-4, 1e-2, log=True), _POSITIVE),
    "pretraining_batch_size": Setting(("pretraining", "batch_size"), Choices((32, 64, 128, 256)), (2, math.inf), int),
    "pretraining_epochs": Setting(("pretraining", "epochs"), None, _COUNT, int),
    "pretraining_weight_decay": Setting(("pretraining", "weight_decay"), None, (0.0, math.inf)),
    "mask_share": Setting(("pretraining", "view_options", "share"), None, (0.0, 1.0)),
    "n_prototypes": Setting(
        ("pretraining", "objective_options", "n_prototypes"), Range(4, 128, log=True), (2, math.inf), int
    ),
    "epsilon": Setting(("pretraining", "objective_options", "epsilon"), Range(0.02, 0.2, log=True), _POSITIVE),
    "temperature": Setting(("pretraining", "objective_options", "temperature"), Range(0.05, 0.5, log=True), _POSITIVE),
    "queue_length": Setting(("pretraining", "objective_options", "queue_length"), None, (0, math.inf), int),
    "momentum": Setting(("pretraining", "objective_options", "momentum"), None, (0.0, 1.0)),
    **{
        name: Setting(("pretraining", "objective_options", name), None, (0.0, math.inf))
        for name in ("invariance", "variance", "covariance", "redundancy", "alpha")
    },
    "frozen_share": Setting(("pretraining", "objective_options", "frozen_share"), None, (0.0, 1.0)),
    "iterations": Setting(("pretraining", "objective_options", "iterations"), None, _COUNT, int),
    "version": Setting(("pretraining", "objective_options", "version"), None, (1, 2), int),
    "loss": Setting(("pretraining", "objective_options", "loss"), None, (0, 0), str, ("nt-xent", "info-nce")),
    _VIEW: Setting(("pretraining", "view"), None, (0, 0), str),
    _STRENGTH: Setting(("pretraining", _STRENGTH), Range(0.1, 0.9), (0.0, math.inf)),
    "transfer_layers": Setting(("training", "transfer_layers"), Range(1, 3), (0, math.inf), int),
    "frozen_layers": Setting(("training", "frozen_layers"), Range(0, 2), (0, math.inf), int),
}
_NEEDS_PRETRAINING = ("transfer_layers", "frozen_layers")
OF_VIEWS = (_VIEW, _STRENGTH, "mask_share")


def tunable_methods() -> list[str]:
    """Methods whose settings can be searched: the network from scratch, and all that pretrain."""
    return [name for name, method in METHODS.items() if name in ("scratch", method.objective)]


def settings_of(method: str) -> dict[str, Setting]:
    """Settings that a method has.

    Raises
    ------
    ValueError
        If the method is unknown or has nothing to tune.

    Examples
    --------
    >>> list(settings_of("scratch"))
    ['layers', 'learning_rate', 'batch_size', 'dropout', 'weight_decay', 'epochs']
    """
    if method not in tunable_methods():
        raise ValueError(f"method must be one of {', '.join(tunable_methods())} to be tuned, found {method!r}")
    objective = METHODS[method].objective
    return {name: setting for name, setting in SETTINGS.items() if _belongs(name, setting, objective)}


def _belongs(name: str, setting: Setting, objective: str | None) -> bool:
    if objective is None:
        return setting.place[0] == "training" and name not in _NEEDS_PRETRAINING
    if "objective_options" in setting.place:
        return setting.place[-1] in _parameters(OBJECTIVES[objective])
    if name in OF_VIEWS:
        return any(augmented(OBJECTIVES[objective]))
    return True


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def search_space(method: str, asked: Sequence[str] = (), *, given: Mapping[str, Any] | None = None) -> Space:
    """Settings to search, with their ranges.

    Parameters
    ----------
    method
        Name in `METHODS`.
    asked
        ``"name=low:high"``, ``"name=low:high:log"`` or ``"name=a|b|c"``, one or several separated by commas. They
        replace the ranges searched by default.
    given
        ``{"pretraining": ..., "training": ...}``: settings that are fixed, and so not searched.

    Raises
    ------
    ValueError
        If a name or a range cannot be used; says which there are.

    Examples
    --------
    >>> space = search_space("scratch", ["dropout=0:0.3,layers=64,32|64"])
    >>> str(space["dropout"]), str(space["layers"]), str(space["batch_size"])
    ('0:0.3', '64,32|64', '16|32|64|128')
    """
    settings = settings_of(method)
    fixed = {name for name, setting in settings.items() if value_at(given or {}, setting.place) is not None}
    space = {
        name: setting.searched
        for name, setting in settings.items()
        if setting.searched is not None and name not in fixed
    }
    seen: set[str] = set()
    for name, text in items_of_search(asked):
        if name not in settings:
            raise ValueError(unknown_setting(name, method, settings))
        if name in seen:
            raise ValueError(f"--search names {name} twice; give one range")
        if name in fixed:
            raise ValueError(f"--search names {name}, which is fixed by another option; leave one of the two out")
        seen.add(name)
        space[name] = read_searched(name, text, settings[name])
    views = _named_views(space, given)
    if _STRENGTH not in seen and any(view_problem(view, {*space, *fixed}) for view in views):
        space.pop(_STRENGTH, None)
    for view in views:
        if problem := view_problem(view, {*space, *fixed}):
            raise ValueError(f"--search: {problem}")
    return {name: with_whole_numbers(space[name], settings[name]) for name in settings if name in space}


def with_whole_numbers(searched: Range | Choices, setting: Setting) -> Range | Choices:
    """A range of whole numbers where the setting takes no others."""
    return searched._replace(whole=setting.kind is int) if isinstance(searched, Range) else searched


def items_of_search(asked: Iterable[str]) -> list[tuple[str, str]]:
    """Names of settings as they are typed, or known by another name, and the texts of their ranges.

    Raises
    ------
    ValueError
        If one is not written so.
    """
    items = []
    for part in asked:
        for item in re.split(r",(?=\s*\w+\s*=)", part):  # the commas of layers=512,256|128 stay
            name, equals, text = (word.strip() for word in item.partition("="))
            if not (name and equals and text):
                raise ValueError(f"--search takes name=low:high, name=low:high:log or name=a|b|c, found {item!r}")
            items.append((known_name(name), text))
    return items


def known_name(name: str) -> str:
    """The name of a setting, from that or from the name of an option.

    >>> known_name("prototypes"), known_name("mask-share")
    ('n_prototypes', 'mask_share')
    """
    name = name.strip().replace("-", "_")
    return ALIASES.get(name, name)


def unknown_setting(name: str, method: str, settings: Iterable[str], *, option: str = "--search") -> str:
    """Say that a method has no such setting, and which it has."""
    settings = list(settings)
    close = difflib.get_close_matches(name, settings, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{option}: {method} has no setting {name!r}; it has {', '.join(settings)}{hint}"


def _named_views(space: Space, given: Mapping[str, Any] | None) -> list[Any]:
    searched = space.get("view")
    return [*searched.values] if isinstance(searched, Choices) else [value_at(given or {}, SETTINGS["view"].place)]


def view_problem(view: Any, names: Iterable[str]) -> str | None:
    """Why a view cannot take settings of these names, or None; no view is the one that suits objective and settings."""
    names = set(names)
    if names >= {"mask_share", _STRENGTH}:
        return f"mask_share and {_STRENGTH} are the same of a view that hides genes; name one of them"
    if "mask_share" in names and view is not None and strength_setting(view) != "share":
        return f"the view {view} has no mask_share to set: it hides no genes, or says how many"
    if _STRENGTH in names and view is not None and strength_setting(view) is None:
        return f"{_STRENGTH} is known of the views {', '.join(STRENGTHS)} alone, and once, found {view!r}"
    return None


def read_searched(name: str, text: str, setting: Setting) -> Range | Choices:
    """Range or choices of a setting from ``low:high``, ``low:high:log`` or ``a|b|c``.

    Raises
    ------
    ValueError
        If it is none of these, or a value cannot be used.
    """
    if ":" not in text or name == _VIEW:
        values = tuple(read_value(name, part, setting) for part in text.split("|"))
        if len(set(values)) < len(values):
            raise ValueError(f"--search {name} names a choice twice: {text}")
        return Choices(values)
    if setting.kind is str:
        example = "|".join(setting.choices[:2]) or "512,256|128"
        raise ValueError(f"--search {name} takes choices such as {name}={example}, found the range {text!r}")
    low_text, _, rest = text.partition(":")
    high_text, colon, scale = rest.partition(":")
    if colon and scale.strip() != "log":
        raise ValueError(f"--search {name} takes low:high or low:high:log, found {text!r}")
    low, high = (float(read_value(name, part, setting)) for part in (low_text, high_text))
    if low >= high:
        raise ValueError(f"--search {name} needs a low end below its high end, found {text!r}")
    if colon and low <= 0:
        raise ValueError(f"--search {name} cannot be spread on a log scale from {low:g}; start above 0")
    return Range(low, high, log=bool(colon))


def read_value(name: str, text: str, setting: Setting, *, option: str = "--search") -> Value:
    """One value of a setting, checked.

    Raises
    ------
    ValueError
        If it is of another kind or out of its limits; `option` begins the message.
    """
    text = text.strip()
    if name == _VIEW:
        try:
            check_view(text)
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"{option} {name}: {error}") from None
        return text
    if setting.choices:
        text = next((choice for choice in setting.choices if choice.lower() == text.lower()), text)
        if text not in setting.choices:
            raise ValueError(f"{option} {name} must be one of {', '.join(setting.choices)}, found {text!r}")
        return text
    expected = {int: "whole numbers", float: "numbers", str: "layers such as 512,256"}[setting.kind]
    try:
        numbers = [int(part) for part in text.split(",")] if setting.kind is str else [setting.kind(text)]
    except ValueError:
        raise ValueError(f"{option} {name} takes {expected}, found {text!r}") from None
    low, high = setting.limits
    if not all(low <= number <= high and math.isfinite(number) for number in numbers):
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        lower = "above 0" if setting.limits == _POSITIVE else f"at least {low:g}"
        raise ValueError(f"{option} {name} must be {lower}{upper}, found {text}")
    return ",".join(map(str, numbers)) if setting.kind is str else numbers[0]


def value_at(settings: Mapping[str, Any], place: Sequence[str]) -> Any:
    """What nested settings say at a place, or None."""
    for part in place:
        settings = (settings or {}).get(part)  # type: ignore[assignment]
    return settings


def estimator_settings(
    values: Mapping[str, Value], given: Mapping[str, Mapping[str, Any]], *, pretrains: bool
) -> dict[str, dict[str, Any]]:
    """Settings of the estimators, from values by name.

    Numbers of layers beyond those that there are mean all; a layer that is not taken over is not frozen either.

    Parameters
    ----------
    values
        By name in `SETTINGS`.
    given
        ``{"pretraining": ..., "training": ...}``: settings of all trials.
    pretrains
        Whether the layers belong to the pretrained encoder.

    Returns
    -------
    dict
        ``{"pretraining": ..., "training": ...}``, as `label_efficiency` takes them.

    Examples
    --------
    >>> settings = estimator_settings({"layers": "64,32", "dropout": 0.2}, {}, pretrains=False)
    >>> settings["training"]
    {'encoder_options': {'hidden': [64, 32]}, 'dropout': 0.2}
    """
    settings: dict[str, dict[str, Any]] = {part: _copied(given.get(part, {})) for part in ("pretraining", "training")}
    for name, value in values.items():
        place = SETTINGS[name].place
        _put(settings, place, _units(value) if name == _LAYERS else value)
        if place[-1] == "epochs":  # so many, even where they are few steps
            _put(settings, (*place[:-1], "min_steps"), 1)
    if pretrains:  # the encoder is built once, by pretraining; `study` builds its other networks by the same option
        hidden = settings["training"].get("encoder_options") or {}
        if hidden:
            settings["pretraining"]["encoder_options"] = {
                **settings["pretraining"].get("encoder_options", {}),
                **hidden,
            }
        _limit_layers(settings)
    return settings


def _copied(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in settings.items()}


def _put(settings: dict[str, Any], place: Sequence[str], value: Any) -> None:
    for part in place[:-1]:
        settings[part] = settings.get(part) or {}
        settings = settings[part]
    settings[place[-1]] = value


def _units(value: Value) -> list[int]:
    return [int(part) for part in str(value).split(",")]


def _limit_layers(settings: dict[str, dict[str, Any]]) -> None:
    hidden = value_at(settings, ("pretraining", "encoder_options", "hidden"))
    name = settings["pretraining"].get("encoder", "mlp")
    if hidden is None and isinstance(name, str) and "hidden" in _parameters(ENCODERS[name]):
        hidden = _parameters(ENCODERS[name])["hidden"].default
    training = settings["training"]
    transferred = len(hidden) if hidden is not None else math.inf
    if training.get("transfer_layers") is not None:
        transferred = training["transfer_layers"] = min(training["transfer_layers"], transferred)
    if training.get("frozen_layers") is not None:
        training["frozen_layers"] = min(training["frozen_layers"], transferred)


def shown_value(name: str, settings: Mapping[str, Any], method: str) -> Value:
    """The value of a setting as a user reads it; that of the estimators where `settings` give none."""
    place = SETTINGS[name].place
    objective = METHODS[method].objective
    if objective and name in OF_VIEWS:
        return _shown_view(name, settings.get("pretraining") or {}, objective)
    value = value_at(settings, place)
    if value is None:
        if "encoder_options" in place:
            owner: Callable[..., Any] = ENCODERS["mlp"]
        elif "objective_options" in place and objective:
            owner = OBJECTIVES[objective]
        else:
            owner = FineTunedClassifier if place[0] == "training" else SelfSupervisedEncoder
        value = _parameters(owner)[place[-1]].default
    if value is None:
        return "all" if name == "transfer_layers" else "automatic"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _shown_view(name: str, pretraining: Mapping[str, Any], objective: str) -> Value:
    """Name of the view, or what its settings say; the objective's own where none is given."""
    asked = pretraining.get("view")
    told = (pretraining.get("view_options"), pretraining.get(_STRENGTH))
    view, options = chosen_view(OBJECTIVES[objective], asked, *told)
    if name == _VIEW:
        own = asked is None and default_view(OBJECTIVES[objective])[1]  # that of the same name has other settings
        return view if isinstance(view, str) and not own else "its own"
    if not isinstance(view, str):
        return "none"
    wanted = STRENGTHS.get(read_view(view)[0]) if name == _STRENGTH else SETTINGS[name].place[-1]
    there = settings_of_view(view) | options
    if wanted is None or wanted not in there:
        return "none"
    value: Value | None = there[wanted]
    if value is None:
        return "automatic"
    return round(1 - float(value), 12) if wanted == "lowest" else value


_PRETRAIN_OPTIONS = {
    _LAYERS: "--layers",
    "pretraining_epochs": "--epochs",
    "pretraining_batch_size": "--batch-size",
    "pretraining_learning_rate": "--learning-rate",
    "mask_share": "--mask-share",
    "view": "--view",
    _STRENGTH: "--view-strength",
    "n_prototypes": "--prototypes",
}
_TRAIN_OPTIONS = {
    _LAYERS: "--layers",
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "transfer_layers": "--transfer-layers",
    "frozen_layers": "--freeze-layers",
}


def command_options(
    settings: Mapping[str, Any], method: str
) -> tuple[dict[str, list[str]], dict[str, dict[str, Value]]]:
    """Options of `oligolearn pretrain` and `train` that say the settings, and those settings that have no option.

    Returns
    -------
    tuple
        Words by verb, in the order in which they are typed; and what only Python can be told, by part.
    """
    verbs: dict[str, list[str]] = {"pretrain": [], "train": []} if METHODS[method].objective else {"train": []}
    rest: dict[str, dict[str, Value]] = {}
    for name, setting in settings_of(method).items():
        if value_at(settings, setting.place) is None:
            continue
        value = shown_value(name, settings, method)
        placed = False
        for verb, options in (("pretrain", _PRETRAIN_OPTIONS), ("train", _TRAIN_OPTIONS)):
            if verb in verbs and name in options and not (name == _LAYERS and verb == "train" and "pretrain" in verbs):
                verbs[verb] += [options[name], f"{value:.6g}" if isinstance(value, float) else str(value)]
                placed = True
        if not placed:
            rest.setdefault(setting.place[0], {})[name] = value
    return verbs, rest

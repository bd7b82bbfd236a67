"""What a sweep varies: named settings, their values, and the choices of settings that these make."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import torch

from oligolearn.estimators import SelfSupervisedEncoder
from oligolearn.pretext import OBJECTIVES
from oligolearn.study.design import Design
from oligolearn.study.methods import METHODS
from oligolearn.study.search_space import (
    OF_VIEWS,
    SETTINGS,
    Setting,
    Value,
    estimator_settings,
    known_name,
    read_value,
    settings_of,
    shown_value,
    tunable_methods,
    unknown_setting,
    value_at,
    view_problem,
)
from oligolearn.study.trial_training import default_settings

MOST_VARIED = 2
DEFAULT = "default"
_METHOD = "method"
Vary: TypeAlias = Sequence[str] | Mapping[str, Sequence[Any]]
Settings = dict[str, dict[str, Any]]


class Choice(NamedTuple):
    """One choice of settings.

    Attributes
    ----------
    name
        Such as ``"n_prototypes=16"``.
    method
        Name in `METHODS`.
    values
        Of the settings that are varied, as a user reads them.
    settings
        ``{"pretraining": ..., "training": ...}`` of the estimators.
    default
        Whether it is what `oligolearn study` would train with.
    """

    name: str
    method: str
    values: dict[str, Value]
    settings: Settings
    default: bool


class Sizes(NamedTuple):
    """What the defaults of objectives depend on."""

    n_classes: int
    n_pretrain: int
    n_genes: int


def read_vary(vary: Vary, method: str, *, given: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    """Values of the settings to vary.

    Parameters
    ----------
    vary
        ``["name=a,b,c"]``, or ``{"name": [a, b, c]}``. Units of layers are joined by hyphens: ``512-256-128``.
    method
        Name in `METHODS`; that of the default choice.
    given
        ``{"pretraining": ..., "training": ...}``: settings that are fixed, and so not varied.

    Raises
    ------
    ValueError
        If a name or a value cannot be used; says which there are.

    Examples
    --------
    >>> read_vary(["prototypes=4,8", "layers=64-32,64"], "swav", given={})
    {'n_prototypes': (4, 8), 'layers': ('64,32', '64')}
    """
    texts = texts_of_values(vary)
    if not 1 <= len(texts) <= MOST_VARIED:
        raise ValueError(f"a sweep varies one or two settings, found {', '.join(texts) or 'none'}; use --vary name=a,b")
    methods = [method]
    if _METHOD in texts:
        methods = values_once(
            _METHOD, [read_value(_METHOD, text, _METHODS, option="--vary") for text in texts[_METHOD]]
        )
    for one in {method, *methods}:
        known = settings_of(one)
        for name in texts:
            if name not in known and name != _METHOD:
                raise ValueError(unknown_setting(name, one, [*known, _METHOD], option="--vary"))
    found: dict[str, tuple[Value, ...]] = {}
    for name, parts in texts.items():
        setting = _METHODS if name == _METHOD else SETTINGS[name]
        if setting.place and value_at(given, setting.place) is not None:
            raise ValueError(f"--vary names {name}, which is fixed by another option; leave one of the two out")
        found[name] = tuple(values_once(name, [read_value(name, part, setting, option="--vary") for part in parts]))
    _check_views(found, given)
    return found


_METHODS = Setting((), None, (0, 0), str, tuple(tunable_methods()))


def texts_of_values(vary: Vary, name_of: Callable[[str], str] = known_name) -> dict[str, list[str]]:
    """Texts of the values by name of the setting, which `name_of` finds from what a user writes.

    Raises
    ------
    TypeError, ValueError
        If it is no list of ``name=a,b`` and no dict, or names a setting twice or without a value.
    """
    if isinstance(vary, str):
        raise TypeError(f'vary must be a list such as ["{vary}"], or a dict, found a string')
    named = [(name, list(values)) for name, values in vary.items()] if isinstance(vary, Mapping) else map(_split, vary)
    texts: dict[str, list[str]] = {}
    for written, values in named:
        name = name_of(written)
        if name in texts:
            raise ValueError(f"--vary names {name} twice; give its values at once")
        if not values:
            raise ValueError(f"--vary {name} needs at least one value")
        texts[name] = [_text(name, value) for value in values]
    return texts


def _split(item: str) -> tuple[str, list[Any]]:
    name, equals, text = (part.strip() for part in item.partition("="))
    values = [part.strip() for part in text.split("|" if "|" in text else ",")]
    if not (name and equals and all(values)):
        raise ValueError(f"--vary takes name=a,b,c such as prototypes=4,8,16, found {item!r}")
    return name, values


def _text(name: str, value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text.replace("-", ",") if name == "layers" else text


def values_once(name: str, values: list[Any]) -> list[Any]:
    """Give the values of a setting, refusing one that is there twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"--vary {name} names a value twice: {', '.join(map(str, values))}")
    return values


def _check_views(varied: Mapping[str, Sequence[Value]], given: Mapping[str, Any]) -> None:
    """Refuse settings that a view does not have."""
    fixed = value_at(given, SETTINGS["view"].place)
    names = [*varied, *(name for name in OF_VIEWS if value_at(given, SETTINGS[name].place) is not None)]
    for view in varied.get("view", [fixed]):
        if problem := view_problem(view, names):
            raise ValueError(f"--vary: {problem}")


def make_choices(design: Design, varied: Mapping[str, Sequence[Value]], sizes: Sizes) -> list[Choice]:
    """Every combination of the values, and the default settings where these are none of them.

    Combinations that mean the same, such as to freeze two or three layers of the two that were taken over, are one
    choice, the first.

    Parameters
    ----------
    design
        Its method and settings are the default.
    varied
        From `read_vary`.
    sizes
        Of the cohort.

    Raises
    ------
    ValueError
        If an objective refuses a value, or values of a single setting mean the same.
    """
    method = design.methods[0]
    settings = _settings(design, method, {}, sizes)
    default = _shown(settings, method, sizes)
    wanted = {name: method if name == _METHOD else default[name] for name in varied}
    found: dict[tuple[Any, ...], Choice] = {}
    for combination in product(*varied.values()):
        values = dict(zip(varied, combination, strict=True))
        its_method = str(values.get(_METHOD, method))
        its_settings = _settings(design, its_method, values, sizes)
        key = (its_method, *_shown(its_settings, its_method, sizes).values())
        if key not in found:
            same = key == (method, *default.values())
            chosen = settings if same else its_settings
            found[key] = Choice(choice_name(values), its_method, values, chosen, same)
        elif len(varied) == 1:
            raise ValueError(f"--vary {choice_name(found[key].values)} and {choice_name(values)} mean the same here")
    choices = list(found.values())
    if not any(choice.default for choice in choices):
        choices.insert(0, Choice(DEFAULT, method, wanted, settings, default=True))
    return choices


def choice_name(values: Mapping[str, Value]) -> str:
    """Name of a choice.

    >>> choice_name({"view": "noise", "view_strength": 0.5})
    'view=noise, view_strength=0.5'
    """
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


def _settings(design: Design, method: str, values: Mapping[str, Value], sizes: Sizes) -> Settings:
    """Settings of the estimators for the values of a choice, the others as `oligolearn study` has them."""
    objective = METHODS[method].objective
    given = default_settings(replace(design, methods=(method,)), sizes.n_classes, sizes.n_pretrain)
    if objective:
        known = inspect.signature(OBJECTIVES[objective]).parameters  # --prototypes is for those that have them
        options = given["pretraining"]["objective_options"].items()
        given["pretraining"]["objective_options"] = {name: value for name, value in options if name in known}
    named = {name: value for name, value in values.items() if name != _METHOD}
    return estimator_settings(named, given, pretrains=objective is not None)


def _shown(settings: Settings, method: str, sizes: Sizes) -> dict[str, Value]:
    """Every setting of a method as a user reads it, those that it derives from the cohort included."""
    objective = METHODS[method].objective
    complete = {part: dict(values) for part, values in settings.items()}
    if objective:
        model = SelfSupervisedEncoder(objective, **settings["pretraining"])
        model._build(sizes.n_pretrain, sizes.n_genes, 0, torch.device("cpu"))  # refuses what training would
        complete["pretraining"]["objective_options"] = model.options_
        complete["pretraining"]["epochs"] = model._epochs(sizes.n_pretrain)
    shown = {name: shown_value(name, complete, method) for name in settings_of(method)}
    n_layers = len(str(shown["layers"]).split(","))
    return {name: n_layers if (name, value) == ("transfer_layers", "all") else value for name, value in shown.items()}

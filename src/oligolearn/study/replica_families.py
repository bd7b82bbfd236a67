"""Which settings networks must share to be trained as replicas."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oligolearn.pretext import OBJECTIVES
from oligolearn.study.search_space import SETTINGS

FAMILY = 4  # choices of settings that are trained together, each in all its repeats
_RATES = ("learning_rate", "weight_decay")
OWN = {
    "pretraining": (*_RATES, "view", "view_options", "view_strength"),
    "training": (*_RATES, "dropout"),
}  # of each replica


def own_numbers(objective: str | None) -> tuple[str, ...]:
    """Settings of an objective in which replicas may differ.

    >>> own_numbers("swav"), own_numbers("byol")
    (('epsilon', 'temperature'), ())
    """
    return getattr(OBJECTIVES[objective], "per_replica", ()) if objective else ()


def architecture(settings: Mapping[str, Mapping[str, Any]], objective: str | None) -> str:
    """What replicas must have in common, as text that is the same for two choices that can be replicas of each other.

    Parameters
    ----------
    settings
        ``{"pretraining": ..., "training": ...}`` of the estimators, or one of the two.
    objective
        Of the pretraining.

    Examples
    --------
    >>> one = {"training": {"epochs": 5, "dropout": 0.1, "learning_rate": 1e-3}}
    >>> architecture(one, None)
    '{"training": {"epochs": 5}}'
    """
    shared = {
        part: {name: value for name, value in given.items() if name not in OWN[part]}
        for part, given in settings.items()
    }
    options = shared.get("pretraining", {}).get("objective_options")
    if options:
        own = own_numbers(objective)
        shared["pretraining"]["objective_options"] = {k: value for k, value in options.items() if k not in own}
    if settings.get("training", {}).get("dropout") == 0:
        shared["training"]["dropout"] = 0  # draws no masks
    return json.dumps(shared, sort_keys=True, default=repr)


def shared_names(names: Iterable[str], objective: str | None) -> set[str]:
    """Those of the settings named in `SETTINGS` that replicas must share.

    >>> sorted(shared_names(["layers", "dropout", "epsilon", "n_prototypes"], "swav"))
    ['layers', 'n_prototypes']
    """
    return {name for name in names if not _is_own(SETTINGS[name].place, objective)}


def _is_own(place: Sequence[str], objective: str | None) -> bool:
    part, name, *inside = place
    return name in OWN[part] or (name == "objective_options" and inside[0] in own_numbers(objective))

"""Names of the methods that adapt to a domain, what each allows, and the parts that they are made of."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.adapt import ADAPTATIONS, Consensus, SourceOnly
from oligolearn.estimators.building import resolve
from oligolearn.estimators.harmonising import HARMONISERS
from oligolearn.estimators.mapping import MAPS, DomainMap
from oligolearn.estimators.starting import Pretrained
from oligolearn.estimators.transfer_safety import FEWEST_TARGET
from oligolearn.nn import Classifier

Method: TypeAlias = str | Callable[..., nn.Module]

LINEAR = ("linear", *MAPS, *HARMONISERS)
"""Methods that train no network."""

BY_CONSENSUS = ("cada", "f-cada")
_NEED_CLASSES = ("cdan", *BY_CONSENSUS)
_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "source": SourceOnly,
    **dict.fromkeys(BY_CONSENSUS, Consensus),
    **ADAPTATIONS,
}


class Asked(Protocol):
    """Settings of an estimator that say what is to be trained, see `DomainAdaptedClassifier`."""

    method: Method
    pretrained: Pretrained
    method_options: Mapping[str, Any] | None
    standardize: str
    candidates: Sequence[str] | None


def method_names(*, of_values: bool = False) -> tuple[str, ...]:
    """Names of all methods but ``"select"``, for classes or for values."""
    return ("auto", *LINEAR, *(name for name in _NETWORKS if not (of_values and name in _NEED_CLASSES)))


def candidates_for(asked: Asked, usual: Sequence[str]) -> Sequence[str]:
    """What ``"select"`` chooses from; of the usual ones those that the standardisation allows.

    Raises
    ------
    ValueError
        If there is none.
    """
    if asked.candidates is not None:
        if len(asked.candidates) == 0:
            raise ValueError("candidates has no method to choose from; pass some, or None for the usual ones")
        return asked.candidates
    return [name for name in usual if asked.standardize in ("each", "auto") or name not in MAPS]


def check_method(asked: Asked, method: Method, *, of_values: bool) -> None:
    """Refuse a method that there is not, or that the other settings do not suit.

    Raises
    ------
    ValueError
        Says which.
    """
    if of_values and method in _NEED_CLASSES:
        raise ValueError(f"method {method!r} needs classes, not values: choose another one, such as 'dann'")
    if isinstance(method, str) and method not in (*LINEAR, *_NETWORKS):
        known = ", ".join((*method_names(of_values=of_values), "select"))
        raise ValueError(f"unknown method {method!r}; choose one of {known}, or pass a factory")
    if asked.method_options and (method in ("source", *LINEAR) or asked.method == "select"):
        name = method if asked.method != "select" else "select"
        raise ValueError(f"method {name!r} has no options, found {', '.join(asked.method_options)}")
    if asked.pretrained is not None and method in LINEAR and asked.method != "select":
        raise ValueError(f"pretrained is for networks, and method {method!r} trains none: choose one, such as dann")
    if method in MAPS and asked.standardize not in ("each", "auto"):
        raise ValueError(f"method {method!r} needs centred domains: pass standardize='each'")
    if method in HARMONISERS and asked.standardize not in (method, "auto"):
        raise ValueError(
            f"method {method!r} is a standardisation of its own, found standardize={asked.standardize!r}: leave it "
            "at 'auto'"
        )


def choose_standardisation(asked: Asked, method: Method, suits: str | None, n_target: int) -> str:
    """How to standardise: as asked, else what suits (None: not measured), where method and target allow it.

    Raises
    ------
    ValueError
        If a target, the smallest of which has `n_target` rows, is too small for the method.
    """
    if 0 < n_target < FEWEST_TARGET:
        if asked.standardize not in ("auto", "together") or method not in ("linear", "source"):
            raise ValueError(
                f"a target has {n_target} rows, and at least {FEWEST_TARGET} are needed to standardise it by "
                "itself or to adapt to it; pass method='linear' and standardize='together', or add rows"
            )
        return "together"
    if method in HARMONISERS:
        return str(method)
    if asked.standardize != "auto":
        return asked.standardize
    return "each" if suits is None or method in MAPS else suits


def make_objective(
    method: Method,
    network: Classifier,
    *,
    n_sources: int,
    class_weight: Tensor | None,
    options: Mapping[str, Any] | None,
) -> nn.Module:
    """Objective of a method that trains one network on both domains, or none of whose rows are the target's."""
    factory = resolve("method", method, _NETWORKS)
    known = inspect.signature(factory).parameters
    given = {"n_sources": n_sources, "class_weight": class_weight}
    made: nn.Module = factory(
        network,
        **{name: value for name, value in given.items() if name in known},
        **({} if method == "source" else dict(options or {})),  # also where there is no target
    )
    return made


def map_to_target(
    method: Method, rows: NDArray[np.floating], domains: NDArray[np.integer]
) -> tuple[NDArray[np.floating], DomainMap | None]:
    """Rows, those of sources mapped to the covariance of the target, and the map; None where the method has none."""
    if method not in MAPS:
        return rows, None
    is_source = domains >= 0
    to_target = MAPS[str(method)](rows[is_source], rows[~is_source])
    mapped = rows.astype(np.float64)
    mapped[is_source] = to_target(mapped[is_source])
    return mapped, to_target


def for_unmapped_rows(regression: Any, to_target: DomainMap | None) -> Any:
    """A linear model with `coef_` that does to rows of sources what `regression` does to mapped ones."""
    if to_target is None:
        return regression
    other = copy.copy(regression)
    coefficients = np.atleast_2d(regression.coef_)
    other.coef_ = to_target.before(coefficients).reshape(regression.coef_.shape)
    return other

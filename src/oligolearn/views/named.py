"""Views by their names, made ready for a data set."""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from oligolearn.views.gene_sets import GeneSetMasking, read_gmt
from oligolearn.views.latent import LatentNeighbours
from oligolearn.views.masking import MarginalMasking, mask_genes
from oligolearn.views.mixup import MaskedMixup, Mixup
from oligolearn.views.noise import add_noise
from oligolearn.views.swapping import GeneSwapping

View = Callable[..., Tensor]
STRENGTHS = {  # which setting says how much a view changes a sample
    "masking": "share",
    "marginal": "share",
    "noise": "scale",
    "swapping": "share",
    "gene-sets": "share",
    "mixup": "lowest",  # weight of the sample: the strength is what is left for its partner
    "masked-mixup": "share",
    "latent": "strength",
}
_WRITTEN = (
    f"{', '.join(name for name in STRENGTHS if name != 'gene-sets')}, a .gmt file of gene sets, or several one after "
    "the other, each with its strength, such as masking:0.3+noise:0.1"
)
_NO_SETTINGS = {"x", "rows", "generator"}  # what calls give to the function of a view


def read_view(text: str) -> tuple[str, dict[str, Any]]:
    """Name in `VIEWS` and settings of a view from what a user writes.

    Parameters
    ----------
    text
        A name; the path of a `.gmt` file, whose gene sets are hidden as wholes; either with its strength after a colon
        (see `strength_options`); or several of these with ``+`` between, one after the other.

    Raises
    ------
    ValueError
        If there is no such view, or the strength is none.

    Examples
    --------
    >>> read_view("noise"), read_view("hallmark.gmt:0.3")
    (('noise', {}), ('gene-sets', {'sets': 'hallmark.gmt', 'share': 0.3}))
    >>> read_view("masking:0.2+noise")
    ('compose', {'views': [('masking', {'share': 0.2}), ('noise', {})]})
    """
    if text in VIEWS:
        return text, {}
    parts = [_read_part(part.strip(), text) for part in text.split("+")]
    return parts[0] if len(parts) == 1 else ("compose", {"views": parts})


def check_view(text: str) -> None:
    """Refuse, before any work is done, a view that is none or whose file is not there; see `read_view`.

    Raises
    ------
    ValueError, FileNotFoundError
        As `make_view` does.
    """
    name, settings = read_view(text)
    _check_names(text, VIEWS[name], settings)
    for _, of_part in settings.get("views", [(name, settings)]):
        if "sets" in of_part:
            read_gmt(of_part["sets"])


def _read_part(part: str, text: str) -> tuple[str, dict[str, Any]]:
    found = re.fullmatch(r"(.+?\.gmt(?:\.gz)?|[^:]+)(?::(.*))?", part)
    written, strength = found.groups() if found else (part, None)
    is_file = re.search(r"\.gmt(\.gz)?$", written) is not None
    view, settings = ("gene-sets", {"sets": written}) if is_file else (written, {})
    if view not in STRENGTHS or (view == "gene-sets" and not is_file):
        raise ValueError(f"unknown view {text!r}; choose one of {_WRITTEN}")
    if strength is None:
        return view, settings
    try:
        number = float(strength)
    except ValueError:
        raise ValueError(f"the strength of a view is a number, found {strength!r} in {text!r}") from None
    return view, {**settings, **strength_options(view, number)}


def make_view(
    view: str | Callable[..., Any],
    options: Mapping[str, Any] | None = None,
    *,
    rows: Tensor,
    genes: Sequence[str] | None = None,
) -> View:
    """Make a view ready: ``(x, generator=...) -> x``.

    Parameters
    ----------
    view
        Name in `VIEWS`, or what else `read_view` reads; a function ``(x, *, generator, **options) -> x``; or something
        with a ``fit(rows, *, genes)`` that returns such a function, an object or its class.
    options
        Settings of the view, by name; an object has its own.
    rows
        Standardised training rows, ``(n_rows, n_genes)``, for views that need them.
    genes
        Names of the genes, for views that need them.

    Raises
    ------
    ValueError
        If the name is unknown, the view has no such setting, or a setting is out of its range.

    Examples
    --------
    >>> view = make_view("masking", {"fill": "marginal", "share": 1.0}, rows=torch.full((5, 3), 7.0))
    >>> view(torch.zeros(1, 3), generator=torch.Generator().manual_seed(0))
    tensor([[7., 7., 7.]])
    """
    options = dict(options or {})
    if isinstance(view, str):
        name, settings = read_view(view)
        if twice := settings.keys() & options.keys():
            raise ValueError(f"view {view!r} says its {', '.join(sorted(twice))} already; leave out one of the two")
        made, options = VIEWS[name], settings | options
    else:
        made = view
    is_object = hasattr(made, "fit") and not isinstance(made, type)
    if is_object and options:
        raise ValueError(f"view {view!r} has its settings already; pass its class, or leave out {', '.join(options)}")
    if not is_object:
        _check_names(view, made, options)
    if hasattr(made, "fit"):
        ready: View = (made if is_object else made(**options)).fit(rows, genes=genes)
        return ready
    if made is mask_genes and options.get("fill") == "marginal":
        options["rows"] = rows
    return partial(made, **options)


def strength_options(view: str | Callable[..., Any], strength: float) -> dict[str, float]:
    """Setting of a view that says how much it changes a sample.

    Parameters
    ----------
    view
        Name in `STRENGTHS`, or a `.gmt` file.
    strength
        0 changes nothing. The share of genes that are changed, the standard deviation of the noise, or the largest
        weight of the other sample in a mixture.

    Raises
    ------
    ValueError
        If the view has no such setting, or the strength is out of its range.

    Examples
    --------
    >>> strength_options("masking", 0.3), strength_options("mixup", 0.25)
    ({'share': 0.3}, {'lowest': 0.75})
    """
    name = strength_setting(view)
    if name is None:
        raise ValueError(
            f"one strength is known of the views {', '.join(STRENGTHS)} alone, found the view {view!r}; of several "
            "write each with its own, such as masking:0.3+noise:0.1"
        )
    most = 1 if name in ("share", "lowest") else math.inf
    if not 0 <= strength <= most:
        limit = "" if math.isinf(most) else " and at most 1"
        raise ValueError(f"the strength of the view {view} must be at least 0{limit}, found {strength:g}")
    return {name: 1 - strength if name == "lowest" else strength}


def strength_setting(view: str | Callable[..., Any]) -> str | None:
    """Name of the setting that is the strength of a view; None where there is none, or the view says it already.

    >>> strength_setting("mixup"), strength_setting("masking:0.3"), strength_setting("masking+noise")
    ('lowest', None, None)
    """
    if not isinstance(view, str):
        return None
    name, settings = read_view(view)
    setting = STRENGTHS.get(name)
    return None if setting in settings else setting


def settings_of_view(view: str) -> dict[str, Any]:
    """Every setting of a view, with what the text says of it or else its default."""
    name, settings = read_view(view)
    parameters = inspect.signature(VIEWS[name]).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name not in _NO_SETTINGS} | settings


def looks_at_rows(view: str | Callable[..., Any], options: Mapping[str, Any]) -> bool:
    """Whether `make_view` needs training rows for a view with such settings."""
    if isinstance(view, str):
        name, settings = read_view(view)
        view, options = VIEWS[name], {**settings, **options}
    made = view
    return hasattr(made, "fit") or options.get("fill") == "marginal"


class Compose:
    """Several views, one after the other.

    Parameters
    ----------
    views
        Names in `VIEWS`, or pairs of a name and its settings, in the order in which they are applied.

    Examples
    --------
    >>> both = Compose([("masking", {"share": 0.2, "fill": "zero"}), ("noise", {"scale": 0.1})]).fit(torch.ones(5, 4))
    >>> both(torch.ones(2, 4), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 4])
    """

    def __init__(self, views: Sequence[str | tuple[str, Mapping[str, Any]]]) -> None:
        if isinstance(views, str) or not views:
            raise ValueError(f"views must be a list of at least one view, found {views!r}")
        self.views: list[tuple[str, Mapping[str, Any]]] = []
        for view in views:
            if not isinstance(view, str) and len(view) != 2:
                raise ValueError(f"each of the views is a name, or a name and its settings, found {view!r}")
            self.views.append((view, {}) if isinstance(view, str) else (view[0], view[1]))

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> View:
        """Fit each of the views to the standardised training `rows`, ``(n_rows, n_genes)``."""
        return partial(
            _in_turn, views=[make_view(name, settings, rows=rows, genes=genes) for name, settings in self.views]
        )


def _in_turn(x: Tensor, *, views: Sequence[View], generator: torch.Generator) -> Tensor:
    for view in views:
        x = view(x, generator=generator)
    return x


def _check_names(view: object, made: Callable[..., Any], options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(made).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [name for name in parameters if name not in _NO_SETTINGS]
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty and name not in options]
    if needed:
        hint = "; write the path of a .gmt file in its place" if view == "gene-sets" else ""
        raise ValueError(f"view {view!r} needs its setting {', '.join(needed)}{hint}")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f"view {view!r} has no setting {', '.join(unknown)}; it has {', '.join(known)}")


VIEWS: dict[str, Callable[..., Any]] = {
    "masking": mask_genes,
    "marginal": MarginalMasking,
    "noise": add_noise,
    "swapping": GeneSwapping,
    "gene-sets": GeneSetMasking,
    "mixup": Mixup,
    "masked-mixup": MaskedMixup,
    "latent": LatentNeighbours,
    "compose": Compose,
}

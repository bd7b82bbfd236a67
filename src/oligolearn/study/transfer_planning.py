"""From cohorts and settings to a transfer study that is planned and checked, before anything is trained."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from oligolearn.data import (
    GeneMap,
    Labels,
    OwnCohort,
    Prepared,
    check_class_groups,
    check_class_sizes,
    class_labels,
    group_numbers,
    label_of,
    sample_warnings,
)
from oligolearn.data.other_cohorts import without_own
from oligolearn.estimators import DomainAdaptedClassifier, versions
from oligolearn.estimators.adapting import Joined, join_cohorts
from oligolearn.estimators.cohorts import Preparation
from oligolearn.study.design import Run
from oligolearn.study.planning import EverySetting, fingerprint, translation_of
from oligolearn.study.training_facts import hardware
from oligolearn.study.transfer_design import (
    DEFAULT_BUDGETS,
    DEFAULT_METHODS,
    Budget,
    TransferDesign,
    TransferDraw,
    draw_transfer,
    plan_budgets,
    plan_transfer_runs,
)

_LEFT_OUT = -2
_UNLABELLED = -1
_NETWORK = ("encoder", "epochs", "min_steps", "batch_size", "learning_rate", "weight_decay", "class_weight")


class TransferSettings(EverySetting, total=False):
    """Settings of a `TransferDesign`, by name, and of `oligolearn.data.Translation`."""

    methods: Sequence[str]
    budgets: Sequence[int]
    standardize: str
    min_overlap: float
    gene_map: str | os.PathLike[str] | GeneMap | None
    probes: str


class TransferPlan(NamedTuple):
    """A transfer study that is planned and not yet carried out.

    Attributes
    ----------
    design
        What is compared.
    X
        ``(n_samples, n_genes)``, float32: rows of the sources one after the other, then those of the target.
    y, domains, groups
        Of each row: class number, -1 where unlabelled; number of the source, -1 for the target; group number, or None.
    runs
        All trainings, each with its labels per class (None: all).
    classes, domain_names
        Names of the classes; of the sources in their order, then of the target.
    asked
        What decides the results, JSON-able.
    about
        What the report says of data and design, JSON-able.
    """

    design: TransferDesign
    X: NDArray[np.float32]
    y: NDArray[np.int64]
    domains: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    runs: list[tuple[Run, int | None]]
    classes: list[str]
    domain_names: list[str]
    asked: dict[str, Any]
    about: dict[str, Any]


def plan_transfer(
    sources: Sequence[ad.AnnData], target: ad.AnnData, label: str, settings: TransferSettings, *, command: str = ""
) -> TransferPlan:
    """Check cohorts and settings and draw all splits of the target.

    Parameters
    ----------
    sources, target
        As `read_expression` gives them.
    label
        Column of `obs` in all of them.
    settings
        Of the design.
    command
        What reproduces the study, for the report.

    Raises
    ------
    ValueError
        If cohorts or settings cannot be used.
    """
    if not sources:
        raise ValueError("a transfer study needs a source with labels, found none: name one or more")
    design = _design(label, settings)
    probes = settings.get("probes", "auto")
    # any other choice among the probes of a gene would depend on the rows that are tested
    translation = translation_of(settings.get("gene_map"), "mean" if probes == "auto" else probes)
    preparation = Preparation(design.normalize, design.max_missing, translation=translation)
    names = _domain_names([*sources, target])
    labelled = _labelled(sources, target, names, design)
    joined = join_cohorts(sources, target, preparation, min_overlap=design.min_overlap)
    rows = _kept_rows(sources, target, joined, labelled, design.group)
    kept = rows.kept
    y, domains = labelled.y[kept], joined.domains[kept]
    groups, told = _groups(target, kept[joined.domains < 0], design, domains)
    _check_target(labelled.classes, y, domains, groups, names[-1], design)
    cohorts = _Cohorts(joined._replace(X=joined.X[kept], domains=domains), y, groups, labelled.classes, names)
    draws = [draw_transfer(design, y, domains, groups, repeat) for repeat in range(design.repeats)]
    _check_budgets(design, draws, y, labelled.classes)
    n_classes = len(labelled.classes)
    budgets = plan_budgets(design.budgets, max(len(draw.train) for draw in draws), n_classes)
    per_class = {fraction: n for n, fraction in budgets}
    runs = [(run, per_class[run.fraction]) for run in plan_transfer_runs(design, budgets, draws, n_classes)]
    notes = [*labelled.notes, *joined.notes, *rows.notes, *told]
    notes += [f"{name}: {note}" for name, one in zip(names, joined.prepared, strict=True) for note in one.notes]
    asked = {**design.as_dict(), "methods": list(design.all_methods), "data": cohorts.fingerprint()}
    about = {
        "title": f"Transfer of {label} from {' and '.join(names[:-1])} to {names[-1]}",
        "command": command,
        "versions": versions(),
        "settings": _settings(design),
        "data": {**cohorts.describe(design), "notes": notes, "fingerprint": asked["data"]},
        "warnings": [*rows.warnings, *sample_warnings(target, label, design.group)],
        "n_runs": len(runs),
        **_describe_draws(draws, budgets, runs, y, n_classes),
    }
    return TransferPlan(design, cohorts.joined.X, y, domains, groups, runs, labelled.classes, names, asked, about)


def _design(label: str, settings: TransferSettings) -> TransferDesign:
    named = {name: value for name, value in settings.items() if name not in ("gene_map", "probes")}
    chosen: dict[str, Any] = {**named, **hardware(settings)}
    chosen["methods"] = tuple(settings.get("methods", DEFAULT_METHODS))
    chosen["budgets"] = tuple(settings.get("budgets", DEFAULT_BUDGETS))
    return TransferDesign(label=label, **chosen)


def _domain_names(cohorts: Sequence[ad.AnnData]) -> list[str]:
    """Names of the files, or places where there is none or two have the same."""
    places = [f"source {i}" for i in range(1, len(cohorts))] + ["target"]
    files = [str(one.uns.get("oligolearn", {}).get("file", "")) for one in cohorts]
    return [
        file if file and files.count(file) == 1 else f"{place}, {file}" if file else place
        for file, place in zip(files, places, strict=True)
    ]


class _Labelled(NamedTuple):
    """Classes that sources and target have in common, and the class number of each row, -2 for other classes."""

    classes: list[str]
    y: NDArray[np.int64]
    notes: list[str]


def _labelled(
    sources: Sequence[ad.AnnData], target: ad.AnnData, names: Sequence[str], design: TransferDesign
) -> _Labelled:
    if design.label not in target.obs or not _has_labels(target, design.label):
        raise ValueError(
            f"{names[-1]} has no labels in a column {design.label!r}: a transfer study tests on labelled samples of "
            "the target; without any, `oligolearn adapt` makes a model that nobody has tested"
        )
    each = []
    for one, name in zip((*sources, target), names, strict=True):
        try:
            each.append(class_labels(one, design.label, min_class_size=design.min_class_size))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    of_sources, of_target = {name for one in each[:-1] for name in one.classes}, set(each[-1].classes)
    classes = sorted(of_sources & of_target)
    if len(classes) < 2:
        raise ValueError(
            f"at least two classes of {design.label!r} must be in sources and target, found {len(classes)} such; "
            f"the sources have {', '.join(sorted(of_sources))}, the target {', '.join(sorted(of_target))}; give the "
            "same class the same name"
        )
    y, notes = [], []
    for name, labels in zip(names, each, strict=True):
        number = [classes.index(one) if one in classes else _LEFT_OUT for one in labels.classes]
        y.append(np.array([*number, _UNLABELLED])[labels.codes])
        notes += [f"{name}: {note}" for note in labels.notes]
    return _Labelled(classes, np.concatenate(y), notes)


def _has_labels(adata: ad.AnnData, label: str) -> bool:
    """Whether a sample has a label."""
    return bool((adata.obs[label].notna() & (adata.obs[label].astype(str).str.strip() != "")).any())


class _Kept(NamedTuple):
    kept: NDArray[np.bool_]
    notes: list[str]
    warnings: list[str]


def _kept_rows(
    sources: Sequence[ad.AnnData], target: ad.AnnData, joined: Joined, labelled: _Labelled, group: str | None
) -> _Kept:
    """Rows to learn from and to test on: no class that one side lacks, no sample of the target among the sources."""
    kept = labelled.y != _LEFT_OUT
    told, warned = [], []
    of_target = joined.domains < 0
    for side, those in (("sources", ~of_target), ("target", of_target)):
        n = int((~kept[those]).sum())
        if n:
            warned.append(
                f"{n:,} samples of the {side} are of classes that the other side does not have; they are left out"
            )
    prepared = joined.prepared[-1]
    groups = None if group is None else label_of(target, group)
    own = OwnCohort(joined.X[of_target], joined.genes, prepared.units, list(map(str, target.obs_names)), groups)
    for number, source in enumerate(sources):
        rows = np.flatnonzero(joined.domains == number)
        others, found = without_own(source, joined.X[rows], own, group)
        if found:
            told.append(f"Of source {number + 1}, {found} (those of the target) and are left out.")
        kept[rows[~others]] = False
    for code, name in enumerate(labelled.classes):
        if not (kept & ~of_target & (labelled.y == code)).any():
            raise ValueError(
                f"no source has a sample of class {name!r} that is not one of the target's as well; source and target "
                "must be different samples"
            )
    return _Kept(kept, told, warned)


def _groups(
    target: ad.AnnData, kept: NDArray[np.bool_], design: TransferDesign, domains: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Group numbers of all rows, -1 for those of sources, and how many groups there are."""
    if design.group is None:
        return None, []
    numbers, sentence = group_numbers(target, design.group)
    groups = np.full(len(domains), -1, dtype=np.int64)
    groups[domains < 0] = numbers[kept]
    return groups, [f"Target: {sentence}"]


def _check_target(
    classes: list[str],
    y: NDArray[np.int64],
    domains: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    name: str,
    design: TransferDesign,
) -> None:
    """Refuse classes of the target that are too small to be shown and tested."""
    of_target = Labels(classes, y[domains < 0], [])
    try:
        if design.min_class_size is None:
            check_class_sizes(design.label, of_target)
        if groups is not None and design.group is not None:
            check_class_groups(of_target, groups[domains < 0], design.group)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_budgets(
    design: TransferDesign, draws: Sequence[TransferDraw], y: NDArray[np.int64], classes: list[str]
) -> None:
    counts = np.array([np.bincount(y[draw.train], minlength=len(classes)) for draw in draws])
    repeat, code = np.unravel_index(counts.argmin(), counts.shape)
    most = int(counts[repeat, code])
    if design.budgets[-1] > most:
        raise ValueError(
            f"a budget of {design.budgets[-1]} labels for each class is more than the {most} samples of class "
            f"{classes[code]!r} that can be shown (the rest of them are tested, in repeat {repeat + 1}); ask for "
            f"{most} at most"
        )


class _Cohorts(NamedTuple):
    """What is left of the cohorts, joined."""

    joined: Joined
    y: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    classes: list[str]
    names: list[str]

    def fingerprint(self) -> str:
        """Digest of everything in the data that decides the results: rows by domain, too."""
        X, domains, genes, *_ = self.joined
        sizes = [str((domains == domain).sum()) for domain in np.unique(domains)]
        return fingerprint(Prepared(X, [*genes, *sizes], "", []), Labels(self.classes, self.y, []), self.groups)

    def describe(self, design: TransferDesign) -> dict[str, Any]:
        """What the report says of the data."""
        domains = self.joined.domains
        of_target, known = domains < 0, self.y != _UNLABELLED
        counts = [
            np.bincount(self.y[side & known], minlength=len(self.classes)).tolist() for side in (of_target, ~of_target)
        ]
        return {
            "sources": self.names[:-1],
            "target": self.names[-1],
            "n_samples": len(domains),
            "n_source": int((~of_target).sum()),
            "n_target": int(of_target.sum()),
            "n_target_labelled": int((of_target & known).sum()),
            "n_genes": len(self.joined.genes),
            "label": design.label,
            "group": design.group,
            "units": self.joined.prepared[-1].units,
            "classes": [
                {"name": name, "n": n, "n_source": n_source}
                for name, n, n_source in zip(self.classes, *counts, strict=True)
            ],
        }


def _settings(design: TransferDesign) -> dict[str, Any]:
    """Settings of the trainings, as the estimators have them."""
    network = DomainAdaptedClassifier(**design.training).get_params(deep=False)
    return {
        "standardize": design.standardize,
        "genes": "all that are shared" if design.top_genes is None else f"{design.top_genes:,} of the sources",
        **{f"networks: {name}": network[name] for name in _NETWORK},
        "threads per training": design.threads,
        "device": design.device,
        "precision of products": design.precision,
    }


def _describe_draws(
    draws: Sequence[TransferDraw],
    budgets: Sequence[Budget],
    runs: Sequence[tuple[Run, int | None]],
    y: NDArray[np.int64],
    n_classes: int,
) -> dict[str, Any]:
    """Sizes of the sides, which vary a little where groups stay together: their means; and the budgets."""
    parts = ("train", "test", "seen")
    sizes = {f"n_{part}": round(float(np.mean([len(getattr(draw, part)) for draw in draws]))) for part in parts}
    tests = [np.bincount(y[draw.test], minlength=n_classes) for draw in draws]
    told = []
    for n_per_class, fraction in budgets:
        n_labels = [run.n_labels for run, _ in runs if run.fraction == fraction]
        told.append({"fraction": fraction, "n_per_class": n_per_class, "n_labels": round(float(np.mean(n_labels)))})
    return {"sizes": sizes, "test_class_counts": np.maximum(1, np.mean(tests, axis=0)).tolist(), "budgets": told}

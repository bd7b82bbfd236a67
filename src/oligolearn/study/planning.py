"""From a cohort and settings to a study that is planned, checked and described, before anything is trained."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from oligolearn.data import (
    GeneMap,
    Labels,
    Prepared,
    Translation,
    check_class_groups,
    check_class_sizes,
    class_labels,
    group_numbers,
    prepare_expression,
    read_expression,
    read_gene_map,
    sample_warnings,
)
from oligolearn.study.design import Design, Draw, Run, draw_repeat, plan_runs, spread_fractions
from oligolearn.study.methods import DEFAULT_METHODS, METHODS
from oligolearn.study.work import describe_trainings
from oligolearn.workers import Workers

if TYPE_CHECKING:
    from oligolearn.data import Borrowed

DEFAULT_POINTS = 10
_NOT_OF_DESIGN = ("points", "fractions", "pretrain_on", "standardize", "min_overlap", "gene_map", "probes")


class EverySetting(TypedDict, total=False):
    """Settings that studies of every kind have in common, by name."""

    repeats: int
    group: str | None
    seed: int
    min_class_size: int | None
    normalize: str
    max_missing: float
    top_genes: int | None
    training: dict[str, Any]
    threads: int
    device: str
    precision: str


class SharedSettings(EverySetting, total=False):
    """Settings of a `Design` that a study and a tuning have in common, by name."""

    pretraining: dict[str, Any]


class DesignSettings(SharedSettings, total=False):
    """Settings of a `Design`, by name; `points` spreads that many fractions over a logarithmic scale.

    `pretrain_on`, `standardize`, `min_overlap`, `gene_map` and `probes` are those of
    `oligolearn.study.label_efficiency`.
    """

    methods: Sequence[str]
    fractions: Sequence[float] | None
    points: int
    split: str
    pretrain_on: Sequence[str | os.PathLike[str] | ad.AnnData]
    standardize: str
    min_overlap: float
    gene_map: str | os.PathLike[str] | GeneMap | None
    probes: str


class Study(NamedTuple):
    """A study that is planned and not yet carried out.

    Attributes
    ----------
    design
        What is compared.
    X
        ``(n_samples, n_genes)``, float32.
    samples
        Their names.
    labels, groups
        Class numbers, and group numbers or None.
    runs
        All trainings.
    asked
        What decides the results, JSON-able.
    about
        What the report says of data and design, JSON-able.
    genes
        Names of the columns of `X`.
    borrowed
        Rows of other cohorts for pretraining, or None.
    """

    design: Design
    X: NDArray[np.float32]
    samples: list[str]
    labels: Labels
    groups: NDArray[np.int64] | None
    runs: list[Run]
    asked: dict[str, Any]
    about: dict[str, Any]
    genes: list[str]
    borrowed: "Borrowed | None" = None


def plan_study(
    adata: ad.AnnData, label: str, settings: DesignSettings, *, command: str = "", workers: Workers | None = None
) -> Study:
    """Check data and settings and draw all splits.

    Parameters
    ----------
    adata
        As `read_expression` gives it.
    label
        Column of `obs`.
    settings
        Of the design.
    command
        What reproduces the study, for the report.
    workers
        Asked for what torch knows of the trainings, so that this process need not import it; None: it does.

    Raises
    ------
    ValueError
        If the data or the settings cannot be used.
    """
    labels = class_labels(adata, label, min_class_size=settings.get("min_class_size"))
    if settings.get("min_class_size") is None:
        check_class_sizes(label, labels)
    group = settings.get("group")
    groups, grouping = (None, None) if group is None else group_numbers(adata, group)
    if groups is not None and group is not None:
        check_class_groups(labels, groups, group)
    prepared = prepare_expression(
        adata, normalize_as=settings.get("normalize", "auto"), max_missing=settings.get("max_missing", 0.3)
    )
    design = _design(label, labels, settings)
    borrowed = _borrowed(adata, prepared, design, settings)
    draws = [draw_repeat(design, labels.codes, groups, repeat) for repeat in range(design.repeats)]
    runs = plan_runs(design, [len(draw.split.train) for draw in draws], len(labels.classes))
    read = adata.uns.get("oligolearn", {})
    file = str(read.get("file", "data in memory"))
    notes = [*map(str, read.get("notes", [])), *labels.notes, *([grouping] if grouping else []), *prepared.notes]
    if design.top_genes is not None:
        notes.append(f"In each repeat, the {design.top_genes:,} genes that vary most in the training rows were kept.")
    notes += borrowed.notes if borrowed else []
    digest, warned = fingerprint(prepared, labels, groups), sample_warnings(adata, label, group)
    trainings = (workers or Workers(1)).ask(describe_trainings, design, prepared.X.shape[1])
    design = replace(design, device=trainings.device, precision=trainings.precision)
    asked = {**design.as_dict(), "data": digest}
    if borrowed is not None:
        asked |= {"pretrain_on": borrowed.facts, "standardize": borrowed.standardize}
    about = {
        "title": f"Label efficiency of {label} in {file}",
        "command": command,
        "versions": trainings.versions,
        "settings": trainings.settings,
        "data": {**_describe_data(prepared, labels, design, notes), "file": file, "fingerprint": digest},
        "warnings": warned,
        "replicas": trainings.at_once,
        "n_runs": len(runs),
        **describe_draws(draws, runs, labels),
    }
    if borrowed is not None:
        about["sizes"]["n_pretrain"] += len(borrowed.X)
        about["settings"] |= {
            "pretraining: samples of other cohorts": f"{len(borrowed.X):,}",
            "pretraining: standardised": borrowed.standardize,
        }
    samples = list(map(str, adata.obs_names))
    return Study(design, prepared.X, samples, labels, groups, runs, asked, about, prepared.genes, borrowed)


def _borrowed(adata: ad.AnnData, prepared: Prepared, design: Design, settings: DesignSettings) -> "Borrowed | None":
    """Rows of other cohorts, none of which is a sample of this one."""
    sources = settings.get("pretrain_on") or ()
    if sources and not any(METHODS[name].objective for name in design.methods):
        raise ValueError(
            f"none of the methods {', '.join(design.methods)} pretrains, so nothing can be pretrained on other "
            "cohorts; add one such as swav, or leave out --pretrain-on"
        )
    named = settings.get("gene_map")
    if named is not None and not sources:
        raise ValueError("a gene map (--gene-map) is for the names of other cohorts: it needs --pretrain-on")
    if not sources:
        return None
    from oligolearn.data.other_cohorts import LEAST_SHARE
    from oligolearn.estimators import OtherCohorts  # brings torch

    cohorts = [one if isinstance(one, ad.AnnData) else read_expression(os.fspath(one)) for one in sources]
    others = OtherCohorts(
        cohorts,
        settings.get("standardize", "each"),
        settings.get("min_overlap", LEAST_SHARE),
        translation_of(named, settings.get("probes", "auto")),
    )
    return others.borrow(adata, prepared, design.group)


def translation_of(gene_map: str | os.PathLike[str] | GeneMap | None, probes: str) -> Translation:
    """How gene names are translated, from a map or its file."""
    return Translation(read_gene_map(gene_map) if isinstance(gene_map, str | os.PathLike) else gene_map, probes)


def _design(label: str, labels: Labels, settings: DesignSettings) -> Design:
    chosen: dict[str, Any] = {name: value for name, value in settings.items() if name not in _NOT_OF_DESIGN}
    chosen["methods"] = tuple(settings.get("methods", DEFAULT_METHODS))
    fractions = settings.get("fractions")
    if fractions is None:
        n_train = round(0.7 * int((labels.codes >= 0).sum()))
        fractions = spread_fractions(settings.get("points", DEFAULT_POINTS), n_train, len(labels.classes))
    return Design(label=label, fractions=tuple(map(float, fractions)), **{"precision": "auto", **chosen})


def fingerprint(prepared: Prepared, labels: Labels, groups: NDArray[np.int64] | None) -> str:
    """Digest of everything in the data that decides the results."""
    digest = hashlib.sha256(np.ascontiguousarray(prepared.X).data)
    digest.update("\n".join([*labels.classes, "", *prepared.genes]).encode())
    digest.update(labels.codes.tobytes())
    if groups is not None:
        digest.update(groups.tobytes())
    return digest.hexdigest()[:16]


def _describe_data(prepared: Prepared, labels: Labels, design: Design, notes: list[str]) -> dict[str, Any]:
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.classes))
    return {
        "n_samples": len(prepared.X),
        "n_genes": len(prepared.genes),
        "n_unlabelled": int((labels.codes < 0).sum()),
        "label": design.label,
        "group": design.group,
        "units": prepared.units,
        "classes": [{"name": name, "n": int(n)} for name, n in zip(labels.classes, sizes, strict=True)],
        "notes": notes,
    }


def describe_draws(draws: Sequence[Draw], runs: Sequence[Run], labels: Labels) -> dict[str, Any]:
    """Sizes of the parts, which vary a little where groups stay together: their means."""
    parts = ("train", "validation", "test", "pretrain")
    sizes = {f"n_{part}": round(float(np.mean([len(getattr(draw.split, part)) for draw in draws]))) for part in parts}
    tests = [np.bincount(labels.codes[draw.split.test], minlength=len(labels.classes)) for draw in draws]
    fractions = []
    for fraction in sorted({run.fraction for run in runs}):
        n_labels = [run.n_labels for run in runs if run.fraction == fraction]
        raised = min(n_labels) > round(fraction * sizes["n_train"]) and min(n_labels) == len(labels.classes)
        note = f"raised from {fraction:.3g} of the labels so that every class keeps one" if raised else None
        fractions.append({"fraction": fraction, "n_labels": round(float(np.mean(n_labels))), "note": note})
    return {
        "sizes": sizes,
        "test_class_counts": np.maximum(1, np.mean(tests, axis=0)).tolist(),
        "fractions": fractions,
    }

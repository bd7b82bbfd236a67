"""What a study asks about its trainings before they start: what they compute on, how many at once, which settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from oligolearn.estimators import FineTunedClassifier, SelfSupervisedEncoder, SelfTrainedClassifier, versions
from oligolearn.estimators.building import resolve, resolve_device
from oligolearn.estimators.rows import chosen_view
from oligolearn.nn import ENCODERS
from oligolearn.pretext import OBJECTIVES
from oligolearn.study.design import Design
from oligolearn.study.methods import CLUSTERING, METHODS, PROTOTYPES_PER_CLASS
from oligolearn.study.work import Trainings
from oligolearn.training import LARGEST_STACKED_ON_CPU, resolve_precision, room_for_replicas

if TYPE_CHECKING:
    from oligolearn.study.planning import EverySetting

MOST_ON_CPU = 8
_PRETRAINING_SETTINGS = ("min_steps", "batch_size", "learning_rate", "weight_decay")
_STUDENT_SETTINGS = ("temperature", "distillation_weight", "view", "view_options", "epochs", "dropout")


def describe_trainings(design: Design, n_genes: int) -> Trainings:
    """Find out what the trainings of a design are, whose device and precision may be "auto".

    Raises
    ------
    ValueError
        If there is no such device or precision, or a setting of the networks cannot be used.
    """
    chosen = hardware({"device": design.device, "precision": design.precision})
    design = replace(design, device=chosen["device"], precision=chosen["precision"])
    return Trainings(design.device, design.precision, replicas_at_once(design, n_genes), _settings(design), versions())


def hardware(settings: "EverySetting") -> dict[str, str]:
    """What trainings compute on: ``device`` and ``precision``."""
    device = resolve_device(settings.get("device", "cpu"))
    return {"device": str(device), "precision": resolve_precision(settings.get("precision", "auto"), device)}


def replicas_at_once(design: Design, n_genes: int) -> int:
    """How many networks a study trains together: from the memory at hand, and on a CPU from what pays.

    On a CPU more than 8 bring little, groups of equal size keep all workers busy, and large networks are as fast one
    at a time.
    """
    network = FineTunedClassifier(**design.training).get_params(deep=False)
    with torch.device("meta"):
        encoder = resolve("encoder", network["encoder"], ENCODERS)(n_genes, **(network["encoder_options"] or {}))
    room = room_for_replicas(encoder, network["batch_size"] * n_genes, torch.device(design.device))
    if design.device == "cpu":
        if sum(p.numel() for p in encoder.parameters()) > LARGEST_STACKED_ON_CPU:
            return 1
        room = min(room, MOST_ON_CPU, max(1, -(-design.repeats // 2)))
    return -(-design.repeats // -(-design.repeats // room))


def _settings(design: Design) -> dict[str, Any]:
    """Settings of the trainings, as the estimators have them."""
    network = FineTunedClassifier(**design.training).get_params(deep=False)
    kept = (
        "encoder",
        "epochs",
        "min_steps",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "dropout",
        "transfer_layers",
    )
    shown = {f"network: {name}": network[name] for name in (*kept, "frozen_layers", "probe_first")}
    if any(METHODS[name].objective for name in design.methods):
        encoder = SelfSupervisedEncoder(**design.pretraining).get_params(deep=False)
        shown |= {f"pretraining: {name}": encoder[name] for name in _PRETRAINING_SETTINGS}
        shown["pretraining: epochs"] = encoder["epochs"] or "150, fewer in a large cohort"
        shown["pretraining: view"] = _views(design, encoder)
        if {METHODS[name].objective for name in design.methods} & CLUSTERING:
            shown["pretraining: prototypes"] = f"{PROTOTYPES_PER_CLASS} per class"
        shown |= {f"pretraining: {name}": value for name, value in (encoder["objective_options"] or {}).items()}
    if any(METHODS[name].teacher for name in design.methods):
        student = SelfTrainedClassifier().get_params(deep=False)
        chosen = {name: student[name] for name in _STUDENT_SETTINGS if student[name] is not None}
        shown |= {f"self-training: {name}": value for name, value in chosen.items()}
    return {
        **shown,
        "threads per training": design.threads,
        "device": design.device,
        "precision of products": design.precision,
    }


def _views(design: Design, encoder: Mapping[str, Any]) -> str:
    """The view of each objective with its settings, in words."""
    said: dict[str, list[str]] = {}
    for objective in dict.fromkeys(filter(None, (METHODS[name].objective for name in design.methods))):
        told = (encoder["view"], encoder["view_options"], encoder["view_strength"])
        view, options = chosen_view(OBJECTIVES[objective], *told)
        settings = ", ".join(f"{name} {value}" for name, value in options.items())
        name = view if isinstance(view, str) else repr(view)
        said.setdefault(f"{name} ({settings})" if settings else name, []).append(objective)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(objectives)}: {view}" for view, objectives in said.items())

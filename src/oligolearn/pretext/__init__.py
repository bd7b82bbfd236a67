"""Self-supervised objectives: ``forward(views)`` returns a scalar loss. They own their encoder and heads."""

from collections.abc import Callable
from typing import Any

from torch import nn

from oligolearn.pretext.collapse import diagnose_collapse, effective_rank
from oligolearn.pretext.swav import SwAV, sinkhorn

OBJECTIVES: dict[str, Callable[..., nn.Module]] = {"swav": SwAV}


def suggest_options(
    objective: str | Callable[..., nn.Module], n_rows: int, batch_size: int, n_epochs: int
) -> dict[str, Any]:
    """Settings of an objective that suit a cohort, from the objective's own `suggest_options` where it has one."""
    factory = OBJECTIVES.get(objective) if isinstance(objective, str) else objective
    suggest = getattr(factory, "suggest_options", None)
    options: dict[str, Any] = suggest(n_rows, batch_size, n_epochs) if suggest else {}
    return options


__all__ = ["OBJECTIVES", "SwAV", "diagnose_collapse", "effective_rank", "sinkhorn", "suggest_options"]

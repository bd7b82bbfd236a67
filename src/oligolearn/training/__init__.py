"""Training loops for any module whose ``forward(batch)`` returns a loss."""

from oligolearn.training.checkpoint import Checkpoint, read_state, write_state
from oligolearn.training.inference import apply_in_batches
from oligolearn.training.loop import Batch, Epoch, Runtime, fit
from oligolearn.training.products import exact_copy, resolve_precision
from oligolearn.training.replicas import LARGEST_STACKED_ON_CPU, Replicas, fit_replicas, room_for_replicas
from oligolearn.training.schedule import DivergedError, History, Schedule, n_batches
from oligolearn.training.team import Team, is_first_process
from oligolearn.training.threads import threads

__all__ = [
    "LARGEST_STACKED_ON_CPU",
    "Batch",
    "Checkpoint",
    "DivergedError",
    "Epoch",
    "History",
    "Replicas",
    "Runtime",
    "Schedule",
    "Team",
    "apply_in_batches",
    "exact_copy",
    "fit",
    "fit_replicas",
    "is_first_process",
    "n_batches",
    "read_state",
    "resolve_precision",
    "room_for_replicas",
    "threads",
    "write_state",
]

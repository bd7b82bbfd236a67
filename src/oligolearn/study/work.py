"""What worker processes are asked to do for a study: who asks need not import the modules that do it, with torch."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from oligolearn.study.design import Design, Run
    from oligolearn.study.execute import Pretrained

# What a process to fork workers from imports, while the study reads its data
FOR_EXPRESSION = tuple(f"oligolearn.study.{name}" for name in ("jobs", "fitting", "scores", "training_facts"))
FOR_SEQUENCES = tuple(f"oligolearn.study.{name}" for name in ("jobs", "sequence_cohort"))


class Trainings(NamedTuple):
    """What is known of the trainings of a study.

    Attributes
    ----------
    device, precision
        What they compute on, and how exactly.
    at_once
        How many networks are trained together.
    settings
        Of the estimators, for the report.
    versions
        Of what decides a result.
    """

    device: str
    precision: str
    at_once: int
    settings: dict[str, Any]
    versions: dict[str, str]


def carry_out(*job: Any) -> "list[tuple[Run, dict[str, Any]]]":
    """Train and test a group of runs, see `oligolearn.study.jobs.carry_out`."""
    from oligolearn.study import jobs

    return jobs.carry_out(*job)


def pretrain(*job: Any) -> "list[Pretrained]":
    """Pretrain the encoders of some repeats, see `oligolearn.study.jobs.pretrain`."""
    from oligolearn.study import jobs

    return jobs.pretrain(*job)


def embed(*job: Any) -> dict[str, Any]:
    """Map samples, see `oligolearn.study.jobs.embed`."""
    from oligolearn.study import jobs

    return jobs.embed(*job)


def describe_trainings(design: "Design", n_genes: int) -> Trainings:
    """What torch and the estimators know of trainings, see `oligolearn.study.training_facts.describe_trainings`."""
    from oligolearn.study import training_facts

    return training_facts.describe_trainings(design, n_genes)

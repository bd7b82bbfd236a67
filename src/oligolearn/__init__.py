"""Deep learning on omics when labels are few."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oligolearn import adapt, data, estimators, explain, kmers, nn, pretext, report, saving, study, training, views
    from oligolearn.data import read_expression, read_sequences, simulate_cohort
    from oligolearn.estimators import (
        DomainAdaptedClassifier,
        DomainAdaptedRegressor,
        FineTunedClassifier,
        KmerProfile,
        KmerWord2Vec,
        SelfSupervisedEncoder,
        SelfSupervisedSequenceEncoder,
        SelfTrainedClassifier,
        SequenceClassifier,
        SequenceRegressor,
        load_model,
        save_model,
    )
    from oligolearn.study import label_efficiency, tune

    __version__: str

__all__ = [
    "DomainAdaptedClassifier",
    "DomainAdaptedRegressor",
    "FineTunedClassifier",
    "KmerProfile",
    "KmerWord2Vec",
    "SelfSupervisedEncoder",
    "SelfSupervisedSequenceEncoder",
    "SelfTrainedClassifier",
    "SequenceClassifier",
    "SequenceRegressor",
    "__version__",
    "adapt",
    "data",
    "estimators",
    "explain",
    "kmers",
    "label_efficiency",
    "load_model",
    "nn",
    "pretext",
    "read_expression",
    "read_sequences",
    "report",
    "save_model",
    "saving",
    "simulate_cohort",
    "study",
    "training",
    "tune",
    "views",
]

_HOMES = {
    "DomainAdaptedClassifier": "estimators",
    "DomainAdaptedRegressor": "estimators",
    "FineTunedClassifier": "estimators",
    "KmerProfile": "estimators",
    "KmerWord2Vec": "estimators",
    "SelfSupervisedEncoder": "estimators",
    "SelfTrainedClassifier": "estimators",
    "SelfSupervisedSequenceEncoder": "estimators",
    "SequenceClassifier": "estimators",
    "SequenceRegressor": "estimators",
    "label_efficiency": "study",
    "load_model": "estimators",
    "read_expression": "data",
    "read_sequences": "data",
    "save_model": "estimators",
    "simulate_cohort": "data",
    "tune": "study",
}


def __getattr__(name: str) -> Any:
    """Import on first use: the command line must not wait for torch to print its help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("oligolearn")
    if name in _HOMES:
        return getattr(import_module(f"oligolearn.{_HOMES[name]}"), name)
    return import_module(f"oligolearn.{name}")


def __dir__() -> list[str]:
    return __all__

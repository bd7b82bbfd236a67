"""scikit-learn faces: estimators that pretrain, fine-tune and serve as baselines."""

from oligolearn.estimators.adapting import Adapted, adapt_classifier
from oligolearn.estimators.baselines import SubspaceLogisticRegression
from oligolearn.estimators.bundles import SavedModel, load_model, save_model, versions
from oligolearn.estimators.cohorts import (
    LabelColumns,
    OtherCohorts,
    Preparation,
    Trained,
    embed_samples,
    predict_samples,
    pretrain_encoder,
    train_classifier,
)
from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
from oligolearn.estimators.domain_regression import DomainAdaptedRegressor
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.probes import describe_probes, principal_components, probe_embeddings
from oligolearn.estimators.selection import Pool, Proposal, choose_samples, propose_labels
from oligolearn.estimators.self_supervised import CollapseWarning, SelfSupervisedEncoder
from oligolearn.estimators.self_trained import SelfTrainedClassifier
from oligolearn.estimators.shift import domain_auroc, reverse_validation
from oligolearn.estimators.together import Share, Together, fit_together

__all__ = [
    "Adapted",
    "CollapseWarning",
    "DomainAdaptedClassifier",
    "DomainAdaptedRegressor",
    "FineTunedClassifier",
    "LabelColumns",
    "OtherCohorts",
    "Pool",
    "Preparation",
    "Proposal",
    "SavedModel",
    "SelfSupervisedEncoder",
    "SelfTrainedClassifier",
    "Share",
    "SubspaceLogisticRegression",
    "Together",
    "Trained",
    "adapt_classifier",
    "choose_samples",
    "describe_probes",
    "domain_auroc",
    "embed_samples",
    "fit_together",
    "load_model",
    "predict_samples",
    "pretrain_encoder",
    "principal_components",
    "probe_embeddings",
    "propose_labels",
    "reverse_validation",
    "save_model",
    "train_classifier",
    "versions",
]

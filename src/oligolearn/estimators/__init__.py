"""scikit-learn faces: estimators that pretrain, fine-tune and serve as baselines."""

from oligolearn.estimators.baselines import SubspaceLogisticRegression
from oligolearn.estimators.bundles import SavedModel, load_model, save_model, versions
from oligolearn.estimators.cohorts import (
    LabelColumns,
    Preparation,
    Trained,
    embed_samples,
    predict_samples,
    pretrain_encoder,
    train_classifier,
)
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.self_supervised import CollapseWarning, SelfSupervisedEncoder
from oligolearn.estimators.together import Share, Together, fit_together

__all__ = [
    "CollapseWarning",
    "FineTunedClassifier",
    "LabelColumns",
    "Preparation",
    "SavedModel",
    "SelfSupervisedEncoder",
    "Share",
    "SubspaceLogisticRegression",
    "Together",
    "Trained",
    "embed_samples",
    "fit_together",
    "load_model",
    "predict_samples",
    "pretrain_encoder",
    "save_model",
    "train_classifier",
    "versions",
]

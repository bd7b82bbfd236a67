"""scikit-learn faces: estimators that pretrain, fine-tune and serve as baselines."""

from typing import TYPE_CHECKING

from oligolearn.on_first_use import importer

if TYPE_CHECKING:
    from oligolearn.estimators.adaptation_selection import CANDIDATES, select_adaptation
    from oligolearn.estimators.adapting import Adapted, adapt_cohorts
    from oligolearn.estimators.baselines import SubspaceLogisticRegression
    from oligolearn.estimators.bundles import SavedModel, load_model, save_model
    from oligolearn.estimators.class_mix import ClassMix, estimate_class_mix
    from oligolearn.estimators.cohorts import (
        LabelColumns,
        OtherCohorts,
        Preparation,
        Trained,
        pretrain_encoder,
        train_classifier,
    )
    from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
    from oligolearn.estimators.domain_regression import DomainAdaptedRegressor
    from oligolearn.estimators.fine_tuned import FineTunedClassifier
    from oligolearn.estimators.gene_covariation import Agreement, co_variation
    from oligolearn.estimators.installed import versions
    from oligolearn.estimators.kmer_profile import KmerProfile
    from oligolearn.estimators.kmer_word2vec import KmerWord2Vec
    from oligolearn.estimators.labels_to_get import Pool, Proposal, choose_samples, propose_labels
    from oligolearn.estimators.new_samples import embed_samples, predict_samples
    from oligolearn.estimators.probes import describe_probes, principal_components, probe_embeddings
    from oligolearn.estimators.self_supervised import CollapseWarning, SelfSupervisedEncoder
    from oligolearn.estimators.self_trained import SelfTrainedClassifier
    from oligolearn.estimators.sequence_classifier import SequenceClassifier
    from oligolearn.estimators.sequence_embedding import KmerEmbedding
    from oligolearn.estimators.sequence_jobs import embed_new_sequences, predict_sequences, train_on_sequences
    from oligolearn.estimators.sequence_pretraining import SelfSupervisedSequenceEncoder
    from oligolearn.estimators.sequence_regressor import SequenceRegressor
    from oligolearn.estimators.shift import domain_auroc, neighbour_agreement, reverse_validation
    from oligolearn.estimators.shift_table import tabulate_shift
    from oligolearn.estimators.together import Share, Together, fit_together
    from oligolearn.estimators.transfer_safety import (
        NegativeTransferWarning,
        ShiftStudy,
        find_negative_transfer,
        study_shift,
    )
    from oligolearn.estimators.transfer_scores import (
        density_ratio,
        embedded_validation,
        mean_entropy,
        neighbourhood_density,
    )
    from oligolearn.estimators.value_models import NetworkRegression, StandardisedRidge, Unit
    from oligolearn.estimators.value_selection import VALUE_CANDIDATES, select_for_values
    from oligolearn.estimators.value_shift import ValueStudy, find_value_harm, study_value_shift

__all__ = [
    "CANDIDATES",
    "VALUE_CANDIDATES",
    "Adapted",
    "Agreement",
    "ClassMix",
    "CollapseWarning",
    "DomainAdaptedClassifier",
    "DomainAdaptedRegressor",
    "FineTunedClassifier",
    "KmerEmbedding",
    "KmerProfile",
    "KmerWord2Vec",
    "LabelColumns",
    "NegativeTransferWarning",
    "NetworkRegression",
    "OtherCohorts",
    "Pool",
    "Preparation",
    "Proposal",
    "SavedModel",
    "SelfSupervisedEncoder",
    "SelfSupervisedSequenceEncoder",
    "SelfTrainedClassifier",
    "SequenceClassifier",
    "SequenceRegressor",
    "Share",
    "ShiftStudy",
    "StandardisedRidge",
    "SubspaceLogisticRegression",
    "Together",
    "Trained",
    "Unit",
    "ValueStudy",
    "adapt_cohorts",
    "choose_samples",
    "co_variation",
    "density_ratio",
    "describe_probes",
    "domain_auroc",
    "embed_new_sequences",
    "embed_samples",
    "embedded_validation",
    "estimate_class_mix",
    "find_negative_transfer",
    "find_value_harm",
    "fit_together",
    "load_model",
    "mean_entropy",
    "neighbour_agreement",
    "neighbourhood_density",
    "predict_samples",
    "predict_sequences",
    "pretrain_encoder",
    "principal_components",
    "probe_embeddings",
    "propose_labels",
    "reverse_validation",
    "save_model",
    "select_adaptation",
    "select_for_values",
    "study_shift",
    "study_value_shift",
    "tabulate_shift",
    "train_classifier",
    "train_on_sequences",
    "versions",
]

_HOMES = {
    "adaptation_selection": ("CANDIDATES", "select_adaptation"),
    "adapting": ("Adapted", "adapt_cohorts"),
    "baselines": ("SubspaceLogisticRegression",),
    "bundles": ("SavedModel", "load_model", "save_model"),
    "class_mix": ("ClassMix", "estimate_class_mix"),
    "gene_covariation": ("Agreement", "co_variation"),
    "cohorts": ("LabelColumns", "OtherCohorts", "Preparation", "Trained", "pretrain_encoder", "train_classifier"),
    "domain_adapted": ("DomainAdaptedClassifier",),
    "domain_regression": ("DomainAdaptedRegressor",),
    "fine_tuned": ("FineTunedClassifier",),
    "installed": ("versions",),
    "kmer_profile": ("KmerProfile",),
    "kmer_word2vec": ("KmerWord2Vec",),
    "new_samples": ("embed_samples", "predict_samples"),
    "probes": ("describe_probes", "principal_components", "probe_embeddings"),
    "labels_to_get": ("Pool", "Proposal", "choose_samples", "propose_labels"),
    "self_supervised": ("CollapseWarning", "SelfSupervisedEncoder"),
    "self_trained": ("SelfTrainedClassifier",),
    "sequence_classifier": ("SequenceClassifier",),
    "sequence_embedding": ("KmerEmbedding",),
    "sequence_jobs": ("embed_new_sequences", "predict_sequences", "train_on_sequences"),
    "sequence_pretraining": ("SelfSupervisedSequenceEncoder",),
    "sequence_regressor": ("SequenceRegressor",),
    "shift": ("domain_auroc", "neighbour_agreement", "reverse_validation"),
    "shift_table": ("tabulate_shift",),
    "together": ("Share", "Together", "fit_together"),
    "transfer_safety": ("NegativeTransferWarning", "ShiftStudy", "find_negative_transfer", "study_shift"),
    "transfer_scores": ("density_ratio", "embedded_validation", "mean_entropy", "neighbourhood_density"),
    "value_models": ("NetworkRegression", "StandardisedRidge", "Unit"),
    "value_selection": ("VALUE_CANDIDATES", "select_for_values"),
    "value_shift": ("ValueStudy", "find_value_harm", "study_value_shift"),
}

__getattr__ = importer(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

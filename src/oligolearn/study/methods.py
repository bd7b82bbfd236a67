"""What a study can compare: each method sees the same rows and the same labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from oligolearn.study.task import Fitted

CLUSTERING = {"swav", "deepcluster"}  # objectives with prototypes
PROTOTYPES_PER_CLASS = 3  # Laurent (2022), figures 17 and 18
N_COMPONENTS = 50


class Method(NamedTuple):
    """One row of a comparison.

    Attributes
    ----------
    title, description
        For readers of the report.
    fit
        From tasks to fitted classifiers.
    objective
        Name of the pretext objective to pretrain with, or None.
    network
        Whether it trains a network, many of which are trained together.
    teacher
        The method whose network teaches that of this one, or None.
    needs_encoder
        Whether a pretraining that failed leaves it nothing to do.
    contender
        Whether a study is about it, as it is about methods that pretrain: it is compared with the baselines.
    """

    title: str
    description: str
    fit: Callable[[Sequence[Any]], list[Fitted]]
    objective: str | None = None
    network: bool = True
    teacher: str | None = None
    needs_encoder: bool = True
    contender: bool = False


def _by(name: str, **settings: Any) -> Callable[[Sequence[Any]], list[Fitted]]:
    """Give the function of that name in `oligolearn.study.fitting`, which is imported when it first fits something."""

    def fit(tasks: Sequence[Any]) -> list[Fitted]:
        from oligolearn.study import fitting  # brings torch: who only names a method need not wait for it

        fitted: list[Fitted] = getattr(fitting, name)(tasks, **settings)
        return fitted

    return fit


_PRETEXTS = {
    "swav": ("SwAV", "to predict the cluster of one view of a sample from another (SwAV)"),
    "simclr": ("SimCLR", "to tell the two views of a sample from those of others (SimCLR)"),
    "moco": ("MoCo", "to tell the two views of a sample from a queue of earlier samples (MoCo)"),
    "byol": ("BYOL", "to predict what its own slow average makes of another view (BYOL)"),
    "vicreg": ("VICReg", "to give two views the same, varied and uncorrelated numbers (VICReg)"),
    "barlow-twins": ("Barlow Twins", "to give two views the same, uncorrelated numbers (Barlow Twins)"),
    "deepcluster": ("DeepCluster", "to predict its own clusters of the samples (DeepCluster)"),
    "autoencoder": ("auto-encoder", "as the encoder of an auto-encoder"),
    "denoising-autoencoder": ("denoising auto-encoder", "as the encoder of a denoising auto-encoder"),
    "vime": ("VIME", "to find and to mend genes that were swapped between samples (VIME)"),
    "masked-genes": ("masked-gene", "to fill in hidden genes"),
    "scarf": ("SCARF", "to recognise a sample that has genes of other samples (SCARF)"),
}

_PLAIN: dict[str, Method] = {
    "logistic": Method(
        "logistic regression",
        "L2-regularised logistic regression on all genes, its strength chosen by cross-validation on the labelled rows",
        _by("fit_logistic"),
        network=False,
    ),
    "pca-logistic": Method(
        "PCA + logistic regression",
        f"the first {N_COMPONENTS} principal components of all training rows, then logistic regression",
        _by("fit_pca_logistic"),
        network=False,
    ),
    "scratch": Method(
        "network from scratch",
        "the same network as the pretrained ones, trained on the labelled rows alone",
        _by("fit_networks"),
    ),
    "untrained": Method(
        "untrained encoder",
        "the network's random initial weights, kept, with a trained output layer: what the architecture gives for free",
        _by("fit_networks", frozen_layers=None),
    ),
    "auto": Method(
        "chosen by cross-validation",
        "logistic regression, PCA + logistic regression, the network from scratch or the one pretrained with SimCLR: "
        "the one with the smallest log loss in cross-validation on the labelled rows, or the mean of those that these "
        "cannot tell apart",
        _by("fit_auto"),
        objective="simclr",
        needs_encoder=False,
    ),
    "boosting": Method(
        "gradient boosting",
        "scikit-learn's gradient-boosted trees, with leaves and bins for few labels, on the labelled rows",
        _by("fit_boosting"),
        network=False,
    ),
    **{
        name: Method(
            f"{title} pretraining",
            f"the network pretrained {how} on all training rows without labels, then trained on the labelled rows",
            _by("fit_networks"),
            objective=name,
        )
        for name, (title, how) in _PRETEXTS.items()
    },
}
SELF_TRAINED, FROZEN, WHITENED = AFTER = "self-trained", "frozen", "whitened"


def _combined(name: str) -> Method | None:
    """The method ``self-trained``, or ``OBJECTIVE+`` what comes after pretraining; None for another name."""
    objective, plus, last = name.rpartition("+")
    if last not in AFTER or (objective not in _PRETEXTS if plus else last != SELF_TRAINED):
        return None
    if last == SELF_TRAINED:
        return _self_trained(objective)
    title, how = _PRETEXTS[objective]
    return Method(
        f"{title} pretraining, {'frozen and whitened' if last == WHITENED else 'frozen'}",
        f"the network pretrained {how} on all training rows without labels, kept as it is; logistic regression on its "
        f"embedding, which is {'whitened' if last == WHITENED else 'standardised'} on all training rows",
        _by("fit_frozen", whitened=last == WHITENED),
        objective=objective,
        network=False,
    )


def _self_trained(objective: str) -> Method:
    teacher = _PLAIN[objective or "scratch"]
    return Method(
        f"{teacher.title}, self-trained" if objective else "self-trained network",
        f"{teacher.description}; then a second network, which starts as the first did, trained on the labels and the "
        "probabilities that the first one gives to all training rows (SimCLRv2)",
        _by("fit_students"),
        objective=teacher.objective,
        teacher=objective or "scratch",
    )


class _Methods(Mapping[str, Method]):
    """Methods by name. ``OBJECTIVE+self-trained``, ``+frozen`` and ``+whitened`` are methods too, not counted off."""

    _listed = (*_PLAIN, SELF_TRAINED)

    def __getitem__(self, name: str) -> Method:
        found = _PLAIN.get(name) or _combined(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


METHODS = _Methods()
DEFAULT_METHODS = ("logistic", "pca-logistic", "scratch", "untrained", "swav")


def objective_defaults(objective: str, n_classes: int, n_rows: int) -> dict[str, int]:
    """Settings of an objective that a study chooses by the cohort: clusters are three for each class.

    Examples
    --------
    >>> objective_defaults("swav", n_classes=5, n_rows=200)
    {'n_prototypes': 15}
    """
    if objective not in CLUSTERING:
        return {}
    return {"n_prototypes": max(2, min(PROTOTYPES_PER_CLASS * n_classes, n_rows // 2))}

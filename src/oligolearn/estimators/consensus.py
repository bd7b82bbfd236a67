"""The phases of CADA and F-CADA, one after the other."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

from torch import Tensor, nn

from oligolearn.adapt import Consensus, FewShot, SourceOnly, propagate_labels
from oligolearn.estimators.building import seeded
from oligolearn.estimators.domain_training import DomainTraining
from oligolearn.nn import Classifier, Encoder
from oligolearn.training import apply_in_batches

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the target rows without a label, that get one in each round of F-CADA


class Agreed(NamedTuple):
    """Networks of both domains, with one classifier.

    Attributes
    ----------
    of_target, of_source
        They share their output layer.
    losses
        Of each epoch of all phases.
    """

    of_target: Classifier
    of_source: Classifier
    losses: list[float]


def train_consensus(
    train: DomainTraining,
    network: Classifier,
    class_weight: Tensor | None,
    *,
    rate: float,
    options: Mapping[str, Any] | None = None,
) -> Agreed:
    """Go through the three phases of CADA (see `oligolearn.adapt.Consensus`).

    Parameters
    ----------
    train
        Rows and length of each phase.
    network
        Encoder and classifier with their initial weights.
    class_weight
        Weight of each class, ``(n_classes,)``, or None.
    rate
        Learning rate of the second phase, as a share of that of the others.
    options
        Of `Consensus`.
    """
    of_source = network.encoder
    with seeded(train.seed + 1, train.device):
        consensus = Consensus(of_source, copy.deepcopy(of_source), **(options or {})).to(train.device)
        shared = nn.Linear(of_source.out_dim, network.head.out_features).to(train.device)
    first = train.fit(SourceOnly(network, class_weight))
    consensus.target_encoder.load_state_dict(of_source.state_dict())
    second = train.fit(consensus, rate=rate)
    target_model, source_model = (
        _topped(encoder, shared, network.dropout.p).to(train.device)
        for encoder in (consensus.target_encoder, of_source)
    )
    third = train.fit(SourceOnly(source_model, class_weight))
    return Agreed(target_model, source_model, [*first, *second, *third])


def learn_few_labels(train: DomainTraining, agreed: Agreed, class_weight: Tensor | None, *, rate: float) -> Agreed:
    """Fourth phase, of F-CADA: learn a few labels of the target, give them to the rows around, learn those too.

    Target encoder and shared classifier first learn the labels that are known, beside those of the source (`FewShot`).
    Then, in each round, the rows of the target are embedded anew, the known labels are propagated to a quarter more of
    the others (`propagate_labels`), and all are learned. The phase ends with the round in which every row has a label.

    Parameters
    ----------
    train, class_weight
        As for `train_consensus`; each round is half as long as a phase.
    agreed
        What that gave; its networks are trained further.
    rate
        Learning rate, as a share of that of the first phase.
    """
    sides, model = train.sides, agreed.of_target
    half = replace(train.schedule, steps=ceil(train.schedule.steps / 2))
    tuning = FewShot(
        agreed.of_source.encoder, model.encoder, model.head, dropout=model.dropout.p, class_weight=class_weight
    )
    losses = list(agreed.losses)
    for share in SHARES:
        embedding = apply_in_batches(model.encoder, sides.target)
        probabilities = apply_in_batches(model, sides.target).softmax(dim=1)
        given = propagate_labels(embedding, probabilities, sides.target_labels.cpu(), share=share)
        those = sides._replace(target_labels=given.to(train.device))
        losses += train._replace(sides=those, schedule=half).fit(tuning, rate=rate)
    return agreed._replace(losses=losses)


def _topped(encoder: Encoder, head: nn.Linear, dropout: float) -> Classifier:
    """Classifier of an encoder that stays as it is, with a head that others share."""
    module = Classifier(encoder, head.out_features, dropout=dropout, frozen_blocks=len(encoder.blocks))
    module.head = head
    return module

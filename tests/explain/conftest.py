"""Models of sequences whose weights are set by hand, or drawn."""

import pytest
import torch
from torch import nn

from oligolearn.data import PaddingRule
from oligolearn.data.alphabets import find_alphabet
from oligolearn.estimators import SequenceClassifier, SequenceRegressor
from oligolearn.estimators.sequence_networks import Recipe
from oligolearn.nn import Classifier


def _model_of(
    encoder,
    options=None,
    *,
    alphabet="dna",
    both=False,
    rule=None,
    classes=("free", "bound"),
    n_members=1,
    embedding=None,
):
    """Classifier with drawn weights, and norms that have seen something; a regressor where there are no classes."""
    model = SequenceClassifier() if classes else SequenceRegressor()
    if classes:
        model.classes_, model.multilabel_ = list(classes), False
    else:
        model.mean_, model.scale_ = 2.0, 3.0
    recipe = Recipe(encoder, options or {}, find_alphabet(alphabet), rule or PaddingRule(), both, embedding)
    model.recipes_ = [recipe] * n_members
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [Classifier(recipe.build(), max(1, len(classes or ()))) for _ in range(n_members)]
        for layer in [one for network in networks for one in network.modules()]:
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
                layer.weight.data.uniform_(0.5, 1.5)
                layer.bias.data.normal_(0, 0.2)
    model.module_ = nn.ModuleList(networks).eval()
    model.training_ = {"members": n_members}
    return model


def _set_filter(model, channel, word, letters="ACGT"):
    """Let a filter of a `MotifCNN` find a word and nothing else: 1 where it stands, at most 0 elsewhere.

    Where the model reads k-mers, their vectors are to be the rows of the identity.
    """
    for network in model.module_:
        encoder = getattr(network.encoder, "encoder", network.encoder)
        first, convolution, norm, _ = encoder.blocks[0]
        k = getattr(first, "k", 1)
        weight = torch.zeros_like(convolution.weight[channel])
        for place in range(len(word) - k + 1):
            number = 0
            for letter in word[place : place + k]:
                number = len(letters) * number + letters.index(letter)
            weight[number, place] = 1.0
        whole = len(word) - k + 1 if k > 1 else len(word) * 3 / 4  # a letter that fits gives 3/4, another -1/4
        with torch.no_grad():
            convolution.weight[channel] = weight
            convolution.bias[channel] = -whole + 1
            for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
                getattr(norm, name)[channel] = value


@pytest.fixture(scope="session")
def model_of():
    """Make a model with drawn weights."""
    return _model_of


@pytest.fixture(scope="session")
def set_filter():
    """Let a filter find a word."""
    return _set_filter

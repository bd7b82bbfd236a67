"""Attributions add up, agree with brute force and with captum, and say loudly when they do not."""

import warnings
from itertools import product
from math import factorial

import numpy as np
import pytest
import torch
from torch import nn

from oligolearn import SequenceClassifier
from oligolearn.data import PaddingRule, encode_sequences
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.estimators.sequence_fitting import network_outputs
from oligolearn.explain import ConvergenceError, attribute
from oligolearn.explain.attributions import METHODS
from oligolearn.nn import Encoder
from oligolearn.nn.kmer_embedding import input_layer

# Small, and each with what makes it differ.
ENCODERS = {
    "motif-cnn": {"n_filters": 6, "width": 5, "pooling": "max+mean", "hidden": 4},
    "multi-scale-cnn": {"n_filters": 4, "widths": (3, 6), "pooling": "positions", "windows": (1, 4), "hidden": 6},
    "residual-cnn": {"n_filters": 6, "width": 3, "dilations": (1, 2), "bottleneck": 3, "pooling": "attention"},
    "kmer-bag": {"k": 2, "embedding": 4, "hidden": 3},
    "recurrent": {"n_units": 5, "pooling": "last"},
    "kmer-recurrent": {"embedding": 4, "n_filters": 4, "width": 3, "n_units": 3},
    "transformer": {"n_channels": 8, "n_heads": 2, "n_layers": 1, "width": 3},
}
EXACT = {"motif-cnn", "multi-scale-cnn", "kmer-bag"}  # for DeepLIFT
rng = np.random.default_rng(0)
TEXTS = ["".join(rng.choice(list("ACGT"), n)) for n in (14, 9, 12, 14)] + ["ACGNTACGRTAC"]


def log_odds(model, texts):
    p = model.predict_proba(texts)
    return np.log(p[:, 1]) - np.log(p[:, 0])


def mean_log_odds(model, texts):
    """Mean over the networks of the difference of their two logits."""
    logits = network_outputs(model, texts).mean(axis=0)
    return logits[:, 1] - logits[:, 0]


def reading(name, embedding):
    """Options of the encoder, without those of k-mers of its own where it reads others."""
    return {key: value for key, value in ENCODERS[name].items() if embedding is None or key not in ("k", "embedding")}


READS = pytest.mark.parametrize("embedding", [None, KmerEmbedding(3, 4)], ids=["letters", "k-mers"])


@READS
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_mutagenesis_is_what_mutated_texts_give(model_of, name, both, embedding):
    model = model_of(name, reading(name, embedding), both=both, rule=PaddingRule(14), embedding=embedding)
    found = attribute(model, TEXTS, method="mutagenesis")
    assert found.outputs == pytest.approx(log_odds(model, TEXTS), abs=1e-6)
    for row in (1, 4):
        text = TEXTS[row]
        for place in (0, 3, 8, len(text) - 1):
            after = log_odds(model, [text[:place] + letter + text[place + 1 :] for letter in "ACGT"])
            change = after - found.outputs[row]
            assert found.contributions[row, place] == pytest.approx(change, abs=1e-6)
            own = [float(letter == text[place]) if text[place] in "ACGT" else 0.25 for letter in "ACGT"]
            if text[place] == "R":
                own = [0.5, 0, 0.5, 0]
            assert found.scores[row, place] == pytest.approx(-np.sum((1 - np.array(own)) / 3 * change), abs=1e-6)
        assert not found.scores[row, len(text) :].any()
        assert not found.contributions[row, len(text) :].any()


@READS
@pytest.mark.parametrize(
    ("name", "both", "reference"),
    [*((name, both, "mean") for name in ENCODERS for both in (False, True)), ("recurrent", True, "shuffles")],
)
def test_integrated_gradients_add_up(model_of, name, both, reference, embedding):
    rule = PaddingRule(14, "start")
    model = model_of(name, reading(name, embedding), both=both, rule=rule, embedding=embedding, n_members=2)
    found = attribute(model, TEXTS, reference=reference, tolerance=0.04)
    assert found.gap <= 0.04
    assert not found.scores[1, 9:].any()
    assert (found.codes[1] > 0).sum() == 9
    if reference == "mean":
        nothing = mean_log_odds(model, ["N" * len(text) for text in TEXTS])
        expected = found.outputs - nothing
        scale = np.maximum(np.abs(expected), np.abs(expected).mean())
        assert (np.abs(found.scores.sum(axis=1) - expected) / scale).max() == pytest.approx(found.gap, abs=1e-6)


@READS
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_deeplift_adds_up_or_says_that_it_does_not(model_of, name, both, embedding):
    model = model_of(name, reading(name, embedding), both=both, rule=PaddingRule(14), embedding=embedding)
    if name in EXACT:
        assert attribute(model, TEXTS, method="deeplift", tolerance=1e-8).gap < 1e-8
        assert attribute(model, TEXTS, method="deeplift", reference="shuffles", tolerance=1e-8).gap < 1e-8
    else:
        with pytest.raises(ConvergenceError, match=r"deeplift does not converge: of \d of 5 sequences .* sum to "):
            attribute(model, TEXTS, method="deeplift", tolerance=1e-4)


@pytest.mark.parametrize("options", [{"dilations": (1, 2), "bottleneck": 3, "n_filters": 5, "hidden": 3}])
def test_deeplift_is_exact_of_a_deep_stack_of_convolutions(model_of, options):
    model = model_of("residual-cnn", options)
    assert attribute(model, TEXTS, method="deeplift", tolerance=1e-8).gap < 1e-8


class Sums(Encoder):
    """Linear in what it reads, summed over the places."""

    def __init__(self, shares):
        super().__init__()
        first = input_layer(shares)
        self.linear = nn.Linear(first.n_channels, 3, bias=False)
        self.blocks, self.out_dim = nn.ModuleList([nn.Sequential(first), self.linear]), 3

    def forward(self, x):
        return self.linear(self.blocks[0](x).values.sum(dim=2))


@pytest.mark.parametrize("both", [False, True])
def test_letters_of_kmers_have_the_shapley_values_of_a_linear_model(model_of, both):
    """Players are letters, and one that does not play is unknown: the mean over all orders of what each adds."""
    model = model_of(Sums, both=both, embedding=KmerEmbedding(3, 4), n_members=2)
    text = "ACGTAGG"
    n = len(text)
    sets = list(product((False, True), repeat=n))
    texts = ["".join(letter if known else "N" for letter, known in zip(text, one, strict=True)) for one in sets]
    worth = dict(zip(sets, mean_log_odds(model, texts), strict=True))
    expected = []
    for i in range(n):
        without = [one for one in sets if not one[i]]
        weights = [factorial(sum(one)) * factorial(n - sum(one) - 1) / factorial(n) for one in without]
        gains = [worth[(*one[:i], True, *one[i + 1 :])] - worth[one] for one in without]
        expected.append(np.dot(weights, gains))
    for method in ("integrated-gradients", "deeplift"):
        found = attribute(model, [text], method=method, tolerance=1e-6)
        np.testing.assert_allclose(found.scores[0], expected, atol=1e-6)
        changed = [[text[:i] + letter + text[i + 1 :] for letter in "ACGT"] for i in range(n)]
        outputs = mean_log_odds(model, [one for row in changed for one in row]).reshape(n, 4)
        np.testing.assert_allclose(found.contributions[0], outputs - outputs.mean(axis=1, keepdims=True), atol=1e-6)


def test_an_encoder_that_looks_nothing_up_is_explained_by_mutagenesis_alone(model_of):
    class Own(Encoder):
        def __init__(self, shares):
            super().__init__()
            self.blocks, self.out_dim = nn.ModuleList([nn.Embedding(len(shares), 3)]), 3

        def forward(self, x):
            return self.blocks[0](x.long()).mean(dim=1)

    model = model_of(Own)
    with pytest.raises(ValueError, match="no channels to attribute to; use mutagenesis"):
        attribute(model, TEXTS)
    found = attribute(model, TEXTS[:1], method="mutagenesis")
    after = log_odds(model, ["T" + TEXTS[0][1:]])[0]
    assert found.contributions[0, 0, 3] == pytest.approx(after - log_odds(model, TEXTS[:1])[0], abs=1e-6)


def test_captum_gives_the_same(model_of):
    from captum.attr import DeepLift, IntegratedGradients

    model = model_of("motif-cnn", {"n_filters": 6, "width": 5})
    text = TEXTS[0]
    letters, convolution, norm, _ = model.module_[0].encoder.blocks[0]
    plain = nn.Sequential(
        nn.ZeroPad1d((2, 2)), nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(14), nn.Flatten(),
        nn.Linear(6, 2),
    ).double().eval()  # fmt: skip
    plain[1].load_state_dict(convolution.state_dict())
    plain[2].load_state_dict(norm.state_dict())
    plain[6].load_state_dict(model.module_[0].head.state_dict())
    x = letters(torch.from_numpy(encode_sequences([text]).padded())).values.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum tells of its hooks, and sets what it needs by itself
        theirs = [DeepLift(plain).attribute(x, target=i).detach().numpy()[0].sum(axis=0) for i in (0, 1)]
    ours = attribute(model, [text], method="deeplift").scores[0]
    np.testing.assert_allclose(ours, theirs[1] - theirs[0], atol=1e-8)
    way = IntegratedGradients(lambda one: plain(one)[:, 1] - plain(one)[:, 0])
    theirs = way.attribute(x, n_steps=512, method="riemann_middle").numpy()[0].sum(axis=0)
    np.testing.assert_allclose(attribute(model, [text], tolerance=1e-3).scores[0], theirs, atol=5e-3)


@READS
def test_both_strands_give_mirrored_scores(model_of, embedding):
    model = model_of("residual-cnn", {"dilations": (1,), "n_filters": 6}, both=True, embedding=embedding)
    turned = [text[::-1].translate(str.maketrans("ACGTR", "TGCAY")) for text in TEXTS]
    one, other = attribute(model, TEXTS), attribute(model, turned)
    for row, text in enumerate(TEXTS):
        n = len(text)
        np.testing.assert_allclose(one.scores[row, :n], other.scores[row, :n][::-1], atol=1e-9)


def test_classes_are_named_and_networks_averaged(model_of):
    model = model_of("motif-cnn", {"n_filters": 6, "width": 5}, classes=("a", "b", "c"), n_members=2)
    texts = TEXTS[:4]
    found = attribute(model, texts, target=["a", "b", "c", "a"], method="deeplift")
    for row, name in enumerate(["a", "b", "c", "a"]):
        one = attribute(model, texts, target=name, method="deeplift")
        np.testing.assert_allclose(found.scores[row], one.scores[row], atol=1e-12)
    sums = sum(attribute(model, texts, target=name, method="deeplift").scores for name in "abc")
    np.testing.assert_allclose(sums, 0, atol=1e-9)
    usual = attribute(model, texts, method="deeplift")
    predicted = attribute(model, texts, target=[
        model.classes_[i] for i in model.predict_proba(texts).argmax(axis=1)], method="deeplift")  # fmt: skip
    np.testing.assert_allclose(usual.scores, predicted.scores, atol=1e-12)


@pytest.fixture
def committee(model_of):
    """Make a model whose networks read different things."""

    def make(**settings):
        kinds = [("motif-cnn", True), ("kmer-bag", False), ("recurrent", False)]
        models = [model_of(name, ENCODERS[name], both=both, rule=PaddingRule(14), **settings) for name, both in kinds]
        models[0].module_ = nn.ModuleList(one.module_[0] for one in models).eval()
        models[0].recipes_ = [one.recipes_[0] for one in models]
        return models[0]

    return make


@pytest.mark.parametrize("method", ["mutagenesis", "integrated-gradients"])
@pytest.mark.parametrize("classes", [("free", "bound"), None])
def test_networks_of_different_kinds_share_what_is_explained(committee, method, classes):
    model = committee(classes=classes)
    found = attribute(model, TEXTS, method=method)
    asked = mean_log_odds if classes else lambda model, texts: model.predict(texts)
    assert found.outputs == pytest.approx(asked(model, TEXTS), abs=1e-6)
    if method == "mutagenesis":
        text = TEXTS[1]
        after = asked(model, [text[:3] + letter + text[4:] for letter in "ACGT"])
        assert found.contributions[1, 3] == pytest.approx(after - found.outputs[1], abs=1e-6)
    else:
        unknown = asked(model, ["N" * len(text) for text in TEXTS])
        assert found.scores.sum(axis=1) == pytest.approx(found.outputs - unknown, abs=0.02)
        assert found.gap < 0.05


def test_a_regressor_is_explained_in_units_of_its_target(model_of):
    model = model_of("motif-cnn", {"n_filters": 6, "width": 5}, classes=None)
    found = attribute(model, TEXTS, method="deeplift")
    change = model.predict(TEXTS) - model.predict(["N" * len(text) for text in TEXTS])
    assert found.scores.sum(axis=1) == pytest.approx(change, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"method": "saliency"}, "unknown method 'saliency'; choose one of mutagenesis"),
        ({"reference": "zeros"}, "unknown reference 'zeros'"),
        ({"target": "x"}, "the model knows no class 'x'; its classes are free, bound"),
        ({"target": ["free"]}, "one for each of 5 sequences, found 1"),
    ],
)
def test_wrong_settings_are_refused(model_of, settings, expected):
    with pytest.raises(ValueError, match=expected):
        attribute(model_of("motif-cnn"), TEXTS, **settings)


@pytest.mark.parametrize("method", METHODS)
def test_sequences_without_a_kmer_are_refused(model_of, method):
    model = model_of("motif-cnn", embedding=KmerEmbedding(4, 3))
    with pytest.raises(ValueError, match="'1' has 3 letters, but the embedding reads k-mers of 4"):
        attribute(model, ["ACGTT", "ACG"], method=method)


def test_letters_that_are_not_read_cost_nothing():
    """One long contig among short sequences."""
    texts = ["ACGTTGCATTGACCATGTCAACGTGTCATG", "GGTTACGTTGCATTGACCATAGCTAGCATT"] * 10
    model = SequenceClassifier("motif-cnn", max_length=30, n_members=1, epochs=1, min_steps=1, random_state=0)
    model.fit(texts, ["a", "b"] * 10)
    found = attribute(model, [*texts[:2], texts[0] * 100], target="a")
    assert found.scores.shape == (3, 30)
    np.testing.assert_allclose(found.scores[2], found.scores[0], atol=1e-9)

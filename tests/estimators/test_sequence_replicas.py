"""Networks over sequences end, as replicas, where separate trainings end."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from oligolearn.data import PaddingRule, encode_sequences
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.estimators.sequence_networks import Learning, Recipe, Task
from oligolearn.estimators.sequence_replicas import Ended, Training, train_all
from oligolearn.nn import ClassificationLoss
from oligolearn.training import DivergedError

ENCODERS: dict[str, dict[str, Any]] = {
    "motif-cnn": {"n_filters": 6, "width": 5, "pooling": "max+mean", "hidden": 8, "dropout": 0.2},
    "multi-scale-cnn": {"n_filters": 4, "widths": [3, 6], "windows": [1, 2], "pooling": "positions", "hidden": 8},
    "kmer-bag": {"k": 2, "embedding": 6},
    "residual-cnn": {"n_filters": 6, "width": 3, "dilations": [1, 2], "bottleneck": 4, "pooling": "attention"},
    "transformer": {"n_channels": 8, "n_heads": 2, "n_layers": 1, "width": 3, "dropout": 0.1},
}
LEARNING = Learning(1, 8, 1e-2, 0.01, 0.3, 12, 5, torch.device("cpu"), "32", None)


def trainings(
    encoder: str, *, lengths: tuple[int, int], strands: bool = False, n: int = 3, **options: Any
) -> list[Training]:
    """Replicas with sequences, targets, seeds and learning rates of their own."""
    found = []
    for i in range(n):
        rng = np.random.default_rng(i)
        texts = ["".join(rng.choice(list("ACGTN"), rng.integers(lengths[0], lengths[1] + 1))) for _ in range(24)]
        sequences = encode_sequences(texts, alphabet="dna")
        options = {**ENCODERS.get(encoder, {}), **options}
        recipe = Recipe(encoder, options, sequences.alphabet, PaddingRule(lengths[1]), strands)
        task = Task(
            sequences, rng.integers(0, 2, 24), 2, lambda network, _: ClassificationLoss(network).double(), np.mean
        )
        rows = (np.arange(24), np.arange(0))
        found.append(Training(task, recipe, replace(LEARNING, learning_rate=1e-2 / (i + 1)), rows, 7 + i))
    return found


def weights(ended: Ended) -> dict[str, torch.Tensor]:
    assert not isinstance(ended.result, DivergedError)
    return ended.result.network.state_dict()


@pytest.mark.parametrize("lengths", [(20, 20), (9, 20)], ids=["of equal length", "padded"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_replicas_end_where_separate_trainings_end(encoder, lengths):
    options = {"dropout": 0.0} if encoder == "transformer" and lengths == (9, 20) else {}
    group = trainings(encoder, lengths=lengths, **options)
    together, alone = train_all(group, stacked=True), train_all(group, stacked=False)
    assert {one.how for one in together} == {"stacked"}
    assert {one.how for one in alone} == {"one at a time: asked for"}
    for one, other in zip(together, alone, strict=True):
        for name, value in weights(one).items():
            torch.testing.assert_close(value, weights(other)[name], rtol=1e-8, atol=1e-8)


def test_replicas_may_read_vectors_of_kmers():
    group = trainings("motif-cnn", lengths=(9, 20))
    group = [one._replace(recipe=replace(one.recipe, embedding=KmerEmbedding(2, 5))) for one in group]
    together, alone = train_all(group, stacked=True), train_all(group, stacked=False)
    assert {one.how for one in together} == {"stacked"}
    for one, other in zip(together, alone, strict=True):
        for name, value in weights(one).items():
            torch.testing.assert_close(value, weights(other)[name], rtol=1e-8, atol=1e-8)


def test_replicas_may_read_both_strands():
    group = trainings("motif-cnn", lengths=(12, 20), strands=True)
    for one, other in zip(train_all(group, stacked=True), train_all(group, stacked=False), strict=True):
        for name, value in weights(one).items():
            torch.testing.assert_close(value, weights(other)[name], rtol=1e-8, atol=1e-8)


def test_a_replica_does_not_depend_on_how_many_others_there_are():
    group = trainings("motif-cnn", lengths=(9, 20))
    few, many = train_all(group[:2], stacked=True), train_all(group, stacked=True)
    for one, other in zip(few, many, strict=False):
        for name, value in weights(one).items():
            torch.testing.assert_close(value, weights(other)[name], rtol=1e-8, atol=1e-8)


def test_what_is_not_alike_is_trained_by_itself_and_says_why():
    recurrent = trainings("recurrent", lengths=(9, 12), n=2)
    assert {one.how for one in train_all(recurrent, stacked=True)} == {
        "one at a time: torch's recurrent layers cannot be stacked"
    }
    attentive = trainings("transformer", lengths=(9, 20), n=2)
    assert all("dropout of padded places" in one.how for one in train_all(attentive, stacked=True))
    short, long = trainings("motif-cnn", lengths=(12, 12), n=2), trainings("motif-cnn", lengths=(12, 14), n=1)
    assert {one.how for one in train_all([*short, *long])} == {"one at a time: on a CPU convolutions are as fast alone"}
    assert not short[0].is_like(long[0])
    assert [one.how for one in train_all([short[0], long[0], short[1]], stacked=True)] == ["stacked"] * 3
    held_out = [one._replace(rows=(one.rows[0][:16], one.rows[0][16:])) for one in short]
    assert {one.how for one in train_all(held_out, stacked=True)} == {"one at a time: early stopping"}


def test_one_that_diverges_leaves_the_others_alone():
    group = trainings("motif-cnn", lengths=(20, 20))
    group[1] = group[1]._replace(learning=replace(LEARNING, learning_rate=float("inf")))
    for stacked in (True, False):
        ended = train_all(group, stacked=stacked)
        assert [isinstance(one.result, DivergedError) for one in ended] == [False, True, False]

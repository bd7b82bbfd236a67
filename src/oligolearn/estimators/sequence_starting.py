"""Encoders of sequences that a model starts from: those of a fitted model, or of a saved one."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from oligolearn.estimators.building import part_of
from oligolearn.estimators.sequence_networks import Recipe, recipes_of
from oligolearn.nn import Encoder
from oligolearn.saving import load_bundle

PretrainedSequences: TypeAlias = BaseEstimator | FrozenEstimator | str | os.PathLike[str] | None
SUPERVISED = ("sequence-classifier", "sequence-regressor")
SELF_SUPERVISED = "sequence-encoder"


class StartingEncoders(NamedTuple):
    """Encoders to start from.

    Attributes
    ----------
    recipes
        How each is built, and how sequences become its input.
    encoders
        One for each network that was trained.
    without_labels
        Whether they were: what reads them may pad as it likes.
    n_trained
        Blocks that learned something, from the input on; None for all. What predicts letters leaves out the last one,
        which pools.
    """

    recipes: list[Recipe]
    encoders: list[Encoder]
    without_labels: bool = False
    n_trained: int | None = None


def find_starting_encoders(given: PretrainedSequences) -> StartingEncoders | None:
    """Encoders of a fitted model of sequences, or of the folder of a saved one; None for None.

    Raises
    ------
    ValueError
        If it is not fitted, or is a model of something else.
    """
    if isinstance(given, FrozenEstimator):
        given = given.estimator
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        return _saved(given)
    if not (hasattr(given, "recipes_") or hasattr(given, "recipe_")):
        raise ValueError(
            f"the pretrained model ({type(given).__name__}) is not a fitted model of sequences; fit one first (in "
            "cross-validation, wrap it in FrozenEstimator)"
        )
    fitted = cast(Any, given)
    if hasattr(fitted, "encoder_"):
        return _self_supervised(fitted.recipe_, fitted.encoder_, fitted.pretraining_)
    return StartingEncoders(fitted.recipes_, [network.encoder for network in fitted.module_])


def _self_supervised(recipe: Recipe, encoder: Encoder, pretraining: Mapping[str, Any]) -> StartingEncoders:
    n_trained = len(encoder.blocks) - 1 if pretraining["reads_letters"] else None
    return StartingEncoders([recipe], [encoder], without_labels=True, n_trained=n_trained)


def _saved(folder: str | os.PathLike[str]) -> StartingEncoders:
    bundle = load_bundle(folder)
    kind = bundle.description.get("kind")
    if kind == SELF_SUPERVISED:
        recipe = Recipe.from_dict(bundle.description["architecture"])
        encoder = restored_encoder(recipe, bundle.weights, "encoder.")
        return _self_supervised(recipe, encoder, bundle.description["pretraining"])
    if kind in SUPERVISED:
        recipes = recipes_of(bundle.description)
        encoders = [restored_encoder(one, bundle.weights, f"{i}.encoder.") for i, one in enumerate(recipes)]
        return StartingEncoders(recipes, encoders)
    if kind == "kmer-embedding":
        raise ValueError(f"{folder} holds vectors of k-mers, not an encoder; give it as the embedding")
    raise ValueError(f"{folder} holds a model of kind {kind!r}, not one of sequences; give another folder")


def restored_encoder(recipe: Recipe, weights: Mapping[str, Tensor], prefix: str) -> Encoder:
    """Build an encoder with the weights whose names begin with `prefix`, in evaluation mode."""
    encoder = recipe.build()
    encoder.load_state_dict(part_of(weights, prefix))
    return encoder.eval()

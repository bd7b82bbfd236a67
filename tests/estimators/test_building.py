"""Names become modules on a device, and what is unknown is refused with what is known."""

import pytest
import torch

from oligolearn.estimators.building import describe_encoder, part_of, resolve, resolve_device, seeded
from oligolearn.nn import ENCODERS, MLP


def test_names_are_looked_up_and_factories_passed_through() -> None:
    assert resolve("encoder", "mlp", ENCODERS) is MLP
    assert resolve("encoder", MLP, {}) is MLP


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="unknown encoder 'mpl'; choose one of mlp, or pass a factory"):
        resolve("encoder", "mpl", {"mlp": MLP})


def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="unknown device 'gpu'; choose auto, cpu or cuda"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="this machine has none; pass device='cpu'"):
        resolve_device("cuda")


def test_seeding_is_undone_afterwards_even_after_a_failure() -> None:
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(3, torch.device("cpu")):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    with pytest.raises(KeyError), seeded(3, torch.device("cpu")):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_recipes_of_encoders() -> None:
    assert describe_encoder("mlp", None) == {"name": "mlp", "options": {}}
    assert describe_encoder("mlp", {"hidden": (4,)}) == {"name": "mlp", "options": {"hidden": (4,)}}
    with pytest.raises(ValueError, match="only encoders known by name can be saved"):
        describe_encoder(MLP, None)


def test_parts_of_weights() -> None:
    one, two = torch.ones(1), torch.ones(2)
    weights = {"encoder.a": one, "encoder.encoder.b": two, "head.a": two, "encoders": two}
    assert part_of(weights, "encoder.") == {"a": one, "encoder.b": two}

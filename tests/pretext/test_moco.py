"""MoCo against the equation in loops and lightly's loss; what may be a negative, the queue, the slow copy."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, MoCo, suggest_options
from oligolearn.pretext.moco import queued_info_nce

N_GENES = 12


def make(seed: int = 0, **options: object) -> MoCo:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"projection": (10, 6), "momentum": 0.9, **options}
        return MoCo(MLP(N_GENES, (9, 7)), **settings).double()  # type: ignore[arg-type]


def make_views(n_rows: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n_rows, N_GENES, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


@torch.no_grad()
def embed(network: nn.Module, head: nn.Module, x: Tensor) -> list[list[float]]:
    """Unit features by copies, so that no statistics change."""
    z = copy.deepcopy(head)(copy.deepcopy(network)(x))
    found: list[list[float]] = (z / z.norm(dim=1, keepdim=True)).tolist()
    return found


Keys = list[tuple[int, list[float]]]  # row numbers and features


def equation(queries: list[list[float]], keys: Keys, queue: Keys, temperature: float) -> float:
    """Equation 1 in loops: the key of a query's row against those of all other rows in batch and queue."""

    def product(q: list[float], k: list[float]) -> float:
        return math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / temperature)

    total = 0.0
    for q, (row, key) in zip(queries, keys, strict=True):
        negatives = [product(q, k) for other, k in keys + queue if other != row]
        total -= math.log(product(q, key) / (product(q, key) + sum(negatives)))
    return total / len(queries)


BATCHES = [[0, 1, 2, 3, 4], [3, 5, 6, 0, 7], [7, 1, 8, 9, 2], [0, 2, 4, 6, 8], [5, 3, 1, 9, 7]]


@pytest.mark.parametrize("options", [{}, {"version": 1}, {"temperature": 0.5, "momentum": 0.3}], ids=str)
def test_five_steps_equal_the_equations_written_out(options: dict[str, float]) -> None:
    """Weights move in between; a queue of 7 takes batches of 5 whose rows come again."""
    objective = make(queue_length=7, **options)
    momentum, temperature = options.get("momentum", 0.9), options.get("temperature", 0.07 if options else 0.2)
    encoder, head = copy.deepcopy(objective.encoder), copy.deepcopy(objective.head)
    slow = [p.detach().clone() for p in (*encoder.parameters(), *head.parameters())]
    generator = torch.Generator().manual_seed(3)
    queue: Keys = []
    for step, rows in enumerate(BATCHES):
        fast = [p.detach() for p in (*objective.encoder.parameters(), *objective.head.parameters())]
        slow = [momentum * k + (1 - momentum) * q for k, q in zip(slow, fast, strict=True)]  # equation 2
        with torch.no_grad():
            for p, value in zip((*encoder.parameters(), *head.parameters()), slow, strict=True):
                p.copy_(value)
        first, second = make_views(5, seed=step)
        queries = embed(objective.encoder, objective.head, first)
        keys = list(zip(rows, embed(encoder, head, second), strict=True))
        found = objective((first, second, torch.tensor(rows))).detach().item()
        assert found == pytest.approx(equation(queries, keys, queue, temperature), abs=1e-9), f"step {step}"
        queue = (keys + queue)[:7]
        with torch.no_grad():
            for p in objective.encoder.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize(("temperature", "value"), [(0.2, 3.063911309748186), (0.07, 7.446175362000944)])
def test_the_loss_equals_that_of_lightly(temperature: float, value: float) -> None:
    """`NTXentLoss` of lightly (commit e8d317f) with a memory bank set to the third tensor, in rows of length 1.

    Its negatives, as the paper's, are those of the queue alone.
    """
    generator = torch.Generator().manual_seed(0)
    queries, keys, queue = (
        F.normalize(torch.randn(n, 5, generator=generator, dtype=torch.float64), dim=1) for n in (8, 8, 6)
    )
    allowed = torch.ones(8, 6, dtype=torch.bool)
    assert queued_info_nce(queries, keys, queue, allowed, temperature=temperature).item() == pytest.approx(
        value, abs=1e-9
    )


def test_another_view_of_a_row_is_never_its_negative() -> None:
    """Replace the key of a row in the queue by any direction: the loss of that row does not see it."""
    objective = make(queue_length=8)
    objective((*make_views(8, seed=1), torch.arange(8)))
    for row, seen in [(3, False), (8, True)]:  # row 3 is in the queue; row 8 is not, so it sees all of them
        one, other = copy.deepcopy(objective), copy.deepcopy(objective)
        with torch.no_grad():
            other.queue[3].neg_()
        first, second = make_views(2, seed=2)
        twice = (first[:1].repeat(2, 1), second, torch.tensor([row, row]))  # in the batch, too, none is a negative
        assert (abs(one(twice) - other(twice)).item() > 1e-3) is seen
        n_negatives = 8 if seen else 7
        assert one.plateau == pytest.approx(math.log(1 + n_negatives))


def test_without_row_numbers_each_row_counts_as_one_never_seen() -> None:
    numbered, unnumbered = make(queue_length=20), make(queue_length=20)
    for step in range(5):
        views = make_views(8, seed=step)
        torch.testing.assert_close(numbered((*views, torch.arange(8) + 8 * step)), unnumbered(views))
    assert len(unnumbered.queue_rows.unique()) == 20


def test_the_queue_forgets_the_oldest_keys() -> None:
    objective = make(queue_length=6)
    assert objective.queue_rows.tolist() == [-1] * 6
    for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]):
        objective((*make_views(4), torch.tensor(rows)))
    assert objective.queue_rows.tolist() == [8, 9, 10, 11, 4, 5]
    torch.testing.assert_close(objective.queue.norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_keys_take_no_gradient_and_the_copy_moves_in_training_only() -> None:
    objective = make(queue_length=8)
    objective((*make_views(), torch.arange(8))).backward()
    assert all(p.grad is None for p in objective.slow.parameters())
    with torch.no_grad():
        for p in objective.encoder.parameters():
            p.add_(1.0)
    before = [p.clone() for p in objective.slow.parameters()]
    objective.eval()
    objective((*make_views(), torch.arange(8)))
    assert all(torch.equal(p, q) for p, q in zip(before, objective.slow.parameters(), strict=True))
    objective.train()
    objective((*make_views(), torch.arange(8)))
    assert not all(torch.equal(p, q) for p, q in zip(before, objective.slow.parameters(), strict=True))


def test_versions_have_their_heads_and_temperatures() -> None:
    first, second = make(version=1), make(version=2)
    assert isinstance(first.head, nn.Linear)
    assert [type(layer) for layer in second.head.children()] == [nn.Linear, nn.ReLU, nn.Linear]
    assert (first.temperature, second.temperature) == (0.07, 0.2)


def test_an_encoder_that_cannot_tell_samples_apart_stays_at_the_plateau() -> None:
    objective = make(queue_length=8)
    assert objective.plateau == math.inf
    with torch.no_grad():  # all features alike: those of the head's bias
        for network in (objective, objective.slow):
            for p in network.parameters():
                p.zero_()
        objective.head[-1].bias.fill_(1.0)
        objective.slow.networks[1][-1].bias.fill_(1.0)
    for step, n_others in enumerate([7, 14, 14]):  # of another batch in the queue one has the row's own number
        loss = objective((*make_views(seed=step), torch.arange(8))).detach().item()
        assert loss == pytest.approx(math.log(1 + n_others), abs=1e-9)
        assert objective.plateau == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 3}, "version must be 1 or 2, found 3"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"queue_length": -1}, "queue_length must not be negative"),
        ({"momentum": 1.0}, "momentum must lie between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_suggestions_suit_the_cohort_and_keep_what_was_chosen() -> None:
    for n_rows, batch_size, n_epochs in [(6, 6, 200), (30, 30, 200), (200, 66, 150), (9000, 64, 150), (10**6, 256, 50)]:
        options = suggest_options(
            OBJECTIVES["moco"], {}, n_rows=n_rows, batch_size=batch_size, n_epochs=n_epochs, n_features=N_GENES
        )
        assert options["queue_length"] % batch_size == 0
        assert 0 <= options["queue_length"] <= n_rows - batch_size
        # keys are thrown away before the copy has forgotten the weights that made them
        assert options["queue_length"] / batch_size <= 0.3 / (1 - options["momentum"])
        MoCo(MLP(N_GENES, (4,)), **options)
    assert options == {"momentum": 0.999, "queue_length": 250 * 256}
    chosen = suggest_options(
        OBJECTIVES["moco"], {"queue_length": 77}, n_rows=99, batch_size=33, n_epochs=99, n_features=N_GENES
    )
    assert chosen["queue_length"] == 77


def test_a_queue_longer_than_the_cohort_is_refused() -> None:
    with pytest.raises(ValueError, match="queue_length must not exceed the 99 training rows, found 100"):
        suggest_options(
            OBJECTIVES["moco"], {"queue_length": 100}, n_rows=99, batch_size=33, n_epochs=9, n_features=N_GENES
        )
    with pytest.raises(ValueError, match="needs at least 2, found 1"):
        suggest_options(OBJECTIVES["moco"], {}, n_rows=1, batch_size=1, n_epochs=9, n_features=N_GENES)

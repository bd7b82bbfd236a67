"""DeepCluster: its k-means against the authors' own, its loss in loops, empty clusters, clusters that are found."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import MLP
from oligolearn.pretext import DeepCluster, spherical_k_means, suggest_options
from oligolearn.training import Schedule, fit, fit_replicas

N_GENES = 12


def make(seed: int = 0, **options: object) -> DeepCluster:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"n_rows": 40, "n_prototypes": 5, "projection": (10, 6), **options}
        return DeepCluster(MLP(N_GENES, (9, 7)), **settings)  # type: ignore[arg-type]


def data(n_rows: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(n_rows, N_GENES, generator=torch.Generator().manual_seed(seed))


def features(objective: DeepCluster, x: Tensor) -> Tensor:
    training = objective.training
    with torch.no_grad():
        found: Tensor = objective.eval().encoder(x)
    objective.train(training)
    return found


def test_clusters_are_those_of_the_authors() -> None:
    """What `cluster_memory` of facebookresearch/swav (main_deepclusterv2.py, 10 rounds, one process) assigns.

    It was run on these unit vectors with `torch.arange` for `torch.randperm`, so that it starts from the first five.
    """
    z = F.normalize(torch.randn(60, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    assigned, centroids = spherical_k_means(z, z[:5], iterations=10)
    assert "".join(str(int(k)) for k in assigned) == "012341322404023023223331422321223312442214212401241200312334"
    expected = [
        [-0.745817, -0.194297, -0.162085, -0.343505, 0.123055, 0.496584],
        [0.128548, -0.739245, 0.043281, -0.632798, 0.094039, -0.160756],
    ]
    torch.testing.assert_close(centroids[:2], torch.tensor(expected), atol=1e-6, rtol=0)


def test_the_loss_is_the_cross_entropy_of_the_clusters_of_the_numbered_rows() -> None:
    objective = make(temperature=0.2).double()
    x = data().double()
    objective.on_epoch(features(objective, x))
    rows = torch.tensor([3, 17, 3, 39, 0, 8])
    views = [x[rows] + 0.1 * data(6, seed).double() for seed in (1, 2, 3)]
    with torch.no_grad():
        z = objective.head(objective.encoder(torch.cat(views))).view(3, 6, -1)
    total = 0.0
    for view in z:
        for i, row in enumerate(rows):
            odds = [math.exp(float(view[i] @ c) / float(view[i].norm()) / 0.2) for c in objective.prototypes]
            total -= math.log(odds[int(objective.assigned[row])] / sum(odds))
    assert objective((*views, rows)).detach().item() == pytest.approx(total / 18, abs=1e-10)


def test_the_prototypes_are_normalised_means_and_never_learn() -> None:
    objective, x = make(), data()
    objective.on_epoch(features(objective, x))
    with torch.no_grad():
        z = F.normalize(objective.eval().head(objective.encoder(x)), dim=1)
    for number, prototype in enumerate(objective.prototypes):
        mean = z[objective.assigned == number].mean(dim=0)
        torch.testing.assert_close(prototype, mean / mean.norm())
    assert not any("prototypes" in name for name, _ in objective.named_parameters())


def test_clustering_is_the_same_in_each_run_and_another_in_the_next_epoch() -> None:
    one, other = make(), make()
    x = data()
    state, labels = torch.get_rng_state(), []
    for _ in range(3):
        one.on_epoch(features(one, x))
        other.on_epoch(features(other, x))
        assert torch.equal(one.assigned, other.assigned)
        assert torch.equal(one.prototypes, other.prototypes)
        labels.append(one.assigned.clone())
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(labels[0], labels[1]), "the start differs"
    restored = make(1)
    restored.load_state_dict(one.state_dict())
    for objective in (one, restored):
        objective.on_epoch(features(objective, x))
    assert torch.equal(one.assigned, restored.assigned), "a training that goes on clusters as it would have"


@pytest.mark.parametrize("training", [True, False])
def test_clustering_leaves_mode_and_running_statistics_alone(training: bool) -> None:
    objective = make().train(training)
    x = data()
    found = features(objective, x)
    before = {name: value.clone() for name, value in objective.named_buffers() if "running" in name}
    objective.on_epoch(found)
    assert objective.head.training is training
    assert before
    assert all(torch.equal(objective.get_buffer(name), value) for name, value in before.items())


def test_empty_clusters_are_split_off_the_largest() -> None:
    """Three places, one of them with most rows; all starts are in it, so two clusters would stay empty."""
    places = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.0, 0.2, 1.0]]), dim=1)
    noise = 0.02 * torch.randn(26, 3, generator=torch.Generator().manual_seed(0))
    z = F.normalize(places[[0] * 20 + [1] * 3 + [2] * 3] + noise, dim=1)
    assigned, centroids = spherical_k_means(z, z[:1].expand(3, 3), iterations=10)
    assert all(len(part.unique()) == 1 for part in assigned.split([20, 3, 3]))
    assert len(assigned.unique()) == 3
    assert (centroids.norm(dim=1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("n_places", [1, 2])
def test_equal_rows_leave_no_cluster_empty_and_no_nan(n_places: int) -> None:
    z = torch.eye(3)[torch.arange(12) % n_places]
    assigned, centroids = spherical_k_means(z, z[:5], iterations=10)
    assert torch.bincount(assigned, minlength=5).min() >= 1
    assert centroids.isfinite().all()
    as_many, _ = spherical_k_means(z, z, iterations=3)
    assert as_many.sort().values.tolist() == list(range(12))


def test_equal_starts_are_told_apart_by_their_order_not_by_rounding() -> None:
    z = F.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    start = z[[0, 1, 2, 1, 3]]
    nudged = F.normalize(start + 1e-7 * torch.randn(5, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    for iterations in (1, 10):
        one, other = (spherical_k_means(z, first, iterations=iterations)[0] for first in (start, nudged))
        assert torch.equal(one, other)


def test_features_of_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the features of all 40 rows, found 39"):
        make().on_epoch(torch.zeros(39, 7))


def test_a_constant_encoder_stays_at_the_plateau() -> None:
    objective = make()
    with torch.no_grad():
        for p in objective.encoder.parameters():
            p.zero_()
        objective.head.layers[-1].bias.fill_(1.0)
    x = data()
    objective.on_epoch(features(objective, x))
    assert objective.plateau == pytest.approx(math.log(5))
    assert objective((x, x, torch.arange(40))).detach().item() == pytest.approx(math.log(5), abs=1e-6)


def clustered(n_each: int = 15, n_classes: int = 4) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(n_classes, N_GENES, generator=source)
    labels = torch.arange(n_each * n_classes) % n_classes
    return centres[labels] + 0.5 * torch.randn(len(labels), N_GENES, generator=source), labels


def train(modules: list[DeepCluster], x: Tensor, *, at_once: bool) -> None:
    """Twelve epochs of two batches; the rows are clustered before each."""
    noise = 0.5 * torch.randn(2, *x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)

    def batch(rows: Tensor, _: object = None) -> tuple[Tensor, ...]:
        return x[rows] + noise[0, rows], x[rows] + noise[1, rows], rows

    def cluster(number: int) -> None:
        modules[number].on_epoch(features(modules[number], x))

    orders = [torch.Generator().manual_seed(i) for i in range(len(modules))]
    schedule = Schedule(24, 30, 3e-3)
    if at_once:
        fit_replicas(modules, batch, len(x), schedule, generators=orders, before_epoch=cluster, stacked=True)
        return
    for i, module in enumerate(modules):
        fit(module, batch, len(x), schedule, generator=orders[i], before_epoch=partial(cluster, i))


def test_learning_on_few_rows_finds_the_classes_in_spite_of_new_clusters() -> None:
    x, labels = clustered()
    objective = make(n_rows=len(x), n_prototypes=8)
    rows = torch.arange(len(x))
    train([objective], x, at_once=False)
    objective.on_epoch(features(objective, x))
    with torch.no_grad():
        assert objective.eval()((x, x, rows)) < 0.5 * objective.plateau
    table = torch.zeros(8, 4).index_put_((objective.assigned, labels), torch.ones(len(x)), accumulate=True)
    assert table.max(dim=1).values.sum() / len(x) > 0.95, "clusters are pure"


def test_replicas_that_are_clustered_between_epochs_equal_single_trainings() -> None:
    x = clustered()[0].double()
    alone, together = ([make(seed, n_rows=len(x)).double() for seed in range(3)] for _ in range(2))
    train(alone, x, at_once=False)
    train(together, x, at_once=True)
    assert not torch.equal(alone[0].assigned, alone[1].assigned)
    for one, other in zip(alone, together, strict=True):
        assert int(one.clusterings) == 12
        for name, value in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_prototypes": 1}, "n_prototypes must lie between 2 and the number of rows, 40, found 1"),
        ({"n_prototypes": 41}, "number of rows, 40, found 41"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"iterations": 0}, "iterations at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_suggestions_suit_the_cohort() -> None:
    for n_rows in (4, 6, 30, 9000):
        cohort = {"n_rows": n_rows, "batch_size": 4, "n_epochs": 10, "n_features": N_GENES}
        options = suggest_options(DeepCluster, {}, **cohort)
        assert 2 <= options["n_prototypes"] <= min(50, n_rows)
        assert isinstance(DeepCluster(MLP(N_GENES, (4,)), **options), nn.Module)
        assert suggest_options(DeepCluster, {"n_prototypes": 3}, **cohort)["n_prototypes"] == 3
    with pytest.raises(ValueError, match="n_prototypes must be at most the number of training rows, 9000, found 9001"):
        suggest_options(DeepCluster, {"n_prototypes": 9001}, **cohort)

"""Views that need the training rows: marginals, swapping, mixup, neighbours of a code, compositions."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.views import (
    Compose,
    GeneSwapping,
    LatentNeighbours,
    MarginalMasking,
    MaskedMixup,
    Mixup,
    make_view,
    mask_genes,
)

MARK = 1e7  # no training value looks like it


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered_rows(n_rows: int, n_genes: int) -> Tensor:
    """Training values that say where they are from: ``1000 * gene + row``."""
    return 1000.0 * torch.arange(n_genes, dtype=torch.float64) + torch.arange(n_rows, dtype=torch.float64)[:, None]


def marked(n_rows: int, n_genes: int) -> Tensor:
    return MARK + torch.arange(n_rows * n_genes, dtype=torch.float64).view(n_rows, n_genes)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_marginal_masking_hides_the_share_asked_for(share: float) -> None:
    """A public port of SCARF replaces the other share."""
    view = MarginalMasking(share=share).fit(numbered_rows(7, 500))
    source = generator()
    hidden = torch.stack([view(marked(4, 500), generator=source) < MARK for _ in range(40)]).double()
    error = math.sqrt(share * (1 - share) / hidden.numel())
    assert float(hidden.mean()) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("per", ["batch", "row"])
def test_marginal_masking_keeps_each_genes_own_distribution(per: str) -> None:
    n_rows, n_genes, n_batch = 5, 40, 4000
    rows = numbered_rows(n_rows, n_genes)
    x = marked(n_batch, n_genes)
    view = MarginalMasking(share=0.5, per=per).fit(rows)(x, generator=generator())
    hidden = view < MARK
    assert torch.equal(view[~hidden], x[~hidden])
    gene, row = torch.div(view[hidden], 1000, rounding_mode="floor").long(), (view[hidden] % 1000).long()
    assert torch.equal(gene, hidden.nonzero()[:, 1]), "a value comes from its own gene"
    counts = torch.zeros(n_genes, n_rows).index_put_((gene, row), torch.ones(len(gene)), accumulate=True)
    counts = counts[counts.sum(dim=1) > 0]
    assert len(counts) == n_genes if per == "row" else len(counts) > n_genes / 4
    expected = counts.sum(dim=1, keepdim=True) / n_rows
    chi2 = float(((counts - expected).square() / expected).sum())
    freedom = len(counts) * (n_rows - 1)
    assert abs(chi2 - freedom) < 4 * math.sqrt(2 * freedom), "every training row is drawn equally often"


def test_marginal_values_of_one_sample_come_from_independent_rows() -> None:
    view = MarginalMasking(share=1.0).fit(numbered_rows(4, 3000))(marked(2, 3000), generator=generator())
    from_row = (view % 1000).double()
    assert all(len(row.unique()) == 4 for row in from_row)
    assert abs(float(torch.corrcoef(from_row)[0, 1])) < 4 / math.sqrt(3000)


def test_masking_per_batch_by_zeros_and_marginals_hides_the_same_genes_in_all_rows() -> None:
    rows = numbered_rows(6, 300)
    for fill in ("zero", "marginal"):
        hidden = mask_genes(marked(5, 300), share=0.4, fill=fill, rows=rows, generator=generator()) < MARK
        assert (hidden == hidden[0]).all()
        assert 0 < hidden[0].sum() < 300
    zeros = mask_genes(marked(5, 300), share=1.0, fill="zero", generator=generator())
    assert not zeros.any()


@pytest.mark.parametrize("per", ["batch", "row"])
def test_swapped_genes_come_from_one_row_and_the_others_are_untouched(per: str) -> None:
    n_rows, n_genes, n_batch, share = 8, 2000, 60, 0.3
    x = marked(n_batch, n_genes)
    view = GeneSwapping(share=share, per=per).fit(numbered_rows(n_rows, n_genes))(x, generator=generator())
    taken = view < MARK
    assert torch.equal(view[~taken], x[~taken])
    genes = torch.arange(n_genes)
    partners = []
    for row, where in zip(view, taken, strict=True):
        assert torch.equal(torch.div(row[where], 1000, rounding_mode="floor").long(), genes[where])
        assert len((row[where] % 1000).unique()) == 1
        partners.append(int(row[where][0] % 1000))
    assert len(set(partners)) == n_rows, "partners differ between samples"
    n_independent = n_genes * (1 if per == "batch" else n_batch)
    assert float(taken.double().mean()) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n_independent))
    assert (taken == taken[0]).all() == (per == "batch")


def test_mixup_weights_are_uniform_and_one_for_all_genes_of_a_sample() -> None:
    rows = torch.zeros(3, 50, dtype=torch.float64)
    view = Mixup(lowest=0.6).fit(rows)(torch.ones(5000, 50, dtype=torch.float64), generator=generator())
    weights = view[:, 0]
    torch.testing.assert_close(view, weights[:, None].expand_as(view))
    assert 0.6 <= float(weights.min()) < 0.61
    assert 0.99 < float(weights.max()) <= 1
    assert float(weights.mean()) == pytest.approx(0.8, abs=4 * 0.4 / math.sqrt(12 * 5000))
    assert float(weights.var()) == pytest.approx(0.16 / 12, rel=0.1)


@pytest.mark.parametrize(
    ("n_genes", "asked", "share"), [(5000, None, 0.5), (1000, None, 0.5), (200, None, 0.1), (200, 0.7, 0.7)]
)
def test_masked_mixtures_hide_fewer_genes_of_a_small_panel(n_genes: int, asked: float | None, share: float) -> None:
    view = MaskedMixup(share=asked, fill="zero", per="row").fit(torch.ones(3, n_genes))
    source = generator()
    hidden = torch.stack([view(torch.ones(4, n_genes), generator=source) == 0 for _ in range(50)]).double()
    assert float(hidden.mean()) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / hidden.numel()))


def test_masked_mixtures_are_mixtures_where_genes_are_seen() -> None:
    rows = torch.zeros(6, 500, dtype=torch.float64)
    seen = MaskedMixup(share=0.4, fill="zero", lowest=0.6).fit(rows)(
        torch.ones(50, 500).double(), generator=generator()
    )
    hidden = seen == 0
    assert torch.equal(hidden, hidden[:1].expand_as(hidden))  # one draw for the batch
    weights = seen[:, ~hidden[0]]
    assert torch.equal(weights, weights[:, :1].expand_as(weights))  # one weight for a sample
    assert 0.6 <= float(weights.min()) < 0.65
    assert 0.95 < float(weights.max()) <= 1


def test_mixup_partners_are_training_rows_drawn_equally_often() -> None:
    rows = torch.eye(4, dtype=torch.float64)
    view = Mixup(lowest=0.0).fit(rows)(torch.zeros(4000, 4, dtype=torch.float64), generator=generator())
    assert ((view > 0).sum(dim=1) == 1).all()
    assert (view > 0).double().mean(dim=0).tolist() == pytest.approx([0.25] * 4, abs=4 * math.sqrt(0.1875 / 4000))
    x = torch.randn(6, 4, generator=generator(), dtype=torch.float64)
    assert torch.equal(Mixup(lowest=1.0).fit(rows)(x, generator=generator()), x)


def low_rank(n_rows: int, n_genes: int, seed: int = 0) -> Tensor:
    source = generator(seed)
    x = torch.randn(n_rows, 3, generator=source) @ torch.randn(3, n_genes, generator=source) / math.sqrt(3)
    return x + 0.05 * torch.randn(n_rows, n_genes, generator=source)


def test_neighbours_of_a_code_resemble_their_sample_more_than_others_do() -> None:
    rows = low_rank(120, 40)
    near, far = (
        LatentNeighbours(strength=strength, n_codes=8, n_hidden=32, steps=400, learning_rate=3e-3).fit(rows)
        for strength in (0.2, 1.0)
    )
    views = near(rows, generator=generator(1))
    distances = torch.cdist(views, rows)
    assert (distances.argmin(dim=1) == torch.arange(120)).double().mean() > 0.6  # by chance: 1 in 120
    decoded = LatentNeighbours(strength=0.0, n_codes=8, n_hidden=32, steps=400, learning_rate=3e-3).fit(rows)
    points = decoded(rows, generator=generator(1))
    assert (points - rows).square().mean() < 0.15 * rows.var(), "the auto-encoder has learned the rows"
    spread = (views - points).square().mean()
    assert 9 * spread < (far(rows, generator=generator(1)) - points).square().mean(), "five times as strong"
    other = near(rows, generator=generator(2))
    assert (other - views).square().mean() > spread, "two views are two points"


def test_an_auto_encoder_is_the_same_for_the_same_seed_and_rows() -> None:
    rows = low_rank(20, 10)
    views = [
        LatentNeighbours(n_codes=3, n_hidden=6, steps=20, seed=seed).fit(rows)(rows, generator=generator())
        for seed in (0, 0, 1)
    ]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


def test_constant_rows_have_a_code_without_neighbours() -> None:
    rows = torch.zeros(10, 6)
    view = LatentNeighbours(n_codes=2, n_hidden=4, steps=5).fit(rows)
    assert torch.equal(view(rows, generator=generator(0)), view(rows, generator=generator(1)))


def test_composed_views_are_applied_in_turn_from_one_generator() -> None:
    rows = numbered_rows(5, 30)
    x = marked(4, 30)
    both = Compose([("marginal", {"share": 0.5}), ("noise", {"scale": 0.3})]).fit(rows)
    source = generator(3)
    first = make_view("marginal", {"share": 0.5}, rows=rows)(x, generator=source)
    expected = make_view("noise", {"scale": 0.3}, rows=rows)(first, generator=source)
    assert torch.equal(both(x, generator=generator(3)), expected)
    swapped = Compose([("noise", {"scale": 0.3}), ("marginal", {"share": 0.5})]).fit(rows)
    assert not torch.equal(swapped(x, generator=generator(3)), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MarginalMasking(share=1.2), "must lie between 0 and 1, found 1.2"),
        (lambda: MarginalMasking(per="gene"), "per must be 'batch' or 'row'"),
        (lambda: GeneSwapping(share=math.nan), "share of swapped genes must lie between 0 and 1"),
        (lambda: GeneSwapping(per="gene"), "per must be 'batch' or 'row'"),
        (lambda: MaskedMixup(share=1.1), "share of masked genes must lie between 0 and 1, found 1.1"),
        (lambda: MaskedMixup(lowest=2), "lowest weight of a sample in a mixture must lie between 0 and 1, found 2"),
        (lambda: Mixup(lowest=-0.1), "lowest weight of a sample in a mixture must lie between 0 and 1, found -0.1"),
        (lambda: LatentNeighbours(strength=-1.0), "must be finite and not negative, found -1.0"),
        (lambda: LatentNeighbours(strength=math.inf), "must be finite"),
        (lambda: LatentNeighbours(n_codes=0), "must be at least 1"),
        (lambda: LatentNeighbours(learning_rate=0.0), "learning_rate positive"),
        (lambda: Compose([]), "at least one view"),
        (lambda: Compose("noise"), "must be a list"),
        (lambda: Compose([("noise",)]), "a name, or a name and its settings"),  # type: ignore[list-item]
        (lambda: Compose(["blur"]).fit(torch.zeros(2, 3)), "unknown view 'blur'"),
        (lambda: Mixup().fit(torch.zeros(0, 3)), r"fitted to training rows .* found \(0, 3\)"),
    ],
)
def test_settings_out_of_range_are_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]

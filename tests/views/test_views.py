"""What every view promises; masking and noise: their shares, their moments, what they leave alone."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oligolearn.views import VIEWS, Compose, add_noise, make_view, mask_genes, read_view

MARK = 1e6  # no draw looks like it
GENES = [f"G{number}" for number in range(30)]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "masking": ("masking", {}),
    "masking by zeros": ("masking", {"fill": "zero", "per": "row"}),
    "masking by marginals": ("masking", {"fill": "marginal"}),
    "marginal": ("marginal", {}),
    "noise": ("noise", {}),
    "swapping": ("swapping", {}),
    "gene-sets": ("gene-sets", {"sets": {"one": GENES[:10], "two": GENES[5:20]}}),
    "gene-sets by marginals": ("gene-sets", {"sets": {"one": GENES[:9]}, "per": "row", "fill": "marginal"}),
    "mixup": ("mixup", {}),
    "masked-mixup": ("masked-mixup", {"share": 0.3}),
    "latent": ("latent", {"n_codes": 4, "n_hidden": 8, "steps": 10}),
    "compose": ("compose", {"views": ["mixup", ("masking", {"share": 0.2})]}),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def marked(n_rows: int, n_genes: int) -> Tensor:
    """Values that a hidden gene cannot have by chance, all different."""
    return MARK + torch.arange(n_rows * n_genes, dtype=torch.float64).view(n_rows, n_genes)


@pytest.mark.parametrize("per", ["batch", "row"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_the_share_is_exact_in_expectation(per: str, share: float) -> None:
    n_rows, n_genes, n_draws = 4, 500, 40
    source = generator()
    x = marked(n_rows, n_genes)
    hidden = [mask_genes(x, share=share, per=per, generator=source) < MARK for _ in range(n_draws)]
    n_independent = n_genes * n_draws * (1 if per == "batch" else n_rows)
    error = math.sqrt(share * (1 - share) / n_independent)
    assert float(torch.stack(hidden).double().mean()) == pytest.approx(share, abs=4 * error)


def test_per_batch_hides_the_same_genes_in_all_rows_and_others_in_the_next_batch() -> None:
    source = generator()
    first, second = (mask_genes(marked(6, 400), per="batch", generator=source) < MARK for _ in range(2))
    assert (first == first[0]).all()
    assert (second == second[0]).all()
    assert not torch.equal(first[0], second[0])


def test_per_row_hides_independent_genes() -> None:
    hidden = (mask_genes(marked(6, 4000), share=0.5, per="row", generator=generator()) < MARK).double()
    agreement = torch.corrcoef(hidden) - torch.eye(6)
    assert agreement.abs().max() < 4 / math.sqrt(4000)


@pytest.mark.parametrize("per", ["batch", "row"])
def test_hidden_values_are_standard_normal_and_the_others_untouched(per: str) -> None:
    x = marked(200, 300)
    view = mask_genes(x, per=per, generator=generator())
    hidden = view < MARK
    draws = view[hidden]
    n = len(draws)
    assert float(draws.mean()) == pytest.approx(0, abs=4 / math.sqrt(n))
    assert float(draws.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / n))
    assert float((draws**4).mean()) == pytest.approx(3, abs=4 * math.sqrt(96 / n))  # as flat as a normal
    levels = 2**16
    assert len(draws.unique()) > 0.95 * levels * -math.expm1(-n / levels), "each hidden value is drawn by itself"
    assert torch.equal(view[~hidden], x[~hidden])


def test_nothing_and_everything_can_be_hidden() -> None:
    x = marked(5, 50)
    assert torch.equal(mask_genes(x, share=0.0, generator=generator()), x)
    assert (mask_genes(x, share=1.0, generator=generator()) < MARK).all()


def test_noise_has_the_variance_asked_for() -> None:
    x = 5 * torch.randn(300, 200, generator=generator(1), dtype=torch.float64)
    noise = add_noise(x, scale=0.7, generator=generator()) - x
    assert float(noise.mean()) == pytest.approx(0, abs=4 * 0.7 / math.sqrt(noise.numel()))
    assert float(noise.var()) == pytest.approx(0.49, rel=4 * math.sqrt(2 / noise.numel()))
    assert abs(float(torch.corrcoef(torch.stack([noise.ravel(), x.ravel()]))[0, 1])) < 4 / math.sqrt(noise.numel())
    assert torch.equal(add_noise(x, scale=0.0, generator=generator()), x)


def made(case: str) -> Callable[..., Tensor]:
    name, options = CASES[case]
    rows = torch.randn(25, len(GENES), generator=generator(11))
    return make_view(name, options, rows=rows, genes=GENES)


def test_every_view_is_among_the_cases() -> None:
    assert {name for name, _ in CASES.values()} == VIEWS.keys()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_view_is_decided_by_its_generator_alone(case: str, dtype: torch.dtype) -> None:
    x = torch.randn(20, len(GENES), generator=generator(3)).to(dtype)
    before, state = x.clone(), torch.get_rng_state()
    first = made(case)(x, generator=generator(7))
    torch.manual_seed(99)
    again, other = made(case)(x, generator=generator(7)), made(case)(x, generator=generator(8))
    torch.set_rng_state(state)
    made(case)(x, generator=generator(7))
    assert torch.equal(torch.get_rng_state(), state), "the global state is not drawn from"
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(x, before), "the input is left as it is"
    assert first.dtype == dtype
    assert first.shape == x.shape
    assert first.isfinite().all()
    assert not first.requires_grad


@pytest.mark.parametrize("case", CASES)
def test_two_views_from_one_generator_differ(case: str) -> None:
    x, source, view = torch.randn(4, len(GENES), generator=generator(3)), generator(), made(case)
    assert not torch.equal(view(x, generator=source), view(x, generator=source))


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_one_row_will_do(case: str) -> None:
    assert made(case)(torch.ones(1, len(GENES)), generator=generator()).shape == (1, len(GENES))


@pytest.mark.parametrize("case", CASES)
def test_the_training_rows_are_left_as_they_are(case: str) -> None:
    name, options = CASES[case]
    rows = torch.randn(25, len(GENES), generator=generator(11))
    before = rows.clone()
    make_view(name, options, rows=rows, genes=GENES)(rows, generator=generator())
    assert torch.equal(rows, before)


@pytest.mark.parametrize("share", [-0.01, 1.01, math.nan])
def test_a_share_that_is_no_probability_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        mask_genes(torch.zeros(2, 3), share=share, generator=generator())


def test_unknown_masking_and_negative_noise_are_refused() -> None:
    with pytest.raises(ValueError, match="per must be 'batch' or 'row', found 'gene'"):
        mask_genes(torch.zeros(2, 3), per="gene", generator=generator())
    with pytest.raises(ValueError, match="must not be negative"):
        add_noise(torch.zeros(2, 3), scale=-0.5, generator=generator())
    with pytest.raises(ValueError, match="fill must be one of normal, zero, marginal, found 'mean'"):
        mask_genes(torch.zeros(2, 3), fill="mean", generator=generator())
    with pytest.raises(ValueError, match=r"draws from the training rows, found none; pass rows="):
        mask_genes(torch.zeros(2, 3), fill="marginal", generator=generator())


def test_unknown_views_and_settings_are_refused() -> None:
    rows = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"unknown view 'blur'; choose one of masking, .*, a .gmt file of gene sets"):
        make_view("blur", rows=rows)
    with pytest.raises(ValueError, match="view 'swapping' has no setting shares; it has share, per"):
        make_view("swapping", {"shares": 0.5}, rows=rows)
    with pytest.raises(ValueError, match="view 'masking' has no setting rows; it has share, per, fill"):
        make_view("masking", {"rows": rows}, rows=rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("masking", ("masking", {})),
        ("mixup:0.25", ("mixup", {"lowest": 0.75})),
        ("C:\\sets\\h.all.gmt.gz:0.4", ("gene-sets", {"sets": "C:\\sets\\h.all.gmt.gz", "share": 0.4})),
        ("a.gmt", ("gene-sets", {"sets": "a.gmt"})),
        (
            "a.gmt:0.2 + noise:0.1",
            ("compose", {"views": [("gene-sets", {"sets": "a.gmt", "share": 0.2}), ("noise", {"scale": 0.1})]}),
        ),
    ],
)
def test_views_are_written_with_strengths_files_and_one_after_the_other(text: str, found: object) -> None:
    assert read_view(text) == found


def test_a_view_that_is_written_does_what_its_parts_do(tmp_path: Path) -> None:
    (tmp_path / "a.gmt").write_text("set\tnone\tx\ty\n")
    x = torch.arange(12.0).reshape(3, 4)
    written = make_view(f"{tmp_path}/a.gmt:1+noise:0.5", rows=x, genes=list("xyzv"))(x, generator=generator())
    parts = Compose([("gene-sets", {"sets": {"set": ["x", "y"]}, "share": 1.0}), ("noise", {"scale": 0.5})])
    assert torch.equal(written, parts.fit(x, genes=list("xyzv"))(x, generator=generator()))
    kept = make_view(f"{tmp_path}/a.gmt", {"share": 1.0, "rest": "kept", "fill": "zero"}, rows=x, genes=list("xyzv"))
    assert torch.equal(kept(x, generator=generator()), x * torch.tensor([0.0, 0, 1, 1]))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("masking:much", {}, "the strength of a view is a number, found 'much' in 'masking:much'"),
        ("masking:1.5", {}, "the strength of the view masking must be at least 0 and at most 1, found 1.5"),
        ("masking:0.5", {"share": 0.2}, "view 'masking:0.5' says its share already"),
        ("masking+noise", {"share": 0.2}, "view 'masking\\+noise' has no setting share"),
        ("masking+compose", {}, "unknown view 'masking\\+compose'"),
        ("gene-sets", {}, "view 'gene-sets' needs its setting sets; write the path of a .gmt file in its place"),
        ("gone.gmt", {}, "gone.gmt does not exist"),
    ],
)
def test_views_that_are_written_wrongly_are_refused(text: str, options: dict[str, float], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_view(text, options, rows=torch.zeros(2, 3), genes=list("xyz"))


def test_views_of_ones_own_are_functions_or_have_a_fit() -> None:
    def shift(x: Tensor, *, by: float = 1.0, generator: torch.Generator) -> Tensor:
        return x + by

    class Centre:
        def fit(self, rows: Tensor, *, genes: object = None) -> Callable[..., Tensor]:
            return lambda x, generator: x - rows.mean(dim=0)

    x = torch.ones(2, 3)
    assert torch.equal(make_view(shift, {"by": 2.0}, rows=x)(x, generator=generator()), x + 2)
    for centre in (Centre, Centre()):
        assert torch.equal(make_view(centre, rows=x)(x, generator=generator()), x - 1)
    with pytest.raises(ValueError, match="has its settings already; pass its class, or leave out by"):
        make_view(Centre(), {"by": 1}, rows=x)

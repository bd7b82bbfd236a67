"""Views that hide gene sets: reading them, matching them, who goes with whom, and how often."""

import gzip
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from oligolearn.views import GeneSetMasking, read_gmt

GENES = list("abcdefgh")
SETS = {"abc": ["a", "b", "c"], "cd": ["c", "d", "unknown"], "elsewhere": ["x", "y"]}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hidden_genes(view: GeneSetMasking, n_draws: int = 4000, seed: int = 0) -> Tensor:
    """Which of `GENES` each row of a large batch hides, ``(n_draws, n_genes)``."""
    return view.fit(torch.ones(2, len(GENES)), genes=GENES)(torch.ones(n_draws, 8), generator=generator(seed)) == 0


def test_genes_of_a_set_go_together_and_a_gene_of_two_sets_with_either() -> None:
    hidden = hidden_genes(GeneSetMasking(SETS, fill="zero", per="row"))
    a, b, c, d = hidden[:, :4].T
    assert torch.equal(a, b)
    assert torch.equal(c, a | d)
    assert (a & ~d).any()
    assert (d & ~a).any()
    rest = torch.corrcoef(hidden[:, 4:].T.double()) - torch.eye(4)
    assert rest.abs().max() < 4 / math.sqrt(4000), "genes in no set go by themselves"
    assert abs(float(torch.corrcoef(torch.stack([a, d]).double())[0, 1])) < 4 / math.sqrt(4000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("rest", ["single", "kept"])
def test_the_share_is_that_of_genes_whatever_the_sets(share: float, rest: str) -> None:
    hidden = hidden_genes(GeneSetMasking(SETS, share=share, rest=rest, fill="zero", per="row")).double()
    in_sets, others = hidden[:, :4].mean(), hidden[:, 4:].mean()
    error = math.sqrt(share * (1 - share) / 4000)
    assert float(in_sets) == pytest.approx(share, abs=4 * error)  # its genes are not independent
    assert float(others) == pytest.approx(share if rest == "single" else 0, abs=4 * error / 2)
    # p for one set, 1 - (1 - p)^2 for the gene that is in both
    p = float(hidden[:, 0].mean())
    assert float(hidden[:, 2].mean()) == pytest.approx(1 - (1 - p) ** 2, abs=4 * error + 0.01)


def test_all_and_nothing_can_be_hidden() -> None:
    assert hidden_genes(GeneSetMasking(SETS, share=1.0, fill="zero", per="row"), 50).all()
    assert not hidden_genes(GeneSetMasking(SETS, share=0.0, fill="zero", per="row"), 50).any()
    kept = hidden_genes(GeneSetMasking(SETS, share=1.0, rest="kept", fill="zero"), 50)
    assert kept[:, :4].all()
    assert not kept[:, 4:].any()


def test_per_batch_hides_the_same_genes_in_all_rows() -> None:
    first, second = (hidden_genes(GeneSetMasking(SETS, fill="zero"), 20, seed) for seed in (0, 5))
    assert (first == first[0]).all()
    assert not torch.equal(first, second)


def test_genes_are_matched_by_name_whatever_their_order() -> None:
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    view = GeneSetMasking({"abc": ["a", "b", "c"]}, rest="kept", fill="zero", per="row")
    x = torch.ones(500, 8)
    shuffled = view.fit(x, genes=[GENES[i] for i in order])(x, generator=generator())
    assert torch.equal(shuffled, view.fit(x, genes=GENES)(x, generator=generator())[:, order])


def test_hidden_values_are_normal_or_marginal_and_the_others_untouched() -> None:
    x = torch.full((3000, 8), 1e6, dtype=torch.float64)
    rows = torch.tensor([[1.0], [2.0]], dtype=torch.float64) + 10 * torch.arange(8)
    normal = GeneSetMasking(SETS, fill="normal", per="row").fit(rows, genes=GENES)(x, generator=generator())
    draws = normal[normal != 1e6]
    assert float(draws.mean()) == pytest.approx(0, abs=4 / math.sqrt(len(draws)))
    assert float(draws.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / len(draws)))
    marginal = GeneSetMasking(SETS, fill="marginal", per="row").fit(rows, genes=GENES)(x, generator=generator())
    for gene in range(8):
        column = marginal[:, gene]
        values, counts = column[column != 1e6].unique(return_counts=True)
        assert values.tolist() == [10 * gene + 1, 10 * gene + 2]
        assert abs(int(counts[0] - counts[1])) < 4 * math.sqrt(int(counts.sum()))


def test_a_gmt_file_is_read_plain_or_gzipped(tmp_path: Path) -> None:
    text = "ONE\thttp://one\ta\tb\ta\t\nTWO\t\tc\n\nONE\tagain\td\tb\r\n"
    plain, zipped = tmp_path / "sets.gmt", tmp_path / "sets.gmt.gz"
    plain.write_text(text, encoding="utf-8")
    zipped.write_bytes(gzip.compress(text.encode()))
    assert read_gmt(plain) == read_gmt(zipped) == {"ONE": ["a", "b", "d"], "TWO": ["c"]}
    x = torch.ones(30, 8)
    by_path, by_name = (
        GeneSetMasking(sets, per="row").fit(x, genes=GENES)(x, generator=generator())
        for sets in (str(plain), read_gmt(plain))
    )
    assert torch.equal(by_path, by_name)


def test_bad_gmt_files_are_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "sets.gmt"
    with pytest.raises(FileNotFoundError, match=r"sets\.gmt does not exist"):
        read_gmt(path)
    path.write_text("ONE\tdescription\ta\nTWO,b,c\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"sets\.gmt, line 2: expected .* separated by tabs, found 'TWO,b,c'"):
        read_gmt(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no gene set"):
        read_gmt(path)


def test_what_cannot_be_matched_is_refused() -> None:
    x = torch.ones(3, 8)
    with pytest.raises(ValueError, match="expected 8 gene names, found none"):
        GeneSetMasking(SETS).fit(x)
    with pytest.raises(ValueError, match="expected 8 gene names, found 2"):
        GeneSetMasking(SETS).fit(x, genes=["a", "b"])
    with pytest.raises(
        ValueError, match=r"none of the 1 gene sets has a gene of the data \(sets: A, B; data: a, b, c\)"
    ):
        GeneSetMasking({"upper": ["A", "B"]}).fit(x, genes=GENES)
    with pytest.raises(ValueError, match="rest, genes in no set, must be one of single, kept, found 'hidden'"):
        GeneSetMasking(SETS, rest="hidden")
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        GeneSetMasking(SETS, share=2.0)
    with pytest.raises(ValueError, match="fill must be one of"):
        GeneSetMasking(SETS, fill="mean")


def test_published_sets_hide_the_share_of_genes_asked_for(shared_data: Path) -> None:
    """Reactome's sets overlap: a gene is in many, and half of the sets would hide nearly all genes."""
    sets = read_gmt(shared_data / "genesets/reactome.gmt")
    assert len(sets) == 2484
    genes = sorted({gene for names in sets.values() for gene in names})
    view = GeneSetMasking(sets, share=0.5, fill="zero").fit(torch.ones(1, len(genes)), genes=genes)
    source = generator()
    shares = [float((view(torch.ones(1, len(genes)), generator=source) == 0).double().mean()) for _ in range(60)]
    assert sum(shares) / 60 == pytest.approx(0.5, abs=0.03)

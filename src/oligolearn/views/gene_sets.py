"""Views that hide whole gene sets, pathways for instance."""

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from oligolearn.views.masking import check_fill, check_per, check_rows, check_share, fill_hidden

GeneSets = Mapping[str, Sequence[str]]
_RESTS = ("single", "kept")


def read_gmt(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read gene sets from a `.gmt` file, as MSigDB has them, gzipped (`.gz`) or not.

    Each line is the name of a set, a description, and genes, separated by tabs. Sets with the same name are joined.

    Returns
    -------
    dict
        Genes of each set in the order of the file, each once.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A line is no gene set, or the file holds none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: pass the path of a .gmt file")
    sets: dict[str, list[str]] = {}
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            name, *rest = (word.strip() for word in line.split("\t"))
            found = list(dict.fromkeys(gene for gene in rest[1:] if gene))
            if not name or not found:
                raise ValueError(
                    f"{path.name}, line {number}: expected a set's name, a description and at least one gene, "
                    f"separated by tabs, found {line.strip()[:60]!r}"
                )
            sets[name] = list(dict.fromkeys(sets.get(name, []) + found))
    if not sets:
        raise ValueError(f"{path.name} holds no gene set")
    return sets


class GeneSetMasking:
    """Hide whole gene sets: a gene is hidden when one of its sets is.

    Genes of one pathway tell about each other, so hiding them one by one hides little (Richter 2024, doi:
    10.1038/s42256-024-00934-3, masks gene programs).

    Parameters
    ----------
    sets
        Path of a `.gmt` file, or genes by name of the set. Genes are matched to those of the data by their name, upper
        and lower case told apart; genes that the data do not have are left out.
    share
        Expected share of genes to be hidden, from 0 to 1. A gene in several sets is hidden more often than one in a
        single set; the probability of a set is such that the mean over genes is `share`.
    rest
        Genes in no set: ``"single"`` hides each by itself with a probability of `share`; ``"kept"`` never hides them,
        and `share` is that of the genes in sets.
    fill, per
        As in `mask_genes`.

    Raises
    ------
    ValueError
        If a setting is out of its range, or no gene of the sets is in the data.

    Notes
    -----
    Differs from the paper: that hides a fixed share of the programs, whatever number of genes this is.

    Examples
    --------
    >>> view = GeneSetMasking({"A": ["x", "y"], "B": ["z"]}, fill="zero").fit(torch.ones(2, 4), genes=list("xyzv"))
    >>> hidden = view(torch.ones(3, 4), generator=torch.Generator().manual_seed(0)) == 0
    >>> bool((hidden[:, 0] == hidden[:, 1]).all())  # x and y go together
    True
    """

    def __init__(
        self,
        sets: str | os.PathLike[str] | GeneSets,
        *,
        share: float = 0.5,
        rest: str = "single",
        fill: str = "normal",
        per: str = "batch",
    ) -> None:
        check_share(share)
        check_fill(fill)
        check_per(per)
        if rest not in _RESTS:
            raise ValueError(f"rest, genes in no set, must be one of {', '.join(_RESTS)}, found {rest!r}")
        self.sets = sets
        self.share = share
        self.rest = rest
        self.fill = fill
        self.per = per

    def fit(self, rows: Tensor, *, genes: Sequence[str] | None = None) -> Callable[..., Tensor]:
        """Match the sets to the `genes`, one name for each column of the training `rows`, ``(n_rows, n_genes)``."""
        rows = check_rows(rows)
        if genes is None or len(genes) != rows.shape[1]:
            found = "none" if genes is None else f"{len(genes)}"
            raise ValueError(f"gene sets are matched by name: expected {rows.shape[1]} gene names, found {found}")
        sets = self.sets if isinstance(self.sets, Mapping) else read_gmt(self.sets)
        members = _members(sets, genes)
        if not members:
            raise ValueError(
                f"none of the {len(sets)} gene sets has a gene of the data (sets: {_some(sets)}; data: "
                f"{', '.join(list(genes)[:3])}); name genes in both alike, symbols for instance"
            )
        return partial(
            _hide_sets,
            chances=_chances(members, len(genes), self.share, self.rest).to(rows.device),
            membership=_membership(members, len(genes)).to(rows.device),
            fill=self.fill,
            rows=rows if self.fill == "marginal" else None,
            per=self.per,
        )


def _members(sets: GeneSets, genes: Sequence[str]) -> list[list[int]]:
    """Columns of each set that has any."""
    column = {gene: number for number, gene in enumerate(genes)}
    matched = ([column[gene] for gene in dict.fromkeys(names) if gene in column] for names in sets.values())
    return [columns for columns in matched if columns]


def _some(sets: GeneSets) -> str:
    return ", ".join([gene for names in sets.values() for gene in names][:3])


def _chances(members: list[list[int]], n_genes: int, share: float, rest: str) -> Tensor:
    """Probabilities to be hidden: of each set, then of each gene by itself, ``(n_sets + n_genes,)``."""
    n_sets_of = torch.zeros(n_genes, dtype=torch.float64)
    for columns in members:
        n_sets_of[columns] += 1
    counts = n_sets_of[n_sets_of > 0]
    low, high = 0.0, 1.0
    for _ in range(60):  # the share of hidden genes grows with the probability of a set
        middle = (low + high) / 2
        low, high = (low, middle) if (1 - (1 - middle) ** counts).mean() > share else (middle, high)
    alone = torch.where(n_sets_of > 0, 0.0, share if rest == "single" else 0.0)
    of_set = share if share in (0, 1) else (low + high) / 2
    return torch.cat([torch.full((len(members),), of_set, dtype=torch.float64), alone])


def _membership(members: list[list[int]], n_genes: int) -> Tensor:
    """Sparse matrix ``(n_genes, n_sets)`` of ones."""
    places = torch.tensor([(gene, number) for number, genes in enumerate(members) for gene in genes]).T
    values = torch.ones(places.shape[1])
    return torch.sparse_coo_tensor(places, values, (n_genes, len(members)), check_invariants=True).coalesce()


def _hide_sets(
    x: Tensor,
    *,
    chances: Tensor,
    membership: Tensor,
    fill: str,
    rows: Tensor | None,
    per: str,
    generator: torch.Generator,
) -> Tensor:
    n_rows, n_genes = 1 if per == "batch" else x.shape[0], x.shape[1]
    drawn = torch.rand(n_rows, len(chances), generator=generator, device=x.device) < chances.to(x.device)
    of_sets, alone = drawn[:, :-n_genes], drawn[:, -n_genes:]
    times = torch.sparse.mm(membership.to(x.device), of_sets.T.float()).T
    return fill_hidden(x, alone | (times > 0), fill=fill, rows=rows, generator=generator)

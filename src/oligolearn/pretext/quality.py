"""How good an embedding may be, judged without any label."""

import torch
from torch import Tensor

N_NEIGHBOURS = 10
FITTED_RANKS = (4, 100)  # of the eigenvalues, counted from 1: as the authors of alpha-ReQ fit them
_FEWEST_FITTED = 3
_ROUNDING = 1e-12  # an eigenvalue below this share of the largest is none


def rank_me(embedding: Tensor, *, epsilon: float = 1e-7) -> float:
    """RankMe of an embedding ``(n, dim)``: the number of directions that it uses, from 0 to ``min(n, dim)``.

    ``exp(-sum p log p)`` with ``p = s / sum(s) + epsilon`` and the singular values `s` (Garrido 2023, arXiv:2210.02885,
    eq. 1); 0 for an embedding of zeros. Of encoders that were pretrained alike, those of a higher rank tend to serve
    better. Where all samples lie at one point off the origin it is 1: `effective_rank`, which centres first, is 0.

    Notes
    -----
    Differs from the paper: the embedding is the encoder's, not that of the projection head, because the encoder is
    what is kept.

    Examples
    --------
    >>> round(rank_me(torch.eye(5)), 3)
    5.0
    """
    values = torch.linalg.svdvals(embedding.double())
    total = values.sum()
    if total <= 0:
        return 0.0
    return float(torch.exp(torch.special.entr(values / total + epsilon).sum()))


def alpha_req(embedding: Tensor) -> float:
    """alpha-ReQ of an embedding ``(n, dim)``: how fast the eigenvalues of its covariance fall (Agrawal 2022).

    The exponent `a` of ``eigenvalue ~ rank ** -a``, fitted by least squares on logarithms with weights ``1 / rank``.
    Good representations lie near 1; a large exponent means that few directions carry everything, one near 0 that
    noise fills all of them. NaN where fewer than three eigenvalues differ from 0.

    Notes
    -----
    Differs from the paper: it fits "the full set"; the authors' code fits ranks 4 to 100, and so do we, or all ranks
    where fewer than three of them are there.

    Examples
    --------
    >>> axes = torch.diag(torch.arange(1.0, 9.0) ** -0.5)  # eigenvalues 1, 1/2, 1/3, ...
    >>> round(alpha_req(torch.cat([axes, -axes])), 3)
    1.0
    """
    centred = embedding.double() - embedding.double().mean(dim=0)
    eigenvalues = torch.linalg.svdvals(centred) ** 2
    eigenvalues = eigenvalues[eigenvalues > _ROUNDING * max(float(eigenvalues.max()), 1e-30)]
    first, last = FITTED_RANKS
    ranks = torch.arange(1, len(eigenvalues) + 1, dtype=torch.float64)
    if len(eigenvalues) >= first - 1 + _FEWEST_FITTED:
        ranks, eigenvalues = ranks[first - 1 : last], eigenvalues[first - 1 : last]
    if len(eigenvalues) < _FEWEST_FITTED:
        return float("nan")
    weights = 1 / ranks
    x, y = ranks.log(), eigenvalues.log()
    x = x - (weights * x).sum() / weights.sum()
    return -float((weights * x * y).sum() / (weights * x * x).sum())


def neighbour_stability(first: Tensor, second: Tensor, *, n_neighbours: int = N_NEIGHBOURS) -> float:
    """How far two embeddings of the same rows, each ``(n, dim)``, agree on who is near whom.

    The mean share of a row's nearest neighbours (Euclidean) in one that are so in the other as well, less what chance
    gives, and scaled: 1 for the same neighbours, 0 for chance. Neighbours at equal distance, as a collapsed embedding
    has them, are broken differently in the two, so they earn nothing. NaN for fewer than three rows.

    Parameters
    ----------
    first, second
        Embeddings of two views.
    n_neighbours
        Of each row; at most half of the others.
    """
    n_rows = len(first)
    if n_rows != len(second):
        raise ValueError(f"expected two embeddings of the same rows, found {n_rows} and {len(second)} rows")
    n_near = min(n_neighbours, (n_rows - 1) // 2)
    if n_near < 1:
        return float("nan")
    # the same order backwards for the second: of equal ones the first are taken here, the last there
    near = _nearest(first, n_near)
    other = n_rows - 1 - _nearest(second.flip(0), n_near).flip(0)
    shared = (near[:, :, None] == other[:, None, :]).any(dim=2).double().mean()
    chance = n_near / (n_rows - 1)
    return float((shared - chance) / (1 - chance))


def _nearest(embedding: Tensor, n_near: int) -> Tensor:
    """Numbers of the nearest rows of each, ``(n, n_near)``; of equally near ones the first."""
    x = embedding.double()
    x = x - x.mean(dim=0)
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(float("inf"))
    # distances that differ by rounding count as equal
    scale = float(x.norm(dim=1).max())
    distances = (distances / max(scale, 1e-30) * 1e9).round()
    return distances.sort(dim=1, stable=True).indices[:, :n_near]

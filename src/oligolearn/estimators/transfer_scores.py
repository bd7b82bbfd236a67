"""How good a classifier may be in a domain without labels: scores from what it predicts there and in the source."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

TEMPERATURE = 0.05  # Saito 2021, section 4
_BLOCK = 1024  # rows whose similarities to all others are held at once


def mean_entropy(probabilities: NDArray[np.floating]) -> float:
    """Mean entropy of the predictions of target rows, in nats: lower is thought to be better.

    ``-1/n sum_i sum_c p_ic log p_ic`` (Morerio 2018, arXiv:1711.10288). It is fooled by a classifier that is sure and
    wrong: one that names every row alike has an entropy of 0, and so has one whose weights are large.

    Parameters
    ----------
    probabilities
        Of target rows, ``(n, n_classes)``, rows summing to 1.

    Examples
    --------
    >>> round(mean_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])), 4)  # log(2) / 2
    0.3466
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return float(-np.mean(np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)))


def neighbourhood_density(probabilities: NDArray[np.floating], temperature: float = TEMPERATURE) -> float:
    """Soft neighbourhood density of the predictions of target rows: higher is thought to be better.

    With ``f_i`` the probabilities of row i divided by their length, ``P_ij`` the softmax over ``j != i`` of
    ``f_i . f_j / temperature``: the mean over i of ``-sum_j P_ij log P_ij`` (Saito 2021, arXiv:2108.10860, equations 2
    to 4). Its largest value, ``log(n - 1)``, is that of a classifier that names every row alike.

    Parameters
    ----------
    probabilities
        Of target rows, ``(n, n_classes)``.
    temperature
        .05 in the paper.

    Raises
    ------
    ValueError
        If there are fewer than two rows.

    Examples
    --------
    >>> two_groups = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)
    >>> round(neighbourhood_density(two_groups), 4)  # log(4)
    1.3863
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if len(p) < 2:
        raise ValueError(f"the density of neighbourhoods needs at least 2 rows, found {len(p)}")
    f = p / np.linalg.norm(p, axis=1, keepdims=True)
    total = 0.0
    for start in range(0, len(f), _BLOCK):
        similarity = f[start : start + _BLOCK] @ f.T / temperature
        here = np.arange(len(similarity))
        similarity[here, start + here] = -np.inf
        similarity -= similarity.max(axis=1, keepdims=True)
        weight = np.exp(similarity)
        size = weight.sum(axis=1)
        similarity[here, start + here] = 0.0  # its weight is 0
        total += float(np.sum(np.log(size) - (weight * similarity).sum(axis=1) / size))
    return total / len(f)


def density_ratio(
    train: NDArray[np.floating], held_out: NDArray[np.floating], target: NDArray[np.floating]
) -> NDArray[np.float64]:
    """How much more often the target has what each held-out source row is like, ``(n_held_out,)``.

    ``w(x) = n_train / n_target * P(target | x) / P(source | x)`` of a logistic regression that tells training rows of
    the source from rows of the target (Bickel 2007; You 2019, equation 5).

    Parameters
    ----------
    train, held_out, target
        Embeddings, ``(n, n_dimensions)``; they are divided by one number, so that the strength suits any embedding.
    """
    both = np.concatenate([train, target]).astype(np.float64)
    middle, spread = both.mean(axis=0), float(both.std()) or 1.0
    is_target = np.repeat([0, 1], [len(train), len(target)])
    model = LogisticRegression(max_iter=1000).fit((both - middle) / spread, is_target)
    odds = np.exp(np.minimum(model.decision_function((held_out - middle) / spread), 50.0))
    return np.asarray(odds * len(train) / len(target), dtype=np.float64)


def embedded_validation(losses: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """Deep embedded validation, an estimate of the loss in the target: lower is thought to be better.

    ``mean(w l) + eta mean(w) - eta`` with ``eta = -Cov(w l, w) / Var(w)`` (You 2019, ICML, equation 8): the mean of the
    weighted losses of held-out source rows, with a control variate, since weights are 1 on average if they are right.
    Where no source row is like those of the target a few weights decide it.

    Parameters
    ----------
    losses
        Of held-out source rows, ``(n,)``.
    weights
        `density_ratio` of the same rows.

    Examples
    --------
    >>> embedded_validation(np.array([0.0, 1.0, 1.0, 0.0]), np.ones(4))
    0.5
    """
    weights = np.asarray(weights, dtype=np.float64)
    weighted = weights * losses
    variance = float(np.var(weights))
    eta = -float(np.mean((weighted - weighted.mean()) * (weights - weights.mean()))) / variance if variance > 0 else 0.0
    return float(weighted.mean() + eta * weights.mean() - eta)

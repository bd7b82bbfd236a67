"""Maps of the samples in two dimensions, for the eye."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Split

MAX_POINTS = 1500  # more are hard to see, and slow
_DIGITS = 4


def sample_rows(split: Split) -> NDArray[np.intp]:
    """Rows to draw: the test rows and as many pretraining rows as fit, every n-th."""
    test = split.test[:: max(1, -(-2 * len(split.test) // MAX_POINTS))]
    n_others = MAX_POINTS - len(test)
    others = split.pretrain[:: max(1, -(-len(split.pretrain) // n_others))]
    return np.sort(np.concatenate([test, others]))


def map_samples(
    values: NDArray[np.floating],
    rows: NDArray[np.intp],
    held_out: NDArray[np.bool_],
    *,
    name: str,
    seed: int,
    with_tsne: bool = True,
) -> dict[str, Any]:
    """Project samples by PCA and by t-SNE (of the first 50 principal components).

    Parameters
    ----------
    values
        ``(n_samples, n_features)``.
    rows, held_out
        Number of each sample in the cohort, and whether it is a test row.
    name
        Kept with the result.
    seed
        Of the t-SNE.
    with_tsne
        False leaves it out.

    Returns
    -------
    dict
        JSON-able: ``name, rows, held_out, pca, tsne``, the coordinates ``(n_samples, 2)``; ``tsne`` is None where
        it is left out, and for fewer than 10 samples.
    """
    from sklearn.decomposition import PCA  # the start of a study need not wait for these

    n_components = min(50, *values.shape)
    components = PCA(n_components, svd_solver="full" if min(values.shape) < 500 else "randomized", random_state=seed)
    scores = components.fit_transform(values)
    tsne = None
    if with_tsne and len(values) >= 10 and n_components >= 2:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(values) - 1) / 3)
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scores)
    pca = scores[:, :2] if n_components >= 2 else np.hstack([scores, np.zeros_like(scores)])
    return {
        "name": name,
        "rows": rows.tolist(),
        "held_out": held_out.tolist(),
        "pca": np.round(pca.astype(float), _DIGITS).tolist(),
        "tsne": None if tsne is None else np.round(tsne.astype(float), _DIGITS).tolist(),
    }

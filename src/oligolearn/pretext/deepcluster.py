"""DeepCluster: predicting the cluster that a sample was given before the epoch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder, ProjectionHead
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import joined, same_rows


class DeepCluster(nn.Module):
    """Predict the k-means cluster of a sample from its views (Caron 2018, arXiv:1807.05520), in its second version.

    Before each epoch the features of all training rows are clustered by spherical k-means: `on_epoch`. Then
    ``forward(views)`` takes two or more views of the same rows, each ``(batch, n_features)``, and the numbers of these
    rows, ``(batch,)``. It returns the cross-entropy of the rows' clusters under the softmax of the cosines of each
    view's features and the centroids over `temperature`, the mean over rows and views, a scalar. An encoder that cannot
    tell samples apart has the loss ``ln(n_prototypes)``, the `plateau`.

    DeepCluster-v2 (Caron 2020, arXiv:2006.09882, appendix) takes the centroids as the layer that predicts clusters. The
    first version draws new weights for this layer after each clustering, as the numbers of clusters mean nothing, and
    has to learn it before it can teach the encoder anything: an epoch of ImageNet has thousands of steps for that, one
    of a small cohort has a few, so that the encoder would follow the gradients of a random layer all the time.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    n_rows
        Number of training rows.
    n_prototypes
        Number of clusters, no more than rows.
    temperature
        Divides the cosines.
    projection
        Hidden units and outputs of the projection head.
    iterations
        Of k-means.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the paper (v2): one clustering instead of three; features of the rows themselves in evaluation mode, as
    in v1, instead of those of one view that the last epoch left; a cluster without rows takes the row that is farthest
    from its centroid in the largest cluster, as v1 splits clusters, where v2 leaves it empty. No PCA, and no sampling
    uniform over clusters (v1). Before the first `on_epoch` rows have the clusters 0, 1, 2, ... in turn.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> x = torch.randn(32, 20)
    >>> objective = DeepCluster(MLP(20, (16, 8)), n_rows=32, n_prototypes=4)
    >>> objective.on_epoch(objective.encoder(x).detach())
    >>> objective((x, x, torch.arange(32))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = True
    per_replica = ("temperature",)
    assigned: Tensor
    prototypes: Tensor
    clusterings: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        n_rows: int,
        n_prototypes: int = 50,
        temperature: float = 0.1,
        projection: tuple[int, int] = (128, 128),
        iterations: int = 10,
    ) -> None:
        super().__init__()
        if not 2 <= n_prototypes <= n_rows:
            raise ValueError(f"n_prototypes must lie between 2 and the number of rows, {n_rows}, found {n_prototypes}")
        if not temperature > 0 or iterations < 1:
            raise ValueError(
                f"temperature must be positive and iterations at least 1, found {temperature} and {iterations}"
            )
        self.encoder = encoder
        self.head = ProjectionHead(encoder.out_dim, *projection)
        self.temperature = temperature
        self.iterations = iterations
        self.plateau = math.log(n_prototypes)
        # of a fixed shape and changed in place, so that they survive saving and stack over replicas
        self.register_buffer("assigned", torch.arange(n_rows) % n_prototypes)
        directions = nn.Linear(projection[1], n_prototypes, bias=False).weight.detach()
        self.register_buffer("prototypes", F.normalize(directions, dim=1))
        self.register_buffer("clusterings", torch.zeros((), dtype=torch.long))

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen: a cluster for four rows, up to 50.

        Raises
        ------
        ValueError
            If there are more clusters than rows.
        """
        suggested = {"n_prototypes": max(2, min(50, n_rows // 4)), **chosen, "n_rows": n_rows}
        if suggested["n_prototypes"] > n_rows:
            raise ValueError(
                f"n_prototypes must be at most the number of training rows, {n_rows}, found "
                f"{suggested['n_prototypes']}; ask for fewer"
            )
        return suggested

    @torch.no_grad()
    def on_epoch(self, features: Tensor) -> None:
        """Cluster all rows anew by what the encoder gives for them in evaluation mode, ``(n_rows, out_dim)``."""
        if len(features) != len(self.assigned):
            raise ValueError(f"expected the features of all {len(self.assigned)} rows, found {len(features)}")
        training = self.head.training
        z = F.normalize(at_least_float32(self.head.eval()(features.to(self.prototypes))), dim=1)
        self.head.train(training)
        # another start in each epoch, as the authors have it, but the same in each run
        start = torch.Generator().manual_seed(int(self.clusterings))
        first = torch.randperm(len(z), generator=start)[: len(self.prototypes)].to(z.device)
        assigned, centroids = spherical_k_means(z, z[first], iterations=self.iterations)
        self.assigned.copy_(assigned)
        self.prototypes.copy_(centroids)
        self.clusterings.add_(1)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of the clusters of the rows whose numbers are the last element of `views`."""
        rows = views[-1]
        views = same_rows(views[:-1], n_views=None)
        z = F.normalize(self.head(self.encoder(joined(views))), dim=1)
        scores = at_least_float32(z @ self.prototypes.to(z.dtype).T) / self.temperature
        labels = self.assigned[rows].repeat(len(views))
        return -F.log_softmax(scores, dim=1).gather(1, labels[:, None]).mean()


def spherical_k_means(z: Tensor, centroids: Tensor, *, iterations: int) -> tuple[Tensor, Tensor]:
    """Cluster unit vectors by their cosines, so that no cluster is empty.

    Parameters
    ----------
    z
        Unit vectors, ``(n_rows, dim)``.
    centroids
        To start from, ``(n_clusters, dim)``, no more than rows.
    iterations
        Rounds of assigning rows and moving centroids; fewer where nothing changes any more.

    Returns
    -------
    assigned
        Cluster of each row, ``(n_rows,)``.
    centroids
        Normalised means of the rows of each cluster, ``(n_clusters, dim)``.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    >>> spherical_k_means(z, z[:2], iterations=5)[0]
    tensor([0, 1, 1, 1])
    """
    before = None
    # of equal centroids, as equal rows give, the first takes all rows: rounding decides nothing
    handicap = 1e-6 * torch.arange(len(centroids), device=z.device, dtype=z.dtype)
    for _ in range(iterations):
        cosines = z @ centroids.T - handicap
        assigned = _fill_empty(cosines.argmax(dim=1), cosines, z)
        members = F.one_hot(assigned, len(centroids)).to(z.dtype)  # a product: a GPU adds up in any order otherwise
        centroids = F.normalize(members.T @ z, dim=1)
        if before is not None and torch.equal(assigned, before):
            break
        before = assigned
    return assigned, centroids


def _fill_empty(assigned: Tensor, cosines: Tensor, z: Tensor) -> Tensor:
    """Give each empty cluster the row of the largest cluster that is farthest from its centroid.

    Rows near one that was given away do not count as far: their centroid is on its way.
    """
    sizes = torch.bincount(assigned, minlength=cosines.shape[1])
    own = cosines.gather(1, assigned[:, None])[:, 0]
    for empty in (sizes == 0).nonzero()[:, 0]:
        largest = sizes.argmax()
        row = torch.where(assigned == largest, own, math.inf).argmin()
        assigned[row] = empty
        own = torch.maximum(own, z @ z[row])
        sizes[largest] -= 1
        sizes[empty] += 1
    return assigned

"""How do I use my own network as the encoder?

Any `nn.Module` will do that takes the number of genes, maps ``(batch, n_genes)`` to ``(batch, out_dim)``, and has
`out_dim` and `blocks`, its parts from input to output, for transferring and freezing.
"""

import numpy as np
from torch import Tensor, nn

import oligolearn
from oligolearn import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.data import normalize
from oligolearn.data.simulate import ClassEffect


class Residual(nn.Module):
    """A linear layer, then one that adds to what it is given."""

    def __init__(self, n_features: int, out_dim: int = 64) -> None:
        super().__init__()
        self.out_dim = out_dim
        first = nn.Sequential(nn.Linear(n_features, out_dim), nn.BatchNorm1d(out_dim), nn.ReLU())
        self.blocks = nn.ModuleList([first, nn.Linear(out_dim, out_dim)])

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        h = self.blocks[0](x)
        return h + self.blocks[1](h)


cohort = oligolearn.simulate_cohort(300, 400, classes=ClassEffect(log2_fold_change=1.5), seed=1)
X, y = normalize(cohort.X, "counts").X, cohort.obs["label"].astype(object).to_numpy()
shown, test = y.copy(), np.arange(200, 300)
shown[40:] = None  # 40 labels; the test samples pretrain neither
encoder = SelfSupervisedEncoder(encoder=Residual, view="masking", view_strength=0.4, epochs=60, random_state=0)
encoder.fit(X[:200])
model = FineTunedClassifier(pretrained=encoder, frozen_layers=1, random_state=0).fit(X[:200], shown[:200])
print(f"embedding: {encoder.transform(X[test]).shape[1]} numbers for each sample")
print(f"accuracy on new samples with 40 labels: {model.score(X[test], y[test]):.2f}")

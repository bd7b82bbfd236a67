"""CUDA against the CPU, in 32 bits: the same trainings."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from oligolearn import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.estimators import Share, fit_together
from oligolearn.nn import MLP, ClassificationLoss, Classifier
from oligolearn.training import History, Runtime, Schedule, fit, fit_replicas

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
N_ROWS, N_GENES, SCHEDULE = 60, 40, Schedule(30, 16, 1e-3)
X = torch.randn(N_ROWS, N_GENES, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


@pytest.fixture(autouse=True)
def _full_precision() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False


def modules(n: int, device: str) -> list[ClassificationLoss]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [ClassificationLoss(Classifier(MLP(N_GENES, (32, 16)), 2)) for _ in range(n)]
    return [module.to(device) for module in made]


def orders(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(n)]


def assert_close(one: torch.nn.Module, other: torch.nn.Module, atol: float) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value.cpu(), other.state_dict()[name].cpu(), atol=atol, rtol=0, check_dtype=False)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_one_model(precision: str) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        (module,) = modules(1, device)
        x, y = X.to(device), Y.to(device)
        fit(
            module,
            lambda rows, x=x, y=y: (x[rows.to(x.device)], y[rows.to(x.device)]),
            N_ROWS,
            SCHEDULE,
            generator=orders(1)[0],
            runtime=Runtime(precision),
        )
        found[device] = module
    assert_close(found["cuda"], found["cpu"], 1e-3 if precision == "32" else 2e-2)


def test_replicas() -> None:
    found = {}
    for device in ("cpu", "cuda"):
        group, x, y = modules(4, device), X.to(device), Y.to(device)

        def make_batch(rows: Tensor, _: Sequence[int], x: Tensor = x, y: Tensor = y) -> tuple[Tensor, Tensor]:
            return x[rows.to(x.device)], y[rows.to(x.device)]

        result = fit_replicas(group, make_batch, N_ROWS, SCHEDULE, generators=orders(4), stacked=True)
        assert all(isinstance(one, History) for one in result.results)
        found[device] = group
    for one, other in zip(found["cuda"], found["cpu"], strict=True):
        assert_close(one, other, 1e-3)


def test_classifiers_fitted_together() -> None:
    values, y = X.numpy(), Y.numpy().astype(float)
    probabilities = []
    for device in ("cpu", "cuda"):
        models = [
            FineTunedClassifier(
                encoder_options={"hidden": (16, 8)}, epochs=5, random_state=i, device=device, precision="32"
            )
            for i in range(3)
        ]
        fitted = fit_together(models, values, [Share(np.arange(N_ROWS), y)] * 3)
        assert fitted.how == ["stacked"] * 3
        probabilities.append(np.stack([model.predict_proba(values) for model in fitted.models]))
    np.testing.assert_allclose(*probabilities, atol=5e-3)


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
def test_pretraining_runs_on_the_device_and_reads_back_on_the_cpu() -> None:
    """Views are drawn on the device, so the numbers differ from the CPU's; what must hold is that it learns."""
    encoder = SelfSupervisedEncoder(epochs=20, encoder_options={"hidden": (16, 8)}, random_state=0, device="cuda")
    embedding = encoder.fit_transform(X.numpy())
    assert encoder.history_.losses[-1] < encoder.history_.losses[0]
    assert np.isfinite(embedding).all()
    assert next(encoder.encoder_.parameters()).is_cuda

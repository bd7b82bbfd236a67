"""Many small trainings: replicas against the loop that one would write in plain PyTorch.

The plain loop trains one model at a time: `DataLoader`, eager Adam, 32 bits, torch's own number of threads. Both train
the same network on the same rows for as many steps; times are per model and step, test accuracies are means.
``--check`` exits with 1 where a goal is missed or the accuracies differ by more than 2 points.
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass

import torch
from machine import describe_machine, simulated_classes
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from oligolearn.nn import MLP, ClassificationLoss, Classifier
from oligolearn.training import History, Runtime, Schedule, fit_replicas

N_CLASSES, N_TRAIN, N_TEST, RATE = 10, 640, 1000, 1e-3


@dataclass(frozen=True)
class Case:
    """A network over `n_genes`, trained `n_replicas` times; the goal is the ratio of times."""

    n_genes: int
    n_replicas: int
    batch_size: int
    steps: int
    n_plain: int
    goal: float


CPU_CASES = (
    Case(383, 50, 22, 300, 4, 3.0),
    Case(383, 50, 64, 300, 4, 3.0),
    Case(20_242, 8, 64, 60, 2, 2.5),
    Case(20_242, 8, 256, 40, 2, 2.5),
)
GPU_CASES = (Case(383, 50, 64, 300, 4, 50.0), Case(57_387, 16, 256, 100, 2, 3.0))


def networks(case: Case, n: int, device: str) -> list[ClassificationLoss]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [ClassificationLoss(Classifier(MLP(case.n_genes), N_CLASSES)).to(device) for _ in range(n)]


def plain(case: Case, x: Tensor, y: Tensor, rows: list[Tensor], device: str) -> tuple[float, list[nn.Module]]:
    """Milliseconds per model and step, and the trained models."""
    spent, models = 0.0, networks(case, case.n_plain, device)
    for model, mine in zip(models, rows, strict=False):
        loader = DataLoader(TensorDataset(x[mine], y[mine]), batch_size=case.batch_size, shuffle=True, drop_last=True)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        step = -3  # the first ones warm up
        while step < case.steps:
            for batch, target in loader:
                if step == 0:
                    _wait(device)
                    started = time.perf_counter()
                optimizer.zero_grad()
                loss = model((batch.to(device), target.to(device)))
                loss.backward()
                optimizer.step()
                step += 1
                if step == case.steps:
                    break
        _wait(device)
        spent += time.perf_counter() - started
    return 1e3 * spent / case.n_plain / case.steps, list(models)


def ours(case: Case, x: Tensor, y: Tensor, rows: list[Tensor], device: str) -> tuple[float, list[nn.Module], str]:
    """Milliseconds per model and step, the trained models, and how they were trained."""
    models, places = networks(case, case.n_replicas, device), torch.stack(rows)
    held, target = x.to(device), y.to(device)

    def make_batch(numbers: Tensor, replicas: range) -> tuple[Tensor, Tensor]:
        chosen = places[list(replicas)].gather(1, numbers).to(device)
        return held[chosen], target[chosen]

    def train(which: list[ClassificationLoss], steps: int) -> str:
        found = fit_replicas(
            which,
            make_batch,
            N_TRAIN,
            Schedule(steps, case.batch_size, RATE, clip_norm=math.inf),  # the plain loop does not clip
            generators=[torch.Generator().manual_seed(i) for i in range(len(which))],
            runtime=Runtime("auto"),
        )
        assert all(isinstance(result, History) for result in found.results)
        return found.how

    train(networks(case, min(4, case.n_replicas), device), 3)
    _wait(device)
    started = time.perf_counter()
    how = train(models, case.steps)
    _wait(device)
    return 1e3 * (time.perf_counter() - started) / case.n_replicas / case.steps, list(models), how


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def accuracy(models: list[nn.Module], x: Tensor, y: Tensor, device: str) -> float:
    found = [model.eval().model(x.to(device)).argmax(dim=1).cpu() == y for model in models]
    return float(torch.stack(found).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, help="fewer steps, to try the script")
    arguments = parser.parse_args()
    device, missed = arguments.device, False
    print(f"{describe_machine(device)}; plain loop on {torch.get_num_threads()} threads")
    print("genes   replicas batch | plain ms  ours ms  ratio  goal | accuracy plain, ours | how")
    for case in GPU_CASES if device == "cuda" else CPU_CASES:
        if arguments.steps:
            case = Case(**{**vars(case), "steps": arguments.steps})  # noqa: PLW2901
        X, labels = simulated_classes(N_TRAIN * 2 + N_TEST, case.n_genes, N_CLASSES)
        x, y = torch.from_numpy(X), torch.from_numpy(labels)
        draw = torch.Generator().manual_seed(1)
        rows = [torch.randperm(2 * N_TRAIN, generator=draw)[:N_TRAIN] for _ in range(case.n_replicas)]
        theirs, plain_models = plain(case, x, y, rows, device)
        mine, our_models, how = ours(case, x, y, rows, device)
        again, _ = plain(case, x, y, rows, device)  # the machine may have changed its pace
        theirs = (theirs + again) / 2
        scores = [accuracy(models, x[-N_TEST:], y[-N_TEST:], device) for models in (plain_models, our_models)]
        ratio = theirs / mine
        print(
            f"{case.n_genes:6,} {case.n_replicas:9} {case.batch_size:5} | {theirs:8.2f} {mine:8.2f} {ratio:6.2f} "
            f"{case.goal:5.1f} | {scores[0]:.3f}, {scores[1]:.3f} | {how}",
            flush=True,
        )
        missed |= ratio < case.goal or abs(scores[0] - scores[1]) > 0.02
    if arguments.check and missed:
        sys.exit("a goal was missed")


if __name__ == "__main__":
    main()

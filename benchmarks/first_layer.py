"""The wide first layer: how much of what the machine can do a training step gets.

The roofline of a step over 20,242 genes is the time of the first layer's two products at the rate of a large square
product, plus the time to move the optimizer's 28 bytes per weight (weight and both moments read and written, gradient
read) at the rate of a large copy. ``--check`` exits with 1 below 70 % of it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from machine import describe_machine, simulated_classes
from torch.profiler import ProfilerActivity, profile

from oligolearn.nn import MLP, ClassificationLoss, Classifier
from oligolearn.training import Runtime, Schedule, fit
from oligolearn.training.products import resolve_precision

N_GENES, N_HIDDEN, BATCH, N_ROWS, GOAL = 20_242, 512, 256, 1024, 0.7
GROUPS = {
    "products": ("aten::mm", "aten::bmm", "aten::addmm", "mkldnn", "gemm"),
    "optimizer": ("fused_adam",),
    "rows of the batch": ("aten::index",),
    "conversions, copies": ("aten::copy_",),
    "clipping": ("vector_norm", "aten::mul_"),
}


def seconds(call: Callable[[], object], device: str, repeats: int = 15) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return sorted(times[2:])[repeats // 2]


def rates(precision: str, device: str) -> tuple[float, float]:
    """FLOP/s of a large product, bytes/s of a large copy."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    size = 4096 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device).to(dtype)
    product = seconds(lambda: a @ a, device, repeats=7)
    source = torch.randn(50_000_000, device=device)
    target = torch.empty_like(source)
    copy = seconds(lambda: target.copy_(source), device)
    return 2 * size**3 / product, 2 * source.nbytes / copy


def step_seconds(precision: str, device: str, *, profiled: bool = False) -> tuple[float, dict[str, float]]:
    """Median time of a step, and the share of the processor's time by kind of work."""
    X, labels = simulated_classes(N_ROWS, N_GENES, 10)
    x, y = torch.from_numpy(X).to(device), torch.from_numpy(labels).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = ClassificationLoss(Classifier(MLP(N_GENES), 10)).to(device)
    times: list[float] = []

    def make_batch(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        return x[rows.to(device)], y[rows.to(device)]

    def train() -> None:
        order = torch.Generator().manual_seed(0)
        fit(module, make_batch, N_ROWS, Schedule(30, BATCH, 1e-3), generator=order, runtime=Runtime(precision))

    shares: dict[str, float] = {}
    if profiled:
        with profile(activities=[ProfilerActivity.CPU]) as found:
            train()
        total = sum(event.self_cpu_time_total for event in found.key_averages())
        for event in found.key_averages():
            kind = next((k for k, names in GROUPS.items() if any(n in event.key for n in names)), "rest")
            shares[kind] = shares.get(kind, 0.0) + event.self_cpu_time_total / total
    else:
        train()
    steps = sorted(b - a for a, b in pairwise(times[3:]))
    return steps[len(steps) // 2], shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 below 70 %% of the roofline")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    arguments = parser.parse_args()
    device, reached = arguments.device, 0.0
    best = resolve_precision("auto", torch.device(device))
    print(f"{describe_machine(device)}; {N_GENES:,} genes, {N_HIDDEN} units, batch {BATCH}")
    for precision in dict.fromkeys(("32", best)):
        flops, bandwidth = rates(precision, device)
        weights = N_GENES * N_HIDDEN
        products, optimizer = 4 * BATCH * weights / flops, 28 * weights / bandwidth
        measured, _ = step_seconds(precision, device)
        reached = (products + optimizer) / measured
        print(
            f"precision {precision}: product {flops / 1e9:,.0f} GFLOP/s, copy {bandwidth / 1e9:.1f} GB/s; roofline "
            f"{1e3 * products:.1f} + {1e3 * optimizer:.1f} ms; step {1e3 * measured:.1f} ms: {reached:.0%} of it"
        )
        _, shares = step_seconds(precision, device, profiled=True)
        print("  " + ", ".join(f"{kind} {share:.0%}" for kind, share in sorted(shares.items(), key=lambda s: -s[1])))
    if arguments.check and reached < GOAL:
        sys.exit(f"the goal, {GOAL:.0%} of the roofline, was missed")


if __name__ == "__main__":
    main()

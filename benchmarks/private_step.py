"""What privacy costs: time of one private discriminator step against an ordinary one and against Opacus.

    python benchmarks/private_step.py [--quick] [--threads 1] [--out benchmarks/out/private_step.json]

All ways of one row take turns in one process, on the same network and the same random batch; the table shows
medians in milliseconds and, in brackets, how many times the ordinary step that is. `gain` is the time of Opacus'
ghost mode over that of wardgan. With one thread the time is CPU time of that thread, which other programs on the
machine disturb least; with more it is time on the clock. The noise of wardgan is the secret one, four draws
combined; that of the others is torch's, which is not cryptographic.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from common import markdown, save
from wardgan.privacy.clip import PatientGradients, PrivateStep, private_gradient
from wardgan.rng import Seed

Step = Callable[[], object]

# Opacus' hooks write down batch x parameters numbers; beyond this many (1.6 GB) they are left out.
MOST_HOOKED = 400_000_000


@dataclass(frozen=True)
class Row:
    """One line of the table: a network and a batch size."""

    name: str
    batch: int
    repeats: int

    def network(self) -> tuple[nn.Module, tuple[int, ...], int]:
        """Gives the network, the shape of one record and the number of outputs."""
        if self.name.startswith("conv"):
            return convolutions(), (1, 28, 28), 1
        widths = [int(width) for width in self.name.split("-")]
        return perceptron(widths), (widths[0],), widths[-1]


ROWS = (
    Row("36-256-256-3", 64, 200),
    Row("36-256-256-3", 256, 100),
    Row("36-256-256-3", 1024, 40),
    Row("38-128-128-1", 1024, 100),
    Row("36-1024-1024-3", 256, 20),
    Row("36-1024-1024-3", 1024, 10),
    Row("conv 28x28 32-64-128", 64, 20),
    Row("conv 28x28 32-64-128", 256, 10),
)


def perceptron(widths: list[int]) -> nn.Module:
    """Gives linear layers with leaky rectifiers between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def convolutions() -> nn.Module:
    """Gives a discriminator of 28 x 28 images: three convolutions of stride 2."""
    channels = [1, 32, 64, 128]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 1))


def losses(out: Tensor, target: Tensor) -> Tensor:
    """Gives one loss for each record: cross-entropy of classes, or of real against fake."""
    if out.shape[1] > 1:
        return functional.cross_entropy(out, target, reduction="none")
    return functional.binary_cross_entropy_with_logits(out[:, 0], target.to(out.dtype), reduction="none")


class MeanLoss(nn.Module):
    """The mean of `losses`, in the form that Opacus' ghost mode asks for."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Gives the mean, or each loss when Opacus switches the reduction off."""
        each = losses(out, target)
        return each.mean() if self.reduction == "mean" else each


def plain(module: nn.Module, x: Tensor, target: Tensor, *, noise: bool) -> Step:
    """Gives an ordinary SGD step, with torch's noise on the gradient if wanted."""
    optimiser = torch.optim.SGD(module.parameters(), 1e-3)

    def step() -> None:
        optimiser.zero_grad()
        losses(module(x), target).mean().backward()
        if noise:
            for parameter in module.parameters():
                if parameter.grad is not None:
                    parameter.grad += torch.randn_like(parameter) / len(x)
        optimiser.step()

    return step


def ours(module: nn.Module, x: Tensor, target: Tensor, *, noise: bool) -> Step:
    """Gives a private step of wardgan, without its noise if wanted (to see what the noise costs)."""
    optimiser = torch.optim.SGD(module.parameters(), 1e-3)
    gradients = PatientGradients(module, PrivateStep(clip_norm=1.0, noise_multiplier=1.0, expected_batch=len(x)))
    mask, weights = torch.ones(len(x), dtype=torch.bool), torch.full((len(x),), 1 / len(x), dtype=torch.float64)
    seed = Seed.secret()

    def losses_of(records: Tensor) -> Tensor:
        return losses(module(records), target)

    def step() -> None:
        if noise:
            private_gradient(gradients, losses_of, x, mask=mask, seed=seed, step=0)
        else:
            for parameter, gradient in zip(
                gradients.parameters, gradients.clipped_sum(losses_of, x, weights=weights), strict=True
            ):
                parameter.grad = gradient
        optimiser.step()

    return step


def opacus(module: nn.Module, x: Tensor, target: Tensor, *, mode: str) -> Step:
    """Gives a private step of Opacus: `ghost` (two passes) or `hooks` (all gradients written down)."""
    from opacus import PrivacyEngine

    optimiser = torch.optim.SGD(module.parameters(), 1e-3)
    made = PrivacyEngine().make_private(
        module=module, optimizer=optimiser, criterion=MeanLoss(),
        data_loader=DataLoader(TensorDataset(x, target), batch_size=len(x)),
        noise_multiplier=1.0, max_grad_norm=1.0, poisson_sampling=False, grad_sample_mode=mode,
    )  # fmt: skip
    module, optimiser, criterion = made[0], made[1], made[2] if mode == "ghost" else MeanLoss()

    def step() -> None:
        optimiser.zero_grad()
        criterion(module(x), target).backward()
        optimiser.step()

    return step


def ways(row: Row) -> dict[str, Step]:
    """Gives the steps to compare, each with its own copy of the network."""
    module, shape, outputs = row.network()
    generator = Seed(1).stream("batch", row.batch)
    x = torch.from_numpy(generator.standard_normal((row.batch, *shape)).astype(np.float32))
    target = torch.from_numpy(generator.integers(0, max(outputs, 2), row.batch))
    twins = iter(copy.deepcopy(module) for _ in range(6))
    found = {
        "sgd": plain(next(twins), x, target, noise=False),
        "sgd + torch noise": plain(next(twins), x, target, noise=True),
        "wardgan, no noise": ours(next(twins), x, target, noise=False),
        "wardgan": ours(next(twins), x, target, noise=True),
        "opacus ghost": opacus(next(twins), x, target, mode="ghost"),
    }
    if row.batch * parameters(row) <= MOST_HOOKED:
        found["opacus hooks"] = opacus(next(twins), x, target, mode="hooks")
    return found


def parameters(row: Row) -> int:
    """Gives the number of parameters of a row's network."""
    return sum(parameter.numel() for parameter in row.network()[0].parameters())


def measured(row: Row, clock: Callable[[], float], *, quick: bool) -> dict[str, float]:
    """Gives the median milliseconds of each way; the ways take turns."""
    steps = ways(row)
    repeats = 3 if quick else row.repeats
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 2):
        for name, step in steps.items():
            if name == "opacus hooks" and turn % 5 > 2 and not quick:
                continue  # it is slow, and its ratio is not in doubt
            start = clock()
            step()
            if turn >= 2:
                times[name].append(1000 * (clock() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measures, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="three repeats of each step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="Full backward hook", category=UserWarning)
    warnings.filterwarnings("ignore", message="Secure RNG turned off", category=UserWarning)
    torch.set_num_threads(given.threads)
    clock = time.thread_time if given.threads == 1 else time.perf_counter
    rows: list[dict[str, object]] = []
    medians: list[dict[str, object]] = []
    for row in ROWS:
        found = measured(row, clock, quick=given.quick)
        medians.append({"network": row.name, "batch": row.batch, "repeats": 3 if given.quick else row.repeats, **found})
        times = {name: f"{value:.2f} ({value / found['sgd']:.2f})" for name, value in found.items()}
        ghost = round(found["opacus ghost"] / found["wardgan"], 2)
        rows.append({"network": row.name, "batch": row.batch, "parameters": parameters(row), **times, "gain": ghost})
        print(f"{row.name}, batch {row.batch}: {times}", flush=True)
    facts = {"threads": given.threads, "clock": clock.__name__, "load": os.getloadavg(), "opacus": version("opacus")}
    print(markdown(rows))
    print(f"written to {save('private_step', rows, given.out, milliseconds=medians, **facts)}")


if __name__ == "__main__":
    main()

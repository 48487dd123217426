"""The one-pass private gradient against its slow, obvious twin, and against Opacus."""

from __future__ import annotations

import copy
import importlib
import warnings

import pytest
import torch
from torch import Tensor, nn

from wardgan.privacy.clip import PatientGradients, PrivateStep
from wardgan.rng import Seed


class Residual(nn.Module):
    """A module of one's own: two layers whose derivatives are the same tensor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left = nn.Linear(width, width)
        self.right = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.left(x) + self.right(torch.tanh(x))


def conv1d(length: int, bias: bool, **how: int) -> tuple[nn.Module, tuple[int, ...]]:
    first = nn.Conv1d(2, 4, 3, bias=bias, **how)
    hidden = first(torch.zeros(1, 2, length)).shape[2]
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(4 * hidden, 1, bias=bias)), (2, length)


def conv2d(side: int, bias: bool, channels: int = 3, **how: object) -> tuple[nn.Module, tuple[int, ...]]:
    first = nn.Conv2d(2, channels, (3, 2), bias=bias, **how)
    rows, columns = first(torch.zeros(1, 2, side, side)).shape[2:]
    return nn.Sequential(first, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(channels * rows * columns, 1, bias=bias)), (
        2,
        side,
        side,
    )


NETWORKS = {
    "linear": lambda bias: (nn.Sequential(nn.Linear(5, 4, bias=bias), nn.ELU(), nn.Linear(4, 1, bias=bias)), (5,)),
    "linear, few positions": lambda bias: (
        nn.Sequential(nn.Linear(16, 24, bias=bias), nn.Tanh(), nn.Flatten(), nn.Linear(48, 1, bias=bias)),
        (2, 16),
    ),
    "linear, many positions": lambda bias: (
        nn.Sequential(nn.Linear(4, 3, bias=bias), nn.Tanh(), nn.Flatten(), nn.Linear(27, 1, bias=bias)),
        (9, 4),
    ),
    "linear, positions on two axes": lambda bias: (
        nn.Sequential(nn.Linear(4, 3, bias=bias), nn.Flatten(), nn.Linear(36, 1, bias=bias)),
        (3, 4, 4),
    ),
    "residual": lambda bias: (nn.Sequential(Residual(4), nn.Linear(4, 1, bias=bias)), (4,)),
    "conv1d": lambda bias: conv1d(8, bias),
    "conv1d, padded and strided": lambda bias: conv1d(9, bias, stride=2, padding=1),
    "conv1d, dilated": lambda bias: conv1d(9, bias, dilation=3, stride=2, padding=3),
    "conv2d": lambda bias: conv2d(5, bias),
    "conv2d, padded and strided": lambda bias: conv2d(6, bias, stride=(2, 1), padding=(1, 2)),
    "conv2d, dilated": lambda bias: conv2d(7, bias, dilation=(2, 3), stride=2),
    "conv2d, one position": lambda bias: conv2d(3, bias, channels=40, stride=2),
    "conv2d, wide": lambda bias: (
        nn.Sequential(
            nn.Conv2d(2, 16, 3, 2, 1, bias=bias),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 3, 2, 1, bias=bias),
            nn.Flatten(),
            nn.Linear(128, 1, bias=bias),
        ),
        (2, 8, 8),
    ),
}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(Seed(seed).stream("numbers").standard_normal(shape))


def network(name: str, *, bias: bool = True, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, tuple[int, ...]]:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(3)
        module, shape = NETWORKS[name](bias)
    return module.to(dtype), shape


def plain_losses_of(module: nn.Module):
    return lambda records: 3 * module(records)[:, 0].square()


def one_by_one(module: nn.Module, records: Tensor, weights: Tensor, patients: Tensor, clip: float) -> list[Tensor]:
    """Clips and sums the gradient of each patient, one after the other, as the definition says."""
    parameters = list(module.parameters())
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for patient, weight in enumerate(weights):
        theirs = records[patients == patient]
        if not len(theirs):
            continue
        gradient = torch.autograd.grad(plain_losses_of(module)(theirs).sum(), parameters)
        length = torch.sqrt(sum(part.square().sum() for part in gradient))
        factor = weight * min(1.0, clip / float(length)) if length else weight
        total = [old + factor * part for old, part in zip(total, gradient, strict=True)]
    return total


def distance(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Gives the length of the difference over the length of what it should be."""
    flat_ours, flat_theirs = (torch.cat([part.flatten().double() for part in side]) for side in (ours, theirs))
    return float((flat_ours - flat_theirs).norm() / flat_theirs.norm().clamp(min=1e-12))


@pytest.mark.parametrize("records", [0, 1, 7])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_a_loop_over_records(name, bias, records):
    module, shape = network(name, bias=bias)
    x = numbers(records, *shape)
    weights = torch.arange(records, dtype=torch.float64) % 3 / 5  # some are 0
    gradients = PatientGradients(module, PrivateStep(0.7, 1.0, 1.0))
    ours = gradients.clipped_sum(plain_losses_of(module), x, weights=weights)
    theirs = one_by_one(module, x, weights, torch.arange(records), 0.7)
    assert [part.shape for part in ours] == [parameter.shape for parameter in module.parameters()]
    assert distance(ours, theirs) < 1e-10


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_sums_the_records_of_a_patient_before_the_clip(name, bias):
    module, shape = network(name, bias=bias)
    x = numbers(7, *shape)
    patients = torch.tensor([2, 0, 2, 4, 0, 2, 3])  # patient 1 has no record
    weights = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.25], dtype=torch.float64)
    gradients = PatientGradients(module, PrivateStep(0.7, 1.0, 1.0))
    ours = gradients.clipped_sum(plain_losses_of(module), x, weights=weights, patients=patients)
    assert distance(ours, one_by_one(module, x, weights, patients, 0.7)) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
def test_single_precision_is_within_its_rounding(name):
    module, shape = network(name)
    x, weights = numbers(7, *shape), torch.ones(7, dtype=torch.float64)
    theirs = one_by_one(module, x, weights, torch.arange(7), 0.7)
    single = copy.deepcopy(module).float()
    gradients = PatientGradients(single, PrivateStep(0.7, 1.0, 1.0))
    ours = gradients.clipped_sum(plain_losses_of(single), x.float(), weights=weights.float())
    assert all(part.dtype == torch.float32 for part in ours)
    assert distance(ours, theirs) < 1e-5


def opacus_norms(module: nn.Module, records: Tensor) -> Tensor:
    """Gives the length of each record's gradient as Opacus sees it."""
    with warnings.catch_warnings():
        # Opacus warns about its own imports and about hooks; none of it concerns the lengths.
        warnings.simplefilter("ignore")
        opacus = importlib.import_module("opacus.grad_sample")
        wrapped = opacus.GradSampleModule(copy.deepcopy(module), loss_reduction="sum")
        plain_losses_of(wrapped)(records).sum().backward()
        squares = [parameter.grad_sample.flatten(1).square().sum(1) for parameter in wrapped.parameters()]
    return torch.stack(squares).sum(0).sqrt()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "residual"])
def test_lengths_agree_with_opacus(name, bias, monkeypatch):
    pytest.importorskip("opacus")
    module, shape = network(name, bias=bias)
    x = numbers(5, *shape)
    seen: list[Tensor] = []

    def spy(squared_norms: Tensor, clip_norm: float) -> Tensor:
        seen.append(squared_norms.sqrt())
        return torch.ones_like(squared_norms)

    monkeypatch.setattr("wardgan.privacy.clip.clip_factors", spy)
    PatientGradients(module, PrivateStep(1.0, 1.0, 1.0)).clipped_sum(
        plain_losses_of(module), x, weights=torch.ones(5, dtype=torch.float64)
    )
    assert torch.allclose(seen[0], opacus_norms(module, x).double(), rtol=1e-8)

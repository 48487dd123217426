"""Small networks, numbers and losses for the tests of the private gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wardgan.privacy.clip import PrivateStep
from wardgan.rng import Seed

RULE = PrivateStep(clip_norm=1.0, noise_multiplier=2.0, expected_batch=8.0)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(Seed(seed).stream("numbers").standard_normal(shape).astype(np.float32))


def filled(module: nn.Module, seed: int = 1) -> nn.Module:
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=100 * seed + number) / math.sqrt(parameter[0].numel()))
    return module


def critic() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)))


def image_critic() -> nn.Module:
    # The second convolution has few positions, so that its lengths come from the Gram matrices.
    return filled(
        nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.Flatten(),
            nn.Linear(64, 1),
        )
    )


def losses_of(module: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda records: functional.softplus(module(records)[:, 0])

"""The discriminator of tabgan."""

from __future__ import annotations

from torch import nn


def discriminator(features: int, width: int) -> nn.Sequential:
    """Gives the discriminator: two hidden layers, no normalisation, one output."""
    return nn.Sequential(
        nn.Linear(features, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, 1),
    )

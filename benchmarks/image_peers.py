"""Baselines of the images benchmark, written for it from the papers: a DCGAN, and a generator of noisy mean features.

They are what a reader knows from elsewhere, not what their authors would make of them with weeks of tuning.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from wardgan.evaluate.images import ImageSet
from wardgan.models.weights import weights_state
from wardgan.privacy.accountant import gaussian_mu
from wardgan.rng import Seed

LATENT = 64


@dataclass(frozen=True)
class Made:
    """What a baseline made.

    Attributes:
        images: Synthetic images.
        parameters: Number of the generator's weights.
        seconds: Of the processor, for the training.
    """

    images: ImageSet
    parameters: int
    seconds: float


def _channels(side: int, width: int) -> tuple[int, list[int]]:
    """Gives the smallest side, which is halved while it is whole and above 8, and the channels at each size from it."""
    small, stages = side, 0
    while small > 8 and small % 2 == 0:
        small, stages = small // 2, stages + 1
    return small, [width * min(2**stage, 4) for stage in range(stages)][::-1]


class _Maker(nn.Module):
    """Radford, Metz, Chintala 2016, section 3, for a class-conditional generator of square images."""

    def __init__(self, side: int, classes: int, width: int) -> None:
        super().__init__()
        self.small, channels = _channels(side, width)
        self.embed = nn.Embedding(classes, 16)
        self.first = nn.Sequential(nn.Linear(LATENT + 16, channels[0] * self.small**2), nn.ReLU())
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0])]
        for before, after in pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], 1, 4, 2, 1), nn.Tanh())

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        hidden = self.first(torch.cat([latent, self.embed(classes)], dim=1))
        return self.rest(hidden.view(len(latent), -1, self.small, self.small))


class _Judge(nn.Module):
    def __init__(self, side: int, classes: int, width: int) -> None:
        super().__init__()
        small, channels = _channels(side, width)
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after in pairwise(channels[::-1]):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Linear(channels[0] * small**2, classes)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        return self.last(self.body(images)).gather(1, classes[:, None])[:, 0]


def dcgan(train: ImageSet, size: int, *, seed: int, steps: int = 3000, width: int = 48) -> Made:
    """A class-conditional DCGAN without privacy (Radford, Metz, Chintala 2016; Mirza, Osindero 2014)."""
    torch.set_rng_state(weights_state(Seed(seed)))
    random = np.random.default_rng(seed)
    side, classes = train.pixels.shape[2], int(train.labels.max()) + 1
    maker, judge = _Maker(side, classes, width), _Judge(side, classes, width)
    adams = [optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (maker, judge)]
    begun = time.process_time()
    for _ in range(steps):
        chosen = random.choice(len(train), 32, replace=False)
        real, label = torch.from_numpy(train.pixels[chosen]), torch.from_numpy(train.labels[chosen])
        fake = maker(torch.randn(32, LATENT), label)
        loss = nn.functional.softplus(-judge(real, label)).mean()
        loss = loss + nn.functional.softplus(judge(fake.detach(), label)).mean()
        _step(adams[1], loss)
        _step(adams[0], nn.functional.softplus(-judge(fake, label)).mean())
    seconds = time.process_time() - begun
    return _drawn(maker, np.bincount(train.labels) / len(train), size, seed, seconds)


def mean_features(
    train: ImageSet, size: int, *, epsilon: float, delta: float, seed: int, features: int = 4000, steps: int = 2000
) -> Made:
    """A generator fitted to noisy mean random Fourier features of each class (Harder, Adamczewski, Park 2021, DP-MERF).

    One Gaussian mechanism on the sums of features times the one-hot class, which have a length of 1 for each image; the
    noise is that of add-or-remove neighbours, and the class counts are divided out as they are, which flatters it.
    """
    torch.set_rng_state(weights_state(Seed(seed)))
    random = np.random.default_rng(seed)
    flat = train.pixels.reshape(len(train), -1)
    side, classes = train.pixels.shape[2], int(train.labels.max()) + 1
    # The bandwidth is the median distance of two images: read off the data, which flatters it, too.
    pairs = random.choice(len(flat), (2, 500))
    scale = float(np.median(np.linalg.norm(flat[pairs[0]] - flat[pairs[1]], axis=1)))
    weights = torch.from_numpy((random.standard_normal((flat.shape[1], features // 2)) / scale).astype(np.float32))
    maker = _Maker(side, classes, 48)
    begun = time.process_time()
    count = np.bincount(train.labels, minlength=classes)
    target = np.zeros((classes, features))
    for at in range(0, len(flat), 500):
        found = _fourier(torch.from_numpy(flat[at : at + 500]), weights).numpy()
        np.add.at(target, train.labels[at : at + 500], found)
    target += random.standard_normal(target.shape) / gaussian_mu(epsilon, delta)
    goal = torch.from_numpy((target / count[:, None]).astype(np.float32))
    adam = optim.Adam(maker.parameters(), 1e-3)
    each = 128 // classes
    for _ in range(steps):
        label = torch.arange(classes).repeat_interleave(each)
        made = maker(torch.randn(len(label), LATENT), label).flatten(1)
        mean = _fourier(made, weights).view(classes, each, -1).mean(dim=1)
        _step(adam, (mean - goal).square().sum(dim=1).mean())
    return _drawn(maker, count / count.sum(), size, seed, time.process_time() - begun)


def _fourier(flat: Tensor, weights: Tensor) -> Tensor:
    angles = flat @ weights
    return torch.cat([angles.cos(), angles.sin()], dim=1) / weights.shape[1] ** 0.5


def _step(adam: optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


def _drawn(maker: nn.Module, shares: NDArray[np.float64], size: int, seed: int, seconds: float) -> Made:
    random = np.random.default_rng(seed + 1)
    label = random.choice(len(shares), size, p=shares)
    maker.eval()
    with torch.no_grad():
        parts = [
            maker(torch.randn(len(part), LATENT), torch.from_numpy(part)).numpy()
            for part in np.array_split(label, max(1, size // 250))
        ]
    parameters = sum(parameter.numel() for parameter in maker.parameters())
    pixels = np.concatenate(parts).astype(np.float32)
    return Made(ImageSet.of(pixels.clip(-1, 1), label.astype(np.int64)), parameters, seconds)

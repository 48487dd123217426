"""Two small networks that learn from images on a processor in seconds: one classifies, one draws masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from wardgan.evaluate.images.sets import Codes, Pixels, Values
from wardgan.models.weights import fall, one_thread, weights_state
from wardgan.rng import Seed

_WIDTHS: Final = (16, 32, 64)
_RATE: Final = 2e-3
_ASKED: Final = 256


def classifier(pixels: Pixels, labels: Codes, classes: int, *, steps: int, seed: Seed) -> Callable[[Pixels], Values]:
    """Gives a network that has learned the classes of images.

    Three 3 x 3 convolutions (16, 32, 64 channels) with group normalisation, each but the last at half the resolution
    of the one before, means over the image, one linear layer; images longer than 32 pixels are halved by the first
    convolution. Adam, learning rate 2e-3 that falls to 0 in the second half, batches of 64, always the same number of
    steps. Each class weighs alike, however many images it has.

    Args:
        pixels: Shape (images, channels, height, width).
        labels: Shape (images,), below `classes`.
        classes: Number of classes.
        steps: Number of steps.
        seed: Source of randomness of the first weights and of the batches.

    Returns:
        What gives the chance of each class for other images, shape (images, classes).
    """
    with _torch_from(seed):
        net = _classifying(pixels.shape[1], classes, stride=2 if max(pixels.shape[2:]) > 32 else 1)
        inputs, wanted = torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels.astype(np.int64))
        counts = np.bincount(labels, minlength=classes)
        weights = torch.tensor(len(labels) / (np.maximum(counts, 1) * (counts > 0).sum()), dtype=torch.float32)

        def loss(batch: Tensor) -> Tensor:
            each = functional.cross_entropy(net(inputs[batch]), wanted[batch], reduction="none")
            return (each * weights[wanted[batch]]).mean()

        _descend(net, loss, _batches(len(pixels), steps, 64, seed), steps)
    return lambda asked: _answers(net, asked, lambda found: functional.softmax(found.double(), dim=1))


def segmenter(pixels: Pixels, masks: NDArray[np.bool_], *, steps: int, seed: Seed) -> Callable[[Pixels], Values]:
    """Gives a small U-Net that has learned to draw masks.

    Three resolutions (12, 24, 48 channels), two 3 x 3 convolutions with group normalisation at each, the way up joined
    with the way down. Loss: cross-entropy of the pixels plus 1 - soft Dice. Adam as in `classifier`, batches of 16.

    Args:
        pixels: Shape (images, channels, height, width).
        masks: What is inside, shape (images, height, width).
        steps: Number of steps.
        seed: Source of randomness of the first weights and of the batches.

    Returns:
        What gives the chance of each pixel of other images to be inside, shape (images, height, width).

    Source:
        Ronneberger, Fischer and Brox, MICCAI 2015; soft Dice: Milletari, Navab and Ahmadi, 3DV 2016.
    """
    with _torch_from(seed):
        net = _UNet(pixels.shape[1])
        inputs = torch.from_numpy(np.ascontiguousarray(pixels))
        wanted = torch.from_numpy(masks.astype(np.float32))[:, None]

        def loss(batch: Tensor) -> Tensor:
            found, right = net(inputs[batch]), wanted[batch]
            inside = torch.sigmoid(found)
            shared = (inside * right).sum()
            dice = (2 * shared + 1) / (inside.sum() + right.sum() + 1)
            return functional.binary_cross_entropy_with_logits(found, right) + 1 - dice

        _descend(net, loss, _batches(len(pixels), steps, 16, seed), steps)
    return lambda asked: _answers(net, asked, lambda found: torch.sigmoid(found.double())[:, 0])


def _classifying(channels: int, classes: int, *, stride: int) -> nn.Sequential:
    first, second, third = _WIDTHS
    return nn.Sequential(
        *_layer(channels, first, stride),
        *_layer(first, second, 2),
        *_layer(second, third, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(third, classes),
    )


def _layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.GroupNorm(4, outputs), nn.ReLU()]


class _UNet(nn.Module):
    """A U-Net of three resolutions, for images of any size from 16 pixels on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_layer(channels, 12), *_layer(12, 12))
        self.second = nn.Sequential(*_layer(12, 24), *_layer(24, 24))
        self.third = nn.Sequential(*_layer(24, 48), *_layer(48, 24))
        self.fourth = nn.Sequential(*_layer(48, 24), *_layer(24, 12))
        self.last = nn.Sequential(*_layer(24, 12), nn.Conv2d(12, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Gives a number for each pixel, shape (images, 1, height, width)."""
        fine = self.first(pixels)
        middle = self.second(functional.avg_pool2d(fine, 2))
        coarse = self.third(functional.avg_pool2d(middle, 2))
        middle = self.fourth(torch.cat([middle, _enlarged(coarse, middle)], dim=1))
        return self.last(torch.cat([fine, _enlarged(middle, fine)], dim=1))


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)


@contextmanager
def _torch_from(seed: Seed) -> Iterator[None]:
    """Makes first weights follow the seed, and leaves torch's own randomness as it was."""
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(seed))
        yield


def _batches(n: int, steps: int, size: int, seed: Seed) -> Iterator[Tensor]:
    """Yields the images of each step: all of them in random order, again and again."""
    stream = seed.stream("batches")
    rounds = math.ceil(steps * size / n)
    order = np.concatenate([stream.permutation(n) for _ in range(rounds)])
    for step in range(steps):
        yield torch.from_numpy(order[step * size : (step + 1) * size])


def _descend(net: nn.Module, loss: Callable[[Tensor], Tensor], batches: Iterator[Tensor], steps: int) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=_RATE)
    for step, batch in enumerate(batches):
        fall(optimiser, _RATE, step / steps)
        optimiser.zero_grad()
        loss(batch).backward()
        optimiser.step()


def _answers(net: nn.Module, asked: Pixels, last: Callable[[Tensor], Tensor]) -> Values:
    with torch.no_grad(), one_thread():
        parts = [
            last(net(torch.from_numpy(np.ascontiguousarray(asked[at : at + _ASKED])))).numpy()
            for at in range(0, len(asked), _ASKED)
        ]
    return np.concatenate(parts)

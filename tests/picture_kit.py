"""Made-up images of two classes that are quick to draw: a disc or a bar on uneven ground, and sets of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from wardgan.evaluate.images import ImageSet
from wardgan.evaluate.images.waves import blurred


def phantoms(n, seed, *, side=28, each=1, classes=2):
    """`n` patients with `each` images; class 0 has a disc, class 1 a bar; all images of a patient are alike."""
    stream = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    labels = stream.integers(0, classes, n)
    pixels = []
    for label in labels:
        y, x, size, light = stream.uniform(0.3, 0.7, 2).tolist() + stream.uniform([0.12, 0.2], [0.25, 0.8]).tolist()
        tilt = stream.normal(size=2) * 0.3
        for _ in range(each):
            y2, x2 = y + stream.normal() * 0.01, x + stream.normal() * 0.01
            disc = (down - y2) ** 2 + (right - x2) ** 2 < size**2
            shape = disc if not label else (np.abs(down - y2) < size / 2) & (np.abs(right - x2) < 2 * size)
            image = -0.5 + tilt[0] * (down - 0.5) + tilt[1] * (right - 0.5) + light * shape
            pixels.append(np.clip(image + stream.normal(size=image.shape) * 0.08, -1, 1))
    patients = np.repeat(np.arange(n), each)
    return ImageSet(np.array(pixels, dtype=np.float32)[:, None], np.repeat(labels, each), patients)


def with_masks(images):
    """The same images with what is bright as a mask."""
    smooth = blurred(images.pixels[:, 0].astype(float))
    mask = np.where(smooth > np.quantile(smooth, 0.85, axis=(1, 2), keepdims=True), 1, -1)
    return changed(images, np.concatenate([images.pixels, mask[:, None].astype(np.float32)], axis=1))


def changed(images, pixels):
    return ImageSet(np.ascontiguousarray(pixels, dtype=np.float32), images.labels, images.patients)


def smooth(images, times=2):
    pixels = images.pixels[:, 0].astype(float)
    for _ in range(times):
        pixels = blurred(pixels)
    return changed(images, pixels[:, None])


def leaking(train, fresh, share, seed=0):
    """Fresh images, a share of which are training images, a little blurred and moved by one pixel."""
    stream = np.random.default_rng(seed)
    pixels, count = fresh.pixels.copy(), round(share * len(fresh))
    source = stream.integers(0, len(train), count)
    moved = np.roll(train.pixels[source], 1, axis=3)
    soft = np.stack([blurred(one.astype(float)) for one in moved])
    pixels[:count] = 0.5 * moved + 0.5 * soft
    return changed(fresh, pixels)


def real(name):
    """Images of real patients, if they are there."""
    path = Path(os.environ.get("WARDGAN_DATA", "no folder")) / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the folder that WARDGAN_DATA names")
    return np.load(path)


def real_set(pixels, labels):
    return ImageSet.of(pixels[:, None].astype(np.float32) / 127.5 - 1, labels.astype(np.int64))

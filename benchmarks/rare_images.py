"""A small network that learns from images with a rare class: the arms of the images benchmark."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn, optim

from wardgan.evaluate.images import ImageSet
from wardgan.models.imagegan.augment import augmented
from wardgan.models.weights import weights_state
from wardgan.rng import Seed

STEPS = 600
BATCH = 64


def taught(
    train: ImageSet, held: ImageSet, rare: int, *, seed: int, weighed: bool, augment: bool
) -> dict[str, float]:  # fmt: skip
    """Gives area, balanced accuracy and recall on the hold-out, of two classes.

    Args:
        train: What teaches it.
        held: What it is tested on.
        rare: The rare class.
        seed: Of weights and batches.
        weighed: Whether each class weighs alike in the loss.
        augment: Whether images are shifted, brightened and cut out; not mirrored, since a chest has sides.
    """
    from sklearn.metrics import roc_auc_score

    torch.set_rng_state(weights_state(Seed(seed)))
    random = np.random.default_rng(seed)
    side = train.pixels.shape[2] // 4
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * side**2, 64), nn.ReLU(), nn.Linear(64, 1),
    )  # fmt: skip
    target = (train.labels == rare).astype(np.float32)
    weight = np.where(target == 1, 0.5 / target.mean(), 0.5 / (1 - target.mean())) if weighed else np.ones(len(target))
    adam = optim.Adam(network.parameters(), 1e-3)
    for _ in range(STEPS):
        chosen = random.choice(len(train), BATCH)
        images = torch.from_numpy(train.pixels[chosen])
        if augment:
            images = augmented(images, random, mask=False, flips=False)
        found = network(images)[:, 0]
        losses = nn.functional.binary_cross_entropy_with_logits(
            found, torch.from_numpy(target[chosen]), reduction="none"
        )  # fmt: skip
        adam.zero_grad()
        (losses * torch.from_numpy(weight[chosen].astype(np.float32))).mean().backward()
        adam.step()
    with torch.no_grad():
        scores = np.concatenate(
            [network(torch.from_numpy(part))[:, 0].numpy() for part in np.array_split(held.pixels, 8)]
        )
    true = held.labels == rare
    recall, other = float((scores[true] > 0).mean()), float((scores[~true] <= 0).mean())
    area = float(roc_auc_score(true, scores))
    return {"area": area, "balanced accuracy": (recall + other) / 2, "recall": recall}

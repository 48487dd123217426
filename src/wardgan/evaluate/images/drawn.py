"""Whether synthetic pairs of image and mask teach a small U-Net to draw masks as real pairs do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.images.draws import SIDE, Draws, need_torch, over_repeats, patient_draws, seed_of
from wardgan.evaluate.images.sets import ImageSet, Pixels, Values, sample, shrunk
from wardgan.evaluate.record import plain_fields
from wardgan.evaluate.resample import interval, ratio
from wardgan.rng import Seed

DRAWN_STEPS: Final = 200


@dataclass(frozen=True)
class Drawn:
    """How well a small U-Net draws masks after synthetic pairs of image and mask, beside one after real pairs.

    Attributes:
        tstr: Mean Dice on hold-out pairs, taught by synthetic pairs; baseline `trtr`.
        trtr: Taught by as many training pairs.
        share: `tstr` divided by `trtr`.
        taught: Number of pairs that taught, the same of either kind.
    """

    tstr: Estimate
    trtr: Estimate
    share: Estimate
    taught: int

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def draw_and_test(
    train: ImageSet, synthetic: ImageSet, holdout: ImageSet, *, seed: Seed, repeats: int = 3, steps: int = DRAWN_STEPS
) -> Drawn:
    """Compares small U-Nets that learned from synthetic pairs of image and mask with those of real pairs.

    Args:
        train: Pairs that the generator has learned from; the last channel is the mask, above 0 inside.
        synthetic: Synthetic pairs.
        holdout: Real pairs of other patients.
        seed: Source of randomness of the networks and of the intervals.
        repeats: How many networks of either kind, at least 1; numbers are means over them.
        steps: Steps of each training.

    Returns:
        Mean over the hold-out pairs of the Dice coefficient, 1 where neither mask has a pixel. Intervals as in
        `train_and_test`.

    Raises:
        UsageError: torch is not installed.

    Source:
        Dice, Ecology 1945;26:297.
    """
    need_torch()
    from wardgan.evaluate.images.nets import segmenter

    size = min(len(train), len(synthetic))
    sides = {"real": sample(train, size, seed, "drawn/real"), "made": sample(synthetic, size, seed, "drawn/made")}
    asked, wanted = _pair(holdout)
    found: dict[str, Draws] = {}
    weights = patient_draws(holdout, seed)
    for name, one in sides.items():
        pixels, masks = _pair(one)
        nets = [segmenter(pixels, masks, steps=steps, seed=seed_of(seed, f"drawn/{name}", at)) for at in range(repeats)]
        scores = np.stack([dice(net(asked) > 0.5, wanted) for net in nets])  # (repeats, images)
        means = scores @ weights.T / weights.sum(axis=1)  # (repeats, 1 + draws)
        found[name] = over_repeats(means, seed, f"drawn/{name}")
    n = holdout.people()
    trtr = interval(found["real"], n, "Dice", low=0.0, high=1.0)
    share = interval(ratio(found["made"], found["real"]), n, "share of two Dice coefficients", low=0.0)
    tstr = replace(interval(found["made"], n, "Dice", low=0.0, high=1.0), baseline=trtr.value)
    return Drawn(tstr, trtr, replace(share, baseline=1.0), size)


def dice(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> Values:
    """Gives the Dice coefficient of each pair of masks, 1 where both are empty; shape (images,).

    Args:
        found: Shape (images, height, width).
        wanted: Shape (images, height, width).

    Example:
        >>> mask = np.array([[[True, True, False]]])
        >>> dice(mask, np.array([[[True, False, False]]])).round(3).tolist()
        [0.667]
    """
    shared = (found & wanted).sum(axis=(1, 2))
    both = found.sum(axis=(1, 2)) + wanted.sum(axis=(1, 2))
    return np.where(both > 0, 2 * shared / np.maximum(both, 1), 1.0)


def _pair(images: ImageSet) -> tuple[Pixels, NDArray[np.bool_]]:
    small = shrunk(images.pixels, SIDE)
    return small[:, :-1], small[:, -1] > 0

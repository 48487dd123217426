"""Methods of the images benchmark: `imagegan` in several ways, and baselines, each on the data that it is run on.

Steps are such that one training without privacy takes no more than some six minutes of one core, ten for the six
modalities. Above 28 pixels `imagegan` learns from fewer images in a step than by default.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import image_peers
import wardgan as wg
from image_data import of
from wardgan.evaluate.images import ImageSet
from wardgan.schema.image_cohort import ImageCohort

DELTA = 1e-5
OPEN = {
    "pneumonia": wg.ImageganConfig(open_steps=1500),
    "six modalities": wg.ImageganConfig(open_steps=1100, batch=16),
    "mammograms, 64 px": wg.ImageganConfig(open_steps=600, batch=16),
    "mammograms, 128 px": wg.ImageganConfig(open_steps=200, batch=16, ema_open=0.98),
    "vessels": wg.ImageganConfig(open_steps=650, batch=16),
}
# Steps and width.
DCGAN = {
    "pneumonia": (1500, 48), "six modalities": (1700, 48), "mammograms, 64 px": (900, 48),
    "mammograms, 128 px": (480, 32),
}  # fmt: skip
MEAN_FEATURES = {"pneumonia": 2000, "six modalities": 1100}


@dataclass(frozen=True, eq=False)
class Made:
    """What a method made.

    Attributes:
        images: As many synthetic images as taught it.
        bytes: Of the generator network that would be released.
        seconds: Of the processor, for the training.
        speed: Synthetic images in a second of the processor; 0 where it was not measured.
    """

    images: ImageSet
    bytes: int
    seconds: float
    speed: float


Method = Callable[[str, ImageCohort, int], Made]


def _ours(train: ImageCohort, seed: int, epsilon: float | None, config: wg.ImageganConfig) -> Made:
    begun = time.process_time()
    made = wg.fit(
        train, None if epsilon is None else wg.Budget(epsilon, DELTA), privacy="none" if epsilon is None else "private",
        family=config, seed=seed,
    )  # fmt: skip
    seconds = time.process_time() - begun
    made.generator.images(1, seed=seed)  # loads the engine
    begun = time.process_time()
    batch = made.generator.images(len(train.pixels), seed=seed)
    speed = len(train.pixels) / (time.process_time() - begun)
    levels = [str(level) for level in train.schema.table[0].levels]
    labels = np.array([levels.index(level) for level in batch.labels["kind"]], dtype=np.int64)
    return Made(ImageSet.of(batch.pixels, labels), len(made.generator.network), seconds, speed)


def _peer(made: image_peers.Made) -> Made:
    return Made(made.images, 4 * made.parameters, made.seconds, 0.0)


def _waves(_: str, train: ImageCohort, seed: int, *, epsilon: float | None, grain: float = 0.1) -> Made:
    return _ours(train, seed, epsilon, wg.ImageganConfig(grain=grain, discriminator=0.0, open_steps=0))


def _open(data: str, train: ImageCohort, seed: int) -> Made:
    return _ours(train, seed, None, OPEN[data])


def _judged(_: str, train: ImageCohort, seed: int) -> Made:
    return _ours(train, seed, 10.0, wg.ImageganConfig(discriminator=0.3, steps=300))


def _dcgan(data: str, train: ImageCohort, seed: int) -> Made:
    steps, width = DCGAN[data]
    return _peer(image_peers.dcgan(of(train), len(train.pixels), seed=seed, steps=steps, width=width))


def _mean_features(data: str, train: ImageCohort, seed: int, *, epsilon: float) -> Made:
    steps = MEAN_FEATURES[data]
    return _peer(
        image_peers.mean_features(of(train), len(train.pixels), epsilon=epsilon, delta=DELTA, seed=seed, steps=steps)
    )


METHODS: dict[str, Method] = {
    **{f"waves, epsilon {epsilon}": partial(_waves, epsilon=float(epsilon)) for epsilon in (1, 3, 10)},
    "waves, no privacy": partial(_waves, epsilon=None),
    "without grain, epsilon 3": partial(_waves, epsilon=3.0, grain=0.0),
    **{f"noisy mean features, epsilon {epsilon}": partial(_mean_features, epsilon=float(epsilon))
       for epsilon in (1, 3, 10)},
    "imagegan, no privacy": _open,
    "DCGAN, no privacy": _dcgan,
    "waves and discriminator, epsilon 10": _judged,
}  # fmt: skip
# With 110 women or 600 phantoms there is one budget, and no baseline draws masks.
_FEW = ("waves, epsilon 10", "waves, no privacy", "imagegan, no privacy")
_RUN_ON = {
    **dict.fromkeys(("mammograms, 64 px", "mammograms, 128 px"), (*_FEW, "DCGAN, no privacy")),
    "vessels": _FEW,
}


def run_on(data: str) -> tuple[str, ...]:
    """Gives the names of the methods that are run on a data set."""
    return _RUN_ON.get(data, tuple(METHODS))

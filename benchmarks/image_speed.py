"""How fast `imagegan` is on one thread: training, with privacy and without, and sampling beside torch.

Images are phantoms of `vessels.py` without their masks, since what is in an image changes no speed. All times are of
the processor. Where two ways are compared they take turns, and the middle of all turns counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import optim

import vessels
import wardgan as wg
from wardgan.models.imagegan.base import wave_model
from wardgan.models.imagegan.config import DISCRIMINATOR
from wardgan.models.imagegan.nets import ImageGenerator, Judge
from wardgan.models.imagegan.train import _Flat, _losses
from wardgan.models.planning import plan
from wardgan.models.weights import one_thread, weights_state
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.conditions import conditions
from wardgan.sample.generator import Generator
from wardgan.sample.images import Painter
from wardgan.schema.image_cohort import ImageCohort

Row = dict[str, object]
# A whole number of rounds between two penalties.
_STEPS = 16
_PHANTOMS = 400


def speeds(data: str, method: str, seed: int) -> Row:
    """Measures one of `SPEEDS`.

    Args:
        data: Its data.
        method: Its method.
        seed: Of images, weights and draws.

    Returns:
        Images in a second, and what it is compared with, if anything.
    """
    measure = next(speed[2] for speed in SPEEDS if speed[:2] == (data, method))
    with one_thread():
        found = measure(seed)
    return {"part": "speed", "data": data, "method": method, "seed": seed, **found}


def cohort(side: int, patients: int, seed: int) -> ImageCohort:
    """Gives phantoms of two classes without masks; beyond the first 400 they come again.

    Args:
        side: Rows and columns.
        patients: How many.
        seed: Of the phantoms.
    """
    pixels, labels = vessels.phantoms(min(patients, _PHANTOMS), seed, side=side)
    again = np.arange(patients) % len(labels)
    table = {"kind": {"kind": "category", "levels": list(vessels.LEVELS)}}
    schema = wg.Schema.from_dict(
        {"name": f"{side} px", "population": patients, "images": {"size": [side, side]}, "table": table}
    )
    names = np.arange(patients).astype(str).astype(object)
    return ImageCohort(
        schema, pixels[again, :1], {"kind": labels[again]}, np.arange(patients), names, False, pixels.nbytes
    )


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _turns(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Gives the seconds of each way in each turn, after one turn that does not count."""
    for work in ways.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            found[name].append(_seconds(work))
    return found


# --- training ---------------------------------------------------------------------------------------------------------


def _open(seed: int, *, side: int, width: int, batch: int, repeats: int) -> Row:
    """Times steps of a fit without privacy, each of both networks, as a long fit less a short one."""
    train = cohort(side, _PHANTOMS, seed)

    def fit(steps: int) -> None:
        config = wg.ImageganConfig(open_steps=steps, width=width, batch=batch)
        wg.fit(train, privacy="none", family=config, seed=seed)

    took = _turns({"short": lambda: fit(1), "long": lambda: fit(1 + _STEPS)}, repeats)
    step = median(long - short for long, short in zip(took["long"], took["short"], strict=True)) / _STEPS
    return {"images/s": batch / step, "ms a step": 1000 * step, "width": width, "batch": batch, "repeats": repeats}


def _private(seed: int, *, patients: int = 4000, steps: int = 4, repeats: int = 5) -> Row:
    """Times discriminator steps of a private fit, and of one without privacy on batches of as many images."""
    train = cohort(28, patients, seed)
    config = wg.ImageganConfig(discriminator=0.3)
    planned = plan(train.schema, wg.Budget(10.0, 1e-5), family=config)
    ways = {
        "private": _judging(train, config, Ledger(planned), steps, seed),
        "open": _judging(train, config, Ledger(None), steps, seed),
    }
    took = {name: median(each) / steps for name, each in _turns(ways, repeats).items()}
    batch = config.sampling_rate * patients
    return {
        "images/s": batch / took["private"], "ms a step": 1000 * took["private"], "beside": "no privacy",
        "beside images/s": batch / took["open"], "batch": batch, "repeats": repeats,
    }  # fmt: skip


def _judging(
    train: ImageCohort, config: wg.ImageganConfig, ledger: Ledger, steps: int, seed: int
) -> Callable[[], None]:  # fmt: skip
    """Gives what takes some steps of the discriminator; the noise of a private one is secret, as in a real fit."""
    records = Records(train, ledger, noise=Seed.secret())
    torch.set_rng_state(weights_state(Seed(seed)))
    judge = Judge(train.format, classes=train.schema.classes, width=config.width)
    flat = _Flat(judge, train.format.shape)
    training = records.image_training(
        DISCRIMINATOR, flat, rate=config.sampling_rate, steps=config.steps, clip_norm=config.clip_norm,
        population=len(train), at_once=config.images_at_once,
    )  # fmt: skip
    adam = optim.Adam(judge.parameters(), config.lr_discriminator, betas=(0.5, 0.999))
    fake = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (config.batch, 28 * 28 + 1)).astype(np.float32))
    left, step = training.reserve(), 0

    def work() -> None:
        nonlocal left, step
        for _ in range(steps):
            left, step = (left or training.reserve()) - 1, step + 1
            training.gradient(lambda real: _losses(flat, real), fake, step)
            adam.step()

    return work


# --- sampling ---------------------------------------------------------------------------------------------------------


def _sampling(seed: int, *, side: int, images: int, repeats: int) -> Row:
    """Times `Generator.images` and the same network in torch, block by block in the same batches."""
    generator, network = twins(side, seed)
    look = generator.schema.images
    assert look is not None
    painter = Painter(generator.schema, look, network, generator.latent)
    wanted = conditions(generator.schema, generator.probabilities, None, None)
    ways: dict[str, Callable[[], object]] = {
        "onnxruntime": lambda: generator.images(images, seed=seed),
        "torch": lambda: next(painter.batches(images, images, wanted, Seed(seed))),
    }
    took = {name: median(each) for name, each in _turns(ways, repeats).items()}
    return {
        "images/s": images / took["onnxruntime"], "beside": "torch", "beside images/s": images / took["torch"],
        "images": images, "repeats": repeats,
    }  # fmt: skip


def twins(
    side: int, seed: int
) -> tuple[Generator, Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]]:
    """Gives a generator with a network of random weights, and the same network in torch.

    Args:
        side: Rows and columns.
        seed: Of images and weights.
    """
    train = cohort(side, _PHANTOMS, seed)
    config = wg.ImageganConfig(open_steps=0)
    waves = wg.fit(train, privacy="none", family=config, seed=seed).generator
    base = wave_model(config, Records(train, Ledger(None, replayable=True), noise=Seed(seed)))
    torch.set_rng_state(weights_state(Seed(seed)))
    maker = ImageGenerator(base, width=config.width, noise_inputs=config.noise_inputs)
    # The last layer begins with zeros, which would hide what is before it.
    torch.nn.init.normal_(maker.last.weight, std=0.02)

    def network(latent: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return maker(torch.from_numpy(latent), torch.from_numpy(classes)).flatten(1).numpy()

    return replace(waves, network=maker.network(), latent=maker.latent), network


# Data, method, and what measures it.
SPEEDS: list[tuple[str, str, Callable[[int], Row]]] = [
    ("28 px", "open training, width 24, batch 32", partial(_open, side=28, width=24, batch=32, repeats=5)),
    ("64 px", "open training, width 24, batch 32", partial(_open, side=64, width=24, batch=32, repeats=3)),
    ("64 px", "open training, width 16, batch 16", partial(_open, side=64, width=16, batch=16, repeats=5)),
    ("28 px", "private discriminator, width 24, batches of 200", _private),
    ("28 px", "sampling, width 24", partial(_sampling, side=28, images=1024, repeats=9)),
    ("64 px", "sampling, width 24", partial(_sampling, side=64, images=256, repeats=9)),
]

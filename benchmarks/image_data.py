"""The images of the images benchmark: public ones and drawn ones, as cohorts for training and hold-out.

Mammograms are those of MIAS (Suckling et al. 1994), in the reduced copy: film 2k - 1 and film 2k are the two breasts
of one woman, so a woman has two images and a label for each. Vessels are drawn by `vessels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import datasets
import vessels
import wardgan as wg
from wardgan.evaluate.images import ImageSet
from wardgan.schema.image_cohort import ImageCohort


@dataclass(frozen=True)
class Source:
    """Where images come from and how they are used.

    Attributes:
        file: Name of the file; empty for drawn images.
        patients: How many teach, which is also the population that is declared; all others are held out.
        side: Rows and columns.
        each: Images of a patient.
        mask: Whether each image has a mask.
    """

    file: str
    patients: int
    side: int
    each: int = 1
    mask: bool = False

    @property
    def images(self) -> int:
        """Number of training images."""
        return self.patients * self.each

    @property
    def planes(self) -> int:
        """Channels, with the mask."""
        return 1 + self.mask


MIAS = "mini_mias_mammograms256.npz"
DATA = {
    "pneumonia": Source("pneumoniamnist28.npz", 4_000, 28),
    "six modalities": Source("mednist64_9000.npz", 6_000, 64),
    "mammograms, 64 px": Source(MIAS, 110, 64, each=2),
    "mammograms, 128 px": Source(MIAS, 110, 128, each=2),
    "vessels": Source("", 600, 64, mask=True),
}
# 600 teach and 300 are held out.
_PHANTOMS = 900


@dataclass(frozen=True, eq=False)
class _Found:
    """Images before they are split.

    Attributes:
        pixels: Shape (images, channels, height, width), from -1 to 1.
        labels: Places in `levels`, shape (images,).
        owners: Patient of each image, from 0, shape (images,).
        levels: Names of the classes.
        bytes: Size of the images as they were read.
    """

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]
    owners: NDArray[np.int64]
    levels: list[str]
    bytes: int


def available(data: str) -> bool:
    """Tells whether the file of a data set is there; drawn images need none."""
    return not DATA[data].file or (datasets.folder() / DATA[data].file).is_file()


def cohorts(data: str, seed: int) -> tuple[ImageCohort, ImageCohort]:
    """Gives training and hold-out images, split by patient in another random order for each seed.

    Args:
        data: One of `DATA`.
        seed: Of the order; of the images, too, where they are drawn.
    """
    source = DATA[data]
    found = _found(data, seed)
    count = int(found.owners.max()) + 1
    place = np.empty(count, dtype=np.int64)
    place[np.random.default_rng(seed).permutation(count)] = np.arange(count)
    owners = place[found.owners]
    order = np.argsort(owners, kind="stable")
    schema = wg.Schema.from_dict({
        "name": data,
        "population": source.patients,
        "images": {"size": [source.side, source.side], **({"mask": True} if source.mask else {})},
        "table": {"kind": {"kind": "category", "levels": found.levels}},
    })  # fmt: skip
    whole = ImageCohort(
        schema, found.pixels[order], {"kind": found.labels[order]}, owners[order],
        np.arange(count).astype(str).astype(object), source.each > 1, found.bytes,
    )  # fmt: skip
    return whole.take(np.arange(source.patients)), whole.take(np.arange(source.patients, count))


def of(cohort: ImageCohort) -> ImageSet:
    """Gives the images of a cohort for the evaluation."""
    return ImageSet(cohort.pixels, cohort.classes, cohort.owners)


def _found(data: str, seed: int) -> _Found:
    source = DATA[data]
    if source.file == MIAS:
        return _mammograms(source.side)
    if not source.file:
        pixels, labels = vessels.phantoms(_PHANTOMS, seed)
        return _Found(pixels, labels, np.arange(len(labels)), list(vessels.LEVELS), pixels.size)
    return _distinct(source.file)


def _distinct(name: str) -> _Found:
    """Gives the images of a file, doubles left out; each image is a patient."""
    with np.load(datasets.folder() / name) as file:
        keys = [key for key in file.files if key.endswith("images")]
        images = np.concatenate([file[key] for key in keys])
        labels = np.concatenate([file[key.replace("images", "labels")].ravel() for key in keys]).astype(np.int64)
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    pixels = images[first][:, None].astype(np.float32) / 127.5 - 1
    levels = [f"class {at}" for at in range(labels.max() + 1)]
    return _Found(pixels, labels[first], np.arange(len(first)), levels, images.nbytes)


def _mammograms(side: int) -> _Found:
    """Gives mammograms as means over areas, two of each woman, normal or not."""
    with np.load(datasets.folder() / MIAS) as file:
        images, severity, films = file["images"], file["labels"], file["image_id"]
    step = images.shape[1] // side
    small = images.reshape(len(images), side, step, side, step).mean(axis=(2, 4))
    women = (np.array([int(film.removeprefix("mdb")) for film in films]) - 1) // 2
    pixels = small[:, None].astype(np.float32) / 127.5 - 1
    return _Found(pixels, (severity > 0).astype(np.int64), women, ["normal", "abnormal"], images.nbytes)

"""A small clinic with images: discs and bars, a private fit, and its dossier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import image_family_kit as kit
import picture_kit
import wardgan as wg
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.schema import Schema

DAY = "2026-01-31"
SIDE = 16


def schema(*, mask: bool = False, **more) -> Schema:
    return kit.schema((SIDE, SIDE), **{"population": 300, "mask": mask, **more})


def cohort(
    n: int, seed: int, *, each: int = 1, mask: bool = False, first: int = 0, population: int = 300
) -> ImageCohort:
    """`n` patients whose names begin at `first`; of class 1 are bars."""
    found = picture_kit.phantoms(n, seed, side=SIDE, each=each)
    if mask:
        found = picture_kit.with_masks(found)
    names = kit.names(first + n)[first:]
    return kit.cohort_of(
        found.pixels, found.labels, found.patients, schema(mask=mask, population=population), patients=names
    )


def fitted(run: Path, train: ImageCohort, *, epsilon: float = 3.0) -> wg.Trained:
    return wg.fit(train, wg.Budget(epsilon), run=run)


def halves(*, each: int = 1, mask: bool = False) -> tuple[ImageCohort, ImageCohort]:
    return cohort(300, 1, each=each, mask=mask), cohort(300, 2, mask=mask, first=300)


def outlier(train: ImageCohort) -> ImageCohort:
    """The same patients, one of whom is a board of black and white."""
    pixels = train.pixels.copy()
    down, right = np.mgrid[:SIDE, :SIDE]
    pixels[0, 0] = (-1.0) ** (down + right)
    return ImageCohort(
        train.schema, pixels, train.labels, train.owners, train.patients, train.named, train.source_bytes
    )  # fmt: skip

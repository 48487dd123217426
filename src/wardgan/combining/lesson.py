"""Synthetic patients to learn from: as a teacher draws them, and some more of rare classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.combining.mixture import Mixture
from wardgan.encode.units import classes_of
from wardgan.imaging.marks import Batch
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import joined
from wardgan.schema.columns import Level
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.schema import Schema

# So many patients of each class at least, so that rare ones are learned, too.
_FEWEST: Final = 200


def lesson(teacher: Generator | Mixture, size: int, seed: Seed) -> AnyCohort:
    """Gives synthetic patients to learn from: as the teacher draws them, and some more of rare classes.

    Args:
        teacher: What is sampled.
        size: How many.
        seed: Of the draws.

    Raises:
        UsageError: No member knows patients of one of the classes.
    """
    number = int(seed.stream("lesson").integers(2**62))
    if teacher.schema.images is not None:
        return _image_lesson(teacher, size, number)
    # The declared number of patients is that of the hospitals; the pupil has as many as it likes.
    schema = replace(teacher.schema, population=None)
    parts = [teacher.draw(size, seed=number)]
    for label, more in _rare(classes_of(parts[0]), schema, min(_FEWEST, size)):
        parts.append(teacher.draw(more, where=_where(schema, label), seed=number + 1 + label))
    whole = joined(parts)
    return replace(whole, schema=schema, patients=np.arange(len(whole)) + 1)


def _image_lesson(teacher: Generator | Mixture, size: int, number: int) -> ImageCohort:
    schema = replace(teacher.schema, population=None)
    batches = [teacher.images(size, seed=number)]
    known = codes_of(batches[0], schema)
    classes = class_index(known, schema)
    for label, more in _rare(classes, schema, min(_FEWEST, size)):
        batches.append(teacher.images(more, where=_where(schema, label), seed=number + 1 + label))
    pixels = np.concatenate([batch.pixels for batch in batches])
    labels = [codes_of(batch, schema) for batch in batches]
    count = len(pixels)
    return ImageCohort(
        schema, pixels, {column.name: np.concatenate([one[column.name] for one in labels]) for column in schema.table},
        np.arange(count), np.array([str(place) for place in range(count)], dtype=object), False, 0,
    )  # fmt: skip


def codes_of(batch: Batch, schema: Schema) -> dict[str, NDArray[np.int64]]:
    """Gives the labels of synthetic images as places among the declared levels.

    Args:
        batch: The images.
        schema: What they obey.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for column in schema.table:
        places = {str(level): place for place, level in enumerate(column.levels)}
        found[column.name] = np.array([places[level] for level in batch.labels[column.name]], dtype=np.int64)
    return found


def class_index(codes: Mapping[str, NDArray[np.int64]], schema: Schema) -> NDArray[np.int64]:
    """Gives the class of each image from the codes of its labels, shape (images,)."""
    index = np.zeros(len(next(iter(codes.values()))) if codes else 0, dtype=np.int64)
    for column in schema.table:
        index = index * column.size + codes[column.name]
    return index


def _rare(classes: NDArray[np.int64], schema: Schema, fewest: int) -> list[tuple[int, int]]:
    """Gives the classes of which too few were drawn, with how many more are wanted."""
    count = np.bincount(classes, minlength=schema.classes)
    return [(int(label), fewest - int(count[label])) for label in np.flatnonzero(count < fewest)]


def _where(schema: Schema, label: int) -> dict[str, Level]:
    return dict(schema.class_levels(label))

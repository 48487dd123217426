"""A hospital's images under a schema: what a fit, an attack and an evaluation get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from wardgan.errors import DataError, SchemaError
from wardgan.imaging.links import ImageNames
from wardgan.imaging.read import Invalid, Progress, load_images
from wardgan.imaging.report import ReadReport
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.schema import Schema
from wardgan.schema.source import Source


def read_images(
    source: str | Path, schema: Schema, *, labels: Source | None = None, names: ImageNames | None = None,
    invalid: Invalid = "refuse", skipped: str | Path | None = None, progress: Progress | None = None,
) -> tuple[ImageCohort, ReadReport]:  # fmt: skip
    """Gives the patients of a folder or an NPZ file of images, and what was read of it.

    Args:
        source: A folder with DICOM, PNG, JPEG or TIFF files, also in folders within it; or an NPZ file with the array
            `images`, of shape (images, height, width), and arrays for labels, `masks` and `patients`.
        schema: Declares how images look and what their labels are.
        labels: CSV or Parquet file, or dataframe, that tells the labels of the images of a folder.
        names: Which columns of the labels say what; its `patient` is the schema's, unless it says another one.
        invalid: `refuse` where an image or a row cannot be used; `drop` leaves it out and counts it.
        skipped: CSV file that gets the name and the reason of all that is not read, before anything is refused; it
            stays in the hospital. With it, all images are decoded before any is refused.
        progress: Called after each image with the number of images done and of all.

    Returns:
        The patients, and a report that stays in the hospital.

    Raises:
        DataError: The source cannot be read, holds no image that can be used, or, with `refuse`, one that cannot.
        SchemaError: The schema declares no images.
        UsageError: The libraries for image files are not installed.
        OutputError: The list cannot be written.
    """
    if schema.images is None:
        raise SchemaError(f"schema={schema.name!r} declares no images; add images: {{size: [64, 64]}}.")
    names = names or ImageNames()
    if names.patient is None and labels is not None:
        names = replace(names, patient=schema.patient)
    found = load_images(
        source, schema.images, labels=labels, columns=schema.table, names=names, invalid=invalid, skipped=skipped,
        progress=progress,
    )  # fmt: skip
    if schema.patient is not None and not found.named:
        raise DataError(
            f"patient={schema.patient!r} is declared, but nothing says whose an image is: pass labels with that "
            "column, or an NPZ file with the array patients."
        )
    # Patients are numbered in the order of their first image.
    cohort = ImageCohort(
        schema, found.pixels, dict(found.labels), found.patients, np.array(found.names, dtype=object), found.named,
        found.report.source_bytes,
    )  # fmt: skip
    return cohort, found.report

"""Images of patients in, synthetic images out: DICOM, PNG, JPEG, TIFF and NPZ files."""

from __future__ import annotations

from wardgan.imaging.cohort import read_images
from wardgan.imaging.draft import DraftedFormat, draft_format
from wardgan.imaging.images import Images
from wardgan.imaging.links import ImageNames
from wardgan.imaging.marks import Batch, Origin
from wardgan.imaging.read import load_images
from wardgan.imaging.report import ReadReport, Reason
from wardgan.imaging.secondary_capture import write_dicom
from wardgan.imaging.write import write_npz, write_png
from wardgan.schema.images import ImageFormat

__all__ = [
    "Batch",
    "DraftedFormat",
    "ImageFormat",
    "ImageNames",
    "Images",
    "Origin",
    "ReadReport",
    "Reason",
    "draft_format",
    "load_images",
    "read_images",
    "write_dicom",
    "write_npz",
    "write_png",
]

"""The stored numbers of a DICOM file, decoded here or, for `Decoder`, in a process of its own."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.extras import dicom_errors, needs_images, quiet
from wardgan.imaging.report import Reason
from wardgan.imaging.streams import stream_size

if TYPE_CHECKING:
    from pydicom import FileDataset

# Status, bytes of a number, rows and columns; the numbers follow where the status is 0.
ANSWER: Final = struct.Struct("<BBII")
STATUS: Final = (None, Reason.UNREADABLE, Reason.NO_PIXELS)
_NEEDED: Final = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "NumberOfFrames", "PixelData",
)  # fmt: skip
_SLACK: Final = 1 << 16


def decode(path: Path) -> NDArray[np.unsignedinteger] | Reason:
    """Gives the stored numbers of a DICOM file, without the bits that are not the image's.

    Negative numbers are given in two's complement of the stored bits.

    Args:
        path: A file whose header was found to be that of one grey frame of 8 or 16 bits.

    Returns:
        Shape (height, width), or why it cannot be used.
    """
    with needs_images():
        from pydicom import dcmread
        from pydicom.pixels.utils import pixel_array
    try:
        with quiet():
            dataset = dcmread(path, specific_tags=list(_NEEDED))
            if "PixelData" not in dataset:
                return Reason.NO_PIXELS
            if not _plausible(dataset):
                return Reason.UNREADABLE
            stored = pixel_array(dataset, raw=True)
    except dicom_errors():
        return Reason.UNREADABLE
    if stored.shape != (dataset.Rows, dataset.Columns) or stored.dtype.itemsize > 2:
        return Reason.UNREADABLE
    unsigned = stored.astype(stored.dtype.newbyteorder("="), copy=False).view(f"u{stored.dtype.itemsize}")
    top = (1 << int(dataset.BitsStored)) - 1
    return unsigned if np.iinfo(unsigned.dtype).max <= top else unsigned & unsigned.dtype.type(top)


def _plausible(dataset: FileDataset) -> bool:
    """Whether the stored bytes can be the image that the header promises, so that a decoder may see them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    expected = int(dataset.Rows) * int(dataset.Columns) * (int(dataset.BitsAllocated) // 8)
    if not syntax.is_encapsulated:
        return len(dataset.PixelData) >= expected
    if len(dataset.PixelData) > 2 * expected + _SLACK:
        return False
    from pydicom.encaps import get_frame
    from pydicom.uid import RLELossless

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    return syntax == RLELossless or stream_size(frame) == (dataset.Rows, dataset.Columns)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers each line, a path in JSON, with the numbers of the file or why there are none.

    Args:
        questions: One path a line.
        answers: Where to write.
    """
    for line in questions:
        found = decode(Path(json.loads(line)))
        if isinstance(found, Reason):
            answers.write(ANSWER.pack(STATUS.index(found), 0, 0, 0))
        else:
            answers.write(ANSWER.pack(0, found.dtype.itemsize, *found.shape))
            answers.write(np.ascontiguousarray(found).data)
        answers.flush()


def main() -> None:
    """Serves standard input; what codecs print is thrown away, so that it is not taken for an answer."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    serve(sys.stdin.buffer, answers)

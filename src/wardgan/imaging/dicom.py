"""DICOM files: what the header says of the image, and the image itself. What it says of the patient is not kept."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.dicom_tones import tones_of
from wardgan.imaging.extras import DAMAGED, needs_images, quiet
from wardgan.imaging.format import ImageFormat
from wardgan.imaging.found import MAX_FILE, MAX_PIXELS
from wardgan.imaging.report import Reason
from wardgan.imaging.streams import stream_size
from wardgan.imaging.tones import Codes, brightness

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

# Nothing else is even parsed, so no name, date or comment of a patient is ever in memory as such.
_ABOUT: Final = (
    "SOPClassUID", "SOPInstanceUID", "AccessionNumber", "PatientID", "Modality", "SyntheticData",
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "NumberOfFrames", "BurnedInAnnotation", "PresentationIntentType", "RescaleSlope",
    "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
)  # fmt: skip
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_DEFLATED: Final = ("1.2.840.10008.1.2.1.99",)
_RLE: Final = "1.2.840.10008.1.2.5"
_SLACK: Final = 1 << 16
_BLOCK: Final = 1 << 20
_Given = TypeVar("_Given")


@dataclass(frozen=True, repr=False)
class Header:
    """What the header of a DICOM file says that is needed to read it and to link it. It stays in the hospital.

    Attributes:
        uid: SOPInstanceUID.
        accession: AccessionNumber; "" if empty.
        patient_id: PatientID; "" if empty.
        modality: Such as MG or CT.
        synthetic: Whether the file says that it is synthetic.
        photometric: MONOCHROME1 or MONOCHROME2.
        bits: Bits stored for each pixel.
        rows: Rows of pixels.
        columns: Columns of pixels.
        windowed: Whether it brings a window or a VOI LUT.
    """

    uid: str
    accession: str
    patient_id: str
    modality: str
    synthetic: bool
    photometric: str
    bits: int
    rows: int
    columns: int
    windowed: bool


def read_header(path: Path, declared: ImageFormat | None = None) -> Header | Reason:
    """Gives the header of a DICOM file, or why its image cannot be used; nothing is decoded.

    Args:
        path: The file.
        declared: How images look; `None` for a draft, when any intent will do.
    """
    with needs_images():
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    try:
        with quiet():
            large = _too_large(path)
            if large is not None:
                return large
            dataset = dcmread(path, specific_tags=list(_ABOUT), stop_before_pixels=True)
            return _fault(dataset, declared) or _header(dataset)
    except (InvalidDicomError, *DAMAGED):
        return Reason.UNREADABLE


def read_dicom(path: Path, declared: ImageFormat) -> NDArray[np.float32] | Reason:
    """Gives how bright each pixel of a DICOM file is, from 0 to 1.

    Modality LUT, then window or VOI LUT, then the inversion of MONOCHROME1; padding is black.

    Args:
        path: A file whose header was read before.
        declared: How images look.

    Returns:
        Shape (height, width), or why it cannot be used.

    Source:
        DICOM PS3.3, C.7.6.3.1, C.11.1 and C.11.2; PS3.4, N.2.1.
    """
    found = _decoded(path)
    if isinstance(found, Reason):
        return found
    codes, dataset = found
    try:
        with quiet():
            tones = tones_of(dataset)
            return tones if isinstance(tones, Reason) else brightness(codes, tones, declared.window)
    except DAMAGED:
        return Reason.UNREADABLE


def read_dicom_mask(path: Path) -> NDArray[np.bool_] | Reason:
    """Gives the mask in a DICOM file of one frame: 0 is outside, anything else is inside.

    Args:
        path: The file.
    """
    header = read_header(path)
    found = header if isinstance(header, Reason) else _decoded(path)
    return found if isinstance(found, Reason) else found[0] != 0


def _decoded(path: Path) -> tuple[Codes, FileDataset] | Reason:
    """Gives the stored numbers of a file, without the bits that are not the image's, and what else it says of them."""
    with needs_images():
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
        from pydicom.pixels.utils import pixel_array
    try:
        with quiet():
            _hush_codecs()
            dataset = dcmread(path, specific_tags=[*_ABOUT, "PixelData"])
            if "PixelData" not in dataset:
                return Reason.NO_PIXELS
            if not _plausible(dataset):
                return Reason.UNREADABLE
            stored = pixel_array(dataset, raw=True)
            del dataset.PixelData
    except (InvalidDicomError, *DAMAGED):
        return Reason.UNREADABLE
    if stored.shape != (dataset.Rows, dataset.Columns) or stored.dtype.itemsize > 2:
        return Reason.UNREADABLE
    unsigned = stored.astype(stored.dtype.newbyteorder("="), copy=False).view(f"u{stored.dtype.itemsize}")
    top = (1 << int(dataset.BitsStored)) - 1
    return cast(
        "Codes", unsigned if np.iinfo(unsigned.dtype).max <= top else unsigned & unsigned.dtype.type(top)
    ), dataset


def _hush_codecs() -> None:
    with needs_images():
        import gdcm
    # They would write to the terminal from C++.
    gdcm.Trace.DebugOff()
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()


def _too_large(path: Path) -> Reason | None:
    """Gives why a file may not even be parsed."""
    from pydicom.filereader import read_file_meta_info

    if path.stat().st_size > MAX_FILE:
        return Reason.LARGE
    meta = read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) not in _DEFLATED:
        return None
    # pydicom inflates all of it at once, so it is inflated here first, in blocks that are thrown away.
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    data = path.read_bytes()[_meta_end(path) :]
    while data and not inflater.eof:
        size += len(inflater.decompress(data, _BLOCK))
        data = inflater.unconsumed_tail
        if size > MAX_FILE:
            return Reason.LARGE
    return None


def _meta_end(path: Path) -> int:
    """Gives where the header of the file ends: behind preamble, prefix, the group's length element and the group."""
    with path.open("rb") as file:
        start = file.read(144)
    if start[132:140] != b"\x02\0\0\0UL\x04\0":
        raise ValueError
    return 144 + int.from_bytes(start[140:144], "little")


def _fault(dataset: Dataset, declared: ImageFormat | None) -> Reason | None:
    """Gives why the image of a file cannot be used, as far as its header says so."""
    if not dataset.get("Rows") or not dataset.get("Columns"):
        return Reason.NO_PIXELS
    if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
        return Reason.LARGE
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        return Reason.FRAMES
    if dataset.get("SamplesPerPixel", 1) != 1 or str(dataset.PhotometricInterpretation).strip() not in _GREY:
        return Reason.COLOUR
    if dataset.BitsAllocated not in (8, 16) or not 1 <= int(dataset.BitsStored) <= int(dataset.BitsAllocated):
        return Reason.DEEP
    return _unwanted(dataset, declared)


def _unwanted(dataset: Dataset, declared: ImageFormat | None) -> Reason | None:
    """Gives why an image that could be read is not wanted."""
    if _word(dataset, "BurnedInAnnotation") == "YES":
        return Reason.BURNED_IN
    intent = _word(dataset, "PresentationIntentType")
    if declared is not None and intent and intent != f"FOR {declared.intent.upper()}":
        return Reason.INTENT
    return None


def _header(dataset: Dataset) -> Header:
    return Header(
        uid=_text(dataset, "SOPInstanceUID"),
        accession=_text(dataset, "AccessionNumber"),
        patient_id=_text(dataset, "PatientID"),
        modality=_word(dataset, "Modality"),
        synthetic=_word(dataset, "SyntheticData") == "YES",
        photometric=_word(dataset, "PhotometricInterpretation"),
        bits=int(dataset.BitsStored),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        windowed=bool(dataset.get("VOILUTSequence") or dataset.get("WindowCenter")),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _word(dataset: Dataset, keyword: str) -> str:
    return _text(dataset, keyword).upper()


def _plausible(dataset: FileDataset) -> bool:
    """Whether the stored bytes can be the image that the header promises, so that a decoder may see them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    expected = int(dataset.Rows) * int(dataset.Columns) * (int(dataset.BitsAllocated) // 8)
    if not syntax.is_encapsulated:
        return len(dataset.PixelData) >= expected
    if len(dataset.PixelData) > 2 * expected + _SLACK:
        return False
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    return syntax == _RLE or stream_size(frame) == (dataset.Rows, dataset.Columns)

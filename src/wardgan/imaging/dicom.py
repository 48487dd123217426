"""DICOM files: what the header says of the image, and the image itself. What it says of the patient is not kept."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.decoder import Decoder
from wardgan.imaging.dicom_tones import tones_of
from wardgan.imaging.extras import dicom_errors, needs_images, quiet
from wardgan.imaging.found import MAX_FILE, MAX_PIXELS
from wardgan.imaging.report import Reason
from wardgan.imaging.tones import brightness
from wardgan.schema.images import ImageFormat

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
_BLOCK: Final = 1 << 20


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
        compressed: Whether its pixels need a codec.
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
    compressed: bool


def read_header(path: Path, declared: ImageFormat | None = None) -> Header | Reason:
    """Gives the header of a DICOM file, or why its image cannot be used; nothing is decoded.

    Args:
        path: The file.
        declared: How images look; `None` for a draft, when any intent will do.
    """
    with needs_images():
        from pydicom import dcmread
    try:
        with quiet():
            large = _too_large(path)
            if large is not None:
                return large
            dataset = dcmread(path, specific_tags=list(_ABOUT), stop_before_pixels=True)
            return _fault(dataset, declared) or _header(dataset)
    except dicom_errors():
        return Reason.UNREADABLE


def read_dicom(path: Path, declared: ImageFormat, decoder: Decoder) -> NDArray[np.float32] | Reason:
    """Gives how bright each pixel of a DICOM file is, from 0 to 1.

    Modality LUT, then window or VOI LUT, then the inversion of MONOCHROME1; padding is black.

    Args:
        path: A file whose header was read before.
        declared: How images look.
        decoder: Decodes what is compressed.

    Returns:
        Shape (height, width), or why it cannot be used.

    Source:
        DICOM PS3.3, C.7.6.3, C.11.1 and C.11.2; PS3.4, N.2.1.
    """
    with needs_images():
        from pydicom import dcmread
    try:
        with quiet():
            dataset = dcmread(path, specific_tags=list(_ABOUT), stop_before_pixels=True)
            compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
            tones = tones_of(dataset)
    except dicom_errors():
        return Reason.UNREADABLE
    if isinstance(tones, Reason):
        return tones
    codes = decoder.numbers(path, compressed=compressed)
    return codes if isinstance(codes, Reason) else brightness(codes, tones, declared.window)


def read_dicom_mask(path: Path, decoder: Decoder) -> NDArray[np.bool_] | Reason:
    """Gives the mask in a DICOM file of one frame: 0 is outside, anything else is inside.

    Args:
        path: The file.
        decoder: Decodes what is compressed.
    """
    header = read_header(path)
    codes = header if isinstance(header, Reason) else decoder.numbers(path, compressed=header.compressed)
    return codes if isinstance(codes, Reason) else codes != 0


def _too_large(path: Path) -> Reason | None:
    """Gives why a file may not even be parsed."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if path.stat().st_size > MAX_FILE:
        return Reason.LARGE
    meta = read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) != DeflatedExplicitVRLittleEndian:
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


def _header(dataset: FileDataset) -> Header:
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
        compressed=dataset.file_meta.TransferSyntaxUID.is_encapsulated,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _word(dataset: Dataset, keyword: str) -> str:
    return _text(dataset, keyword).upper()

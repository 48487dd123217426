"""How much smaller a generator is than the images that taught it: as DICOM files, and as the tensor of a training."""

from __future__ import annotations

import io
from functools import cache

import numpy as np

from image_data import DATA, MIAS

# Films of MIAS were digitised, cut and reduced to this many rows and columns.
ORIGINAL = 1024
_ROOT = "2.25."


@cache
def dicom_bytes(side: int, bits: int) -> int:
    """Gives the size of a square grey image as an uncompressed Secondary Capture, by writing one.

    The header has the elements that the standard demands and no others, so a file of a hospital is larger. The size
    depends on the number of pixels and of bits alone.

    Args:
        side: Rows and columns.
        bits: 8 or 16 for each pixel.
    """
    from pydicom import FileDataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(1)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    elements = {
        "SOPClassUID": SecondaryCaptureImageStorage, "SOPInstanceUID": _uid(1), "StudyInstanceUID": _uid(2),
        "SeriesInstanceUID": _uid(3), "StudyDate": "20200101", "StudyTime": "120000", "AccessionNumber": "00000000",
        "ReferringPhysicianName": "", "Modality": "OT", "ConversionType": "DI", "PatientName": "NAME^NAME",
        "PatientID": "00000000", "PatientBirthDate": "19500101", "PatientSex": "F", "StudyID": "1", "SeriesNumber": 1,
        "InstanceNumber": 1, "PatientOrientation": "", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": side, "Columns": side, "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1,
        "PixelRepresentation": 0,
    }  # fmt: skip
    buffer = io.BytesIO()
    dataset = FileDataset(buffer, {}, preamble=b"\0" * 128, file_meta=meta)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    pixels = np.zeros((side, side), dtype=f"<u{bits // 8}").tobytes()
    dataset.add_new("PixelData", "OW" if bits == 16 else "OB", pixels + b"\0" * (len(pixels) % 2))
    dataset.save_as(buffer, enforce_file_format=True)
    return len(buffer.getvalue())


def _uid(number: int) -> str:
    """Gives a name as long as those that are made from a UUID are."""
    return f"{_ROOT}{10**38 + number}"


def ratios(data: str, model_bytes: float) -> dict[str, float]:
    """Gives how many times larger than a generator its training images are.

    `DICOM : model` counts files of 8 bits a pixel at the size that taught it, a mask being a file of its own;
    `tensor : model` counts the same images as float32. What a mammography unit would have stored is computed: that many
    files of 1024 x 1024 pixels, of which the generator has seen a reduced copy.

    Args:
        data: One of `image_data.DATA`.
        model_bytes: Size of the generator network.
    """
    source = DATA[data]
    pictures = source.images * source.planes
    found = {
        "DICOM : model": pictures * dicom_bytes(source.side, 8) / model_bytes,
        "tensor : model": pictures * 4 * source.side**2 / model_bytes,
    }
    if source.file == MIAS:
        for bits in (8, 16):
            whole = source.images * dicom_bytes(ORIGINAL, bits)
            found[f"DICOM 1024 x 1024 at {bits} bits : model (computed)"] = whole / model_bytes
    return found

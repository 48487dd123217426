"""Synthetic images to DICOM files: Secondary Capture, marked as synthetic in every way that the standard has."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from wardgan._version import __version__
from wardgan.imaging.extras import needs_images
from wardgan.imaging.marks import Batch, Bits, Item, Origin, items, note, stored
from wardgan.imaging.output import new_folder, write_labels
from wardgan.schema.images import ImageFormat

if TYPE_CHECKING:
    from pydicom import Dataset

_IMPLEMENTATION: Final = "2.25.332333494003686503998521093836339834274"
_MAKER: Final = "wardgan"
_SOURCE_IMAGE: Final = ("121324", "DCM", "Source image for image processing operation")


def write_dicom(
    batches: Iterable[Batch], path: str | Path, declared: ImageFormat, origin: Origin, *, bits: Bits = 8,
    force: bool = False,
) -> int:  # fmt: skip
    """Writes synthetic images into a folder of DICOM files, and gives their number.

    Each image is a Secondary Capture of a patient and a study of its own, since synthetic patients have nothing to do
    with one another; its mask is a second one in the same study. (0008,001C) Synthetic Data is YES, the equipment that
    contributed is coded as Synthesizing Equipment, and a description says which model, seed, number and epsilon. UIDs
    are made from those, so the same image has the same name wherever it is written. There is no date in the file.
    `labels.csv` has a row for each image.

    Args: as for `write_npz`.

    Raises:
        OutputError: The folder exists or cannot be written; nothing is left behind.
        UsageError: Images or labels that break the declaration, or the libraries for image files are not installed.

    Source:
        DICOM PS3.3, A.8.1, C.7.5.2, C.8.6.1, C.12.1; PS3.16, CID 7005.
    """
    with needs_images():
        import pydicom  # noqa: F401

    def written(folder: Path) -> Iterator[Item]:
        for item in items(batches, declared, origin):
            (folder / f"{item.name}.dcm").write_bytes(_file(_image(item, origin, bits)))
            if item.mask is not None:
                (folder / f"{item.name}-mask.dcm").write_bytes(_file(_mask(item, item.mask, origin)))
            yield item

    with new_folder(path, force=force) as folder:
        return write_labels(folder, written(folder), ".dcm")


def _image(item: Item, origin: Origin, bits: Bits) -> Dataset:
    """Gives the Secondary Capture of a synthetic image."""
    dataset = _about(item, origin, "image", 1)
    dataset.ImageType = ["DERIVED", "SECONDARY", "SYNTHETIC"]
    dataset.ImageComments = note(origin, item.index, item.labels)
    _put_pixels(dataset, stored(item.image, bits))
    return dataset


def _mask(item: Item, mask: NDArray[np.bool_], origin: Origin) -> Dataset:
    """Gives the Secondary Capture of its mask, which refers to the image."""
    from pydicom.uid import SecondaryCaptureImageStorage

    dataset = _about(item, origin, "mask", 2)
    dataset.ImageType = ["DERIVED", "SECONDARY", "SYNTHETIC", "MASK"]
    dataset.ImageComments = note(origin, item.index, item.labels)
    source = _dataset({
        "ReferencedSOPClassUID": SecondaryCaptureImageStorage,
        "ReferencedSOPInstanceUID": origin.uid(item.index, "image"),
        "PurposeOfReferenceCodeSequence": [_code(*_SOURCE_IMAGE)],
    })  # fmt: skip
    dataset.SourceImageSequence = [source]
    _put_pixels(dataset, np.where(mask, 255, 0).astype(np.uint8))
    return dataset


def _about(item: Item, origin: Origin, part: str, number: int) -> Dataset:
    """Gives everything but the pixels."""
    from pydicom.sr.codedict import codes
    from pydicom.uid import SecondaryCaptureImageStorage

    synthesizing = codes.DCM.SynthesizingEquipment
    model = origin.model.removeprefix("sha256:")
    maker: Mapping[str, object] = {"Manufacturer": _MAKER, "ManufacturerModelName": "wardgan generator",
                                   "DeviceSerialNumber": model, "SoftwareVersions": __version__}  # fmt: skip
    epsilon = "none, the model is not private" if origin.epsilon is None else f"{origin.epsilon:.6g}"
    equipment = _dataset({
        "PurposeOfReferenceCodeSequence": [_code(synthesizing.value, "DCM", synthesizing.meaning)],
        "ContributionDescription": "drawn from a generative model",
        **maker,
    })  # fmt: skip
    return _dataset({
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": origin.uid(item.index, part),
        "SyntheticData": "YES",
        "StudyDate": "", "StudyTime": "", "AccessionNumber": "", "ReferringPhysicianName": "",
        "Modality": "OT", "ConversionType": "SYN",
        "PatientName": f"SYNTHETIC^{item.index}",
        "PatientID": f"SYN-{model[:12]}-{origin.seed}-{item.index}"[:64],
        "PatientBirthDate": "", "PatientSex": "",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "no patient: drawn from a generative model",
        "StudyInstanceUID": origin.uid(item.index, "study"),
        "SeriesInstanceUID": origin.uid(item.index, f"{part} series"),
        "StudyID": "", "SeriesNumber": number, "InstanceNumber": 1, "PatientOrientation": "",
        "SeriesDescription": f"synthetic {part}",
        "DerivationDescription": f"Synthetic image, no patient. Drawn from the generator {origin.model} with seed "
        f"{origin.seed}, number {item.index}. Epsilon: {epsilon}.",
        "BurnedInAnnotation": "NO", "LossyImageCompression": "00",
        "ContributingEquipmentSequence": [equipment],
        **maker,
    })  # fmt: skip


def _put_pixels(dataset: Dataset, numbers: NDArray[np.unsignedinteger]) -> None:
    bits = 8 * numbers.dtype.itemsize
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = numbers.shape
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    # In the standard's formula this window shows 0 as black and all bits set as white.
    dataset.WindowCenter, dataset.WindowWidth = 1 << (bits - 1), 1 << bits
    data = numbers.astype(f"<u{bits // 8}").tobytes()
    dataset.add_new("PixelData", "OW" if bits == 16 else "OB", data + b"\0" * (len(data) % 2))


def _file(dataset: Dataset) -> bytes:
    from pydicom import FileDataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "WARDGAN"
    buffer = io.BytesIO()
    FileDataset(buffer, dataset, preamble=b"\0" * 128, file_meta=meta).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _dataset(elements: Mapping[str, object]) -> Dataset:
    from pydicom import Dataset

    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _dataset({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})

"""Made-up image files: DICOM with a name in every field, pictures, and folders with labels."""

from __future__ import annotations

import atexit
import base64

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="the extra [images] is not installed")
pytest.importorskip("PIL", reason="the extra [images] is not installed")
gdcm = pytest.importorskip("gdcm", reason="the extra [images] is not installed")

from PIL import Image  # noqa: E402
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless, generate_uid  # noqa: E402

from wardgan.imaging import Batch, ImageFormat, Origin  # noqa: E402
from wardgan.imaging import dicom as dicom_module  # noqa: E402
from wardgan.imaging.decoder import Decoder  # noqa: E402
from wardgan.schema.columns import Column  # noqa: E402

CANARY = "Zanzibarowitsch"
ORIGIN = Origin("sha256:" + "0f" * 32, seed=7, epsilon=3.0)
LABEL = Column("finding", "category", levels=("benign", "malignant"), label=True)
# A ramp of 16 x 12 in HTJ2K, which none of the libraries can write: 200 a row, 30 a column.
HTJ2K = base64.b64decode(
    "/0//UQApQAAAAAAMAAAAEAAAAAAAAAAAAAAADAAAABAAAAAAAAAAAAABCwEB/1IADAACAAEAAQQEQAH/XAAHIGhoaGj/UAAIAAIAAAAF/2QAIwAB"
    "bmQtaW1hZ2UtY29kZWNzIG5kaWMtY29kZXN0cmVhbf+QAAoAAAAAAIQAAf+TwAL1AP9/zYd/xoe/79J3+/C/Lnun33zaUU78jNde4abf/2Wr3/Dv"
    "Lw624FFHLjToM78uMtBXIW3W1XWZTVC9J0VgUlX8AICyQxwNDuzmBiEAMb8AwAK2ABXgWmuttdbeCnp6cAJ4AI4dHR0dHfwAGPYxgey5AP/Z"
)


def ramp(height=16, width=12, top=4095):
    """A gradient that uses the whole range, and is the same neither mirrored nor upside down."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.rint(top * (rows * width + columns) / (height * width - 1)).astype(np.int64)


def header(**more):
    """A DICOM header in which every field that can hold a text holds the canary."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.Modality = "MG"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"{CANARY}^Anna"
    dataset.PatientID = f"{CANARY}-1"
    dataset.AccessionNumber = CANARY
    dataset.InstitutionName = dataset.StudyDescription = dataset.OperatorsName = CANARY
    dataset.PatientComments = dataset.ImageComments = dataset.PatientAddress = f"{CANARY} lives here"
    dataset.OtherPatientIDs = [CANARY, f"{CANARY}2"]
    request = Dataset()
    request.RequestedProcedureDescription = CANARY
    dataset.RequestAttributesSequence = [request]
    block = dataset.private_block(0x0011, CANARY, create=True)
    block.add_new(0x01, "LO", CANARY)
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def with_pixels(dataset, pixels, bits=12, signed=False, photometric="MONOCHROME2"):
    allocated = 8 if bits <= 8 else 16
    pixels = np.asarray(pixels)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    data = pixels.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    dataset.add_new("PixelData", "OW" if allocated == 16 else "OB", data + b"\0" * (len(data) % 2))
    return dataset


def save(path, dataset, syntax=ExplicitVRLittleEndian):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta).save_as(path, enforce_file_format=True)
    return path


def dicom(path, pixels=None, *, bits=12, signed=False, photometric="MONOCHROME2", **more):
    """A DICOM file; elements are given by keyword."""
    pixels = ramp() if pixels is None else pixels
    return save(path, with_pixels(header(**more), pixels, bits, signed, photometric))


def compressed(path, pixels, syntax, *, bits=12):
    """A DICOM file with a compressed stream that gdcm writes."""
    plain = dicom(path, pixels, bits=bits)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


DECODER = Decoder()
atexit.register(DECODER.__exit__)


def read_dicom(path, declared):
    return dicom_module.read_dicom(path, declared, DECODER)


def read_dicom_mask(path):
    return dicom_module.read_dicom_mask(path, DECODER)


def htj2k(path):
    dataset = with_pixels(header(), ramp())
    del dataset.PixelData
    dataset.PixelData = pydicom.encaps.encapsulate([HTJ2K])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return save(path, dataset, HTJ2KLossless)


def picture(path, pixels, **more):
    Image.fromarray(np.asarray(pixels)).save(path, **more)
    return path


def gradients(count, size=16):
    """Different small pictures."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, size, size)).astype(np.uint8)


def folder(path, count=4, size=16):
    """A folder of pictures `0.png`, ... with their labels beside it."""
    inner = path / "images"
    inner.mkdir()
    for at, pixels in enumerate(gradients(count, size)):
        picture(inner / f"{at}.png", pixels)
    lines = ["file,patient_id,finding", *(f"{at}.png,P{at // 2},{LABEL.levels[at % 2]}" for at in range(count))]
    (path / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return inner


def synthetic(count=3, *, mask=False, first=0):
    """A batch of images that a generator could have drawn."""
    rng = np.random.default_rng(first)
    declared = ImageFormat(8, 12, mask=mask)
    pixels = rng.uniform(-1, 1, (count, *declared.shape)).astype(np.float32)
    if mask:
        pixels[:, 1] = np.where(pixels[:, 1] > 0, 1, -1)
    return declared, Batch(pixels, {"finding": [LABEL.levels[at % 2] for at in range(count)]})

"""The same pixels come back from every encoding, with all their bits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import image_kit as kit
from wardgan.imaging import ImageFormat, Reason
from wardgan.imaging.dicom import Header, read_header
from wardgan.imaging.streams import stream_size

ASK = ImageFormat(8, 8)
EXACT = ["RLELossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_all_steps_of_brightness_are_kept(tmp_path, bits):
    top = (1 << bits) - 1
    pixels = kit.ramp(20, 24, top)
    found = kit.read_dicom(kit.dicom(tmp_path / "a.dcm", pixels, bits=bits), ASK)
    assert found.dtype == np.float32
    assert np.array_equal(np.rint(found.astype(float) * top), pixels)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", EXACT)
def test_a_compressed_file_holds_the_same_pixels(tmp_path, syntax, bits):
    top = (1 << bits) - 1
    pixels = kit.ramp(20, 24, top)
    path = kit.compressed(tmp_path / "a.dcm", pixels, syntax, bits=bits)
    meta = kit.pydicom.dcmread(path).file_meta
    assert meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(np.rint(kit.read_dicom(path, ASK).astype(float) * top), pixels)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_files_that_pydicom_compressed_hold_the_same_pixels(tmp_path, syntax):
    pixels = kit.ramp(40, 48)
    dataset = kit.pydicom.dcmread(kit.dicom(tmp_path / "a.dcm", pixels))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(tmp_path / "b.dcm")
    assert np.array_equal(np.rint(kit.read_dicom(tmp_path / "b.dcm", ASK).astype(float) * 4095), pixels)


def test_lossy_jpeg_is_read(tmp_path):
    pixels = kit.ramp(24, 24, 255)
    path = kit.compressed(tmp_path / "a.dcm", pixels, "JPEGBaselineProcess1", bits=8)
    assert np.abs(kit.read_dicom(path, ASK) * 255 - pixels).max() <= 3


def test_high_throughput_jpeg_2000_is_read(tmp_path):
    found = kit.read_dicom(kit.htj2k(tmp_path / "a.dcm"), ASK)
    rows, columns = np.mgrid[0:16, 0:12]
    assert np.array_equal(np.rint(found.astype(float) * 4095), 200 * rows + 30 * columns)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_implicit_and_deflated_files_are_read(tmp_path, syntax):
    pixels = kit.ramp(20, 24)
    dataset = kit.with_pixels(kit.header(), pixels)
    path = kit.save(tmp_path / "a.dcm", dataset, syntax)
    assert np.array_equal(np.rint(kit.read_dicom(path, ASK).astype(float) * 4095), pixels)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"NumberOfFrames": 2}, Reason.FRAMES),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, Reason.COLOUR),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.COLOUR),
        ({"BurnedInAnnotation": "YES"}, Reason.BURNED_IN),
        ({"PresentationIntentType": "FOR PROCESSING"}, Reason.INTENT),
        ({"Rows": 60000, "Columns": 60000}, Reason.LARGE),
        ({"Rows": 8193, "Columns": 8192}, Reason.LARGE),
        ({"Rows": None}, Reason.NO_PIXELS),
        ({"BitsAllocated": 32}, Reason.DEEP),
        ({"BitsStored": 17}, Reason.DEEP),
        ({"BitsStored": 0}, Reason.DEEP),
    ],
)
def test_what_cannot_be_used_has_a_reason_before_anything_is_decoded(tmp_path, more, reason):
    dataset = kit.with_pixels(kit.header(), kit.ramp())
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    path = kit.save(tmp_path / "a.dcm", dataset)
    assert read_header(path, ASK) == reason


def test_the_declared_intent_is_taken(tmp_path):
    processing = ImageFormat(8, 8, intent="processing")
    for intent, declared in (("PROCESSING", processing), ("PRESENTATION", ASK)):
        path = kit.dicom(tmp_path / f"{intent}.dcm", PresentationIntentType=f"FOR {intent}")
        assert isinstance(read_header(path, declared), Header)
        assert read_header(path, ASK if declared is processing else processing) == Reason.INTENT
        assert isinstance(read_header(path), Header)
    path = kit.dicom(tmp_path / "none.dcm", BurnedInAnnotation="NO")
    assert isinstance(read_header(path, ASK), Header)
    assert isinstance(read_header(path, processing), Header)


def test_a_header_says_what_links_need(tmp_path):
    found = read_header(kit.dicom(tmp_path / "a.dcm", SOPInstanceUID="1.2.3", PatientID=" P7 ", SyntheticData="YES"))
    assert (found.uid, found.patient_id, found.accession) == ("1.2.3", "P7", kit.CANARY)
    assert (found.rows, found.columns, found.bits) == (16, 12, 12)
    assert (found.modality, found.photometric, found.synthetic, found.windowed) == ("MG", "MONOCHROME2", True, False)
    assert kit.CANARY not in repr(found)


def test_a_stream_that_promises_another_size_never_meets_a_decoder(tmp_path):
    for syntax in ("JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1"):
        path = kit.compressed(tmp_path / f"{syntax}.dcm", kit.ramp(20, 24), syntax)
        dataset = kit.pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = 24, 20
        dataset.save_as(path)
        assert kit.read_dicom(path, ASK) == Reason.UNREADABLE


def test_the_size_in_a_stream_is_read():
    assert stream_size(kit.HTJ2K) == (16, 12)
    boxed = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c" + kit.HTJ2K
    assert stream_size(boxed) == (16, 12)
    frame = b"\xff\xc3\0\x0b\x0c\x01\x02\x03\x04\x01\x01\x11\0"
    assert stream_size(b"\xff\xd8" + frame) == (0x102, 0x304)
    assert stream_size(b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xff\x01" + frame) == (0x102, 0x304)
    assert stream_size(b"\xff\xd8\xff\xc4\0\x04ab" + frame) == (0x102, 0x304)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\xff\xff", b"jp2c", b"\xff\x4f\xff\x51\0", b"abcdefgh"],
)
def test_what_is_no_stream_has_no_size(data):
    assert stream_size(data) is None


def test_every_cut_of_a_stream_is_read_without_an_error():
    for end in range(len(kit.HTJ2K)):
        assert stream_size(kit.HTJ2K[:end]) in (None, (16, 12))


@pytest.mark.parametrize("keep", [10, 140, 400, 0.5, 0.9, -2])
def test_a_truncated_file_is_unreadable(tmp_path, keep):
    path = kit.dicom(tmp_path / "a.dcm")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    header = read_header(path, ASK)
    found = kit.read_dicom(path, ASK) if isinstance(header, Header) else header
    assert found in (Reason.UNREADABLE, Reason.NO_PIXELS)


def test_a_file_without_pixels_is_no_image(tmp_path):
    dataset = kit.with_pixels(kit.header(), kit.ramp())
    del dataset.PixelData
    assert kit.read_dicom(kit.save(tmp_path / "a.dcm", dataset), ASK) == Reason.NO_PIXELS


def test_values_that_break_the_standard_raise_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = kit.dicom(tmp_path / "a.dcm", WindowCenter=100, WindowWidth=50)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"100.0 ", b"1O0.0 "))
    assert kit.read_dicom(path, ASK) == Reason.UNREADABLE


def test_a_mask_in_dicom_is_inside_where_it_is_not_zero(tmp_path):
    mask = kit.ramp() > 2000
    assert np.array_equal(kit.read_dicom_mask(kit.dicom(tmp_path / "a.dcm", mask * 3)), mask)
    assert kit.read_dicom_mask(kit.dicom(tmp_path / "b.dcm", mask, NumberOfFrames=2)) == Reason.FRAMES

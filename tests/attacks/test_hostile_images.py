"""Image files that were made to harm: refused before anything is decoded, and never with another error than ours."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import image_kit as kit
from wardgan.errors import DataError
from wardgan.imaging import ImageFormat, Reason, load_images
from wardgan.imaging import dicom as dicom_module
from wardgan.imaging.dicom import Header, read_header
from wardgan.imaging.found import listed
from wardgan.imaging.pictures import PictureFacts, picture_facts, read_mask, read_picture

ASK = ImageFormat(8, 8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *more):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 10_000), (8193, 8192), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_many_megapixels_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "a.png"
    path.write_bytes(png(*size))
    assert picture_facts(path) == read_picture(path, "dicom") == read_mask(path) == Reason.LARGE


def test_the_limit_is_64_megapixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(8192, 8192))
    assert picture_facts(path) == PictureFacts(8192, 8192, 8, synthetic=False)


def test_a_tiff_of_many_megapixels_is_refused_by_its_header(tmp_path):
    entries = [
        (256, 4, 20_000),
        (257, 4, 20_000),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, 20_000),
        (279, 4, 4),
    ]
    body = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
    )
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + body + bytes(8))
    assert read_picture(path, "dicom") == Reason.LARGE


def test_a_text_chunk_that_inflates_is_refused(tmp_path):
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50 << 20)))
    path = tmp_path / "a.png"
    path.write_bytes(png(16, 16, text))
    assert read_picture(path, "dicom") == Reason.UNREADABLE


def test_a_header_of_100_megapixels_is_refused_before_decoding(tmp_path):
    for rows, columns in ((10_000, 10_000), (65535, 65535)):
        dataset = kit.with_pixels(kit.header(), kit.ramp())
        dataset.Rows, dataset.Columns = rows, columns
        assert read_header(kit.save(tmp_path / "a.dcm", dataset), ASK) == Reason.LARGE


def test_a_deflated_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    dataset = kit.with_pixels(kit.header(), kit.ramp())
    dataset.add_new(0x00420011, "OB", bytes(4 << 20))
    path = kit.save(tmp_path / "a.dcm", dataset, "1.2.840.10008.1.2.1.99")
    assert path.stat().st_size < 1 << 16
    assert isinstance(read_header(path, ASK), Header)
    monkeypatch.setattr(dicom_module, "MAX_FILE", 1 << 20)

    def inflated(*_, **__):
        pytest.fail("it was inflated whole")

    monkeypatch.setattr("pydicom.filereader.read_partial", inflated)
    assert read_header(path, ASK) == Reason.LARGE


def test_a_huge_file_is_not_read(tmp_path):
    for name, start in (("a.dcm", kit.dicom(tmp_path / "b.dcm").read_bytes()), ("a.png", png(16, 16))):
        path = tmp_path / name
        path.write_bytes(start)
        with path.open("r+b") as file:
            file.truncate((512 << 20) + 1)  # sparse: no disk is used
    assert read_header(tmp_path / "a.dcm", ASK) == Reason.LARGE
    assert picture_facts(tmp_path / "a.png") == Reason.LARGE


def test_sequences_without_end_are_refused(tmp_path):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + item
    data = kit.dicom(tmp_path / "a.dcm").read_bytes()
    end = 144 + struct.unpack("<I", data[140:144])[0]
    (tmp_path / "b.dcm").write_bytes(data[:end] + sequence * 5000)
    assert read_header(tmp_path / "b.dcm", ASK) in (Reason.UNREADABLE, Reason.NO_PIXELS)


def test_links_lead_nowhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    kit.dicom(outside / "a.dcm")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "file.dcm").symlink_to(outside / "a.dcm")
    (folder / "folder").symlink_to(outside)
    (folder / "round").symlink_to(folder)
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    assert [(file.name, file.kind) for file in listed(folder)] == [
        (name, "link") for name in ("file.dcm", "folder", "gone.png", "round")
    ]
    with pytest.raises(DataError, match="4 images: a symbolic link"):
        load_images(folder, ASK)


def npy(shape, descr="|u1", data=b"", fortran=False):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": fortran, "shape": shape})
    return out.getvalue() + data


def zipped(path, members, **more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **more) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("images.npy", npy((10**9, 256, 256)))], "not as long as its header says"),
        ([("images.npy", npy((2, 16, 16), data=bytes(511)))], "not as long as its header says"),
        ([("images.npy", npy((2, 16, 16), data=bytes(513)))], "not as long as its header says"),
        ([("images.npy", npy((-2, -16, 16), data=bytes(512)))], "not as long as its header says"),
        ([("images.npy", npy((1, 10_000, 10_000), data=bytes(10**8)))], "more than 64 megapixels"),
        ([("images.npy", npy((2, 0, 16)))], "no pixel"),
        ([("images.npy", b"\x80\x04K\x01.")], "no NPZ file, or is damaged"),
        ([("images.npy", npy((1,), descr="|O", data=b"\x80\x04]\x94K\x01a."))], "Python objects"),
        ([("images.npy", b"\x93NUMPY\x03\x00" + bytes(100))], "unknown version"),
        ([("images.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535)], "no NPZ file, or is damaged"),
        ([("images.npy", b"")], "no NPZ file, or is damaged"),
        ([(f"{at}.npy", b"") for at in range(65)], "it has 65 members"),
    ],
)
def test_an_npz_that_lies_is_refused(tmp_path, members, says):
    with pytest.raises(DataError, match=says):
        load_images(zipped(tmp_path / "a.npz", members), ASK)


def test_a_zip_bomb_of_valid_images_is_refused_by_its_size(tmp_path, monkeypatch):
    # A million images of 64 bytes each compress to nothing; the array of results would not.
    data = npy((1_000_000, 8, 8), data=bytes(64_000_000))
    path = zipped(tmp_path / "a.npz", [("images.npy", data)])
    assert path.stat().st_size < 100_000
    monkeypatch.setattr("wardgan.imaging.read.MAX_RESULT", 1 << 27)
    with pytest.raises(DataError, match="need more than"):
        load_images(path, ASK)


def test_members_that_occur_twice_or_are_encrypted_are_refused(tmp_path):
    good = npy((2, 16, 16), data=bytes(512))
    path = tmp_path / "a.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(path, [("images.npy", good), ("images.npy", good)])
    with pytest.raises(DataError, match="occurs twice"):
        load_images(path, ASK)
    with pytest.raises(DataError, match="occurs twice"):
        load_images(zipped(path, [("images.npy", good), ("images", good)]), ASK)
    data = bytearray(zipped(path, [("images.npy", good)]).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        load_images(path, ASK)


class Originals(tuple):
    """Good files, and a folder for damaged ones."""

    __slots__ = ()

    def __new__(cls, *parts):
        return super().__new__(cls, parts)

    def __repr__(self):
        return "Originals()"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One good file of each kind, and where a damaged one is put."""
    home = tmp_path_factory.mktemp("originals")
    pixels = kit.ramp(40, 36)
    files = [kit.dicom(home / "plain.dcm", pixels, WindowCenter=2000, WindowWidth=4000), kit.htj2k(home / "ht.dcm")]
    for syntax in ("RLELossless", "JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1"):
        files.append(kit.compressed(home / f"{syntax}.dcm", pixels, syntax))
    files.append(kit.save(home / "deflated.dcm", kit.with_pixels(kit.header(), pixels), "1.2.840.10008.1.2.1.99"))
    files += [kit.picture(home / f"a.{end}", pixels.astype(np.uint8)) for end in ("png", "tif", "jpg")]
    files.append(kit.picture(home / "lzw.tif", pixels.astype(np.uint16), compression="tiff_lzw"))
    np.savez_compressed(home / "a.npz", images=kit.gradients(3), labels=[0, 1, 0], patients=["a", "b", "c"])
    return Originals(
        [path.read_bytes() for path in files], (home / "a.npz").read_bytes(), tmp_path_factory.mktemp("bad")
    )


def damaged(data, edits, cut):
    out = bytearray(data)
    for at, value in edits:
        out[int(at * len(out)) % len(out)] = value
    return bytes(out[: max(1, int(cut * len(out)))])


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8)
CUTS = st.just(1.0) | st.floats(0, 1)


@settings(deadline=None)
@given(st.integers(0, 10), EDITS, CUTS)
def test_a_damaged_file_is_read_or_has_a_reason(originals, which, edits, cut):
    files, _, folder = originals
    path = folder / "image"
    path.write_bytes(damaged(files[which], edits, cut))
    if path.read_bytes()[128:132] == b"DICM":
        header = read_header(path, ASK)
        found = kit.read_dicom(path, ASK) if isinstance(header, Header) else header
    else:
        found = read_picture(path, "dicom")
    assert isinstance(found, Reason) or (found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1)


def test_numbers_of_a_wrong_length_are_unreadable(tmp_path):
    path = kit.dicom(tmp_path / "a.dcm")
    good = path.read_bytes()
    for tag in (b"\x02\0\0\0UL\x04\0", b"(\0\x10\0US\x02\0", b"(\0\x11\0US\x02\0"):
        assert tag in good
        path.write_bytes(good.replace(tag, tag[:6] + b"\x03\0"))
        header = read_header(path, ASK)
        found = kit.read_dicom(path, ASK) if isinstance(header, Header) else header
        assert found in (Reason.UNREADABLE, Reason.NO_PIXELS)


@settings(deadline=None)
@given(EDITS, CUTS)
def test_a_damaged_npz_is_read_or_refused(originals, edits, cut):
    _, data, folder = originals
    path = folder / "a.npz"
    path.write_bytes(damaged(data, edits, cut))
    try:
        found = load_images(path, ASK, columns=(kit.LABEL,), invalid="drop")
    except DataError:
        return
    assert np.abs(found.pixels).max() <= 1

"""Nothing that a header says of a patient gets anywhere, and the libraries are asked for only when needed."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
import zipfile

import numpy as np
import pandas as pd
import pytest

import image_kit as kit
from wardgan.errors import DataError, OutputError, WardganError
from wardgan.imaging import (
    Batch,
    ImageFormat,
    ImageNames,
    Reason,
    draft_format,
    load_images,
    write_dicom,
    write_npz,
    write_png,
)

ASK = ImageFormat(8, 8, window="percentile")


def clinic(path):
    """Images whose headers hold the canary wherever a text can be; some of them are damaged in the middle of one."""
    for at in range(3):
        kit.dicom(path / f"{at}.dcm", SOPInstanceUID=f"1.2.{at}")
    broken = kit.dicom(path / "3.dcm", WindowCenter=100, WindowWidth=50)
    broken.write_bytes(broken.read_bytes().replace(b"100.0", kit.CANARY[:5].encode()))
    frames = kit.dicom(path / "4.dcm", NumberOfFrames=12)
    frames.write_bytes(frames.read_bytes().replace(b"12\x28", kit.CANARY[:2].encode() + b"\x28"))
    data = kit.dicom(path / "5.dcm").read_bytes()
    for cut in (200, 350, 600, len(data) // 2, len(data) - 3):
        (path / f"cut{cut}.dcm").write_bytes(data[:cut])
    kit.dicom(path / "6.dcm", BurnedInAnnotation="YES")
    return path


def texts_of(error):
    """Everything that a person could see of an error, and everything that hangs on it."""
    found, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found += [repr(error), str(error), "".join(traceback.format_exception(error))]
        error = error.__cause__ or error.__context__
    return found


def test_no_result_and_no_message_holds_a_header(tmp_path, capfd, caplog, recwarn):
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "in"
    folder.mkdir()
    clinic(folder)
    said = []
    with pytest.raises(DataError) as error:
        load_images(folder, ASK)
    said += texts_of(error.value)
    labels = pd.DataFrame({"SOPInstanceUID": ["1.2.0", "1.2.1", "1.2.9"], "finding": ["benign", "malignant", "benign"]})
    found = load_images(folder, ASK, labels=labels, columns=(kit.LABEL,), invalid="drop")
    assert found.report.read == 2
    said += [
        repr(found),
        str(found),
        repr(found.report),
        *found.report.lines(),
        repr(found.patients),
        repr(found.labels),
    ]
    said += [repr(draft_format(folder))]
    said += [caplog.text, *map(str, recwarn.list), *capfd.readouterr()]
    assert [text for text in said if kit.CANARY.lower() in text.lower() or kit.CANARY[:5] in text] == []
    assert found.patients.dtype == np.int64
    assert kit.CANARY not in repr([value for name, value in vars(found).items() if name != "pixels"])


def test_names_of_files_are_in_the_report_alone(tmp_path):
    kit.dicom(tmp_path / "good.dcm")
    kit.dicom(tmp_path / f"{kit.CANARY}.dcm", BurnedInAnnotation="YES")
    (tmp_path / f"{kit.CANARY}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"no image")
    with pytest.raises(DataError) as error:
        load_images(tmp_path, ASK)
    assert [text for text in texts_of(error.value) if kit.CANARY in text] == []
    found = load_images(tmp_path, ASK, invalid="drop")
    assert kit.CANARY not in repr(found) + repr(found.report) + "".join(found.report.lines())
    assert any(kit.CANARY in name for name, _ in found.report.left_out)


def test_the_list_of_skipped_files_is_for_its_owner_alone(tmp_path):
    (tmp_path / "in").mkdir()
    kit.dicom(tmp_path / "in" / "good.dcm")
    for at in range(9):
        kit.dicom(tmp_path / "in" / f"{kit.CANARY}, {at}.dcm", BurnedInAnnotation="YES")
    (tmp_path / "in" / "cut.png").write_bytes(
        (kit.picture(tmp_path / "whole.png", kit.gradients(1)[0])).read_bytes()[:80]
    )
    (tmp_path / "in" / "notes.txt").write_text("x", encoding="utf-8")
    listing = tmp_path / "list.csv"
    with pytest.raises(DataError, match="marked as having text") as error:
        load_images(tmp_path / "in", ASK, skipped=listing)
    assert kit.CANARY not in str(error.value)
    assert listing.stat().st_mode & 0o777 == 0o600
    rows = pd.read_csv(listing)
    assert rows.file.tolist() == ["notes.txt", *(f"{kit.CANARY}, {at}.dcm" for at in range(9)), "cut.png"]
    assert rows.reason[0].startswith("not a DICOM")
    assert set(rows.reason[1:10]) == {str(Reason.BURNED_IN)}
    with pytest.raises(OutputError, match="exists"):
        load_images(tmp_path / "in", ASK, skipped=listing)
    found = load_images(tmp_path / "in", ASK, invalid="drop", skipped=tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == listing.read_bytes()
    found.report.save(tmp_path / "third.csv")
    assert (tmp_path / "third.csv").read_bytes() == listing.read_bytes()


def test_values_that_break_the_standard_are_not_quoted_in_warnings(tmp_path, caplog, capfd, recwarn):
    uid = "1.2.3." + "4" * 9
    path = kit.dicom(tmp_path / "a.dcm", SOPInstanceUID=uid)
    data = path.read_bytes()
    assert data.count(uid.encode()) == 2
    path.write_bytes(data.replace(uid.encode(), kit.CANARY.encode()))
    caplog.set_level(logging.DEBUG)
    found = load_images(tmp_path, ASK)
    assert found.report.read == 1
    said = [caplog.text, *map(str, recwarn.list), *capfd.readouterr(), repr(found), *found.report.lines()]
    assert [text for text in said if kit.CANARY in text] == []


@pytest.mark.parametrize("damage", ["keys", "bytes"])
def test_a_damaged_npz_is_not_quoted(tmp_path, damage):
    path, name = tmp_path / "a.npz", kit.CANARY[:7].encode()
    np.savez(path, images=kit.gradients(2))
    if damage == "bytes":
        path.write_bytes(path.read_bytes().replace(b"'descr'", name))
    else:
        with zipfile.ZipFile(path) as archive:
            array = archive.read("images.npy")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", array.replace(b"'descr'", b"'" + name[:5] + b"'"))
    with pytest.raises(DataError, match="no NPZ file, or is damaged") as error:
        load_images(path, ASK)
    assert [text for text in texts_of(error.value) if kit.CANARY[:5] in text] == []


def test_cells_of_the_labels_are_never_repeated(tmp_path):
    folder = kit.folder(tmp_path)
    labels = pd.read_csv(tmp_path / "labels.csv").assign(patient_id=kit.CANARY, finding=kit.CANARY)
    for names in (None, ImageNames(patient="finding"), ImageNames(key="patient_id")):
        with pytest.raises(WardganError) as error:
            load_images(folder, ASK, labels=labels, columns=(kit.LABEL,), names=names)
        assert [text for text in texts_of(error.value) if kit.CANARY in text] == []


def test_no_written_file_holds_a_header(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(3):
        kit.dicom(folder / f"{at}.dcm")
    found = load_images(folder, ASK)
    batch = Batch(found.pixels, {"finding": ["benign"] * 3})
    for name, write in (("png", write_png), ("dcm", write_dicom)):
        write([batch], tmp_path / name, found.format, kit.ORIGIN)
    write_npz([batch], tmp_path / "out.npz", found.format, kit.ORIGIN)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != folder]
    assert len(files) == 1 + 7 + 4
    assert [path for path in files if kit.CANARY.encode() in path.read_bytes()] == []
    with np.load(tmp_path / "out.npz") as arrays:
        assert all(kit.CANARY not in str(arrays[name]) for name in arrays)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_libraries_are_imported_when_they_are_needed():
    heavy = "('pydicom', 'PIL', 'gdcm', 'openjpeg', 'torch')"
    code = f"import sys, wardgan.imaging\nprint([name for name in {heavy} if name in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.parametrize("absent", ["pydicom", "PIL", "gdcm"])
def test_without_them_people_are_told_what_to_install(tmp_path, absent):
    for at, pixels in enumerate(kit.gradients(1)):
        kit.picture(tmp_path / f"{at}.png", pixels)
    kit.compressed(tmp_path / "a.dcm", kit.ramp(), "RLELossless")
    code = f"""
import sys
sys.modules[{absent!r}] = None
from wardgan.errors import UsageError
from wardgan.imaging import ImageFormat, load_images
try:
    load_images({str(tmp_path)!r}, ImageFormat(8, 8))
except UsageError as error:
    print(error)
"""
    assert run(code) == f"Image files need {absent}. Install it with: pip install 'wardgan[images]'"


def test_an_npz_needs_no_library_for_images(tmp_path):
    np.savez(tmp_path / "a.npz", images=kit.gradients(2))
    code = f"""
import sys
sys.modules.update(dict.fromkeys(("pydicom", "PIL", "gdcm")))
from wardgan.imaging import Batch, ImageFormat, Origin, load_images, write_npz
found = load_images({str(tmp_path / "a.npz")!r}, ImageFormat(8, 8))
print(write_npz([Batch(found.pixels)], {str(tmp_path / "b.npz")!r}, found.format, Origin("sha256:" + "0" * 64, 1, None)))
"""
    assert run(code) == "2"

"""Folders of images with their labels: what is read, what is left out and why, and who is one patient."""

from __future__ import annotations

import os
import struct

import numpy as np
import pandas as pd
import pytest

import image_kit as kit
from wardgan.errors import DataError, SchemaError, UsageError
from wardgan.imaging import ImageFormat, ImageNames, Reason, load_images
from wardgan.schema.columns import Column

ASK = ImageFormat(8, 8)
COLUMNS = (kit.LABEL,)
FLAG = Column("operated", "flag", label=True)


def means(pixels):
    """The pictures of the kit at half of their size, by blocks."""
    return pixels.reshape(len(pixels), 8, 2, 8, 2).mean(axis=(2, 4)) / 127.5 - 1


def test_a_folder_with_labels(tmp_path):
    folder = kit.folder(tmp_path)
    found = load_images(folder, ASK, labels=tmp_path / "labels.csv", columns=COLUMNS)
    assert found.pixels.shape == (4, 1, 8, 8)
    assert found.pixels.dtype == np.float32
    assert np.allclose(found.pixels[:, 0], means(kit.gradients(4)), atol=1e-6)
    assert found.labels["finding"].tolist() == [0, 1, 0, 1]
    assert found.labels["finding"].dtype == found.patients.dtype == np.int64
    assert found.patients.tolist() == [0, 0, 1, 1]
    assert (found.report.read, found.report.patients) == (4, 2)
    assert found.report.source_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert not found.report.skipped
    assert repr(found) == "Images(8 x 8, labels: finding)"
    assert repr(found.report) == "ReadReport(it stays in the hospital)"


def test_a_folder_without_labels(tmp_path):
    found = load_images(kit.folder(tmp_path), ASK)
    assert found.labels == {}
    assert found.patients.tolist() == [0, 1, 2, 3]
    assert "each of them counts as one patient" in found.report.notices[0]
    assert found.report.lines()[0] == "4 images of 4 patients read."


def test_progress_is_told(tmp_path):
    seen = []
    load_images(kit.folder(tmp_path), ASK, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_files_of_all_kinds_are_read_alike(tmp_path):
    deep = kit.ramp(16, 16, 65535).astype(np.uint16)
    flat = (deep >> 8).astype(np.uint8)
    (tmp_path / "inner" / "deeper").mkdir(parents=True)
    kit.picture(tmp_path / "a.png", deep)
    kit.picture(tmp_path / "b.tif", deep)
    kit.picture(tmp_path / "inner" / "c.PNG", flat, format="PNG")
    kit.picture(tmp_path / "inner" / "deeper" / "d", flat, format="TIFF")
    kit.picture(tmp_path / "inner" / "e.jpeg", flat, quality=100)
    kit.dicom(tmp_path / "f", deep, bits=16)
    kit.dicom(tmp_path / "g.dcm", flat, bits=8)
    (tmp_path / "h.csv").write_text("no image", encoding="utf-8")
    (tmp_path / ".DS_Store").write_bytes(b"no image")
    found = load_images(tmp_path, ASK)
    assert found.report.other_files == 2
    assert len(found.pixels) == 7
    assert np.abs(found.pixels - found.pixels[0]).max() < 0.02
    assert np.abs(found.pixels[1] - found.pixels[0]).max() < 1e-6
    assert len(np.unique(found.pixels[0])) == 64


def tiff(path, pixels, bits, photometric):
    """An uncompressed TIFF of 12 or 16 bits, by hand."""
    height, width = pixels.shape
    if bits == 12:
        text = "".join(f"{value:012b}" for value in pixels.ravel())
        data = int(text, 2).to_bytes(len(text) // 8, "big")
    else:
        data = pixels.astype("<u2").tobytes()
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height),
               (279, len(data))]  # fmt: skip
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    path.write_bytes(head + body + bytes(4))


@pytest.mark.parametrize(("bits", "photometric"), [(12, 1), (16, 1), (16, 0)])
def test_a_tiff_of_many_bits_is_read_by_its_tags(tmp_path, bits, photometric):
    top = (1 << bits) - 1
    pixels = kit.ramp(16, 16, top)
    tiff(tmp_path / "a.tif", pixels, bits, photometric)
    found = load_images(tmp_path, ImageFormat(16, 16)).pixels[0, 0].astype(float)
    wanted = 2 * pixels / top - 1
    assert np.allclose(found, -wanted if photometric == 0 else wanted, rtol=0, atol=1e-6)


def test_a_tiff_in_floating_point_needs_a_window(tmp_path):
    kit.picture(tmp_path / "a.tif", np.linspace(0, 2, 256).reshape(16, 16).astype(np.float32))
    with pytest.raises(DataError, match="floating-point pixels without a declared window"):
        load_images(tmp_path, ASK)
    found = load_images(tmp_path, ImageFormat(8, 8, window=(0, 2)))
    assert found.pixels.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("key", ["file", "Image", "SOPInstanceUID", "sop_instance_uid", "AccessionNumber", "PatientID"])
def test_the_key_is_known_by_its_name(tmp_path, key):
    rows = []
    for at in range(3):
        uid, visit, person = f"1.2.{at}", f"A{at}", f"P{at}"
        kit.dicom(tmp_path / f"{at}.dcm", SOPInstanceUID=uid, AccessionNumber=visit, PatientID=person)
        by = {
            "file": f"{at}.dcm",
            "image": str(at),
            "sopinstanceuid": uid,
            "accessionnumber": visit,
            "patientid": person,
        }
        rows.append({key: by[key.lower().replace("_", "")], "finding": kit.LABEL.levels[at % 2]})
    found = load_images(tmp_path, ASK, labels=pd.DataFrame(rows[::-1]), columns=COLUMNS)
    assert found.labels["finding"].tolist() == [0, 1, 0]
    assert found.patients.tolist() == [0, 1, 2]


def test_a_key_of_another_name_can_be_told(tmp_path):
    kit.dicom(tmp_path / "a.dcm", AccessionNumber="77")
    labels = pd.DataFrame({"study": [77], "finding": ["malignant"]})
    found = load_images(tmp_path, ASK, labels=labels, columns=COLUMNS, names=ImageNames(key="study=AccessionNumber"))
    assert found.labels["finding"].tolist() == [1]
    with pytest.raises(DataError, match="no image can be used: 1 image without a row"):
        load_images(tmp_path, ASK, labels=labels, columns=COLUMNS, names=ImageNames(key="study"))
    with pytest.raises(DataError, match="key='study=Visit' ends in none of =file, =SOPInstanceUID"):
        load_images(tmp_path, ASK, labels=labels, columns=COLUMNS, names=ImageNames(key="study=Visit"))
    with pytest.raises(DataError, match="no column is known to link rows"):
        load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)


@pytest.mark.parametrize("text", ["left/0.png", "left/0", "0.png", "0", ".\\left\\0.png", " left/0.png "])
def test_a_file_can_be_written_in_many_ways(tmp_path, text):
    (tmp_path / "left").mkdir()
    kit.picture(tmp_path / "left" / "0.png", kit.gradients(1)[0])
    labels = pd.DataFrame({"file": [text], "finding": ["malignant"]})
    assert load_images(tmp_path, ASK, labels=labels, columns=COLUMNS).labels["finding"].tolist() == [1]


def test_a_row_for_two_files_is_refused(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        kit.picture(tmp_path / side / "0.png", kit.gradients(1)[0])
    labels = pd.DataFrame({"file": ["0.png"], "finding": ["malignant"]})
    with pytest.raises(DataError, match=r"one file answers to each row; broken once \(row 1\)"):
        load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)


def test_an_examination_or_a_patient_may_have_several_images(tmp_path):
    for at in range(4):
        kit.dicom(tmp_path / f"{at}.dcm", PatientID=f"P{at // 2}", AccessionNumber=f"A{at % 2}")
    labels = pd.DataFrame({"PatientID": ["P0", "P1"], "finding": ["malignant", "benign"]})
    found = load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)
    assert found.labels["finding"].tolist() == [1, 1, 0, 0]
    assert found.patients.tolist() == [0, 0, 1, 1]
    labels = pd.DataFrame({"AccessionNumber": ["A0", "A1"], "finding": ["malignant", "benign"]})
    found = load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)
    assert found.labels["finding"].tolist() == [1, 0, 1, 0]
    assert found.patients.tolist() == [0, 0, 1, 1]


def test_the_patient_column_counts_before_patient_id(tmp_path):
    for at in range(3):
        kit.dicom(tmp_path / f"{at}.dcm", PatientID="the same")
    labels = pd.DataFrame({"file": ["0", "1", "2"], "who": ["x", "y", "x "], "finding": ["benign"] * 3})
    by_id = load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)
    assert by_id.patients.tolist() == [0, 0, 0]
    assert by_id.report.notices == ("PatientID of the DICOM files says whose an image is.",)
    named = load_images(tmp_path, ASK, labels=labels, columns=COLUMNS, names=ImageNames(patient="who"))
    assert named.patients.tolist() == [0, 1, 0]
    assert "1 PatientID of the DICOM files has images of several patients" in named.report.notices[0]
    with pytest.raises(DataError, match=r"say in the schema \(patient:\) which one does"):
        load_images(tmp_path, ASK, labels=labels.rename(columns={"who": "Patient_ID"}), columns=COLUMNS)
    same = labels.assign(Patient_ID="z").drop(columns="who")
    guessed = load_images(tmp_path, ASK, labels=same, columns=COLUMNS)
    assert guessed.patients.tolist() == [0, 0, 0]
    assert "'Patient_ID' was taken for the column" in guessed.report.notices[0]


def test_who_only_counts_needs_no_patient(tmp_path):
    kit.dicom(tmp_path / "a.dcm", PatientID="")
    assert load_images(tmp_path, ASK, names=ImageNames(anyone=True)).patients.tolist() == [0]


def test_an_image_of_nobody_is_refused(tmp_path):
    kit.dicom(tmp_path / "a.dcm", PatientID="")
    with pytest.raises(DataError, match=r"1 image: nothing says whose it is\. Fill PatientID"):
        load_images(tmp_path, ASK)


def test_labels_without_files_and_files_without_labels_are_counted(tmp_path):
    folder = kit.folder(tmp_path)
    labels = pd.read_csv(tmp_path / "labels.csv").iloc[1:]
    labels = pd.concat([labels, labels.assign(file=["x.png", "y.png", "z.png"])])
    found = load_images(folder, ASK, labels=labels, columns=COLUMNS)
    report = found.report
    assert (report.read, report.files_without_labels, report.labels_without_files) == (3, 1, 3)
    assert report.lines() == [
        "3 images of 2 patients read.",
        "1 image without a row of the labels, not read.",
        "3 rows of the labels without an image.",
        "'patient_id' was taken for the column that says whose an image is.",
    ]


def test_a_link_that_was_guessed_wrongly_is_named(tmp_path):
    folder = kit.folder(tmp_path, 3)
    labels = pd.read_csv(tmp_path / "labels.csv").rename(columns={"file": "image"})
    labels["image"] = ["x", "y", "z"]
    with pytest.raises(
        DataError, match=r"3 images without a row of the labels \(the column 'image' was taken .* --key"
    ):
        load_images(folder, ASK, labels=labels, columns=COLUMNS)
    with pytest.raises(DataError, match=r"3 images without a row of the labels\."):
        load_images(folder, ASK, labels=labels, columns=COLUMNS, names=ImageNames(key="image"))


def test_rows_that_break_a_rule_are_refused_or_left_out(tmp_path):
    folder = kit.folder(tmp_path, 6)
    labels = pd.read_csv(tmp_path / "labels.csv")
    labels.loc[1, "finding"] = "unknown level"
    labels.loc[2, "finding"] = None
    labels.loc[3, "patient_id"] = None
    labels.loc[5, "file"] = "4.png"
    with pytest.raises(DataError) as error:
        load_images(folder, ASK, labels=labels, columns=COLUMNS)
    said = str(error.value)
    for line in (
        "labels: file: each key has one row; broken 2 times (row 5, 6).",
        "labels: finding: the level is not declared; broken once (row 2).",
        "labels: finding: no cell is missing; broken once (row 3).",
        "labels: patient_id: every row says whose it is; broken once (row 4).",
    ):
        assert line in said
    assert "unknown level" not in said
    assert ".png" not in said
    found = load_images(folder, ASK, labels=labels, columns=COLUMNS, invalid="drop")
    assert found.report.skipped == {Reason.LABELS: 4}
    assert "labels: finding: the level is not declared; broken once (row 2)." in "\n".join(found.report.notices)
    assert [name for name, reason in found.report.left_out if reason == Reason.LABELS] == [
        "1.png",
        "2.png",
        "3.png",
        "4.png",
    ]
    assert [name for name, reason in found.report.left_out if "no row" in reason] == ["5.png"]
    assert found.report.files_without_labels == 1
    assert len(found.pixels) == 1


def hospital(path):
    """A folder with every kind of image that cannot be used, and two that can."""
    kit.dicom(path / "good.dcm")
    kit.picture(path / "good.png", kit.gradients(1)[0])
    kit.dicom(path / "frames.dcm", NumberOfFrames=3)
    colour = np.zeros((16, 16, 3), dtype=np.uint8)
    kit.picture(path / "colour.png", colour)
    kit.picture(path / "palette.tif", np.zeros((16, 16), dtype=np.uint8))
    palette = kit.Image.open(path / "palette.tif").convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(path / "palette.tif")
    kit.dicom(path / "burned.dcm", BurnedInAnnotation="YES")
    kit.dicom(path / "raw.dcm", PresentationIntentType="FOR PROCESSING")
    kit.dicom(path / "small.dcm", kit.ramp(6, 5))
    kit.picture(path / "small.png", kit.gradients(1, 7)[0])
    kit.dicom(path / "copy.dcm", SOPInstanceUID="1.2.3")
    kit.dicom(path / "copy2.dcm", SOPInstanceUID="1.2.3")
    dataset = kit.header()
    kit.save(path / "report.dcm", dataset)
    data = kit.dicom(path / "cut.dcm").read_bytes()
    (path / "cut.dcm").write_bytes(data[:-20])
    (path / "cut.png").write_bytes((path / "good.png").read_bytes()[:60])
    (path / "text.dcm").write_text("no image", encoding="utf-8")
    frames = [kit.Image.fromarray(pixels) for pixels in kit.gradients(2)]
    frames[0].save(path / "pages.tif", save_all=True, append_images=frames[1:])
    kit.picture(path / "wide.tif", np.full((16, 16), 70000, dtype=np.int32))
    os.symlink(path / "good.png", path / "link.png")
    os.symlink("/", path / "all")
    return path


WRONG = {
    Reason.FRAMES: {"frames.dcm", "pages.tif"},
    Reason.COLOUR: {"colour.png", "palette.tif"},
    Reason.BURNED_IN: {"burned.dcm"},
    Reason.INTENT: {"raw.dcm"},
    Reason.SMALL: {"small.dcm", "small.png"},
    Reason.TWICE: {"copy2.dcm"},
    Reason.NO_PIXELS: {"report.dcm"},
    Reason.UNREADABLE: {"cut.dcm", "cut.png", "text.dcm"},
    Reason.LINK: {"link.png", "all"},
    Reason.DEEP: {"wide.tif"},
}


def test_what_cannot_be_used_is_left_out_and_listed_with_its_reason(tmp_path):
    found = load_images(hospital(tmp_path), ASK, invalid="drop")
    assert set(found.report.left_out) == {(name, reason) for reason, names in WRONG.items() for name in names}
    assert found.report.skipped == {reason: len(names) for reason, names in WRONG.items()}
    assert found.report.read == 3
    assert any("2 images not read: more than one frame." in line for line in found.report.lines())


def test_what_cannot_be_used_is_refused_by_reason_and_never_by_name(tmp_path):
    seen = []
    with pytest.raises(DataError) as error:
        load_images(hospital(tmp_path), ASK, progress=lambda done, total: seen.append(done))
    said = str(error.value)
    assert "- 2 images: more than one frame. Export single frames." in said
    assert "read with invalid='drop'" in said
    assert "wardgan check --skipped FILE lists them" in said
    assert not seen  # refused from the headers, before hours of decoding
    for name in ("frames.dcm", "colour.png", "burned.", "link.png", kit.CANARY):
        assert name not in said


def test_only_what_is_damaged_within_is_found_late(tmp_path):
    kit.dicom(tmp_path / "a.dcm")
    path = kit.dicom(tmp_path / "b.dcm")
    path.write_bytes(path.read_bytes()[:-20])
    labels = pd.DataFrame({"file": ["a", "b"], "finding": ["benign"] * 2})
    with pytest.raises(DataError, match=r"1 image \(row 2 of the labels\): cut off, damaged"):
        load_images(tmp_path, ASK, labels=labels, columns=COLUMNS)


def masked(path, masks):
    folder = kit.folder(path)
    for name, mask in masks.items():
        kit.picture(folder / name, mask)
    labels = pd.read_csv(path / "labels.csv")
    labels["mask"] = [f"{at}-mask.png" for at in range(4)]
    return folder, labels


def test_masks_are_the_last_channel(tmp_path):
    inside = np.zeros((16, 16), dtype=np.uint8)
    inside[4:12, 2:8] = 1  # 1 stands for inside as well as 255
    names = [f"{at}-mask.png" for at in range(4)]
    folder, labels = masked(tmp_path, dict.fromkeys(names, inside))
    declared = ImageFormat(8, 8, mask=True)
    found = load_images(folder, declared, labels=labels, columns=COLUMNS, names=ImageNames(mask="mask"))
    assert found.pixels.shape == (4, 2, 8, 8)
    wanted = np.full((8, 8), -1)
    wanted[2:6, 1:4] = 1
    assert (found.pixels[:, 1] == wanted).all()
    assert np.allclose(found.pixels[:, 0], means(kit.gradients(4)), atol=1e-6)
    assert found.report.files_without_labels == 0
    assert repr(found) == "Images(8 x 8 with masks, labels: finding)"


def test_masks_that_do_not_fit_are_left_out(tmp_path):
    good = np.zeros((16, 16), dtype=np.uint8)
    folder, labels = masked(tmp_path, {"0-mask.png": good, "1-mask.png": np.zeros((16, 15), dtype=np.uint8)})
    kit.picture(folder / "2-mask.png", good, format="JPEG")
    (tmp_path / "3-mask.png").write_bytes((folder / "0-mask.png").read_bytes())
    labels.loc[3, "mask"] = "../3-mask.png"
    ask = {"labels": labels, "columns": COLUMNS, "names": ImageNames(mask="mask"), "invalid": "drop"}
    found = load_images(folder, ImageFormat(8, 8, mask=True), **ask)
    assert set(found.report.left_out) == {
        ("3.png", Reason.NO_MASK), ("1.png", Reason.MASK_SIZE), ("2.png", Reason.BAD_MASK)
    }  # fmt: skip
    assert len(found.pixels) == 1


@pytest.mark.parametrize(
    ("more", "kind", "says"),
    [
        ({"invalid": "clip"}, DataError, "invalid='clip' is not one of refuse, drop"),
        ({"columns": (Column("age", "integer", low=0, high=9),)}, SchemaError, "'age' is no category or flag"),
        ({"columns": (Column("c", "category", learn=True),)}, SchemaError, "declared levels"),
        ({"columns": ("finding",)}, SchemaError, "str is no Column"),
        ({"columns": (kit.LABEL, kit.LABEL)}, SchemaError, "declared twice"),
        ({"columns": (FLAG,)}, DataError, "the column 'operated' is not in the labels"),
        ({"names": ImageNames(patient="who")}, DataError, "names.patient: the column 'who' is not in the labels"),
        ({"names": ImageNames(mask="finding")}, DataError, "a column of masks is named, but no mask declared"),
        ({"declared": ImageFormat(8, 8, mask=True)}, DataError, "no column names the masks"),
        ({"names": ImageNames(key="Finding")}, DataError, r"there is 'finding': capital letters count"),
        ({"labels": None}, DataError, "no labels are given"),
        ({"labels": pd.DataFrame({"file": []})}, DataError, "the table has no row"),
        ({"declared": {"height": 8}}, SchemaError, "dict is no ImageFormat"),
        ({"source": 3}, UsageError, "int is not a path"),
        ({"source": "nowhere"}, DataError, "neither a folder nor an .npz file"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(tmp_path, more, kind, says):
    ask = {
        "source": kit.folder(tmp_path),
        "declared": ASK,
        "labels": tmp_path / "labels.csv",
        "columns": COLUMNS,
        **more,
    }
    with pytest.raises(kind, match=says):
        load_images(ask.pop("source"), ask.pop("declared"), **ask)


def test_names_are_texts():
    with pytest.raises(DataError, match="names: patient is of type int; it is the name of a column"):
        ImageNames(patient=3)


def test_a_mask_belongs_to_one_image(tmp_path):
    kit.dicom(tmp_path / "a.dcm")
    labels = pd.DataFrame({"PatientID": ["P"], "mask": ["a"]})
    with pytest.raises(DataError, match="the key 'PatientID' holds PatientID"):
        load_images(tmp_path, ImageFormat(8, 8, mask=True), labels=labels, names=ImageNames(mask="mask"))


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(DataError, match="no image can be used: there is none"):
        load_images(tmp_path, ASK)
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="1 file of another kind than DICOM"):
        load_images(tmp_path, ASK)


def test_an_array_that_no_machine_holds_is_refused(tmp_path, monkeypatch):
    from wardgan.imaging import read

    monkeypatch.setattr(read, "MAX_RESULT", 4 * 64 * 4 - 1)
    with pytest.raises(DataError, match="declare a smaller height and width"):
        load_images(kit.folder(tmp_path), ASK)


def test_no_image_changes_another_one(tmp_path):
    declared = ImageFormat(8, 8, window="percentile", crop=True, flip=True)
    folder = kit.folder(tmp_path, 6)
    whole = load_images(folder, declared)
    kit.picture(folder / "99.png", np.full((64, 64), 255, dtype=np.uint8) * (np.arange(64) % 2).astype(np.uint8))
    (folder / "0.png").unlink()
    part = load_images(folder, declared)
    assert np.array_equal(part.pixels[:5], whole.pixels[1:])


def test_real_mammograms_and_scans(tmp_path):
    import datasets

    samples = datasets.folder() / "dicom_samples"
    if not samples.is_dir():
        pytest.skip(f"there are no DICOM samples in {datasets.folder()}")
    found = load_images(samples, ImageFormat(32, 32, window="percentile"), invalid="drop")
    assert {
        ("examples_palette.dcm", Reason.COLOUR), ("examples_rgb_color.dcm", Reason.COLOUR),
        ("waveform_ecg.dcm", Reason.NO_PIXELS),
    } == {one for one in found.report.left_out if one[1] in tuple(Reason)}  # fmt: skip
    assert (found.report.read, found.report.patients) == (3, 3)
    assert (found.pixels.std(axis=(1, 2, 3)) > 0.2).all()

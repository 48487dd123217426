"""Synthetic images to files and back, marked as synthetic, whole or not at all."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import image_kit as kit
from wardgan.errors import OutputError, UsageError
from wardgan.imaging import Batch, ImageFormat, ImageNames, Origin, load_images, write_dicom, write_npz, write_png

WRITERS = {"png": write_png, "dcm": write_dicom}
COLUMNS = (kit.LABEL,)


def read_back(kind, path, declared):
    if kind == "npz":
        return load_images(path, declared, columns=COLUMNS)
    names = ImageNames(mask="mask") if declared.mask else None
    return load_images(path, declared, labels=path / "labels.csv", columns=COLUMNS, names=names)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("kind", ["npz", "png", "dcm"])
def test_what_is_written_is_read_back(tmp_path, kind, mask, bits):
    declared, batch = kit.synthetic(5, mask=mask)
    path = tmp_path / f"out.{kind}"
    written = {**WRITERS, "npz": write_npz}[kind]([batch], path, declared, kit.ORIGIN, bits=bits)
    assert written == 5
    found = read_back(kind, path, declared)
    step = 2 / ((1 << bits) - 1)
    assert np.abs(found.pixels[:, 0] - batch.pixels[:, 0]).max() <= step / 2 + 1e-6
    assert np.abs(found.pixels[:, 0] - batch.pixels[:, 0]).max() > step / 5
    assert found.labels["finding"].tolist() == [0, 1, 0, 1, 0]
    assert "5 images marked as synthetic: no patient is in them." in found.report.notices
    if mask:
        assert np.array_equal(found.pixels[:, 1], batch.pixels[:, 1])


@pytest.mark.parametrize("kind", ["npz", "png", "dcm"])
def test_the_same_images_give_the_same_bytes_in_any_batches(tmp_path, kind):
    declared, batch = kit.synthetic(4, mask=True)
    halves = [
        Batch(batch.pixels[part], {"finding": batch.labels["finding"][part]}) for part in (slice(0, 2), slice(2, 4))
    ]
    write = {**WRITERS, "npz": write_npz}[kind]
    contents = []
    for name, batches in (("one", [batch]), ("two", iter(halves))):
        path = tmp_path / name
        write(batches, path, declared, kit.ORIGIN)
        files = [path] if path.is_file() else sorted(path.iterdir())
        contents.append([(file.name if path.is_dir() else "", file.read_bytes()) for file in files])
    assert contents[0] == contents[1]


def test_an_npz_says_what_it_is(tmp_path):
    declared, batch = kit.synthetic(3, mask=True)
    write_npz([batch], tmp_path / "out.npz", declared, kit.ORIGIN)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert sorted(found) == ["finding", "images", "masks", "note"]
        assert found["images"].shape == found["masks"].shape == (3, 8, 12)
        assert found["images"].dtype == found["masks"].dtype == np.uint8
        assert set(np.unique(found["masks"])) == {0, 255}
        assert found["finding"].tolist() == ["benign", "malignant", "benign"]
        told = json.loads(str(found["note"]))
    assert told["synthetic"] is True
    assert (told["model"], told["seed"], told["epsilon"], told["first"]) == (kit.ORIGIN.model, 7, 3.0, 0)


def test_a_png_says_what_it_is(tmp_path):
    declared, batch = kit.synthetic(2, mask=True)
    origin = Origin(kit.ORIGIN.model, seed=-3, epsilon=None, first=41)
    write_png([batch], tmp_path / "out", declared, origin)
    files = {f"{at:08d}{end}" for at in (41, 42) for end in (".png", "-mask.png", ".json")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files | {"labels.csv"}
    beside = json.loads((tmp_path / "out" / "00000042.json").read_text(encoding="ascii"))
    assert beside["labels"] == {"finding": "malignant"}
    assert (beside["synthetic"], beside["index"], beside["seed"], beside["epsilon"]) == (True, 42, -3, None)
    for name in ("00000042.png", "00000042-mask.png"):
        with kit.Image.open(tmp_path / "out" / name) as image:
            assert json.loads(image.text["Comment"]) == beside
    rows = list(csv.reader((tmp_path / "out" / "labels.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["file", "finding", "mask"]
    assert rows[2] == ["00000042.png", "malignant", "00000042-mask.png"]


def test_a_dicom_file_says_what_it_is(tmp_path):
    declared, batch = kit.synthetic(2, mask=True)
    write_dicom([batch], tmp_path / "out", declared, kit.ORIGIN, bits=16)
    image, mask, other = (
        kit.pydicom.dcmread(tmp_path / "out" / f"{name}.dcm") for name in ("00000001", "00000001-mask", "00000000")
    )
    for found in (image, mask):
        assert (
            found.SOPClassUID == kit.pydicom.uid.SecondaryCaptureImageStorage == found.file_meta.MediaStorageSOPClassUID
        )
        assert found.SyntheticData == "YES"
        assert found[0x0008001C].value == "YES"
        equipment = found.ContributingEquipmentSequence[0]
        purpose = equipment.PurposeOfReferenceCodeSequence[0]
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
        assert purpose.CodeMeaning == "Synthesizing Equipment"
        assert equipment.Manufacturer == "wardgan"
        assert "QualityControlSubject" not in found
        assert list(found.ImageType[:3]) == ["DERIVED", "SECONDARY", "SYNTHETIC"]
        assert found.ConversionType == "SYN"
        assert found.PatientName == "SYNTHETIC^1"
        assert found.PatientIdentityRemoved == "YES"
        assert found.BurnedInAnnotation == "NO"
        for part in (kit.ORIGIN.model, "seed 7", "number 1", "Epsilon: 3."):
            assert part in found.DerivationDescription
        assert json.loads(found.ImageComments)["labels"] == {"finding": "malignant"}
        assert all(found.get(name) == "" for name in ("StudyDate", "PatientBirthDate", "AccessionNumber"))
        for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            assert found[name].value.startswith("2.25.")
            assert found[name].value.is_valid
    assert (image.BitsStored, mask.BitsStored) == (16, 8)
    assert mask.SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert image.StudyInstanceUID == mask.StudyInstanceUID != other.StudyInstanceUID
    assert image.PatientID == mask.PatientID != other.PatientID
    uids = [
        image.SOPInstanceUID,
        mask.SOPInstanceUID,
        image.StudyInstanceUID,
        image.SeriesInstanceUID,
        mask.SeriesInstanceUID,
    ]
    assert len(set(uids)) == 5


def test_every_image_has_a_name_of_its_own(tmp_path):
    origins = [kit.ORIGIN, Origin(kit.ORIGIN.model, 8, 3.0), Origin("sha256:" + "00" * 32, 7, 3.0)]
    uids = [origin.uid(index, part) for origin in origins for index in range(3) for part in ("image", "study")]
    assert len(set(uids)) == len(uids)
    assert kit.ORIGIN.uid(1, "image") == Origin(kit.ORIGIN.model, 7, None, first=1).uid(1, "image")


def test_a_model_without_privacy_is_called_so(tmp_path):
    declared, batch = kit.synthetic(1)
    write_dicom([batch], tmp_path / "out", declared, Origin(kit.ORIGIN.model, 7, None))
    found = kit.pydicom.dcmread(tmp_path / "out" / "00000000.dcm")
    assert "the model is not private" in found.DerivationDescription


def test_labels_may_be_in_any_script(tmp_path):
    declared, batch = kit.synthetic(1)
    batch = Batch(batch.pixels, {"finding": ['médecin, "良性"']})
    for kind, write in WRITERS.items():
        write([batch], tmp_path / kind, declared, kit.ORIGIN)
        assert "良性" in (tmp_path / kind / "labels.csv").read_text(encoding="utf-8")
    with kit.Image.open(tmp_path / "png" / "00000000.png") as image:
        assert json.loads(image.text["Comment"])["labels"]["finding"] == 'médecin, "良性"'


def test_images_without_labels_are_written(tmp_path):
    declared, batch = kit.synthetic(2)
    for kind, write in {**WRITERS, "npz": write_npz}.items():
        assert write([Batch(batch.pixels)], tmp_path / kind, declared, kit.ORIGIN) == 2
        assert write([], tmp_path / f"{kind}0", declared, kit.ORIGIN) == 0


@pytest.mark.parametrize("kind", ["npz", "png", "dcm"])
def test_nothing_is_replaced_by_accident(tmp_path, kind):
    declared, batch = kit.synthetic(3)
    write = {**WRITERS, "npz": write_npz}[kind]
    path = tmp_path / "out"
    write([batch], path, declared, kit.ORIGIN)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="exists; choose another name"):
        write([batch], path, declared, kit.ORIGIN)
    assert sorted(tmp_path.rglob("*")) == before
    write([Batch(batch.pixels[:1])], path, declared, kit.ORIGIN, force=True)
    assert len(sorted(tmp_path.rglob("*"))) < len(before) or kind == "npz"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["png", "dcm"])
def test_a_folder_with_anything_else_is_never_replaced(tmp_path, kind):
    declared, batch = kit.synthetic(1)
    path = tmp_path / "out"
    path.mkdir()
    (path / "thesis.docx").write_text("five years", encoding="utf-8")
    for force in (False, True):
        with pytest.raises(OutputError, match=r"holds other files than synthetic images|exists; choose"):
            WRITERS[kind]([batch], path, declared, kit.ORIGIN, force=force)
    assert [file.name for file in path.iterdir()] == ["thesis.docx"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["npz", "png", "dcm"])
def test_a_failure_leaves_nothing_behind(tmp_path, kind):
    declared, batch = kit.synthetic(2)

    def failing():
        yield batch
        raise UsageError("the generator stops here")

    with pytest.raises(UsageError, match="stops here"):
        {**WRITERS, "npz": write_npz}[kind](failing(), tmp_path / "out", declared, kit.ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path):
    declared, batch = kit.synthetic(1)
    (tmp_path / "out").mkdir()
    assert write_png([batch], tmp_path / "out", declared, kit.ORIGIN) == 1
    with pytest.raises(OutputError, match="does not exist; create it first"):
        write_png([batch], tmp_path / "no" / "out", declared, kit.ORIGIN)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="is no folder"):
        write_png([batch], tmp_path / "file", declared, kit.ORIGIN, force=True)


def wrong_batches():
    batch = kit.synthetic(2)[1]
    nan = batch.pixels.copy()
    nan[1, 0, 3, 3] = np.nan
    yield [Batch(batch.pixels[:, :, :4])], "do not have the declared shape"
    yield [Batch(batch.pixels[0])], "do not have the declared shape"
    yield [Batch(nan)], "not between -1 and 1"
    yield [Batch(batch.pixels * 2)], "not between -1 and 1"
    yield [Batch(batch.pixels, {"finding": ["benign"]})], "1 levels of 'finding' for 2 images"
    yield [batch, Batch(batch.pixels)], "the same labels"


@pytest.mark.parametrize("case", range(6))
def test_what_is_no_synthetic_image_is_refused(tmp_path, case):
    batches, says = list(wrong_batches())[case]
    with pytest.raises(UsageError, match=says):
        write_npz(batches, tmp_path / "out", ImageFormat(8, 12), kit.ORIGIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["images", "note", "a/b"])
def test_a_label_cannot_take_the_place_of_an_array(tmp_path, name):
    declared, batch = kit.synthetic(1)
    with pytest.raises(UsageError, match="a label cannot be called"):
        write_npz([Batch(batch.pixels, {name: ["x"]})], tmp_path / "out", declared, kit.ORIGIN)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"model": "latest"}, "is not 'sha256:' followed by 64 digits"),
        ({"model": "sha256:" + "0F" * 32}, "is not 'sha256:'"),
        ({"seed": 1.5}, "seed=1.5 is not a whole number"),
        ({"seed": True}, "seed=True"),
        ({"epsilon": 0}, "epsilon=0 is not a finite number"),
        ({"epsilon": float("inf")}, "epsilon=inf"),
        ({"epsilon": float("nan")}, "epsilon=nan"),
        ({"first": -1}, "first=-1"),
    ],
)
def test_an_origin_is_checked(more, says):
    with pytest.raises(UsageError, match=says):
        Origin(**{"model": kit.ORIGIN.model, "seed": 7, "epsilon": 3.0, **more})


def test_other_depths_are_refused(tmp_path):
    declared, batch = kit.synthetic(1)
    with pytest.raises(UsageError, match="bits=12 is neither 8 nor 16"):
        write_png([batch], tmp_path / "out", declared, kit.ORIGIN, bits=12)

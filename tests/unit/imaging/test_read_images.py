"""A hospital's images under a schema: what a fit gets, without a name, and whose each image is (Rule P1)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

import image_family_kit as kit
import wardgan as wg
from wardgan.errors import DataError, SchemaError
from wardgan.imaging import ImageNames, read_images
from wardgan.schema.keys import plain_key

NAMES = ["Zanzibarowitsch", "Quixote-77", "Zanzibarowitsch", "Abelard"]
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 16, 24)).astype(np.uint8)
ARRAYS = {
    "images": PIXELS, "masks": PIXELS > 127, "patients": np.array(NAMES), "finding": np.array([1, 0, 0, 1]),
    "left": np.array([True, False, False, True]),
}  # fmt: skip
TABLE = {"finding": kit.FINDING, "left": kit.SIDE}
DECLARED = kit.schema((8, 12), mask=True, table=TABLE)


def saved(path, name="a.npz", **more):
    arrays = {key: value for key, value in {**ARRAYS, **more}.items() if value is not None}
    np.savez(path / name, **arrays)
    return path / name


def test_an_npz_file_with_everything(tmp_path):
    cohort, report = wg.read_images(saved(tmp_path), DECLARED)
    assert isinstance(cohort, wg.ImageCohort)
    assert cohort.schema == DECLARED
    assert cohort.pixels.shape == (4, 2, 8, 12)
    assert cohort.owners.tolist() == [0, 1, 0, 2]
    assert len(cohort) == 3
    assert cohort.labels["finding"].tolist() == [1, 0, 0, 1]
    assert cohort.labels["left"].tolist() == [1, 0, 0, 1]
    assert cohort.classes.tolist() == [3, 0, 0, 3]
    means = PIXELS.reshape(4, 8, 2, 12, 2).mean(axis=(2, 4)) / 127.5 - 1
    np.testing.assert_allclose(cohort.pixels[:, 0], means, atol=1e-6)
    assert set(np.unique(cohort.pixels[:, 1])) == {-1, 1}
    assert cohort.named
    assert cohort.source_bytes == report.source_bytes == (tmp_path / "a.npz").stat().st_size
    assert (report.read, report.patients) == (4, 3)


def test_one_label_may_be_called_labels(tmp_path):
    path = saved(tmp_path, finding=None, left=None, labels=np.array([0, 1, 1, 0]))
    cohort, _ = read_images(path, kit.schema((8, 12), mask=True))
    assert cohort.labels["finding"].tolist() == [0, 1, 1, 0]


def test_p18_no_name_is_kept_but_a_digest(tmp_path):
    cohort, report = read_images(saved(tmp_path), DECLARED)
    kept = repr(vars(cohort)) + repr(cohort) + repr(report) + "".join(cohort.patients)
    assert not [name for name in NAMES if name.lower() in kept.lower()]
    wanted = [
        hashlib.sha256(plain_key(name).encode()).hexdigest() for name in ("Zanzibarowitsch", "Quixote-77", "Abelard")
    ]
    assert cohort.patients.tolist() == wanted


def test_the_same_patient_has_the_same_digest_in_every_file(tmp_path):
    one, _ = read_images(saved(tmp_path), DECLARED)
    other = saved(tmp_path, "b.npz", images=255 - PIXELS, patients=np.array(["abelard ", "X", "X", "Quixote-77"]))
    two, _ = read_images(other, DECLARED)
    assert two.patients[0] == one.patients[2]
    assert two.patients[2] == one.patients[1]
    assert two.patients[1] not in one.patients


def test_p01_a_declared_patient_must_be_named(tmp_path):
    path = saved(tmp_path, patients=None)
    with pytest.raises(DataError, match="patient='id' is declared, but nothing says whose an image is: pass labels"):
        read_images(path, DECLARED)


def test_without_a_patient_in_the_schema_each_image_is_one(tmp_path):
    declared = replace(DECLARED, patient=None)
    cohort, report = read_images(saved(tmp_path, patients=None), declared)
    assert not cohort.named
    assert len(cohort) == 4
    assert cohort.owners.tolist() == [0, 1, 2, 3]
    assert "each image counts as one patient" in report.notices[0]
    named, _ = read_images(saved(tmp_path, "b.npz"), declared)
    assert named.named
    assert len(named) == 3


def test_an_image_without_a_patient_is_refused_or_left_out(tmp_path):
    path = saved(tmp_path, patients=np.array(["A", "", "A", "B"]))
    with pytest.raises(DataError):
        read_images(path, DECLARED)
    cohort, report = read_images(path, DECLARED, invalid="drop")
    assert (len(cohort), len(cohort.pixels), report.read) == (2, 3, 3)
    assert cohort.named


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_image_with_a_pixel_that_is_no_number_is_refused_or_left_out(tmp_path, wrong):
    pixels = PIXELS.astype(np.float32)
    pixels[2, 3, 4] = wrong
    path = saved(tmp_path, images=pixels)
    declared = kit.schema((8, 12), mask=True, table=TABLE, window=[0, 255])
    with pytest.raises(DataError):
        read_images(path, declared)
    cohort, _ = read_images(path, declared, invalid="drop")
    assert len(cohort.pixels) == 3
    assert np.isfinite(cohort.pixels).all()


def test_a_schema_of_tables_is_refused(tmp_path):
    declared = wg.Schema.from_dict({"name": "x", "table": {"finding": kit.FINDING, "left": kit.SIDE}})
    with pytest.raises(SchemaError, match=r"schema='x' declares no images; add images: \{size: \[64, 64\]\}"):
        read_images(saved(tmp_path), declared)


def test_progress_is_told(tmp_path):
    seen = []
    read_images(saved(tmp_path), DECLARED, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


FOLDER = kit.schema((8, 8), patient="patient_id")


def test_a_folder_whose_labels_name_the_patient_of_the_schema(tmp_path):
    folder_kit = pytest.importorskip("image_kit", reason="the extra [images] is not installed")
    folder = folder_kit.folder(tmp_path)
    cohort, report = read_images(folder, FOLDER, labels=tmp_path / "labels.csv")
    assert cohort.owners.tolist() == [0, 0, 1, 1]
    assert cohort.patients.tolist() == [hashlib.sha256(name).hexdigest() for name in (b"p0", b"p1")]
    assert cohort.labels["finding"].tolist() == [0, 1, 0, 1]
    assert report.patients == 2
    for names in (ImageNames(), ImageNames(patient="patient_id")):
        again, _ = read_images(folder, FOLDER, labels=tmp_path / "labels.csv", names=names)
        assert again.digest() == cohort.digest()


def test_a_folder_and_a_file_of_the_same_patients_have_the_same_digests(tmp_path):
    folder_kit = pytest.importorskip("image_kit", reason="the extra [images] is not installed")
    one, _ = read_images(folder_kit.folder(tmp_path), FOLDER, labels=tmp_path / "labels.csv")
    np.savez(tmp_path / "a.npz", images=folder_kit.gradients(4), patients=["P1", "P0", "P1", "P0"], labels=[0, 1, 0, 1])
    two, _ = read_images(tmp_path / "a.npz", FOLDER)
    assert two.patients.tolist() == one.patients[::-1].tolist()


def test_p01_a_folder_whose_labels_lack_the_patient_is_refused(tmp_path):
    folder_kit = pytest.importorskip("image_kit", reason="the extra [images] is not installed")
    folder = folder_kit.folder(tmp_path)
    with pytest.raises(DataError):
        read_images(folder, kit.schema((8, 8), patient="who"), labels=tmp_path / "labels.csv")
    with pytest.raises(DataError, match="nothing says whose an image is"):
        read_images(folder, kit.schema((8, 8), table={}, patient="patient_id"))

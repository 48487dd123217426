"""Images in an NPZ file."""

from __future__ import annotations

import numpy as np
import pytest

import image_kit as kit
from wardgan.errors import DataError
from wardgan.imaging import ImageFormat, ImageNames, Reason, load_images
from wardgan.schema.columns import Column

ASK = ImageFormat(8, 8)
COLUMNS = (kit.LABEL,)


def saved(path, **arrays):
    np.savez_compressed(path / "images.npz", **arrays)
    return path / "images.npz"


def means(pixels):
    return pixels.reshape(len(pixels), 8, 2, 8, 2).mean(axis=(2, 4))


@pytest.mark.parametrize("last", [(), (1,)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_of_all_types_are_read(tmp_path, order, last):
    small = kit.gradients(5)
    wanted = means(small) / 127.5 - 1
    for pixels in (small, (small.astype(np.uint16) * 257).astype(f"{order}u2")):
        path = saved(tmp_path, images=pixels.reshape(*pixels.shape, *last))
        assert np.allclose(load_images(path, ASK).pixels[:, 0], wanted, atol=1e-6)
    window = ImageFormat(8, 8, window=(0, 255))
    for kind in ("f2", "f4", "f8"):
        path = saved(tmp_path, images=small.astype(order + kind).reshape(*small.shape, *last))
        assert np.allclose(load_images(path, window).pixels[:, 0], wanted, atol=1e-6)


def test_labels_patients_and_masks_come_with_them(tmp_path):
    small = kit.gradients(4)
    masks = small > 127
    path = saved(
        tmp_path, images=small, masks=masks, finding=["benign", "malignant"] * 2, patients=["b", "a", "b", "c"]
    )
    found = load_images(path, ImageFormat(8, 8, mask=True), columns=COLUMNS)
    assert found.labels["finding"].tolist() == [0, 1, 0, 1]
    assert found.patients.tolist() == [0, 1, 0, 2]
    assert np.array_equal(found.pixels[:, 1] > 0, means(masks) >= 0.5)
    assert (found.report.read, found.report.patients) == (4, 3)
    assert found.report.source_bytes == path.stat().st_size
    assert found.report.notices == ()


def test_numbers_are_places_among_the_levels(tmp_path):
    path = saved(tmp_path, images=kit.gradients(3), labels=np.array([1, 0, 1], dtype=np.uint8))
    found = load_images(path, ASK, columns=COLUMNS)
    assert found.labels["finding"].tolist() == [1, 0, 1]
    assert "each image counts as one patient" in found.report.notices[0]
    graded = Column("grade", "category", levels=(3, 1), label=True)
    path = saved(tmp_path, images=kit.gradients(2), grade=np.array([1, 3]))
    assert load_images(path, ASK, columns=(graded,)).labels["grade"].tolist() == [1, 0]
    flag = Column("operated", "flag", label=True)
    path = saved(tmp_path, images=kit.gradients(2), labels=np.array([[True], [False]]))
    assert load_images(path, ASK, columns=(flag,)).labels["operated"].tolist() == [1, 0]


def test_labels_that_are_not_declared_are_refused_or_left_out(tmp_path):
    path = saved(tmp_path, images=kit.gradients(4), labels=[0, 2, 1, -1])
    with pytest.raises(DataError, match=r"the number is that of a declared level; broken 2 times \(row 2, 4\)"):
        load_images(path, ASK, columns=COLUMNS)
    found = load_images(path, ASK, columns=COLUMNS, invalid="drop")
    assert found.labels["finding"].tolist() == [0, 1]
    assert found.report.left_out == (("image 2", Reason.LABELS), ("image 4", Reason.LABELS))
    path = saved(tmp_path, images=kit.gradients(2), labels=["benign", "secret"])
    with pytest.raises(DataError, match="the level is not declared") as error:
        load_images(path, ASK, columns=COLUMNS)
    assert "secret" not in str(error.value)


def test_patients_without_a_name_are_refused_or_left_out(tmp_path):
    path = saved(tmp_path, images=kit.gradients(3), patients=["a", "", "b"])
    with pytest.raises(DataError, match=r"every image says whose it is; broken once \(row 2\)"):
        load_images(path, ASK)
    assert load_images(path, ASK, invalid="drop").patients.tolist() == [0, 1]


def test_floats_need_a_window_and_must_be_finite(tmp_path):
    values = np.linspace(-1, 1, 2 * 256).reshape(2, 16, 16)
    with pytest.raises(DataError, match="floating-point pixels without a declared window"):
        load_images(saved(tmp_path, images=values), ASK)
    values[1, 0, 0] = np.nan
    found = load_images(saved(tmp_path, images=values), ImageFormat(8, 8, window=(-1, 1)), invalid="drop")
    assert found.report.skipped == {Reason.NOT_NUMBERS: 1}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((2, 16, 16), np.uint8)}, "it has no array 'images'"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8)}, "grey images only"),
        ({"images": np.zeros((16, 16), np.uint8)}, "grey images only"),
        ({"images": np.zeros((2, 16, 16), np.int16)}, "of type int16; save uint8, uint16 or float32"),
        ({"images": np.zeros((2, 16, 16), complex)}, "of type complex128"),
        ({"images": np.asfortranarray(np.zeros((2, 16, 16), np.uint8))}, "Fortran order"),
        ({"images": np.array([None, 1])}, "Python objects"),
        ({"images": np.zeros(3, dtype=[("a", "u1")])}, "Python objects or records"),
        ({"images": np.zeros((2, 16, 16), np.uint8), "labels": np.zeros(3, int)}, "one number or text for each image"),
        ({"images": np.zeros((2, 16, 16), np.uint8), "labels": np.zeros((2, 2), int)}, "one number or text"),
        ({"images": np.zeros((2, 16, 16), np.uint8), "labels": np.array([b"a", b"b"])}, "one number or text"),
        ({"images": np.zeros((2, 16, 16), np.uint8)}, "it has no array 'labels'"),
        ({"images": np.zeros((0, 16, 16), np.uint8), "labels": np.zeros(0, int)}, "no image can be used"),
        ({"images": kit.gradients(2, 4), "labels": np.zeros(2, int)}, "smaller than the declared size"),
        ({"images": np.zeros((2, 16, 16), np.uint8), "labels": np.zeros(2, int)}, "all its pixels are the same"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, arrays, says):
    with pytest.raises(DataError) as error:
        load_images(saved(tmp_path, **arrays), ASK, columns=COLUMNS)
    assert says in str(error.value)


def test_masks_of_another_size_are_refused(tmp_path):
    path = saved(tmp_path, images=kit.gradients(2), masks=np.zeros((2, 16, 15), np.uint8))
    with pytest.raises(DataError, match="must be the same"):
        load_images(path, ImageFormat(8, 8, mask=True))
    with pytest.raises(DataError, match="no array 'masks'"):
        load_images(saved(tmp_path, images=kit.gradients(2)), ImageFormat(8, 8, mask=True))


def test_an_npz_file_brings_its_labels_itself(tmp_path):
    path = saved(tmp_path, images=kit.gradients(2), labels=[0, 1])
    with pytest.raises(DataError, match="brings its labels itself"):
        load_images(path, ASK, labels="labels.csv", columns=COLUMNS)
    with pytest.raises(DataError, match="leave labels and names out"):
        load_images(path, ASK, columns=COLUMNS, names=ImageNames(patient="patients"))


def test_real_mammograms(tmp_path):
    import datasets

    path = datasets.folder() / "mini_mias_mammograms256.npz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {datasets.folder()}")
    severity = Column("severity", "category", levels=("normal", "benign", "malignant"), label=True)
    found = load_images(path, ImageFormat(64, 64, crop=True, flip=True), columns=(severity,))
    assert found.pixels.shape == (322, 1, 64, 64)
    assert np.bincount(found.labels["severity"]).tolist() == [209, 61, 52]
    left, right = found.pixels[:, 0, :, :24].mean(axis=(1, 2)), found.pixels[:, 0, :, -24:].mean(axis=(1, 2))
    assert (left > right).mean() > 0.95


def test_a_name_may_have_any_character(tmp_path):
    np.savez(tmp_path / "odd.npz", images=kit.gradients(2), patients=np.array(["P\ud800", "Q"]))
    assert len(set(load_images(tmp_path / "odd.npz", ASK).names)) == 2

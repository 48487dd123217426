"""The images of the images benchmark: phantoms of vessels, women on one side of the split, sizes, and the two networks."""

import numpy as np
import pytest

import image_data
import image_methods
import image_peers
import image_sizes
import image_speed
import vessels
from wardgan.evaluate.images import ImageSet

PIXELS, LABELS = vessels.phantoms(40, 3)
MASKS = PIXELS[:, 1] > 0


def test_phantoms_are_those_of_their_seed_whatever_their_number():
    again, labels = vessels.phantoms(12, 3)
    np.testing.assert_array_equal(again, PIXELS[:12])
    np.testing.assert_array_equal(labels, LABELS[:12])
    assert not np.array_equal(vessels.phantoms(12, 4)[0], again)
    assert len(np.unique(PIXELS.reshape(40, -1), axis=0)) == 40


def test_phantoms_have_the_declared_shape_and_range():
    assert PIXELS.shape == (40, 2, 64, 64)
    assert PIXELS.dtype == np.float32
    assert -1 <= PIXELS.min() <= PIXELS.max() <= 1
    assert set(np.unique(PIXELS[:, 1])) == {-1, 1}
    assert vessels.phantoms(2, 0, side=28)[0].shape == (2, 2, 28, 28)


def test_masks_lie_in_the_round_picture_and_black_around_it():
    outside = ~vessels.inside()
    assert not MASKS[:, outside].any()
    assert (PIXELS[:, 0][:, outside] == -1).all()
    assert MASKS.any(axis=(1, 2)).all()


def test_both_classes_occur_and_many_branches_cover_more():
    assert set(LABELS) == {0, 1}
    few, many = (MASKS[label == LABELS].mean(axis=(1, 2)) for label in (0, 1))
    assert few.max() < many.min()


def test_vessels_are_darker_than_the_ground_in_every_picture():
    ground = vessels.inside() & ~MASKS
    for picture, mask, free in zip(PIXELS[:, 0], MASKS, ground, strict=True):
        assert picture[mask].mean() < picture[free].mean() - 0.1


def the(data):
    if not image_data.available(data):
        pytest.skip(f"{image_data.DATA[data].file} is not in the folder that WARDGAN_DATA names")
    return image_data.cohorts(data, 1)


@pytest.mark.parametrize("data", ["mammograms, 64 px", "mammograms, 128 px"])
def test_no_woman_is_on_both_sides_and_both_of_her_breasts_are_on_one(data):
    train, held = the(data)
    assert not set(train.patients) & set(held.patients)
    assert (len(train), len(held)) == (image_data.DATA[data].patients, 161 - image_data.DATA[data].patients)
    for cohort in (train, held):
        assert (np.bincount(cohort.owners) == 2).all()
        assert set(cohort.classes) == {0, 1}


def test_the_two_images_of_a_woman_are_of_one_kind_of_tissue():
    """It is noted for each film, so it shows that films 2k - 1 and 2k belong together."""
    the("mammograms, 64 px")
    with np.load(image_data.datasets.folder() / image_data.MIAS) as file:
        tissue, women = file["tissue"], (np.char.lstrip(file["image_id"], "mdb").astype(int) - 1) // 2
    assert all(len(set(tissue[women == woman])) == 1 for woman in range(161))


def test_mammograms_keep_their_brightness():
    train, held = the("mammograms, 64 px")
    with np.load(image_data.datasets.folder() / image_data.MIAS) as file:
        mean = file["images"].mean() / 127.5 - 1
    assert np.concatenate([train.pixels, held.pixels]).mean() == pytest.approx(mean, abs=1e-5)


def test_every_method_of_a_data_set_knows_its_steps():
    for data in image_data.DATA:
        names = image_methods.run_on(data)
        assert set(names) <= set(image_methods.METHODS)
        assert data in image_methods.OPEN
        assert ("DCGAN, no privacy" in names) == (data in image_methods.DCGAN)
        assert ("noisy mean features, epsilon 1" in names) == (data in image_methods.MEAN_FEATURES)


def test_a_dicom_file_is_its_pixels_and_a_small_header():
    pytest.importorskip("pydicom", reason="the extra [images] is not installed")
    header = {image_sizes.dicom_bytes(side, bits) - side**2 * bits // 8 for side, bits in ((28, 8), (64, 8), (64, 16))}
    assert len(header) == 1
    assert 500 < header.pop() < 2000


def test_sizes_count_images_and_masks():
    pytest.importorskip("pydicom", reason="the extra [images] is not installed")
    assert image_sizes.ratios("vessels", 1e6)["tensor : model"] == pytest.approx(600 * 2 * 64 * 64 * 4 / 1e6)
    women = image_sizes.ratios("mammograms, 64 px", 1e6)
    assert women["DICOM : model"] == pytest.approx(220 * image_sizes.dicom_bytes(64, 8) / 1e6)
    assert women["DICOM 1024 x 1024 at 16 bits : model (computed)"] == pytest.approx(
        220 * image_sizes.dicom_bytes(1024, 16) / 1e6
    )


def test_speeds_compare_one_network_with_itself():
    generator, network = image_speed.twins(28, 0)
    stream = np.random.default_rng(0)
    latent = stream.standard_normal((8, generator.latent), dtype=np.float32)
    classes = np.arange(8) % 2
    ours = generator.pixels(latent, classes)
    assert ours.std() > 0.1
    np.testing.assert_allclose(ours, network(latent, classes).clip(-1, 1), atol=1e-5)


@pytest.mark.parametrize("side", [28, 64, 128])
def test_the_dcgan_makes_images_of_the_size_that_taught_it(side):
    pixels = np.random.default_rng(0).uniform(-1, 1, (40, 1, side, side)).astype(np.float32)
    made = image_peers.dcgan(ImageSet.of(pixels, np.arange(40) % 2), 6, seed=0, steps=1, width=2)
    assert made.images.pixels.shape == (6, 1, side, side)

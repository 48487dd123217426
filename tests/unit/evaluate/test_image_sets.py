"""Sets of images are checked once, patients are chosen whole, and extractors give features or are refused."""

import numpy as np
import pytest

from picture_kit import phantoms
from wardgan.errors import DataError, UsageError
from wardgan.evaluate.images import (
    Extractor,
    ImageSet,
    radiomics,
    radiomics_extractor,
    random_extractor,
    random_features,
    weights_digest,
)
from wardgan.evaluate.images.sets import one_each, pick, sample
from wardgan.rng import Seed

SEED = Seed(1)
BLANK = np.zeros((3, 1, 16, 16), dtype=np.float32)


@pytest.mark.parametrize(
    ("pixels", "labels", "patients", "words"),
    [
        (BLANK[0], None, None, r"shape \(1, 16, 16\) of float32; pass float32 of shape"),
        (BLANK.astype(float), None, None, "of float64; pass float32"),
        (BLANK[:, :0], None, None, "pass float32 of shape"),
        (BLANK[:, :, :15], None, None, "15 x 16 is too small; a side has at least 16"),
        (BLANK[:0], None, None, "there is no image"),
        (BLANK + np.nan, None, None, r"a value is not in \[-1, 1\]"),
        (BLANK + 1.5, None, None, r"a value is not in \[-1, 1\]"),
        (BLANK, np.zeros(2, dtype=int), None, r"labels: shape \(2,\)"),
        (BLANK, np.zeros(3), None, "labels: .* of float64; pass one whole number"),
        (BLANK, np.array([0, -1, 0]), None, "a code is below 0"),
        (BLANK, None, np.zeros((3, 1), dtype=int), "patients: shape"),
    ],
)
def test_wrong_arrays_are_refused(pixels, labels, patients, words):
    with pytest.raises(DataError, match=words):
        ImageSet.of(pixels, labels, patients)


def test_a_set_shows_no_patient():
    assert "float" not in repr(phantoms(3, 0))
    assert "0." not in repr(phantoms(3, 0))


def test_patients_are_chosen_whole_and_exactly_as_many_images_as_asked_for():
    images = phantoms(30, 0, each=3)
    found = sample(images, 20, SEED, "demo")
    counts = np.unique(found.patients, return_counts=True)[1]
    assert len(found) == 20
    assert sorted(counts.tolist()) == [2, 3, 3, 3, 3, 3, 3]
    assert sample(images, 90, SEED, "demo") is images
    assert not np.array_equal(pick(images.patients, 20, SEED, "demo"), pick(images.patients, 20, SEED, "other"))


def test_one_image_of_each_patient_is_chosen_at_random():
    patients = np.repeat(np.arange(50), 4)
    found = one_each(patients, SEED, "demo")
    assert sorted(patients[found].tolist()) == list(range(50))
    assert len(np.unique(found % 4)) == 4
    assert patients[found].tolist() != list(range(50))


def test_the_random_network_is_the_same_for_ever():
    # Numbers of other releases are compared with those of this one.
    assert weights_digest(1) == "99edeefe1062245aa410a29c4a7b474c250e68a7da4ae280d37ad2c8486ef410"
    assert weights_digest(2) != weights_digest(1)
    found = random_features(np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(1, 1, 28, 28))
    assert found[0, [0, 20, 80, 151]] == pytest.approx(GOLDEN, abs=1e-5)


GOLDEN = [0.0092093, 0.6971750, -0.0899578, 0.0449745]


@pytest.mark.parametrize("features", [random_features, radiomics])
def test_features_of_an_image_do_not_depend_on_the_others(features):
    images = phantoms(70, 3).pixels
    np.testing.assert_allclose(features(images)[[0, 66]], features(images[[0, 66]]), atol=1e-6)


@pytest.mark.parametrize("features", [random_features, radiomics])
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_constant_images_have_finite_features(features, value):
    assert np.isfinite(features(np.full((2, 1, 17, 16), value, dtype=np.float32))).all()


def test_an_extractor_says_what_it_is():
    assert random_extractor(1).text == f"random features, sha256 {weights_digest(1)[:12]}"
    assert random_extractor(1).digest != random_extractor(2).digest
    assert radiomics_extractor()(BLANK).shape == (3, 92)


@pytest.mark.parametrize("found", [np.zeros(3), np.zeros((2, 4)), np.zeros((3, 0)), np.full((3, 1), np.inf)])
def test_what_gives_no_features_is_refused(found):
    with pytest.raises(DataError, match="one row of at least one finite number for each image"):
        Extractor("mine", "0" * 64, lambda pixels: found)(BLANK)


@pytest.mark.parametrize(
    ("name", "digest"), [("", "0" * 64), ("x" * 41, "0" * 64), ("mine", "0" * 63), ("mine", "X" * 64)]
)
def test_an_extractor_without_name_or_digest_is_refused(name, digest):
    with pytest.raises(UsageError, match="is not a"):
        Extractor(name, digest, lambda pixels: pixels)

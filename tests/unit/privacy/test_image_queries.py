"""Questions about images: the numbers are those of the formulas, and no image and no patient weighs more than 1."""

from __future__ import annotations

import math

import numpy as np
import pytest

import image_family_kit as kit
from wardgan.privacy import image_queries as module
from wardgan.privacy.image_queries import (
    ClassShares,
    ImageQuery,
    Pictures,
    WaveProducts,
    Waves,
    WaveSums,
    cosines,
)  # fmt: skip
from wardgan.privacy.queries import PatientCount
from wardgan.schema.images import ImageFormat

SIZES = [(8, 8), (12, 8), (8, 28)]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("waves", [1, 3, 8])
def test_the_numbers_are_those_of_the_cosine_formula(size, mask, waves):
    look = ImageFormat(*size, mask=mask)
    images = np.random.default_rng(0).uniform(-1, 1, (2, *look.shape)).astype(np.float32)
    made = Waves.of(waves, look.shape)
    assert made.size == look.planes * waves**2
    np.testing.assert_allclose(made.numbers(images), [kit.slow_numbers(one, waves) for one in images], atol=1e-9)


@pytest.mark.parametrize("length", [8, 12, 28])
def test_the_cosines_are_orthonormal(length):
    np.testing.assert_allclose(cosines(length, length) @ cosines(length, length).T, np.eye(length), atol=1e-12)


@pytest.mark.parametrize("mask", [False, True])
def test_all_waves_of_an_image_hold_its_mean_square(mask):
    look = ImageFormat(8, 8, mask=mask)
    images = np.random.default_rng(0).uniform(-1, 1, (5, *look.shape)).astype(np.float32)
    lengths = np.linalg.norm(Waves.of(8, look.shape).numbers(images), axis=1)
    np.testing.assert_allclose(lengths, np.sqrt((images.astype(float) ** 2).mean(axis=(1, 2, 3))), rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_no_number_counts_as_nothing(value):
    """One patient must not spoil the answer, even if a cohort let such an image through."""
    images = np.random.default_rng(0).uniform(-1, 1, (3, 1, 8, 8)).astype(np.float32)
    broken = images.copy()
    broken[1, 0, 2, 2] = value
    made = Waves.of(3, (1, 8, 8)).numbers(broken)
    assert (made[1] == 0).all()
    np.testing.assert_array_equal(made[[0, 2]], Waves.of(3, (1, 8, 8)).numbers(images)[[0, 2]])


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("waves", [2, 8])
def test_p01_no_row_is_longer_than_one_whatever_the_pixels(mask, waves):
    look = ImageFormat(8, 8, mask=mask)
    images = kit.extremes(look)
    for scale in (1, 7, 1e6):
        lengths = np.linalg.norm(Waves.of(waves, look.shape).numbers(scale * images), axis=1)
        assert lengths.max() <= 1 + 1e-12
        assert lengths.max() > 1 - 1e-6
        assert np.isfinite(lengths).all()


def test_an_image_that_is_too_long_keeps_its_direction():
    look = ImageFormat(8, 8)
    images = np.random.default_rng(0).uniform(0.5, 1, (3, *look.shape)).astype(np.float32)
    long, short = (Waves.of(3, look.shape).numbers(scale * images) for scale in (40, 1))
    np.testing.assert_allclose(long, short / np.linalg.norm(short, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(long, axis=1), 1)


def test_a_patients_images_weigh_one_together():
    cohort = kit.cohort(30, most=5)
    pictures = Pictures.of(cohort)
    np.testing.assert_allclose(np.bincount(cohort.owners, weights=pictures.weights), np.ones(30))
    for at, owner in enumerate(cohort.owners):
        assert pictures.weights[at] == 1 / (cohort.owners == owner).sum()


def queries(look, classes=2, radius=0.5, seed=0):
    waves = Waves.of(3, look.shape)
    centres = np.random.default_rng(seed).normal(size=(classes, waves.size)) * 0.1
    return [ClassShares(classes), WaveSums(waves, classes), WaveProducts(waves, centres, radius)]


@pytest.mark.parametrize("at", range(3))
def test_p01_the_same_image_twice_is_the_image_once(at):
    once = kit.cohort(6, most=1)
    query = queries(once.format)[at]
    thrice = kit.cohort_of(np.repeat(once.pixels, 3, axis=0), np.repeat(once.classes, 3), np.repeat(once.owners, 3))
    np.testing.assert_allclose(Pictures.of(thrice).total(query), Pictures.of(once).total(query), atol=1e-12)


def test_a_patient_of_several_classes_counts_in_parts():
    cohort = kit.cohort_of(np.zeros((4, 1, 8, 8)), [0, 1, 1, 0], [0, 0, 0, 1])
    np.testing.assert_allclose(Pictures.of(cohort).total(ClassShares(2)), [4 / 3, 2 / 3])
    assert ClassShares(5).over(cohort.pixels, cohort.classes, np.ones(4)).shape == (5,)


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("block", [1, 3, 7, 1024])
def test_blocks_change_nothing(at, block, monkeypatch):
    cohort = kit.cohort(20, mask=True)
    query = queries(cohort.format)[at]
    whole = Pictures.of(cohort).total(query)
    monkeypatch.setattr(module, "_PIXELS", block * 128)
    np.testing.assert_allclose(Pictures.of(cohort).total(query), whole, atol=1e-12)


@pytest.mark.parametrize("mask", [False, True])
def test_products_are_cut_to_the_radius_and_measured_in_it(mask):
    look = ImageFormat(8, 8, mask=mask)
    waves = Waves.of(3, look.shape)
    images = kit.extremes(look)
    numbers = waves.numbers(images)
    for radius in (0.05, 0.5, 1.0, 2.0):
        query = WaveProducts(waves, np.zeros((1, waves.size)), radius)
        for image, row in zip(images, numbers, strict=True):
            found = query.over(image[None], np.zeros(1, dtype=np.int64), np.ones(1))
            length = min(1.0, np.linalg.norm(row) / radius)
            assert np.linalg.norm(found) == pytest.approx(length**2, abs=1e-12)


def test_p01_the_bounds_are_tight():
    """White images around a black centre: a bound that were smaller by a thousandth would be broken."""
    white, nobody = np.ones((1, 1, 8, 8), dtype=np.float32), np.zeros(1, dtype=np.int64)
    waves = Waves.of(3, (1, 8, 8))
    black = -np.eye(waves.size)[:1]
    spread = np.full((1, waves.size), -1 / 3)
    for query in (ClassShares(1), WaveSums(waves, 1), *(WaveProducts(waves, one, 0.5) for one in (black, spread))):
        assert np.linalg.norm(query.over(white, nobody, np.ones(1))) > 0.999 * query.sensitivity
        assert query.sensitivity == 1


@pytest.mark.parametrize("classes", [1, 3])
def test_matrices_are_the_sums_of_products(classes):
    stream = np.random.default_rng(1)
    cohort = kit.cohort(25, mask=True, declared=kit.schema(
        mask=True, table={"grade": {"kind": "category", "levels": [f"g{at}" for at in range(classes)]}}
    ))  # fmt: skip
    waves = Waves.of(2, cohort.format.shape)
    centres = stream.normal(size=(classes, waves.size)) * 0.2
    query = WaveProducts(waves, centres, 0.7)
    pictures = Pictures.of(cohort)
    wanted = np.zeros((classes, waves.size, waves.size))
    for image, each, weight in zip(waves.numbers(cohort.pixels), cohort.classes, pictures.weights, strict=True):
        away = (image - centres[each]) / 0.7
        away /= max(1.0, np.linalg.norm(away))
        wanted[each] += weight * np.outer(away, away)
    found = query.matrices(pictures.total(query))
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert np.array_equal(found, found.transpose(0, 2, 1))


def test_an_answers_length_is_that_of_the_matrix():
    """The square root of 2 outside of the diagonal: else a patient's part could be shorter than it is, or longer."""
    query = queries(ImageFormat(8, 8))[2]
    cohort = kit.cohort(9)
    answer = Pictures.of(cohort).total(query)
    assert np.linalg.norm(answer) == pytest.approx(np.linalg.norm(query.matrices(answer)))
    size = query.waves.size
    assert answer.shape == (2 * size * (size + 1) // 2,)


def test_noise_outside_the_diagonal_is_less_by_the_square_root_of_two():
    query = WaveProducts(Waves.of(6, (1, 8, 8)), np.zeros((1, 36)), 0.5)
    noise = np.random.default_rng(0).normal(size=(300, 36 * 37 // 2))
    found = np.concatenate([query.matrices(each) for each in noise])
    diagonal = np.eye(36, dtype=bool)
    assert found[:, diagonal].std() == pytest.approx(1, rel=0.02)
    assert found[:, ~diagonal].std() == pytest.approx(1 / math.sqrt(2), rel=0.02)


def test_a_question_about_images_is_told_from_one_about_tables():
    assert all(isinstance(query, ImageQuery) for query in queries(ImageFormat(8, 8)))
    assert not isinstance(PatientCount(), ImageQuery)


def test_p03_what_is_printed_shows_no_patient():
    pictures = Pictures.of(kit.cohort(41))
    made = queries(ImageFormat(8, 8))
    assert all(len(repr(each)) < 120 and "array" not in repr(each) for each in (pictures, *made))

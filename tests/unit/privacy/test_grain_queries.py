"""Questions about grain and shades: the numbers are those of the formulas, and no image and no patient weighs more than 1."""

from __future__ import annotations

import math

import numpy as np
import pytest

import image_family_kit as kit
from wardgan.privacy import image_queries
from wardgan.privacy.grain_queries import LONGEST, SHADES, Grain, GrainSums, Shades, shades
from wardgan.privacy.image_queries import ImageQuery, Pictures, Waves
from wardgan.schema.images import ImageFormat

LOOKS = [(8, 8, False), (8, 12, True), (28, 16, False)]


def waves_of(image, waves):
    """An image without its low frequencies."""
    made = Waves.of(waves, image.shape)
    return image - math.sqrt(image.size) * (
        made.left.T @ made.numbers(image[None]).reshape(1, waves, waves) @ made.right
    )


def slow_bands(waves, side):
    """The band of each frequency, counted by hand."""
    ends = sorted({round(waves * (side / waves) ** (at / 3)) for at in range(4)})
    return [sum(frequency >= end for end in ends) for frequency in range(side)]


def slow_numbers(image, waves):
    """Lengths of what is left out, frequency by frequency and pixel by pixel."""
    fine = waves_of(image[:1].astype(float), waves)[0] / (LONGEST * math.sqrt(image[0].size))
    height, width = fine.shape
    fine = fine / max(1.0, math.sqrt(float((fine**2).sum())))
    bands, cells = {}, {}
    band_rows, band_columns = slow_bands(waves, height), slow_bands(waves, width)
    for row in range(height):
        for column in range(width):
            down = np.array([kit.slow_cosine(row, at, height) for at in range(height)])
            across = np.array([kit.slow_cosine(column, at, width) for at in range(width)])
            band = band_rows[row], band_columns[column]
            bands[band] = bands.get(band, 0.0) + float(down @ fine @ across) ** 2
            cell = row * min(7, height // 2) // height, column * min(7, width // 2) // width
            cells[cell] = cells.get(cell, 0.0) + fine[row, column] ** 2
    return [math.sqrt(table[key] / 2) for table in (bands, cells) for key in sorted(table)]


def slow_shades(image):
    found = [0.0] * (SHADES + 2)
    for pixel in np.clip(image[0], -1, 1).ravel().tolist():
        if pixel < -1 + 1 / 255:
            at = 0
        elif pixel > 1 - 1 / 255:
            at = SHADES + 1
        else:
            at = 1 + int((pixel + 1) / 2 * SHADES)
        found[at] += 1 / image[0].size
    return found


def images(look, count=4):
    """Smooth, rough and extreme ones."""
    stream = np.random.default_rng(0)
    size = (count, *look.shape)
    some = [scale * stream.uniform(-1, 1, size) for scale in (0.01, 0.3, 1.0)]
    return np.concatenate([*some, kit.extremes(look)]).astype(np.float32)


@pytest.mark.parametrize("waves", [2, 5, 8])
@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_the_lengths_are_those_of_a_loop_over_frequencies_and_pixels(height, width, mask, waves):
    look = ImageFormat(height, width, mask=mask)
    grain = Grain.of(waves, height, width)
    some = images(look)[:: 3 if height == 28 else 1]
    wanted = [slow_numbers(image, waves) for image in some]
    assert grain.size == len(wanted[0])
    np.testing.assert_allclose(grain.numbers(some), wanted, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "mask"), LOOKS)
def test_the_shades_are_those_of_a_loop_over_pixels(height, width, mask):
    some = images(ImageFormat(height, width, mask=mask))
    np.testing.assert_allclose(shades(some), [slow_shades(image) for image in some], atol=1e-12)


@pytest.mark.parametrize("waves", [1, 3, 8])
@pytest.mark.parametrize("mask", [False, True])
def test_p01_no_row_is_longer_than_one_whatever_the_pixels(mask, waves):
    look = ImageFormat(8, 12, mask=mask)
    for scale in (1e-3, 1, 7, 1e6):
        for row in (Grain.of(waves, 8, 12).numbers(scale * images(look)), shades(scale * images(look))):
            assert np.linalg.norm(row, axis=1).max() <= 1 + 1e-12


def test_p01_the_bounds_are_tight():
    """A board of single pixels is cut to the longest grain, and a white image has one shade."""
    board = kit.extremes(ImageFormat(8, 8))[2:3]
    nobody = np.zeros(1, dtype=np.int64)
    for query, image in ((GrainSums(Grain.of(3, 8, 8), 1), board), (Shades(1), np.ones_like(board))):
        assert np.linalg.norm(query.over(image, nobody, np.ones(1))) == pytest.approx(query.sensitivity, rel=1e-9)


def test_shorter_grain_is_not_cut():
    """Bands hold all of it once, and so do cells."""
    some = images(ImageFormat(8, 12))[:4]
    bands, cells = Grain.of(3, 8, 12).parts(Grain.of(3, 8, 12).numbers(some))
    for image, band, cell in zip(some, bands, cells, strict=True):
        length = math.sqrt(float((waves_of(image.astype(float), 3) ** 2).mean())) / LONGEST
        assert 0 < length < 1
        assert np.linalg.norm(band) == pytest.approx(length, rel=1e-5)
        assert np.linalg.norm(cell) == pytest.approx(length, rel=1e-5)


def test_low_frequencies_are_no_grain():
    made = Waves.of(3, (1, 8, 12))
    smooth = made.left.T @ np.random.default_rng(0).normal(size=(5, 1, 3, 3)) @ made.right
    assert np.abs(Grain.of(3, 8, 12).numbers(smooth)).max() < 1e-12
    assert np.abs(Grain.of(8, 8, 8).numbers(images(ImageFormat(8, 8)))).max() < 1e-12


def test_a_mask_has_neither_grain_nor_shades():
    some = images(ImageFormat(8, 12, mask=True))
    other = some.copy()
    other[:, 1] = np.random.default_rng(1).uniform(-1, 1, other[:, 1].shape)
    assert np.array_equal(Grain.of(3, 8, 12).numbers(some), Grain.of(3, 8, 12).numbers(other))
    assert np.array_equal(shades(some), shades(other))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_p01_an_image_with_a_value_that_is_no_number_counts_as_nothing(wrong):
    some = images(ImageFormat(8, 8))[:3]
    some[1, 0, 2, 3] = wrong
    with np.errstate(invalid="ignore"):
        for numbers in (Grain.of(3, 8, 8).numbers, shades):
            found = numbers(some)
            assert np.array_equal(found[[0, 2]], numbers(some[[0, 2]]))
            assert (found[1] == 0).all()


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_blocks_change_nothing(block, monkeypatch):
    cohort = kit.cohort(20, mask=True)
    for query in (GrainSums(Grain.of(3, 8, 8), 2), Shades(2)):
        whole = Pictures.of(cohort).total(query)
        with monkeypatch.context() as patch:
            patch.setattr(image_queries, "_PIXELS", block * 128)
            np.testing.assert_allclose(Pictures.of(cohort).total(query), whole, atol=1e-12)


def test_p03_what_is_asked_shows_no_patient():
    for query in (GrainSums(Grain.of(3, 8, 8), 2), Shades(2)):
        assert isinstance(query, ImageQuery)
        assert len(repr(query)) < 120
        assert "array" not in repr(query)

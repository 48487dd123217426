"""Area means against a loop over pixels in exact fractions; what is in the image stays in it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.imaging import ImageFormat, Reason
from wardgan.imaging.prepare import prepare
from wardgan.imaging.region import bright_box, largest_part, more_on_the_right
from wardgan.imaging.resample import fits, resample

SIDES = st.integers(1, 17)


def overlap(cell, pixel, extent, cells, shift):
    """How much of a pixel lies in a cell, in exact numbers."""
    start, end = cell * extent / cells - shift, (cell + 1) * extent / cells - shift
    return max(Fraction(0), min(end, Fraction(pixel + 1)) - max(start, Fraction(pixel)))


def obvious(image, rows, columns, left):
    height, width = image.shape
    scale = max(Fraction(height, rows), Fraction(width, columns))  # side of a new pixel, in old pixels
    down, across = scale * rows, scale * columns
    shift = Fraction(0) if left else (across - width) / 2
    out = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            total = Fraction(0)
            for y in range(height):
                tall = overlap(row, y, down, rows, (down - height) / 2)
                for x in range(width) if tall else ():
                    total += tall * overlap(column, x, across, columns, shift) * Fraction(float(image[y, x]))
            out[row, column] = total / scale**2
    return out


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 5), st.integers(1, 5), st.booleans(), st.integers(0, 2**32))
def test_each_new_pixel_is_the_mean_over_its_area(height, width, rows, columns, left, seed):
    image = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    found = resample(image, rows, columns, left=left)
    assert np.abs(found - obvious(image, rows, columns, left)).max() < 1e-12


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 6), st.integers(1, 6))
def test_nothing_of_the_image_is_lost(height, width, rows, columns):
    image = np.random.default_rng(height * width).random((height, width)).astype(np.float32)
    scale = max(height / rows, width / columns)
    assert resample(image, rows, columns).sum() * scale**2 == pytest.approx(image.sum(dtype=float), rel=1e-12)


def test_the_same_size_changes_nothing():
    image = np.random.default_rng(0).random((8, 12)).astype(np.float32)
    assert np.array_equal(resample(image, 8, 12), image.astype(float))


def test_large_images_are_summed_in_parts_without_seams():
    image = np.random.default_rng(0).random((3000, 1500)).astype(np.float32)
    blocks = image.astype(float).reshape(10, 300, 5, 300).mean(axis=(1, 3))
    assert np.abs(resample(image, 10, 5) - blocks).max() < 1e-12


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_an_image_fits_if_no_pixel_would_be_enlarged(height, width, rows, columns):
    assert fits(height, width, rows, columns) == (max(Fraction(height, rows), Fraction(width, columns)) >= 1)


def flood(bright):
    """The largest part, found by walking."""
    left, best = {tuple(at) for at in np.argwhere(bright)}, set()
    while left:
        todo, part = [left.pop()], set()
        while todo:
            y, x = todo.pop()
            part.add((y, x))
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            todo += near
        best = max(best, part, key=len)
    return best


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 0.8), st.integers(0, 2**32))
def test_the_largest_part_is_found(height, width, share, seed):
    bright = np.random.default_rng(seed).random((height, width)) < share
    part = largest_part(bright)
    assert part.sum() == len(flood(bright))
    assert not (part & ~bright).any()
    assert len(flood(part)) == part.sum()


def test_a_spiral_is_one_part():
    spiral = np.ones((15, 15), dtype=bool)
    for ring in range(1, 15, 4):
        spiral[ring : 15 - ring, ring : 15 - ring] = False
        spiral[ring + 1 : 14 - ring, ring + 1 : 14 - ring] = True
        spiral[ring, ring + 1] = spiral[ring, ring] = True
    assert largest_part(spiral).sum() == len(flood(spiral))


def breast(*, right=False, marker=True, size=(400, 300)):
    """A half disc on one side, darker at its skin, with a bright marker in the other corner."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    inside = ((rows - 200) / 150) ** 2 + (columns / 140) ** 2
    image = np.where(inside < 1, 0.35 + 0.5 * (1 - inside), 0.02).astype(np.float32)
    if marker:
        image[20:50, 250:290] = 1
    return image[:, ::-1] if right else image


def test_the_box_holds_the_breast_and_not_the_marker():
    rows, columns = bright_box(breast())
    assert 35 <= rows.start <= 50
    assert 350 <= rows.stop <= 365
    assert columns.start == 0
    assert 140 <= columns.stop <= 155


def test_an_image_without_contrast_is_not_cut():
    assert bright_box(np.zeros((40, 30), dtype=np.float32)) == (slice(0, 40), slice(0, 30))


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_the_box_is_inside_the_image(height, width):
    image = np.random.default_rng(height).random((height, width)).astype(np.float32) ** 4
    rows, columns = bright_box(image)
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= columns.start < columns.stop <= width


def test_tissue_goes_to_the_left():
    assert more_on_the_right(breast(right=True, marker=False))
    assert not more_on_the_right(breast(marker=False))
    declared = ImageFormat(64, 32, crop=True, flip=True)
    one, other = (prepare(breast(right=right), None, declared) for right in (False, True))
    assert np.abs(one - other).mean() < 0.02
    assert one[0, 24:40, :8].mean() > one[0, 24:40, -8:].mean() + 0.3
    unturned = prepare(breast(right=True), None, ImageFormat(64, 32, crop=True))
    assert np.abs(one - unturned).mean() > 0.1


def test_a_flipped_image_touches_the_left_edge_and_others_are_centred():
    image = np.ones((64, 16), dtype=np.float32)
    assert (prepare(image, None, ImageFormat(16, 16, flip=True))[0, :, :4] == 1).all()
    assert (prepare(image, None, ImageFormat(16, 16, flip=True))[0, :, 4:] == -1).all()
    assert (prepare(image, None, ImageFormat(16, 16))[0, :, 6:10] == 1).all()


def test_the_mask_goes_the_same_way_as_its_image():
    image = breast(right=True)
    mask = image > 0.5
    planes = prepare(image, mask, ImageFormat(64, 32, mask=True, crop=True, flip=True))
    assert set(np.unique(planes[1])) == {-1, 1}
    assert planes.dtype == np.float32
    agree = (planes[1] > 0) == (planes[0] > 0)
    assert agree.mean() > 0.97


def test_a_pixel_of_a_mask_is_inside_if_half_of_it_is():
    mask = np.zeros((16, 16), dtype=bool)
    mask[:, 0:3] = True  # the first new column whole, the second one half
    mask[0, 4] = True  # a quarter of a pixel
    planes = prepare(np.ones((16, 16), dtype=np.float32), mask, ImageFormat(8, 8, mask=True))
    assert (planes[1, :, :2] == 1).all()
    assert (planes[1, :, 2:] == -1).all()


def test_what_does_not_fit_together_is_not_made():
    image = np.ones((16, 16), dtype=np.float32)
    assert prepare(image, np.ones((16, 15), dtype=bool), ImageFormat(8, 8, mask=True)) == Reason.MASK_SIZE
    assert prepare(image, None, ImageFormat(20, 20)) == Reason.SMALL
    small = np.zeros((64, 64), dtype=np.float32)
    small[30:34, 30:34] = 1
    assert prepare(small, None, ImageFormat(16, 16, crop=True)) == Reason.SMALL

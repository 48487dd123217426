"""The picture of a training: images side by side on grey, masks beside their images."""

from __future__ import annotations

import numpy as np
import pytest

from wardgan.models.imagegan import strip as module
from wardgan.models.imagegan.strip import STRIP, sheet, write_strip


def tiles(count=5, planes=1):
    """Image `i` is grey of its own; a mask is white."""
    found = np.ones((count, planes, 4, 6), dtype=np.float32)
    found[:, 0] = np.linspace(-1, 1, count)[:, None, None]
    return found


def test_images_stand_row_by_row_on_grey():
    found = sheet(tiles(), columns=3)
    assert (found.dtype, found.shape) == (np.uint8, (2 * 6 + 2, 3 * 8 + 2))
    for at, level in enumerate([0, 64, 128, 191, 255]):
        row, column = divmod(at, 3)
        tile = found[row * 6 + 2 : row * 6 + 6, column * 8 + 2 : column * 8 + 8]
        assert (tile == level).all()
    assert (found[:2] == 128).all()
    assert (found[:, -2:] == 128).all()
    assert (found[8:12, 18:] == 128).all()  # no image there


def test_a_mask_stands_to_the_right_of_its_image():
    found = sheet(tiles(2, planes=2), columns=1)
    assert found.shape == (2 * 6 + 2, 12 + 4)
    assert (found[2:6, 2:8] == 0).all()
    assert (found[2:6, 8:14] == 255).all()


def test_what_overshoots_is_cut():
    assert set(np.unique(sheet(np.array([[[[-7.0, 9.0]]]], dtype=np.float32), columns=1))) == {0, 128, 255}


def test_a_strip_is_a_png(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the extra [images] is not installed")
    for count in (5, 6):  # it replaces what was there
        write_strip(tmp_path, tiles(count), columns=3)
        with image.open(tmp_path / STRIP) as found:
            assert np.array_equal(np.asarray(found), sheet(tiles(count), columns=3))
    assert [path.name for path in tmp_path.iterdir()] == ["progress.png"]


def test_without_pillow_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    write_strip(tmp_path, tiles(), columns=3)
    assert list(tmp_path.iterdir()) == []

"""A first guess of the format, from headers alone."""

from __future__ import annotations

import numpy as np
import pytest

import image_kit as kit
from wardgan.errors import DataError
from wardgan.imaging import ImageFormat, Reason, draft_format


def test_pictures_keep_their_proportions(tmp_path):
    for at in range(3):
        kit.picture(tmp_path / f"{at}.png", np.zeros((120, 90), dtype=np.uint8))
    found = draft_format(tmp_path)
    assert found.format == ImageFormat(64, 48)
    assert (found.images, found.sizes, found.bits, found.photometric) == (10, ((120, 90),), (8,), ())
    assert found.unusable == found.notices == ()


def test_small_images_get_a_small_format(tmp_path):
    kit.picture(tmp_path / "a.png", np.zeros((28, 28), dtype=np.uint8))
    assert draft_format(tmp_path).format == ImageFormat(28, 28)


def test_wide_images_are_wide(tmp_path):
    kit.picture(tmp_path / "a.png", np.zeros((100, 1000), dtype=np.uint8))
    found = draft_format(tmp_path).format
    assert (found.height, found.width) == (8, 64)


def test_mammograms_are_cut_and_mirrored(tmp_path):
    for at in range(3):
        kit.dicom(tmp_path / f"{at}.dcm", kit.ramp(80, 64), photometric="MONOCHROME1")
    found = draft_format(tmp_path)
    assert found.format == ImageFormat(64, 52, window="percentile", crop=True, flip=True)
    assert (found.bits, found.photometric) == ((12,), ("MONOCHROME1",))
    assert "mammograms" in found.notices[0]


def test_files_that_bring_a_window_are_shown_in_it(tmp_path):
    kit.dicom(tmp_path / "a.dcm", kit.ramp(80, 80), Modality="CT", WindowCenter=40, WindowWidth=400)
    assert draft_format(tmp_path).format == ImageFormat(64, 64)


def test_what_cannot_be_used_is_told(tmp_path):
    kit.dicom(tmp_path / "a.dcm", kit.ramp(80, 80))
    kit.dicom(tmp_path / "b.dcm", NumberOfFrames=4)
    kit.dicom(tmp_path / "c.dcm", kit.ramp(20, 20), PresentationIntentType="FOR PROCESSING")
    found = draft_format(tmp_path)
    assert found.unusable == (Reason.FRAMES,)
    (tmp_path / "a.dcm").unlink()
    (tmp_path / "c.dcm").unlink()
    with pytest.raises(DataError, match="no image can be used: more than one frame"):
        draft_format(tmp_path)
    (tmp_path / "b.dcm").unlink()
    with pytest.raises(DataError, match="holds no DICOM, PNG, JPEG or TIFF file"):
        draft_format(tmp_path)


def test_one_small_image_among_many_is_mentioned(tmp_path):
    for at in range(30):
        kit.picture(tmp_path / f"{at}.png", np.zeros((80, 80), dtype=np.uint8))
    kit.picture(tmp_path / "small.png", np.zeros((20, 20), dtype=np.uint8))
    found = draft_format(tmp_path)
    assert found.format == ImageFormat(64, 64)
    assert "some images are smaller" in found.notices[0]


def test_an_npz_is_drafted_from_its_header(tmp_path):
    np.savez(
        tmp_path / "a.npz", images=np.zeros((1234, 40, 40), dtype=np.float32), masks=np.zeros((1234, 40, 40), bool)
    )
    found = draft_format(tmp_path / "a.npz")
    assert found.format == ImageFormat(40, 40, mask=True, window="percentile")
    assert found.images == 1000
    np.savez(tmp_path / "a.npz", images=np.zeros((0, 40, 40), dtype=np.uint8))
    with pytest.raises(DataError, match="holds no image"):
        draft_format(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("number", "about"), [(1, 10), (14, 10), (96, 100), (149, 100), (1501, 2000), (84_999, 80_000)]
)
def test_numbers_of_images_are_rounded(tmp_path, number, about):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((number, 8, 8), dtype=np.uint8))
    assert draft_format(tmp_path / "a.npz").images == about

"""Stored numbers to brightness: pixel by pixel as the standard writes it, against the table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import image_kit as kit
from wardgan.imaging import ImageFormat, Reason
from wardgan.imaging.tones import Tones, brightness, float_brightness, looked_up, plain_tones, windowed


def by_the_standard(x, center, width, function):
    """PS3.3, C.11.2.1.2.1 and C.11.2.1.3, for a range of 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(min(700, -4 * (x - center) / width)))
    if function == "LINEAR_EXACT":
        if x <= center - width / 2:
            return 0.0
        return 1.0 if x > center + width / 2 else (x - center) / width + 0.5
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    return 1.0 if x > center - 0.5 + (width - 1) / 2 else (x - (center - 0.5)) / (width - 1) + 0.5


@settings(deadline=None)
@given(
    st.lists(st.integers(-3000, 3000), min_size=1, max_size=20),
    st.floats(-1000, 1000),
    st.floats(1, 4000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_is_that_of_the_standard(values, center, width, function):
    found = windowed(np.array(values, dtype=float), center, width, function)
    wanted = [by_the_standard(x, center, width, function) for x in values]
    assert np.allclose(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [(0, 0, "LINEAR"), (0, 0.5, "LINEAR"), (0, -1, "LINEAR_EXACT"), (math.nan, 5, "LINEAR"), (0, math.inf, "SIGMOID"),
     (0, 5, "SQUARE")],
)  # fmt: skip
def test_a_window_that_cannot_be_is_none(center, width, function):
    assert windowed(np.zeros(1), center, width, function) is None


def test_a_window_of_one_value_is_a_step():
    assert windowed(np.array([4.0, 5.0, 6.0]), 5, 1, "LINEAR").tolist() == [0, 1, 1]


@settings(deadline=None)
@given(st.lists(st.integers(-100, 500), min_size=1, max_size=30), st.integers(-50, 300))
def test_a_lookup_table_continues_its_ends(values, first):
    table = np.arange(20, dtype=float) ** 2
    wanted = [table[0] if x < first else table[-1] if x >= first + 20 else table[x - first] for x in values]
    assert looked_up(np.array(values, dtype=float), first, table).tolist() == wanted


@settings(deadline=None)
@given(st.integers(1, 16), st.integers(0, 2**32))
def test_the_full_range_is_that_of_the_bits(bits, seed):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (5, 4)).astype(np.uint16)
    found = brightness(codes, plain_tones(bits), "dicom")
    assert np.allclose(found, codes / ((1 << bits) - 1), rtol=0, atol=1e-7)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_percentiles_are_those_of_the_image(seed, inverted):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4096, (40, 50)).astype(np.uint16)
    tones = Tones(np.arange(4096) * 2.0 - 1024, inverted=inverted)
    low, high = np.quantile(codes * 2.0 - 1024, (0.01, 0.99), method="inverted_cdf")
    wanted = np.clip((codes * 2.0 - 1024 - low) / (high - low), 0, 1)
    assert np.allclose(brightness(codes, tones, "percentile"), 1 - wanted if inverted else wanted, atol=1e-6)


def test_padding_is_black_and_counts_for_no_percentile():
    codes = np.array([[0] * 50 + list(range(100, 150))], dtype=np.uint8)
    padding = np.arange(256) == 0
    for inverted in (False, True):
        found = brightness(codes, Tones(np.arange(256.0), inverted=inverted, padding=padding), "percentile")
        assert (found[0, :50] == 0).all()
        assert set(found[0, [51, 98]].round(1)) == {0.0, 1.0}
    all_padding = brightness(codes[:, :50], Tones(np.arange(256.0), padding=padding), "percentile")
    assert all_padding == Reason.WINDOW


def test_an_image_of_one_value_has_no_percentile_window():
    codes = np.full((4, 4), 9, dtype=np.uint8)
    assert brightness(codes, plain_tones(8), "percentile") == Reason.WINDOW
    assert float_brightness(np.full((4, 4), 9.5), "percentile") == Reason.WINDOW
    assert (brightness(codes, plain_tones(8), (8, 10)) == 0.5).all()


def test_floating_point_pixels_need_a_window():
    values = np.linspace(-1, 1, 101)[None]
    assert float_brightness(values, "dicom") == Reason.DEEP
    assert np.allclose(float_brightness(values, (-1, 1)), (values + 1) / 2)
    assert float_brightness(values, "percentile")[0, [1, 50, 99]].round(3).tolist() == [0, 0.5, 1]
    assert float_brightness(np.array([[0, np.nan]]), (0, 1)) == Reason.NOT_NUMBERS


ASK = ImageFormat(8, 8)


def test_the_window_of_a_file_is_taken_after_its_modality_lut(tmp_path):
    pixels = kit.ramp(top=2000)
    path = kit.dicom(
        tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[500, 9], WindowWidth=[1000, 9]
    )
    wanted = [[by_the_standard(2 * int(x) - 1000, 500, 1000, "LINEAR") for x in row] for row in pixels]
    assert np.allclose(kit.read_dicom(path, ASK), wanted, atol=1e-6)
    fixed = kit.read_dicom(path, ImageFormat(8, 8, window=(-1000, 3000)))
    assert np.allclose(fixed, pixels / 2000, atol=1e-6)


def test_negative_numbers_stay_negative(tmp_path):
    pixels = kit.ramp(top=2000) - 1000
    for bits in (12, 16):
        path = kit.dicom(tmp_path / f"{bits}.dcm", pixels, bits=bits, signed=True)
        found = kit.read_dicom(path, ImageFormat(8, 8, window=(-1000, 1000)))
        assert np.allclose(found, (pixels + 1000) / 2000, atol=1e-6)


def test_monochrome1_is_inverted_after_the_window(tmp_path):
    more = {"WindowCenter": 1000, "WindowWidth": 1500}
    one = kit.read_dicom(kit.dicom(tmp_path / "1.dcm", photometric="MONOCHROME1", **more), ASK)
    two = kit.read_dicom(kit.dicom(tmp_path / "2.dcm", photometric="MONOCHROME2", **more), ASK)
    assert np.allclose(one, 1 - two, atol=1e-6)
    assert one[0, 0] == 1


def sequence(entries, first, bits):
    item = kit.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.add_new("LUTData", "OW", np.asarray(entries, dtype="<u2").tobytes())
    return [item]


def test_lookup_tables_of_a_file_are_used(tmp_path):
    pixels = kit.ramp(top=255)
    squares = (np.arange(200) ** 2 // 10).astype(int)  # up to 3960
    voi = sequence(squares, 30, 12)
    path = kit.dicom(tmp_path / "voi.dcm", pixels, bits=8, VOILUTSequence=voi, WindowCenter=1, WindowWidth=2)
    wanted = squares[np.clip(pixels - 30, 0, 199)] / 4095
    assert np.allclose(kit.read_dicom(path, ASK), wanted, atol=1e-6)
    modality = sequence(1000 - np.arange(256) * 3, 0, 16)
    path = kit.dicom(
        tmp_path / "both.dcm", pixels, bits=8, ModalityLUTSequence=modality, WindowCenter=500, WindowWidth=900
    )
    wanted = [[by_the_standard(1000 - 3 * int(x), 500, 900, "LINEAR") for x in row] for row in pixels]
    assert np.allclose(kit.read_dicom(path, ASK), wanted, atol=1e-6)


def test_a_window_without_a_width_is_a_reason(tmp_path):
    path = kit.dicom(tmp_path / "a.dcm", WindowCenter=100, WindowWidth=0)
    assert kit.read_dicom(path, ASK) == Reason.WINDOW
    path = kit.dicom(tmp_path / "b.dcm", WindowCenter=100, WindowWidth=9, VOILUTFunction="OTHER")
    assert kit.read_dicom(path, ASK) == Reason.WINDOW


def test_padding_of_a_file_is_black(tmp_path):
    pixels = kit.ramp(top=2000)
    path = kit.dicom(
        tmp_path / "a.dcm", pixels, PixelPaddingValue=1900, PixelPaddingRangeLimit=2100, photometric="MONOCHROME1"
    )
    found = kit.read_dicom(path, ImageFormat(8, 8, window=(0, 2000)))
    assert (found[pixels >= 1900] == 0).all()
    assert np.allclose(found[pixels < 1900], 1 - pixels[pixels < 1900] / 2000, atol=1e-6)


def test_bits_that_are_not_the_images_are_ignored(tmp_path):
    pixels = kit.ramp(top=4095)
    path = kit.dicom(tmp_path / "a.dcm", pixels | 0x7000, bits=12)
    assert np.allclose(kit.read_dicom(path, ASK), pixels / 4095, atol=1e-6)

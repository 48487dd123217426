"""What the stored numbers of an image mean, and how bright each of them is in a window.

An image has at most 65,536 different stored numbers. So everything that the standard asks for (modality LUT, window or
VOI LUT, inversion) is done once for each of them, in a table, and not for each pixel: 12 and 16 bits keep all
their steps, and a large image needs no copies in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.report import Reason
from wardgan.schema.images import Window

Numbers = NDArray[np.float64]
Codes = NDArray[np.unsignedinteger]
_QUANTILES: Final = (0.01, 0.99)
_BLOCK: Final = 1 << 22


@dataclass(frozen=True)
class Tones:
    """What each stored number of an image means.

    Attributes:
        values: The value of each number after the modality LUT, shape (2 ** bits,).
        shown: Its brightness from 0 to 1 in the window of the file, shape (2 ** bits,); `None` if the file has none.
        inverted: Whether the lowest value is white (MONOCHROME1).
        padding: Which numbers stand for no measurement and are black, shape (2 ** bits,); `None` if there are none.
    """

    values: Numbers
    shown: Numbers | None = None
    inverted: bool = False
    padding: NDArray[np.bool_] | None = None


def plain_tones(bits: int) -> Tones:
    """Gives the tones of a picture whose numbers say how bright a pixel is.

    Args:
        bits: Bits of a pixel, 1 to 16.
    """
    return Tones(np.arange(1 << bits, dtype=np.float64))


def brightness(codes: Codes, tones: Tones, window: Window) -> NDArray[np.float32] | Reason:
    """Gives how bright each pixel is: 0 is black and 1 is white.

    Args:
        codes: Stored numbers, shape (height, width), each below 2 ** bits.
        tones: What they mean.
        window: Which values are black and white.

    Returns:
        Shape (height, width), or why there is no such window.

    Example:
        >>> pixels = np.array([[0, 128, 255]], dtype=np.uint8)
        >>> brightness(pixels, plain_tones(8), (0, 256))
        array([[0.        , 0.5       , 0.99609375]], dtype=float32)
    """
    if window == "dicom" and tones.shown is not None:
        table = tones.shown
    else:
        low, high = _ends(codes, tones, window)
        # Not "low < high", because a value that is no number has to be refused as well.
        if not low < high:
            return Reason.WINDOW
        table = np.clip((tones.values - low) / (high - low), 0, 1)
    if tones.inverted:
        table = 1 - table
    if tones.padding is not None:
        table = np.where(tones.padding, 0, table)
    return table.astype(np.float32)[codes]


def float_brightness(values: NDArray[np.floating], window: Window) -> NDArray[np.float32] | Reason:
    """Gives how bright each pixel of an image in floating-point numbers is.

    Args:
        values: Shape (height, width).
        window: Two numbers or `percentile`; the file cannot know what black and white are.

    Returns:
        Shape (height, width), or why it cannot be used.
    """
    if not np.isfinite(values).all():
        return Reason.NOT_NUMBERS
    if window == "dicom":
        return Reason.DEEP
    low, high = np.quantile(values, _QUANTILES) if window == "percentile" else window
    if not low < high:
        return Reason.WINDOW
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


def windowed(values: Numbers, center: float, width: float, function: str) -> Numbers | None:
    """Gives brightness in a window of the DICOM standard.

    Args:
        values: Values after the modality LUT, any shape.
        center: Window Center.
        width: Window Width: at least 1 for `LINEAR`, greater than 0 for the others.
        function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.

    Returns:
        Brightness from 0 to 1, of the same shape; `None` for an unknown function or a window without a width.

    Source:
        DICOM PS3.3, C.11.2.1.

    Example:
        >>> windowed(np.array([0.0, 127.5, 255.0]), 128, 256, "LINEAR")
        array([0. , 0.5, 1. ])
    """
    if not np.isfinite([center, width]).all() or not width > 0:
        return None
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function != "LINEAR" or width < 1:
        return None
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def looked_up(values: Numbers, first: int, table: Numbers) -> Numbers:
    """Gives the entries of a lookup table; values before or behind it get its first or last entry.

    Args:
        values: What is looked up, any shape; fractions are cut off.
        first: The value of the first entry.
        table: The entries, shape (entries,).
    """
    at = np.clip(np.floor(values) - first, 0, len(table) - 1)
    return table[at.astype(np.intp)]


def _ends(codes: Codes, tones: Tones, window: Window) -> tuple[float, float]:
    if window == "dicom":
        return float(tones.values.min()), float(tones.values.max())
    if window == "percentile":
        return _quantiles(codes, tones)
    return cast("tuple[float, float]", window)


def _quantiles(codes: Codes, tones: Tones) -> tuple[float, float]:
    """Gives the quantiles of the pixels that are measurements, from how often each number occurs."""
    counts = np.zeros(len(tones.values), dtype=np.int64)
    flat = codes.reshape(-1)
    for start in range(0, len(flat), _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=len(counts))
    if tones.padding is not None:
        counts[tones.padding] = 0
    order = np.argsort(tones.values, kind="stable")
    up_to = np.cumsum(counts[order])
    if not up_to[-1]:
        return 0.0, 0.0
    places = np.searchsorted(up_to, [quantile * up_to[-1] for quantile in _QUANTILES])
    low, high = tones.values[order[np.minimum(places, len(order) - 1)]]
    return float(low), float(high)

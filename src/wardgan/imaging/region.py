"""Where the breast or the body is in an image, and on which side it lies."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.resample import resample

Box = tuple[slice, slice]
_SIDE: Final = 128
_LEVELS: Final = 256


def bright_box(image: NDArray[np.float32]) -> Box:
    """Gives the box around the largest bright part of an image; all of it where nothing stands out.

    The image is made small, split into dark and bright by half of Otsu's threshold (half, because the skin is darker
    than the tissue below it), and the largest connected part that is bright is kept. Letters and markers beside the
    breast are smaller, so they are left out.

    Args:
        image: Brightness from 0 to 1, shape (height, width).

    Returns:
        Rows and columns of the box, with a small margin.

    Source:
        Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979), 62-66.

    Example:
        >>> image = np.zeros((100, 100), dtype=np.float32)
        >>> image[20:60, 50:90] = 1
        >>> bright_box(image)
        (slice(19, 61, None), slice(49, 91, None))
    """
    height, width = image.shape
    factor = max(1, -(-max(height, width) // _SIDE))
    rows, columns = -(-height // factor), -(-width // factor)
    # The small image covers whole pixels, so that its edges are edges of pixels of the large one.
    padded = np.pad(image, ((0, rows * factor - height), (0, columns * factor - width)), mode="edge")
    small = resample(padded, rows, columns)
    part = largest_part(small > threshold(small) / 2)
    if not part.any():
        return slice(0, height), slice(0, width)
    filled_rows, filled_columns = np.nonzero(part)
    return _span(filled_rows, factor, height), _span(filled_columns, factor, width)


def threshold(image: NDArray[np.float64]) -> float:
    """Gives the brightness that splits an image into two parts with the largest variance between them (Otsu).

    Args:
        image: Brightness from 0 to 1, any shape.
    """
    counts, edges = np.histogram(image, bins=_LEVELS, range=(0, 1))
    below = np.cumsum(counts)[:-1]
    above = image.size - below
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    apart = np.nan_to_num(apart)
    # Between two clusters every threshold is as good; the middle of them is the natural one.
    best = np.flatnonzero(apart >= apart.max())
    return float(edges[1:][(best[0] + best[-1]) // 2])


def largest_part(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Gives the largest part of a mask whose pixels touch each other at their sides.

    Args:
        bright: Mask, shape (height, width).

    Returns:
        Mask of the same shape; nothing if the mask is empty.
    """
    names = np.where(bright, np.arange(1, bright.size + 1).reshape(bright.shape), 0)
    while True:
        before = names
        # Each pixel takes the largest name along its runs: first along rows, then along columns.
        names = _spread(_spread(names).T).T
        if np.array_equal(names, before):
            break
    sizes = np.bincount(names.ravel())
    sizes[0] = 0
    return (names == sizes.argmax()) & bright


def more_on_the_right(image: NDArray[np.float32]) -> bool:
    """Whether the right half of an image is brighter than the left one.

    Args:
        image: Brightness from 0 to 1, shape (height, width).
    """
    half = image.shape[1] // 2
    return bool(image[:, -half:].sum(dtype=np.float64) > image[:, :half].sum(dtype=np.float64)) if half else False


def _spread(names: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gives each pixel the largest name of its run in the row."""
    ends = np.pad(names == 0, ((0, 0), (1, 0)), constant_values=True)[:, :-1] | (names == 0)
    runs = np.cumsum(ends.ravel())  # a run begins behind each dark pixel and at each row's start
    starts = np.flatnonzero(np.diff(runs, prepend=0))
    largest = np.maximum.reduceat(names.ravel(), starts)
    return np.where(names == 0, 0, largest[runs - 1].reshape(names.shape))


def _span(filled: NDArray[np.intp], factor: int, size: int) -> slice:
    return slice(max(0, (int(filled.min()) - 1) * factor), min(size, (int(filled.max()) + 2) * factor))

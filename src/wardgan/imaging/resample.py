"""Images to the declared size by exact means over areas; proportions are kept, and nothing is enlarged."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_BLOCK: Final = 1 << 20


def fits(height: int, width: int, rows: int, columns: int) -> bool:
    """Whether an image can be brought to a size without being enlarged.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        rows: Rows that are wanted.
        columns: Columns that are wanted.

    Example:
        >>> fits(30, 300, 64, 64), fits(30, 60, 64, 64)
        (True, False)
    """
    return height >= rows or width >= columns


def resample(image: NDArray[np.float32], rows: int, columns: int, *, left: bool = False) -> NDArray[np.float64]:
    """Gives an image in another size: each new pixel is the mean over the area that it covers.

    The proportions are kept. Where they differ from those that are wanted, the image is centred and the rest is black
    (0), so that a pixel stays a square and no organ is stretched.

    Args:
        image: Brightness, shape (height, width).
        rows: Rows that are wanted.
        columns: Columns that are wanted.
        left: Whether the image is put to the left edge instead of the centre.

    Returns:
        Shape (rows, columns).

    Example:
        >>> resample(np.array([[0, 1, 2, 3]] * 2, dtype=np.float32), 1, 2)
        array([[0.5, 2.5]])
        >>> resample(np.ones((2, 4), dtype=np.float32), 2, 2)
        array([[0.5, 0.5],
               [0.5, 0.5]])
    """
    height, width = image.shape
    # The canvas has the wanted proportions and holds the image.
    tall = height * columns >= width * rows
    down = float(height) if tall else width * rows / columns
    across = height * columns / rows if tall else float(width)
    row_edges = np.linspace(0, down, rows + 1) - (down - height) / 2
    column_edges = np.linspace(0, across, columns + 1) - (0 if left else (across - width) / 2)
    narrow = np.empty((height, columns))
    step = max(1, _BLOCK // width)
    for start in range(0, height, step):
        narrow[start : start + step] = _sums(image[start : start + step], column_edges)
    return _sums(narrow.T, row_edges).T * ((rows / down) * (columns / across))


def _sums(values: NDArray[np.float32] | NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the sums of each row between edges, where a part of a value counts by its part."""
    size = values.shape[1]
    total = np.zeros((len(values), size + 2))
    np.cumsum(values, axis=1, dtype=np.float64, out=total[:, 1:-1])
    total[:, -1] = total[:, -2]
    places = np.clip(edges, 0, size)
    whole = places.astype(np.intp)
    below = total[:, whole]
    return np.diff(below + (places - whole) * (total[:, whole + 1] - below), axis=1)

"""Textures of grey images: which grey levels lie beside each other, and in which runs."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.evaluate.images.sets import Values

LEVELS: Final = 16
REACHES: Final = (1, 3)
BESIDE: Final = (
    "contrast",
    "dissimilarity",
    "homogeneity",
    "energy",
    "entropy",
    "correlation",
    "maximum",
    "shade",
    "prominence",
    "sum_entropy",
    "difference_entropy",
    "direction",
)
RUNS: Final = (
    "short",
    "long",
    "grey_uniformity",
    "length_uniformity",
    "share",
    "low_grey",
    "high_grey",
    "short_high",
    "long_low",
    "grey_variance",
    "length_variance",
    "entropy",
)
_LEAST: Final = 1e-12
_FOUR: Final = ((0, 1), (1, 0), (1, 1), (1, -1))


def levels(images: Values) -> NDArray[np.int64]:
    """Gives 16 grey levels of equal width from -1 to 1, the same for all images; shape of the images.

    Example:
        >>> levels(np.array([-1.0, -0.01, 0.0, 1.0])).tolist()
        [0, 7, 8, 15]
    """
    return np.clip((images + 1) / 2 * LEVELS, 0, LEVELS - 1).astype(np.int64)


def neighbours(found: NDArray[np.int64], reach: int) -> Values:
    """Gives Haralick's features of pairs of grey levels at one distance, over four directions.

    Args:
        found: Grey levels, shape (images, height, width).
        reach: Distance in pixels.

    Returns:
        Shape (images, 12), in the order of `BESIDE`; `direction` is how much the contrast differs between the four
        directions, by its mean.

    Source:
        Haralick, Shanmugam and Dinstein, IEEE Trans Syst Man Cybern 1973;3:610; shade and prominence: Conners,
        Trivedi and Harlow 1984.
    """
    four = [_pairs(found, reach * down, reach * right) for down, right in _FOUR]
    i, j = (grid.astype(np.float64) for grid in np.indices((LEVELS, LEVELS)))
    contrasts = np.stack([(table * (i - j) ** 2).sum(axis=(1, 2)) for table in four])  # (directions, images)
    table = np.mean(four, axis=0)  # (images, levels, levels)

    def mean(of: Values) -> Values:
        return (table * of).sum(axis=(1, 2))

    centre = mean(i)
    variance = mean(i * i) - centre**2
    sums = (i + j)[None] - 2 * centre[:, None, None]
    correlation = (mean(i * j) - centre**2) / np.maximum(variance, _LEAST)
    return np.column_stack(
        [
            contrasts.mean(axis=0),
            mean(np.abs(i - j)),
            mean(1 / (1 + (i - j) ** 2)),
            (table**2).sum(axis=(1, 2)),
            entropy(table.reshape(len(table), -1)),
            # One level only: everything is as its neighbour is.
            np.where(variance > _LEAST, correlation, 1.0),
            table.max(axis=(1, 2)),
            mean(sums**3),
            mean(sums**4),
            entropy(_collected(table, (i + j).astype(np.int64))),
            entropy(_collected(table, np.abs(i - j).astype(np.int64))),
            np.ptp(contrasts, axis=0) / (contrasts.mean(axis=0) + 0.1),
        ]
    )


def runs(found: NDArray[np.int64]) -> Values:
    """Gives features of runs, lines of pixels of one grey level, over four directions.

    Args:
        found: Grey levels, shape (images, height, width).

    Returns:
        Shape (images, 12), in the order of `RUNS`; levels count from 1.

    Source:
        Galloway, Comput Graph Image Process 1975;4:172; Chu et al., Pattern Recognit Lett 1990;11:415; Dasarathy and
        Holder, Pattern Recognit Lett 1991;12:497.
    """
    n, height, width = found.shape
    flat = found.reshape(n, -1)
    pieces = [_runs_along(flat, *_lines(height, width, down, right)) for down, right in _FOUR]
    owner, grey, length = (np.concatenate(part) for part in zip(*pieces, strict=True))
    size = max(height, width) + 1
    joint = np.bincount((owner * LEVELS + grey) * size + length, minlength=n * LEVELS * size)
    table = joint.reshape(n, LEVELS, size).astype(np.float64)
    number = table.sum(axis=(1, 2))
    table /= number[:, None, None]
    i = np.arange(1, LEVELS + 1, dtype=np.float64)[:, None]
    j = np.maximum(np.arange(size, dtype=np.float64), 1)[None]

    def mean(of: Values) -> Values:
        return (table * of).sum(axis=(1, 2))

    return np.column_stack(
        [
            mean(1 / j**2 + 0 * i),
            mean(j**2 + 0 * i),
            (table.sum(axis=2) ** 2).sum(axis=1),
            (table.sum(axis=1) ** 2).sum(axis=1),
            number / (len(_FOUR) * height * width),
            mean(1 / i**2 + 0 * j),
            mean(i**2 + 0 * j),
            mean(i**2 / j**2),
            mean(j**2 / i**2),
            mean(i**2 + 0 * j) - mean(i + 0 * j) ** 2,
            mean(j**2 + 0 * i) - mean(j + 0 * i) ** 2,
            entropy(table.reshape(n, -1)),
        ]
    )


def entropy(shares: Values) -> Values:
    """Gives the entropy in bits of shares of shape (images, cells).

    Example:
        >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    return -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1) + 0.0


def _pairs(found: NDArray[np.int64], down: int, right: int) -> Values:
    """Gives the shares of pairs of levels that lie so far apart, both ways round; shape (images, levels, levels)."""
    n, height, width = found.shape
    left = max(0, -right)
    one = found[:, : height - down, left : width - max(0, right)]
    other = found[:, down:, left + right : width + min(0, right)]
    code = (np.arange(n)[:, None, None] * LEVELS + one) * LEVELS + other
    table = np.bincount(code.ravel(), minlength=n * LEVELS * LEVELS).reshape(n, LEVELS, LEVELS).astype(np.float64)
    table += table.transpose(0, 2, 1)
    return table / table.sum(axis=(1, 2), keepdims=True)


def _collected(table: Values, cell: NDArray[np.int64]) -> Values:
    """Gives the shares of the cells with the same number, shape (images, numbers)."""
    n, size = len(table), int(cell.max()) + 1
    code = (np.arange(n)[:, None] * size + cell.ravel()).ravel()
    return np.bincount(code, weights=table.ravel(), minlength=n * size).reshape(n, size).astype(np.float64)


def _lines(height: int, width: int, down: int, right: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Gives the pixels line by line along one direction, and which of them begin a line; both of shape (pixels,)."""
    row, column = (grid.ravel() for grid in np.indices((height, width)))
    # What stays the same along a line, and what grows along it.
    line = row if not down else column if not right else column * down - row * right
    order = np.lexsort((row if down else column, line))
    return order, np.diff(line[order], prepend=line.min() - 1) != 0


def _runs_along(
    flat: NDArray[np.int64], order: NDArray[np.intp], begins: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Gives image, level and length of each run, each of shape (runs,)."""
    along = flat[:, order]
    fresh = np.diff(along, axis=1, prepend=-1) != 0
    fresh |= begins
    starts = np.flatnonzero(fresh)
    length = np.diff(starts, append=along.size)
    return starts // along.shape[1], along.ravel()[starts], length

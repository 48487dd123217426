"""One image from brightness to the planes that a network learns from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.region import bright_box, more_on_the_right
from wardgan.imaging.report import Reason
from wardgan.imaging.resample import fits, resample
from wardgan.schema.images import ImageFormat

Pixels = NDArray[np.float32]


def prepare(brightness: Pixels, mask: NDArray[np.bool_] | None, declared: ImageFormat) -> Pixels | Reason:
    """Gives an image in the declared size: cut, mirrored and resampled as declared, from -1 (black) to 1 (white).

    Args:
        brightness: From 0 (black) to 1 (white), shape (height, width).
        mask: What belongs to it, of the same shape; `None` if no mask is declared. A new pixel is inside if at
            least half of its area is.
        declared: How images look.

    Returns:
        Shape (channels, rows, columns), the mask as the last channel with -1 outside and 1 inside; or why not.

    Example:
        >>> image = np.array([[0, 0.5], [1, 1]] * 8, dtype=np.float32).repeat(8, axis=1)
        >>> prepare(image, None, ImageFormat(8, 8)).mean()
        np.float32(0.25)
    """
    if mask is not None and mask.shape != brightness.shape:
        return Reason.MASK_SIZE
    # What has the declared size already was cut before, as what was written by this package: it would only get smaller.
    cut = declared.crop and brightness.shape != (declared.height, declared.width)
    box = bright_box(brightness) if cut else (slice(None), slice(None))
    image = brightness[box]
    if not fits(image.shape[0], image.shape[1], declared.height, declared.width):
        return Reason.SMALL
    mirrored = declared.flip and more_on_the_right(image)
    turn = slice(None, None, -1 if mirrored else 1)

    def small(plane: Pixels) -> NDArray[np.float64]:
        return resample(plane[:, turn], declared.height, declared.width, left=declared.flip)

    planes = np.empty(declared.shape, dtype=np.float32)
    planes[0] = np.clip(2 * small(image) - 1, -1, 1)
    if mask is not None:
        # The sums are exact in binary fractions only; a half that misses by rounding is a half.
        planes[-1] = np.where(small(mask[box].astype(np.float32)) >= 0.5 - 1e-9, 1, -1)
    return planes

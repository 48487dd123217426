"""The sizes that an image goes through in a network, and whether a receiver would load it."""

from __future__ import annotations

from typing import Final

from wardgan.errors import PlanError
from wardgan.schema.images import ImageFormat

_MOST: Final = 4
_SMALLEST: Final = 3
# Planes of an image's size that its start takes, low frequencies and grain together, with some room.
_START: Final = 48
# What a receiver's loader allows for one image, in bytes: one tensor, and all of them (`seal/onnx_shapes.py`).
TENSOR: Final = 1 << 24
TENSORS: Final = 1 << 27


def stages(look: ImageFormat) -> int:
    """Gives how often the size is halved: while both sides are whole and at least 3 pixels are left.

    Example:
        >>> stages(ImageFormat(28, 28)), stages(ImageFormat(64, 48))
        (2, 4)
    """
    found, height, width = 0, look.height, look.width
    while height % 2 == width % 2 == 0 and min(height, width) >= 2 * _SMALLEST:
        found, height, width = found + 1, height // 2, width // 2
    return found


def channels(width: int, stage: int) -> int:
    """Gives the channels at the size that is halved `stage` times."""
    return width * min(2**stage, _MOST)


def check_size(look: ImageFormat, width: int) -> None:
    """Refuses a network that no receiver would load, before anything is read.

    Args:
        look: How images look.
        width: Channels at full size.

    Raises:
        PlanError: Says what to make smaller.
    """
    largest, total = 0, _START * 4 * look.height * look.width
    for stage in range(stages(look) + 1):
        mine, before = channels(width, stage), channels(width, stage + 1)
        pixels = (look.height >> stage) * (look.width >> stage)
        largest = max(largest, 4 * (before + look.planes) * pixels)
        total += 4 * (2 * before + 7 * mine + 4 * look.planes) * pixels
    if largest > TENSOR or total > TENSORS:
        raise PlanError(
            f"width={width} makes a network for {look.height} x {look.width} pixels that needs {total >> 20:,} MiB for "
            f"one image; receivers allow {TENSORS >> 20:,}, and {TENSOR >> 20:,} for one tensor. Take a smaller width "
            "or smaller images."
        )

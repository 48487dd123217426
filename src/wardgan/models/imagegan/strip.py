"""A picture of what the generator makes while it is trained. It stays on site, like a checkpoint."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan import files

STRIP: Final = "progress.png"
_GAP: Final = 2


def write_strip(folder: Path, images: NDArray[np.float32], *, columns: int) -> None:
    """Writes images side by side into `progress.png`, one row for each class; without Pillow nothing is written.

    Args:
        folder: The run folder.
        images: Shape (images, channels, height, width), from -1 to 1; a mask stands to the right of its image.
        columns: Images in a row.
    """
    if find_spec("PIL") is None:
        return
    from PIL import Image

    with files.new_file(folder / STRIP, force=True) as file:
        Image.fromarray(sheet(images, columns=columns)).save(file, format="PNG")


def sheet(images: NDArray[np.float32], *, columns: int) -> NDArray[np.uint8]:
    """Gives images side by side on a grey ground, shape (height, width).

    Args:
        images: As in `write_strip`.
        columns: Images in a row.
    """
    tiles = np.concatenate(list(images.transpose(1, 0, 2, 3)), axis=2)  # channels side by side
    count, height, width = tiles.shape
    rows = -(-count // columns)
    found = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), 128, dtype=np.uint8)
    for at, tile in enumerate(tiles):
        row, column = divmod(at, columns)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        found[top : top + height, left : left + width] = np.clip(np.rint((tile + 1) * 127.5), 0, 255)
    return found

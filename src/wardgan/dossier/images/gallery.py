"""Galleries: synthetic images for everybody, and beside real ones for the hospital alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.dossier.document import Block, Gallery, Picture, Text
from wardgan.models.imagegan.strip import sheet
from wardgan.rng import Seed
from wardgan.sample.generator import Generator

_ROW: Final = 8
_ROWS: Final = 12
# Pixels of one gallery: a page stays below 2 MB.
_PIXELS: Final = 300_000
NO_PILLOW: Final = "Images are drawn where Pillow is installed: pip install 'wardgan[images]'."


def synthetic_gallery(generator: Generator, target: str | None, *, seed: int) -> list[Block]:
    """Gives synthetic images of each level of a label.

    Args:
        generator: A generator of images.
        target: The label; `None` for images of any kind.
        seed: Of the images.
    """
    column = None if target is None else generator.schema.column(target)
    levels = ["all"] if column is None else [str(level) for level in column.levels]
    pixels = len(generator.layout)
    columns = max(2, min(_ROW, _PIXELS // (pixels * len(levels))))
    rows = max(1, min(_ROWS, _PIXELS // (pixels * columns), len(levels)))
    pictures: list[tuple[str, NDArray[np.float32]]] = []
    for at, level in enumerate(levels[:rows]):
        chosen = {} if target is None else {target: level}
        replay = int(Seed(seed).stream("gallery", at).integers(2**63))
        if not chosen or level_share(generator, str(target), at) > 0:
            pictures.append((level, generator.images(columns, where=chosen or None, seed=replay).pixels))
    what = "Synthetic images" if target is None else f"Synthetic images by {target}"
    some = "" if len(levels) == len(pictures) else f" (the first {len(pictures)} of {len(levels)} levels)"
    return gallery(f"{what}, not chosen{some}", pictures)


def level_share(generator: Generator, label: str, place: int) -> float:
    """Gives the share of a level among what a generator draws: exact, without drawing.

    Args:
        generator: A generator with labels.
        label: One of them.
        place: Of the level.
    """
    shares = np.asarray(generator.probabilities, dtype=np.float64).reshape(
        [column.size for column in generator.schema.labels]
    )
    axis = [column.name for column in generator.schema.labels].index(label)
    return float(np.moveaxis(shares, axis, 0)[place].sum() / shares.sum())


def gallery(title: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> list[Block]:
    """Gives rows of images as one block, or a sentence where they cannot be drawn.

    Args:
        title: What is shown, in one sentence.
        rows: What a row shows, and its images of shape (images, channels, height, width), from -1 to 1.
    """
    if find_spec("PIL") is None:
        return [Text(NO_PILLOW, "quiet")]
    return [Gallery(title, [Picture(name, _png(images)) for name, images in rows if len(images)])]


def _png(images: NDArray[np.float32]) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(sheet(images, columns=len(images))).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")

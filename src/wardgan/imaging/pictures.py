"""Grey PNG, JPEG and TIFF files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.extras import DAMAGED, needs_images, quiet
from wardgan.imaging.found import MAX_FILE, MAX_PIXELS
from wardgan.imaging.marks import is_note
from wardgan.imaging.report import Reason
from wardgan.imaging.tones import Tones, brightness, float_brightness, plain_tones
from wardgan.schema.images import Window

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("PNG", "JPEG", "TIFF")
_BITS: Final = {"1": 1, "L": 8, "I;16": 16, "I;16L": 16, "I;16B": 16, "F": 32}
_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_Given = TypeVar("_Given")


def read_picture(path: Path, window: Window) -> NDArray[np.float32] | Reason:
    """Gives how bright each pixel of a picture is, from 0 to 1.

    Args:
        path: PNG, JPEG or TIFF with one grey channel of 1, 8 or 16 bits, or a TIFF in floating-point numbers.
        window: Which values are black and white.

    Returns:
        Shape (height, width), or why it cannot be used.
    """

    def bright(image: Image) -> NDArray[np.float32] | Reason:
        values = np.asarray(image)
        if image.mode == "F":
            return float_brightness(values, window)
        codes = values.astype(np.uint16 if _BITS[image.mode] == 16 else np.uint8)
        return brightness(codes, _tones(image), window)

    return _opened(path, bright)


def read_mask(path: Path) -> NDArray[np.bool_] | Reason:
    """Gives the mask in a picture: 0 is outside, anything else is inside.

    Args:
        path: PNG or TIFF with one channel. JPEG blurs the edges, so it is refused.

    Returns:
        Shape (height, width), or why it cannot be used.
    """

    def inside(image: Image) -> NDArray[np.bool_] | Reason:
        return Reason.BAD_MASK if image.format == "JPEG" else np.asarray(image) != 0

    return _opened(path, inside)


@dataclass(frozen=True)
class PictureFacts:
    """What the header of a picture says.

    Attributes:
        height: In pixels.
        width: In pixels.
        bits: Of a pixel.
        synthetic: Whether a text in it says that no patient is in it.
    """

    height: int
    width: int
    bits: int
    synthetic: bool


def picture_facts(path: Path) -> PictureFacts | Reason:
    """Gives what the header of a picture says.

    Args:
        path: PNG, JPEG or TIFF.
    """

    def facts(image: Image) -> PictureFacts:
        return PictureFacts(image.height, image.width, _BITS[image.mode], is_note(image.info.get("Comment")))

    return _opened(path, facts, decode=False)


def _opened(path: Path, use: Callable[[Image], _Given | Reason], *, decode: bool = True) -> _Given | Reason:
    """Gives what a function makes of a picture, once its header has shown that it may be decoded."""
    with needs_images():
        from PIL import Image
    try:
        if path.stat().st_size > MAX_FILE:
            return Reason.LARGE
        with quiet(), Image.open(path, formats=_FORMATS) as image:
            wrong = _fault(image)
            if wrong is None and decode:
                image.load()
            return use(image) if wrong is None else wrong
    except Image.DecompressionBombError:
        return Reason.LARGE
    except DAMAGED:
        return Reason.UNREADABLE


def _tones(image: Image) -> Tones:
    """Gives what the numbers of a picture mean; of a TIFF with 16 bits, Pillow leaves that to its tags."""
    bits, inverted = _BITS[image.mode], False
    if bits == 16 and image.format == "TIFF":
        tags = cast("Mapping[int, int | tuple[int, ...]]", getattr(image, "tag_v2", {}))
        bits = _first(tags.get(_BITS_PER_SAMPLE, bits))
        inverted = _first(tags.get(_PHOTOMETRIC, 1)) == _WHITE_IS_ZERO
    return replace(plain_tones(bits), inverted=inverted)


def _first(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else value


def _fault(image: Image) -> Reason | None:
    """Gives why a picture may not be decoded; only its header has been read."""
    if image.width * image.height > MAX_PIXELS:
        return Reason.LARGE
    if cast("int", getattr(image, "n_frames", 1)) > 1:
        return Reason.FRAMES
    if image.mode == "I":
        return Reason.DEEP
    return None if image.mode in _BITS else Reason.COLOUR

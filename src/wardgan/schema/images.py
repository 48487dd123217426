"""How every image of a generator looks: declared, public, and the same for each patient's image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, cast, get_args

from wardgan.check import is_number
from wardgan.errors import SchemaError
from wardgan.schema.visits import refuse_unknown

Window = Literal["dicom", "percentile"] | tuple[float, float]
Intent = Literal["presentation", "processing"]
SMALLEST: Final = 8
LARGEST: Final = 256
_WINDOWS: Final = ("dicom", "percentile")
_INTENTS: Final = get_args(Intent)
_FLAGS: Final = ("mask", "crop", "flip")


@dataclass(frozen=True)
class ImageFormat:
    """What is done to each image, so that all have one size and one scale of brightness.

    It is a declaration: it says nothing about a patient, and it travels with the generator. What it asks for is done to
    each image by itself, so that no patient changes the image of another one.

    Attributes:
        height: Rows of pixels, a multiple of 4 from 8 to 256.
        width: Columns of pixels, likewise.
        channels: 1: grey images only.
        mask: Whether each image comes with a mask, which becomes one more channel, the last one.
        window: Which values are black and white. `dicom`: what the file says (VOI LUT or window), else the full range
            of its bits. `percentile`: the 1 % and the 99 % quantile of the image's own values. `(low, high)`: these two
            numbers, after the modality LUT (Hounsfield units of a CT).
        crop: Whether each image is cut to its largest bright part, such as the breast or the body.
        flip: Whether images are mirrored where there is more tissue on the right, so that it is on the left in all.
        intent: Which images to take where a file tells for presentation from for processing.

    Raises:
        SchemaError: A value that is not one of these.

    Example:
        >>> ImageFormat(64, 48, mask=True).shape
        (2, 64, 48)
        >>> ImageFormat(64, 50)
        Traceback (most recent call last):
        wardgan.errors.SchemaError: images: width=50 is not a multiple of 4 from 8 to 256.
    """

    height: int
    width: int
    channels: int = 1
    mask: bool = False
    window: Window = "dicom"
    crop: bool = False
    flip: bool = False
    intent: Intent = "presentation"

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            _check_side(name, getattr(self, name))
        if not _is_whole(self.channels) or self.channels != 1:
            raise SchemaError(f"images: channels={self.channels!r} is not 1; only grey images are modelled.")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise SchemaError(f"images: {name}={getattr(self, name)!r} is neither true nor false.")
        if self.intent not in _INTENTS:
            raise SchemaError(f"images: intent={self.intent!r} is not one of {', '.join(_INTENTS)}.")
        object.__setattr__(self, "window", _checked_window(self.window))

    @property
    def planes(self) -> int:
        """Number of channels, with the mask."""
        return self.channels + self.mask

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels with the mask, height, width)."""
        return self.planes, self.height, self.width

    def to_dict(self) -> dict[str, object]:
        """Gives the structure of a schema file, without what is at its default.

        Example:
            >>> ImageFormat(32, 32, window=(-100, 300)).to_dict()
            {'size': [32, 32], 'window': [-100.0, 300.0]}
        """
        found: dict[str, object] = {"size": [self.height, self.width]}
        for field in fields(self)[2:]:
            value: object = getattr(self, field.name)
            if value != field.default:
                found[field.name] = list(cast("tuple[float, float]", value)) if isinstance(value, tuple) else value
        return found

    @classmethod
    def from_dict(cls, given: Mapping[str, object]) -> ImageFormat:
        """Gives the format that a structure describes.

        Args:
            given: What `to_dict` gives, or a person wrote into a schema file.

        Raises:
            SchemaError: It is no mapping, a key is unknown or absent, or a value is not allowed.

        Example:
            >>> ImageFormat.from_dict({"size": [32, 28], "crop": True}).width
            28
        """
        names = ["size", *(field.name for field in fields(cls)[2:])]
        if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(f"images: {type(given).__name__} is no mapping; it needs the key size.")
        refuse_unknown(given, names, "images")
        size = given.get("size")
        if not isinstance(size, (list, tuple)) or len(cast("list[object]", size)) != 2:
            raise SchemaError("images: size is missing or no pair; it is [height, width] in pixels, such as [64, 64].")
        height, width = cast("list[int]", size)
        more = {key: value for key, value in given.items() if key != "size" and value is not None}
        return cls(height, width, **cast("dict[str, Any]", more))


def _check_side(name: str, value: object) -> None:
    if not _is_whole(value) or not SMALLEST <= cast("int", value) <= LARGEST or cast("int", value) % 4:
        raise SchemaError(f"images: {name}={value!r} is not a multiple of 4 from {SMALLEST} to {LARGEST}.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _checked_window(window: object) -> Window:
    if isinstance(window, str) and window in _WINDOWS:
        return cast("Window", window)
    if isinstance(window, (tuple, list)):
        pair = list(cast("list[float]", window))
        if len(pair) == 2 and all(is_number(end) and math.isfinite(end) for end in pair) and pair[0] < pair[1]:
            return float(pair[0]), float(pair[1])
    raise SchemaError(
        f"images: window={window!r} is neither 'dicom' nor 'percentile' nor two numbers, the lower one first."
    )

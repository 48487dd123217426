"""Synthetic images are marked as such, wherever they go: what they came from, and names that nobody else has."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan._version import __version__
from wardgan.errors import UsageError
from wardgan.schema.images import ImageFormat

Bits = Literal[8, 16]
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# A root of our own for names that are made from a text; a name in it says nothing but that text.
_ROOT: Final = uuid.UUID("a0295d77-824a-56b1-8b1b-488ab3e24b63")
_GRACE: Final = 1e-5
_LONGEST_NOTE: Final = 1 << 16


@dataclass(frozen=True)
class Origin:
    """What synthetic images came from.

    Attributes:
        model: Digest of the generator's file: `sha256:` and 64 digits.
        seed: The seed they were drawn with.
        epsilon: What the generator cost each patient; `None` for a generator without privacy.
        first: Number of the first image within the draw.
    """

    model: str
    seed: int
    epsilon: float | None
    first: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not _DIGEST.fullmatch(self.model):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"origin: model={self.model!r} is not 'sha256:' followed by 64 digits (0-9, a-f).")
        check.whole(0, first=self.first)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"origin: seed={self.seed!r} is not a whole number.")
        if self.epsilon is not None and not (check.is_number(self.epsilon) and 0 < self.epsilon < math.inf):
            raise UsageError(
                f"origin: epsilon={self.epsilon!r} is not a finite number greater than 0; None stands for no privacy."
            )

    def uid(self, index: int, part: str) -> str:
        """Gives a name in DICOM's sense (UID) that is the same whenever the same image is written.

        Args:
            index: Number of the image within the draw.
            part: What is named, such as `study` or `image`.

        Source:
            DICOM PS3.5, B.2 (the root 2.25 for UUIDs); RFC 9562, 5.5.
        """
        return f"2.25.{uuid.uuid5(_ROOT, f'{self.model}/{self.seed}/{index}/{part}').int}"


@dataclass(frozen=True)
class Batch:
    """Synthetic images and the names of their labels' levels.

    Attributes:
        pixels: Shape (images, channels, height, width), from -1 to 1; a mask is the last channel.
        labels: Levels by column, one for each image.
    """

    pixels: NDArray[np.float32]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


@dataclass(frozen=True)
class Item:
    """One synthetic image.

    Attributes:
        index: Its number within the draw.
        image: Shape (height, width), from -1 to 1.
        mask: What belongs to it, of the same shape; `None` without masks.
        labels: Its levels by column.
    """

    index: int
    image: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """Name of its files, without an ending."""
        return f"{self.index:08d}"


def items(batches: Iterable[Batch], declared: ImageFormat, origin: Origin) -> Iterator[Item]:
    """Gives the images of batches one by one, each checked.

    Args:
        batches: Synthetic images.
        declared: How images look.
        origin: What they came from.

    Raises:
        UsageError: Images of another shape or with values outside of -1 to 1, labels of another length or with other
            names than before.
    """
    index, names = origin.first, None
    for batch in batches:
        _check(batch, declared)
        if names is not None and list(batch.labels) != names:
            raise UsageError("batches: they do not have the same labels.")
        names = list(batch.labels)
        for at, planes in enumerate(batch.pixels):
            labels = {name: str(levels[at]) for name, levels in batch.labels.items()}
            mask = cast("NDArray[np.bool_]", planes[-1] > 0) if declared.mask else None
            yield Item(index, planes[0], mask, labels)
            index += 1


def stored(image: NDArray[np.float32], bits: Bits) -> NDArray[np.unsignedinteger]:
    """Gives the numbers that a file stores: 0 is black, all bits set is white.

    Args:
        image: From -1 to 1, shape (height, width).
        bits: 8 or 16.

    Raises:
        UsageError: Another number of bits.

    Example:
        >>> stored(np.array([[-1, 0, 1]], dtype=np.float32), 8)
        array([[  0, 128, 255]], dtype=uint8)
    """
    if bits not in (8, 16):
        raise UsageError(f"bits={bits!r} is neither 8 nor 16.")
    top = (1 << bits) - 1
    numbers = np.clip(np.rint((image.astype(np.float64) + 1) / 2 * top), 0, top)
    return numbers.astype(np.uint8 if bits == 8 else np.uint16)


def note(origin: Origin, index: int | None = None, labels: Mapping[str, str] | None = None) -> str:
    """Gives what is written beside synthetic images, as JSON in ASCII.

    Args:
        origin: What they came from.
        index: Number of the image within the draw; left out, the note is about all of them.
        labels: Its levels by column.
    """
    found: dict[str, object] = {
        "synthetic": True, "model": origin.model, "seed": origin.seed, "epsilon": origin.epsilon,
        "made_by": f"wardgan {__version__}",
    }  # fmt: skip
    found |= {"first": origin.first} if index is None else {"index": index, "labels": dict(labels or {})}
    return json.dumps(found, sort_keys=True)


def is_note(text: object) -> bool:
    """Tells whether a text that was found beside images says that they are synthetic; see `note`.

    Args:
        text: Whatever was found.

    Example:
        >>> is_note(note(Origin("sha256:" + "0" * 64, 1, None))), is_note("a comment"), is_note(None)
        (True, False, False)
    """
    if not isinstance(text, str) or len(text) > _LONGEST_NOTE:
        return False
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and cast("dict[str, object]", found).get("synthetic") is True


def _check(batch: Batch, declared: ImageFormat) -> None:
    pixels = batch.pixels
    if pixels.ndim != 4 or pixels.shape[1:] != declared.shape:
        raise UsageError(
            f"batches: images of shape {pixels.shape} do not have the declared shape (n, *{declared.shape})."
        )
    # Written so that a value that is no number is refused, too.
    if pixels.size and not (np.abs(pixels) <= 1 + _GRACE).all():
        raise UsageError("batches: a pixel is not between -1 and 1.")
    for name, levels in batch.labels.items():
        if len(levels) != len(pixels):
            raise UsageError(f"batches: {len(levels)} levels of {name!r} for {len(pixels)} images.")

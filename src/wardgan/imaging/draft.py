"""What a folder or an NPZ file of images seems to hold: a first guess of their format, for a person to correct."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from wardgan import check
from wardgan.errors import DataError
from wardgan.imaging.dicom import Header, read_header
from wardgan.imaging.found import Found, listed
from wardgan.imaging.npz import opened
from wardgan.imaging.pictures import picture_facts
from wardgan.imaging.report import Reason
from wardgan.schema.images import LARGEST, SMALLEST, ImageFormat

_LOOKED_AT: Final = 500
_LONG_SIDE: Final = 64
_BREAST: Final = "MG"


@dataclass(frozen=True)
class DraftedFormat:
    """A guess, and what it was made from. Numbers of images are rounded.

    Attributes:
        format: What was guessed.
        images: About how many images there are.
        sizes: The most frequent sizes (height, width), at most three.
        bits: The bits of a pixel that occur.
        photometric: The photometric interpretations of DICOM files that occur.
        unusable: Reasons why some images could not be used as they are.
        notices: What a person should know.
    """

    format: ImageFormat
    images: int
    sizes: tuple[tuple[int, int], ...]
    bits: tuple[int, ...]
    photometric: tuple[str, ...]
    unusable: tuple[Reason, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Fact:
    """What is known of one image."""

    height: int
    width: int
    bits: int
    photometric: str = ""
    modality: str = ""
    windowed: bool = True


def draft_format(source: str | Path) -> DraftedFormat:
    """Gives a first guess of how images should be declared, from headers alone; no image is decoded.

    At most 500 files, evenly spread, are looked at. The guess is 64 pixels for the longer side (less if images are
    smaller), the proportions of most of them, `percentile` where values need a window and files bring none, and crop
    and flip for mammograms.

    Args:
        source: A folder of images, or an NPZ file with the array `images`.

    Raises:
        DataError: There is no image to look at.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "images.npz"
        >>> np.savez(path, images=np.zeros((40, 120, 90), dtype=np.uint8))
        >>> draft_format(path).format
        ImageFormat(height=64, width=48, channels=1, mask=False, window='dicom', crop=False, flip=False, \
intent='presentation')
    """
    check.path(source=source)
    path = Path(source)
    if path.is_file() and path.suffix.lower() == ".npz":
        return _from_npz(path)
    files = [file for file in listed(path) if file.kind in ("dicom", "picture")]
    facts, reasons = [], Counter[Reason]()
    for place in np.unique(np.linspace(0, max(0, len(files) - 1), _LOOKED_AT).astype(int)) if files else ():
        fact = _fact(files[place])
        if isinstance(fact, Reason):
            reasons[fact] += 1
        else:
            facts.append(fact)
    if not facts:
        why = "; ".join(reasons) or "it holds no DICOM, PNG, JPEG or TIFF file"
        raise DataError(f"source={str(path)!r}: no image can be used: {why}.")
    return _drafted(facts, len(files), tuple(sorted(reasons)), masks=False)


def _from_npz(path: Path) -> DraftedFormat:
    with opened(path) as archive:
        (images, height, width), _ = archive.planes("images")
        bits = 8 * archive.header("images").dtype.itemsize
        floats = archive.header("images").dtype.kind == "f"
        masks = "masks" in archive
    if not images:
        raise DataError(f"source={str(path)!r} holds no image.")
    return _drafted([_Fact(height, width, bits, windowed=not floats)], images, (), masks=masks)


def _fact(file: Found) -> _Fact | Reason:
    if file.kind == "picture":
        facts = picture_facts(file.path)
        if isinstance(facts, Reason):
            return facts
        return _Fact(facts.height, facts.width, facts.bits, windowed=facts.bits <= 16)
    found = read_header(file.path)
    if not isinstance(found, Header):
        return found
    return _Fact(found.rows, found.columns, found.bits, found.photometric, found.modality, found.windowed)


def _drafted(facts: list[_Fact], images: int, reasons: tuple[Reason, ...], *, masks: bool) -> DraftedFormat:
    # Images of one byte a pixel were made to be looked at; deeper ones need a window.
    needs = sum(not fact.windowed and fact.bits > 8 for fact in facts)
    breasts = 2 * sum(fact.modality == _BREAST for fact in facts) > len(facts)
    height, width = _suggested(facts)
    notices: list[str] = []
    if min(max(fact.height / height, fact.width / width) for fact in facts) < 1:
        notices.append("some images are smaller than the guess; declare a smaller size, or they are left out.")
    if breasts:
        notices.append("mammograms: they are cut to the breast and mirrored to one side; see whether that is wanted.")
    window = "percentile" if 2 * needs > len(facts) else "dicom"
    declared = ImageFormat(height, width, mask=masks, window=window, crop=breasts, flip=breasts)
    sizes = Counter((fact.height, fact.width) for fact in facts).most_common(3)
    return DraftedFormat(
        declared, _rounded(images), tuple(size for size, _ in sizes), tuple(sorted({fact.bits for fact in facts})),
        tuple(sorted({fact.photometric for fact in facts} - {""})), reasons, tuple(notices),
    )  # fmt: skip


def _suggested(facts: list[_Fact]) -> tuple[int, int]:
    """Gives a size with the median proportions, which nearly all images have pixels for."""
    ratio = float(np.median([fact.height / fact.width for fact in facts]))
    longest = float(np.quantile([max(fact.height, fact.width) for fact in facts], 0.05))
    long = min(LARGEST, max(SMALLEST, min(_LONG_SIDE, int(longest) // 4 * 4)))
    short = int(np.clip(4 * round(long * min(ratio, 1 / ratio) / 4), SMALLEST, LARGEST))
    return (long, short) if ratio >= 1 else (short, long)


def _rounded(number: int) -> int:
    """Gives a number with one digit that counts, so that it tells nothing of a single image."""
    return max(10, int(float(f"{number:.0e}")))

"""What the stored numbers of a DICOM file mean: modality LUT, window or VOI LUT, inversion and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.report import Reason
from wardgan.imaging.tones import Numbers, Tones, looked_up, windowed

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset


def tones_of(dataset: FileDataset) -> Tones | Reason:
    """Gives what each stored number of a file means.

    Of several windows the first one counts, and a VOI LUT counts before a window.

    Args:
        dataset: The header.

    Returns:
        Tones over all numbers of its bits, or `Reason.WINDOW` for a window that the standard does not know.
    """
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    stored = np.arange(1 << bits, dtype=np.float64)
    if signed:
        # The upper half of the numbers are the negative ones, in two's complement.
        stored[len(stored) // 2 :] -= len(stored)
    values = _modality(dataset, stored, signed)
    shown = _shown(dataset, values, signed)
    if isinstance(shown, Reason):
        return shown
    inverted = str(dataset.PhotometricInterpretation).strip() == "MONOCHROME1"
    return Tones(values, shown, inverted, _padding(dataset, stored))


def _modality(dataset: FileDataset, stored: Numbers, signed: bool) -> Numbers:
    """Gives the values after the modality LUT (PS3.3, C.11.1.1)."""
    items = cast("Sequence[Dataset]", dataset.get("ModalityLUTSequence") or ())
    if items:
        first, table, _ = _lut(dataset, items[0], signed)
        return looked_up(stored, first, table)
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    return stored * (1.0 if slope is None else slope) + (intercept or 0.0)


def _shown(dataset: FileDataset, values: Numbers, signed: bool) -> Numbers | Reason | None:
    """Gives the brightness in the file's own VOI LUT or window (PS3.3, C.11.2.1), or `None` if it has none."""
    items = cast("Sequence[Dataset]", dataset.get("VOILUTSequence") or ())
    if items:
        first, table, bits = _lut(dataset, items[0], signed)
        return np.clip(looked_up(values, first, table) / ((1 << bits) - 1), 0, 1)
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    found = windowed(values, center, width, function)
    return Reason.WINDOW if found is None else found


def _lut(dataset: FileDataset, item: Dataset, signed: bool) -> tuple[int, Numbers, int]:
    """Gives first value, entries and bits of a lookup table (PS3.3, C.11.1 and C.11.2)."""
    entries, first, bits = (int(number) for number in cast("Sequence[int]", item.LUTDescriptor))
    entries = entries or 1 << 16
    if signed and first >= 1 << 15:
        first -= 1 << 16
    data = cast("bytes | Sequence[int]", item.LUTData)
    if isinstance(data, bytes):
        # Eight-bit entries may be packed, two in a word.
        width = "u1" if len(data) < 2 * entries else ">u2" if dataset.original_encoding[1] is False else "<u2"
        table = np.frombuffer(data, width)[:entries]
    else:
        table = np.asarray(data)[:entries]
    if len(table) < entries or not 1 <= bits <= 16:
        raise ValueError
    return first, table.astype(np.float64), bits


def _number(dataset: FileDataset, keyword: str) -> float | None:
    """Gives the first of the numbers of an element; `None` if it is absent or empty."""
    value = cast("Sequence[float] | float | str | None", dataset.get(keyword))
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(cast("float", value))


def _padding(dataset: FileDataset, stored: Numbers) -> NDArray[np.bool_] | None:
    """Gives the numbers that stand for no measurement (PS3.3, C.7.5.1)."""
    first = _number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = _number(dataset, "PixelPaddingRangeLimit")
    ends = sorted((first, first if last is None else last))
    return (stored >= ends[0]) & (stored <= ends[1])

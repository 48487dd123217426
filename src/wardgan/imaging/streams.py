"""How large an image a compressed stream holds, read before anything decodes it."""

from __future__ import annotations

from typing import Final

# Start-of-frame markers of JPEG, and the one of JPEG-LS; C4, C8 and CC are tables.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_BOX: Final = b"jp2c"


def stream_size(data: bytes) -> tuple[int, int] | None:
    """Gives height and width of the image in a JPEG, JPEG-LS or JPEG 2000 stream.

    A header may say 100 rows while the stream within asks a decoder for memory of a million.

    Args:
        data: The stream.

    Returns:
        Rows and columns, or `None` if it is no such stream or is cut off before it says so.

    Source:
        ITU-T T.81, B.2.2 (JPEG); T.87, C.2.2 (JPEG-LS); T.800, A.5.1 (JPEG 2000).
    """
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    # A JP2 file has boxes in front of the code stream.
    start = 0 if data[:4] == _CODESTREAM else data.find(_BOX) + 4 if _BOX in data[: 1 << 16] else -1
    if start < 0 or data[start : start + 4] != _CODESTREAM or len(data) < start + 24:
        return None
    right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in range(start + 8, start + 24, 4))
    return bottom - top, right - left


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        if marker == 0xFF:
            at += 1  # a filling byte
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

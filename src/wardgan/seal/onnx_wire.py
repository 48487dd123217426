"""A first look at the bytes of a network, before a protobuf parser makes objects of them.

Two bytes can make an empty node, and an empty node takes some 150 bytes in memory: a file of 500 MB could fill
any machine while it is parsed. Weights as raw data do not grow; everything else is counted and capped here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardgan.errors import NetworkError

MAX_STRUCTURE: Final = 4 << 20
MAX_ENTRIES: Final = 20_000
_GRAPH: Final = 7
_INITIALIZER: Final = 5
_RAW_DATA: Final = 9


def check_bytes(data: bytes) -> None:
    """Refuses bytes that would grow when they are parsed.

    Args:
        data: An ONNX model.

    Raises:
        NetworkError: Not protobuf, no graph or several, too many entries, or too much besides raw weights; or the mark
            of another format where an engine looks for it.
    """
    if data[4:8] == b"ORTM":
        raise NetworkError("network: its bytes could be read in two ways, as two networks.")
    graphs = [place for number, place in _fields(data, (0, len(data)), 64) if number == _GRAPH]
    if len(graphs) != 1:
        raise NetworkError(f"network: is not an ONNX model: it has {len(graphs)} graphs instead of one.")
    weights = 0
    for number, place in _fields(data, graphs[0], MAX_ENTRIES):
        if number == _INITIALIZER:
            weights += sum(end - at for inner, (at, end) in _fields(data, place, 64) if inner == _RAW_DATA)
    if len(data) - weights > MAX_STRUCTURE:
        raise NetworkError(
            f"network: {len(data) - weights} bytes besides raw weights are more than {MAX_STRUCTURE}; "
            "keep weights as initialisers with raw_data."
        )


def _fields(data: bytes, place: tuple[int, int], most: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Gives number and place of each field of a protobuf message."""
    at, end = place
    count = 0
    while at < end:
        count += 1
        if count > most:
            raise NetworkError(f"network: a message has more than {most} entries.")
        key, at = _varint(data, at, end)
        if key & 7 == 0:
            start, (_, at) = at, _varint(data, at, end)
        elif key & 7 == 2:
            length, start = _varint(data, at, end)
            at = start + length
        elif key & 7 in (1, 5):
            start, at = at, at + (8 if key & 7 == 1 else 4)
        else:
            raise _broken()
        if at > end:
            raise _broken()
        yield key >> 3, (start, at)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at + shift // 7 >= end:
            break
        byte = data[at + shift // 7]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + shift // 7 + 1
    raise _broken()


def _broken() -> NetworkError:
    return NetworkError("network: is not an ONNX model: the protobuf is damaged or cut off.")

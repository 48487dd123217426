"""The outer wrapping of a `.hgan` file: a plain tar with exactly one spelling.

Every header is fixed by the member's name and size, so there is no room for links, devices, owners, times,
extensions or hidden bytes: a header that is not the one this module would write is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from wardgan.errors import FormatError

MAX_FILE: Final = 1 << 30
MAX_MEMBERS: Final = 16
BLOCK: Final = 512
_REPACKED: Final = " (was it unpacked and packed again? ask its publisher for the original file)"
_NAME: Final = re.compile(r"oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}")
_SIZE: Final = re.compile(rb"[0-7]{11}\0")
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
_KINDS: Final = {
    "1": "a hard link", "2": "a symbolic link", "3": "a character device", "4": "a block device", "5": "a folder",
    "6": "a named pipe", "7": "a contiguous file", "x": "a pax header", "g": "a global pax header",
    "L": "a GNU long name", "K": "a GNU long link", "S": "a sparse file", "M": "a continued file",
    "V": "a volume name", "\0": "an old-style member",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie.

    Attributes:
        offset: Position of the first byte.
        size: Number of bytes.
    """

    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """Gives the one allowed header of a member: USTAR, regular file, mode 0644, time, user and group 0.

    Args:
        name: Name inside the tar, ASCII, at most 100 characters.
        size: Number of bytes, below 2^33.
    """
    block = bytearray(BLOCK)
    block[0 : len(name)] = name.encode("ascii")
    block[100:156] = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def join(members: Mapping[str, bytes]) -> bytes:
    """Gives the tar of members, sorted by name."""
    parts: list[bytes] = []
    for name in sorted(members):
        data = members[name]
        parts += [header(name, len(data)), data, bytes(-len(data) % BLOCK)]
    return b"".join([*parts, bytes(2 * BLOCK)])


def table(
    file: BinaryIO, size: int, *, most: int = MAX_MEMBERS, largest: int = MAX_FILE
) -> dict[str, Member]:  # fmt: skip
    """Gives where each member lies; reads the headers only.

    Args:
        file: A handle that can seek.
        size: Length of the file in bytes.
        most: How many members there may be.
        largest: How many bytes.

    Raises:
        FormatError: Anything but the plain tar that `join` writes.
    """
    if size > largest:
        raise FormatError(f"The file has {size} bytes, more than {largest}.")
    found: dict[str, Member] = {}
    position, last = 0, ""
    while True:
        file.seek(position)
        block = file.read(BLOCK)
        _check_block(block, position)
        if not any(block):
            break
        name, length = _read_header(block)
        _check_order(name, last, len(found), most)
        found[name], last = Member(position + BLOCK, length), name
        position = _end_of(file, found[name], name, size)
    if size != position + 2 * BLOCK or file.read(BLOCK) != bytes(BLOCK):
        raise FormatError(f"The tar does not end with two empty blocks, or there are bytes behind its end{_REPACKED}.")
    return found


def _check_block(block: bytes, position: int) -> None:
    if block.startswith(_COMPRESSED):
        raise FormatError("The file is compressed; a .hgan file is an uncompressed tar.")
    if len(block) == BLOCK:
        return
    if position or block[257:262] == b"ustar":
        raise FormatError("The file is cut off: its end is missing.")
    raise FormatError(
        "The file is empty." if not block else "The file is not a .hgan file: it is shorter than a tar block."
    )


def _check_order(name: str, last: str, count: int, most: int) -> None:
    if name == last:
        raise FormatError(f"The member {name!r} is there twice.")
    if name < last:
        raise FormatError(f"The member {name!r} is out of order or there twice; members are sorted by name{_REPACKED}.")
    if count == most:
        many = (
            "" if most > MAX_MEMBERS else "; a combined generator is not read here, but by wardgan inspect and sample"
        )
        raise FormatError(f"The file has more than {most} members{many}.")


def _read_header(block: bytes) -> tuple[str, int]:
    if block[257:262] != b"ustar":
        raise FormatError("The file is not a .hgan file: it is no USTAR tar.")
    name = block[:100].rstrip(b"\0").decode("ascii", "backslashreplace")
    kind = chr(block[156])
    if kind != "0":
        what = _KINDS.get(kind, "of an unknown kind")
        raise FormatError(f"The member {name[:90]!r} is {what}, not a regular file{_REPACKED}.")
    if not _NAME.fullmatch(name):
        raise FormatError(f"The name {name[:90]!r} does not belong in a .hgan file{_REPACKED}.")
    if not _SIZE.fullmatch(block[124:136]):
        raise FormatError(f"The member {name!r} has a malformed size.")
    size = int(block[124:135], 8)
    if block != header(name, size):
        raise FormatError(f"The header of {name!r} is damaged, or sets owner, time, mode or other fields{_REPACKED}.")
    return name, size


def _end_of(file: BinaryIO, member: Member, name: str, size: int) -> int:
    end = member.offset + member.size
    padding = -member.size % BLOCK
    if end + padding + 2 * BLOCK > size:
        raise FormatError(f"The file is cut off: the member {name!r} claims {member.size} bytes, more than there are.")
    file.seek(end)
    if any(file.read(padding)):
        raise FormatError(f"There are bytes hidden behind the member {name!r}.")
    return end + padding

"""The image files of a folder, known by their first bytes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from wardgan.errors import DataError

FileKind = Literal["dicom", "picture", "damaged", "link", "other"]
MAX_FILE: Final = 512 << 20
MAX_PIXELS: Final = 64 << 20
_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUFFIXES: Final = (".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
_PREAMBLE: Final = 128


@dataclass(frozen=True, repr=False)
class Found:
    """One file of a folder.

    Attributes:
        name: Its path below the folder, with slashes.
        path: Where it is.
        kind: What it seems to be.
        size: Bytes.
    """

    name: str
    path: Path
    kind: FileKind
    size: int


def listed(folder: Path) -> list[Found]:
    """Gives the files of a folder and of the folders in it, in the order of their names.

    Symbolic links are not followed, neither to files nor to folders.

    Args:
        folder: Where to look.

    Raises:
        DataError: It is no folder, or a folder in it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"source={str(folder)!r} is neither a folder nor an .npz file.")
    failed: list[OSError] = []
    found: list[Found] = []
    for place, inner, names in os.walk(folder, onerror=failed.append):
        links = [name for name in inner if os.path.islink(os.path.join(place, name))]
        found += [_examined(folder, Path(place, name)) for name in (*names, *links)]
    if failed:
        reason = failed[0].strerror
        raise DataError(f"source={str(folder)!r}: {len(failed)} folder(s) in it cannot be read: {reason}.")
    return sorted(found, key=lambda file: file.name)


def _examined(folder: Path, path: Path) -> Found:
    name = path.relative_to(folder).as_posix()
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return Found(name, path, "link", 0)
        if not stat.S_ISREG(status.st_mode):
            return Found(name, path, "other", 0)
        with path.open("rb") as file:
            start = file.read(_PREAMBLE + 4)
    except OSError:
        return Found(name, path, "damaged", 0)
    return Found(name, path, _kind(name, start), status.st_size)


def _kind(name: str, start: bytes) -> FileKind:
    if start[_PREAMBLE:] == b"DICM":
        return "other" if name.rpartition("/")[2].upper() == "DICOMDIR" else "dicom"
    if start.startswith(_PICTURES):
        return "picture"
    return "damaged" if name.lower().endswith(_SUFFIXES) and not name.rpartition("/")[2].startswith(".") else "other"

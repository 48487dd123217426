"""Images in an NPZ file: arrays in a zip, read image by image, after the headers were believed to be harmless."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.imaging.extras import DAMAGED
from wardgan.imaging.found import MAX_PIXELS
from wardgan.schema.cells import Finding, code, found, keys_of
from wardgan.schema.columns import Column

MAX_MEMBERS: Final = 64
MAX_SMALL: Final = 1 << 30
MAX_TEXT: Final = 1 << 18
_MAX_HEADER: Final = 10_000
_VERSIONS: Final = ((1, 0), (2, 0))
_Given = TypeVar("_Given")
_PIXELS: Final = ("u1", "u2", "f2", "f4", "f8", "b1")


@dataclass(frozen=True)
class Header:
    """What the header of an array says.

    Attributes:
        shape: Its shape.
        dtype: The type of its numbers.
        start: Bytes of the header.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    start: int


class Archive:
    """An open NPZ file whose arrays are read without pickles and never larger than their headers say."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise self._wrong(f"it has {len(members)} members, and at most {MAX_MEMBERS} are read")
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        if len(self._members) != len(members) or any(member.flag_bits & 1 for member in members):
            raise self._wrong("a member occurs twice or is encrypted")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its arrays."""
        return tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str) -> Header:
        """Gives the header of an array, checked against the size of its member.

        Args:
            name: Name of the array.

        Raises:
            DataError: There is no such array, or it is one of Python objects, in Fortran order, or not as long as
                its header says.
        """
        if name not in self._members:
            raise self._wrong(f"it has no array {name!r}")
        version, shape, fortran, dtype, start = _sound(self._path, lambda: self._start(name))
        if version not in _VERSIONS:
            raise self._wrong(f"the array {name!r} has an unknown version")
        if dtype.hasobject or dtype.names is not None:
            raise self._wrong(f"the array {name!r} holds Python objects or records; save numbers or texts")
        if fortran and len(shape) > 1:
            raise self._wrong(f"the array {name!r} is in Fortran order; save numpy.ascontiguousarray of it")
        size = dtype.itemsize
        for length in shape:
            size *= length
        if min(shape, default=0) < 0 or start + size != self._members[name].file_size:
            raise self._wrong(f"the array {name!r} is not as long as its header says")
        return Header(tuple(shape), dtype, start)

    def small(self, name: str, length: int) -> NDArray[np.generic]:
        """Gives an array with one entry for each image.

        Args:
            name: Name of the array.
            length: Number of images.

        Raises:
            DataError: It has another shape, is too large, or holds neither numbers nor texts.
        """
        header = self.header(name)
        if header.shape not in ((length,), (length, 1)) or header.dtype.kind not in "iufbU":
            raise self._wrong(f"the array {name!r} does not have one number or text for each image")
        if self._members[name].file_size > MAX_SMALL:
            raise self._wrong(f"the array {name!r} is larger than {MAX_SMALL >> 20} MiB")
        data = _sound(self._path, lambda: self._archive.read(self._members[name]))
        return np.frombuffer(data, header.dtype, offset=header.start).copy()

    def text(self, name: str) -> str | None:
        """Gives a single short text; `None` if the array is something else.

        Args:
            name: Name of the array.
        """
        header = self.header(name)
        if header.shape != () or header.dtype.kind != "U" or header.dtype.itemsize > MAX_TEXT:
            return None
        data = _sound(self._path, lambda: self._archive.read(self._members[name]))
        return _sound(self._path, lambda: str(np.frombuffer(data, header.dtype, offset=header.start)[0]))

    def planes(self, name: str) -> tuple[tuple[int, int, int], Iterator[NDArray[np.generic]]]:
        """Gives the shape of an array of images and its images, one at a time.

        Args:
            name: Name of an array of shape (images, height, width) or (images, height, width, 1).

        Raises:
            DataError: It has another shape, or numbers of a type that is not read.
        """
        header = self.header(name)
        shape = header.shape[:3]
        if len(header.shape) not in (3, 4) or header.shape[3:] not in ((), (1,)):
            raise self._wrong(
                f"the array {name!r} has shape {header.shape}; wanted is (images, height, width), grey images only"
            )
        if header.dtype.str[1:] not in _PIXELS:
            raise self._wrong(f"the array {name!r} is of type {header.dtype}; save uint8, uint16 or float32")
        if not 0 < shape[1] * shape[2] <= MAX_PIXELS:
            raise self._wrong(f"an image of the array {name!r} has no pixel, or more than 64 megapixels")
        return (shape[0], shape[1], shape[2]), self._planes(name, header, (shape[1], shape[2]))

    def _planes(self, name: str, header: Header, shape: tuple[int, int]) -> Iterator[NDArray[np.generic]]:
        size = shape[0] * shape[1] * header.dtype.itemsize
        with ExitStack() as stack:
            member = _sound(self._path, lambda: stack.enter_context(self._archive.open(self._members[name])))
            _sound(self._path, lambda: _exactly(member, header.start))
            for _ in range(header.shape[0]):
                data = _sound(self._path, lambda: _exactly(member, size))
                plane = np.frombuffer(data, header.dtype).reshape(shape)
                yield plane.astype(header.dtype.newbyteorder("="), copy=False)

    def _start(self, name: str) -> tuple[tuple[int, int], tuple[int, ...], bool, np.dtype, int]:
        """Gives version, shape, order, type and length of an array's header."""
        with self._archive.open(self._members[name]) as member:
            version = np.lib.format.read_magic(member)
            if version not in _VERSIONS:
                return version, (), False, np.dtype("u1"), 0
            read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
            return version, *read(member, max_header_size=_MAX_HEADER), member.tell()

    def _wrong(self, what: str) -> DataError:
        return DataError(f"source={str(self._path)!r}: {what}.")


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Gives an open NPZ file.

    Args:
        path: Where it is.

    Raises:
        DataError: It is no NPZ file, or is damaged.
    """
    with ExitStack() as stack:
        archive = _sound(path, lambda: stack.enter_context(zipfile.ZipFile(path)))
        yield Archive(path, archive)


def _sound(path: Path, read: Callable[[], _Given]) -> _Given:
    """Gives what a function reads, or refuses a file that turns out to be damaged; no library's message is kept."""
    try:
        return read()
    except (zipfile.BadZipFile, *DAMAGED) as error:
        kind = type(error).__name__
    # Outside of the handler, so that the error hangs on nothing that quotes the file.
    raise DataError(f"source={str(path)!r} is no NPZ file, or is damaged or cut off ({kind}).")


def coded_labels(
    archive: Archive, columns: Sequence[Column], length: int
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.bool_], list[Finding]]:
    """Gives the labels in an NPZ file: codes by column, which images break a rule, and what is wrong.

    An array has the name of its column, or the name `labels` if there is one column only. Whole numbers stand for
    places among the levels, from 0, unless a declared level is a whole number itself.

    Args:
        archive: The file.
        columns: Declared labels.
        length: Number of images.

    Raises:
        DataError: There is no such array, or it has another length.
    """
    codes: dict[str, NDArray[np.int64]] = {}
    bad = np.zeros(length, dtype=bool)
    findings: list[Finding] = []
    for column in columns:
        alone = len(columns) == 1 and column.name not in archive
        cells = archive.small("labels" if alone else column.name, length)
        if cells.dtype.kind in "iu" and not any(str(level).lstrip("+-").isdigit() for level in column.levels):
            numbers = cells.astype(np.int64)
            wrong = (numbers < 0) | (numbers >= column.size) | (numbers != cells)
            findings += found(column.name, "the number is that of a declared level", wrong, "Mend the array.")
            codes[column.name] = np.where(wrong, -1, numbers)
        else:
            coded = code(_series(cells), column)
            codes[column.name] = np.where(np.isnan(coded.codes), -1, coded.codes).astype(np.int64)
            findings, wrong = [*findings, *coded.findings], coded.bad
        bad |= wrong
    return codes, bad, findings


def owners(archive: Archive, length: int) -> tuple[list[str | None], list[Finding]]:
    """Gives the name of each image's patient from the array `patients`, `None` where it is missing.

    Args:
        archive: The file.
        length: Number of images.
    """
    at, names = keys_of(_series(archive.small("patients", length)))
    findings = found("patients", "every image says whose it is", at < 0, "Fill it.")
    return [names[place] if place >= 0 else None for place in at], findings


def _series(cells: NDArray[np.generic]) -> pd.Series:
    """Gives cells as a table has them; texts as they are, since Arrow repeats one that it cannot encode."""
    return pd.Series(cells, dtype=object) if cells.dtype.kind == "U" else pd.Series(cells)


def _exactly(member: IO[bytes], size: int) -> bytes:
    data = member.read(size)
    if len(data) != size:
        raise EOFError
    return data

"""Where shards are put: a folder, or a prefix of an object store. A file or object is there whole, or not at all."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from wardgan.errors import OutputError
from wardgan.files import check_name, locked, write_bytes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyarrow.fs import FileSystem

_CHUNK: Final = 1 << 20
_LOCK: Final = ".lock"


class Filled(NamedTuple):
    """A file that was written.

    Attributes:
        rows: In it.
        bytes: Its size.
        sha256: Its digest, in hexadecimal digits.
    """

    rows: int
    bytes: int
    sha256: str


class Place(Protocol):
    """A folder, or what stands for one."""

    @property
    def name(self) -> str:
        """How a person calls it."""
        ...

    def begin(self) -> None:
        """Makes it, if it is not there."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Gives what lies in it, or in a folder of it, without what is hidden."""
        ...

    def read(self, name: str) -> bytes | None:
        """Gives the bytes of a small file; `None` if it is not there."""
        ...

    def write(self, name: str, data: bytes, *, force: bool = True) -> None:
        """Writes a small file; without `force` one that is there is not replaced."""
        ...

    def fill(self, name: str, make: Callable[[Path], int]) -> Filled:
        """Writes a large file: `make` gets a path of this machine and gives how many rows it wrote there."""
        ...

    def digest(self, name: str, size: int) -> str | None:
        """Gives the digest of a large file; `None` if it is not there or has another size."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Holds it for one run, where that can be done."""
        ...


def place_at(output: str | Path) -> Place:
    """Gives the place that a path or an address such as `s3://bucket/prefix` names.

    Args:
        output: What a person writes.

    Raises:
        OutputError: It names nothing of the kind.
    """
    text = str(output)
    if "://" not in text:
        check_name(output)
        return Folder(Path(output))
    if text.startswith("file://"):
        return Folder(Path(unquote(urlsplit(text).path)))
    return Store.at(text)


class Folder:
    """A folder of this machine, or one that several machines share."""

    def __init__(self, root: Path) -> None:
        """Names a folder, which need not be there."""
        self._root = root

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._root)

    def begin(self) -> None:
        """Makes the folder, within one that is there."""
        with _said(self.name):
            self._root.mkdir(exist_ok=True)

    def names(self, folder: str = "") -> list[str]:
        """Gives the names of what is in it and not hidden; none, if it is not there."""
        place = self._root / folder
        with _said(self.name):
            return [one.name for one in place.iterdir() if one.name[:1] != "."] if place.exists() else []

    def read(self, name: str) -> bytes | None:
        """Gives the bytes of a file."""
        with _said(self.name):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes, *, force: bool = True) -> None:
        """Writes beside the file, and renames."""
        path = self._root / name
        with _said(self.name):
            path.parent.mkdir(exist_ok=True)
        write_bytes(path, data, force=force)

    def fill(self, name: str, make: Callable[[Path], int]) -> Filled:
        """Lets `make` write the file, and reads it for its digest; what a process that was killed left is removed."""
        path = self._root / name
        with _said(self.name):
            path.parent.mkdir(exist_ok=True)
            for left in path.parent.glob(f".{path.name}.*.part"):
                left.unlink(missing_ok=True)
        rows = make(path)
        with _said(self.name), path.open("rb") as file:
            return Filled(rows, path.stat().st_size, _sha256(file))

    def digest(self, name: str, size: int) -> str | None:
        """Gives the digest of a file of a size."""
        path = self._root / name
        with _said(self.name):
            if not path.is_file() or path.stat().st_size != size:
                return None
            with path.open("rb") as file:
                return _sha256(file)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds a hidden file in it, which the system lets go of however the process ends."""
        path = self._root / _LOCK
        with _said(self.name):
            path.touch()
        with locked(path):
            yield


class Store:
    """A prefix of an object store, through Arrow's own client: no other package is needed."""

    def __init__(self, uri: str, system: FileSystem, root: str) -> None:
        """Names a prefix; `Store.at` finds the client."""
        self._uri, self._system, self._root = uri, system, root.rstrip("/")

    @classmethod
    def at(cls, uri: str) -> Store:
        """Gives the store that an address names; who asks for it is known from the environment (docs/scale.md).

        Raises:
            OutputError: Arrow knows no such store, or it is not there.
        """
        import pyarrow as pa
        from pyarrow.fs import FileSystem

        try:
            system, root = FileSystem.from_uri(uri)
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OutputError(f"output={_safe(uri)!r} is no place that Arrow knows: {error}") from error
        return cls(uri, system, root)

    @property
    def name(self) -> str:
        """Its address, without what may hold a secret."""
        return _safe(self._uri)

    def begin(self) -> None:
        """Does nothing: a prefix is there as soon as something is below it."""

    def names(self, folder: str = "") -> list[str]:
        """Gives the last part of the names below the prefix."""
        from pyarrow.fs import FileSelector

        with _said(self.name):
            found = self._system.get_file_info(FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True))
            return [one.base_name for one in found if one.base_name[:1] != "."]

    def read(self, name: str) -> bytes | None:
        """Gives the bytes of an object."""
        with _said(self.name):
            if self._size(name) is None:
                return None
            with self._system.open_input_stream(f"{self._root}/{name}") as stream:
                return stream.read()

    def write(self, name: str, data: bytes, *, force: bool = True) -> None:
        """Writes an object. Stores have no way to write one only if it is not there, so two runs may do it at once."""
        if not force and self._size(name) is not None:
            raise OutputError(f"path={name!r} exists in {self.name}; choose another place.")
        self._send(name, data)

    def fill(self, name: str, make: Callable[[Path], int]) -> Filled:
        """Lets `make` write a file of this machine, and sends it in one piece: an object that is there is whole."""
        with TemporaryDirectory(prefix="wardgan-") as scratch:
            path = Path(scratch) / "shard"
            rows = make(path)
            with path.open("rb") as file:
                sha256 = _sha256(file)
                # Closing a stream completes an object, so nothing may go wrong between opening and closing it.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as data:
                    size = len(data)
                    self._send(name, data)
        return Filled(rows, size, sha256)

    def digest(self, name: str, size: int) -> str | None:
        """Reads an object of a size, and gives its digest."""
        with _said(self.name):
            if self._size(name) != size:
                return None
            with self._system.open_input_stream(f"{self._root}/{name}") as stream:
                return _sha256(stream)

    def alone(self) -> AbstractContextManager[None]:
        """Does nothing: a store has no locks."""
        return nullcontext()

    def _size(self, name: str) -> int | None:
        with _said(self.name):
            found = self._system.get_file_info(f"{self._root}/{name}")
            return found.size if found.is_file else None

    def _send(self, name: str, data: bytes | memoryview) -> None:
        with _said(self.name), self._system.open_output_stream(f"{self._root}/{name}") as stream:
            stream.write(data)
        if self._size(name) != len(data):
            raise OutputError(f"output={self.name!r}: {name} did not arrive whole; run the same again.")


def _sha256(stream: IO[bytes]) -> str:
    found = hashlib.sha256()
    while part := stream.read(_CHUNK):
        found.update(part)
    return found.hexdigest()


def _safe(uri: str) -> str:
    """Gives an address without names, passwords and options."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def _said(name: str) -> Iterator[None]:
    """Says in our own words that a place does not do what it should."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"output={name!r} cannot be written or read: {said}") from error

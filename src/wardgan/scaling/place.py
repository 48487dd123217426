"""Where shards are put: a folder, or a prefix of an object store. A file or object is there whole, or not at all."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wardgan.errors import OutputError
from wardgan.files import check_name, locked, write_bytes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyarrow.fs import FileSystem

_CHUNK: Final = 1 << 20
_LOCK: Final = ".lock"
_HIDDEN: Final = "://..."
_PLAIN: Final = ("scheme", "region", "endpoint_override")


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

    def inside(self, folder: str = "") -> dict[str, int | None]:
        """Gives what lies in it, or in a folder of it, without what is hidden: names with sizes, `None` of no file."""
        ...

    def size(self, name: str) -> int | None:
        """Gives the size of a file; `None` if it is not there."""
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

    def clear(self, name: str) -> None:
        """Removes what processes that were killed left of a file; nobody may be writing it."""
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
    return _folder_at(text) if text[:7].lower() == "file://" else Store.at(text)


def _folder_at(uri: str) -> Folder:
    """Gives the folder that an address like file:///data/out names; what it cannot name is not quoted."""
    parts = _split(uri)
    if parts is None or parts.netloc not in ("", "localhost") or not parts.path or parts.query or parts.fragment:
        raise OutputError(
            "output: an address that begins with file: names a folder of this machine and nothing else, such as "
            "file:///data/out; other signs than letters are written like %20."
        )
    path = unquote(parts.path)
    check_name(path)
    return Folder(Path(path))


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
        if not self._root.absolute().parent.is_dir():
            raise OutputError(f"output={self.name!r}: the folder above it is not there; make that first.")
        with _said(self.name):
            self._root.mkdir(exist_ok=True)

    def inside(self, folder: str = "") -> dict[str, int | None]:
        """Gives what is in it and not hidden; nothing, if it is not there."""
        place = self._root / folder
        with _said(self.name):
            found = [one for one in place.iterdir() if one.name[:1] != "."] if place.exists() else []
            return {one.name: _size(one) for one in found}

    def size(self, name: str) -> int | None:
        """Gives the size of a file."""
        with _said(self.name):
            return _size(self._root / name)

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
        """Lets `make` write the file, and reads it for its digest."""
        path = self._root / name
        with _said(self.name):
            path.parent.mkdir(exist_ok=True)
        rows = make(path)
        with _said(self.name), path.open("rb") as file:
            return Filled(rows, path.stat().st_size, _sha256(file))

    def clear(self, name: str) -> None:
        """Removes hidden files that would have become this one."""
        path = self._root / name
        with _said(self.name):
            for left in path.parent.glob(f".{path.name}.*.part"):
                left.unlink(missing_ok=True)

    def digest(self, name: str, size: int) -> str | None:
        """Gives the digest of a file of a size."""
        path = self._root / name
        with _said(self.name):
            if _size(path) != size:
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
        except (OSError, pa.ArrowException, ValueError):
            # Arrow's own words quote the address, and with it what may be a secret: neither said nor chained.
            raise OutputError(
                f"output={_safe(uri)!r} is no place that Arrow knows; look at its first word and at the options after "
                "the question mark, and write signs such as blanks and slashes of a key like %20 and %2F."
            ) from None
        if not root.strip("/"):
            raise OutputError(f"output={_safe(uri)!r} names no bucket; write it like s3://bucket/folder.")
        return cls(uri, system, root)

    @property
    def name(self) -> str:
        """Its address, without what may hold a secret."""
        return _safe(self._uri)

    def begin(self) -> None:
        """Does nothing: a prefix is there as soon as something is below it."""

    def inside(self, folder: str = "") -> dict[str, int | None]:
        """Gives the last part of the names below the prefix."""
        from pyarrow.fs import FileSelector

        with self._said():
            found = self._system.get_file_info(FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True))
            return {one.base_name: one.size if one.is_file else None for one in found if one.base_name[:1] != "."}

    def size(self, name: str) -> int | None:
        """Gives the size of an object."""
        with self._said():
            found = self._system.get_file_info(f"{self._root}/{name}")
            return found.size if found.is_file else None

    def read(self, name: str) -> bytes | None:
        """Gives the bytes of an object."""
        with self._said():
            if self.size(name) is None:
                return None
            with self._system.open_input_stream(f"{self._root}/{name}") as stream:
                return stream.read()

    def write(self, name: str, data: bytes, *, force: bool = True) -> None:
        """Writes an object. Stores have no way to write one only if it is not there, so two runs may do it at once."""
        if not force and self.size(name) is not None:
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

    def clear(self, name: str) -> None:
        """Does nothing: an object is there whole or not at all."""

    def digest(self, name: str, size: int) -> str | None:
        """Reads an object of a size, and gives its digest."""
        with self._said():
            if self.size(name) != size:
                return None
            with self._system.open_input_stream(f"{self._root}/{name}") as stream:
                return _sha256(stream)

    def alone(self) -> AbstractContextManager[None]:
        """Does nothing: a store has no locks."""
        return nullcontext()

    def _said(self) -> AbstractContextManager[None]:
        return _said(self.name, _secrets(self._uri))

    def _send(self, name: str, data: bytes | memoryview) -> None:
        with self._said(), self._system.open_output_stream(f"{self._root}/{name}") as stream:
            stream.write(data)
        if self.size(name) != len(data):
            raise OutputError(f"output={self.name!r}: {name} did not arrive whole; run the same again.")


def _sha256(stream: IO[bytes]) -> str:
    found = hashlib.sha256()
    while part := stream.read(_CHUNK):
        found.update(part)
    return found.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:  # meanwhile
        return None


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:
        return None


def _safe(uri: str) -> str:
    """Gives an address without names, passwords and options; no more than its first word where they may be anywhere."""
    parts = _split(uri)
    if parts is None:
        return f"...{_HIDDEN}"
    _, _, host = parts.netloc.rpartition("@")
    before, _, _ = uri.partition("://")[2].rpartition("@")
    # A password with a slash, a question mark or an @ in it ends where no reader of addresses looks for its end.
    inside = "@" in parts.netloc and "@" not in parts.netloc.partition("@")[2] + parts.path + parts.query
    port = host.rpartition(":")[2] if ":" in host else "0"
    if parts.fragment or (":" in before and not inside) or not (port.isdecimal() or port.endswith("]")):
        return f"{parts.scheme}{_HIDDEN}"
    return f"{parts.scheme}://{host}{parts.path}"


def _secrets(uri: str) -> list[str]:
    """Gives what of an address nobody should read elsewhere; where that is unclear the empty text, which all hold."""
    parts = _split(uri)
    if parts is None or _safe(uri).endswith(_HIDDEN):
        return [""]
    user = parts.netloc.rpartition("@")[0]
    found = {uri, parts.query, *(user.split(":") if ":" in user else [])}
    found |= {value for key, value in parse_qsl(parts.query) if key not in _PLAIN}
    return sorted((found | {unquote(one) for one in found}) - {""})


@contextmanager
def _said(name: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Says in our own words that a place does not do what it should; words with a secret are left out."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error)
        hidden = any(secret in said for secret in secrets)
        if hidden:
            said = f"{type(error).__name__}, in words that repeat a part of the address which is not shown"
        raise OutputError(f"output={name!r} cannot be written or read: {said}") from (None if hidden else error)

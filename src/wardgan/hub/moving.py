"""Carrying the bytes of a release, in both directions, so that what has arrived need not be sent again."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from wardgan import files
from wardgan.errors import ArtifactError, DigestError, HubError, OutputError, TrustError
from wardgan.hub.parcel import Blob, Packed, Parcel
from wardgan.hub.store import Store, checked, chunks_of
from wardgan.seal import tar
from wardgan.seal.reading import opened

Watch = Callable[[int, int, str], None]
_PART: Final = ".part"
_LOCK: Final = ".lock"
_TWICE: Final = 2


class Meter:
    """Counts bytes for whoever watches.

    Args:
        total: How many there are.
        watch: Is called with (bytes done, bytes, what is carried).
    """

    def __init__(self, total: int, watch: Watch) -> None:
        self._done = 0
        self._total = total
        self._watch = watch
        self._title = ""

    def now(self, title: str) -> None:
        """Says what is carried now.

        Args:
            title: Its name.
        """
        self._title = title
        self.advance(0)

    def advance(self, count: int) -> None:
        """Counts bytes.

        Args:
            count: How many more; fewer than none where something begins anew.
        """
        self._done += count
        self._watch(self._done, self._total, self._title)


def send(store: Store, name: str, path: str | Path, packed: Packed, watch: Watch) -> int:
    """Brings all parts of a file into a hub, and gives how many bytes had to be sent.

    Args:
        store: The hub.
        name: For whose releases.
        path: The file.
        packed: Its parts.
        watch: Is called with (bytes done, bytes, what is carried).

    Raises:
        HubError: The hub cannot be reached, or refuses.
    """
    parcel, sent = packed.parcel, 0
    meter = Meter(parcel.size, watch)
    with opened(path) as file:
        for blob in (*parcel.blobs, parcel.index):
            meter.now(blob.title)
            if store.has(name, blob.digest, blob.size):
                meter.advance(blob.size)
                continue
            file.seek(packed.places[blob.digest].offset)
            store.put(name, blob.digest, blob.size, file, meter.advance)
            sent += blob.size
    return sent


@contextmanager
def staging(wanted: Path, digest: str, *, kept: bool = True) -> Iterator[Path]:
    """Gives the folder in which a release is fetched, for this process alone.

    It stays when something stops a pull, so that the next one goes on, and goes when all is done or refused. Only its
    owner can read or write it: a folder that somebody else has made, or a link, is never used.

    Args:
        wanted: The file that is wanted; the folder is beside it.
        digest: Of what is fetched.
        kept: Whether it stays when something stops a pull.

    Raises:
        OutputError: It cannot be made, is somebody else's, or another pull uses it.
    """
    folder = wanted.with_name(f".{wanted.name[:100]}.{digest[7:23]}.pull")
    with _held(folder):
        try:
            yield folder
        except BaseException as error:
            if not kept or isinstance(error, (ArtifactError, TrustError)):
                _remove(folder)
            raise
        _remove(folder)


def _held(folder: Path) -> ExitStack:
    """Makes a folder, and holds it for this process alone."""
    while True:
        held = ExitStack()
        try:
            before = _made(folder)
            held.enter_context(files.locked(folder / _LOCK))
            # Another pull may have ended, and removed the folder, between the two lines above.
            if before == _made(folder):
                return held
        except FileNotFoundError as error:
            if not folder.parent.is_dir():
                raise OutputError(f"path={str(folder.parent)!r} is no folder any more.") from error
        except OSError as error:
            raise OutputError(f"path={str(folder)!r} cannot be made: {error.strerror}.") from error
        held.close()


def _remove(folder: Path) -> None:
    """Removes a folder that is held; its lock last, since whoever makes a new one may begin at once."""
    with suppress(OSError):
        for one in folder.iterdir():
            if one.name != _LOCK:
                one.unlink()
        (folder / _LOCK).unlink()
        folder.rmdir()


def _made(folder: Path) -> int:
    """Makes a folder for its owner alone, unless it is there; gives what its lock is."""
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    found = folder.lstat()
    mine = not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or not mine:
        raise OutputError(f"path={str(folder)!r} is a link, or a folder that others can write to; remove it.")
    (folder / _LOCK).touch(0o600)
    return (folder / _LOCK).stat().st_ino


def fetch(store: Store, name: str, parcel: Parcel, staged: Path, watch: Watch) -> None:
    """Fetches all parts of a release into a folder, and goes on where an earlier one stopped.

    Args:
        store: The hub.
        name: Of the releases.
        parcel: What is fetched.
        staged: The folder.
        watch: Is called with (bytes done, bytes, what is carried).

    Raises:
        HubError: The hub cannot be reached, or refuses.
        DigestError: The hub sent other bytes; nothing of them is kept.
        OutputError: The disk is full, or the folder cannot be written.
    """
    meter = Meter(parcel.size, watch)
    try:
        for blob in (*parcel.blobs, parcel.index):
            meter.now(blob.title)
            if not _here(staged, blob):
                _fetch_one(store, name, blob, staged, meter)
            else:
                meter.advance(blob.size)
    except OSError as error:
        raise OutputError(f"path={str(staged.parent.resolve())!r} cannot be written: {error.strerror}.") from error


def assemble(parcel: Parcel, staged: Path, out: BinaryIO) -> None:
    """Writes the release's file, made of parts that were fetched; each is checked as it is written.

    Args:
        parcel: What was fetched.
        staged: The folder with its parts.
        out: Where to.

    Raises:
        DigestError: A part is damaged.
        OSError: The disk is full.
    """
    for name, blob in parcel.members():
        size = len(blob) if isinstance(blob, bytes) else blob.size
        out.write(tar.header(name, size))
        for chunk in [blob] if isinstance(blob, bytes) else _parts(staged, blob):
            out.write(chunk)
        out.write(bytes(-size % tar.BLOCK))
    out.write(bytes(2 * tar.BLOCK))


def _parts(staged: Path, blob: Blob) -> Iterator[bytes]:
    with (staged / _file(blob)).open("rb") as file:
        yield from checked(chunks_of(file, blob.size + 1), blob.digest, blob.size, blob.title)


def _here(staged: Path, blob: Blob) -> bool:
    try:
        for _ in _parts(staged, blob):
            pass
    except (OSError, DigestError):
        return False
    return True


def _fetch_one(store: Store, name: str, blob: Blob, staged: Path, meter: Meter) -> None:
    """Fetches a part; a beginning that does not lead to the right bytes is thrown away, once."""
    part = staged / (_file(blob) + _PART)
    for tried in range(1, _TWICE + 1):
        begin, found = _begun(part, blob)
        meter.advance(begin)
        try:
            _go_on(store, name, blob, part, begin, found, meter)
        except DigestError:
            part.unlink(missing_ok=True)
            if begin == 0 or tried == _TWICE:
                raise
            meter.advance(-begin)
        else:
            os.replace(part, staged / _file(blob))
            return


def _begun(part: Path, blob: Blob) -> tuple[int, hashlib._Hash]:
    """Gives how much of a part is there already, with its digest so far."""
    found, count = hashlib.sha256(), 0
    if part.is_file() and part.stat().st_size < blob.size:
        with part.open("rb") as file:
            for chunk in chunks_of(file, blob.size):
                found.update(chunk)
                count += len(chunk)
    return count, found


def _go_on(
    store: Store, name: str, blob: Blob, part: Path, begin: int, found: hashlib._Hash, meter: Meter
) -> None:  # fmt: skip
    count = begin
    with part.open("ab" if begin else "wb") as out:
        try:
            for chunk in store.blob(name, blob.digest, blob.size, begin):
                count += len(chunk)
                if count > blob.size:
                    break
                found.update(chunk)
                out.write(chunk)
                meter.advance(len(chunk))
        except HubError:
            out.flush()
            raise
    if count != blob.size or "sha256:" + found.hexdigest() != blob.digest:
        meter.advance(begin - min(count, blob.size))
        raise DigestError(f"{blob.title}: the hub's bytes do not match the digest {blob.digest}: damaged or forged.")


def _file(blob: Blob) -> str:
    return blob.digest.removeprefix("sha256:")

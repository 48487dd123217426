"""A hub that is a folder: an OCI image layout, which needs no server.

`index.json` names each release by `name:tag`; the bytes lie under `blobs/sha256`. They are written beside and renamed,
and nobody sees a release before its line is in the index. Other tools read and write the same folder, for example
`skopeo copy oci:hub:cardio/sprint:1.0 docker://...`.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from wardgan import files
from wardgan.errors import DigestError, FormatError, HubError, OutputError, UsageError
from wardgan.hub.store import MANIFEST_CAP, Advance, checked, chunks_of
from wardgan.hub.target import is_digest, is_name, is_tag
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.oci import LAYOUT, REF, blob_name, digest_of
from wardgan.seal.records import INDEX_TYPE, MANIFEST_TYPE

_INDEX_CAP: Final = 64 << 20
_PATIENCE: Final = 30.0
_LOCK: Final = ".lock"
_OLD: Final = 24 * 3600.0
_TWICE: Final = " twice"

Listed = dict[str, Any]


class Folder:
    """A folder with releases.

    Args:
        path: The folder; it is made when something is put into it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._seen: tuple[object, dict[str, dict[str, Listed]]] | None = None

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._path)

    def close(self) -> None:
        """Does nothing: no file is open between two calls."""

    def stamp(self) -> object | None:
        """Gives what the index's file is, which is another one whenever something has been written."""
        try:
            found = (self._path / "index.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def names(self) -> list[str]:
        """Gives the names of which there are releases, sorted."""
        return sorted(self._tagged())

    def tags(self, name: str) -> list[str]:
        """Gives the tags of a name, sorted.

        Args:
            name: Such as `cardio/sprint`.
        """
        return sorted(self._tagged().get(name, {}))

    def manifest(self, name: str, reference: str) -> bytes | None:
        """Gives a manifest by its tag, or by its digest; `None` if there is none.

        Args:
            name: Such as `cardio/sprint`.
            reference: Tag or digest.

        Raises:
            DigestError: Its bytes are others than the index says.
        """
        tagged = self._tagged().get(name, {})
        if is_digest(reference):
            entry = next((one for one in tagged.values() if one["digest"] == reference), None)
        else:
            entry = tagged.get(reference)
        if entry is None:
            return None
        digest, size = str(entry["digest"]), int(entry["size"])
        if entry.get(_TWICE):
            raise FormatError(f"{self.place}: index.json has two releases {name}:{reference}.")
        if size > MANIFEST_CAP:
            raise FormatError(f"{self.place}: the manifest of {name}:{reference} has more than {MANIFEST_CAP} bytes.")
        return b"".join(checked(self.blob(name, digest, size), digest, size, f"{name}:{reference}"))

    def publish(self, name: str, tag: str, data: bytes, *, replace: bool = False) -> None:
        """Gives a manifest a tag; see `Store.publish`.

        Args:
            name: Such as `cardio/sprint`.
            tag: Such as `1.0`.
            data: The manifest.
            replace: Whether another one may be replaced.

        Raises:
            HubError: Another one is there.
            OutputError: It cannot be written.
        """
        self._make()
        digest = digest_of(data)
        if not self.has(name, digest, len(data)):
            files.write_bytes(self._blob(digest), data, force=True, follow=False)
        kind = cast("Mapping[str, object]", json.loads(data)).get("artifactType")
        entry: Listed = {"mediaType": MANIFEST_TYPE, "digest": digest, "size": len(data), "artifactType": kind}
        with self._locked():
            entries = self._entries()
            named = f"{name}:{tag}"
            others = [one for one in entries if _ref(one) != named]
            there = [str(one["digest"]) for one in entries if _ref(one) == named]
            if there == [digest]:
                return
            if there and not replace:
                raise HubError(
                    f"{self.place} has another {named} already, {there[0][:23]}...; choose another tag, or replace it "
                    "(--force, force=True)."
                )
            entry["annotations"] = {REF: named}
            index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*others, entry]}
            files.write_bytes(self._path / "index.json", canonical(index), force=True, follow=False)
            self._tidy()

    def has(self, name: str, digest: str, size: int) -> bool:
        """Whether bytes are there, and undamaged.

        Args:
            name: Of any release.
            digest: Of the bytes.
            size: How many.
        """
        try:
            for _ in checked(self.blob(name, digest, size), digest, size, digest):
                pass
        except (HubError, DigestError):
            return False
        return True

    def put(self, name: str, digest: str, size: int, source: BinaryIO, advance: Advance) -> None:
        """Brings bytes in, whole or not at all; see `Store.put`.

        Args:
            name: Of any release.
            digest: Of the bytes.
            size: How many.
            source: Where they begin.
            advance: Is called with how many have been written.

        Raises:
            OutputError: They cannot be written.
            DigestError: They are others.
        """
        self._make()
        with files.new_file(self._blob(digest), force=True, follow=False) as out:
            for chunk in checked(chunks_of(source, size), digest, size, digest):
                out.write(chunk)
                advance(len(chunk))

    def blob(self, name: str, digest: str, size: int, begin: int = 0) -> Iterator[bytes]:
        """Yields bytes from a position on; see `Store.blob`.

        Args:
            name: Of any release.
            digest: Of the bytes.
            size: How many there are, at least as the manifest says.
            begin: Where to begin.

        Raises:
            HubError: They are not there.
        """
        try:
            with _regular(self._blob(digest)) as file:
                file.seek(begin)
                # One byte more than there should be shows that there are too many.
                yield from chunks_of(file, size - begin + 1)
        except OSError as error:
            raise HubError(f"{self.place}: {digest} cannot be read: {error.strerror}; put it there again.") from error

    def _blob(self, digest: str) -> Path:
        return self._path / blob_name(digest)

    def _tagged(self) -> dict[str, dict[str, Listed]]:
        """Gives the entries by name and tag; the index is read again when it is another file."""
        stamp = self.stamp()
        if self._seen is not None and self._seen[0] == stamp is not None:
            return self._seen[1]
        found: dict[str, dict[str, Listed]] = {}
        for entry in self._entries():
            name, _, tag = _ref(entry).rpartition(":")
            if not is_name(name) or not is_tag(tag) or not is_digest(entry["digest"]):
                continue  # another tool's
            known = found.setdefault(name, {}).setdefault(tag, entry)
            if known["digest"] != entry["digest"]:
                known[_TWICE] = True
        self._seen = stamp, found
        return found

    def _entries(self) -> list[Listed]:
        try:
            with _regular(self._path / "index.json") as file:
                data = file.read(_INDEX_CAP + 1)
        except FileNotFoundError:
            if not (self._path / "oci-layout").is_file():
                raise HubError(f"There is no hub {self.place!r}; name another one, or push something to it.") from None
            return []
        except OSError as error:
            raise HubError(f"{self.place}: index.json cannot be read: {error.strerror}.") from error
        found = parse(data, what=f"{self.place}: index.json", cap=_INDEX_CAP)
        entries = cast("dict[str, object]", found).get("manifests") if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise FormatError(f"{self.place}: index.json is not that of an OCI image layout.")
        for entry in cast("list[object]", entries):
            one = cast("Listed", entry) if isinstance(entry, dict) else {}
            size = one.get("size")
            if not isinstance(one.get("digest"), str) or not isinstance(size, int) or size < 0:
                raise FormatError(f"{self.place}: an entry of index.json has no digest and size.")
        return cast("list[Listed]", entries)

    def _make(self) -> None:
        """Makes the folder an OCI image layout, unless it is something else already."""
        place = self._path
        try:
            if place.is_dir() and not (place / "oci-layout").is_file():
                # What begins with a dot may be that of somebody who makes the hub at this moment; and they may have
                # made it while its names were read.
                others = sorted(one.name for one in place.iterdir() if one.name[0] != "." and one.name != "blobs")
                if others and not (place / "oci-layout").is_file():
                    raise UsageError(f"hub={self.place!r} is a folder with other things, such as {others[0]!r}.")
            (place / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"hub={self.place!r} cannot be made: {error.strerror}.") from error
        if not (place / "oci-layout").is_file():
            files.write_bytes(place / "oci-layout", LAYOUT, force=True)

    def _tidy(self) -> None:
        """Removes what writers left that were killed."""
        for part in (*self._path.glob(".*.part"), *(self._path / "blobs" / "sha256").glob(".*.part")):
            try:
                if time.time() - part.stat().st_mtime > _OLD:
                    part.unlink()
            except OSError:
                continue

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the index for this process alone; waits for others."""
        place = self._path / _LOCK
        try:
            place.touch(0o660, exist_ok=True)
            with _regular(place):
                pass
        except OSError as error:
            raise OutputError(f"hub={self.place!r} cannot be written: {error.strerror}.") from error
        with files.locked(place, wait=_PATIENCE):
            yield


def _regular(path: Path) -> BinaryIO:
    """Opens a file for reading; a pipe or a device, which might never end, is none."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(22, "it is no regular file", str(path))
    return os.fdopen(handle, "rb")


def _ref(entry: Mapping[str, Any]) -> str:
    notes = entry.get("annotations")
    found = cast("Mapping[str, object]", notes).get(REF) if isinstance(notes, dict) else None
    return found if isinstance(found, str) else ""

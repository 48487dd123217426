"""How a release lies in a hub: one OCI manifest that names every byte of its `.hgan` file.

The manifest is a function of the file: the same file has the same manifest, and from the manifest the file comes back
byte for byte. Signature, members of a combined generator and members of members are all in it, so one tag is one signed
release, it appears in one moment, and tools that copy images copy it whole. (An index of manifests would be the nearer
form; but skopeo 1.9 writes indexes anew, with another digest, and refuses indexes within indexes.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import Field

from wardgan.combining.file import LARGEST, MIXTURE_TYPE
from wardgan.errors import FormatError
from wardgan.hub.store import MANIFEST_CAP
from wardgan.hub.target import is_digest
from wardgan.seal import oci, records, tar
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.oci import digest_of
from wardgan.seal.reading import opened
from wardgan.seal.records import INDEX_TYPE, MANIFEST_TYPE, Digest, Record, Text

RELEASE_TYPE: Final = "application/vnd.wardgan.release.v1+json"
# Manifests inside a release are parts of it here, not images of their own.
_INNER: Final = "application/vnd.wardgan.manifest.v1+json"
_INDEX: Final = "application/vnd.wardgan.index.v1+json"
_TITLE: Final = "org.opencontainers.image.title"
_DIGEST: Final = "vnd.wardgan.release.digest"
_MOST: Final = 1 << 16
_CAP: Final = 4 << 20
_DEEPEST: Final = 16
_LARGEST_PART: Final = max(kind.cap for kind in (*oci.LAYERS, oci.CARD, oci.DOSSIER))


class _Part(Record):
    media_type: str = Field(alias="mediaType", max_length=200)
    digest: Digest
    size: Annotated[int, Field(ge=0, le=_LARGEST_PART)]
    annotations: dict[str, Text] | None = None


class _Manifest(Record):
    schema_version: Literal[2] = Field(alias="schemaVersion")
    media_type: Literal["application/vnd.oci.image.manifest.v1+json"] = Field(alias="mediaType")
    artifact_type: Literal["application/vnd.wardgan.release.v1+json"] = Field(alias="artifactType")
    config: _Part
    layers: Annotated[list[_Part], Field(min_length=2, max_length=_MOST)]
    annotations: dict[str, Text]


@dataclass(frozen=True)
class Blob:
    """Some bytes of a release.

    Attributes:
        digest: Their name.
        size: How many.
        title: What they are called: their title, or else the beginning of their digest.
    """

    digest: str
    size: int
    title: str


@dataclass(frozen=True)
class Parcel:
    """A release as it lies in a hub.

    Attributes:
        data: Its manifest.
        release: Digest of the release: what `inspect` shows and what is signed, by the manifest's own word until it was
            compared.
        kind: `model` or `mixture`.
        facts: `card.json` or `mixture.json`.
        index: `index.json` of the file.
        blobs: All of the file's blobs, in the order of their digests.
    """

    data: bytes
    release: str
    kind: Literal["model", "mixture"]
    facts: Blob
    index: Blob
    blobs: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        """Digest of the manifest in the hub."""
        return digest_of(self.data)

    @property
    def size(self) -> int:
        """How many bytes there are to carry, the manifest left aside."""
        return self.index.size + sum(blob.size for blob in self.blobs)

    def members(self) -> Iterator[tuple[str, Blob | bytes]]:
        """Yields the members of the file's tar, in order."""
        for blob in self.blobs:
            yield oci.blob_name(blob.digest), blob
        yield "index.json", self.index
        yield "oci-layout", oci.LAYOUT


@dataclass(frozen=True)
class Packed:
    """A file, ready to be carried.

    Attributes:
        parcel: How it lies in a hub.
        places: Where in the file each blob is.
    """

    parcel: Parcel
    places: Mapping[str, tar.Member]


def parcel_of(path: str | Path) -> Packed:
    """Gives how a file lies in a hub. The file was read and checked before.

    Args:
        path: A `.hgan` file.

    Raises:
        FormatError: It is no `.hgan` file, or larger than a hub can hold.
    """
    with opened(path) as file:
        table = tar.table(file, os.fstat(file.fileno()).st_size, most=_MOST, largest=LARGEST)
        blobs = oci.Blobs(file, table)
        index = blobs.plain("index.json", oci.MANIFEST_CAP)
        data = manifest_of(index, lambda digest, _: blobs.plain(oci.blob_name(digest), _CAP), str(path))
    places = {
        "sha256:" + name.rpartition("/")[2]: member for name, member in table.items() if name.startswith("blobs/")
    }
    return Packed(read_parcel(data, "the release"), places | {digest_of(index): table["index.json"]})


def manifest_of(index: bytes, read: Callable[[str, int], bytes], what: str) -> bytes:
    """Gives the manifest that a release has in a hub, going from `index.json` to all that it names.

    Only manifests are read, so it can be found out what a release must consist of before its large parts are fetched.

    Args:
        index: `index.json`.
        read: Gives a manifest by digest and size.
        what: Name of the release, for messages.

    Raises:
        FormatError: The index or a manifest is none, or there are too many parts.
    """
    walk = _Walk(read)
    first = walk.all_of(index)
    entry = {"mediaType": _INDEX, "digest": digest_of(index), "size": len(index), "annotations": {_TITLE: "index.json"}}
    config = walk.parts.pop(first.facts)
    head = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": RELEASE_TYPE, "config": config,
        "layers": [entry, *(walk.parts[digest] for digest in sorted(walk.parts))],
        "annotations": {_DIGEST: first.release},
    }  # fmt: skip
    data = canonical(head)
    if len(data) > MANIFEST_CAP:
        raise FormatError(f"{what} has so many parts that its manifest is larger than registries take (4 MiB).")
    return data


def read_parcel(data: bytes, what: str) -> Parcel:
    """Gives a parcel by its manifest.

    Args:
        data: The manifest, as a hub gave it.
        what: Its name, for messages.

    Raises:
        FormatError: It is that of something else, such as a container image.
    """
    if len(data) > MANIFEST_CAP:
        raise FormatError(f"{what}: its manifest is larger than {MANIFEST_CAP} bytes.")
    found = parse(data, what=what, cap=MANIFEST_CAP)
    kind = cast("dict[str, Any]", found).get("artifactType") if isinstance(found, dict) else None
    if kind != RELEASE_TYPE:
        raise FormatError(f"{what} is no release of wardgan (its type is {str(kind)[:60]!a}).")
    manifest = records.read(_Manifest, found, what)
    if data != canonical(found):
        raise FormatError(f"{what}: its manifest is not written in canonical form.")
    index, *others = manifest.layers
    config = manifest.config
    digests = [part.digest for part in (config, *others)]
    if index.media_type != _INDEX or set(manifest.annotations) != {_DIGEST} or len(set(digests)) < len(digests):
        raise FormatError(f"{what}: its manifest does not name a release's parts once each.")
    blobs = [Blob(part.digest, part.size, _title(part)) for part in (config, *others)]
    return Parcel(
        data, manifest.annotations[_DIGEST], "mixture" if config.media_type == MIXTURE_TYPE else "model", blobs[0],
        Blob(index.digest, index.size, "index.json"), tuple(sorted(blobs, key=lambda blob: blob.digest)),
    )  # fmt: skip


def _title(part: _Part) -> str:
    return (part.annotations or {}).get(_TITLE, part.digest[:19])


@dataclass(frozen=True)
class _First:
    release: str
    facts: str


class _Walk:
    """Goes from `index.json` to all that it names, and notes what each is."""

    def __init__(self, read: Callable[[str, int], bytes]) -> None:
        self._read = read
        self.parts: dict[str, dict[str, object]] = {}

    def all_of(self, index: bytes) -> _First:
        try:
            entries = cast("list[dict[str, Any]]", _json(index)["manifests"])
            titled = entries[0]["mediaType"] == MANIFEST_TYPE
            for entry in entries:
                self._manifest(entry, titled=titled, depth=0)
            inner = _json(self._bytes(entries[0]))
            if not titled:
                inner = _json(self._bytes(inner["manifests"][0]))
            return _First(str(entries[0]["digest"]), str(inner["config"]["digest"]))
        except (LookupError, TypeError, AttributeError) as error:
            raise FormatError("index.json: it, or a manifest that it names, is malformed.") from error

    def _manifest(self, entry: Mapping[str, Any], *, titled: bool, depth: int) -> None:
        if depth > _DEEPEST or len(self.parts) > _MOST:
            raise FormatError("index.json: it names more than a release can have.")
        if not self._note(entry, _INNER, {}):
            return
        found = _json(self._bytes(entry))
        if entry["mediaType"] == INDEX_TYPE:
            for one in cast("list[dict[str, Any]]", found["manifests"]):
                self._manifest(one, titled=titled, depth=depth + 1)
            return
        for part in (found["config"], *found["layers"]):
            # In a combined release many parts have one title, which is of no use there.
            title = part.get("annotations", {}).get(_TITLE) if titled else None
            notes: dict[str, object] = {"annotations": {_TITLE: title}} if title else {}
            self._note(part, str(part["mediaType"]), notes)

    def _note(self, entry: Mapping[str, Any], media: str, notes: dict[str, object]) -> bool:
        """Notes a part, and gives whether it was not known."""
        digest, size = str(entry["digest"]), entry["size"]
        new = digest not in self.parts
        known = self.parts.setdefault(digest, {"mediaType": media, "digest": digest, "size": size} | notes)
        if (
            not is_digest(digest)
            or not isinstance(size, int)
            or not 0 <= size <= _LARGEST_PART
            or known["size"] != size
        ):
            raise FormatError(
                f"index.json: a part of the release has no digest and size, or has two ({digest[:23]!a})."
            )
        return new

    def _bytes(self, entry: Mapping[str, Any]) -> bytes:
        return self._read(str(entry["digest"]), int(entry["size"]))


def _json(data: bytes) -> dict[str, Any]:
    return cast("dict[str, Any]", parse(data, what="manifest", cap=_CAP))

"""What a release says of itself, read from a hub without fetching its network.

The way from the tag to the facts is checked: the hub's manifest names `index.json` by digest, that the release, that
its card; and the signature is over the release. So a line of a list is as true as the file behind it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from wardgan.combining.file import MIXTURE_TYPE
from wardgan.combining.linking import read_record
from wardgan.errors import FormatError
from wardgan.hub.parcel import Parcel, manifest_of
from wardgan.hub.revocation import Revocation, revocation_of
from wardgan.hub.store import Store, small
from wardgan.schema.schema import Schema
from wardgan.seal import oci, records
from wardgan.seal.json_text import parse
from wardgan.seal.reading import Signature, read_schema, signed_by
from wardgan.seal.records import INDEX_TYPE, Claim, Descriptor, Manifest, read_card

_CAP: Final = 4 << 20
_RECORD_CAP: Final = 8 << 20
_PIECE: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Entry:
    """A release in a hub.

    Attributes:
        name: Such as `cardio/sprint`.
        tag: Such as `1.0`.
        digest: Of the release: what `inspect` shows and what is signed.
        manifest: Digest of its manifest in the hub.
        kind: `model`, or `mixture` for a combined one.
        title: What the data set is called.
        created: `YYYY-MM-DD`.
        privacy: The guarantee that it claims.
        family: Model family; `None` for a combined one.
        licence: Terms of use (SPDX), if declared.
        hospitals: How many generators a combined one is made of; 1 for others.
        signature: Who signed it.
        bytes: How many bytes it has.
        revoked: Whether it was taken back.
        leaves: Of a combined one the digests of the generators that are in it.
        schema: What its patients obey; `None` if it was not asked for.
    """

    name: str
    tag: str
    digest: str
    manifest: str
    kind: str
    title: str
    created: str
    privacy: Claim
    family: str | None
    licence: str | None
    hospitals: int
    signature: Signature
    bytes: int
    revoked: Revocation | None
    leaves: tuple[str, ...] = ()
    schema: Schema | None = None

    def to_dict(self) -> dict[str, object]:
        """Gives the entry as JSON."""
        found: dict[str, object] = {name: value for name, value in vars(self).items() if name != "schema"}
        revoked = None if self.revoked is None else vars(self.revoked)
        more = {} if self.schema is None else {"schema": self.schema.to_dict()}
        return (
            found | {"privacy": self.privacy.model_dump(), "signature": vars(self.signature), "revoked": revoked} | more
        )

    def words(self) -> str:
        """Gives all that can be searched, in small letters."""
        found = [self.name, self.tag, self.title, self.kind, self.family or "", self.licence or "", self.created]
        found += [
            self.signature.name or "",
            self.digest,
            "private" if self.privacy.mode == "private" else "not private",
        ]
        if self.schema is not None:
            found += list(_texts(self.schema.to_dict()))
        return "\n".join(found).casefold()

    def has(self, words: str) -> bool:
        """Tells whether each of some words occurs somewhere, perhaps within a word; signs between them do not matter.

        Args:
            words: Such as `blood pressure` or `mm[Hg]`.
        """
        text = self.words()
        return all(word in text for word in pieces(words))


def pieces(text: str) -> list[str]:
    """Gives the words of a text in small letters, without the signs between them.

    Example:
        >>> pieces("Blood-pressure mm[Hg]")
        ['blood', 'pressure', 'mm', 'hg']
    """
    return _PIECE.findall(text.casefold())


def entry_of(  # noqa: PLR0913 - what may be asked of a release, in one place
    store: Store, name: str, tag: str, parcel: Parcel, trust: str | Path | None = None, *, required: bool = False,
    deep: bool = False, whole: bool = False, tags: Collection[str] | None = None,
) -> Entry:  # fmt: skip
    """Gives what a release says of itself.

    Args:
        store: The hub.
        name: Of the releases.
        tag: Of this one.
        parcel: Its manifest.
        trust: Trust file; `None` for the default one.
        required: Whether it must be signed by a key in the trust file.
        deep: Whether its schema is read, too.
        whole: Whether all manifests in it are read, and compared with what the hub says that it consists of.
        tags: All tags of the name, if they are known.

    Raises:
        TrustError: A signature is wrong; or missing or unknown where it is required.
        ArtifactError: A part contradicts another, or does not match its digest.
    """
    reader = _Parts(store, name, parcel)
    release, *signatures = reader.entries()
    if whole:
        reader.check_whole()
    if release.digest != parcel.release:
        raise FormatError(f"{name}:{tag}: its manifest speaks of another release than its index.json.")
    envelope = reader.envelope(signatures, release)
    signature = signed_by(release.digest, envelope, trust, required=required)
    manifest = reader.facts_manifest(release)
    if manifest.config.digest != parcel.facts.digest:
        raise FormatError(f"{name}:{tag}: its manifest names another card than the release.")
    schema = next((part for part in manifest.layers if part.media_type == oci.LAYERS[1].media_type), None)
    if deep and schema is None:
        raise FormatError(f"{name}:{tag}: it has no schema.")
    data = reader.read(manifest.config, oci.Kind("card.json", "", _RECORD_CAP))
    facts = _mixture_facts(data) if parcel.kind == "mixture" else _model_facts(data)
    return Entry(
        name=name, tag=tag, digest=release.digest, manifest=parcel.digest, kind=parcel.kind, signature=signature,
        bytes=parcel.size, revoked=revocation_of(store, name, release.digest, trust, tags),
        schema=read_schema(reader.read(schema, oci.LAYERS[1])) if deep and schema else None, **facts,
    )  # fmt: skip


def _model_facts(data: bytes) -> dict[str, Any]:
    card = read_card(parse(data, what="card.json", cap=oci.CARD.cap), "card.json")
    return {
        "title": card.name, "created": card.created, "privacy": card.privacy, "family": card.family,
        "licence": card.licence, "hospitals": 1,
    }  # fmt: skip


def _mixture_facts(data: bytes) -> dict[str, Any]:
    record = read_record(parse(data, what="mixture.json", cap=_RECORD_CAP))
    return {
        "title": record.name, "created": record.created, "privacy": record.privacy, "family": None, "licence": None,
        "hospitals": len(record.leaves), "leaves": tuple(one.digest for one in record.leaves),
    }  # fmt: skip


class _Parts:
    """Small parts of a release in a hub."""

    def __init__(self, store: Store, name: str, parcel: Parcel) -> None:
        self._store = store
        self._name = name
        self._parcel = parcel
        self._known = {blob.digest for blob in parcel.blobs}
        self._seen: dict[str, bytes] = {}

    def read(self, descriptor: Descriptor, kind: oci.Kind) -> bytes:
        """Gives the bytes that a descriptor names, checked."""
        if descriptor.digest not in self._known:
            raise FormatError(f"{kind.name}: the manifest in the hub does not name it.")
        return self._small(descriptor.digest, descriptor.size, kind.cap, kind.name)

    def entries(self) -> list[Descriptor]:
        found = parse(self._index(), what="index.json", cap=oci.MANIFEST_CAP)
        return records.read(records.Index, found, "index.json").manifests

    def check_whole(self) -> None:
        """Refuses a manifest that names more, less or larger parts than the release has."""
        read = partial(self._small, cap=_CAP, what="manifest")
        if manifest_of(self._index(), read, self._name) != self._parcel.data:
            raise FormatError(f"{self._name}: its manifest in the hub is not that of the release that it names.")

    def _index(self) -> bytes:
        index = self._parcel.index
        return self._small(index.digest, index.size, oci.MANIFEST_CAP, "index.json")

    def _small(self, digest: str, size: int, cap: int, what: str) -> bytes:
        """Gives a small part; several questions need the same ones, and each costs a call."""
        if digest not in self._seen:
            self._seen[digest] = small(self._store, self._name, digest, size, cap, what)
        return self._seen[digest]

    def envelope(self, signatures: list[Descriptor], release: Descriptor) -> bytes | None:
        if not signatures:
            return None
        manifest = oci.read_manifest(self, signatures[0], "signature manifest")
        oci.check_signature(manifest, release)
        return self.read(manifest.layers[0], oci.ENVELOPE)

    def facts_manifest(self, release: Descriptor) -> Manifest:
        if release.artifact_type != MIXTURE_TYPE:
            manifest = oci.read_manifest(self, release, "model manifest")
            oci.check_model(manifest)
            return manifest
        data = self.read(release, oci.Kind("mixture index", INDEX_TYPE, _CAP))
        found = parse(data, what="mixture index", cap=_CAP)
        first = cast("dict[str, Any]", found).get("manifests") if isinstance(found, dict) else None
        if not isinstance(first, list) or not first:
            raise FormatError("mixture index: it has no manifests.")
        entry = records.read(Descriptor, cast("list[object]", first)[0], "mixture index")
        return oci.read_manifest(self, entry, "mixture manifest", named=False)


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return [text for key, one in pairs.items() for text in (str(key), *_texts(one))]
    if isinstance(value, list):
        return [text for one in cast("list[object]", value) for text in _texts(one)]
    return [str(value)] if isinstance(value, str) else []

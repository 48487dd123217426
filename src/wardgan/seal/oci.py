"""The inner order of a `.hgan` file: an OCI image layout, every part named by its digest.

Because it is an OCI layout, the same bytes can lie in a folder or in any OCI registry. The model's manifest names
the card and the layers; a second manifest with `subject` carries the signature (OCI image specification 1.1).
Reading goes from `index.json` to the manifests to the parts, by name; nothing is ever unpacked to the disk, and
nothing is parsed before its digest has been checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import BinaryIO, Final, Protocol

from wardgan.errors import DigestError, FormatError, TrustError
from wardgan.seal import records, tar
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.records import INDEX_TYPE, MANIFEST_TYPE, Descriptor, Index, Manifest

CARD_TYPE: Final = "application/vnd.wardgan.card.v1+json"
SIGNATURE_TYPE: Final = "application/vnd.wardgan.signature.v1+json"
ENVELOPE_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_MIB: Final = 1 << 20
MANIFEST_CAP: Final = 256 << 10
_TITLE: Final = "org.opencontainers.image.title"
REF: Final = "org.opencontainers.image.ref.name"
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
EMPTY: Final = b"{}"
_REFS: Final = {CARD_TYPE: "model", SIGNATURE_TYPE: "signature"}


@dataclass(frozen=True)
class Kind:
    """What a part of a model is called and how long it may be."""

    name: str
    media_type: str
    cap: int


CARD: Final = Kind("card.json", CARD_TYPE, _MIB)
LAYERS: Final = (
    Kind("generator.onnx", "application/vnd.wardgan.generator.v1+onnx", 512 * _MIB),
    Kind("schema.json", "application/vnd.wardgan.schema.v1+json", _MIB),
    Kind("privacy.json", "application/vnd.wardgan.privacy.v1+json", 8 * _MIB),
    Kind("README.md", "text/markdown", _MIB),
)
DOSSIER: Final = Kind("dossier.json", "application/vnd.wardgan.dossier.v1+json", 2 * _MIB)
ENVELOPE: Final = Kind("signature", ENVELOPE_TYPE, 64 << 10)


@dataclass(frozen=True)
class Parts:
    """The bytes of a model, in the order of `CARD`, `LAYERS` and, if there is one, `DOSSIER`."""

    card: bytes
    network: bytes
    schema: bytes
    privacy: bytes
    readme: bytes
    dossier: bytes | None = None


@dataclass(frozen=True)
class Layout:
    """A `.hgan` file that has been opened: manifests read, nothing else yet.

    Attributes:
        digest: Digest of the model's manifest: the name of the release, and what is signed.
        manifest: The model's manifest.
        envelope: The signature's envelope, if there is one.
        blobs: Gives a part's bytes, checked against its descriptor.
    """

    digest: str
    manifest: Manifest
    envelope: bytes | None
    blobs: Blobs

    def part(self, kind: Kind) -> bytes:
        """Gives one part of the model, checked against its descriptor.

        Args:
            kind: One of `CARD` and `LAYERS`.

        Raises:
            FormatError: It is missing, too large, or has another size than its descriptor says.
            DigestError: Its bytes do not match its digest.
        """
        place = (CARD, *LAYERS).index(kind)
        return self.blobs.read([self.manifest.config, *self.manifest.layers][place], kind)

    def parts(self) -> Parts:
        """Gives the model's parts.

        Raises:
            FormatError: A part is missing, too large, or has another size than its descriptor says.
            DigestError: A part's bytes do not match its digest.
        """
        parts = [self.manifest.config, *self.manifest.layers]
        return Parts(*(self.blobs.read(part, kind) for part, kind in zip(parts, kinds(len(parts)), strict=True)))


class Reader(Protocol):
    """Where parts are read, each checked against its descriptor."""

    def read(self, descriptor: Descriptor, kind: Kind) -> bytes:
        """Gives the bytes that a descriptor names."""
        ...


@dataclass(frozen=True)
class Blobs:
    """The members of the tar, read only when asked for."""

    file: BinaryIO
    members: dict[str, tar.Member]

    def plain(self, name: str, cap: int, *, what: str | None = None) -> bytes:
        """Gives a member that no digest names (`oci-layout`, `index.json`)."""
        if name not in self.members:
            raise FormatError(f"The file has no {name}.")
        member = self.members[name]
        if member.size > cap:
            raise FormatError(f"{what or name}: {member.size} bytes are more than {cap}.")
        self.file.seek(member.offset)
        return self.file.read(member.size)

    def read(self, descriptor: Descriptor, kind: Kind) -> bytes:
        """Gives the bytes that a descriptor names."""
        name = blob_name(descriptor.digest)
        if name not in self.members:
            raise FormatError(f"{kind.name}: the part {descriptor.digest} is missing.")
        if self.members[name].size != descriptor.size:
            raise FormatError(
                f"{kind.name}: has {self.members[name].size} bytes, its descriptor says {descriptor.size}."
            )
        data = self.plain(name, kind.cap, what=kind.name)
        if digest_of(data) != descriptor.digest:
            raise DigestError(f"{kind.name}: its bytes do not match the digest {descriptor.digest}: damaged or forged.")
        return data


def kinds(count: int) -> tuple[Kind, ...]:
    """Gives the kinds of so many parts of a model, in order: the dossier may be absent."""
    return (CARD, *LAYERS, DOSSIER)[:count]


def digest_of(data: bytes) -> str:
    """Gives the name of bytes: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def pack(parts: Parts, sign: Callable[[str], bytes] | None = None) -> bytes:
    """Gives the bytes of a `.hgan` file: the same parts give the same bytes.

    Args:
        parts: The model.
        sign: Gives the signature's envelope for the digest of the model's manifest.
    """
    blobs: dict[str, bytes] = {}
    config, *layers = (
        put(blobs, data, kind.media_type, title=kind.name)
        for data, kind in zip(astuple(parts), (CARD, *LAYERS, DOSSIER), strict=True)
        if data is not None
    )
    model = put(blobs, manifest_bytes(CARD_TYPE, config, layers), MANIFEST_TYPE)
    manifests = [_entry(model, CARD_TYPE)]
    if sign is not None:
        envelope = put(blobs, sign(str(model["digest"])), ENVELOPE_TYPE)
        signature = manifest_bytes(SIGNATURE_TYPE, put(blobs, EMPTY, EMPTY_TYPE), [envelope], subject=model)
        manifests.append(_entry(put(blobs, signature, MANIFEST_TYPE), SIGNATURE_TYPE))
    return tar.join(blobs | {"oci-layout": LAYOUT, "index.json": _index(manifests)})


def unpack(file: BinaryIO, size: int) -> Layout:
    """Opens a `.hgan` file: checks its order and its manifests, and reads no part of the model yet.

    Args:
        file: A handle that can seek; it must stay open while parts are read.
        size: Length of the file in bytes.

    Raises:
        FormatError: Not the layout that `pack` writes, or a part is missing or superfluous.
        DigestError: A manifest's bytes do not match its digest.
        TrustError: The signature belongs to another file.
    """
    blobs = Blobs(file, tar.table(file, size))
    if blobs.plain("oci-layout", 100) != LAYOUT:
        raise FormatError("oci-layout: is not an OCI image layout of version 1.0.0.")
    data = blobs.plain("index.json", MANIFEST_CAP)
    index = records.read(Index, parse(data, what="index.json", cap=MANIFEST_CAP), "index.json")
    if data != _index([dump(entry) for entry in index.manifests]):
        raise FormatError("index.json: is not written in canonical form.")
    first, *others = index.manifests
    if first.artifact_type != CARD_TYPE or any(entry.artifact_type != SIGNATURE_TYPE for entry in others):
        raise FormatError("index.json: does not list one model, and at most one signature behind it.")
    model = read_manifest(blobs, first, "model manifest")
    check_model(model)
    used = {first.digest, model.config.digest, *(layer.digest for layer in model.layers)}
    envelope = None
    for entry in others:
        signature = read_manifest(blobs, entry, "signature manifest")
        check_signature(signature, first)
        envelope = blobs.read(signature.layers[0], ENVELOPE)
        blobs.read(signature.config, Kind("signature config", EMPTY_TYPE, len(EMPTY)))
        used |= {entry.digest, signature.layers[0].digest, signature.config.digest}
    extra = set(blobs.members) - {blob_name(digest) for digest in used} - {"oci-layout", "index.json"}
    if extra:
        raise FormatError(f"The file holds {min(extra)}, which no manifest names.")
    return Layout(first.digest, model, envelope, blobs)


def blob_name(digest: str) -> str:
    """Gives the name of a blob inside the tar.

    Args:
        digest: Of its bytes.
    """
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def put(blobs: dict[str, bytes], data: bytes, media_type: str, *, title: str | None = None) -> dict[str, object]:
    """Puts bytes among blobs and gives their descriptor.

    Args:
        blobs: Bytes by name.
        data: The bytes.
        media_type: What they are.
        title: Name of the part, if it has one.
    """
    digest = digest_of(data)
    blobs[blob_name(digest)] = data
    found: dict[str, object] = {"mediaType": media_type, "digest": digest, "size": len(data)}
    return found if title is None else found | {"annotations": {_TITLE: title}}


def manifest_bytes(kind: str, config: object, layers: list[dict[str, object]], **more: object) -> bytes:
    """Gives the bytes of a manifest.

    Args:
        kind: Its artifact type.
        config: Descriptor of its first part.
        layers: Descriptors of the others.
        more: Other fields, such as `subject`.
    """
    head = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": kind, "config": config, "layers": layers}
    return canonical(head | more)


def _entry(descriptor: dict[str, object], kind: str) -> dict[str, object]:
    # The names let other programs choose a manifest: skopeo copy oci-archive:x.hgan:model docker://...
    return descriptor | {"artifactType": kind, "annotations": {REF: _REFS[kind]}}


def _index(manifests: list[dict[str, object]]) -> bytes:
    return canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})


def dump(descriptor: Descriptor) -> dict[str, object]:
    """Gives a descriptor as it stands in JSON."""
    return descriptor.model_dump(by_alias=True, exclude_none=True)


def read_manifest(blobs: Reader, descriptor: Descriptor, what: str, *, named: bool = True) -> Manifest:
    """Gives a manifest, checked against its descriptor.

    Args:
        blobs: Where its bytes are.
        descriptor: Its kind, digest and size.
        what: Name, for messages.
        named: Whether the descriptor has the annotation by which other programs choose a manifest.

    Raises:
        FormatError: It is none.
        DigestError: Its bytes do not match its digest.
    """
    ref = {REF: _REFS.get(descriptor.artifact_type or "")} if named else None
    if descriptor.media_type != MANIFEST_TYPE or descriptor.annotations != ref:
        raise FormatError(f"{what}: its descriptor is not that of a manifest.")
    data = blobs.read(descriptor, Kind(what, MANIFEST_TYPE, MANIFEST_CAP))
    return records.read(Manifest, parse(data, what=what, cap=MANIFEST_CAP), what)


def check_model(manifest: Manifest) -> None:
    """Refuses a manifest that is not that of a model.

    Raises:
        FormatError: Says why.
    """
    if manifest.artifact_type != CARD_TYPE or manifest.subject is not None:
        raise FormatError("model manifest: is not the manifest of a model.")
    parts = [manifest.config, *manifest.layers]
    found = [(part.media_type, part.annotations) for part in parts]
    wanted = [(kind.media_type, {_TITLE: kind.name}) for kind in kinds(len(parts))]
    if found != wanted or len(parts) <= len(LAYERS):
        raise FormatError(
            "model manifest: the parts are not card, network, schema, ledger, README and perhaps a dossier, once each, "
            "in order."
        )
    if len({part.digest for part in parts}) < len(parts):
        raise FormatError("model manifest: two parts are the same bytes.")


def check_signature(manifest: Manifest, model: Descriptor) -> None:
    """Refuses a manifest that is not that of a signature of something.

    Args:
        manifest: The signature's.
        model: What should be signed.

    Raises:
        FormatError: It is no manifest of a signature.
        TrustError: It signs something else.
    """
    types = [part.media_type for part in (manifest.config, *manifest.layers)]
    if manifest.artifact_type != SIGNATURE_TYPE or types != [EMPTY_TYPE, ENVELOPE_TYPE]:
        raise FormatError("signature manifest: is not the manifest of one signature.")
    if manifest.subject is None or manifest.subject.digest != model.digest:
        raise TrustError("The signature belongs to another file: its subject is not this model's manifest.")

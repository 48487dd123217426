"""The file of a combined generator: an OCI image layout whose index names its members, which are all inside.

`index.json` names the mixture's index and perhaps its signature. The mixture's index names first a small manifest with
`mixture.json` and `schema.json`, then its members in order, each followed by its signature if it has one: manifests of
generators, or indexes of other mixtures, to any depth. So a member is the very release that its hospital signed, and
each part of the tree has a name that is its digest. A generator that is in two regions is there once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, BinaryIO, Final, Literal

from pydantic import Field

from wardgan import check as checks
from wardgan.combining.linking import read_record, translation
from wardgan.combining.records import MAX_LEAVES, MAX_MEMBERS, MixtureRecord
from wardgan.combining.tree import Member, MixtureNode, ModelNode, check_claim, mixture_of
from wardgan.errors import FormatError, UsageError
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema
from wardgan.seal import oci, records, tar
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.reading import Facts, Signature, facts_of, model_of, opened, read_schema
from wardgan.seal.records import INDEX_TYPE, MANIFEST_TYPE, Descriptor, Record

MIXTURE_TYPE: Final = "application/vnd.wardgan.mixture.v1+json"
LARGEST: Final = 1 << 33
_MEMBERS: Final = 1 << 16
_MAX_DEPTH: Final = 8
_INDEX_CAP: Final = 4 << 20
_RECORD: Final = oci.Kind("mixture.json", MIXTURE_TYPE, 8 << 20)
_SCHEMA: Final = oci.LAYERS[1]
_REF_NAME: Final = {oci.REF: "mixture"}

Judge = Callable[[str, bytes | None], Signature]


class MixtureIndex(Record):
    """Lists the facts of a mixture, its members and their signatures (OCI image index)."""

    schema_version: Literal[2] = Field(alias="schemaVersion")
    media_type: Literal["application/vnd.oci.image.index.v1+json"] = Field(alias="mediaType")
    artifact_type: Literal["application/vnd.wardgan.mixture.v1+json"] = Field(alias="artifactType")
    manifests: Annotated[list[Descriptor], Field(min_length=2, max_length=2 * MAX_MEMBERS + 1)]


@dataclass(frozen=True)
class Packed:
    """A member as it lies in its own file.

    Attributes:
        descriptors: Of its manifest or index, and of its signature if it has one.
        blobs: All bytes that they name, by their names in the tar.
    """

    descriptors: tuple[dict[str, object], ...]
    blobs: Mapping[str, bytes]


def kind_of(path: str | Path) -> Literal["model", "mixture"]:
    """Tells what a `.hgan` file holds, by its index alone.

    Args:
        path: The file.

    Raises:
        UsageError: It is no path, or cannot be opened.
        FormatError: It is no `.hgan` file.
    """
    checks.path(path=path)
    try:
        with opened(path) as file:
            blobs = oci.Blobs(file, tar.table(file, os.fstat(file.fileno()).st_size, most=_MEMBERS, largest=LARGEST))
            index = records.read(records.Index, _parsed(blobs.plain("index.json", oci.MANIFEST_CAP)), "index.json")
    except OSError as error:
        raise UsageError(f"path={str(path)!r} cannot be read: {error.strerror or error}.") from error
    return "mixture" if index.manifests[0].artifact_type == MIXTURE_TYPE else "model"


def packed(path: str | Path) -> Packed:
    """Gives a file's content as a member of another one; it was read and checked before.

    Args:
        path: The file.
    """
    with opened(path) as file:
        table = tar.table(file, os.fstat(file.fileno()).st_size, most=_MEMBERS, largest=LARGEST)
        blobs = oci.Blobs(file, table)
        index = records.read(records.Index, _parsed(blobs.plain("index.json", oci.MANIFEST_CAP)), "index.json")
        found = tuple(
            {name: value for name, value in oci.dump(entry).items() if name != "annotations"}
            for entry in index.manifests
        )
        data = {name: blobs.plain(name, LARGEST) for name in table if name.startswith("blobs/")}
    return Packed(found, data)


def pack(
    record: Mapping[str, object], schema: Schema, members: Sequence[Packed], sign: Callable[[str], bytes] | None
) -> tuple[bytes, str]:
    """Gives the bytes of a combined generator's file, and the digest of its index, which is its name.

    The same members and record give the same bytes.

    Args:
        record: `mixture.json`.
        schema: What the combined patients obey.
        members: In the order of the record.
        sign: Gives the signature's envelope for the digest of the mixture's index; `None` for no signature.
    """
    blobs: dict[str, bytes] = {name: data for member in members for name, data in member.blobs.items()}
    config = oci.put(blobs, canonical(record), _RECORD.media_type, title=_RECORD.name)
    layer = oci.put(blobs, canonical(schema.to_dict(), sort=False), _SCHEMA.media_type, title=_SCHEMA.name)
    facts = oci.put(blobs, oci.manifest_bytes(MIXTURE_TYPE, config, [layer]), MANIFEST_TYPE)
    entries = [facts | {"artifactType": MIXTURE_TYPE}, *(one for member in members for one in member.descriptors)]
    head = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "artifactType": MIXTURE_TYPE, "manifests": entries}
    whole = oci.put(blobs, canonical(head), INDEX_TYPE)
    manifests = [whole | {"artifactType": MIXTURE_TYPE, "annotations": _REF_NAME}]
    if sign is not None:
        envelope = oci.put(blobs, sign(str(whole["digest"])), oci.ENVELOPE_TYPE)
        empty = oci.put(blobs, oci.EMPTY, oci.EMPTY_TYPE)
        signature = oci.manifest_bytes(oci.SIGNATURE_TYPE, empty, [envelope], subject=whole)
        entry = oci.put(blobs, signature, MANIFEST_TYPE)
        manifests.append(entry | {"artifactType": oci.SIGNATURE_TYPE, "annotations": {oci.REF: "signature"}})
    return tar.join(blobs | {"oci-layout": oci.LAYOUT, "index.json": _index(manifests)}), str(whole["digest"])


def read_mixture(path: str | Path, judge: Judge, known: Mapping[str, Facts] | None = None) -> MixtureNode:
    """Gives the tree of a combined generator: its order, digests, signatures, records, schemas and ledgers are checked.

    The members' networks are read and checked when they are sampled first.

    Args:
        path: The file.
        judge: Judges a signature: the digest that should be signed, and the envelope; called for the root first.
        known: What generators say of themselves, by digest, as it was read before: then all parts of such a one are
            compared with their digests, and none is read again.

    Raises:
        UsageError: It is no path, or cannot be opened.
        ArtifactError: A part is malformed, contradicts another or does not match its digest.
        TrustError: From `judge`.
    """
    checks.path(path=path)
    try:
        with opened(path) as file:
            return _Reader.of(Path(path).absolute(), file, judge, known or {}).root()
    except OSError as error:
        raise UsageError(f"path={str(path)!r} cannot be read: {error.strerror or error}.") from error


@dataclass
class _Reader:
    """Reads a tree, and notes which blobs were named."""

    path: str | Path
    blobs: oci.Blobs
    judge: Judge
    known: Mapping[str, Facts]
    used: set[str] = field(default_factory=set[str])
    schemas: dict[bytes, Schema] = field(default_factory=dict[bytes, Schema])
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    nodes: dict[str, ModelNode | MixtureNode] = field(default_factory=dict[str, ModelNode | MixtureNode])

    @classmethod
    def of(cls, path: str | Path, file: BinaryIO, judge: Judge, known: Mapping[str, Facts]) -> _Reader:
        table = tar.table(file, os.fstat(file.fileno()).st_size, most=_MEMBERS, largest=LARGEST)
        return cls(path, oci.Blobs(file, table), judge, known)

    def root(self) -> MixtureNode:
        if self.blobs.plain("oci-layout", 100) != oci.LAYOUT:
            raise FormatError("oci-layout: is not an OCI image layout of version 1.0.0.")
        data = self.blobs.plain("index.json", oci.MANIFEST_CAP)
        index = records.read(records.Index, _parsed(data), "index.json")
        if data != _index([oci.dump(entry) for entry in index.manifests]):
            raise FormatError("index.json: is not written in canonical form.")
        first, *others = index.manifests
        if first.annotations != _REF_NAME or any(one.annotations != {oci.REF: "signature"} for one in others):
            raise FormatError("index.json: does not list one combined generator, and at most one signature behind it.")
        node = self._node(_bare(first), [_bare(one) for one in others], 0)
        if not isinstance(node, MixtureNode):
            raise FormatError("index.json: does not list a combined generator.")
        extra = {name for name in self.blobs.members if name.startswith("blobs/")} - self.used
        if extra:
            raise FormatError(f"The file holds {min(extra)}, which nothing names.")
        return node

    def _node(self, entry: Descriptor, signatures: Sequence[Descriptor], depth: int) -> ModelNode | MixtureNode:
        envelope = self._envelope(entry, signatures)
        if entry.digest not in self.nodes:
            signature = self.judge(entry.digest, envelope)
            read = self._mixture if entry.artifact_type == MIXTURE_TYPE else self._model
            self.nodes[entry.digest] = read(entry, envelope, signature, depth)
            if len(self.nodes) > 2 * MAX_LEAVES:
                raise FormatError(f"The file holds more than {2 * MAX_LEAVES} generators.")
        elif envelope is not None:
            # Who signed it was judged when it was met first; another envelope must be no worse.
            self.judge(entry.digest, envelope)
        return self.nodes[entry.digest]

    def _envelope(self, entry: Descriptor, signatures: Sequence[Descriptor]) -> bytes | None:
        if not signatures:
            return None
        (one,) = signatures
        manifest = oci.read_manifest(self.blobs, one, "signature manifest", named=False)
        oci.check_signature(manifest, entry)
        layer = manifest.layers[0]
        self._name(one.digest, layer.digest, manifest.config.digest)
        self.blobs.read(manifest.config, oci.Kind("signature config", oci.EMPTY_TYPE, len(oci.EMPTY)))
        return self.blobs.read(layer, oci.ENVELOPE)

    def _model(
        self, entry: Descriptor, envelope: bytes | None, signature: Signature, _: int
    ) -> ModelNode:  # fmt: skip
        manifest = oci.read_manifest(self.blobs, entry, "model manifest", named=False)
        oci.check_model(manifest)
        self._name(entry.digest, *(part.digest for part in (manifest.config, *manifest.layers)))
        layout = oci.Layout(entry.digest, manifest, envelope, self.blobs)
        facts = self.known.get(entry.digest)
        if facts is None:
            facts = facts_of(layout, self._schema)
        else:
            layout.parts()
        for kind in (oci.LAYERS[0], oci.LAYERS[3]):
            if oci.blob_name(manifest.layers[oci.LAYERS.index(kind)].digest) not in self.blobs.members:
                raise FormatError(f"{kind.name}: a part of {facts.card.name} is missing.")
        return ModelNode(entry.digest, facts, signature, _Late(self.path, layout, facts))

    def _mixture(self, entry: Descriptor, _: bytes | None, signature: Signature, depth: int) -> MixtureNode:
        if depth == _MAX_DEPTH:
            raise FormatError(f"The tree is more than {_MAX_DEPTH} levels deep.")
        kind = oci.Kind("mixture index", INDEX_TYPE, _INDEX_CAP)
        index = records.read(MixtureIndex, _parsed(self.blobs.read(entry, kind), _INDEX_CAP), kind.name)
        self._name(entry.digest)
        record, schema = self._facts(index.manifests[0])
        groups = _grouped(index.manifests[1:])
        if [group[0].digest for group in groups] != [member.digest for member in record.members]:
            raise FormatError("mixture.json: its members are not those of the index, in order.")
        members: list[Member] = []
        for member, (child, *signatures) in zip(record.members, groups, strict=True):
            if (child.artifact_type == MIXTURE_TYPE) != (member.kind == "mixture"):
                raise FormatError(f"mixture.json: {member.name} is no {member.kind}.")
            node = self._node(child, signatures, depth + 1)
            members.append(Member(member.name, node, translation(member, node.schema, schema)))
        # Counted before anything walks down: a few nested mixtures could name each other a billion times.
        sizes = [self.sizes.get(member.node.digest, (1, 0)) for member in members]
        count, height = sum(size for size, _ in sizes), 1 + max(height for _, height in sizes)
        if count > MAX_LEAVES or height > _MAX_DEPTH:
            raise FormatError(
                f"mixture.json: {count} generators in {height} levels; {MAX_LEAVES} in {_MAX_DEPTH} are allowed."
            )
        self.sizes[entry.digest] = count, height
        found = MixtureNode(entry.digest, record, schema, tuple(members), signature)
        mixture_of(found)
        check_claim(found)
        return found

    def _facts(self, entry: Descriptor) -> tuple[MixtureRecord, Schema]:
        manifest = oci.read_manifest(self.blobs, entry, "mixture manifest", named=False)
        types = [part.media_type for part in (manifest.config, *manifest.layers)]
        if manifest.artifact_type != MIXTURE_TYPE or types != [_RECORD.media_type, _SCHEMA.media_type]:
            raise FormatError("mixture manifest: its parts are not mixture.json and schema.json.")
        self._name(entry.digest, manifest.config.digest, manifest.layers[0].digest)
        record = read_record(_parsed(self.blobs.read(manifest.config, _RECORD), _RECORD.cap))
        schema = self._schema(self.blobs.read(manifest.layers[0], _SCHEMA))
        if record.name != schema.name or record.schema_fingerprint != schema.fingerprint():
            raise FormatError("mixture.json: name or schema_fingerprint does not agree with its schema.")
        return record, schema

    def _schema(self, data: bytes) -> Schema:
        if data not in self.schemas:
            self.schemas[data] = read_schema(data)
        return self.schemas[data]

    def _name(self, *digests: str) -> None:
        self.used |= set(map(oci.blob_name, digests))


@dataclass
class _Late:
    """A generator that is read and checked when it is asked for first."""

    path: str | Path
    layout: oci.Layout
    facts: Facts
    found: Generator | None = None
    lock: Lock = field(default_factory=Lock)

    def __call__(self) -> Generator:
        with self.lock:
            if self.found is None:
                try:
                    with opened(self.path) as file:
                        self.found = self._read(file)
                except OSError as error:
                    raise UsageError(
                        f"path={str(self.path)!r} cannot be read any more: {error.strerror or error}; a combined file "
                        "must stay where it is while it is sampled."
                    ) from error
            return self.found

    def _read(self, file: BinaryIO) -> Generator:
        whole = self.layout
        layout = oci.Layout(whole.digest, whole.manifest, whole.envelope, oci.Blobs(file, whole.blobs.members))
        # Its signature was judged when the tree was read, and it signs a digest.
        return model_of(layout, lambda _: Signature("judged"), self.facts).generator


def _grouped(entries: Sequence[Descriptor]) -> list[list[Descriptor]]:
    """Gives each member with its signature."""
    found: list[list[Descriptor]] = []
    for entry in entries:
        if entry.artifact_type != oci.SIGNATURE_TYPE:
            found.append([entry])
        elif not found or len(found[-1]) > 1:
            raise FormatError("mixture index: a signature stands behind no member, or is a second one.")
        else:
            found[-1].append(entry)
    return found


def _bare(entry: Descriptor) -> Descriptor:
    return entry.model_copy(update={"annotations": None})


def _index(manifests: Sequence[Mapping[str, object]]) -> bytes:
    return canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(manifests)})


def _parsed(data: bytes, cap: int = oci.MANIFEST_CAP) -> object:
    return parse(data, what="index.json" if cap == oci.MANIFEST_CAP else "mixture.json", cap=cap)

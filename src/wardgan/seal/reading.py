"""Reading a `.hgan` file: every part after its digest, every part against the others."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wardgan import check as checks
from wardgan.encode.layout import MAX_VARIABLES, Layout
from wardgan.errors import FormatError, SchemaError, TrustError, UsageError
from wardgan.models.base import LEDGER
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema
from wardgan.schema.texts import formula_problem
from wardgan.seal import gate, joint, keys, oci, sign
from wardgan.seal.card import check_readme
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_shapes import IMAGE, PATIENT
from wardgan.seal.records import Card, Claim, LedgerRecord, read_card, read_ledger


@dataclass(frozen=True)
class Signature:
    """Who signed a file.

    Attributes:
        status: `unsigned`, `unknown key` or `verified`.
        name: Name of the trusted key, if verified.
        keyid: Id of the key, if signed.
    """

    status: str
    name: str | None = None
    keyid: str | None = None


@dataclass(frozen=True)
class Model:
    """A `.hgan` file that has been read and found in order.

    Attributes:
        digest: Digest of the manifest: the name of the release.
        signature: Who signed it.
        card: The facts.
        ledger: The bill.
        generator: What can be sampled.
        manifest: Names, sizes and digests of the parts.
        dossier: The public dossier's JSON, checked for its form only; `None` without one.
        bound: Upper bound of what the ledger's events cost, by our own accountant; `None` without privacy.
    """

    digest: str
    signature: Signature
    card: Card
    ledger: LedgerRecord
    generator: Generator
    manifest: oci.Manifest
    bound: float | None
    dossier: bytes | None = None


def read_file(path: str | Path, check: Callable[[oci.Layout], Signature]) -> Model:
    """Gives the model of a `.hgan` file.

    Args:
        path: The file.
        check: Judges the signature, before any part of the model is read.

    Raises:
        UsageError: It is no path, or the file cannot be opened; and whatever `read_model` raises.
    """
    checks.path(path=path)
    try:
        with opened(path) as file:
            return read_model(file, os.fstat(file.fileno()).st_size, check)
    except OSError as error:
        raise UsageError(f"path={str(path)!r} cannot be read: {error.strerror or error}.") from error


def signature_of(layout: oci.Layout, trust: str | Path | None, *, required: bool) -> Signature:
    """Gives who signed a file.

    Args:
        layout: The opened file.
        trust: Trust file; `None` for the default one.
        required: Whether the signature must be there, and from a key of the trust file.

    Raises:
        TrustError: The signature is missing, unknown, wrong or belongs to another file.
    """
    return signed_by(layout.digest, layout.envelope, trust, required=required)


def signed_by(digest: str, data: bytes | None, trust: str | Path | None, *, required: bool) -> Signature:
    """Gives who signed a digest.

    Args:
        digest: What should be signed.
        data: The envelope; `None` if there is none.
        trust: Trust file; `None` for the default one.
        required: Whether the signature must be there, and from a key of the trust file.

    Raises:
        TrustError: The signature is missing, unknown, wrong or belongs to something else.
    """
    if data is None:
        if required:
            raise TrustError(
                "The file is unsigned; ask its publisher for a signed one. Without a trust file it can be sampled "
                "unverified."
            )
        return Signature("unsigned")
    envelope = sign.read_envelope(data, digest)
    known = keys.read_trust(trust)
    if not required and known.key(envelope.keyid) is None:
        return Signature("unknown key", None, envelope.keyid)
    return Signature("verified", sign.verify(envelope, known), envelope.keyid)


def read_model(file: BinaryIO, size: int, check: Callable[[oci.Layout], Signature]) -> Model:
    """Gives a model: order and manifests first, then the signature, then the parts, each after its digest.

    Args:
        file: A handle that can seek.
        size: Length of the file in bytes.
        check: Judges the signature, before any part of the model is read.

    Raises:
        ArtifactError: A part is malformed, contradicts another or does not match its digest.
        TrustError: From `check`.
    """
    return model_of(oci.unpack(file, size), check)


def model_of(layout: oci.Layout, check: Callable[[oci.Layout], Signature], facts: Facts | None = None) -> Model:
    """Gives the model of an opened layout: the signature first, then the parts, each after its digest.

    Args:
        layout: The manifests, and where the parts are.
        check: Judges the signature, before any part of the model is read.
        facts: What was read from the same manifest's parts before, if it was; the parts are compared with their digests
            again in any case.

    Raises:
        ArtifactError: A part is malformed, contradicts another or does not match its digest.
        TrustError: From `check`.
    """
    signature = check(layout)
    facts = facts or facts_of(layout)
    parts, card, ledger, schema = layout.parts(), facts.card, facts.ledger, facts.schema
    if card.network != oci.digest_of(parts.network):
        raise FormatError("card.json: network does not agree with the other parts of the file.")
    check_readme(parts.readme, card, schema, ledger)
    limits = PATIENT if schema.images is None else IMAGE
    row = check_network(
        parts.network, latent=card.latent, variables=card.variables, classes=schema.classes, limits=limits
    )
    shares, claim = tuple(card.probabilities), card.privacy.model_dump()
    generator = Generator(schema, card.family, parts.network, card.latent, shares, claim, row_bytes=row)
    if parts.dossier is not None:
        if ledger.sites is not None:
            raise FormatError("dossier.json: a generator of several hospitals has none.")
        found = parse(parts.dossier, what="dossier.json", cap=oci.DOSSIER.cap, free={"sections"})
        if parts.dossier != canonical(found):
            raise FormatError("dossier.json: is not written in canonical form.")
        if not isinstance(found, dict):
            raise FormatError("dossier.json: is not an object.")
    return Model(layout.digest, signature, card, ledger, generator, layout.manifest, facts.bound, parts.dossier)


@dataclass(frozen=True)
class Facts:
    """What a model says of itself, its network left aside.

    Attributes:
        card: The facts.
        ledger: The bill.
        schema: What its patients obey.
        bound: Upper bound of what the ledger's events cost, by our own accountant; `None` without privacy.
    """

    card: Card
    ledger: LedgerRecord
    schema: Schema
    bound: float | None


def facts_of(layout: oci.Layout, known: Callable[[bytes], Schema] | None = None) -> Facts:
    """Gives what a model says of itself, checked against each other; its network is not read.

    Args:
        layout: The manifests, and where the parts are.
        known: Gives the schema of a text that was read before; `None` to read it.

    Raises:
        ArtifactError: A part is malformed, contradicts another or does not match its digest.
    """
    card_kind, (_, schema_kind, ledger_kind, _) = oci.CARD, oci.LAYERS
    card = read_card(parse(layout.part(card_kind), what="card.json", cap=card_kind.cap), "card.json")
    ledger = read_ledger(parse(layout.part(ledger_kind), what="privacy.json", cap=ledger_kind.cap), "privacy.json")
    schema = (known or read_schema)(layout.part(schema_kind))
    _check_agreement(card, ledger, schema)
    return Facts(card, ledger, schema, joint.bound_of(ledger))


def read_schema(data: bytes) -> Schema:
    """Gives the schema of a file's part.

    Args:
        data: `schema.json`.

    Raises:
        FormatError: It is none.
    """
    return schema_of(parse(data, what="schema.json", cap=oci.LAYERS[1].cap, free={"terms"}))


def claim_of(record: LedgerRecord) -> Claim:
    """Gives the guarantee that a ledger proves."""
    return Claim(mode=record.mode, epsilon=record.epsilon, delta=record.delta)


def opened(path: str | Path) -> BinaryIO:
    """Gives a handle of a regular file.

    Args:
        path: The file.

    Raises:
        FormatError: It is a folder or another thing.
        OSError: It cannot be opened.
    """
    place = Path(path)
    kind = place.stat().st_mode
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "no regular file"
        way_out = " It is what a fit leaves behind: release it first." if (place / LEDGER).is_file() else ""
        raise FormatError(f"path={str(place)!r} is {what}, not a .hgan file.{way_out}")
    return place.open("rb")


def schema_of(found: object) -> Schema:
    """Gives the schema of a file, whose names and levels can be shown and written safely.

    Args:
        found: What its JSON says.

    Raises:
        FormatError: It is none.
    """
    try:
        schema = Schema.from_dict(found)
        slots = len(schema.visits.slots) * len(schema.visits.columns) if schema.visits else 0
        if slots > MAX_VARIABLES:
            raise SchemaError(f"visits: {slots} variables are more than {MAX_VARIABLES}.")
        Layout.of(schema)
    except SchemaError as error:
        raise FormatError(f"schema.json: {error}") from error
    problem = formula_problem(schema)
    if problem is not None:
        raise FormatError(f"schema.json: {problem}")
    return schema


def _check_agreement(card: Card, ledger: LedgerRecord, schema: Schema) -> None:
    """Refuses parts that contradict each other."""
    reasons = gate.ledger_reasons(ledger, card.override)
    if reasons:
        raise FormatError(f"privacy.json: {reasons[0]}")
    problem = gate.shares_problem(card.probabilities, schema.classes)
    if problem is not None:
        raise FormatError(f"card.json: {problem}")
    for what, ours, theirs in (
        ("privacy", card.privacy, claim_of(ledger)),
        ("name", card.name, schema.name),
        ("schema_fingerprint", card.schema_fingerprint, schema.fingerprint()),
        ("variables", card.variables, len(Layout.of(schema))),
    ):
        if ours != theirs:
            raise FormatError(f"card.json: {what} does not agree with the other parts of the file.")

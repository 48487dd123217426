"""Signatures: a DSSE envelope around an in-toto statement that names the model's manifest by digest.

What is signed is the digest of the manifest, which lists the digest of every part. The signature is Ed25519
(RFC 8032) over the pre-authentication encoding of DSSE v1; it works offline and the same key gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from wardgan.errors import FormatError, TrustError
from wardgan.seal import records
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.keys import Trust, keyid_of, public_key
from wardgan.seal.records import Record, Text

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:wardgan:release:v1"
REVOCATION_TYPE: Final = "urn:wardgan:revocation:v1"
_CAP: Final = 64 << 10
_SUBJECT: Final = "manifest"


class _Sha256(Record):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Subject(Record):
    name: Literal["manifest"]
    digest: _Sha256


class _Statement(Record):
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[_Subject] = Field(min_length=1, max_length=1)
    predicate_type: str = Field(alias="predicateType", max_length=200)
    predicate: Annotated[dict[str, Text], Field(max_length=10)]


class _Signature(Record):
    keyid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sig: Annotated[str, Field(max_length=200)]


class _Envelope(Record):
    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    payload: Annotated[str, Field(max_length=_CAP)]
    signatures: list[_Signature] = Field(min_length=1, max_length=1)


@dataclass(frozen=True)
class Envelope:
    """A signature that has been read and not yet checked.

    Attributes:
        payload: The statement's bytes.
        digest: The digest that it speaks of.
        keyid: Who claims to have signed.
        signature: The 64 bytes.
        predicate: What is said of the digest; nothing, for a release.
    """

    payload: bytes
    digest: str
    keyid: str
    signature: bytes
    predicate: Mapping[str, str] = field(default_factory=dict[str, str])


def encoding(payload: bytes) -> bytes:
    """Gives the bytes that are signed: the pre-authentication encoding (DSSE v1, protocol.md).

    Example:
        >>> encoding(b"{}")
        b'DSSEv1 28 application/vnd.in-toto+json 2 {}'
    """
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def sign(
    digest: str, key: Ed25519PrivateKey, said: Mapping[str, str] | None = None, *, kind: str = PREDICATE_TYPE
) -> bytes:
    """Gives the envelope of a signature.

    Args:
        digest: Digest of the model's manifest.
        key: The hospital's private key.
        said: What is said of the digest; nothing, for a release.
        kind: What signing means: that it is released, or revoked.
    """
    statement: dict[str, object] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": _SUBJECT, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": kind,
        "predicate": dict(said or {}),
    }
    payload = canonical(statement)
    signature = {"keyid": keyid_of(key.public_key()), "sig": _text(key.sign(encoding(payload)))}
    return canonical({"payloadType": PAYLOAD_TYPE, "payload": _text(payload), "signatures": [signature]})


def read_envelope(
    data: bytes, digest: str, *, kind: str = PREDICATE_TYPE, fields: Collection[str] = ()
) -> Envelope:  # fmt: skip
    """Gives an envelope whose form is right and which speaks of a file.

    Args:
        data: The envelope's bytes.
        digest: Digest of the model's manifest.
        kind: What the signature must mean.
        fields: What it must say, by name; nothing, for a release.

    Raises:
        TrustError: The envelope is malformed, speaks of another file, or means something else.
    """
    try:
        found = records.read(_Envelope, parse(data, what="envelope", cap=_CAP), "envelope")
        payload = _bytes(found.payload)
        statement = records.read(_Statement, parse(payload, what="statement", cap=_CAP), "statement")
        signature = _bytes(found.signatures[0].sig)
    except (FormatError, binascii.Error) as error:
        raise TrustError(f"The signature is malformed: {error}") from error
    if statement.predicate_type != kind or set(statement.predicate) != set(fields):
        raise TrustError(f"The signature means something else: {statement.predicate_type[:60]!a}, not {kind}.")
    if len(signature) != 64:
        raise TrustError(f"The signature is malformed: it has {len(signature)} bytes, not 64.")
    subject = "sha256:" + statement.subject[0].digest.sha256
    if subject != digest:
        raise TrustError(
            f"The signature belongs to another file: it names {subject[:23]}..., this file is {digest[:23]}..."
        )
    return Envelope(payload, subject, found.signatures[0].keyid, signature, statement.predicate)


def verify(envelope: Envelope, trust: Trust) -> str:
    """Gives the name of the trusted key that made a signature.

    Raises:
        TrustError: The key is not in the trust file, or the signature is wrong.
    """
    known = trust.key(envelope.keyid)
    if known is None:
        raise TrustError(
            f"The file is signed by an unknown key, {envelope.keyid[:16]}...; compare the id with its owner, "
            "then add the public key to the trust file."
        )
    try:
        public_key(known).verify(envelope.signature, encoding(envelope.payload))
    except InvalidSignature as error:
        raise TrustError(
            f"The signature is wrong: it was not made with the key of {known.name!r}; do not use the file."
        ) from error
    return known.name


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if _text(data) != text:
        raise binascii.Error("base64 has more than one spelling here.")
    return data

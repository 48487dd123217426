"""Taking a release back: a signed statement beside it, which everybody who pulls is shown.

What was downloaded before stays where it is: a revocation warns, it deletes nothing. Whoever keeps the hub can take the
statement away again, so keep a list of your own of what was revoked (`wardgan combine --revoked`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardgan.errors import FormatError, HubError, TrustError, UsageError
from wardgan.hub.parcel import Parcel
from wardgan.hub.store import MANIFEST_CAP, Store, digest_of, small
from wardgan.hub.target import revocation_tag
from wardgan.seal import keys, oci, records, sign
from wardgan.seal.json_text import parse
from wardgan.seal.records import MANIFEST_TYPE, Manifest

TYPE: Final = "application/vnd.wardgan.revocation.v1+json"
_FIELDS: Final = ("reason", "date")
_REASON: Final = 1_000


@dataclass(frozen=True)
class Revocation:
    """A statement that a release must not be used any more.

    Attributes:
        by: Name of the trusted key that signed it; `None` if nobody knows the key: then anybody may have written it.
        keyid: Id of the key.
        date: `YYYY-MM-DD`.
        reason: Why, in the publisher's words.
    """

    by: str | None
    keyid: str
    date: str
    reason: str


def revocation_of(store: Store, name: str, release: str, trust: str | Path | None) -> Revocation | None:
    """Gives the revocation of a release; `None` if there is none.

    Args:
        store: The hub.
        name: Of the releases.
        release: Digest of the release.
        trust: Trust file; `None` for the default one.

    Raises:
        TrustError: What lies there is no revocation of this release, or its signature is wrong.
    """
    data = store.manifest(name, revocation_tag(release))
    if data is None:
        return None
    what = f"revocation of {name}"
    try:
        manifest = records.read(Manifest, parse(data, what=what, cap=MANIFEST_CAP), what)
        if manifest.artifact_type != TYPE or len(manifest.layers) != 1:
            raise FormatError(f"{what}: is no revocation.")
        layer = manifest.layers[0]
        found = small(store, name, layer.digest, layer.size, oci.ENVELOPE.cap, what)
    except FormatError as error:
        raise TrustError(f"{error} Ask the publisher.") from error
    envelope = sign.read_envelope(found, release, kind=sign.REVOCATION_TYPE, fields=_FIELDS)
    known = keys.read_trust(trust)
    by = None if known.key(envelope.keyid) is None else sign.verify(envelope, known)
    return Revocation(by, envelope.keyid, envelope.predicate["date"], envelope.predicate["reason"])


def revoke(
    store: Store, name: str, parcel: Parcel, key: str | Path, reason: str, day: str, *, passphrase: bytes | None = None
) -> None:  # fmt: skip
    """Puts a signed revocation beside a release.

    Args:
        store: The hub.
        name: Of the releases.
        parcel: What is revoked.
        key: Private key of whoever revokes.
        reason: Why, one sentence for everybody who used it.
        day: `YYYY-MM-DD`.
        passphrase: Of the key.

    Raises:
        UsageError: There is no reason, or the key cannot be used.
        HubError: The hub refuses.
    """
    if not reason.strip() or len(reason) > _REASON or not reason.isprintable():
        raise UsageError(
            f"reason={reason[:60]!r}: say in one line of at most {_REASON} characters why it must not be used."
        )
    private = keys.read_private(key, passphrase=passphrase)
    said = {"reason": reason.strip(), "date": day}
    envelope = sign.sign(parcel.release, private, said, kind=sign.REVOCATION_TYPE)
    parts = [(oci.EMPTY, oci.EMPTY_TYPE), (envelope, oci.ENVELOPE_TYPE)]
    for data, _ in parts:
        digest = digest_of(data)
        if not store.has(name, digest, len(data)):
            store.put(name, digest, len(data), io.BytesIO(data), lambda _: None)
    config, layer = ({"mediaType": kind, "digest": digest_of(data), "size": len(data)} for data, kind in parts)
    subject = {"mediaType": MANIFEST_TYPE, "digest": parcel.digest, "size": len(parcel.data)}
    manifest = oci.manifest_bytes(TYPE, config, [layer], subject=subject)
    _check_free(store, name, parcel.release, keys.keyid_of(private.public_key()))
    # What somebody else put there must not keep the publisher from revoking.
    store.publish(name, revocation_tag(parcel.release), manifest, replace=True)


def _check_free(store: Store, name: str, release: str, keyid: str) -> None:
    try:
        found = revocation_of(store, name, release, None)
    except TrustError:
        return
    if found is not None and found.keyid == keyid:
        raise HubError(f"{release[:23]}... was revoked on {found.date} already.")

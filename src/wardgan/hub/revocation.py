"""Taking a release back: a signed statement beside it, which everybody who pulls is shown.

What was downloaded before stays where it is: a revocation warns, it deletes nothing. Each key has a statement of its
own. Whoever may write to the hub can take it away again, so keep a list of your own of what was revoked (`wardgan
combine --revoked`).
"""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardgan.errors import ArtifactError, FormatError, HubError, TrustError, UsageError
from wardgan.hub.parcel import Parcel
from wardgan.hub.store import MANIFEST_CAP, Store, small
from wardgan.hub.target import revocation_tag
from wardgan.seal import keys, oci, records, sign
from wardgan.seal.json_text import parse
from wardgan.seal.oci import digest_of
from wardgan.seal.records import MANIFEST_TYPE, Manifest

TYPE: Final = "application/vnd.wardgan.revocation.v1+json"
_FIELDS: Final = ("reason", "date")
_REASON: Final = 1_000
_MOST: Final = 16


@dataclass(frozen=True)
class Revocation:
    """A statement that a release must not be used any more.

    Attributes:
        by: Name of the trusted key that signed it; `None` if nobody knows the key: then anybody may have written it.
        keyid: Id of the key.
        date: `YYYY-MM-DD`.
        reason: Why, in the publisher's words.
        broken: Why the statement cannot be read: then nobody knows what it says, and the release is refused as well.
    """

    by: str | None
    keyid: str
    date: str
    reason: str
    broken: bool = False

    def __str__(self) -> str:
        if self.broken:
            return self.reason
        by = f"by {self.by}" if self.by else f"by an unknown key, {self.keyid[:16]}..."
        return f"{by} on {self.date}: {self.reason}"

    @property
    def holds(self) -> bool:
        """Whether the release is to be refused."""
        return self.by is not None or self.broken


def revocation_of(
    store: Store, name: str, release: str, trust: str | Path | None, tags: Collection[str] | None = None
) -> Revocation | None:  # fmt: skip
    """Gives the revocation of a release, that of a trusted key before others; `None` if there is none.

    Args:
        store: The hub.
        name: Of the releases.
        release: Digest of the release.
        trust: Trust file; `None` for the default one.
        tags: All tags of the name, if they are known.
    """
    begin = revocation_tag(release)
    mine = sorted(tag for tag in (store.tags(name) if tags is None else tags) if tag.startswith(begin))
    # Tags carry the key, so those of known keys are looked at first, however many strangers write there.
    known = keys.read_trust(trust)
    trusted = {revocation_tag(release, key.keyid) for key in known.keys}
    mine.sort(key=lambda tag: tag not in trusted)
    found = [one for tag in mine[:_MOST] if (one := _read(store, name, release, tag, known)) is not None]
    return min(found, key=lambda one: (not one.holds, one.broken), default=None)


def _read(store: Store, name: str, release: str, tag: str, known: keys.Trust) -> Revocation | None:
    data = store.manifest(name, tag)
    if data is None:
        return None
    what = f"revocation of {name}"
    try:
        manifest = records.read(Manifest, parse(data, what=what, cap=MANIFEST_CAP), what)
        if manifest.artifact_type != TYPE or len(manifest.layers) != 1:
            raise FormatError(f"{what}: is no revocation.")
        layer = manifest.layers[0]
        found = small(store, name, layer.digest, layer.size, oci.ENVELOPE.cap, what)
        envelope = sign.read_envelope(found, release, kind=sign.REVOCATION_TYPE, fields=_FIELDS)
        by = None if known.key(envelope.keyid) is None else sign.verify(envelope, known)
    except (ArtifactError, TrustError) as error:
        return Revocation(None, "", "", f"by a statement that cannot be read: {error}", broken=True)
    return Revocation(by, envelope.keyid, envelope.predicate["date"], envelope.predicate["reason"])


def revoke(
    store: Store, name: str, parcel: Parcel, key: str | Path, reason: str, day: str, *, passphrase: bytes | None = None
) -> None:  # fmt: skip
    """Puts a signed revocation beside a release.

    Args:
        store: The hub.
        name: Of the releases.
        parcel: What is revoked; what the hub says of it was checked.
        key: Private key of whoever revokes.
        reason: Why, one sentence for everybody who used it.
        day: `YYYY-MM-DD`.
        passphrase: Of the key.

    Raises:
        UsageError: There is no reason, or the key cannot be used.
        HubError: The hub refuses, or this key has revoked the release already.
    """
    if not reason.strip() or len(reason) > _REASON or not reason.isprintable():
        raise UsageError(
            f"reason={reason[:60]!r}: say in one line of at most {_REASON} characters why it must not be used."
        )
    private = keys.read_private(key, passphrase=passphrase)
    tag = revocation_tag(parcel.release, keys.keyid_of(private.public_key()))
    old = _read(store, name, parcel.release, tag, keys.Trust())
    if old is not None and not old.broken:
        raise HubError(f"{parcel.release[:23]}... was revoked with this key on {old.date} already.")
    envelope = sign.sign(parcel.release, private, {"reason": reason.strip(), "date": day}, kind=sign.REVOCATION_TYPE)
    parts = [(oci.EMPTY, oci.EMPTY_TYPE), (envelope, oci.ENVELOPE_TYPE)]
    for data, _ in parts:
        digest = digest_of(data)
        if not store.has(name, digest, len(data)):
            store.put(name, digest, len(data), io.BytesIO(data), lambda _: None)
    config, layer = ({"mediaType": kind, "digest": digest_of(data), "size": len(data)} for data, kind in parts)
    subject = {"mediaType": MANIFEST_TYPE, "digest": parcel.digest, "size": len(parcel.data)}
    manifest = oci.manifest_bytes(TYPE, config, [layer], subject=subject)
    store.publish(name, tag, manifest, replace=True)

"""Keys: an Ed25519 key pair for a hospital, and a trust file with the public keys of others."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from wardgan import check, files
from wardgan.errors import FormatError, OutputError, TrustError, UsageError
from wardgan.seal import records
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.records import Record

_CAP: Final = 1 << 20
_NAME: Final = 200
_PRIME: Final = 2**255 - 19
# y of the points of order 8 (one of two; the other is its negative).
_EIGHT: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_WEAK: Final = frozenset({0, 1, _PRIME - 1, _EIGHT, _PRIME - _EIGHT})


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key.

    Attributes:
        name: Whose key it is.
        keyid: SHA-256 of the 32 bytes of the public key, hexadecimal.
        private: File of the private key; `None` if only the public key is here.
        public: File of the public key.
    """

    name: str
    keyid: str
    private: Path | None
    public: Path


class TrustedKey(Record):
    """A key whose owner is known.

    Attributes:
        name: Whose key it is.
        keyid: SHA-256 of the 32 bytes of the public key, hexadecimal.
        public_key: The 32 bytes, base64.
    """

    name: Annotated[str, Field(min_length=1, max_length=_NAME)]
    keyid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    public_key: Annotated[str, Field(max_length=100)]


class Trust(Record):
    """Keys whose owners are known: the content of a trust file."""

    version: Literal[1] = 1
    keys: list[TrustedKey] = Field(default_factory=list[TrustedKey], max_length=10_000)

    def key(self, keyid: str) -> TrustedKey | None:
        """Gives a key by its id, if it is known."""
        return next((key for key in self.keys if key.keyid == keyid), None)


def keyid_of(public: Ed25519PublicKey) -> str:
    """Gives the id of a key: SHA-256 of its 32 public bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


def default_trust() -> Path:
    """Gives where the trust file lies: `$WARDGAN_TRUST`, or `wardgan/trust.json` in the user's configuration folder."""
    chosen = os.environ.get("WARDGAN_TRUST")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    return (Path(base) if base else Path.home() / ".config") / "wardgan" / "trust.json"


def new_key(
    path: str | Path, *, name: str, trust: str | Path | None = None, passphrase: bytes | None = None
) -> KeyInfo:
    """Makes a key pair: the private key at `path`, the public key beside it with `.pub` added.

    Args:
        path: File of the private key (PEM, PKCS #8), readable by its owner only. It never leaves the hospital.
        name: Whose key it is.
        trust: Trust file that gets the public key too.
        passphrase: Encrypts the private key.

    Raises:
        OutputError: One of the two files exists, or cannot be written.
        UsageError: The name or the passphrase is empty.
    """
    _check_name(name)
    files.check_name(path)
    private, public = Path(path), _public_path(Path(path))
    for place in (private, public):
        if os.path.lexists(place):
            raise OutputError(f"path={str(place)!r} exists; a key is never replaced: choose another name.")
    key = Ed25519PrivateKey.generate()
    if passphrase is not None and not passphrase:
        raise UsageError("passphrase='' is empty; leave it out to keep the key unencrypted.")
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    # A name that is taken is found out before anything is written.
    grown = None if trust is None else _grown(Path(trust), name, key.public_key())
    files.write_bytes(private, pem, mode=0o600)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    files.write_bytes(public, key.public_key().public_bytes(serialization.Encoding.PEM, spki))
    if trust is not None and grown is not None:
        _write_trust(Path(trust), grown)
    return KeyInfo(name, keyid_of(key.public_key()), private, public)


def add_key(public: str | Path, *, name: str, trust: str | Path | None = None) -> KeyInfo:
    """Adds somebody's public key to a trust file, which is made if it is missing.

    Compare the key id with its owner by telephone first: whoever is in the trust file is believed.

    Args:
        public: File of the public key (PEM).
        name: Whose key it is.
        trust: Trust file; `None` for the default one.

    Raises:
        UsageError: The key cannot be read or is weak, or its name or id is taken by another entry.
        TrustError: The trust file is malformed.
    """
    _check_name(name)
    check.path(public=public)
    key = _read_public(Path(public))
    place = default_trust() if trust is None else Path(trust)
    _write_trust(place, _grown(place, name, key))
    return KeyInfo(name, keyid_of(key), None, Path(public))


def read_trust(path: str | Path | None = None) -> Trust:
    """Gives the keys of a trust file.

    Args:
        path: Trust file; `None` for the default one, which may be missing: then nobody is trusted.

    Raises:
        TrustError: The file is missing, malformed, or an id in it does not belong to its key.
    """
    if path is not None:
        check.path(trust=path)
    place = default_trust() if path is None else Path(path)
    if path is None and not place.exists():
        return Trust()
    try:
        data = place.read_bytes()
    except OSError as error:
        raise TrustError(f"trust={str(place)!r} cannot be read: {error.strerror}.") from error
    try:
        trust = records.read(Trust, parse(data, what="trust file", cap=_CAP), "trust file")
    except FormatError as error:
        raise TrustError(f"trust={str(place)!r} is malformed: {error}") from error
    for key in trust.keys:
        if keyid_of(public_key(key)) != key.keyid:
            raise TrustError(f"trust={str(place)!r}: the id of {key.name!r} does not belong to its key.")
    return trust


def public_key(key: TrustedKey) -> Ed25519PublicKey:
    """Gives the public key of an entry of a trust file.

    Raises:
        TrustError: It is none, or a weak one.
    """
    try:
        found = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key, validate=True))
    except ValueError as error:
        raise TrustError(f"The trust file's key of {key.name!r} is not an Ed25519 public key.") from error
    if weak(found):
        raise TrustError(f"The trust file's key of {key.name!r} is weak: anybody can sign for it; take it out.")
    return found


def weak(public: Ed25519PublicKey) -> bool:
    """Whether a key is a point of small order, or is not written in the one proper way (RFC 8032, section 5.1.3).

    Anybody can make signatures that fit such a key, without any private key; no key pair has one.

    Args:
        public: The key.
    """
    y = int.from_bytes(public.public_bytes_raw(), "little") & (1 << 255) - 1
    return y >= _PRIME or y in _WEAK


def read_private(path: str | Path, *, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Gives the private key of a PEM file.

    Raises:
        UsageError: The file is missing, is not an Ed25519 private key, or the passphrase is wrong or missing.
    """
    check.path(key=path)
    data = _read(Path(path))
    key = _load(Path(path), lambda: serialization.load_pem_private_key(data, passphrase))
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"key={str(path)!r} is not an Ed25519 private key.")
    return key


def _grown(place: Path, name: str, key: Ed25519PublicKey) -> Trust:
    known = read_trust(place) if place.exists() else Trust()
    entry = TrustedKey(name=name, keyid=keyid_of(key), public_key=base64.b64encode(key.public_bytes_raw()).decode())
    if entry in known.keys:
        return known
    for other in known.keys:
        if other.keyid == entry.keyid or other.name == name:
            raise UsageError(
                f"name={name!r}: the trust file has {other.name!r} with the key {other.keyid[:16]} already."
            )
    return Trust(keys=[*known.keys, entry])


def _write_trust(place: Path, trust: Trust) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"trust={str(place)!r} cannot be written: {error.strerror}.") from error
    files.write_bytes(place, canonical(trust.model_dump()) + b"\n", force=True)


def _read_public(path: Path) -> Ed25519PublicKey:
    data = _read(path)
    key = _load(path, lambda: serialization.load_pem_public_key(data))
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"key={str(path)!r} is not an Ed25519 public key.")
    if weak(key):
        raise UsageError(f"key={str(path)!r} is weak: anybody can sign for it; ask its owner for another one.")
    return key


def _load(path: Path, load: Callable[[], object]) -> object:
    try:
        return load()
    except TypeError as error:
        raise UsageError(
            f"key={str(path)!r} is encrypted and needs a passphrase, or is not and must have none."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"key={str(path)!r} is not a PEM key, or the passphrase is wrong.") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_CAP)
    except OSError as error:
        raise UsageError(f"key={str(path)!r} cannot be read: {error.strerror}.") from error


def _public_path(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def _check_name(name: str) -> None:
    text = isinstance(name, str)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not text or not name.strip() or len(name) > _NAME or not name.isprintable():
        raise UsageError(f"name={name!r} is not a short printable name.")

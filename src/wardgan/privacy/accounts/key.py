"""The key of the fingerprints: it lies beside the ledger, so that who has the ledger alone can try nothing."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from pathlib import Path

from wardgan import files
from wardgan.errors import FormatError, OutputError, UsageError
from wardgan.privacy.accounts.file import explained, writing
from wardgan.privacy.accounts.fingerprint import KEY_BYTES


def key_of(path: Path, connection: sqlite3.Connection, *, named: bool) -> bytes:
    """Gives the key of a ledger's fingerprints; makes it for a ledger that has none.

    Args:
        path: The ledger; its key has the same name with `.key` behind it.
        connection: To the ledger, which knows a digest of its key.
        named: Whether a steward says which patients these are: then a lost key may be replaced by a new one.

    Raises:
        UsageError: The key is gone, and nobody says which patients these are.
        FormatError: It is damaged, or that of another ledger.
        OutputError: It cannot be written.
    """
    place = path.with_name(f"{path.name}.key")
    with explained(path):
        known = connection.execute("SELECT value FROM fact WHERE name = 'key'").fetchone()
    if not place.exists():
        if known is not None and not named:
            raise UsageError(
                f"ledger={str(path)!r}: its key {place.name} is gone, so it cannot be told whose patients these are. "
                "Put it back; a fit may also say which data set it is, with --dataset NAME."
            )
        _new_key(place, path, connection)
    try:
        key = bytes.fromhex(place.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise FormatError(f"key={str(place)!r} cannot be read; put the last copy of it in its place.") from error
    mark = _mark_of(key)
    with explained(path), writing(connection):
        connection.execute("INSERT OR IGNORE INTO fact (name, value) VALUES ('key', ?)", (mark,))
        (known,) = connection.execute("SELECT value FROM fact WHERE name = 'key'").fetchone()
    if known != mark or len(key) != KEY_BYTES:
        raise FormatError(
            f"key={str(place)!r} is not the key of this ledger; put the right one in its place. If that is lost, move "
            "this one away and say which data set it is with --dataset NAME."
        )
    return key


def _new_key(place: Path, path: Path, connection: sqlite3.Connection) -> None:
    try:
        files.write_bytes(place, secrets.token_bytes(KEY_BYTES).hex().encode(), mode=0o600)
    except OutputError:
        if not place.exists():
            raise
        return  # another process was first
    with explained(path), writing(connection):
        connection.execute("DELETE FROM fact WHERE name = 'key'")


def _mark_of(key: bytes) -> str:
    return hmac.digest(key, b"which key", "sha256").hex()[:16]

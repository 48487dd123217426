"""The file of the institution's ledger: SQLite, made whole or not at all, and never written over."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wardgan import check, files
from wardgan.errors import FormatError, OutputError, UsageError, VersionError, WardganError

APPLICATION: Final = 0x57474C31
VERSION: Final = 1
_HEAD: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_STRICT_SINCE: Final = (3, 37, 0)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES: Final = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL){strict};
CREATE TABLE dataset (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, made TEXT NOT NULL){strict};
CREATE TABLE fingerprint (
    mark TEXT PRIMARY KEY, dataset INTEGER NOT NULL REFERENCES dataset(id), made TEXT NOT NULL){strict};
CREATE TABLE schema_name (
    name TEXT NOT NULL, dataset INTEGER NOT NULL REFERENCES dataset(id), PRIMARY KEY (name, dataset)){strict};
CREATE TABLE link (
    one INTEGER NOT NULL REFERENCES dataset(id), other INTEGER NOT NULL REFERENCES dataset(id), made TEXT NOT NULL,
    PRIMARY KEY (one, other)){strict};
CREATE TABLE cap (
    id INTEGER PRIMARY KEY, dataset INTEGER REFERENCES dataset(id), epsilon REAL, delta REAL, made TEXT NOT NULL,
    CHECK ((epsilon IS NULL) = (delta IS NULL)), CHECK (epsilon > 0 AND delta > 0 AND delta < 1)){strict};
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, dataset INTEGER NOT NULL REFERENCES dataset(id),
    kind TEXT NOT NULL CHECK (kind IN ('fit', 'figure')), run TEXT, family TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused', 'stopped', 'failed', 'crashed')),
    replayable INTEGER NOT NULL CHECK (replayable IN (0, 1)), unbilled INTEGER NOT NULL CHECK (unbilled IN (0, 1)),
    begun TEXT NOT NULL, ended TEXT, plan TEXT, events TEXT){strict};
CREATE TABLE release (
    id INTEGER PRIMARY KEY, entry INTEGER NOT NULL REFERENCES entry(id), made TEXT NOT NULL, file TEXT NOT NULL,
    digest TEXT NOT NULL, override TEXT){strict};
CREATE INDEX entries_of_a_dataset ON entry(dataset);
CREATE TRIGGER entries_stay BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER caps_stay BEFORE DELETE ON cap BEGIN SELECT RAISE(ABORT, 'caps are never deleted'); END;
"""


def new_database(path: Path) -> None:
    """Makes an empty ledger that only its owner may read; if there is a file already, nothing is done.

    It appears under its name only when it is complete, so two processes may try at once.

    Raises:
        OutputError: The file cannot be written.
    """
    strict = " STRICT" if sqlite3.sqlite_version_info >= _STRICT_SINCE else ""
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(_TABLES.format(strict=strict))
        memory.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};")
        data = memory.serialize()
    finally:
        memory.close()
    try:
        files.write_bytes(path, data, mode=0o600)
    except OutputError as error:
        if not path.is_file():
            error.add_note("The institution's ledger goes there; name another place with --ledger FILE.")
            raise


def connect(path: Path, *, writable: bool, wait: float) -> sqlite3.Connection:
    """Gives a connection to a ledger whose format was checked.

    Args:
        path: The file, which is there.
        writable: Whether it will be written to; otherwise a file that cannot be written to is read as well.
        wait: Seconds to wait for other processes.

    Raises:
        FormatError: It is no ledger, or damaged.
        VersionError: It was made by a newer wardgan.
        OutputError: It cannot be opened or written to, or is in use.
    """
    _check_head(path)
    with explained(path):
        try:
            connection = _checked(path, _connected(path, "rw", wait), writable=writable)
        except sqlite3.OperationalError:
            # On a medium that cannot be written to there is no room for the files that processes share a database by.
            if writable or _log_of(path):
                raise
            connection = _checked(path, _connected(path, "ro&immutable=1", wait), writable=False)
    return connection


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turns what SQLite refuses into errors for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None]:
    """Holds the database for this process: all that is written inside is on the disk afterwards, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connected(path: Path, mode: str, wait: float) -> sqlite3.Connection:
    place = path.absolute().as_uri()
    return sqlite3.connect(f"{place}?mode={mode}", uri=True, timeout=wait, isolation_level=None)


def _checked(path: Path, connection: sqlite3.Connection, *, writable: bool) -> sqlite3.Connection:
    try:
        if _number(connection, "application_id") != APPLICATION:
            raise FormatError(f"ledger={str(path)!r} is a database of another program; {_WAY_OUT}")
        if _number(connection, "user_version") > VERSION:
            raise VersionError(f"ledger={str(path)!r} was made by a newer wardgan; upgrade wardgan.")
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise _damaged(path)
        connection.execute("PRAGMA foreign_keys = ON")
        if writable:
            # A commit is on the disk before a patient is read, also if the power fails.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = WAL")
        else:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _number(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _check_head(path: Path) -> None:
    check.path(ledger=path)
    if path.is_dir():
        raise OutputError(f"ledger={str(path)!r} is a folder; name a file in it, such as ledger.db.")
    if not path.exists():
        raise UsageError(f"ledger={str(path)!r} does not exist; wardgan fit makes one, or name another with --ledger.")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise OutputError(f"ledger={str(path)!r} cannot be read: {error.strerror}.") from error
    if not head:
        raise FormatError(f"ledger={str(path)!r} is empty: it was cut off; {_WAY_OUT}")
    if not head.startswith(_MAGIC):
        raise FormatError(f"ledger={str(path)!r} is no ledger; {_WAY_OUT}")
    if len(head) < _HEAD:
        raise _damaged(path)


_WAY_OUT: Final = (
    "it is never overwritten. Put the last copy of the ledger in its place, or name another file with --ledger."
)


def _log_of(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _damaged(path: Path) -> FormatError:
    return FormatError(f"ledger={str(path)!r} is damaged; {_WAY_OUT}")


def _explained(path: Path, error: sqlite3.Error) -> WardganError:
    # The extended code says more than is needed in its upper bits.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED or isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)):
        return _damaged(path)
    if code in _BUSY:
        return OutputError(f"ledger={str(path)!r} is in use by another process for too long; try again.")
    if code == sqlite3.SQLITE_ERROR:
        # A table or a column that should be there is not.
        return _damaged(path)
    return OutputError(
        f"ledger={str(path)!r} cannot be read or written to ({error}); nothing was entered. Mend that (space, rights, "
        "a local disk), or name another file with --ledger FILE."
    )

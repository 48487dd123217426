"""The hub's database: SQLite in a file, or PostgreSQL. Whoever writes comes one after the other."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from wardgan.errors import HubError, UsageError

VERSION: Final = 1
_BUSY: Final = 20.0
_FILE: Final = 0o600
_NAME: Final = 200
# Whoever writes holds it in PostgreSQL; any number that other programs do not use.
_LOCK: Final = 0x77617264

tables: Final = sa.MetaData()
meta: Final = sa.Table(
    "meta", tables, sa.Column("name", sa.String(40), primary_key=True), sa.Column("value", sa.Text, nullable=False)
)
accounts: Final = sa.Table(
    "accounts",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(_NAME), nullable=False, unique=True),
    sa.Column("created", sa.String(20), nullable=False),
    sa.Column("closed", sa.String(20)),
    sa.Column("subject", sa.String(500), unique=True),
)
tokens: Final = sa.Table(
    "tokens",
    tables,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("created", sa.String(20), nullable=False),
    sa.Column("expires", sa.String(20), nullable=False),
    sa.Column("revoked", sa.String(20)),
)
sessions: Final = sa.Table(
    "sessions",
    tables,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("token", sa.ForeignKey("tokens.id"), nullable=False),
    sa.Column("expires", sa.String(20), nullable=False),
)
terms: Final = sa.Table(
    "terms", tables, sa.Column("digest", sa.String(64), primary_key=True), sa.Column("text", sa.Text, nullable=False)
)
policies: Final = sa.Table(
    "policies",
    tables,
    sa.Column("pattern", sa.String(_NAME), primary_key=True),
    sa.Column("tier", sa.String(20), nullable=False),
    sa.Column("terms", sa.ForeignKey("terms.digest")),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
)
grants: Final = sa.Table(
    "grants",
    tables,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("pattern", sa.String(_NAME), primary_key=True),
    sa.Column("created", sa.String(20), nullable=False),
)
acceptances: Final = sa.Table(
    "acceptances",
    tables,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("pattern", sa.String(_NAME), primary_key=True),
    sa.Column("terms", sa.ForeignKey("terms.digest"), primary_key=True),
    sa.Column("accepted", sa.String(20), nullable=False),
)
usage: Final = sa.Table(
    "usage",
    tables,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.String(_NAME), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
)
log: Final = sa.Table(
    "audit_log",
    tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(20), nullable=False),
    sa.Column("who", sa.String(_NAME), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(400), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
# Nobody changes the log by mistake; whoever changes it on purpose breaks its chain.
_SAID: Final = "the audit log is only added to"
_GUARDS: Final = {
    "sqlite": (
        f"CREATE TRIGGER audit_kept_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, '{_SAID}'); END",
        f"CREATE TRIGGER audit_kept_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, '{_SAID}'); END",
        "CREATE TRIGGER audit_kept_insert BEFORE INSERT ON audit_log "  # noqa: S608 - constants
        "WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM audit_log) "
        f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END",
    ),
    "postgresql": (
        f"CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_SAID}'; END $$",
        "CREATE FUNCTION audit_next() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608 - constants
        "IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM audit_log) THEN "
        f"RAISE EXCEPTION '{_SAID}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_kept()",
        "CREATE TRIGGER audit_next BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_next()",
    ),
}


class DatabaseError(HubError):
    """The database does not answer, or is not one of a hub."""


class Database:
    """A hub's database; it is made when it is opened first.

    Args:
        place: Path of a SQLite file, or `postgresql://user:password@host/name`.
        new: Whether a SQLite file is made if there is none.
        look: Whether it is only looked at, such as an auditor's copy: then nothing of it is changed.

    Raises:
        UsageError: It is neither, or not there.
        DatabaseError: It cannot be opened, or belongs to something else or to a newer version.
    """

    def __init__(self, place: str | Path, *, new: bool = True, look: bool = False) -> None:
        self.url = _url(place)
        self._file = Path(str(self.url.database)) if self.url.get_backend_name() == "sqlite" else None
        if not new and self._file is not None and not self._file.is_file():
            raise UsageError(f"database={str(place)!r} is not there; wardgan token new makes it.")
        self._which: tuple[int, int] | None = None
        self._engine = _engine(self.url, look=look)
        try:
            if not self._known():
                self._prepare()
        except BaseException:
            self.close()
            raise
        if self._file is not None:
            with _told(self.url):
                self._which = _which(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """A name of its own, so that nothing of another database is taken for one of this."""
        with self.read() as found:
            return str(found.execute(sa.select(meta.c.value).where(meta.c.name == "id")).scalar_one())

    def close(self) -> None:
        """Hangs up."""
        self._engine.dispose()

    @contextmanager
    def read(self, *, alone: bool = False) -> Iterator[Connection]:
        """Gives a connection for questions, which all see the same moment.

        Args:
            alone: Whether there is only one, which needs no transaction: that is two messages to PostgreSQL less.

        Raises:
            DatabaseError: The database does not answer, or another file took its place.
        """
        self._same()
        with _told(self.url), self._engine.connect() as found:
            if self._file is None:
                found.execution_options(isolation_level="AUTOCOMMIT" if alone else "REPEATABLE READ")
            yield found

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Gives a connection for changes, which all happen or none; one after the other with those of others.

        Raises:
            DatabaseError: The database does not answer, another file took its place, or somebody else writes for too
                long.
        """
        self._same()
        with _told(self.url), self._engine.connect().execution_options(writes=True) as found, found.begin():
            if self.url.get_backend_name() == "postgresql":
                # SQLite does the same by itself.
                found.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield found

    def _same(self) -> None:
        """Refuses a file that took the place of the one that was opened: what is written would be seen by nobody."""
        if self._file is None or self._which is None:
            return
        with _told(self.url):
            same = _which(self._file) == self._which
        if not same:
            raise DatabaseError(f"{_shown(self.url)} is another file than the one that was opened; start again.")

    def _known(self) -> bool:
        """Tells whether it is a hub's; one that has nothing yet is not."""
        with self.read() as found:
            there = sa.inspect(found).get_table_names()
            if "meta" not in there and there:
                raise DatabaseError(f"{_shown(self.url)} is a database of something else; choose another.")
            if "meta" in there:
                self._check(found)
            return "meta" in there

    def _prepare(self) -> None:
        with self.write() as found:
            if "meta" in sa.inspect(found).get_table_names():
                return  # somebody else made it meanwhile
            tables.create_all(found)
            for text in _GUARDS[self.url.get_backend_name()]:
                found.execute(sa.text(text))
            values = {
                "product": "wardgan hub",
                "version": str(VERSION),
                "id": secrets.token_hex(16),
                "head": "0 " + "0" * 64,
            }
            found.execute(meta.insert(), [{"name": name, "value": value} for name, value in values.items()])

    def _check(self, found: Connection) -> None:
        values = {str(row[0]): str(row[1]) for row in found.execute(sa.select(meta.c.name, meta.c.value))}
        if values.get("product") != "wardgan hub":
            raise DatabaseError(f"{_shown(self.url)} is a database of something else; choose another.")
        if values.get("version") != str(VERSION):
            raise DatabaseError(
                f"{_shown(self.url)} has version {values.get('version')}, and this wardgan knows {VERSION}; use the "
                "wardgan that made it, or a newer one."
            )


def now(after: timedelta = timedelta()) -> str:
    """Gives a time as the database keeps it: UTC, to the second.

    Args:
        after: How long from now.
    """
    return (datetime.now(UTC) + after).strftime("%Y-%m-%dT%H:%M:%SZ")


def _url(place: str | Path) -> URL:
    text = str(place)
    if "://" not in text and text.strip() and not text.startswith(":"):
        return URL.create("sqlite", database=text)
    try:
        found = make_url(text)
    except (ArgumentError, ValueError):
        found = None
    if found is not None and found.drivername == "sqlite" and (found.query or found.database in (None, "", ":memory:")):
        found = None
    if found is None or found.drivername not in ("sqlite", "postgresql", "postgresql+psycopg"):
        raise UsageError("database: it is neither the path of a file nor postgresql://user:password@host/name.")
    if "@" in (found.host or ""):
        raise UsageError("database: write an @ within the password as %40.")
    return found.set(drivername="postgresql+psycopg") if found.get_backend_name() == "postgresql" else found


def _which(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _engine(url: URL, *, look: bool) -> Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True, connect_args={
            "connect_timeout": int(_BUSY), "options": f"-c lock_timeout={int(1000 * _BUSY)}",
        })  # fmt: skip
    path = Path(str(url.database))
    with _told(url):
        if not path.exists():
            # It knows who uses a hub; nobody else on this machine should.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE))
        elif not look and path.stat().st_mode & 0o077:
            with suppress(PermissionError):
                path.chmod(_FILE)
    if look:
        # Beside a copy on read-only media no other file can be made.
        more = "" if os.access(path.parent, os.W_OK) else "&immutable=1"
        url = url.set(database=f"file:{quote(str(path.resolve()))}", query={}).update_query_string(
            f"mode=ro&uri=true{more}"
        )
    found = sa.create_engine(url, connect_args={"timeout": _BUSY, "isolation_level": None, "check_same_thread": False})
    pragmas = ("query_only=ON",) if look else ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")

    @event.listens_for(found, "connect")
    def _(connection: object, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")  # pyright: ignore[reportAttributeAccessIssue]

    @event.listens_for(found, "begin")
    def _(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return found


@contextmanager
def _told(url: URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise DatabaseError(f"The hub's database {_shown(url)} does not answer: {why}.") from error
    except OSError as error:
        raise DatabaseError(f"The hub's database {_shown(url)} cannot be opened: {error.strerror}.") from error
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[:40]!r} holds bytes that are no text.") from error


def _shown(url: URL) -> str:
    # A password may stand in several places of an address; only what cannot hold one is told.
    return str(url.database) if url.get_backend_name() == "sqlite" else f"postgresql://{url.host or ''}/{url.database}"

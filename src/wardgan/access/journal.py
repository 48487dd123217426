"""The audit log: each line holds the digest of the one before, so that no line can be changed or taken out unseen.

The digest of a line is SHA-256 over its canonical JSON with the digest of the line before. Whoever can write the
database can still write a whole new log, or cut off its end; who notes the newest digest elsewhere sees that, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from wardgan.access.database import Database, DatabaseError, log, meta, now
from wardgan.errors import UsageError

START: Final = "0" * 64
_PART: Final = 5_000


@dataclass(frozen=True)
class Line:
    """What happened.

    Attributes:
        number: From 1, without gaps.
        at: When, UTC.
        who: Name of an account, `nobody` for a visitor who is not signed in, `operator` for the command line.
        action: What was done.
        subject: To what.
        detail: More, as JSON.
        previous: Digest of the line before.
        digest: Of this line.
    """

    number: int
    at: str
    who: str
    action: str
    subject: str
    detail: str
    previous: str
    digest: str

    def true_digest(self) -> str:
        """Gives the digest that the line must have."""
        return _digest(self.number, self.at, (self.who, self.action, self.subject, self.detail), self.previous)


def note(found: Connection, who: str, action: str, subject: str, detail: Mapping[str, object] | None = None) -> None:
    """Adds a line, within a transaction that writes: it is there if and only if what it tells is.

    Args:
        found: A connection for changes.
        who: Name of an account, `nobody` or `operator`.
        action: What was done.
        subject: To what.
        detail: More.
    """
    number, previous = _head(found)
    at, more = now(), json.dumps(detail or {}, sort_keys=True, ensure_ascii=False)
    mine = number + 1
    texts = (who[:200], action[:40], subject[:400], more)
    digest = _digest(mine, at, texts, previous)
    found.execute(
        log.insert().values(
            number=mine,
            at=at,
            who=texts[0],
            action=texts[1],
            subject=texts[2],
            detail=more,
            previous=previous,
            digest=digest,
        )
    )
    found.execute(sa.update(meta).where(meta.c.name == "head").values(value=f"{mine} {digest}"))


def lines(database: Database, *, last: int | None = None) -> Iterator[Line]:
    """Yields the log, oldest first.

    Args:
        database: The hub's.
        last: How many of the newest; `None` for all.
    """
    newest = head_of(database)[0]
    yield from _between(database, 0 if last is None else max(0, newest - last), newest)


def head_of(database: Database) -> tuple[int, str]:
    """Gives the number and the digest of the newest line; 0 and zeros if there is none.

    Args:
        database: The hub's.
    """
    with database.read() as found:
        return _head(found)


def _head(found: Connection) -> tuple[int, str]:
    number, _, digest = str(found.scalar(sa.select(meta.c.value).where(meta.c.name == "head"))).partition(" ")
    if not number.isdecimal() or len(digest) != len(START):
        raise DatabaseError("The audit log has lost its end; wardgan audit-log verify says what is wrong.")
    return int(number), digest


def _between(database: Database, at: int, newest: int) -> Iterator[Line]:
    """Yields the lines behind one number, up to another; and any that came between two numbers."""
    while True:
        chosen = sa.select(log).where(log.c.number > at, log.c.number <= newest).order_by(log.c.number).limit(_PART)
        with database.read() as found:
            rows = found.execute(chosen).all()
        yield from (Line(*row) for row in rows)
        if len(rows) < _PART:
            return
        at = int(rows[-1][0])


@dataclass(frozen=True)
class Checked:
    """What was found of a log.

    Attributes:
        lines: How many it has.
        head: Digest of the newest.
        wrong: What is not in order, one sentence each.
    """

    lines: int
    head: str
    wrong: tuple[str, ...] = ()


def verify(database: Database, *, seen: str | None = None) -> Checked:
    """Checks the chain of a log.

    Args:
        database: The hub's.
        seen: A digest that somebody noted before; it must still be in the log.

    Raises:
        UsageError: `seen` is no digest.
    """
    if seen is not None and (len(seen) != len(START) or set(seen) - set("0123456789abcdef")):
        raise UsageError(f"seen={seen[:80]!r} is not a digest: 64 digits from 0 to f.")
    try:
        return _checked(database, seen)
    except DatabaseError as error:
        if isinstance(error.__cause__, SQLAlchemyError) and "decode" in str(error.__cause__):
            return Checked(0, START, ("A line cannot be read as text: it was changed.",))
        raise


def _checked(database: Database, seen: str | None) -> Checked:
    wrong: list[str] = []
    count, previous, met = 0, START, seen in (None, START)
    with database.read() as found:
        head = str(found.scalar(sa.select(meta.c.value).where(meta.c.name == "head")))
        rows = found.execution_options(yield_per=_PART).execute(sa.select(log).order_by(log.c.number))
        for row in rows:
            line = Line(*row)
            count += 1
            wrong += _wrong(line, count, previous)
            count, previous = line.number, line.digest
            met = met or line.digest == seen
    if head != f"{count} {previous}":
        wrong.append("The newest line is not the one that was written last: lines at the end are missing, or added.")
    if not met:
        wrong.append("The digest that was noted is not in the log: it was cut off, or written anew.")
    return Checked(count, previous, tuple(wrong[:100]))


def _wrong(line: Line, number: int, previous: str) -> list[str]:
    """Gives what is wrong with a line that should have a number and follow another."""
    found = []
    if line.number != number:
        found.append(
            f"Line {number} is missing." if line.number > number else f"Line {line.number} should not be there."
        )
    if line.previous != previous:
        found.append(f"Line {line.number} does not follow the line before it.")
    try:
        changed = line.digest != line.true_digest()
    except TypeError:
        changed = True
    return [*found, f"Line {line.number} was changed."] if changed else found


def _digest(number: int, at: str, texts: tuple[str, str, str, str], previous: str) -> str:
    who, action, subject, detail = texts
    line = {
        "number": number,
        "at": at,
        "who": who,
        "action": action,
        "subject": subject,
        "detail": detail,
        "previous": previous,
    }
    return hashlib.sha256(json.dumps(line, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

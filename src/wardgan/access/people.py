"""Accounts and their tokens. Of a token only a digest is kept, and it is shown once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from wardgan import check
from wardgan.access.database import Database, accounts, now, tokens
from wardgan.access.journal import note
from wardgan.errors import UsageError
from wardgan.schema.texts import unsafe

SCOPES: Final = ("read", "sample", "pull")
OPERATOR: Final = "operator"
NOBODY: Final = "nobody"
_TOKEN: Final = re.compile(r"wgt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_DAYS: Final = 3_650
_LONGEST: Final = 200
# What an unknown token is compared with, so that it takes as long as a known one.
_NONE: Final = "0" * 64
# In place of the digest of a token that nobody is told, since it has no secret.
_UNTOLD: Final = "untold"


class ClosedAccountError(UsageError):
    """The account was ended."""


@dataclass(frozen=True)
class Account:
    """Who asks, as far as a token says.

    Attributes:
        id: Number of the account.
        name: Its name.
        scopes: What the token is for.
        token: Id of the token.
    """

    id: int
    name: str
    scopes: frozenset[str]
    token: str


@dataclass(frozen=True)
class Token:
    """A token without its secret.

    Attributes:
        id: Its first part, which may be shown.
        account: Name of the account.
        scopes: What it is for.
        created: When.
        expires: When it ends.
        revoked: When it was taken back; `None` if it was not.
    """

    id: str
    account: str
    scopes: tuple[str, ...]
    created: str
    expires: str
    revoked: str | None


def new_token(
    database: Database,
    name: str,
    *,
    scopes: Sequence[str] = ("read", "sample", "pull"),
    days: int = 90,
    who: str = OPERATOR,
) -> tuple[str, Token]:
    """Gives a new token of an account, which is made if it is not there.

    Args:
        database: The hub's.
        name: Of the account: a person, or a program of theirs.
        scopes: What the token is for, some of `SCOPES`.
        days: How long it is good for, 1 to 3,650.
        who: Who makes it, for the log.

    Returns:
        The token, which nobody can be shown again, and what is kept of it.

    Raises:
        UsageError: The name is empty or reserved, a scope is unknown, or `days` is out of range.
    """
    name = plain(name)
    if not _fine(name):
        raise UsageError(f"name: {name[:40]!r} cannot be the name of an account; use 1 to 200 plain characters.")
    wanted = tuple(scope for scope in SCOPES if scope in scopes)
    if not wanted or set(scopes) - set(SCOPES):
        raise UsageError(f"scopes={','.join(scopes)!r}: choose some of {', '.join(SCOPES)}.")
    check.whole(1, days=days)
    if days > _DAYS:
        raise UsageError(f"days={days} is more than {_DAYS:,}; a token that never ends is lost one day.")
    secret = secrets.token_urlsafe(32)
    with database.write() as line:
        found = _token(line, _account(line, name, now()), name, _digest(secret), wanted, timedelta(days=days))
        note(line, who, "token made", name, {"token": found.id, "scopes": list(wanted), "expires": found.expires})
    return f"wgt_{found.id}_{secret}", found


def known_elsewhere(database: Database, subject: str, names: Sequence[str], *, hours: int) -> Account:
    """Gives the account of somebody whom an identity provider knows; it is made if it is not there.

    It has a token without a secret, so that a session can be ended, and is seen, like any other.

    Args:
        database: The hub's.
        subject: Who, as the provider keeps them apart.
        names: What they may be called, the best first. An account that is there under a name is nobody else's.
        hours: How long the token is good for.

    Raises:
        ClosedAccountError: The account is closed.
    """
    with database.write() as line:
        chosen = sa.select(accounts.c.id, accounts.c.name, accounts.c.closed).where(accounts.c.subject == subject)
        row = line.execute(chosen).first()
        if row is None:
            free = (name for name in map(plain, names) if _fine(name) and not _taken(line, name))
            name = next(free, None) or f"person {secrets.token_hex(8)}"
            made = accounts.insert().values(name=name, created=now(), subject=subject).returning(accounts.c.id)
            account = int(line.execute(made).scalar_one())
            note(line, name, "account made", name, {"subject": subject})
        elif row[2] is not None:
            raise ClosedAccountError(f"{row[1]}: this account is closed; ask the hub's operator.")
        else:
            account, name = int(row[0]), str(row[1])
        token = _token(line, account, name, _UNTOLD, SCOPES, timedelta(hours=hours))
    return Account(account, name, frozenset(SCOPES), token.id)


def _fine(name: str) -> bool:
    """Whether an account may have a name."""
    fine = bool(name) and len(name) <= _LONGEST and not unsafe(name, name=True)
    return fine and name.casefold() not in (OPERATOR, NOBODY)


def _taken(line: Connection, name: str) -> bool:
    return line.scalar(sa.select(accounts.c.id).where(accounts.c.name == name)) is not None


def _token(
    line: Connection, account: int, name: str, digest: str, scopes: Sequence[str], life: timedelta
) -> Token:  # fmt: skip
    found = Token(secrets.token_hex(6), name, tuple(scopes), now(), now(life), None)
    line.execute(
        tokens.insert().values(
            id=found.id, account=account, digest=digest, scopes=",".join(scopes), created=found.created,
            expires=found.expires,
        )
    )  # fmt: skip
    return found


def plain(name: str) -> str:
    """Gives a name as it is kept, however it was typed.

    Args:
        name: Of an account.
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _account(line: Connection, name: str, created: str) -> int:
    """Gives the number of an account, which is made if it is not there."""
    row = line.execute(sa.select(accounts.c.id, accounts.c.closed).where(accounts.c.name == name)).first()
    if row is None:
        made = line.execute(accounts.insert().values(name=name, created=created).returning(accounts.c.id))
        return int(made.scalar_one())
    if row[1] is not None:
        raise UsageError(f"name={name!r}: the account is closed; choose another name.")
    return int(row[0])


def all_tokens(database: Database) -> list[Token]:
    """Gives all tokens, newest first.

    Args:
        database: The hub's.
    """
    columns = (tokens.c.id, accounts.c.name, tokens.c.scopes, tokens.c.created, tokens.c.expires, tokens.c.revoked)
    with database.read() as line:
        rows = line.execute(sa.select(*columns).join(accounts).order_by(tokens.c.created.desc(), tokens.c.id)).all()
    return [Token(row[0], row[1], tuple(row[2].split(",")), *row[3:]) for row in rows]


def revoke_token(database: Database, number: str, *, who: str = OPERATOR) -> None:
    """Takes a token back; sessions that began with it end at once.

    Args:
        database: The hub's.
        number: Its id: the part behind `wgt_`, or the whole token.
        who: Who does it, for the log.

    Raises:
        UsageError: There is no such token, or it was taken back already.
    """
    known = _TOKEN.fullmatch(number)
    number = known[1] if known else number.removeprefix("wgt_")[:12]
    with database.write() as line:
        changed = line.execute(
            tokens.update().where(tokens.c.id == number, tokens.c.revoked.is_(None)).values(revoked=now())
        )
        if not changed.rowcount:
            raise UsageError(f"token={number!r} is not there, or was taken back already; wardgan token list shows all.")
        note(line, who, "token revoked", number)


def end_untold(line: Connection, number: str) -> None:
    """Ends the token of a session that began elsewhere; one that somebody was told goes on.

    Args:
        line: Into the database.
        number: Id of the token.
    """
    mine = (tokens.c.id == number, tokens.c.digest == _UNTOLD, tokens.c.revoked.is_(None))
    line.execute(tokens.update().where(*mine).values(revoked=now()))


def close_account(database: Database, name: str, *, who: str = OPERATOR) -> None:
    """Ends an account with all its tokens; its name stays in the log, and nobody gets it again.

    Args:
        database: The hub's.
        name: Of the account.
        who: Who does it, for the log.

    Raises:
        UsageError: There is no such account, or it is closed already.
    """
    name = plain(name)
    with database.write() as line:
        changed = line.execute(
            accounts.update().where(accounts.c.name == name, accounts.c.closed.is_(None)).values(closed=now())
        )
        if not changed.rowcount:
            raise UsageError(f"account={name!r} is not there, or closed already.")
        note(line, who, "account closed", name)


def account_of(database: Database, token: str) -> Account | None:
    """Gives whose token it is; `None` if it is nobody's, or not good any more. It takes as long for both.

    Args:
        database: The hub's.
        token: What somebody says.
    """
    parts = _TOKEN.fullmatch(token)
    number, secret = (parts[1], parts[2]) if parts else ("", "")
    found = _row(database, number)
    same = hmac.compare_digest(_digest(secret), _NONE if found is None else str(found[1]))
    return found[0] if same and found is not None else None


def account_by(database: Database, number: str) -> Account | None:
    """Gives the account of a token that was shown before; `None` if the token is not good any more.

    Args:
        database: The hub's.
        number: Id of the token.
    """
    found = _row(database, number)
    return None if found is None else found[0]


def _row(database: Database, number: str) -> tuple[Account, str] | None:
    columns = (accounts.c.id, accounts.c.name, tokens.c.scopes, tokens.c.digest)
    good = (
        tokens.c.id == number,
        tokens.c.revoked.is_(None),
        tokens.c.expires > now(),
        accounts.c.closed.is_(None),
    )
    with database.read(alone=True) as line:
        row = line.execute(sa.select(*columns).select_from(tokens.join(accounts)).where(*good)).first()
    return None if row is None else (Account(row[0], row[1], frozenset(row[2].split(",")), number), row[3])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Sessions of people who signed in with a token: random words, of which only digests are kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from wardgan.access.database import Database, now, sessions
from wardgan.access.journal import note
from wardgan.access.people import Account, account_by, end_untold

HOURS: Final = 12


def begin(database: Database, account: Account, address: str) -> str:
    """Gives the word of a new session.

    Args:
        database: The hub's.
        account: Who signed in.
        address: Where from, for the log.
    """
    word = secrets.token_urlsafe(32)
    ends = now(timedelta(hours=HOURS))
    with database.write() as line:
        line.execute(sessions.delete().where(sessions.c.expires <= now()))
        line.execute(sessions.insert().values(digest=_digest(word), token=account.token, expires=ends))
        note(line, account.name, "signed in", account.token, {"from": address})
    return word


def account_in(database: Database, word: str) -> Account | None:
    """Gives who a session is of; `None` if it ended, or its token did.

    Args:
        database: The hub's.
        word: From a cookie.
    """
    chosen = sa.select(sessions.c.token).where(sessions.c.digest == _digest(word), sessions.c.expires > now())
    with database.read(alone=True) as line:
        token = line.scalar(chosen)
    return None if token is None else account_by(database, str(token))


def end(database: Database, account: Account, word: str) -> None:
    """Ends a session, and its token if nobody was told that.

    Args:
        database: The hub's.
        account: Whose it is.
        word: From the cookie.
    """
    with database.write() as line:
        line.execute(sessions.delete().where(sessions.c.digest == _digest(word)))
        end_untold(line, account.token)
        note(line, account.name, "signed out", account.token)


def form_word(word: str) -> str:
    """Gives what a form of a session holds, and no other page can know.

    Args:
        word: Of the session.
    """
    return hashlib.sha256(b"form " + word.encode()).hexdigest()


def _digest(word: str) -> str:
    return hashlib.sha256(b"session " + word.encode()).hexdigest()

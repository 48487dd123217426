"""Who asks: tokens, sessions in signed cookies, forms that only our own pages send, and how often somebody may ask."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from wardgan.access.database import Database
from wardgan.access.journal import note
from wardgan.access.people import NOBODY, Account, account_by, account_of
from wardgan.access.rules import AccessError, Action, Policy, Rules
from wardgan.hub.entry import Entry
from wardgan.web.workers import BusyError

SESSION: Final = 12 * 3600
GUESSES: Final = (10, 600.0)
DRAWS: Final = (240, 60.0)
_KEYS: Final = 20_000


class LimitedError(BusyError):
    """Somebody asks too often."""


class Pace:
    """How often something may be done: a number of times within some seconds, for each of many.

    Args:
        most: How often.
        seconds: Within which time.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._seen: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def left(self, who: str, *, spend: float = 1.0) -> bool:
        """Takes one time, and tells whether there was one left.

        Args:
            who: Who does it.
            spend: How many are taken; 0 only asks.
        """
        now = time.monotonic()
        with self._lock:
            left, since = self._seen.pop(who, (float(self._most), now))
            left = min(float(self._most), left + (now - since) * self._most / self._seconds)
            able = left >= 1.0
            self._seen[who] = (left - spend if able else left, now)
            while len(self._seen) > _KEYS:
                self._seen.popitem(last=False)
        return able


@dataclass(frozen=True)
class Visitor:
    """Who asks.

    Attributes:
        account: Of whom; `None` if nobody is signed in.
        nonce: Of the session; `None` without one.
        address: Where from.
    """

    account: Account | None
    nonce: str | None
    address: str

    @property
    def name(self) -> str:
        """Name of the account, or `nobody`."""
        return NOBODY if self.account is None else self.account.name


class Desk:
    """Asks who is there.

    Args:
        database: The hub's.
        rules: Who may do what.
        secure: Whether the pages are only reached over TLS, so that cookies never travel without.
        closed: Whether even the list is for those who are signed in.
    """

    def __init__(self, database: Database, rules: Rules, *, secure: bool = False, closed: bool = False) -> None:
        self.database = database
        self.rules = rules
        self.closed = closed
        self._secret = database.secret
        self._signer = URLSafeTimedSerializer(
            self._secret, salt="session", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._cookie = "__Host-wardgan" if secure else "wardgan"
        self._secure = secure
        self._guesses = Pace(*GUESSES)
        self._draws = Pace(*DRAWS)

    def visitor(self, request: Request) -> Visitor:
        """Gives who asks.

        Args:
            request: What is asked.

        Raises:
            AccessError: It has a token that is not good.
            LimitedError: Too many of them.
        """
        address = request.client.host if request.client else "unknown"
        given = request.headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return Visitor(self.account(token.strip() if scheme.lower() == "bearer" else "", address), None, address)
        try:
            number, nonce = self._signer.loads(request.cookies.get(self._cookie, ""), max_age=SESSION)
        except (BadSignature, ValueError, TypeError):
            return Visitor(None, None, address)
        account = account_by(self.database, str(number))
        return Visitor(account, str(nonce) if account else None, address)

    def account(self, token: str, address: str) -> Account:
        """Gives whose token it is.

        Args:
            token: What somebody says.
            address: Where from.

        Raises:
            AccessError: It is nobody's, or not good any more.
            LimitedError: Too many wrong ones came from there.
        """
        if not self._guesses.left(address, spend=0.0):
            raise LimitedError("Too many wrong tokens came from your address; try again in a few minutes.")
        found = account_of(self.database, token)
        if found is None:
            self._guesses.left(address)
            with self.database.write() as line:
                note(line, NOBODY, "token refused", token[:16] if token.startswith("wgt_") else "", {"from": address})
            raise AccessError(
                "The token is not known, or no longer good; ask the hub's operator for a new one.", "sign in"
            )
        return found

    def sign_in(self, response: Response, token: str, address: str) -> None:
        """Begins a session.

        Args:
            response: Gets the cookie.
            token: What somebody says.
            address: Where from.
        """
        found = self.account(token, address)
        with self.database.write() as line:
            note(line, found.name, "signed in", found.token, {"from": address})
        value = self._signer.dumps([found.token, secrets.token_urlsafe(16)])
        response.set_cookie(
            self._cookie, str(value), max_age=SESSION, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def sign_out(self, response: Response) -> None:
        """Ends a session.

        Args:
            response: Takes the cookie away.
        """
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="lax")

    def csrf(self, visitor: Visitor) -> str:
        """Gives what a form of this session holds, and no other page can know.

        Args:
            visitor: Who gets the form.
        """
        return hmac.new(self._secret, f"form {visitor.nonce}".encode(), hashlib.sha256).hexdigest()

    def check_form(self, request: Request, visitor: Visitor | None, form: Mapping[str, object]) -> None:
        """Refuses a form that is not ours.

        Args:
            request: What was sent.
            visitor: Whose session it must be of; `None` for the form that begins one.
            form: Its fields.

        Raises:
            AccessError: It comes from another page, or another session.
        """
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        ours = site in ("same-origin", "none") if site is not None else False
        ours = ours or (site is None and origin is not None and urlsplit(origin).netloc == request.headers.get("host"))
        if not ours:
            raise AccessError("The form did not come from this hub's own page; open the page again.")
        if visitor is not None:
            same = hmac.compare_digest(str(form.get("csrf", "")).encode(), self.csrf(visitor).encode())
            if visitor.nonce is None or not same:
                raise AccessError("The form is of another session; open the page again.")

    def check(self, visitor: Visitor, entry: Entry, action: Action) -> Policy:
        """Refuses what somebody may not do with a release.

        Args:
            visitor: Who.
            entry: The release.
            action: What.

        Raises:
            AccessError: Says what is missing.
        """
        return self.rules.check(visitor.account, entry.name, action)

    def draw(self, visitor: Visitor, entry: Entry, rows: int, detail: Mapping[str, object] | None = None) -> None:
        """Lets somebody draw patients, and counts them where they have a limit.

        Args:
            visitor: Who.
            entry: From which release.
            rows: How many.
            detail: What is written into the log; `None` for nothing, if they are only looked at and not counted.

        Raises:
            AccessError: They may not.
            LimitedError: They ask too often.
            LimitError: They had as many as a day has.
        """
        policy = self.check(visitor, entry, "sample")
        who = visitor.address if visitor.account is None else f"#{visitor.account.id}"
        if not self._draws.left(who):
            raise LimitedError("You ask faster than this hub draws; wait a few seconds.")
        self.rules.spend(visitor.account, entry.name, policy, rows)
        if detail is not None or policy.limited:
            self.tell(visitor, "sampled", entry, {"rows": rows, **(detail or {"how": "preview"})})

    def tell(self, visitor: Visitor, action: str, entry: Entry, detail: Mapping[str, object]) -> None:
        """Writes into the log what somebody does with a release, before they do it.

        Args:
            visitor: Who.
            action: What.
            entry: With which release.
            detail: More.
        """
        with self.database.write() as line:
            note(line, visitor.name, action, f"{entry.name}:{entry.tag}", {"digest": entry.digest, **detail})

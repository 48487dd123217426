"""Who asks: tokens, sessions, forms that only our own pages send, and how often somebody may ask."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from wardgan.access.database import Database
from wardgan.access.journal import note
from wardgan.access.people import NOBODY, Account, ClosedAccountError, account_by, account_of, known_elsewhere
from wardgan.access.rules import AccessError, Action, Policy, Rules
from wardgan.access.sessions import HOURS, account_in, begin, end, form_word
from wardgan.hub.entry import Entry
from wardgan.web.guard import COSTLY
from wardgan.web.oidc import Person
from wardgan.web.pace import LimitedError, Pace, address_of

GUESSES: Final = (10, 600.0)
# Of all addresses together: each has a line in the log.
REFUSALS: Final = (1_000, 3_600.0)
DRAWS: Final = (240, 60.0)
ENTRIES: Final = (30, 600.0)
# Many people may be behind one address.
BEGINS: Final = (300, 600.0)
_ID: Final = re.compile(r"wgt_([0-9a-f]{12})_")
OURS: Final = ("same-origin", "none")


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

    Attributes:
        within: Gives the names of all releases that are in the file of one.
        secure: As given.
    """

    def __init__(self, database: Database, rules: Rules, *, secure: bool = False, closed: bool = False) -> None:
        self.database = database
        self.rules = rules
        self.closed = closed
        self.within: Callable[[Entry], list[str]] = lambda entry: [entry.name]
        self._cookie = "__Host-wardgan" if secure else "wardgan"
        self.secure = secure
        # Without TLS browsers do not say whose page asks; with it all do that are newer than 2023.
        self._askers = OURS if secure else (None, *OURS)
        self._guesses = Pace(*GUESSES)
        self._refusals = Pace(*REFUSALS)
        self._entries = Pace(*ENTRIES)
        self._begins = Pace(*BEGINS)
        self._draws = Pace(*DRAWS)
        self._streams: set[str] = set()
        self._lock = Lock()

    def visitor(self, request: Request) -> Visitor:
        """Gives who asks.

        Args:
            request: What is asked.

        Raises:
            AccessError: It has a token that is not good; or it is made by a page of somewhere else, in the name of
                whoever is signed in here.
            LimitedError: Too many wrong tokens came from there.
        """
        address = address_of(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return Visitor(self.account(token.strip(), address), None, address)
        word = request.cookies.get(self._cookie, "")
        account = account_in(self.database, word) if word else None
        if account is None:
            return Visitor(None, None, address)
        if request.url.path.startswith(COSTLY) and request.headers.get("sec-fetch-site") not in self._askers:
            raise AccessError("Another site leads here; open this hub's own page, and go on from there.")
        return Visitor(account, word, address)

    def account(self, token: str, address: str) -> Account:
        """Gives whose token it is.

        Args:
            token: What somebody says.
            address: Where from.

        Raises:
            AccessError: It is nobody's, or not good any more.
            LimitedError: Too many wrong ones came from there.
        """
        found = account_of(self.database, token)
        if found is not None:
            return found
        # Only what is wrong is counted: nobody can lock out others from behind the same address.
        if not self._guesses.left(address) or not self._refusals.left("all"):
            raise LimitedError("Too many wrong tokens came; try again in a few minutes.")
        known = _ID.match(token)
        with self.database.write() as line:
            note(line, NOBODY, "token refused", known[1] if known else "", {"from": address})
        raise AccessError("The token is not known, or no longer good; ask the hub's operator for a new one.", "sign in")

    def sign_in(self, request: Request, response: Response, token: str) -> None:
        """Begins a session, and ends the one before.

        Args:
            request: What was sent.
            response: Gets the cookie.
            token: What somebody says.

        Raises:
            AccessError: The token is not good.
            LimitedError: They sign in too often.
        """
        self._enter(request, response, self.account(token, address_of(request)))

    def welcome(self, request: Request, response: Response, person: Person) -> Account:
        """Begins a session of somebody whom a provider knows, and ends the one before.

        Args:
            request: What was sent.
            response: Gets the cookie.
            person: Who.

        Raises:
            AccessError: Their account is closed.
            LimitedError: They sign in too often.
        """
        if not self._entries.left(person.subject):
            raise LimitedError("You sign in too often; wait a minute.")
        try:
            found = known_elsewhere(self.database, person.subject, person.names, hours=HOURS)
        except ClosedAccountError as error:
            raise AccessError(str(error)) from error
        self._enter(request, response, found)
        return found

    def _enter(self, request: Request, response: Response, account: Account) -> None:
        address = address_of(request)
        if not self._entries.left(f"#{account.id}"):
            raise LimitedError("You sign in too often; wait a minute.")
        old = request.cookies.get(self._cookie)
        before = account_in(self.database, old) if old else None
        if old and before is not None:
            end(self.database, before, old)
        word = begin(self.database, account, address)
        response.set_cookie(
            self._cookie, word, max_age=HOURS * 3600, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def sign_out(self, request: Request, response: Response) -> None:
        """Ends a session.

        Args:
            request: What was sent.
            response: Takes the cookie away.
        """
        visitor = self.visitor(request)
        if visitor.account is not None and visitor.nonce is not None:
            end(self.database, visitor.account, visitor.nonce)
        response.delete_cookie(self._cookie, path="/", secure=self.secure, httponly=True, samesite="lax")

    def keep_state(self, response: Response, state: str, seconds: int) -> None:
        """Leaves in a browser what tells that it began a sign-in elsewhere.

        Args:
            response: Gets the cookie.
            state: What comes back from there; empty takes it away.
            seconds: How long it is kept.
        """
        response.set_cookie(
            f"{self._cookie}-state", state, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def state_in(self, request: Request) -> str:
        """Gives the state of a sign-in elsewhere that this browser began; an empty one for none.

        Args:
            request: What is asked.
        """
        return request.cookies.get(f"{self._cookie}-state", "")

    def may_begin(self, request: Request) -> None:
        """Refuses who begins too many sign-ins elsewhere, or whom another site sends.

        Args:
            request: What is asked.

        Raises:
            AccessError: A page of somewhere else leads here: it would choose what is shown behind the sign-in.
            LimitedError: They do.
        """
        if request.headers.get("sec-fetch-site") not in self._askers:
            raise AccessError("Another site leads here; sign in from this hub's own page.")
        if not self._begins.left(address_of(request)):
            raise LimitedError("You sign in too often; wait a minute.")

    def csrf(self, visitor: Visitor) -> str:
        """Gives what a form of this session holds, and no other page can know.

        Args:
            visitor: Who gets the form.
        """
        return "" if visitor.nonce is None else form_word(visitor.nonce)

    def check_form(self, visitor: Visitor, form: Mapping[str, object]) -> None:
        """Refuses a form of another session.

        Args:
            visitor: Whose session it must be of.
            form: Its fields.

        Raises:
            AccessError: It is not.
        """
        wanted = self.csrf(visitor)
        if not wanted or not hmac.compare_digest(str(form.get("csrf", "")).encode(), wanted.encode()):
            raise AccessError("The form is of another session; open the page again.")

    def check(self, visitor: Visitor, entry: Entry, action: Action) -> dict[str, Policy]:
        """Refuses what somebody may not do with a release, or with any release that is in its file; gives all policies.

        Args:
            visitor: Who.
            entry: The release.
            action: What.

        Raises:
            AccessError: Says what is missing.
        """
        return self.rules.check(visitor.account, self.within(entry), action)

    def draw(self, visitor: Visitor, entry: Entry, rows: int, detail: Mapping[str, object]) -> bool:
        """Lets somebody draw patients, counts them where they have a limit, and writes it into the log.

        Args:
            visitor: Who.
            entry: From which release.
            rows: How many.
            detail: What else the log says.

        Returns:
            Whether they are counted; then nobody sees any others.

        Raises:
            AccessError: They may not.
            LimitedError: They ask too often.
            LimitError: They had as many as a day has.
        """
        policies = self.check(visitor, entry, "sample")
        self.pace(visitor)
        self.rules.spend(visitor.account, policies, rows)
        self.tell(visitor, "sampled", entry, {"rows": rows, **detail})
        return any(one.limited for one in policies.values())

    def still(self, visitor: Visitor, entry: Entry, action: Action) -> None:
        """Refuses to go on with something for somebody who may not have it any more.

        Args:
            visitor: Who.
            entry: Of which release.
            action: What.

        Raises:
            AccessError: Their token, session, grant or terms ended.
        """
        account = visitor.account
        if account is not None:
            word = visitor.nonce
            now = account_by(self.database, account.token) if word is None else account_in(self.database, word)
            if now is None:
                raise AccessError("Your token is no longer good.", "sign in")
        self.check(visitor, entry, action)

    @contextmanager
    def alone(self, visitor: Visitor) -> Iterator[None]:
        """Holds the one stream that somebody may have at a time.

        Args:
            visitor: Who.

        Raises:
            LimitedError: They have one.
        """
        who = _who(visitor)
        with self._lock:
            if who in self._streams:
                raise LimitedError("You have a download that goes on; one at a time, or ask for a file.")
            self._streams.add(who)
        try:
            yield
        finally:
            with self._lock:
                self._streams.discard(who)

    def pace(self, visitor: Visitor) -> None:
        """Refuses who asks too often.

        Args:
            visitor: Who.

        Raises:
            LimitedError: They do.
        """
        if not self._draws.left(_who(visitor)):
            raise LimitedError("You ask faster than this hub draws; wait a few seconds.")

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


def _who(visitor: Visitor) -> str:
    return visitor.address if visitor.account is None else f"#{visitor.account.id}"

"""The line to a registry: calls that are repeated when it is busy, that end, and that tell nobody else a password.

Calls that fail for a moment are repeated with growing pauses. No answer is read beyond what may come, none is unpacked,
and one that comes too slowly is given up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httpx2

from wardgan._version import __version__
from wardgan.errors import FormatError, HubError
from wardgan.hub.logins import Login
from wardgan.hub.store import UnreachableError
from wardgan.hub.target import loopback
from wardgan.seal.json_text import parse

TRIES: Final = 5
LATER: Final = frozenset({429, 500, 502, 503, 504})
LIST_CAP: Final = 16 << 20
SAID: Final = 1 << 20
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=15.0)
_LONGEST_PAUSE: Final = 30.0
_REDIRECTIONS: Final = 6
_PATIENCE: Final = 60.0
_SLOWEST: Final = 1_024


@dataclass(frozen=True)
class Answer:
    """What a registry answered.

    Attributes:
        status: HTTP status.
        headers: Its headers.
        content: Its body, as far as it may be long.
        url: Who answered.
    """

    status: int
    headers: httpx2.Headers
    content: bytes
    url: httpx2.URL


class SignedIn(Protocol):
    """Who asks."""

    def header(self, url: httpx2.URL) -> dict[str, str]:
        """Gives the header that says it; none for somebody else's address."""
        ...

    def asked(self, response: httpx2.Response) -> bool:
        """Whether an answer is the question who is there."""
        ...

    def learn(self, challenge: str) -> None:
        """Finds what is wanted."""
        ...


class Line:
    """What is said to a registry, and heard from it.

    Args:
        place: Its host, perhaps with a port.
        plain: Whether it is spoken to without TLS; `None` if only when it is on this very machine.
        pause: How to wait, in seconds.
        transport: How bytes travel; `None` for the network.
        login: Who asks; `None` for what was noted for this registry.
    """

    def __init__(
        self, place: str, *, plain: bool | None, pause: Callable[[float], None], transport: httpx2.BaseTransport | None,
        login: SignedIn | None = None,
    ) -> None:  # fmt: skip
        self.place = place
        self._pause = pause
        plain = loopback(place) if plain is None else plain
        base = httpx2.URL(f"{'http' if plain else 'https'}://{place}")
        # Nobody between this machine and itself should hear a password.
        self._client = httpx2.Client(
            base_url=base, timeout=_TIMEOUT, trust_env=not loopback(place),
            headers={"User-Agent": f"wardgan/{__version__}", "Accept-Encoding": "identity"}, transport=transport,
        )  # fmt: skip
        self._login: SignedIn = Login(place, base, self._outside) if login is None else login
        self.base = base

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def led(self, base: httpx2.URL, where: str) -> str:
        """Gives the address to which an answer leads.

        Args:
            base: Who answered.
            where: What was said, perhaps relative to that.

        Raises:
            HubError: It is none, or has no TLS where the registry has.
        """
        try:
            found = base.join(where)
        except (httpx2.InvalidURL, ValueError) as error:
            raise HubError(f"{self.place}: leads to an address that is none; ask its keeper.") from error
        if not where or found.scheme not in ("http", "https"):
            raise HubError(f"{self.place}: did not say where to go on; ask its keeper.")
        # Behind a server that speaks TLS for it, a registry may not know that it is spoken to with TLS.
        mine = self._client.base_url
        if found.scheme == "http" and mine.scheme == "https":
            if found.host != mine.host:
                raise HubError(f"{self.place}: leads to an address without TLS; ask its keeper.")
            found = found.copy_with(scheme="https", port=mine.port)
        return str(found)

    def ask(
        self, method: str, path: str, *, content: bytes | None = None, follow: bool = False,
        headers: Mapping[str, str] | None = None, cap: int = SAID, again: bool = True, twice: bool = True,
    ) -> Answer:  # fmt: skip
        """Asks, and asks again when the registry is busy or the line breaks.

        Args:
            method: Of HTTP.
            path: Address, perhaps relative to the registry.
            content: What is sent.
            follow: Whether redirections are followed.
            headers: Further headers.
            cap: How many bytes the answer may have.
            again: Whether a busy registry is asked again.
            twice: Whether it is asked again, too, where the line broke after it may have heard the question.

        Raises:
            UnreachableError: It did not answer in five tries.
            HubError: It sent too much, or something that nobody can follow.
        """
        for tried in range(1, TRIES + 1):
            try:
                response = self.once(method, path, content=content, headers=headers, cap=cap, follow=follow)
                if response.status not in LATER or tried == TRIES or not again:
                    return response
                self.wait(tried, response.headers.get("Retry-After"))
            except httpx2.TransportError as error:
                heard = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
                if tried == TRIES or (heard and not twice):
                    raise self.gone(error, tried) from error
                self.wait(tried, None)
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def once(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None,
        cap: int = SAID, follow: bool = False,
    ) -> Answer:  # fmt: skip
        """Asks once, and reads the answer whole; see `ask`.

        Raises:
            TransportError: The line broke.
        """
        with self.sent(method, path, content=content, headers=headers, follow=follow) as response:
            return self.whole(response, cap)

    @contextmanager
    def sent(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None,
        follow: bool = False,
    ) -> Iterator[httpx2.Response]:  # fmt: skip
        """Sends a request and gives the answer's beginning; follows a few redirections, without a password."""
        response = self._led_to(method, path, content, headers or {}, follow=follow)
        try:
            yield response
        finally:
            response.close()

    def _led_to(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], *, follow: bool
    ) -> httpx2.Response:  # fmt: skip
        signed = False
        for _ in range(_REDIRECTIONS):
            response = self._begun(method, path, content, headers)
            if self._login.asked(response) and not signed:
                response.close()
                self._login.learn(response.headers.get("WWW-Authenticate", ""))
                signed = True
            elif follow and response.is_redirect:
                response.close()
                path = self.led(response.url, response.headers.get("Location", ""))
            else:
                return response
        raise HubError(f"{self.place}: leads in a circle; ask its keeper.")

    def _begun(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], *, known: bool = True
    ) -> httpx2.Response:  # fmt: skip
        try:
            request = self._client.build_request(method, path, content=content, headers=headers)
            request.headers.update(self._login.header(request.url) if known else {})
            return self._client.send(request, stream=True)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError, ValueError) as error:
            raise HubError(f"{self.place}: leads to an address that is none; ask its keeper.") from error

    def _outside(self, url: httpx2.URL, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Asks somebody who gives tokens for the registry."""
        response = self._begun("GET", str(url), None, headers, known=False)
        try:
            found = self.whole(response, SAID)
        finally:
            response.close()
        return found.status, found.content

    def whole(self, response: httpx2.Response, cap: int) -> Answer:
        """Reads an answer to its end.

        Args:
            response: Its beginning.
            cap: How many bytes it may have.

        Raises:
            HubError: It has more, is compressed, or comes too slowly.
        """
        found = bytearray()
        for chunk in self.bytes(response):
            found += chunk
            if len(found) > cap:
                raise HubError(f"{self.place}: sent more than {cap:,} bytes where few were expected.")
        return Answer(response.status_code, response.headers, bytes(found), response.url)

    def bytes(self, response: httpx2.Response) -> Iterator[bytes]:
        """Yields an answer as it came: a compressed one could unfold to any size, and a slow one take for ever."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise HubError(f"{self.place}: sent compressed bytes, which nobody asked for.")
        begun, count = time.monotonic(), 0
        for chunk in response.iter_bytes():
            count += len(chunk)
            if time.monotonic() - begun > _PATIENCE + count / _SLOWEST:
                raise HubError(f"{self.place}: sends less than {_SLOWEST:,} bytes a second; try again later.")
            yield chunk

    def good(self, response: Answer, what: str, *wanted: int) -> None:
        """Refuses an answer that is not the one that was wanted."""
        code = response.status
        if code in wanted:
            return
        if code in (401, 403):
            raise HubError(
                f"{self.place}: refuses {what} (HTTP {code}); sign in with docker login {self.place}, or ask its "
                "keeper."
            )
        if code == 404:
            raise HubError(f"{self.place}: has no {what}.")
        if code == 507:
            raise HubError(f"{self.place}: has no room left; ask its keeper.")
        raise HubError(f"{self.place}: answered HTTP {code} for {what}{reason_of(response)}.")

    def gone(self, error: httpx2.TransportError, tried: int = TRIES) -> UnreachableError:
        """Gives what is said when nobody answers.

        Args:
            error: What happened last.
            tried: How often it was tried.
        """
        name = type(error).__name__
        why = "its certificate is not trusted" if "CERTIFICATE_VERIFY" in str(error) else name
        hint = "; name the file of your hospital's certificates in SSL_CERT_FILE" if why != name else ""
        return UnreachableError(f"{self.place} cannot be reached ({why}, tried {_times(tried)}){hint}.")

    def wait(self, tried: int, asked: str | None) -> None:
        """Waits before something is tried again.

        Args:
            tried: How often it was tried.
            asked: Seconds that the registry asked for, if it did.
        """
        # So that many clients do not come back at the same moment, each waits a little differently.
        pause = min(_LONGEST_PAUSE, 0.5 * 2**tried) * (0.5 + random.random())
        if asked is not None and asked.isascii() and asked.isdigit():
            pause = min(_LONGEST_PAUSE, float(asked))
        self._pause(pause)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def json_of(answer: Answer) -> object:
    """Gives the JSON of an answer; `None` if it is none that a registry has to send."""
    try:
        return parse(answer.content, what="answer", cap=LIST_CAP, free={"errors"})
    except FormatError:
        return None


def reason_of(answer: Answer) -> str:
    """Gives what a registry says about a refusal, if it can be shown."""
    try:
        found = cast("dict[str, list[dict[str, object]]]", json_of(answer))
        said = str(found["errors"][0]["message"])[:200]
    except (LookupError, TypeError, AttributeError):
        return ""
    return f": {said}" if said.isprintable() else ""

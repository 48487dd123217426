"""What every answer obeys: headers, whose page asks, and what is said when something breaks."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wardgan.errors import WardganError

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
STALLED: Final = 60.0
# Seconds after which it is asked again whether a stream may go on.
AGAIN: Final = 5.0
# Bytes a second that a reader takes, after a minute.
SLOWEST: Final = 16_384
_PIECE: Final = 1 << 18
# What costs something is not made for its headers alone.
COSTLY: Final = ("/api/v1/sample/", "/api/v1/files/", "/api/v1/preview/", "/api/v1/jobs", "/play/", "/jobs", "/compare")


class Guard:
    """Puts headers on each answer, and gives an answer where the application fails.

    Pages of other sites may link here, but not ask in the background: that would draw patients at this hub's cost.

    Args:
        app: The application.
        secure: Whether it is only reached over TLS; browsers then never try without.
    """

    def __init__(self, app: ASGIApp, *, secure: bool = False) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request.

        Args:
            scope: What is asked.
            receive: Gives the rest of it.
            send: Takes the answer.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD" and not scope["path"].startswith(COSTLY)
        answer = _Answer(send, self._headers, bodiless=head)
        if _by_itself(Headers(scope=scope)):
            said = _said(403, "Another site's page may link here, and not ask by itself.")
            await said(scope, receive, answer)
            return
        try:
            await self._app({**scope, "method": "GET"} if head else scope, receive, answer)
        except Exception:
            traceback.print_exc()  # for the operator; a visitor learns nothing of it
            if not answer.begun:
                said = _said(500, "The hub failed; its operator finds the reason in what it printed.")
                await said(scope, receive, answer)


def _by_itself(asked: Headers) -> bool:
    return asked.get("sec-fetch-site") == "cross-site" and asked.get("sec-fetch-mode") != "navigate"


class _Answer:
    """What is sent, with its headers."""

    def __init__(self, send: Send, headers: Mapping[str, str], *, bodiless: bool) -> None:
        self._send = send
        self._headers = headers
        self._bodiless = bodiless
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(raw=message["headers"])
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        elif self._bodiless:
            message = {**message, "body": b""}
        await self._send(message)


def _said(status: int, message: str) -> Response:
    body = json.dumps({"error": {"kind": "HubError", "message": message}})
    return Response(body, status, media_type="application/json")


class Streamed(Response):
    """An answer that is made while it is sent, and ends with whoever reads it: also if they leave, or stop reading.

    Args:
        parts: Makes the body; entered before anything is sent, so that a refusal is an answer of its own.
        headers: Of the answer.
        media_type: Of the body.
        still: Is called every few seconds, and refuses to go on by an error.
        broke: Is called if the body has no end, with the name of what happened.
    """

    def __init__(
        self, parts: AbstractContextManager[Iterator[object]], headers: dict[str, str], media_type: str,
        still: Callable[[], None] = lambda: None, broke: Callable[[str], None] = lambda _why: None,
    ) -> None:  # fmt: skip
        self._still = still
        self._broke = broke
        with ExitStack() as opening:
            self._parts = opening.enter_context(parts)
            self._first = next(self._parts, b"")
            self._stack = opening.pop_all()
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it.

        Args:
            scope: What is asked.
            receive: Tells when whoever asked has left.
            send: Takes the answer.
        """
        why: str | None = "the reader left"
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_left, receive, group.cancel_scope.cancel)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._body(send)
                why = None
                group.cancel_scope.cancel()
        except* (TimeoutError, OSError, WardganError) as errors:
            # Who stopped reading, or may not go on, gets no more, and nobody what cannot be made: the body has no end.
            why = type(errors.exceptions[0]).__name__
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._stack.close)
                if why is not None:
                    await to_thread.run_sync(self._broke, why)

    async def _body(self, send: Send) -> None:
        part: object = self._first
        paced = _Paced(send, self._still)
        while part is not None:
            for piece in _pieces(part):
                await paced({"type": "http.response.body", "body": piece, "more_body": True})
            part = await to_thread.run_sync(partial(next, self._parts, None))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Handed(FileResponse):
    """A file, whole or from some byte on; it ends where it may not go on, or nobody reads.

    Args:
        path: The file.
        media_type: Of it.
        name: Under which it is kept.
        still: As in `Streamed`.
        broke: As in `Streamed`.
    """

    def __init__(
        self, path: Path, media_type: str, name: str, *, still: Callable[[], None], broke: Callable[[str], None]
    ) -> None:  # fmt: skip
        super().__init__(path, media_type=media_type, filename=name)
        self._still = still
        self._broke = broke

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it.

        Args:
            scope: What is asked.
            receive: Tells when whoever asked has left.
            send: Takes the answer.
        """
        try:
            await super().__call__(scope, receive, _Paced(send, self._still))
        except (TimeoutError, OSError, WardganError) as error:
            await to_thread.run_sync(self._broke, type(error).__name__)


class _Paced:
    """Sends parts, asks now and then whether it may go on, and gives up readers that take nothing, or too little."""

    def __init__(self, send: Send, still: Callable[[], None]) -> None:
        self._send = send
        self._still = still
        self._asked = time.monotonic()
        self._waited = 0.0
        self._sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        if time.monotonic() - self._asked > AGAIN:
            await to_thread.run_sync(self._still)
            self._asked = time.monotonic()
        begun = time.monotonic()
        with anyio.fail_after(STALLED):
            await self._send(message)
        self._waited += time.monotonic() - begun
        self._sent += len(message.get("body", b""))
        if self._waited > STALLED + self._sent / SLOWEST:
            raise TimeoutError


def _pieces(part: object) -> Iterable[bytes]:
    data = memoryview(part) if isinstance(part, bytes) else memoryview(b"")
    return (bytes(data[at : at + _PIECE]) for at in range(0, len(data), _PIECE))


async def _until_left(receive: Receive, left: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    left()

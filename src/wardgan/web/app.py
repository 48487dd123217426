"""The web application of a hub: pages for people, and the same as JSON under /api/v1.

Without accounts it reads and never writes, and listens on this machine only, see `cli/serve.py`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from wardgan._version import __version__
from wardgan.access.database import DatabaseError
from wardgan.access.rules import AccessError, LimitError
from wardgan.errors import ArtifactError, HubError, TrustError, UsageError, WardganError
from wardgan.hub.store import UnreachableError
from wardgan.web import accounts, api, exports, files, pages
from wardgan.web.desk import Desk
from wardgan.web.guard import Guard
from wardgan.web.jobs import Jobs
from wardgan.web.oidc import Provider
from wardgan.web.pace import LimitedError
from wardgan.web.stock import Stock
from wardgan.web.workers import BrokenError, BusyError

HERE: Final = Path(__file__).parent
HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
# Those who wait for a process hold one each, see `workers.QUEUE` and `stock.QUEUE`; lists and pages need some, too.
THREADS: Final = 100
# The first that fits decides.
STATUS: Final = (
    (LimitedError, 429), (LimitError, 429), (BusyError, 503), (BrokenError, 500), (DatabaseError, 503),
    (UnreachableError, 502), (HubError, 404), (TrustError, 403), (UsageError, 400), (ArtifactError, 422),
)  # fmt: skip


def create_app(
    stock: Stock, jobs: Jobs, *, desk: Desk | None = None, provider: Provider | None = None, secure: bool = False,
    hosts: tuple[str, ...] = HOSTS, publisher: str | None = None,
) -> FastAPI:  # fmt: skip
    """Gives the application.

    Args:
        stock: What the hub has.
        jobs: Files that are made in the background.
        desk: Asks who is there; `None` for a hub that everybody who reaches it may use.
        provider: Knows who people are, who may then sign in without a token; `None` for none.
        secure: Whether the pages are only reached over TLS.
        hosts: Names under which it may be asked; a request for another one is refused, so that a page elsewhere cannot
            reach it under a name of its own.
        publisher: Who keeps it, for catalogues of others; `None` leaves that out.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        stock.start()
        jobs.start()
        yield
        jobs.close()
        stock.close()

    app = FastAPI(
        title="wardgan hub", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        description="Releases of private generators, and synthetic patients drawn from them.",
    )  # fmt: skip
    app.state.stock = stock
    app.state.desk = desk
    app.state.provider = provider
    app.state.jobs = jobs
    app.state.publisher = publisher
    if desk is not None:
        desk.within = stock.within
    app.include_router(api.router)
    app.include_router(exports.router)
    app.include_router(pages.router)
    app.include_router(accounts.router)
    app.include_router(files.api)
    app.include_router(files.pages)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Guard, secure=secure)
    app.add_exception_handler(AccessError, _closed)
    app.add_exception_handler(WardganError, _refused)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    return app


def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    kind = "HubError" if isinstance(error, HubError) else type(error).__name__
    if isinstance(error, DatabaseError):
        # What it says is for who runs the hub.
        print(error, file=sys.stderr)
        return _told(request, 503, "HubError", "The hub's database does not answer; try again in a moment.")
    return _told(request, status, kind, str(error))


def _closed(request: Request, error: Exception) -> Response:
    """Answers who may not: with the way, if there is one."""
    assert isinstance(error, AccessError)  # noqa: S101 - what it is registered for
    if request.url.path.startswith("/api/") or error.way == "nothing":
        where = f" They are at {_terms(request, error)}" if error.way == "accept terms" else ""
        found = _told(request, 401 if error.way == "sign in" else 403, "AccessError", str(error) + where)
        if error.way == "sign in":
            found.headers["WWW-Authenticate"] = "Bearer"
        return found
    here = request.url.path + (f"?{request.url.query}" if request.url.query and request.method == "GET" else "")
    if error.way == "sign in":
        return RedirectResponse(f"/sign-in?following={quote(here, safe='')}", 303)
    return RedirectResponse(_terms(request, error).removeprefix(str(request.base_url).rstrip("/")), 303)


def _terms(request: Request, error: AccessError) -> str:
    stock: Stock = request.app.state.stock
    label = next((f"{one.name}:{one.tag}" for one in stock.shelf.versions(error.name)), "")
    return f"{request.base_url}terms/{quote(label, safe='/:')}"


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    said = {404: "There is no such page.", 405: "That cannot be done here."}.get(error.status_code, str(error.detail))
    return _told(request, error.status_code, "HubError", said)


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return _told(request, 400, "UsageError", f"{place or 'request'}: {first['msg']}.")


def _told(request: Request, status: int, kind: str, message: str) -> Response:
    headers = {"Retry-After": "10"} if status in (429, 502, 503) else {}
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": {"kind": kind, "message": message}}, status, headers)
    found = pages.problem(request, status, message)
    found.headers.update(headers)
    return found

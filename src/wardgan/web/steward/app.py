"""The steward's pages as an application, for one person on one machine."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from wardgan._version import __version__
from wardgan.access.rules import AccessError
from wardgan.errors import UsageError, WardganError
from wardgan.web.app import HERE, HOSTS
from wardgan.web.guard import Guard
from wardgan.web.steward import answering, believed, combining, distilling, federating, pages, pooling, views
from wardgan.web.steward.project import MissingError
from wardgan.web.steward.session import Session
from wardgan.web.steward.verbs import Acts

UPLOADS: Final = ".uploads"
# Pages with a name of their own stand before those of a project's steps.
ROUTERS: Final = (
    answering.router, pages.router, believed.router, combining.router, distilling.router, pooling.router,
    federating.router,
)  # fmt: skip


def create_steward(home: Path) -> FastAPI:
    """Gives the application; `app.state.session.word` is what its address must hold.

    Args:
        home: Folder of the projects; made if it is not there.

    Raises:
        UsageError: It cannot be used.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / UPLOADS).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"folder={str(home)!r} cannot be used: {error.strerror}.") from error
    # Patients who are sent lie nowhere but in this folder, not even for a moment.
    tempfile.tempdir = str(home / UPLOADS)
    acts = Acts()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        acts.close()

    app = FastAPI(title="wardgan steward", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
                  openapi_url=None)  # fmt: skip
    app.state.home = home
    app.state.acts = acts
    app.state.session = Session()
    for one in ROUTERS:
        app.include_router(one)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
    app.add_middleware(Guard)
    app.add_exception_handler(WardganError, _refused)
    app.add_exception_handler(HTTPException, _failed)
    return app


def _refused(request: Request, error: Exception) -> Response:
    known = ((AccessError, 403), (MissingError, 404))
    return views.problem(request, next((status for kind, status in known if isinstance(error, kind)), 400), str(error))


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    said = {404: "There is no such page.", 405: "That cannot be done here."}.get(error.status_code, str(error.detail))
    return views.problem(request, error.status_code, said)

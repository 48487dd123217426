"""Small forms, which only our own pages may send."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from wardgan.access.rules import AccessError
from wardgan.errors import UsageError
from wardgan.web.desk import OURS, Desk

LONGEST: Final = 10_000


def check_origin(request: Request, *, strict: bool = True) -> None:
    """Refuses what another page sends, before anything of it is read.

    Args:
        request: What is sent.
        strict: Whether it must say where it comes from, as browsers do; a program need not.

    Raises:
        AccessError: It comes from another page.
    """
    site, origin, ours = request.headers.get("sec-fetch-site"), request.headers.get("origin"), False
    if site is not None:
        ours = site in OURS
    elif origin is not None:
        with suppress(ValueError):  # an origin that is none is not ours
            ours = urlsplit(origin).netloc == request.headers.get("host")
    else:
        ours = not strict
    if not ours:
        raise AccessError("The form did not come from this hub's own page; open the page again.")


async def form_of(request: Request, *, session: bool = True) -> dict[str, str]:
    """Gives the fields of a small form of ours; nothing is read of one from elsewhere, nor of what is too long.

    Args:
        request: What is sent.
        session: Whether it must be of the session in which it comes, in a hub with accounts.

    Raises:
        AccessError: It is of another page or session.
        UsageError: It is too long, or no form.
    """
    check_origin(request)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise UsageError("form: it is too long.")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise UsageError("form: it cannot be read.") from error
    desk: Desk | None = request.app.state.desk
    if session and desk is not None:
        desk.check_form(await run_in_threadpool(desk.visitor, request), form)
    return form

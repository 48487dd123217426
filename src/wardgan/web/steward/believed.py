"""Whom the steward believes: a list of releases that were taken back, and whose key signed what was brought."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan import files
from wardgan.combining.tables import read_tables
from wardgan.errors import UsageError, WardganError
from wardgan.seal.revoked import digests_of, read_revoked
from wardgan.web.steward.pages import sent_in
from wardgan.web.steward.project import REVOKED

router: Final = APIRouter()
_LONGEST: Final = 10_000_000
NOBODY: Final = {"status": "unsigned", "name": None, "keyid": None}


@router.post("/revoked")
async def brought(request: Request) -> Response:
    """Takes the list of what was revoked, in place of the one that is there."""
    async with sent_in(request) as (_, sent):
        if sent is None:
            raise UsageError("file: choose a list of revoked digests, as wardgan list HUB --revoked writes one.")
        data = await sent.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise UsageError(f"file: it has more than {_LONGEST:,} bytes; is it a list of digests?")
        await run_in_threadpool(digests_of, data, (sent.filename or "")[:60])
        place: Path = request.app.state.home / REVOKED
        await run_in_threadpool(files.write_bytes, place, data, force=True, mode=0o600)
    return RedirectResponse("/combine", 303)


def revoked_said(home: Path) -> str:
    """Gives what people should know of the list of what was revoked.

    Args:
        home: The steward's folder.
    """
    place = home / REVOKED
    if not place.exists():
        return "No list of revoked releases is here, so none is refused for that."
    try:
        found = len(set(read_revoked(place)))
    except UsageError as error:
        return f"Everything is refused until the list of revoked releases is mended: {error}"
    return f"{found:,} revoked release{'' if found == 1 else 's'} in {REVOKED}: refused, also within what was brought."


def signer_of(tables: Path) -> dict[str, str | None]:
    """Gives whose key signed noisy tables: `status`, `name` of the trusted key if it is one, and `keyid`.

    Args:
        tables: Their file.
    """
    try:
        found = read_tables(tables).signature
    except WardganError as error:
        return {**NOBODY, "status": f"cannot be read: {error}"}
    return {"status": found.status, "name": found.name, "keyid": found.keyid}

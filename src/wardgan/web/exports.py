"""The hub for catalogues of others, which harvest it: HealthDCAT-AP as JSON-LD."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from wardgan.hub.entry import Entry
from wardgan.metadata.dcat import Access, Described, catalogue, dataset, document
from wardgan.web import shapes
from wardgan.web.api import Stocked
from wardgan.web.doors import Door, Passing, door_of

router: Final = APIRouter(prefix="/api/v1", tags=["hub"], responses=shapes.REFUSALS, dependencies=[Depends(door_of)])
_MEDIA: Final = "application/ld+json"
_ANSWER: Final = shapes.bytes_of(_MEDIA, "JSON-LD.")
_MOST: Final = 100


@router.get("/dcat", responses=_ANSWER)
def all_of_them(
    request: Request, stock: Stocked, door: Passing, offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 25,
) -> Response:  # fmt: skip
    """Gives a part of the catalogue, newest first, in HealthDCAT-AP; what was revoked is not in it."""
    known = [one for one in stock.shelf.entries if one.revoked is None or not one.revoked.holds]
    found = [dataset(_described(request, door, one)) for one in known[offset : offset + limit]]
    whole = catalogue("wardgan hub", str(request.base_url), found, request.app.state.publisher)
    return JSONResponse(document(whole), media_type=_MEDIA)


@router.get("/dcat/{label:path}", responses=_ANSWER)
def one(request: Request, stock: Stocked, door: Passing, label: str) -> Response:
    """Gives one release in HealthDCAT-AP."""
    entry = stock.entry(label)
    return JSONResponse(document(dataset(_described(request, door, entry))), media_type=_MEDIA)


def _described(request: Request, door: Door, entry: Entry) -> Described:
    assert entry.schema is not None  # noqa: S101 - a hub reads its releases with their schemas
    path = quote(f"{entry.name}:{entry.tag}", safe="/:")
    policy = door.policy(entry)
    access: Access | None = None
    if policy is not None:
        access = "PUBLIC" if policy.tier == "public" and not (door.desk and door.desk.closed) else "RESTRICTED"
    kept = policy is not None and policy.tier == "sample-only"
    return Described(
        digest=entry.digest, title=entry.title, created=entry.created, privacy=entry.privacy,
        schema=entry.schema, family=entry.family, licence=entry.licence,
        version=entry.tag, bytes=entry.bytes, page=f"{request.base_url}releases/{path}",
        file=None if kept else f"{request.base_url}api/v1/files/{path}", access=access,
    )  # fmt: skip

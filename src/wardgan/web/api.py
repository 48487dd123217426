"""The hub as JSON, under /api/v1; `/api/v1/openapi.json` describes it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from wardgan.access.rules import Action
from wardgan.errors import UsageError
from wardgan.hub.entry import Entry
from wardgan.web import shapes
from wardgan.web.doors import Door, Passing, door_of
from wardgan.web.guard import Handed, Streamed
from wardgan.web.preview import CONDITIONS, MOST, Asked, check_count
from wardgan.web.shelf import FACETS
from wardgan.web.stock import Stock
from wardgan.web.streams import MOST as MOST_ROWS

router: Final = APIRouter(prefix="/api/v1", tags=["hub"], responses=shapes.REFUSALS, dependencies=[Depends(door_of)])
_LIMIT: Final = 100
_SEEDS: Final = 1 << 53  # what every JSON reader can hold


def stock_in(request: Request) -> Stock:
    """Gives what the hub has."""
    found: Stock = request.app.state.stock
    return found


async def _stock(request: Request) -> Stock:
    """Gives the same without a thread of its own: each costs a question more than what it does."""
    return stock_in(request)


async def chosen_of(
    data: shapes.Choice = None, privacy: shapes.Choice = None, label: shapes.Choice = None, kind: shapes.Choice = None,
    family: shapes.Choice = None, licence: shapes.Choice = None, signer: shapes.Choice = None,
    size: shapes.Choice = None,
) -> dict[str, str]:  # fmt: skip
    """Gives the values of facets that somebody chose."""
    given = {
        "data": data, "privacy": privacy, "label": label, "kind": kind, "family": family, "licence": licence,
        "signer": signer, "size": size,
    }  # fmt: skip
    return {name: value for name in FACETS if (value := given[name])}


Stocked = Annotated[Stock, Depends(_stock)]
Chosen = Annotated[dict[str, str], Depends(chosen_of)]
Words = Annotated[str, Query(max_length=500, description="Words, or parts of words, that must occur somewhere.")]
Where = Annotated[list[str] | None, Query(description="Conditions, such as age=65..80.", max_length=CONDITIONS)]
Balance = Annotated[str, Query(max_length=200, description="A label with equally frequent levels.")]
Replay = Annotated[int | None, Query(ge=0, lt=_SEEDS, description="Replays a sample.")]


def summary(entry: Entry) -> dict[str, object]:
    """Gives a release as JSON, without its schema.

    Args:
        entry: The release.
    """
    return {name: value for name, value in entry.to_dict().items() if name != "schema"}


@router.get("/releases", responses=shapes.answers(shapes.Releases))
def releases(
    stock: Stocked, chosen: Chosen, q: Words = "", offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=_LIMIT)] = 25,
) -> Response:  # fmt: skip
    """Lists releases, newest first, with the number of those that have each value of a facet."""
    found = stock.shelf.find(q, chosen, offset=offset, limit=limit)
    return JSONResponse(
        {"total": found.total, "releases": [summary(one) for one in found.entries], "facets": found.facets}
    )


@router.get("/releases/{label:path}", responses=shapes.answers(shapes.Release))
def release(stock: Stocked, label: str) -> Response:
    """Gives what one release says of itself, with its schema."""
    return JSONResponse(stock.entry(label).to_dict())


@router.get("/files/{label:path}", responses=shapes.bytes_of("application/octet-stream", "The .hgan file."))
def file(stock: Stocked, door: Passing, label: str) -> Response:
    """Gives the .hgan file of a release."""
    entry = stock.entry(label)
    name = f"{entry.name.rpartition('/')[2]}-{entry.tag}.hgan"
    with door.taking(entry):
        return Handed(
            stock.file(entry), "application/octet-stream", name, still=partial(_still, stock, door, entry, "file"),
            broke=partial(door.broke, entry),
        )  # fmt: skip


@router.get("/preview/{label:path}", responses=shapes.answers(shapes.Preview))
def preview(
    stock: Stocked, door: Passing, label: str, n: Annotated[int, Query(ge=1, le=MOST)] = 20, seed: Replay = None,
    where: Where = None, balance: Balance = "",
) -> Response:  # fmt: skip
    """Gives a few synthetic patients, one row each, and small figures of their columns."""
    asked = Asked(n, seed_of(seed), tuple(where or ()), balance or None)
    entry = stock.entry(label)
    check_count(asked.n, entry.schema)
    with door.drawing(entry, asked, "preview") as counted:
        found = stock.preview(entry, asked, base=not counted)
    return JSONResponse({
        "seed": asked.seed, "columns": found.columns, "rows": found.rows,
        "figures": [{"name": one.name, "svg": one.svg} for one in found.figures],
        "images": [{"png": png, "title": title} for png, title in found.images],
    })  # fmt: skip


@router.get("/sample/{label:path}", responses=shapes.bytes_of("text/csv", "Synthetic patients, one row per visit."))
def sample(
    stock: Stocked, door: Passing, label: str, n: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000, seed: Replay = None,
    where: Where = None, balance: Balance = "",
) -> Response:  # fmt: skip
    """Gives synthetic patients as a CSV file, in a stream; with visits one row per visit that took place."""
    entry = stock.entry(label)
    if entry.schema is not None and entry.schema.images is not None:
        raise UsageError(f"{label} draws images; take its file home, and use wardgan sample.")
    asked = Asked(n, seed_of(seed), tuple(where or ()), balance or None)
    name = f"{entry.name.rpartition('/')[2]}-{entry.tag}-{asked.seed}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Seed": str(asked.seed)}

    with ExitStack() as held:
        held.enter_context(door.alone())
        with door.drawing(entry, asked, "csv"):
            parts = _then(stock.csv(entry, asked), held.pop_all())
            return Streamed(
                parts, headers, "text/csv; charset=utf-8", partial(_still, stock, door, entry, "sample"),
                partial(door.broke, entry),
            )  # fmt: skip


def _still(stock: Stock, door: Door, entry: Entry, action: Action) -> None:
    """Refuses to go on with what leaves of a release, once it may not any more."""
    stock.check(stock.entry(f"{entry.name}:{entry.tag}"))
    door.still(entry, action)


@contextmanager
def _then(parts: AbstractContextManager[Iterator[object]], held: ExitStack) -> Iterator[Iterator[object]]:
    """Gives parts, and lets go of what is held once they have ended."""
    with held, parts as found:
        yield found


def seed_of(given: int | None) -> int:
    """Gives a seed that somebody gave, or a new one that can be told.

    Args:
        given: What was given.
    """
    return secrets.randbelow(1 << 31) if given is None else given

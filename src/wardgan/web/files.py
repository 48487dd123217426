"""Files that are made in the background, for people and for programs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import HubError, UsageError
from wardgan.hub.entry import Entry
from wardgan.web import shapes
from wardgan.web.api import Balance, Replay, Stocked, Where, seed_of, stock_in
from wardgan.web.doors import Door, Passing, door_of
from wardgan.web.forms import check_origin, form_of
from wardgan.web.guard import Handed
from wardgan.web.job import Job, told
from wardgan.web.jobs import HOURS, Jobs
from wardgan.web.pages import shown, whole
from wardgan.web.preview import Asked
from wardgan.web.stock import Stock
from wardgan.web.streams import MOST

api: Final = APIRouter(prefix="/api/v1", tags=["files"], responses=shapes.REFUSALS)
pages: Final = APIRouter(include_in_schema=False)
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_BYTES: Final = "application/octet-stream"


def jobs_of(request: Request) -> Jobs:
    """Gives the files of this hub.

    Args:
        request: Who asks.
    """
    found: Jobs = request.app.state.jobs
    return found


@api.post("/sample/{label:path}", status_code=202, responses=shapes.answers(shapes.File, 202))
def order(  # noqa: PLR0913, PLR0917 - one argument for each field
    request: Request, stock: Stocked, door: Passing, label: str, n: Annotated[int, Query(ge=1, le=MOST)],
    kind: Annotated[str, Query(alias="format", max_length=20, description="csv, parquet, or npz of images.")] = "csv",
    seed: Replay = None, where: Where = None, balance: Balance = "",
) -> Response:  # fmt: skip
    """Has a file of synthetic patients made in the background, and tells where it will be."""
    check_origin(request, strict=False)
    asked = Asked(n, seed_of(seed), tuple(where or ()), balance or None)
    job = _ordered(door, jobs_of(request), stock.entry(label), asked, kind)
    return JSONResponse(_told(jobs_of(request), job), 202, {"Location": f"/api/v1/jobs/{job.id}"})


@api.get("/jobs", responses=shapes.answers(shapes.Files))
def files(request: Request, door: Passing) -> Response:
    """Lists the files that you asked for, newest first."""
    jobs = jobs_of(request)
    return JSONResponse({"files": [_told(jobs, one) for one in jobs.mine(door.owner())]})


@api.get("/jobs/{number}", responses=shapes.answers(shapes.File))
def file(request: Request, door: Passing, number: str) -> Response:
    """Tells what became of a file that you asked for."""
    jobs = jobs_of(request)
    return JSONResponse(_told(jobs, jobs.find(number, door.owner())))


@api.get("/jobs/{number}/file", responses=shapes.bytes_of(_BYTES, "The file."))
def taken(request: Request, stock: Stocked, door: Passing, number: str) -> Response:
    """Gives a file that is ready."""
    jobs = jobs_of(request)
    job = jobs.find(number, door.owner())
    entry = _entry(stock, job)

    def still() -> None:
        jobs.find(number, door.owner())
        _entry(stock, job)
        door.still(entry, "sample")

    with door.fetching(entry, job.asked):
        return Handed(
            jobs.file(job), _TYPES.get(job.kind, _BYTES), job.name, still=still, broke=partial(door.broke, entry)
        )  # fmt: skip


@api.delete("/jobs/{number}", status_code=204, response_class=Response)
def drop(request: Request, door: Passing, number: str) -> Response:
    """Drops a file that you asked for, ready or not."""
    check_origin(request, strict=False)
    jobs = jobs_of(request)
    jobs.drop(jobs.find(number, door.owner()))
    return Response(status_code=204)


@pages.post("/play/{label:path}")
async def order_page(request: Request, label: str) -> Response:
    """Has a file made of the patients that somebody looks at."""
    form = await form_of(request)

    def ordered() -> str:
        door = door_of(request)
        texts = tuple(line for line in form.get("where", "").splitlines() if line.strip())
        asked = Asked(whole(form.get("n", ""), "n", 10_000), whole(form.get("seed", ""), "seed", 0), texts,
                      form.get("balance") or None)  # fmt: skip
        return _ordered(door, jobs_of(request), stock_in(request).entry(label), asked, form.get("format", "csv")).id

    return RedirectResponse(f"/jobs/{await run_in_threadpool(ordered)}", 303)


@pages.get("/jobs")
def list_page(request: Request, door: Passing) -> HTMLResponse:
    """Shows the files that somebody asked for."""
    jobs = jobs_of(request)
    return shown(request, "files.html", files=[_told(jobs, one) for one in jobs.mine(door.owner())], hours=HOURS)


@pages.get("/jobs/{number}")
def page(request: Request, door: Passing, number: str) -> HTMLResponse:
    """Shows how far a file is."""
    jobs = jobs_of(request)
    job = jobs.find(number, door.owner())
    return shown(request, "file.html", file=_told(jobs, job), over=job.over, hours=HOURS)


@pages.get("/jobs/{number}/file")
def taken_page(request: Request, door: Passing, number: str) -> Response:
    """Leads to a file."""
    jobs_of(request).find(number, door.owner())
    return RedirectResponse(f"/api/v1/jobs/{quote(number)}/file", 303)


@pages.post("/jobs/{number}/drop")
async def drop_page(request: Request, number: str) -> Response:
    """Drops a file."""
    await form_of(request)

    def dropped() -> None:
        jobs = jobs_of(request)
        jobs.drop(jobs.find(number, door_of(request).owner()))

    await run_in_threadpool(dropped)
    return RedirectResponse("/jobs", 303)


def _entry(stock: Stock, job: Job) -> Entry:
    """Gives the release that a file is of, and refuses what may not leave any more."""
    entry = stock.entry(job.release)
    if entry.digest != job.digest:
        raise HubError(f"{job.release} is another release by now; ask again.")
    stock.check(entry)
    return entry


def _ordered(door: Door, jobs: Jobs, entry: Entry, asked: Asked, kind: str) -> Job:
    owner = door.owner()
    with jobs.place(asked, kind, entry.schema, owner) as found, door.drawing(entry, asked, f"file {found}"):
        return jobs.add(entry, asked, found, owner)


def _told(jobs: Jobs, job: Job) -> dict[str, object]:
    try:
        size = jobs.file(job).stat().st_size if job.state == "ready" else None
    except (HubError, UsageError, OSError):
        size = None
    return told(job, jobs.done(job), size)

"""The steward's pages where generators of several hospitals become one, with the arithmetic drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import UsageError
from wardgan.web.steward.pages import Sessioned, form_in, received, sent_in, signing
from wardgan.web.steward.project import KEY, settled
from wardgan.web.steward.union import (
    WAYS,
    Union,
    begin_union,
    costs_of,
    facts_of,
    strangers_of,
    union_of,
    unions,
    words_of,
)
from wardgan.web.steward.verbs import Acts, problem_of
from wardgan.web.steward.views import progress_in, shown

router: Final = APIRouter()


def union_in(request: Request, name: str, _: Sessioned) -> Union:
    """Gives what an address names, to whoever may see that it is there.

    Args:
        request: What is asked.
        name: Of what is combined.
    """
    return union_of(request.app.state.home, name)


Named = Annotated[Union, Depends(union_in)]


@router.get("/combine")
def index(request: Request, _: Sessioned) -> HTMLResponse:
    """Lists what is combined."""
    acts: Acts = request.app.state.acts
    found = [(one, len(one.members), acts.busy(one)) for one in unions(request.app.state.home)]
    return shown(request, "combine_index.html", found=found)


@router.post("/combine/new")
async def made(request: Request) -> Response:
    """Begins with no generator yet."""
    form = await form_in(request)
    found = await run_in_threadpool(begin_union, request.app.state.home, form.get("name", "").strip())
    return _to(found)


@router.get("/combine/{name}")
def page(request: Request, union: Named, _: Sessioned) -> HTMLResponse:
    """Shows the members, and what they cost a patient together."""
    acts: Acts = request.app.state.acts
    act = acts.now(union)
    if act is not None and act.code is None:
        return shown(request, "running.html", project=None, union=union, step="combine", act=act,
                     progress=progress_in(union))  # fmt: skip
    facts, problem = facts_of(union)
    failed = None if act is None else problem_of(act)
    # A key may have been made before.
    notices = next((one["notices"] for one in act.answers if "notices" in one), ()) if act is not None else ()
    chosen = union.chosen
    own = chosen.get("own")
    return shown(
        request, "combine.html", union=union, facts=facts, costs=costs_of(facts) if facts else (), notices=notices,
        strangers=strangers_of(facts.get("tree", ())),
        problem=failed or problem or None, chosen=union.chosen, own=own if isinstance(own, dict) else {}, ways=WAYS,
        done=union.file.is_file(), key=f"../../{KEY}" if (request.app.state.home / KEY).is_file() else "",
    )  # fmt: skip


@router.post("/combine/{name}/members")
async def brought(request: Request, union: Named) -> Response:
    """Takes a generator: a file, or one that a hub has."""
    async with sent_in(request) as (form, sent):
        _check_open(request, union)
        target = form.get("target", "").strip()
        if sent is not None:
            name = Path(sent.filename or "")
            if name.suffix.lower() != ".hgan":
                raise UsageError(f"file: {name.name[:60]!r} is none; choose a .hgan file.")
            place = union.place(name.stem)
            await run_in_threadpool(received, sent, place)
            await run_in_threadpool(union.draft.unlink, missing_ok=True)
            try:
                _check_open(request, union)  # it may have come slowly
            except UsageError:
                place.unlink(missing_ok=True)
                raise
        elif target:
            name = target.rstrip("/").rpartition("/")[2].partition("@")[0].replace(":", "-")
            await run_in_threadpool(union.draft.unlink, missing_ok=True)
            _start(request, union, "Fetching it", ["pull", "--json", f"--output=members/{union.place(name).name}",
                                                   "--", target])  # fmt: skip
        else:
            raise UsageError("file: choose a .hgan file, or say where a hub has one.")
    return _to(union)


@router.post("/combine/{name}/left")
async def left(request: Request, union: Named) -> Response:
    """Takes a member out: a hospital leaves."""
    form = await form_in(request)
    _check_open(request, union)
    place = union.place(form.get("member", ""))
    await run_in_threadpool(place.unlink, missing_ok=True)
    await run_in_threadpool(union.draft.unlink, missing_ok=True)
    return _to(union)


@router.post("/combine/{name}/how")
async def combined(request: Request, union: Named) -> Response:
    """Combines the members as a draft, which shows what that means."""
    form = await form_in(request)
    _check_open(request, union)
    names = ("weights", "columns", "overlap")
    own = {one.stem: form.get(f"weight.{one.stem}", "").strip() for one in union.members}
    chosen = {name: form[name].strip() for name in names if name in form}
    await run_in_threadpool(union.choose, **chosen, own=own)
    await run_in_threadpool(union.draft.unlink, missing_ok=True)  # it was made in another way
    _start(request, union, "Combining", await run_in_threadpool(words_of, union, union.draft, None))
    return _to(union)


@router.post("/combine/{name}/sign")
async def signed(request: Request, union: Named) -> Response:
    """Combines and signs what was shown."""
    form = await form_in(request)
    _check_open(request, union)
    if not union.draft.is_file():
        raise UsageError("sign: look first at what it means.")
    key, commands, secret = signing(form, "../..")
    words = await run_in_threadpool(words_of, union, union.file, key)
    _start(request, union, "Combining and signing", *commands, words, ["verify", union.file.name, "--json"],
           secret=secret)  # fmt: skip
    return _to(union)


@router.post("/combine/{name}/publish")
async def published(request: Request, union: Named) -> Response:
    """Puts the combined generator into a hub."""
    form = await form_in(request)
    target = form.get("target", "").strip()
    if not target or not union.file.is_file():
        raise UsageError("target: sign it first, and say where it shall be, such as ../../hub:region/all:1.0.")
    await run_in_threadpool(union.choose, target=target)
    acts: Acts = request.app.state.acts
    acts.start(
        union, "combine", "Publishing", ["push", "--json", "--", union.file.name, settled(union.folder, target)],
        last=lambda answer: union.choose(published=answer["target"]),
    )  # fmt: skip
    return _to(union)


@router.post("/combine/{name}/stop")
async def stopped(request: Request, union: Named) -> Response:
    """Stops what runs."""
    await form_in(request)
    request.app.state.acts.stop(union)
    return _to(union)


def _start(
    request: Request, union: Union, title: str, *commands: list[str], secret: str | None = None
) -> None:  # fmt: skip
    acts: Acts = request.app.state.acts
    acts.start(union, "combine", title, *commands, secret=secret)


def _check_open(request: Request, union: Union) -> None:
    acts: Acts = request.app.state.acts
    acts.check_free(union)
    if union.file.is_file():
        raise UsageError(f"{union.name} is signed; begin another one for other members.")


def _to(union: Union) -> Response:
    return RedirectResponse(f"/combine/{union.name}", 303)

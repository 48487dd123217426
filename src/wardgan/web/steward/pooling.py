"""The steward's pages where hospitals' noisy tables are added up: the survey, what came in, and what it costs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from wardgan.errors import UsageError
from wardgan.web.steward import declare
from wardgan.web.steward.arithmetic import costs_of
from wardgan.web.steward.believed import NOBODY, revoked_said, signer_of
from wardgan.web.steward.offers import families_of
from wardgan.web.steward.pages import Sessioned, form_in, sent_in, signing
from wardgan.web.steward.places import folder_of, folders
from wardgan.web.steward.pool import ASKED, POOLS, Pool, add_words, begin_pool, facts_of, survey_in, survey_words
from wardgan.web.steward.project import MissingError, key_seen
from wardgan.web.steward.transfer import publish, received, take_in
from wardgan.web.steward.verbs import Acts, VerbError, ask, problem_of
from wardgan.web.steward.views import running, shown

router: Final = APIRouter()
GIVEN: Final = {"survey": "application/json", "schema": "application/yaml"}


def pool_in(request: Request, name: str, _: Sessioned) -> Pool:
    """Gives what an address names, to whoever may see that it is there.

    Args:
        request: What is asked.
        name: Of what is pooled.
    """
    return Pool(folder_of(request.app.state.home, POOLS, name))


Named = Annotated[Pool, Depends(pool_in)]


@router.get("/pool")
def index(request: Request, _: Sessioned) -> HTMLResponse:
    """Lists what is pooled."""
    acts: Acts = request.app.state.acts
    pools = [Pool(path) for path in folders(request.app.state.home, POOLS)]
    return shown(request, "pool_index.html", found=[(one, len(one.tables), acts.busy(one)) for one in pools])


@router.post("/pool/new")
async def made(request: Request) -> Response:
    """Begins with the declarations that all hospitals share."""
    async with sent_in(request) as (form, sent):
        if sent is None:
            raise UsageError("file: choose the schema that all hospitals share (YAML).")
        pool = await run_in_threadpool(begin_pool, request.app.state.home, form.get("name", "").strip())
        await run_in_threadpool(declared, pool.folder, pool.schema, sent)
    return _to(pool)


def declared(folder: Path, place: Path, sent: UploadFile) -> None:
    """Takes a schema into a new folder, of which nothing is left if it is none.

    Args:
        folder: The folder.
        place: Where the schema goes.
        sent: What was sent.

    Raises:
        SchemaError: It is no schema.
    """
    try:
        received(sent, place)
        declare.load(place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@router.get("/pool/{name}")
def page(request: Request, pool: Named, _: Sessioned) -> HTMLResponse:
    """Shows the survey, who has answered, and what the sums cost a patient."""
    acts: Acts = request.app.state.acts
    act = acts.now(pool)
    if act is not None and act.code is None:
        return running(request, pool, act, f"/pool/{pool.name}")
    facts, said, problem = facts_of(pool)
    failed = None if act is None else problem_of(act)
    key = key_seen(request.app.state.home, pool.folder)
    return shown(
        request, "pool.html", pool=pool, facts=facts, said=said, costs=costs_of(facts) if facts else (), key=key,
        problem=failed or problem or None, chosen=pool.chosen, families=families_of("pool", "survey"),
        done=pool.file.is_file(), survey=survey_in(pool.survey), revoked=revoked_said(request.app.state.home),
        signers={one.stem: signer_of(one) for one in pool.tables}, model=_signer_of_model(pool),
    )  # fmt: skip


@router.post("/pool/{name}/like")
async def likened(request: Request, pool: Named) -> Response:
    """Takes a released generator for whose patients the survey is made, or takes it away again."""
    async with sent_in(request) as (_, sent):
        _check_asking(request, pool)
        if sent is not None and Path(sent.filename or "").suffix.lower() != ".hgan":
            raise UsageError("file: choose a .hgan file.")
        await run_in_threadpool(pool.like.unlink, missing_ok=True)
        if sent is not None:
            await run_in_threadpool(received, sent, pool.like)
    return _to(pool)


@router.post("/pool/{name}/survey")
async def surveyed(request: Request, pool: Named) -> Response:
    """Makes the questions that all hospitals answer."""
    form = await form_in(request)
    _check_asking(request, pool)
    await run_in_threadpool(pool.choose, **{name: form[name].strip() for name in ASKED if name in form})
    words = await run_in_threadpool(survey_words, pool)
    request.app.state.acts.start(pool, "pool", "Making the survey", words)
    return _to(pool)


@router.get("/pool/{name}/{what}")
def given(pool: Named, what: str, _: Sessioned) -> Response:
    """Gives what hospitals need."""
    place = pool.survey if what == "survey" else pool.schema
    if what not in GIVEN or not place.is_file():
        raise MissingError("There is no such file.")
    return FileResponse(place, media_type=GIVEN[what], filename=place.name)


@router.post("/pool/{name}/tables")
async def brought(request: Request, pool: Named) -> Response:
    """Takes the tables of a hospital."""
    async with sent_in(request) as (_, sent):
        _check_open(request, pool)
        if not pool.survey.is_file():
            raise UsageError("tables: make the survey first; tables are answers to it.")
        name = Path("" if sent is None else sent.filename or "")
        if sent is None or name.suffix.lower() != ".tables":
            raise UsageError("file: choose a .tables file, as wardgan pool tables writes one.")
        await take_in(sent, pool.place(name.stem), pool.draft, lambda: _check_open(request, pool))
    return _to(pool)


@router.post("/pool/{name}/left")
async def left(request: Request, pool: Named) -> Response:
    """Takes a hospital's tables out."""
    form = await form_in(request)
    _check_open(request, pool)
    place = pool.place(form.get("member", ""))
    await run_in_threadpool(place.unlink, missing_ok=True)
    await run_in_threadpool(pool.draft.unlink, missing_ok=True)
    return _to(pool)


@router.post("/pool/{name}/how")
async def added(request: Request, pool: Named) -> Response:
    """Adds the tables up as a draft, which shows what that means."""
    form = await form_in(request)
    _check_open(request, pool)
    chosen = {name: form[name].strip() for name in ("overlap",) if name in form}
    await run_in_threadpool(pool.choose, **chosen)
    words = await run_in_threadpool(add_words, pool, pool.draft, None)
    await run_in_threadpool(pool.draft.unlink, missing_ok=True)
    _add(request, pool, "Adding up", words)
    return _to(pool)


@router.post("/pool/{name}/sign")
async def signed(request: Request, pool: Named) -> Response:
    """Adds up and signs what was shown."""
    form = await form_in(request)
    _check_open(request, pool)
    if not pool.draft.is_file():
        raise UsageError("sign: look first at what it means.")
    key, commands, secret = signing(form, "../..")
    words = await run_in_threadpool(add_words, pool, pool.file, key)
    _add(request, pool, "Adding up and signing", *commands, words, ["verify", pool.file.name, "--json"], secret=secret)
    return _to(pool)


@router.post("/pool/{name}/publish")
async def published(request: Request, pool: Named) -> Response:
    """Puts the generator of the sums into a hub."""
    form = await form_in(request)
    await publish(request, pool, form, step="pool", file=pool.file, first="sign it")
    return _to(pool)


@router.post("/pool/{name}/stop")
async def stopped(request: Request, pool: Named) -> Response:
    """Stops what runs."""
    await form_in(request)
    request.app.state.acts.stop(pool)
    return _to(pool)


def _add(request: Request, pool: Pool, title: str, *commands: list[str], secret: str | None = None) -> None:
    request.app.state.acts.start(
        pool, "pool", title, *commands, secret=secret,
        each=lambda said: pool.choose(pooled=said) if "output" in said and "bounds" in said else None,
    )  # fmt: skip


def _signer_of_model(pool: Pool) -> Mapping[str, Any] | None:
    """Gives whose key signed the generator of similar patients; `None` without one."""
    if not pool.like.is_file():
        return None
    try:
        return ask(pool, "inspect", pool.like.name)[0]["signature"]
    except VerbError as error:
        return {**NOBODY, "status": f"cannot be read: {error}"}


def _check_open(request: Request, pool: Pool) -> None:
    request.app.state.acts.check_free(pool)
    if pool.file.is_file():
        raise UsageError(f"{pool.name} is signed; begin another one for other tables.")


def _check_asking(request: Request, pool: Pool) -> None:
    _check_open(request, pool)
    if pool.tables:
        raise UsageError("survey: it was answered, and answers to another one cannot be added; begin another one.")


def _to(pool: Pool) -> Response:
    return RedirectResponse(f"/pool/{pool.name}", 303)

"""The steward's pages where generators of several hospitals become one, with the arithmetic drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import UsageError
from wardgan.web.steward import recipes
from wardgan.web.steward.arithmetic import costs_of, strangers_of
from wardgan.web.steward.believed import revoked_said
from wardgan.web.steward.pages import Sessioned, form_in, sent_in, signing
from wardgan.web.steward.places import folder_of
from wardgan.web.steward.project import key_seen, text_of
from wardgan.web.steward.transfer import publish, take_in
from wardgan.web.steward.union import UNIONS, Union, begin_union, facts_of, unions, words_of
from wardgan.web.steward.verbs import Acts, problem_of
from wardgan.web.steward.views import running, shown

router: Final = APIRouter()


def union_in(request: Request, name: str, _: Sessioned) -> Union:
    """Gives what an address names, to whoever may see that it is there.

    Args:
        request: What is asked.
        name: Of what is combined.
    """
    return Union(folder_of(request.app.state.home, UNIONS, name))


Named = Annotated[Union, Depends(union_in)]


@router.get("/combine")
def index(request: Request, _: Sessioned) -> HTMLResponse:
    """Lists what is combined."""
    acts: Acts = request.app.state.acts
    found = [(one, len(one.members), acts.busy(one)) for one in unions(request.app.state.home)]
    return shown(request, "combine_index.html", found=found, revoked=revoked_said(request.app.state.home))


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
        return running(request, union, act, f"/combine/{union.name}")
    act = act if act is not None and act.step == "combine" else None
    facts, problem = facts_of(union)
    failed = None if act is None else problem_of(act)
    recipe = recipes.kept(union.chosen, union.stems)
    fields = recipes.fields_of(recipe, facts, failed or "")
    text = text_of(union.chosen, "text") or recipes.text_of_recipe(recipe)
    return _page(request, union, fields, text, facts=facts or None,
                 problem=failed or problem or None)  # fmt: skip


def _page(
    request: Request, union: Union, fields: Mapping[str, str], text: str, *, facts: Mapping[str, Any] | None = None,
    problem: str | None = None, typed: bool = False, status: int = 200,
) -> HTMLResponse:  # fmt: skip
    """Shows what the forms hold, typed just now or chosen before, and what came of it."""
    found = facts or {}
    weighed = any(value for name, value in fields.items() if name.startswith("class.") and name.count(".") > 1)
    lines = {"rows": recipes.count(fields, "map.{}.to"), "classes": recipes.count(fields, "class.{}"),
             "weighed": weighed}  # fmt: skip
    choices = {"ways": recipes.WAYS, "keep": recipes.KEEP, "same": recipes.LEVELS}
    key = key_seen(request.app.state.home, union.folder)
    return shown(
        request, "combine.html", status, union=union, facts=found, costs=costs_of(found) if found else (),
        notices=found.get("notices", ()), strangers=strangers_of(found.get("tree", ())), problem=problem,
        chosen=union.chosen, fields=fields, text=text, done=union.file.is_file(), key=key, typed=typed,
        revoked=revoked_said(request.app.state.home), **lines, **choices,
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
            await take_in(sent, union.place(name.stem), union.draft, lambda: _check_open(request, union))
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
    """Combines the members as a draft, which shows what that means; what cannot be is told, and stays as written."""
    form = await form_in(request)
    _check_open(request, union)
    await run_in_threadpool(union.draft.unlink, missing_ok=True)  # it was made in another way
    before = recipes.kept(union.chosen, union.stems)
    text = form.get("text", "").replace("\r\n", "\n")
    try:
        recipe, problems = await run_in_threadpool(_said, before, form, union.stems)
    except UsageError as error:
        if "text" not in form:
            raise
        fields = recipes.fields_of(before, {}, "")
        return await run_in_threadpool(_page, request, union, fields, text, problem=str(error), typed=True, status=400)
    if problems:
        text = recipes.text_of_recipe(before)
        return await run_in_threadpool(
            _page, request, union, form, text, problem="\n".join(problems), status=400
        )  # fmt: skip
    await run_in_threadpool(union.choose, recipe=recipe, text=text)
    _start(request, union, "Combining", await run_in_threadpool(words_of, union, union.draft, None))
    return _to(union)


def _said(
    before: recipes.Recipe, form: Mapping[str, str], stems: Sequence[str]
) -> tuple[recipes.Recipe, list[str]]:  # fmt: skip
    """Gives the recipe that somebody wrote as text, or in the form, and what is wrong with it."""
    if "text" in form:
        return recipes.from_text(form["text"], stems), []
    return recipes.from_form(before, form)


@router.post("/combine/{name}/sign")
async def signed(request: Request, union: Named) -> Response:
    """Combines and signs what was shown."""
    form = await form_in(request)
    _check_open(request, union)
    if not union.draft.is_file() or not (await run_in_threadpool(facts_of, union))[0]:
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
    await publish(request, union, form, step="combine", file=union.file, first="sign it")
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
    acts.start(
        union, "combine", title, *commands, secret=secret,
        each=lambda said: union.choose(combined=said) if "output" in said and "notices" in said else None,
    )  # fmt: skip


def _check_open(request: Request, union: Union) -> None:
    acts: Acts = request.app.state.acts
    acts.check_free(union)
    if union.file.is_file():
        raise UsageError(f"{union.name} is signed; begin another one for other members.")


def _to(union: Union) -> Response:
    return RedirectResponse(f"/combine/{union.name}", 303)

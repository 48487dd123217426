"""The steward's pages where one generator of constant size learns from a combined one, and is compared with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import UsageError
from wardgan.web.steward.arithmetic import costs_of, hospitals_in, strangers_of
from wardgan.web.steward.believed import revoked_said
from wardgan.web.steward.combining import Named
from wardgan.web.steward.offers import families_of
from wardgan.web.steward.pages import Sessioned, form_in, signing
from wardgan.web.steward.project import key_seen, revoked_words, text_of
from wardgan.web.steward.transfer import publish
from wardgan.web.steward.union import Union, facts_of
from wardgan.web.steward.verbs import Acts, VerbError, ask, problem_of
from wardgan.web.steward.views import running, shown

router: Final = APIRouter()
_STEP: Final = "distil"
_FIELDS: Final = ("family", "name", "patients", "overlap", "insist", "override")
_OPTIONS: Final = {"name": "--name", "patients": "-n", "overlap": "--overlap", "override": "--override"}


@router.get("/combine/{name}/distil")
def page(request: Request, union: Named, _: Sessioned) -> Response:
    """Shows what can be chosen, and what was distilled with how near it is to its teacher."""
    if not union.file.is_file():
        return RedirectResponse(f"/combine/{union.name}", 303)
    acts: Acts = request.app.state.acts
    act = acts.now(union)
    if act is not None and act.code is None:
        return running(request, union, act, f"/combine/{union.name}")
    failed = problem_of(act) if act is not None and act.step == _STEP else None
    return _page(request, union, failed)


def _page(request: Request, union: Union, problem: str | None) -> HTMLResponse:
    made = union.pupil.is_file()
    said, facts = union.chosen.get("distilled"), dict[str, Any]()
    mine: Mapping[str, Any] = (
        said if isinstance(said, dict) and made and said.get("file") == _digest(union.pupil) else {}
    )
    if mine:
        try:
            facts = hospitals_in(ask(union, "inspect", union.pupil.name)[0], mine["bounds"])
        except VerbError as error:
            problem = problem or str(error)
    chosen, tree = union.chosen.get("distil"), facts_of(union)[0].get("tree", ())
    return shown(
        request, "distil.html", union=union, made=made, mine=mine, facts=facts, costs=costs_of(facts) if facts else (),
        fields=chosen if isinstance(chosen, dict) else {}, families=families_of("distill"), problem=problem,
        chosen=union.chosen, tree=tree, strangers=strangers_of(tree), revoked=revoked_said(request.app.state.home),
        key=key_seen(request.app.state.home, union.folder),
    )  # fmt: skip


@router.post("/combine/{name}/distil")
async def distilled(request: Request, union: Named) -> Response:
    """Draws synthetic patients from the signed generator, and has another one learn from them."""
    form = await form_in(request)
    acts: Acts = request.app.state.acts
    acts.check_free(union)
    if not union.file.is_file():
        raise UsageError("distil: sign the combined generator first.")
    fields = {name: form[name].strip() for name in _FIELDS if name in form}
    await run_in_threadpool(union.choose, distil=fields)
    key, commands, secret = signing(form, "../..")
    acts.start(
        union, _STEP, "Distilling", *commands, words_of(union, fields, key), ["verify", union.pupil.name, "--json"],
        secret=secret, each=lambda said: _keep(union, said),
    )  # fmt: skip
    return _to(union)


@router.post("/combine/{name}/distil/publish")
async def published(request: Request, union: Named) -> Response:
    """Puts the pupil into a hub."""
    form = await form_in(request)
    await publish(request, union, form, step=_STEP, file=union.pupil, first="distil", what="pupil_")
    return _to(union)


def words_of(union: Union, fields: Mapping[str, str], key: str) -> list[str]:
    """Gives the words that distil.

    Args:
        union: Whose.
        fields: What was chosen.
        key: Private key.
    """
    words = ["distill", union.file.name, "-o", union.pupil.name, f"--family={text_of(fields, 'family') or 'auto'}",
             f"--key={key}", "--force", "--json", *revoked_words(union)]  # fmt: skip
    for name, option in _OPTIONS.items():
        if text := text_of(fields, name):
            words += [option, text] if option == "-n" else [f"{option}={text}"]
    return [*words, "--again"] if "insist" in fields else words


def _keep(union: Union, said: Mapping[str, Any]) -> None:
    if "learned_from" in said:
        union.choose(distilled={**said, "file": _digest(union.pupil)}, pupil_published=None)


def _digest(path: Path) -> str:
    """Gives a digest by which it is known that what was measured is this very file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to(union: Union) -> Response:
    return RedirectResponse(f"/combine/{union.name}/distil", 303)

"""The steward's pages where several hospitals train one generator: what was agreed on, the kits, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import UsageError, WardganError
from wardgan.models.together import FAMILIES
from wardgan.web.steward import trying
from wardgan.web.steward.arithmetic import costs_of, hospitals_in
from wardgan.web.steward.pages import Sessioned, form_in, sent_in, signing
from wardgan.web.steward.places import begin_folder, folder_of, folders
from wardgan.web.steward.pooling import declared
from wardgan.web.steward.project import key_seen
from wardgan.web.steward.training import (
    TRAININGS,
    Training,
    agree,
    agreed_in,
    fields_of,
    kit_words,
    known_problem,
    run_words,
    zipped,
)
from wardgan.web.steward.transfer import publish
from wardgan.web.steward.verbs import Acts, VerbError, ask, problem_of
from wardgan.web.steward.views import progress_in, shown

router: Final = APIRouter()
TRIAL: Final = "Trying it with invented patients"


def training_in(request: Request, name: str, _: Sessioned) -> Training:
    """Gives what an address names, to whoever may see that it is there.

    Args:
        request: What is asked.
        name: Of the training.
    """
    return Training(folder_of(request.app.state.home, TRAININGS, name))


Named = Annotated[Training, Depends(training_in)]


@router.get("/federate")
def index(request: Request, _: Sessioned) -> HTMLResponse:
    """Lists trainings."""
    acts: Acts = request.app.state.acts
    found = [Training(path) for path in folders(request.app.state.home, TRAININGS)]
    return shown(request, "federate_index.html", found=[(one, len(one.sites), acts.busy(one)) for one in found])


@router.post("/federate/new")
async def made(request: Request) -> Response:
    """Begins with the declarations that all hospitals share."""
    async with sent_in(request) as (form, sent):
        if sent is None:
            raise UsageError("file: choose the schema that all hospitals share (YAML).")
        home, name = request.app.state.home, form.get("name", "").strip()
        training = Training(await run_in_threadpool(begin_folder, home, TRAININGS, name))
        await run_in_threadpool(declared, training.folder, training.schema, sent)
    return _to(training)


@router.get("/federate/{name}")
def page(request: Request, training: Named, _: Sessioned) -> HTMLResponse:
    """Shows what was agreed on, who has a kit, and how far the training is."""
    acts: Acts = request.app.state.acts
    act = acts.now(training)
    failed = None if act is None else problem_of(act)
    return _page(request, training, None, failed, status=200)


def _page(
    request: Request, training: Training, form: Mapping[str, str] | None, problem: str | None, *, status: int
) -> HTMLResponse:  # fmt: skip
    act = request.app.state.acts.now(training)
    running = act is not None and act.code is None
    agreement, standing, wrong = known_problem(training)
    facts, said, chosen = dict[str, object](), training.chosen.get("federated"), training.chosen
    if training.file.is_file() and isinstance(said, dict):
        try:
            facts = hospitals_in(ask(training, "inspect", training.file.name)[0], said["bounds"])
        except VerbError as error:
            wrong = wrong or str(error)
    kits, tried = chosen.get("kits"), trying.tried_in(training, agreement)
    return shown(
        request, "federate.html", status, training=training, agreement=agreement, standing=standing, act=act,
        running=running, trial=TRIAL, progress=progress_in(training) if running else None,
        problem=problem or wrong or None,
        fields=fields_of(agreement) if form is None else form, families=FAMILIES, chosen=chosen, facts=facts,
        costs=costs_of(facts) if facts else (), kits=kits if isinstance(kits, dict) else {}, tried=tried,
        would=costs_of(tried["facts"]) if tried else (), size=0 if agreement is None else trying.size_of(agreement),
        able=find_spec("nvflare") is not None, done=training.file.is_file(),
        key=key_seen(request.app.state.home, training.folder),
    )  # fmt: skip


@router.post("/federate/{name}/agreement")
async def agreed(request: Request, training: Named) -> Response:
    """Writes down what was agreed on; what cannot be is told, and stays as written."""
    form = await form_in(request)
    _check_open(request, training)
    try:
        await run_in_threadpool(agree, training, form)
    except WardganError as error:
        return await run_in_threadpool(_page, request, training, form, str(error), status=400)
    return _to(training)


@router.post("/federate/{name}/try")
async def tried(request: Request, training: Named) -> Response:
    """Trains with invented patients of as many hospitals, which shows what would be spent; nothing of it stays."""
    await form_in(request)
    _check_open(request, training)
    agreement = await run_in_threadpool(agreed_in, training)
    if agreement is None:
        raise UsageError("try: write down what is agreed on first.")
    try:
        await run_in_threadpool(trying.invent, training, agreement)
    except BaseException:
        await run_in_threadpool(trying.forget, training)
        raise
    request.app.state.acts.start(
        training, "federate", TRIAL, *trying.words_of(training, agreement),
        last=lambda answers: trying.keep(training, agreement, answers), ended=lambda: trying.forget(training),
    )  # fmt: skip
    return _to(training)


@router.post("/federate/{name}/kits")
async def provisioned(request: Request, training: Named) -> Response:
    """Writes startup kits."""
    form = await form_in(request)
    _check_open(request, training)
    kept = {name: form.get(name, "").strip() for name in ("sites", "host", "port", "days")}
    await run_in_threadpool(training.choose, kits=kept)
    request.app.state.acts.start(training, "federate", "Writing the kits", kit_words(form))
    return _to(training)


@router.get("/federate/{name}/kits/{site}.zip")
def kit(training: Named, site: str, _: Sessioned) -> Response:
    """Gives the kit of a hospital, which is handed to it in secret."""
    data = zipped(training, site)
    return Response(data, media_type="application/zip",
                    headers={"Content-Disposition": f'attachment; filename="{site}.zip"'})  # fmt: skip


@router.post("/federate/{name}/run")
async def coordinated(request: Request, training: Named) -> Response:
    """Runs the server, and trains with the hospitals that join; goes on where it was stopped."""
    form = await form_in(request)
    _check_open(request, training)
    if await run_in_threadpool(agreed_in, training) is None or not training.sites:
        raise UsageError("run: write down what was agreed on, and the kits, first.")
    key, commands, secret = signing(form, "../..")
    words = run_words(training, form, key)
    request.app.state.acts.start(
        training, "federate", "Training with the hospitals", *commands, words, ["verify", training.file.name, "--json"],
        secret=secret,
        each=lambda said: training.choose(federated=said) if "output" in said and "bounds" in said else None,
    )  # fmt: skip
    return _to(training)


@router.post("/federate/{name}/publish")
async def published(request: Request, training: Named) -> Response:
    """Puts the generator into a hub."""
    form = await form_in(request)
    await publish(request, training, form, step="federate", file=training.file, first="train")
    return _to(training)


@router.post("/federate/{name}/stop")
async def stopped(request: Request, training: Named) -> Response:
    """Stops what runs, as Ctrl-C does: the training can go on later."""
    await form_in(request)
    request.app.state.acts.stop(training)
    return _to(training)


def _check_open(request: Request, training: Training) -> None:
    request.app.state.acts.check_free(training)
    if training.file.is_file():
        raise UsageError(f"{training.name} is signed; begin another one for another training.")


def _to(training: Training) -> Response:
    return RedirectResponse(f"/federate/{training.name}", 303)

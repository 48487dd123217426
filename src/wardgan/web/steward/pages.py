"""The steward's pages: each step shows what is known, and runs the verb that comes next."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from wardgan.errors import SchemaError, UsageError
from wardgan.web.forms import check_origin
from wardgan.web.pages import DOSSIER_POLICY
from wardgan.web.steward import declare
from wardgan.web.steward.fitting import fit_words, fitted_data, keep, train
from wardgan.web.steward.project import KEY, STEPS, MissingError, Project, begin, project_of, projects, text_of
from wardgan.web.steward.session import Session
from wardgan.web.steward.transfer import publish, received
from wardgan.web.steward.verbs import Acts, problem_of
from wardgan.web.steward.views import SHOWN, given_of, running, schema_page, shown

_LONGEST: Final = 2_000_000
_FIELDS: Final = 20_000


def session_in(request: Request) -> Session:
    """Gives the session, after it was checked.

    Args:
        request: What is asked.

    Raises:
        AccessError: It is not of this session.
    """
    session: Session = request.app.state.session
    session.check(request)
    return session


Sessioned = Annotated[Session, Depends(session_in)]


def project_in(request: Request, name: str, _: Sessioned) -> Project:
    """Gives the project that an address names, to whoever may see that there is one.

    Args:
        request: What is asked.
        name: Of the project.
    """
    return project_of(request.app.state.home, name)


Named = Annotated[Project, Depends(project_in)]
router: Final = APIRouter()


async def form_in(request: Request) -> dict[str, str]:
    """Gives the fields of a form of these pages, without files.

    Args:
        request: What is sent.

    Raises:
        AccessError: It is of other pages.
    """
    async with sent_in(request, count=0) as (form, _):
        return form


@asynccontextmanager
async def sent_in(request: Request, *, count: int = 1) -> AsyncIterator[tuple[dict[str, str], UploadFile | None]]:
    """Gives the fields of a form of these pages, and the file that came with it.

    Args:
        request: What is sent.
        count: How many files may come.

    Raises:
        AccessError: It is of other pages; then no file is read.
        UsageError: A field holds what no verb can be told.
    """
    session = session_in(request)
    check_origin(request)
    async with request.form(max_files=count, max_fields=_FIELDS, max_part_size=_LONGEST) as given:
        form = {key: value for key, value in given.multi_items() if isinstance(value, str)}
        session.check_form(request, form)
        if odd := next((name for name, value in form.items() if "\0" in value), None):
            raise UsageError(f"{odd[:40]}: it holds a character (NUL) that ends texts; write it without.")
        sent = given.get("file")
        yield form, sent if isinstance(sent, UploadFile) and sent.filename else None


@router.get("/open")
def opened(request: Request, word: str = "") -> Response:
    """Begins the session."""
    session: Session = request.app.state.session
    return session.open(word)


@router.get("/")
def index(request: Request, _: Sessioned) -> HTMLResponse:
    """Lists projects."""
    acts: Acts = request.app.state.acts
    found = [(one, one.step, acts.busy(one)) for one in projects(request.app.state.home)]
    return shown(request, "index.html", found=found, home=request.app.state.home)


@router.post("/projects")
async def made(request: Request) -> Response:
    """Begins a project with a file of patients."""
    async with sent_in(request) as (form, sent):
        if sent is None:
            raise UsageError("file: choose a file of patients.")
        project = begin(request.app.state.home, form.get("name", "").strip(), Path(sent.filename or "").suffix)
        await run_in_threadpool(_kept, project, sent)
    words = ["init", project.data.name, "-o", project.draft.name, "--name", project.name, "--json"]
    for option in ("patient", "visit"):
        if text := form.get(option, "").strip():
            words += [f"--{option}={text}"]
    request.app.state.acts.start(project, "schema", "Guessing the schema", words)
    return _to(project)


@router.get("/projects/{name}")
def current(project: Named, _: Sessioned) -> Response:
    """Leads to what is to be done next."""
    return _to(project)


@router.get("/projects/{name}/{step}")
def step(request: Request, project: Named, step: str, _: Sessioned) -> Response:
    """Shows a step, or how far its verb is."""
    if step not in STEPS:
        raise MissingError(f"There is no step {step[:30]!r}.")
    acts: Acts = request.app.state.acts
    act = acts.now(project)
    if act is not None and act.code is None:
        return running(request, project, act, f"/projects/{project.name}")
    if not project.reached(step):
        return RedirectResponse(f"/projects/{project.name}/{project.step}", 303)
    # What failed before its step could be opened is told where the project is.
    if act is not None and step != (act.step if project.reached(act.step) else project.step):
        act = None
    failed = None if act is None else problem_of(act)
    stopped = act is not None and act.stopping
    return SHOWN[step](request, project, {"act": act, "problem": failed, "stopped": stopped, "step": step})


@router.post("/projects/{name}/schema")
async def declared(request: Request, project: Named) -> Response:
    """Takes what the steward declares."""
    form = await form_in(request)
    try:
        found = await run_in_threadpool(_declared, project, form)
    except SchemaError as error:
        given = await run_in_threadpool(given_of, project)
        return schema_page(request, project, {"step": "schema", "problem": str(error)}, given, form)
    request.app.state.acts.start(
        project, "schema", "Checking the file", ["check", project.data.name, project.schema.name, "--json"],
        first=lambda: keep(project.schema, found),
    )  # fmt: skip
    return RedirectResponse(f"/projects/{project.name}/schema", 303)


@router.post("/projects/{name}/budget")
async def budgeted(request: Request, project: Named) -> Response:
    """Takes epsilon and a policy, and shows what would be spent; with `train` it begins."""
    form = await form_in(request)
    _check_reached(project, "budget")
    # What a fit was begun with stays: it may go on.
    begun = project.begun or request.app.state.acts.busy(project)
    names = ("policy",) if begun else ("epsilon", "delta", "policy", "family", "share", "counted_with")
    await run_in_threadpool(project.choose, **{name: form[name].strip() for name in names if name in form})
    if "train" in form:
        await run_in_threadpool(train, request.app.state.acts, project)
        return RedirectResponse(f"/projects/{project.name}/training", 303)
    return RedirectResponse(f"/projects/{project.name}/budget", 303)


@router.post("/projects/{name}/training")
async def resumed(request: Request, project: Named) -> Response:
    """Goes on with a fit that was stopped."""
    await form_in(request)
    _check_reached(project, "training")
    request.app.state.acts.start(project, "training", "Training", [*fit_words(project), "--resume"])
    return RedirectResponse(f"/projects/{project.name}/training", 303)


@router.post("/projects/{name}/stop")
async def stopped(request: Request, project: Named) -> Response:
    """Stops what runs."""
    await form_in(request)
    request.app.state.acts.stop(project)
    return _to(project)


@router.post("/projects/{name}/dossier")
async def assessed(request: Request, project: Named) -> Response:
    """Begins the dossier."""
    await form_in(request)
    _check_reached(project, "dossier")
    chosen = project.chosen
    words = ["dossier", project.run.name, "--data", fitted_data(project), "--policy", text_of(chosen, "policy"),
             "--json", "--force"]  # fmt: skip
    words += ["--holdout", project.holdout.name] if project.holdout.is_file() else []
    request.app.state.acts.start(project, "dossier", "Attacking and measuring", words)
    return RedirectResponse(f"/projects/{project.name}/dossier", 303)


@router.get("/projects/{name}/editions/{edition}")
def edition(project: Named, edition: str, _: Sessioned) -> Response:
    """Gives an edition of the dossier."""
    place = project.run / "dossier" / f"{edition}.html"
    if edition not in ("internal", "public") or not place.is_file():
        raise MissingError("There is no such edition of the dossier.")
    return FileResponse(place, media_type="text/html", headers={"Content-Security-Policy": DOSSIER_POLICY})


@router.post("/projects/{name}/release")
async def released(request: Request, project: Named) -> Response:
    """Signs the generator and its public dossier."""
    form = await form_in(request)
    _check_reached(project, "release")
    key, commands, secret = signing(form, "..")
    words = ["release", project.run.name, "-o", project.file.name, "--json", f"--key={key}"]
    words += [f"--override={form['override'].strip()}"] if form.get("override", "").strip() else []
    request.app.state.acts.start(
        project, "release", "Signing", *commands, words, ["verify", project.file.name, "--json"], secret=secret
    )
    return RedirectResponse(f"/projects/{project.name}/release", 303)


@router.post("/projects/{name}/publish")
async def published(request: Request, project: Named) -> Response:
    """Puts the release into a hub."""
    form = await form_in(request)
    _check_reached(project, "publish")
    await publish(request, project, form, step="publish", file=project.file, first="sign it")
    return RedirectResponse(f"/projects/{project.name}/publish", 303)


def signing(form: Mapping[str, str], home: str) -> tuple[str, list[list[str]], str | None]:
    """Gives the private key that a form means, the words that make it if it is new, and its passphrase.

    Args:
        form: What a person wrote.
        home: The steward's folder, as the verb sees it.

    Raises:
        UsageError: It names no key, and says not whose a new one shall be, or its passphrase differs.
    """
    key, hospital, secret = form.get("key", "").strip(), form.get("hospital", "").strip(), form.get("passphrase", "")
    if key:
        return key, [], secret or None
    if not hospital:
        raise UsageError(
            "key: name your private key, or say whose new one it shall be: receivers refuse what is unsigned."
        )
    if secret != form.get("again", ""):
        raise UsageError("passphrase: it was not the same twice; a key whose passphrase nobody knows is lost.")
    key = f"{home}/{KEY}"
    words = ["keys", "new", f"--output={key}", "--json", *(["--encrypt"] if secret else []), "--", hospital]
    return key, [words], secret or None


def _kept(project: Project, sent: UploadFile) -> None:
    place = project.folder / f"patients{Path(sent.filename or '').suffix.lower()}"
    try:
        received(sent, place)
        with place.open("rb") as found:
            project.choose(digest=hashlib.file_digest(found, "sha256").hexdigest())
    except BaseException:
        shutil.rmtree(project.folder, ignore_errors=True)
        raise


def _check_reached(project: Project, step: str) -> None:
    if not project.reached(step):
        raise UsageError(f"{step}: {project.step} comes first.")


def _to(project: Project) -> Response:
    return RedirectResponse(f"/projects/{project.name}/{project.step}", 303)


def _declared(project: Project, form: Mapping[str, str]) -> bytes:
    if "text" in form:
        found = declare.from_text(form["text"])
    else:
        given = given_of(project)
        if given is None:
            raise UsageError("The file could not be read, so there is nothing to declare yet.")
        found = declare.declared(given, form)
    return declare.schema_of(found).to_yaml().encode()

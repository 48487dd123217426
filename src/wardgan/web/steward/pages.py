"""The steward's pages: each step shows what is known, and runs the verb that comes next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from wardgan import files
from wardgan.errors import SchemaError, UsageError, WardganError
from wardgan.schema.schema import Schema
from wardgan.seal.card import BANNER, statement
from wardgan.seal.records import Claim
from wardgan.web.forms import check_origin
from wardgan.web.pages import DOSSIER_POLICY, rendered
from wardgan.web.steward import declare
from wardgan.web.steward.project import STEPS, Project, begin, project_of, projects, text_of
from wardgan.web.steward.session import Session
from wardgan.web.steward.verbs import Act, Acts, VerbError, ask, problem_of, progress_of

POLICIES: Final = {
    "strict": "epsilon up to 1; what cannot be judged refuses",
    "default": "epsilon up to 3",
    "research": "epsilon up to 10; for use under a contract",
}
_LONGEST: Final = 2_000_000
_FIELDS: Final = 20_000
_LEDGER: Final = "ledger.db"
_TABLE: Final = tuple("┏┃┡│└")
_UNCONFIRMED: Final = "Some values still come from patients: confirm them in the step before, or replace them."


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


def project_in(request: Request, name: str) -> Project:
    """Gives the project that an address names.

    Args:
        request: What is asked.
        name: Of the project.
    """
    return project_of(request.app.state.home, name)


Sessioned = Annotated[Session, Depends(session_in)]
Named = Annotated[Project, Depends(project_in)]
router: Final = APIRouter()


def shown(request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:  # noqa: ANN401
    """Gives a page.

    Args:
        request: Who asks.
        template: Its name.
        status: HTTP status.
        facts: What it shows.
    """
    session: Session = request.app.state.session
    common = {"path": request.url.path, "csrf": session.csrf, "steps": STEPS, "act": None, "progress": None,
              "problem": None, "project": None}  # fmt: skip
    return HTMLResponse(rendered(f"steward/{template}", common | facts), status)


def problem(request: Request, status: int, message: str) -> HTMLResponse:
    """Gives the page of a refusal.

    Args:
        request: Who asks.
        status: HTTP status.
        message: What is wrong, and the way out.
    """
    return shown(request, "problem.html", status, message=message, missing=status == 404)


async def form_in(request: Request) -> dict[str, str]:
    """Gives the fields of a form of these pages, without files.

    Args:
        request: What is sent.

    Raises:
        AccessError: It is of other pages.
    """
    session = session_in(request)
    check_origin(request)
    async with request.form(max_files=0, max_fields=_FIELDS, max_part_size=_LONGEST) as given:
        form = {key: value for key, value in given.multi_items() if isinstance(value, str)}
    session.check_form(request, form)
    return form


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
    session = session_in(request)
    # Before a file is read: whose page sends it.
    check_origin(request)
    async with request.form(max_files=1, max_fields=20, max_part_size=_LONGEST) as given:
        form = {key: value for key, value in given.multi_items() if isinstance(value, str)}
        session.check_form(request, form)
        sent = given.get("file")
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise UsageError("file: choose a file of patients.")
        project = begin(request.app.state.home, form.get("name", "").strip(), Path(sent.filename).suffix)
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
        raise UsageError(f"There is no step {step[:30]!r}.")
    acts: Acts = request.app.state.acts
    act = acts.now(project)
    if act is not None and act.code is None:
        return shown(request, "running.html", project=project, step=act.step, act=act, progress=_progress(project))
    if not project.reached(step):
        return RedirectResponse(f"/projects/{project.name}/{project.step}", 303)
    # What failed before its step could be opened is told where the project is.
    if act is not None and step != (act.step if project.reached(act.step) else project.step):
        act = None
    failed = None if act is None else problem_of(act)
    stopped = act is not None and act.stopping
    return _SHOWN[step](request, project, {"act": act, "problem": failed, "stopped": stopped, "step": step})


@router.post("/projects/{name}/schema")
async def declared(request: Request, project: Named) -> Response:
    """Takes what the steward declares."""
    form = await form_in(request)
    try:
        found = await run_in_threadpool(_declared, project, form)
    except SchemaError as error:
        given = await run_in_threadpool(_given, project)
        return _schema_page(request, project, {"step": "schema", "problem": str(error)}, given, form)
    request.app.state.acts.start(
        project, "schema", "Checking the file", ["check", project.data.name, project.schema.name, "--json"],
        first=lambda: _keep(project.schema, found),
    )  # fmt: skip
    return RedirectResponse(f"/projects/{project.name}/schema", 303)


@router.post("/projects/{name}/budget")
async def budgeted(request: Request, project: Named) -> Response:
    """Takes epsilon and a policy, and shows what would be spent; with `train` it begins."""
    form = await form_in(request)
    _check_reached(project, "budget")
    # What a fit was begun with stays: it may go on.
    begun = project.begun or request.app.state.acts.busy(project)
    names = ("policy",) if begun else ("epsilon", "delta", "policy", "family", "share")
    await run_in_threadpool(project.choose, **{name: form.get(name, "").strip() for name in names})
    if "train" in form:
        await run_in_threadpool(_train, request.app.state.acts, project)
        return RedirectResponse(f"/projects/{project.name}/training", 303)
    return RedirectResponse(f"/projects/{project.name}/budget", 303)


@router.post("/projects/{name}/training")
async def resumed(request: Request, project: Named) -> Response:
    """Goes on with a fit that was stopped."""
    await form_in(request)
    _check_reached(project, "training")
    request.app.state.acts.start(project, "training", "Training", [*_fit_words(project), "--resume"])
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
    chosen = project.choices
    words = ["dossier", project.run.name, "--data", _fitted_data(project), "--policy", text_of(chosen, "policy"),
             "--json", "--force"]  # fmt: skip
    words += ["--holdout", project.holdout.name] if project.holdout.is_file() else []
    request.app.state.acts.start(project, "dossier", "Attacking and measuring", words)
    return RedirectResponse(f"/projects/{project.name}/dossier", 303)


@router.get("/projects/{name}/editions/{edition}")
def edition(project: Named, edition: str, _: Sessioned) -> Response:
    """Gives an edition of the dossier."""
    place = project.run / "dossier" / f"{edition}.html"
    if edition not in ("internal", "public") or not place.is_file():
        raise UsageError("There is no such edition of the dossier.")
    return FileResponse(place, media_type="text/html", headers={"Content-Security-Policy": DOSSIER_POLICY})


@router.post("/projects/{name}/release")
async def released(request: Request, project: Named) -> Response:
    """Signs the generator and its public dossier."""
    form = await form_in(request)
    _check_reached(project, "release")
    key, hospital = form.get("key", "").strip(), form.get("hospital", "").strip()
    commands: list[list[str]] = []
    if hospital and not key:
        key = "signing.key"
        encrypt = ["--encrypt"] if form.get("passphrase") else []
        commands.append(["keys", "new", hospital, "-o", key, "--json", *encrypt])
    words = ["release", project.run.name, "-o", project.file.name, "--json"]
    words += ["--key", key] if key else []
    words += ["--override", form["override"].strip()] if form.get("override", "").strip() else []
    request.app.state.acts.start(
        project, "release", "Signing", *commands, words, ["verify", project.file.name, "--json"],
        secret=form.get("passphrase") or None,
    )  # fmt: skip
    return RedirectResponse(f"/projects/{project.name}/release", 303)


@router.post("/projects/{name}/publish")
async def published(request: Request, project: Named) -> Response:
    """Puts the release into a hub."""
    form = await form_in(request)
    _check_reached(project, "publish")
    target = form.get("target", "").strip()
    if not target:
        raise UsageError("target: say where it shall be, such as /srv/hub:cardio/sprint:1.0.")
    await run_in_threadpool(project.choose, target=target)
    request.app.state.acts.start(project, "publish", "Publishing", ["push", project.file.name, target, "--json"])
    return RedirectResponse(f"/projects/{project.name}/publish", 303)


def _kept(project: Project, sent: UploadFile) -> None:
    place = project.folder / f"patients{Path(sent.filename or '').suffix.lower()}"
    try:
        with files.new_file(place, force=False, mode=0o600) as target:
            shutil.copyfileobj(sent.file, target, 1 << 20)
    except BaseException:
        shutil.rmtree(project.folder, ignore_errors=True)
        raise


def _keep(place: Path, found: bytes) -> None:
    files.write_bytes(place, found, force=True, mode=0o600)


def _check_reached(project: Project, step: str) -> None:
    if not project.reached(step):
        raise UsageError(f"{step}: {project.step} comes first.")


def _to(project: Project) -> Response:
    return RedirectResponse(f"/projects/{project.name}/{project.step}", 303)


def _progress(project: Project) -> Mapping[str, Any] | None:
    try:
        return json.loads(progress_of(project).read_bytes())
    except (OSError, ValueError):
        return None


def _given(project: Project) -> dict[str, Any] | None:
    place = project.schema if project.schema.is_file() else project.draft
    return declare.load(place) if place.is_file() else None


def _declared(project: Project, form: Mapping[str, str]) -> bytes:
    if "text" in form:
        found = declare.from_text(form["text"])
    else:
        given = _given(project)
        if given is None:
            raise UsageError("The file could not be read, so there is nothing to declare yet.")
        found = declare.declared(given, form)
    return declare.schema_of(found).to_yaml().encode()


def _fitted_data(project: Project) -> str:
    return (project.train if project.train.is_file() else project.data).name


def _train(acts: Acts, project: Project) -> None:
    """Sets patients aside, and fits to the others."""
    _check_free(project)
    acts.check_free(project)
    chosen = project.choices
    schema = Schema.load(project.schema)
    if schema.confirm:
        raise UsageError(_UNCONFIRMED)
    # What cannot be planned does not begin.
    if (wrong := _planned(project, chosen).get("problem")) is not None:
        raise UsageError(str(wrong))
    share = _share_of(chosen)

    def first() -> None:
        _check_free(project)
        _keep(project.fitted, declare.for_fit(schema, share).to_yaml().encode())
        for place in (project.train, project.holdout):
            place.unlink(missing_ok=True)

    commands: list[list[str]] = []
    if share:
        commands.append(["split", project.data.name, project.schema.name, "-o", project.train.name, "--holdout",
                         project.holdout.name, "--share", f"{share:g}", "--json"])  # fmt: skip
    source = project.train.name if share else project.data.name
    acts.start(project, "training", "Training", *commands, _fit_words(project, source), first=first)


def _check_free(project: Project) -> None:
    if project.begun:
        raise UsageError(
            f"{project.name} is trained already, or was begun; another fit costs again: begin a new project for it."
        )


def _share_of(chosen: Mapping[str, object]) -> float:
    try:
        share = float(text_of(chosen, "share") or "0.5")
    except ValueError as error:
        raise UsageError("share: it is not a number.") from error
    if not 0 <= share < 1:
        raise UsageError(f"share={share:g} is not at least 0 and below 1.")
    return share


def _fit_words(project: Project, source: str | None = None) -> list[str]:
    chosen = project.choices
    return [
        "fit", source or _fitted_data(project), project.fitted.name, "-o", project.run.name,
        f"--epsilon={text_of(chosen, 'epsilon')}", f"--delta={text_of(chosen, 'delta') or '1e-5'}",
        f"--family={text_of(chosen, 'family') or 'auto'}", "--ledger", str(project.folder.parent / _LEDGER),
        "--dataset", project.name, "--json",
    ]  # fmt: skip


def _schema_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    act: Act | None = facts["act"]
    last = act.answers[-1] if act is not None and act.answers else {}
    more = {"findings": last.get("findings"), "notices": last.get("notices"), "ok": last.get("ok")}
    if last.get("findings"):
        facts = facts | {"problem": None}
    return _schema_page(request, project, facts | more, _given(project), {})


def _schema_page(
    request: Request, project: Project, facts: dict[str, Any], given: dict[str, Any] | None, form: Mapping[str, str]
) -> HTMLResponse:
    none: dict[str, Any] = {"findings": None, "notices": None, "ok": None, "stopped": False, "act": None}
    rows = [] if given is None else declare.rows_of(given)
    others = [] if given is None else declare.others_waiting(given)
    version = "" if given is None else declare.version_of(given)
    text = form.get("text") or ("" if given is None else declare.schema_of(given).to_yaml())
    return shown(request, "schema.html", project=project, given=given, rows=rows, others=others, kinds=declare.KINDS,
                 text=text, form=form, version=version, **(none | facts))  # fmt: skip


def _budget_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    chosen = project.choices
    more: dict[str, Any] = {"plan": None, "told": "", "claim": "", "bill": None, "policies": POLICIES, "chosen": chosen}
    schema = declare.load(project.schema)
    if schema.get("confirm"):
        more["problem"] = _UNCONFIRMED
    elif text_of(chosen, "epsilon"):
        more |= _planned(project, chosen)
        more["bill"] = None if more["plan"] is None else _bill(project, float(text_of(chosen, "epsilon")))
    more |= {"problem": more.get("problem") or facts["problem"], "begun": project.begun}
    return shown(request, "budget.html", project=project, **(facts | more))


def _planned(project: Project, chosen: Mapping[str, object]) -> dict[str, Any]:
    """Gives what a fit would spend, also in words; or why none can be planned."""
    try:
        epsilon, delta = float(text_of(chosen, "epsilon")), float(text_of(chosen, "delta") or "1e-5")
        share = _share_of(chosen)
        if not project.begun:
            _keep(project.fitted, declare.for_fit(Schema.load(project.schema), share).to_yaml().encode())
        found, told = ask(
            project, "plan", project.fitted.name, f"--epsilon={epsilon!r}", f"--delta={delta!r}",
            f"--family={text_of(chosen, 'family') or 'auto'}",
        )  # fmt: skip
    except (VerbError, WardganError) as error:
        return {"problem": str(error)}
    except ValueError:
        return {"problem": "epsilon and delta are numbers, such as 1 and 1e-5."}
    words = statement(Claim(mode="private", epsilon=epsilon, delta=delta)).replace("**", "").replace(BANNER, "")
    # The page has a table of its own.
    told = "\n".join(line for line in told.splitlines() if not line.startswith(_TABLE))
    return {"plan": found, "told": told, "claim": words}


def _bill(project: Project, epsilon: float) -> dict[str, Any] | None:
    """Gives what was spent on these patients before, and the cap, from the institution's ledger."""
    ledger = project.folder.parent / _LEDGER
    if not ledger.is_file():
        return None
    try:
        found, _ = ask(project, "ledger", "show", "--ledger", str(ledger))
    except VerbError:
        return None
    pages = [page for page in found.get("datasets", ()) if project.name in page["names"]]
    if not pages:
        return None
    spent, caps = pages[0]["total"]["epsilon"], pages[0]["caps"]
    limit = min((float(one["epsilon"]) for one in caps), default=None)
    # This fit is among what was spent, once it was begun.
    more = 0.0 if project.begun else epsilon
    return {"spent": spent, "cap": limit, "after": None if spent is None else spent + more}


def _training_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    return shown(request, "training.html", project=project, done=(project.run / "trained.json").is_file(), **facts)


def _dossier_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    place = project.run / "dossier" / "internal.json"
    overall = None
    if place.is_file():
        overall = json.loads(place.read_bytes()).get("overall")
    act: Act | None = facts["act"]
    notes = act.answers[-1].get("notes", []) if act is not None and act.answers else []
    return shown(
        request, "dossier.html", project=project, overall=overall, notes=notes, chosen=project.choices, **facts
    )


def _release_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    key = project.folder / "signing.key"
    return shown(request, "release.html", project=project, done=project.file.is_file(), key=key.is_file(), **facts)


def _publish_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    act: Act | None = facts["act"]
    pushed = act.answers[-1] if act is not None and act.code == 0 and act.answers else {}
    return shown(request, "publish.html", project=project, chosen=project.choices, pushed=pushed.get("target"), **facts)


_SHOWN: Final = {
    "schema": _schema_step, "budget": _budget_step, "training": _training_step, "dossier": _dossier_step,
    "release": _release_step, "publish": _publish_step,
}  # fmt: skip

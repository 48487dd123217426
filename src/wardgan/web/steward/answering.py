"""The steward's pages where a hospital answers a survey of several: a fit like any other, and then its tables."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.errors import UsageError
from wardgan.web.steward.pages import Named, Sessioned, form_in, sent_in, signing
from wardgan.web.steward.project import MissingError, Project, key_seen, text_of
from wardgan.web.steward.transfer import received
from wardgan.web.steward.verbs import Acts, problem_of
from wardgan.web.steward.views import running, shown

router: Final = APIRouter()


@router.post("/projects/{name}/survey")
async def asked(request: Request, project: Named) -> Response:
    """Takes the survey that this project's fit shall answer, or takes it away again."""
    async with sent_in(request) as (_, sent):
        acts: Acts = request.app.state.acts
        acts.check_free(project)
        if not project.reached("budget"):
            raise UsageError("survey: the schema comes first.")
        if project.begun:
            raise UsageError(f"survey: {project.name} was trained, or was begun; begin a new project to answer one.")
        before = project.survey.is_file()
        await run_in_threadpool(project.survey.unlink, missing_ok=True)
        if sent is not None:
            await run_in_threadpool(received, sent, project.survey)
            # Noisy tables have no dossier, so nobody need be set aside for one.
            await run_in_threadpool(project.choose, share="0")
        elif before and text_of(project.chosen, "share") == "0":
            await run_in_threadpool(project.choose, share=None)  # an ordinary fit has one
    return RedirectResponse(f"/projects/{project.name}/budget", 303)


@router.get("/projects/{name}/tables")
def page(request: Request, project: Named, _: Sessioned) -> Response:
    """Shows what of the answers may leave."""
    if not (project.begun and project.survey.is_file()):
        return RedirectResponse(f"/projects/{project.name}/{project.step}", 303)
    acts: Acts = request.app.state.acts
    act = acts.now(project)
    if act is not None and act.code is None:
        return running(request, project, act, f"/projects/{project.name}")
    failed = problem_of(act) if act is not None and act.title == _TITLE else None
    key = key_seen(request.app.state.home, project.folder)
    return shown(
        request, "tables.html", project=project, step="training", problem=failed, key=key, done=project.tables.is_file()
    )


_TITLE: Final = "Writing the noisy tables"


@router.post("/projects/{name}/tables")
async def written(request: Request, project: Named) -> Response:
    """Writes the noisy tables to a file that may leave."""
    form = await form_in(request)
    _check_answered(project)
    key, commands, secret = signing(form, "..")
    words = ["pool", "tables", project.run.name, "-o", project.tables.name, f"--key={key}", "--force", "--json"]
    request.app.state.acts.start(project, "training", _TITLE, *commands, words, secret=secret)
    return RedirectResponse(f"/projects/{project.name}/tables", 303)


@router.get("/projects/{name}/tables/file")
def given(project: Named, _: Sessioned) -> Response:
    """Gives the file of noisy tables."""
    if not project.tables.is_file():
        raise MissingError("There are no tables yet.")
    return FileResponse(project.tables, media_type="application/octet-stream", filename=project.tables.name)


def _check_answered(project: Project) -> None:
    if not (project.begun and project.survey.is_file()):
        raise UsageError("tables: bring a survey, and train with it first.")

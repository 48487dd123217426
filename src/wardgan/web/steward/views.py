"""What each step of a project shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from wardgan.web.pages import rendered
from wardgan.web.steward import declare
from wardgan.web.steward.fitting import UNCONFIRMED, bill, counted, data_sets, families, planned
from wardgan.web.steward.pool import survey_in
from wardgan.web.steward.project import STEPS, Kept, Project, key_seen, text_of
from wardgan.web.steward.session import Session
from wardgan.web.steward.verbs import Act, progress_of

POLICIES: Final = {
    "strict": "epsilon up to 1; what cannot be judged refuses",
    "default": "epsilon up to 3",
    "research": "epsilon up to 10; for use under a contract",
}


_PLACES: Final = ("projects", "combine", "pool", "federate")


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
    parts = request.url.path.split("/")
    # A page of the project that the question was about, for whoever may see that there is one.
    back = "/".join(parts[:3]) if len(parts) > 3 and parts[1] in _PLACES and status != 403 else ""
    return shown(request, "problem.html", status, message=message, missing=status == 404, back=back)


def running(request: Request, kept: Kept, act: Act, at: str) -> HTMLResponse:
    """Gives the page of a verb that runs.

    Args:
        request: Who asks.
        kept: Whose.
        act: What runs.
        at: Address of what it belongs to, under which it can be stopped.
    """
    project = kept if isinstance(kept, Project) else None
    return shown(request, "running.html", project=project, step=act.step, act=act, progress=progress_in(kept), at=at)


def progress_in(project: Kept) -> Mapping[str, Any] | None:
    """Gives how far a verb is; `None` if it has not told yet.

    Args:
        project: Whose.
    """
    try:
        return json.loads(progress_of(project).read_bytes())
    except (OSError, ValueError):
        return None


def given_of(project: Project) -> dict[str, Any] | None:
    """Gives what is declared, or else the draft; `None` if there is neither.

    Args:
        project: Whose.
    """
    place = project.schema if project.schema.is_file() else project.draft
    return declare.load(place) if place.is_file() else None


def _schema_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    act: Act | None = facts["act"]
    last = act.answers[-1] if act is not None and act.answers else {}
    more = {"findings": last.get("findings"), "notices": last.get("notices"), "ok": last.get("ok")}
    if last.get("findings"):
        facts = facts | {"problem": None}
    return schema_page(request, project, facts | more, given_of(project), {})


def schema_page(
    request: Request, project: Project, facts: dict[str, Any], given: dict[str, Any] | None, form: Mapping[str, str]
) -> HTMLResponse:
    """Shows the form of a schema.

    Args:
        request: Who asks.
        project: Whose.
        facts: What the last check found.
        given: The schema.
        form: What somebody wrote, if it was refused.
    """
    none: dict[str, Any] = {"findings": None, "notices": None, "ok": None, "stopped": False, "act": None}
    rows = [] if given is None else declare.rows_of(given)
    others = [] if given is None else declare.others_waiting(given)
    version = "" if given is None else declare.version_of(given)
    text = form.get("text") or ("" if given is None else declare.schema_of(given).to_yaml())
    return shown(request, "schema.html", project=project, given=given, rows=rows, others=others, kinds=declare.KINDS,
                 text=text, form=form, version=version, **(none | facts))  # fmt: skip


def _budget_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    chosen, known = project.chosen, counted(project)
    more: dict[str, Any] = {"plan": None, "told": "", "claim": "", "bill": None, "policies": POLICIES, "chosen": chosen}
    schema = declare.load(project.schema)
    if schema.get("confirm"):
        more["problem"] = UNCONFIRMED
    elif text_of(chosen, "epsilon"):
        more |= planned(project, chosen)
        more["bill"] = None if more["plan"] is None else bill(project, float(text_of(chosen, "epsilon")), known)
    more |= {"problem": more.get("problem") or facts["problem"], "begun": project.begun}
    more["same"] = text_of(chosen, "dataset") if project.begun else project.same
    more |= {"datasets": data_sets(project, known), "families": families(project)}
    more["survey"] = survey_in(project.survey)
    return shown(request, "budget.html", project=project, **(facts | more))


def _training_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    return shown(request, "training.html", project=project, done=(project.run / "trained.json").is_file(), **facts)


def _dossier_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    place = project.run / "dossier" / "internal.json"
    found = json.loads(place.read_bytes()) if project.measured and place.is_file() else {}
    act: Act | None = facts["act"]
    notes = act.answers[-1].get("notes", []) if act is not None and act.answers else []
    return shown(
        request,
        "dossier.html",
        project=project,
        overall=found.get("overall"),
        gates=found.get("judgements", ()),
        notes=notes,
        chosen=project.chosen,
        **facts,
    )


def _release_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    # One for all projects of a steward.
    key = key_seen(project.folder.parent, project.folder)
    return shown(request, "release.html", project=project, done=project.file.is_file(), key=key, **facts)


def _publish_step(request: Request, project: Project, facts: dict[str, Any]) -> HTMLResponse:
    chosen = project.chosen
    return shown(request, "publish.html", project=project, chosen=chosen, pushed=chosen.get("published"), **facts)


SHOWN: Final = {
    "schema": _schema_step, "budget": _budget_step, "training": _training_step, "dossier": _dossier_step,
    "release": _release_step, "publish": _publish_step,
}  # fmt: skip

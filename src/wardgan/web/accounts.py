"""Pages of accounts: sign in and out, what somebody may, terms to be accepted."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from wardgan.access.rules import AccessError
from wardgan.errors import HubError
from wardgan.web.api import Stocked, stock_in
from wardgan.web.desk import Desk
from wardgan.web.doors import Passing, door_of
from wardgan.web.forms import LONGEST, form_of
from wardgan.web.oidc import LIFE, Provider
from wardgan.web.pages import shown

router: Final = APIRouter(include_in_schema=False)


def desk_of(request: Request) -> Desk:
    """Gives the desk.

    Args:
        request: What is asked.

    Raises:
        HubError: The hub has no accounts.
    """
    found: Desk | None = request.app.state.desk
    if found is None:
        raise HubError("This hub has no accounts.")
    return found


@router.get("/sign-in")
def sign_in(request: Request, following: str = "/") -> HTMLResponse:
    """Shows the form that begins a session."""
    desk_of(request)
    return _sign_in_page(request, following)


@router.post("/sign-in")
async def signed_in(request: Request) -> Response:
    """Begins a session."""
    desk = desk_of(request)
    form = await form_of(request, session=False)
    following = _place(form.get("following", "/"))
    response = RedirectResponse(following, 303)
    try:
        await run_in_threadpool(desk.sign_in, request, response, form.get("token", "").strip())
    except AccessError as error:
        return await run_in_threadpool(_sign_in_page, request, following, str(error))
    return response


@router.get("/sign-in/elsewhere")
def elsewhere(request: Request, following: str = "/") -> Response:
    """Leads to the identity provider."""
    desk, provider = desk_of(request), _provider_of(request)
    desk.may_begin(request)
    place, state = provider.begin(_back(request), _place(following))
    response = RedirectResponse(place, 303)
    desk.keep_state(response, state, int(LIFE))
    return response


@router.get("/sign-in/back")
def back(request: Request) -> Response:
    """Begins a session of whom the provider knows."""
    desk, provider = desk_of(request), _provider_of(request)
    person = provider.finish(request.query_params, desk.state_in(request))
    # A page, and no redirection, which a browser would take for the other site's.
    response = shown(request, "welcome.html", following=person.following)
    desk.welcome(request, response, person)
    desk.keep_state(response, "", 0)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends a session."""
    desk = desk_of(request)
    await form_of(request)
    response = RedirectResponse("/", 303)
    await run_in_threadpool(desk.sign_out, request, response)
    return response


@router.get("/account")
def account(request: Request, stock: Stocked, door: Passing) -> HTMLResponse:
    """Shows what somebody may."""
    desk = desk_of(request)
    if door.visitor.account is None:
        raise AccessError("Sign in first.", "sign in")
    mine = [one for one in desk.rules.grants() if one[0] == door.visitor.account.name]
    limited = []
    policies = desk.rules.for_names(sorted({one.name for one in stock.shelf.entries}))
    for name, policy in policies.items():
        if policy.limited and (spent := desk.rules.spent(door.visitor.account, name)):
            limited.append((name, spent, policy.rows))
    return shown(request, "account.html", account=door.visitor.account, grants=mine, limited=limited)


@router.get("/terms/{label:path}")
def terms(request: Request, stock: Stocked, door: Passing, label: str) -> HTMLResponse:
    """Shows the terms of a release."""
    desk, entry = desk_of(request), stock.entry(label)
    policy = desk.rules.of(entry.name)
    if policy.terms is None:
        raise HubError(f"{label} has no terms that must be accepted.")
    facts: dict[str, Any] = {"entry": entry, "policy": policy, "text": desk.rules.terms(policy)}
    return shown(request, "terms.html", accepted=desk.rules.accepted(door.visitor.account, policy), **facts)


@router.post("/terms/{label:path}")
async def accepted(request: Request, label: str) -> Response:
    """Accepts terms."""
    desk = desk_of(request)
    form = await form_of(request)

    def accept() -> str:
        door, entry = door_of(request), stock_in(request).entry(label)
        if door.visitor.account is None:
            raise AccessError("Sign in first.", "sign in")
        desk.rules.accept(door.visitor.account, desk.rules.of(entry.name), form.get("digest", ""))
        return f"{entry.name}:{entry.tag}"

    return RedirectResponse("/releases/" + quote(await run_in_threadpool(accept), safe="/:"), 303)


def _sign_in_page(request: Request, following: str, wrong: str | None = None) -> HTMLResponse:
    provider: Provider | None = request.app.state.provider
    host = None if provider is None else provider.host
    return shown(
        request, "sign_in.html", 200 if wrong is None else 401, following=_place(following), wrong=wrong, provider=host
    )


def _provider_of(request: Request) -> Provider:
    found: Provider | None = request.app.state.provider
    if found is None:
        raise HubError("This hub has no sign-in with a provider.")
    return found


def _back(request: Request) -> str:
    """Gives where the provider leads back to; under which names this hub may be asked is checked before."""
    desk = desk_of(request)
    return f"{'https' if desk.secure else 'http'}://{request.headers['host']}/sign-in/back"


def _place(text: str) -> str:
    """Gives a page of this hub to go on with, and the list for anything else."""
    fine = (
        text.startswith("/")
        and not text.startswith("/api/")
        and not text.startswith(("//", "/\\"))
        and text.isprintable()
        and len(text) < LONGEST
    )
    return text if fine else "/"

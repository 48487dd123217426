"""The pages of a hub, for people; everything works without JavaScript but the live preview."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from wardgan._version import __version__
from wardgan.access.rules import TIERS, AccessError, LimitError
from wardgan.errors import HubError, TrustError, UsageError, WardganError
from wardgan.hub.store import UnreachableError
from wardgan.schema.duo import uses_of
from wardgan.seal.card import BANNER, statement
from wardgan.web import glance
from wardgan.web.api import Chosen, Stocked, Words, seed_of
from wardgan.web.desk import Visitor
from wardgan.web.doors import Door, Passing, door_of
from wardgan.web.numbers import upward
from wardgan.web.preview import Asked, check_count, most_of, where_of
from wardgan.web.shelf import FACETS, PAGE
from wardgan.web.tasks import privacy
from wardgan.web.workers import BusyError

router: Final = APIRouter(include_in_schema=False, dependencies=[Depends(door_of)])
_CONTROLS: Final = 40
_VALUES: Final = 12
_ALL: Final = 1_000
# A dossier brings its own style and nothing else; it may do nothing.
DOSSIER_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'"


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {"upward": upward, "size": glance.size, "bound": glance.bound, "term": glance.term}
    found.filters["path"] = lambda text: quote(str(text), safe="/:")
    found.globals |= {"version": __version__, "facet_names": FACETS, "privacy": privacy}
    return found


_PAGES: Final = _environment()


def shown(request: Request, name: str, status: int = 200, **facts: Any) -> HTMLResponse:  # noqa: ANN401
    """Gives a page.

    Args:
        request: Who asks.
        name: Of its template.
        status: HTTP status.
        facts: What the template shows.
    """
    door: Door = getattr(request.state, "door", None) or Door(request.app.state.desk, Visitor(None, None, ""))
    desk = door.desk
    outside = desk is not None and desk.closed and door.visitor.account is None
    common = {
        "trouble": None if outside else request.app.state.stock.trouble, "path": request.url.path,
        "visitor": door.visitor, "desk": desk is not None,
        "csrf": desk.csrf(door.visitor) if desk and door.visitor.nonce else "",
    }  # fmt: skip
    return HTMLResponse(rendered(name, {**common, **facts}), status)


def rendered(name: str, facts: Mapping[str, Any]) -> str:
    """Gives the text of a page.

    Args:
        name: Of its template.
        facts: What it shows.
    """
    return _PAGES.get_template(name).render(**facts)


def problem(request: Request, status: int, message: str) -> HTMLResponse:
    """Gives the page of a refusal.

    Args:
        request: Who asks.
        status: HTTP status.
        message: What is wrong, and the way out.
    """
    return shown(request, "problem.html", status, message=message, missing=status == 404)


@router.get("/")
def index(
    request: Request, stock: Stocked, chosen: Chosen, q: Words = "", page: Annotated[int, Query(ge=1, le=100_000)] = 1
) -> Response:
    """Lists what the hub has."""
    found = stock.shelf.find(q, chosen, offset=(page - 1) * PAGE)
    pages = max(1, -(-found.total // PAGE))

    def link(**changes: object) -> str:
        return "/?" + _query({"q": q, **chosen, **changes})

    if page > pages:
        return RedirectResponse(link(page=pages), 303)
    facets = [
        (facet, FACETS[facet], [(value, count, link(**{facet: value})) for value, count in every[:_VALUES]], len(every))
        for facet, every in found.facets.items()
        if every
    ]
    return shown(
        request, "index.html", found=found, facets=facets, q=q, chosen=chosen, page=page, link=link, pages=pages,
        broken=stock.shelf.broken, query=_query({"q": q, **chosen}),
    )  # fmt: skip


@router.get("/filters/{facet}")
def filters(request: Request, stock: Stocked, facet: str, chosen: Chosen, q: Words = "") -> HTMLResponse:
    """Lists all values of a facet."""
    if facet not in FACETS:
        raise HubError(f"There is no filter {facet[:30]!r}; there are {', '.join(FACETS)}.")
    others = {name: value for name, value in chosen.items() if name != facet}
    values = stock.shelf.find(q, others, limit=0).facets[facet][:_ALL]
    links = [(value, count, "/?" + _query({"q": q, **others, facet: value})) for value, count in values]
    return shown(request, "filters.html", title=FACETS[facet], links=links)


@router.get("/releases/{label:path}")
def release(request: Request, stock: Stocked, door: Passing, label: str) -> HTMLResponse:
    """Shows one release."""
    entry = stock.entry(label)
    door.look()
    seen = glance.glance_of(stock, entry)
    target = f"{request.base_url}{entry.name}:{entry.tag}@{entry.digest}"
    # The badge above says already that it is not private.
    words = statement(entry.privacy).replace("**", "").replace(BANNER, "").strip()
    return shown(
        request, "release.html", entry=entry, facts=seen.facts, closed=seen.closed, missing=seen.missing,
        versions=stock.shelf.versions(entry.name),
        statement=words, target=target, policy=door.policy(entry), may=door.may(entry), tiers=TIERS,
        uses=uses_of(entry.schema.terms) if entry.schema else (), others=door.policies(entry),
    )  # fmt: skip


@router.get("/files/{label:path}")
def file(stock: Stocked, door: Passing, label: str) -> Response:
    """Leads to the file of a release, or to what must be done before."""
    entry = stock.entry(label)
    if door.desk is not None:
        door.desk.check(door.visitor, entry, "file")
    return RedirectResponse("/api/v1/files/" + quote(f"{entry.name}:{entry.tag}", safe="/:"), 303)


@router.get("/dossiers/{label:path}")
def dossier(stock: Stocked, door: Passing, label: str) -> HTMLResponse:
    """Shows the public dossier of a release, drawn anew from its generator."""
    entry = stock.entry(label)
    door.look()
    if entry.kind == "mixture":
        raise UsageError(f"{label} is combined, and has no dossier of its own; those of its members are in its file.")
    facts = stock.glance(entry)
    if facts is not None and facts.verdict is None:
        raise HubError(f"{label} has no dossier: nobody has measured what it gives away or what it is good for.")
    text = stock.card(entry, "html")
    return HTMLResponse(text, headers={"Content-Security-Policy": DOSSIER_POLICY})


@router.get("/play/{label:path}")
def play(
    request: Request, stock: Stocked, door: Passing, label: str, seed: str = "", n: str = "20", balance: str = ""
) -> Response:
    """Shows synthetic patients of a release, chosen by a form; an address shows the same ones for ever."""
    entry = stock.entry(label)
    schema = entry.schema
    if schema is None:
        raise HubError(f"{label} has no schema.")  # pragma: no cover - a shelf holds releases with theirs
    form = dict(request.query_params)
    if not seed.strip() or form.get("again"):
        fresh = {**form, "seed": seed_of(None), "again": ""}
        return RedirectResponse(f"{request.url.path}?{_query(fresh)}", 303)
    number = whole(seed, "seed", 0)
    asked = Asked(whole(n, "n", 20), number, where_of(form, schema), balance or None)
    try:
        check_count(asked.n, schema)
        with door.drawing(entry, asked, "page") as counted:
            found, trouble, status = stock.preview(entry, asked, base=not counted), None, 200
    except (AccessError, BusyError, LimitError, UnreachableError):
        raise
    except WardganError as error:
        found, trouble, status = None, str(error), 403 if isinstance(error, TrustError) else 400
    columns = [one for one in schema.table if one.levels or one.kind == "flag" or one.low is not None]
    query = [("n", 10_000 if asked.n < 10_000 else asked.n), ("seed", asked.seed)]
    query += [("where", text) for text in asked.where] + ([("balance", balance)] if balance else [])
    return shown(
        request, "play.html", status, entry=entry, found=found, form=form, asked=asked, wrong=trouble,
        columns=columns[:_CONTROLS], hidden=max(0, len(columns) - _CONTROLS),
        labels=[one for one in schema.columns if one.label], download=urlencode(query), visits=schema.visits,
        images=schema.images is not None, most=most_of(schema),
    )  # fmt: skip


@router.get("/compare")
def compare(request: Request, stock: Stocked, door: Passing, a: str = "", b: str = "") -> Response:
    """Shows two releases side by side."""
    names = [f"{one.name}:{one.tag}" for one in stock.shelf.entries[:1_000]]
    if not a or not b:
        return shown(request, "compare.html", names=names, a=a, b=b, rows=None, figures=(), wrong=None)
    pair = stock.entry(a), stock.entry(b)
    closed = next((why for why in map(door.compare, pair) if why), None)
    rows, figures, wrong = glance.beside(stock, *pair, closed)
    return shown(request, "compare.html", names=names, a=a, b=b, rows=rows, figures=figures, wrong=wrong)


@router.get("/statistics")
def statistics(request: Request, stock: Stocked) -> HTMLResponse:
    """Shows how many releases there are of which kind."""
    found = stock.shelf.find(limit=0)
    return shown(request, "statistics.html", found=found, names=len({one.name for one in stock.shelf.entries}))


def _query(fields: Mapping[str, object]) -> str:
    """Gives the part of an address behind the question mark, without what is empty."""
    return urlencode({name: value for name, value in fields.items() if value not in ("", None)})


def whole(text: str, name: str, usual: int) -> int:
    """Gives a whole number that a form holds, or what is usual.

    Args:
        text: What it holds.
        name: Of the field.
        usual: For an empty one.

    Raises:
        UsageError: It is none.
    """
    if not text.strip():
        return usual
    if not text.strip().isdecimal() or len(text.strip()) > 15:
        raise UsageError(f"{name}={text[:30]!r} is not a whole number.")
    return int(text)

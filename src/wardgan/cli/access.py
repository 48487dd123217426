"""`wardgan access`: what the releases of a hub may be used for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from wardgan.cli.options import HubDatabase, Json
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Tiers, terms and grants of a hub's releases.")
Pattern = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as cardio/sprint, cardio/* for all that begin so, or * for all.")
]
Who = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of an account.")]


@app.command("set")
def set_(
    name: Pattern,
    tier: Annotated[str, typer.Argument(metavar="TIER", help="public, registered, terms or sample-only.")],
    terms: Annotated[
        Path | None, typer.Option("--terms", metavar="FILE", help="Text that must be accepted.", show_default=False)
    ] = None,
    granted: Annotated[
        bool, typer.Option("--granted", help="Only for accounts that were granted it; always so for sample-only.")
    ] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            help="sample-only: how many patients of each release an account may draw each day.",
            show_default="10000",
        ),
    ] = None,
    database: HubDatabase = "hub.db",
) -> None:
    """Say who may draw patients of a release, and who may take its generator."""
    from wardgan.access.database import Database
    from wardgan.access.rules import TIERS, Rules, default

    text = None if terms is None else _text(terms)
    with Database(database, new=False) as known:
        found = Rules(known, default("registered")).set(name, tier, text=text, granted=granted, rows=rows)
    say(screen(errors=True), f"{found.pattern}: {TIERS[found.tier]}.", style="bold green")


@app.command("unset")
def unset(name: Pattern, database: HubDatabase = "hub.db") -> None:
    """Take a policy back; then that of a shorter beginning holds, or the one that `serve` was started with."""
    from wardgan.access.database import Database
    from wardgan.access.rules import Rules, default

    with Database(database, new=False) as known:
        Rules(known, default("registered")).unset(name)
    say(screen(errors=True), f"{name} has no policy of its own any more.", style="bold green")


@app.command("grant")
def grant(account: Who, name: Pattern, database: HubDatabase = "hub.db") -> None:
    """Grant an account the use of releases that want it."""
    from wardgan.access.database import Database
    from wardgan.access.rules import Rules, default

    with Database(database, new=False) as known:
        Rules(known, default("registered")).grant(account, name)
    say(screen(errors=True), f"{account} may use {name}.", style="bold green")


@app.command("withdraw")
def withdraw(account: Who, name: Pattern, database: HubDatabase = "hub.db") -> None:
    """Take a grant back."""
    from wardgan.access.database import Database
    from wardgan.access.rules import Rules, default

    with Database(database, new=False) as known:
        Rules(known, default("registered")).grant(account, name, take=True)
    say(screen(errors=True), f"{account} may no longer use {name}.", style="bold green")


@app.command("list")
def list_(database: HubDatabase = "hub.db", json: Json = False) -> None:
    """List policies and grants."""
    from wardgan.access.database import Database
    from wardgan.access.rules import Rules, default

    with Database(database, new=False) as known:
        rules = Rules(known, default("registered"))
        policies, grants = rules.all(), rules.grants()
    if json:
        answer({
            "policies": [vars(one) | ({} if one.limited else {"rows": None}) for one in policies.values()],
            "grants": [{"account": who, "name": name, "since": when} for who, name, when in grants],
        })  # fmt: skip
        return
    table = Table()
    for title in ("releases", "tier", "terms", "granted", "a day"):
        table.add_column(title)
    for one in policies.values():
        more = (one.terms or "")[:12], "yes" if one.granted else "", f"{one.rows:,}" if one.limited else ""
        table.add_row(one.pattern, one.tier, *more)
    screen().print(table)
    for who, name, when in grants:
        say(screen(), f"{who} was granted {name} on {when[:10]}.")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"terms={str(path)!r} cannot be read as text.") from error

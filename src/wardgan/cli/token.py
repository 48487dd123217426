"""`wardgan token`: who may use a hub."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from wardgan.cli.options import HubDatabase, Json
from wardgan.cli.terminal import answer, say, screen

app = typer.Typer(no_args_is_help=True, help="Accounts of a hub, and the tokens with which they sign in.")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the account: a person, or a program of theirs.")],
    scopes: Annotated[
        str, typer.Option("--scopes", help="What it is for: some of read, sample, pull.")
    ] = "read,sample,pull",
    days: Annotated[int, typer.Option("--days", help="How long it is good for, up to 3650.")] = 90,
    database: HubDatabase = "hub.db",
    json: Json = False,
) -> None:
    """Make a token; it is shown once, and only a digest of it is kept."""
    from wardgan.access.database import Database
    from wardgan.access.people import new_token

    with Database(database) as found:
        text, token = new_token(found, name, scopes=[one.strip() for one in scopes.split(",")], days=days)
    if json:
        answer({"token": text, **vars(token)})
        return
    say(
        screen(errors=True),
        f"For {token.account}, until {token.expires[:10]}. Nobody can show it again:",
        style="green",
    )
    print(text)


@app.command("list")
def list_(database: HubDatabase = "hub.db", json: Json = False) -> None:
    """List tokens, without their secrets."""
    from wardgan.access.database import Database, now
    from wardgan.access.people import all_tokens

    with Database(database, new=False) as known:
        found = all_tokens(known)
    if json:
        answer({"tokens": [vars(one) for one in found]})
        return
    table = Table()
    for title in ("token", "account", "for", "until", ""):
        table.add_column(title)
    for one in found:
        state = f"revoked {one.revoked[:10]}" if one.revoked else "ended" if one.expires <= now() else ""
        table.add_row(f"wgt_{one.id}_...", one.account, ", ".join(one.scopes), one.expires[:10], state)
    screen().print(table)


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its first part, as list shows it, or all of it.")],
    database: HubDatabase = "hub.db",
) -> None:
    """Take a token back; sessions that began with it end at once."""
    from wardgan.access.database import Database
    from wardgan.access.people import revoke_token

    with Database(database, new=False) as found:
        revoke_token(found, token)
    say(screen(errors=True), "The token is no longer good.", style="bold green")


@app.command("close")
def close(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name.")], database: HubDatabase = "hub.db"
) -> None:
    """Close an account with all its tokens; nobody gets its name again."""
    from wardgan.access.database import Database
    from wardgan.access.people import close_account

    with Database(database, new=False) as found:
        close_account(found, account)
    say(screen(errors=True), f"{account} is closed.", style="bold green")

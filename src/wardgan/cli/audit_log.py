"""`wardgan audit-log`: what was done at a hub, and whether the log is whole."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from wardgan.cli.inspect import shown
from wardgan.cli.options import HubDatabase, Json
from wardgan.cli.terminal import answer, say, screen

app = typer.Typer(no_args_is_help=True, help="The log of a hub, each line of which holds the digest of the one before.")


@app.command("show")
def show(
    last: Annotated[int, typer.Option("--last", min=1, help="How many of the newest lines.")] = 50,
    database: HubDatabase = "hub.db",
    json: Json = False,
) -> None:
    """Show the newest lines."""
    from wardgan.access.database import Database
    from wardgan.access.journal import lines

    with Database(database, new=False, look=True) as known:
        found = list(lines(known, last=last))
    if json:
        answer({"lines": [vars(one) for one in found]})
        return
    table = Table()
    for title in ("", "when (UTC)", "who", "what", "of what", "more"):
        table.add_column(title)
    for one in found:
        cells = (str(one.number), one.at, one.who, one.action, one.subject, one.detail)
        table.add_row(*(escape(shown(cell)) for cell in cells))
    screen().print(table)


@app.command("verify")
def verify(
    seen: Annotated[
        str | None,
        typer.Option("--seen", metavar="DIGEST", help="Of a line that you noted before.", show_default=False),
    ] = None,
    database: HubDatabase = "hub.db",
    json: Json = False,
) -> None:
    """Check that no line was changed, taken out or put in; exit code 3 if one was."""
    from wardgan.access.database import Database
    from wardgan.access.journal import verify as check

    with Database(database, new=False, look=True) as known:
        found = check(known, seen=seen)
    if json:
        answer(vars(found))
    for line in found.wrong:
        say(screen(errors=True), line, style="bold red")
    if not found.wrong:
        say(screen(errors=json), f"{found.lines:,} lines in order; the newest is {found.head}.", style="bold green")
        return
    raise typer.Exit(3)

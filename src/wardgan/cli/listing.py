"""`wardgan list` and `wardgan search`: what a hub has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import Json, Trust
from wardgan.cli.share import PlainHttp
from wardgan.cli.terminal import answer, say, screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from wardgan.hub.entry import Entry
    from wardgan.hub.hub import Broken

HubArgument = Annotated[
    str, typer.Argument(metavar="HUB", help="A folder such as ./hub, or a registry such as registry.hospital.example.")
]


def list_(
    hub: HubArgument = "./hub",
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="Only the digests of what was revoked, one a line.")
    ] = False,
) -> None:
    """Show what a hub has."""
    from wardgan.hub.entry import Entry
    from wardgan.hub.hub import Hub

    found = Hub(hub, trust=trust, plain_http=plain_http).list()
    console = screen(errors=json)
    if revoked and not json:
        for one in found:
            if isinstance(one, Entry) and one.revoked is not None:
                typer.echo(one.digest)
        return
    _show(console, found, hub)
    if json:
        answer(_json_of(found))


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="All must occur somewhere.", show_default=False)],
    hub: Annotated[str, typer.Option("--hub", metavar="HUB", help="A folder or a registry.")] = "./hub",
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Find releases by words in their names, columns, levels, units and terms."""
    from wardgan.hub.hub import Hub

    found = Hub(hub, trust=trust, plain_http=plain_http).search(" ".join(words))
    _show(screen(errors=json), found, hub)
    if json:
        answer(_json_of(found))


def _json_of(found: Sequence[Entry | Broken]) -> dict[str, object]:
    from wardgan.hub.entry import Entry

    return {
        "releases": [one.to_dict() for one in found if isinstance(one, Entry)],
        "broken": [vars(one) for one in found if not isinstance(one, Entry)],
    }


def _show(console: Console, found: Sequence[Entry | Broken], hub: str) -> None:
    """Prints releases as a table."""
    from rich.table import Table
    from rich.text import Text

    from wardgan.hub.entry import Entry

    entries = [one for one in found if isinstance(one, Entry)]
    if not entries:
        say(console, f"{hub} has nothing of that kind.")
    table = Table(box=None, pad_edge=False)
    for title in ("Release", "What", "Privacy", "Signed by", "Made", "Bytes"):
        table.add_column(title, justify="right" if title == "Bytes" else "left", overflow="fold")
    for one in entries:
        table.add_row(
            Text(f"{one.name}:{one.tag}"), Text(_what(one)), _privacy(one), _signer(one), one.created, f"{one.bytes:,}"
        )  # fmt: skip
    if entries:
        console.print(table)
    _show_problems(console, found)


def _show_problems(console: Console, found: Sequence[Entry | Broken]) -> None:
    from wardgan.hub.entry import Entry
    from wardgan.hub.hub import told

    for one in found:
        if not isinstance(one, Entry):
            say(console, f"{one.name}:{one.tag} cannot be used: {shown(one.problem)}", style="red")
        elif one.revoked is not None:
            say(console, f"{one.name}:{one.tag} was revoked {shown(told(one.revoked))}", style="bold red")


def _what(one: Entry) -> str:
    many = f", {one.hospitals} hospitals" if one.kind == "mixture" else f", {one.family}"
    return shown(one.title) + many


def _privacy(one: Entry) -> Text:
    from rich.text import Text

    if one.privacy.mode == "none":
        return Text("NOT PRIVATE", style="bold red")
    return Text(f"epsilon {one.privacy.epsilon:.3g}")


def _signer(one: Entry) -> Text:
    from rich.text import Text

    if one.revoked is not None:
        return Text("REVOKED", style="bold red")
    if one.signature.name:
        return Text(shown(one.signature.name), style="green")
    return Text(one.signature.status, style="yellow")

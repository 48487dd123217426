"""`wardgan list` and `wardgan search`: what a hub has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import Json, Trust
from wardgan.cli.share import PlainHttp
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from wardgan.hub.entries import Broken
    from wardgan.hub.entry import Entry
    from wardgan.hub.hub import Hub

HubArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="HUB", help="A folder such as ./hub, or a registry such as registry.hospital.example.",
        show_default="./hub",
    ),
]  # fmt: skip


def list_(
    hub: HubArgument = None,
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="Only the digests of what was revoked, one a line.")
    ] = False,
) -> None:
    """Show what a hub has."""
    from wardgan.hub.hub import Hub

    there = Hub(hub, trust=trust, plain_http=plain_http)
    found = there.list()
    console = screen(errors=json)
    if revoked:
        _revoked(found, json=json)
        return
    _show(console, found, there)
    if json:
        answer(_json_of(found, broken=True))


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="All must occur somewhere.", show_default=False)],
    hub: Annotated[
        str | None, typer.Option("--hub", metavar="HUB", help="A folder or a registry.", show_default="./hub")
    ] = None,
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Find releases by words in their names, columns, levels, units and terms."""
    from wardgan.hub.hub import Hub

    there = Hub(hub, trust=trust, plain_http=plain_http)
    found = there.search(" ".join(words))
    _show(screen(errors=json), found, there)
    if json:
        answer(_json_of(found))


def _revoked(found: Sequence[Entry | Broken], *, json: bool) -> None:
    """Prints what somebody known has revoked; a list that may lack something is no list."""
    from wardgan.hub.entry import Entry

    unread = [f"{one.name}:{one.tag}" for one in found if not isinstance(one, Entry)]
    unread += [
        f"{one.name}:{one.tag}" for one in found if isinstance(one, Entry) and one.revoked and one.revoked.broken
    ]
    if unread:
        raise TrustError(
            f"{unread[0]} cannot be read (one of {len(unread)}), so it may be revoked or not; wardgan list."
        )
    digests = [one.digest for one in found if isinstance(one, Entry) and one.revoked is not None and one.revoked.by]
    if json:
        answer({"revoked": digests})
    else:
        typer.echo("\n".join(digests))


def _json_of(found: Sequence[Entry | Broken], *, broken: bool = False) -> dict[str, object]:
    from wardgan.hub.entry import Entry

    others: list[dict[str, object]] = [vars(one) for one in found if not isinstance(one, Entry)]
    answered: dict[str, object] = {"releases": [one.to_dict() for one in found if isinstance(one, Entry)]}
    return answered | {"broken": others} if broken else answered


def _show(console: Console, found: Sequence[Entry | Broken], hub: Hub) -> None:
    """Prints releases as a table."""
    from rich.table import Table
    from rich.text import Text

    from wardgan.hub.entry import Entry

    entries = [one for one in found if isinstance(one, Entry)]
    if not entries:
        say(console, f"{hub.place} has nothing of that kind.")
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

    for one in found:
        if not isinstance(one, Entry):
            say(console, f"{one.name}:{one.tag} cannot be used: {shown(one.problem)}", style="red")
        elif one.revoked is not None:
            say(console, f"{one.name}:{one.tag} was revoked {shown(str(one.revoked))}", style="bold red")


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

    if one.revoked is not None and one.revoked.holds:
        return Text("REVOKED", style="bold red")
    if one.signature.name:
        return Text(shown(one.signature.name), style="green")
    return Text(one.signature.status, style="yellow")

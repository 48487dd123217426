"""`wardgan push`, `wardgan pull` and `wardgan revoke`: releases in a folder or in a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import Force, Json, Model, Trust
from wardgan.cli.terminal import Stopped, answer, banner, bar, say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from wardgan.cli.terminal import Advance
    from wardgan.hub.hub import Hub
    from wardgan.hub.moving import Watch

_MIB = 1 << 20
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Speak to the registry without TLS: anybody on the way reads passwords.")
]
Release = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="Such as cardio/sprint:1.0 or registry.hospital.example/cardio/sprint:1.0.",
        show_default=False,
    ),
]  # fmt: skip


def push(
    model: Model,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET", help="A folder such as ./hub, ./hub:NAME:TAG, or REGISTRY/NAME:TAG.", show_default="./hub"
        ),
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Share a file that nobody signed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another release under that tag.")] = False,
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Share a release: in a folder that needs no server, or in any OCI registry."""
    from wardgan.hub.hub import Hub
    from wardgan.hub.target import target_of

    found = None if target is None else target_of(target)
    # Without a target the default hub keeps the beginning of its names.
    hub = (
        Hub(trust=trust, plain_http=plain_http) if found is None else Hub.at(found, trust=trust, plain_http=plain_http)
    )
    console = screen(errors=json)
    with bar("Push", 1) as advance:
        made = hub.push(model, found and found.label, force=force, unsigned=unsigned, watch=_bytes(advance))
    if made.new:
        say(console, f"{made.target}: {made.sent:,} bytes sent", style="bold green")
    else:
        say(console, f"{made.target} is there already, nothing was changed.", style="green")
    say(console, f"Release:   {made.digest}")
    if made.revoked is not None:
        say(console, f"This release was revoked {shown(str(made.revoked))}", style="bold red")
    say(console, f"Next: wardgan pull {made.target}")
    if json:
        answer(vars(made) | {"revoked": None if made.revoked is None else vars(made.revoked)})


def pull(
    target: Release,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The .hgan file.", show_default="NAME-TAG.hgan"),
    ] = None,
    any_signer: Annotated[
        bool, typer.Option("--any-signer", help="Take a file that is unsigned, or signed by a key you do not know.")
    ] = False,
    even_revoked: Annotated[bool, typer.Option("--even-revoked", help="Take a release that was revoked.")] = False,
    force: Force = False,
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Fetch a release: every digest and the signature are checked before the file is there."""
    hub, label = _release(target, trust, plain_http=plain_http)
    console = screen(errors=json)
    try:
        with bar("Pull", 1) as advance:
            got = hub.pull(
                label,
                output,
                any_signer=any_signer,
                even_revoked=even_revoked,
                force=force,
                watch=_bytes(advance),
            )
    except KeyboardInterrupt as error:
        raise Stopped("Stopped. What has come is kept beside the file; run the same command to go on.") from error
    entry = got.entry
    if entry.privacy.mode == "none":
        banner(console)
    if entry.revoked is not None:
        say(console, f"Revoked {shown(str(entry.revoked))}", style="bold red")
    say(console, f"{got.path}: {shown(entry.title)}, {entry.bytes:,} bytes, {entry.digest}", style="bold green")
    signer = shown(entry.signature.name or entry.signature.keyid or "")
    style = "green" if entry.signature.name else "yellow"
    say(console, f"Signature: {entry.signature.status} {signer}".rstrip(), style=style)
    say(console, f"Next: wardgan verify {got.path}, wardgan sample {got.path} -n 1000 -o patients.parquet")
    if json:
        answer({"output": str(got.path), **entry.to_dict()})


def revoke(
    target: Release,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody who has it.", show_default=False)],
    plain_http: PlainHttp = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Take a release back: whoever pulls it is told, and refused. What was pulled before stays where it is."""
    from wardgan.cli.keys import passphrase_of

    hub, label = _release(target, trust, plain_http=plain_http)
    entry = hub.revoke(label, key, reason, passphrase=passphrase_of(key))
    console = screen(errors=json)
    if entry.revoked is not None:
        say(console, f"{target}: revoked {shown(str(entry.revoked))}", style="bold red")
        if entry.revoked.by is None:
            say(console, "Only those who trust your key will be refused; is it the one that signed?", style="yellow")
    say(console, "It stays in the hub, and with those who have it; tell them, too.")
    if json:
        answer(entry.to_dict())


def _release(target: str, trust: Path | None, *, plain_http: bool) -> tuple[Hub, str]:
    """Gives the hub that a person means, and which release of it."""
    from wardgan.hub.hub import Hub
    from wardgan.hub.target import target_of

    found = target_of(target)
    if found.label is None:
        raise UsageError(f"target={target!r} names no release; wardgan list {target} says what it has.")
    return Hub.at(found, trust=trust, plain_http=plain_http), found.label


def _bytes(advance: Advance) -> Watch:
    def watch(done: int, total: int, title: str) -> None:
        advance(done, max(total, 1), f"{done / _MIB:,.1f} of {total / _MIB:,.1f} MiB  {shown(title)}")

    return watch

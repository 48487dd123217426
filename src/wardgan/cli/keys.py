"""`wardgan keys`: your key pair, and the keys of others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Json, Trust
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from wardgan.seal.keys import KeyInfo

_VARIABLE = "WARDGAN_PASSPHRASE"
app = typer.Typer(no_args_is_help=True, help="Make your key, and say whose keys you know.")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, such as your hospital.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The private key.", show_default="NAME.key"),
    ] = None,
    trust: Trust = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help=f"Ask for a passphrase ($ {_VARIABLE} answers for you).")
    ] = False,
    json: Json = False,
) -> None:
    """Make a key pair, and trust it. A key that exists is never replaced."""
    from wardgan.seal.keys import default_trust, new_key

    file = output or Path((re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "hospital") + ".key")
    secret = _asked(twice=True) if encrypt else None
    store = trust or default_trust()
    info = new_key(file, name=name, trust=store, passphrase=secret)
    console = screen(errors=json)
    say(console, f"Private key: {info.private}  (keep it here; whoever has it can sign as {name})", style="bold")
    say(console, f"Public key:  {info.public}  (give it to receivers)")
    say(console, f"Key id:      {info.keyid}  (read it to them by telephone)")
    say(console, f"Trusted in:  {store}")
    if json:
        answer(_facts(info) | {"trust": str(store)})


@app.command()
def add(
    public: Annotated[Path, typer.Argument(metavar="FILE", help="Public key (.pub) of somebody you know.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Trust somebody's public key. Compare its id with its owner first."""
    from wardgan.seal.keys import add_key, default_trust

    store = trust or default_trust()
    info = add_key(public, name=name, trust=store)
    say(screen(errors=json), f"Trusted in {store}: {name}, key id {info.keyid}", style="bold")
    if json:
        answer(_facts(info) | {"trust": str(store)})


@app.command("list")
def list_(trust: Trust = None, json: Json = False) -> None:
    """List the keys that you trust."""
    from wardgan.seal.keys import default_trust, read_trust

    known = read_trust(trust).keys
    console = screen(errors=json)
    say(console, f"{counted(len(known), 'trusted key')} in {trust or default_trust()}", style="bold")
    for key in known:
        say(console, f"{key.keyid}  {key.name}")
    if json:
        answer({"keys": [{"name": key.name, "keyid": key.keyid} for key in known]})


def passphrase_of(key: Path) -> bytes | None:
    """Gives the passphrase of a private key, asked for if it is encrypted; `None` if it has none."""
    try:
        encrypted = b"ENCRYPTED" in key.read_bytes()[:100]
    except OSError as error:
        raise UsageError(f"key={str(key)!r} cannot be read: {error.strerror}.") from error
    return _asked(twice=False) if encrypted else None


def _asked(*, twice: bool) -> bytes:
    given = os.environ.get(_VARIABLE)
    if given is None:
        given = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    return str(given).encode()


def _facts(info: KeyInfo) -> dict[str, object]:
    private = None if info.private is None else str(info.private)
    return {"name": info.name, "keyid": info.keyid, "private": private, "public": str(info.public)}

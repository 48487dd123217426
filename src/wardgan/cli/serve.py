"""`wardgan serve`: the pages of a hub."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Trust
from wardgan.cli.terminal import say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from wardgan.web.desk import Desk
    from wardgan.web.oidc import Provider

# Seconds that downloads may go on after Ctrl-C.
_GRACE = 5
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def serve(  # noqa: PLR0913, PLR0917 - one argument for each option
    hub: Annotated[str, typer.Option("--hub", metavar="HUB", help="A folder, or the host of a registry.")] = "./hub",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where the pages are; 0 for one that is free.")
    ] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others than of this machine want accounts and TLS.")
    ] = "127.0.0.1",
    any_signer: Annotated[
        bool, typer.Option("--any-signer", help="Open what nobody whom you know has signed, too.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", metavar="DATABASE", envvar="WARDGAN_DATABASE", show_default=False,
            help="Accounts: a SQLite file, or postgresql://user:password@host/name; without it everybody may all.",
        ),
    ] = None,
    tier: Annotated[
        str, typer.Option("--tier", help="With accounts: for releases without a policy, public or registered.")
    ] = "registered",
    closed: Annotated[bool, typer.Option("--closed", help="With accounts: the list, too, wants a token.")] = False,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="A name under which the pages are reached.", show_default=False),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="For TLS: PEM file.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Of the certificate: PEM file.", show_default=False)
    ] = None,
    behind_tls: Annotated[
        bool, typer.Option("--behind-tls", help="A server in front of it has a certificate: cookies never go without.")
    ] = False,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Serve others without TLS, who then send their tokens in the clear.")
    ] = False,
    oidc: Annotated[
        str | None,
        typer.Option("--oidc", metavar="ISSUER", show_default=False,
                     help="With accounts: people may sign in with this OpenID Connect provider, too."),
    ] = None,
    oidc_client: Annotated[
        str | None,
        typer.Option("--oidc-client", metavar="ID", show_default=False,
                     help="Id under which it knows this hub; a secret is read from $WARDGAN_OIDC_SECRET."),
    ] = None,
    oidc_claim: Annotated[
        str | None,
        typer.Option("--oidc-claim", metavar="NAME=VALUE", show_default=False,
                     help="Only whom it says this of, such as groups=researchers."),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="FOLDER", envvar="WARDGAN_FILES", show_default="in the user's cache",
                     help="Where files are made in the background, and kept for a day."),
    ] = None,
    publisher: Annotated[
        str | None,
        typer.Option("--publisher", metavar="NAME", show_default=False,
                     help="Who keeps the hub, as catalogues of others (HealthDCAT-AP) want to know."),
    ] = None,
    trust: Trust = None,
) -> None:  # fmt: skip
    """Show a hub as web pages: search, look at synthetic patients, compare, download."""
    import uvicorn

    from wardgan.web.app import HOSTS, create_app
    from wardgan.web.jobs import Jobs, folder_of
    from wardgan.web.stock import stock_of

    secure = _check_pair(certificate, key)
    for one in name or []:
        if not _HOST.fullmatch(one):
            raise UsageError(f"name={one!r} is not the name of a host, such as hub.hospital.example.")
    _check_reach(host, database, secure=secure, plain=plain_http)
    if database is None and (closed or tier != "registered"):
        raise UsageError("closed, tier: they are for a hub with accounts; say where these are with --database.")
    provider = _provider(oidc, oidc_client, oidc_claim, database)
    shown = f"[{host}]" if ":" in host else host
    with ExitStack() as open_:
        stock = open_.enter_context(closing(stock_of(hub, trust=trust, any_signer=any_signer)))
        bound = open_.enter_context(closing(listening(host, port)))
        desk = None
        if database is not None:
            desk = _desk(database, hub, tier, closed=closed, secure=secure or behind_tls)
            open_.callback(desk.database.close)
        realm = "" if desk is None else desk.database.id
        jobs = open_.enter_context(closing(Jobs(files or folder_of(hub), stock, realm)))
        app = create_app(stock, jobs, desk=desk, provider=provider, secure=secure or behind_tls,
                         hosts=(*HOSTS, shown, *(name or [])), publisher=publisher)  # fmt: skip
        address = f"{'https' if secure else 'http'}://{shown}:{bound.getsockname()[1]}"
        say(screen(errors=True), f"{address} shows {hub}; Ctrl-C ends it.", style="bold green")
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, date_header=False, timeout_graceful_shutdown=_GRACE,
            ssl_certfile=certificate, ssl_keyfile=key,
            proxy_headers=False,  # anybody can write them
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[bound])


def _provider(oidc: str | None, client: str | None, claim: str | None, database: str | None) -> Provider | None:
    from wardgan.web.oidc import provider_of

    if oidc is None:
        if client is not None or claim is not None:
            raise UsageError("oidc-client, oidc-claim: name the provider itself with --oidc.")
        return None
    if database is None:
        raise UsageError("oidc: it is for a hub with accounts; say where these are with --database.")
    return provider_of(oidc, client, claim)


def _check_pair(certificate: Path | None, key: Path | None) -> bool:
    """Tells whether there is a certificate, and refuses one that cannot be used."""
    if (certificate is None) != (key is None):
        raise UsageError("certificate, key: TLS wants both.")
    if certificate is None or key is None:
        return False
    for option, path in (("certificate", certificate), ("key", key)):
        if not path.is_file():
            raise UsageError(f"{option}={str(path)!r} is not there.")
    try:
        # Without a password that somebody would be asked for.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"certificate={str(certificate)!r}, key={str(key)!r}: they cannot be used together, or are no PEM files "
            "without a password."
        ) from error
    return True


def _check_reach(host: str, database: str | None, *, secure: bool, plain: bool) -> None:
    """Refuses to be reached by others without accounts, or without TLS."""
    if not host.strip():
        raise UsageError("host: it is empty; leave it out for this machine alone.")
    if host == "localhost" or _here(host):
        return
    if database is None:
        raise UsageError(
            f"host={host!r} is not an address of this machine alone, and whoever reaches pages without accounts may "
            "download everything; say where accounts are with --database."
        )
    if not secure and not plain:
        raise UsageError(
            f"host={host!r} is not an address of this machine alone, and tokens would travel in the clear; give a "
            "--certificate and its --key, or serve on this machine behind a server that has one."
        )


def _desk(database: str, hub: str, tier: str, *, closed: bool, secure: bool) -> Desk:
    from wardgan.access.database import Database
    from wardgan.access.journal import head_of, note
    from wardgan.access.people import OPERATOR
    from wardgan.access.rules import Rules, default
    from wardgan.web.desk import Desk

    if tier not in ("public", "registered"):
        raise UsageError(
            f"tier={tier!r} is neither public nor registered; set others for names, with wardgan access set."
        )
    found = Database(database, new=False)
    try:
        with found.write() as line:
            note(line, OPERATOR, "serving", hub, {"tier": tier, "closed": closed})
        number, digest = head_of(found)
    except BaseException:
        found.close()
        raise
    say(screen(errors=True), f"The log has {number:,} lines; the newest is {digest}.")
    return Desk(found, Rules(found, default(tier), closed=closed), secure=secure, closed=closed)


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Gives a socket that listens.

    Args:
        host: Address to listen at.
        port: 0 for one that is free.

    Raises:
        UsageError: Nobody can listen there.
    """
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except (OSError, TypeError, UnicodeError) as error:
        found.close()
        why = error.strerror if isinstance(error, OSError) else "no such address"
        raise UsageError(
            f"port={port}: {host} cannot listen there ({why}); choose another with --port, or 0 for one that is free."
        ) from error
    return found

"""`wardgan serve`: the pages of a hub."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated

import typer

from wardgan.cli.options import Trust
from wardgan.cli.terminal import say, screen
from wardgan.errors import UsageError

# Seconds that downloads may go on after Ctrl-C.
_GRACE = 5


def serve(
    hub: Annotated[str, typer.Option("--hub", metavar="HUB", help="A folder, or the host of a registry.")] = "./hub",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where the pages are; 0 for one that is free.")
    ] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="Address of this machine; others wait for accounts.")
    ] = "127.0.0.1",
    any_signer: Annotated[
        bool, typer.Option("--any-signer", help="Open what nobody whom you know has signed, too.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Show a hub as web pages on this machine: search, look at synthetic patients, compare, download."""
    import uvicorn

    from wardgan.web.app import HOSTS, create_app
    from wardgan.web.stock import stock_of

    if host != "localhost" and not _here(host):
        raise UsageError(
            f"host={host!r} is not an address of this machine alone. There are no accounts yet, so whoever reaches the "
            "pages may download everything; put a server that asks who is there in front, on this machine."
        )
    stock = stock_of(hub, trust=trust, any_signer=any_signer)
    listening = _listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    app = create_app(stock, hosts=(*HOSTS, shown))
    address = f"http://{shown}:{listening.getsockname()[1]}"
    say(screen(errors=True), f"{address} shows {hub}; Ctrl-C ends it.", style="bold green")
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, date_header=False, timeout_graceful_shutdown=_GRACE
    )
    uvicorn.Server(config).run(sockets=[listening])


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise UsageError(
            f"port={port}: {host} cannot listen there ({error.strerror}); choose another with --port, or 0 "
            "for one that is free."
        ) from error
    return found

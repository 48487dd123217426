"""`wardgan steward`: pages for whoever has the patients, on their own machine."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.terminal import say, screen

_GRACE = 5


def steward(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Projects, with their patients; it stays on site.")
    ] = Path("steward"),
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 for one that is free.")] = 0,
) -> None:
    """Go from a file of patients to a published generator in a browser on this machine."""
    import uvicorn

    from wardgan.cli.serve import listening
    from wardgan.web.steward.app import create_steward

    app = create_steward(folder.resolve())
    with closing(listening("127.0.0.1", port)) as found:
        where = f"http://localhost:{_port(found)}/open?word={app.state.session.word}"
        say(screen(errors=True), f"Open {where}", style="bold green")
        say(screen(errors=True), "It is for you alone, and cannot be reached from another machine. Ctrl-C ends it.")
        config = uvicorn.Config(app, log_level="warning", server_header=False, date_header=False,
                                timeout_graceful_shutdown=_GRACE, proxy_headers=False)  # fmt: skip
        uvicorn.Server(config).run(sockets=[found])


def _port(found: socket.socket) -> int:
    return int(found.getsockname()[1])

"""`wardgan release`: the one file that leaves the hospital."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import DataId, Force, Json
from wardgan.cli.terminal import answer, banner, say, screen, unsigned
from wardgan.cli.whose import whose
from wardgan.errors import WardganError

if TYPE_CHECKING:
    from rich.console import Console


def release(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a finished fit.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .hgan file.", show_default=False)],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Your private key; without one the file is unsigned.")
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(
            "--override",
            metavar="'NAME: REASON'",
            help="Release against the gates, or without privacy; printed in the file.",
        ),
    ] = None,
    dossier: Annotated[
        Path | None,
        typer.Option("--dossier", metavar="DIR", help="Folder of the dossier.", show_default="RUN/dossier"),
    ] = None,
    data_id: DataId = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Let a run and its public dossier pass the gates, sign them, and write them to one file."""
    from wardgan.cli.keys import passphrase_of
    from wardgan.dossier.release import release as released
    from wardgan.files import check_new
    from wardgan.models.base import Trained
    from wardgan.seal.artifact import inspect

    check_new(output, force=force)
    trained = Trained.load(run)
    secret = None if key is None else passphrase_of(key)
    usual = run / "dossier"
    folder = usual if dossier is None and usual.is_dir() else dossier
    console = screen(errors=json)
    released(
        trained, output, key, override, dossier=folder, force=force, passphrase=secret,
        training_data_id=whose(console, run, data_id),
    )  # fmt: skip
    facts = inspect(output)
    if trained.ledger.plan is None:
        banner(console)
    if override is not None:
        say(console, f"Released by override: {override}", style="red")
    say(console, f"{output}: {facts['bytes']:,} bytes, {facts['digest']}", style="bold green")
    unsigned(console, key)
    entered = _entered(console, run, output, str(facts["digest"]), override)
    say(console, f"Next: wardgan verify {output}")
    if json:
        answer(
            {
                "output": str(output), "bytes": facts["bytes"], "digest": facts["digest"],
                "signature": facts["signature"], "mode": trained.ledger.mode, "ledger": entered,
                "dossier": None if folder is None else str(folder), "override": override,
            }
        )  # fmt: skip


def _entered(console: Console, run: Path, output: Path, digest: str, override: str | None) -> str | None:
    """Enters in the institution's ledger that the file leaves; gives the ledger, `None` if nothing was entered."""
    from wardgan.privacy.accounts.spending import note_release

    try:
        ledger = note_release(run, output, digest, override)
    except WardganError as error:
        # What was spent is counted already, so a file that is finished is not taken back.
        say(console, f"The ledger does not know of this file: {error}", style="yellow")
        return None
    if ledger is not None:
        say(console, f"Entered in {ledger}.")
    return ledger

"""Whose patients are behind what leaves, as the institution's ledger knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wardgan.cli.terminal import say
from wardgan.errors import WardganError

if TYPE_CHECKING:
    from rich.console import Console


def whose(console: Console, run: Path, data_id: str | None) -> str | None:
    """Gives the opaque name of a run's patients: the given one, or that of the ledger; `None` names this fit only.

    Args:
        console: Tells if the ledger cannot say.
        run: The run folder.
        data_id: What a person says.
    """
    from wardgan.privacy.accounts.spending import patients_of

    if data_id is not None:
        return data_id
    try:
        return patients_of(run)
    except WardganError as error:
        # Who combines files will take these patients for others than those of other files.
        say(console, f"The file cannot say that other models are of the same patients: {error}", style="yellow")
        return None

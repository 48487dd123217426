"""`wardgan init`: a draft of a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.options import Data, Delimiter, Force, Json, delimiter_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import counted


def init(
    data: Data,
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="COL", help="Column that names the patient.", show_default="guessed"),
    ] = None,
    visit: Annotated[
        str | None, typer.Option("--visit", metavar="COL", help="Column that names the visit.", show_default="guessed")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the data set.", show_default="name of the file")
    ] = None,
    delimiter: Delimiter = ",",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The draft.")] = Path("schema.yaml"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Draft a schema from a file, for you to correct and confirm."""
    from wardgan.files import check_new
    from wardgan.schema.draft import draft

    check_new(output, force=force)
    drafted = draft(
        data, name=name or data.name.split(".")[0], patient=patient, visit=visit, delimiter=delimiter_of(delimiter)
    )
    drafted.save(output, force=force)
    console = screen(errors=json)
    say(console, f"A draft of {counted(len(drafted.schema.columns), 'column')} is in {output}.", style="bold")
    for notice in drafted.notices:
        say(console, f"- {notice}")
    for column, reason in drafted.left_out.items():
        say(console, f"- left out: {column} ({reason})")
    marked = len(drafted.schema.confirm)
    say(
        console,
        f"From patients: {counted(marked, 'value')}, marked in the file. Replace each by what is publicly known,",
    )
    say(console, "and take it off the file's `confirm` list. Until then a private fit refuses the schema.")
    say(console, f"Next: wardgan check {data} {output}")
    if json:
        answer(
            {
                "output": str(output),
                "schema": drafted.schema.to_dict(),
                "left_out": dict(drafted.left_out),
                "notices": list(drafted.notices),
            }
        )

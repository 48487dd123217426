"""`wardgan init`: a draft of a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.options import Data, Delimiter, Force, Json, Labels, Mask, delimiter_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError, counted


def init(  # noqa: PLR0913, PLR0917 - one argument for each option
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
    labels: Labels = None,
    mask: Mask = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The draft.")] = Path("schema.yaml"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Draft a schema from a file or a folder of images, for you to correct and confirm."""
    from wardgan.files import check_new

    check_new(output, force=force)
    called, images = name or data.name.split(".")[0], data.is_dir() or data.suffix.lower() == ".npz"
    if not images and (labels is not None or mask is not None):
        raise UsageError("--labels and --mask are for a folder of images.")
    if images:
        from wardgan.imaging.draft_schema import draft_images

        drafted = draft_images(data, name=called, labels=labels, patient=patient, mask=mask)
    else:
        from wardgan.schema.draft import draft

        drafted = draft(data, name=called, patient=patient, visit=visit, delimiter=delimiter_of(delimiter))
    drafted.save(output, force=force)
    console = screen(errors=json)
    look = drafted.schema.images
    what = f"images of {look.height} x {look.width} with " if look is not None else ""
    columns = counted(len(drafted.schema.columns), "label" if look is not None else "column")
    say(console, f"A draft of {what}{columns} is in {output}.", style="bold")
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
    more = "" if labels is None else f" --labels {labels}"
    more += "" if mask is None else f" --mask {mask}"
    say(console, f"Next: wardgan check {data} {output}{more}")
    if json:
        answer(
            {
                "output": str(output),
                "schema": drafted.schema.to_dict(),
                "left_out": dict(drafted.left_out),
                "notices": list(drafted.notices),
            }
        )

"""`wardgan card`: a model card for other people's shelves."""

from __future__ import annotations

import sys
from json import loads
from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.options import Force, Json, Model, Trust
from wardgan.cli.terminal import answer, say, screen


def card(
    model: Model,
    form: Annotated[
        str,
        typer.Option("--format", help="hf (Hugging Face), chai, datasheet, html (the dossier), dcat (HealthDCAT-AP)."),
    ] = "hf",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; without it to standard output.")
    ] = None,
    trust: Trust = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a card from a file: for Hugging Face, CHAI or catalogues, as a datasheet, or its dossier as a page."""
    from wardgan.dossier.cards import card as made
    from wardgan.files import check_new, write_bytes

    if output is not None:
        check_new(output, force=force)
    text = made(model, form, trust=trust)
    if output is not None:
        write_bytes(output, text.encode(), force=force)
        say(screen(errors=json), f"{output}: {len(text.encode()):,} bytes", style="bold green")
    elif not json:
        sys.stdout.write(text)
    wanted = _wanted(text) if form == "dcat" else []
    if wanted:
        say(
            screen(errors=True), f"HealthDCAT-AP asks for more; say it in the terms of the schema: {'; '.join(wanted)}."
        )
    if json:
        answer({"format": form, "output": None if output is None else str(output), "card": text, "missing": wanted})


def _wanted(text: str) -> list[str]:
    from wardgan.metadata.dcat import missing

    return missing(loads(text))

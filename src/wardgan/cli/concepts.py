"""`wardgan concepts`: a draft of the mapping file for FHIR and OMOP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardgan.cli.options import Force, Json
from wardgan.cli.terminal import answer, say, screen


def concepts(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A .hgan file, or a schema file (YAML).", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The draft.")] = Path("concepts.yaml"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Draft a mapping of columns to FHIR and OMOP, for you to correct."""
    from wardgan.combining.loading import load
    from wardgan.exchange.concepts import Concepts
    from wardgan.exchange.draft import draft_concepts
    from wardgan.files import check_new, write_bytes
    from wardgan.schema.schema import Schema
    from wardgan.schema.yaml_text import structure_of

    check_new(output, force=force)
    schema = load(source).schema if source.suffix.lower() == ".hgan" else Schema.load(source)
    text = draft_concepts(schema)
    made = Concepts.from_dict(structure_of(text), schema)
    write_bytes(output, text.encode(), force=force)
    console = screen(errors=json)
    say(console, f"A draft of what {schema.name} means is in {output}.", style="bold")
    say(console, "It was guessed from names, units and codes of the schema: correct it, and give codes and concepts.")
    say(console, f"Next: wardgan sample MODEL -n 1000 --format fhir --concepts {output} -o patients.ndjson")
    if json:
        answer({"output": str(output), "columns": {one.name: one.kind for one in made.columns},
                "left_out": list(made.left_out)})  # fmt: skip

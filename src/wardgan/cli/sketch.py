"""`wardgan sketch`: what a given epsilon would do to such a table, from simulated patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan import check
from wardgan.cli.options import Delta, Family, Force, Json
from wardgan.cli.terminal import answer, bar, say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.rehearsal.result import Sketch
    from wardgan.schema.schema import Schema


def sketch(  # noqa: PLR0913, PLR0917 - one argument for each option
    schema: Annotated[
        Path | None, typer.Argument(metavar="SCHEMA", help="Schema file (YAML), if there is one.", show_default=False)
    ] = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option("--epsilon", help="A budget to try; give it several times.", show_default="0.5, 1, 3, 8"),
    ] = None,
    patients: Annotated[
        int | None,
        typer.Option(
            "--patients", help="How many patients, about; else the population of the schema.", show_default=False
        ),
    ] = None,
    columns: Annotated[
        int | None, typer.Option("--columns", help="Without a schema: columns besides the label.", show_default=False)
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", help="Without a schema: levels of the label.", show_default="2")
    ] = None,
    signal: Annotated[
        str, typer.Option("--signal", help="How well the labels can be predicted: weak, medium or strong.")
    ] = "medium",
    rarest: Annotated[
        float | None,
        typer.Option(
            "--rarest", help="Share of the rarest level of each label, if it is public.", show_default="Zipf's law"
        ),
    ] = None,
    missing: Annotated[
        float, typer.Option("--missing", help="Share of missing cells in columns that may have some.")
    ] = 0.2,
    family: Family = "auto",
    delta: Delta = 1e-5,
    seeds: Annotated[int, typer.Option("--seeds", help="How many tables are simulated.")] = 4,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="FILE", help="Also draw the shares: .svg or .png.", show_default=False),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Simulate what each epsilon would do to such a table. Reads no patient, spends nothing."""
    from wardgan.rehearsal.figure import check_figure, draw
    from wardgan.rehearsal.sketch import EPSILONS
    from wardgan.rehearsal.sketch import sketch as sketched
    from wardgan.simulate.assume import Assumptions

    assume = Assumptions(signal, missing, rarest)
    declared = _declared(schema, patients, columns, classes, missing=missing)
    if figure is not None:
        check_figure(figure, force=force)
    with bar("rehearsing", 1) as advance:
        found = sketched(
            declared, epsilons=epsilon or EPSILONS, patients=patients, family=family, delta=delta, assume=assume,
            seeds=seeds, watch=advance,
        )  # fmt: skip
    show(screen(errors=json), found)
    if figure is not None:
        draw(found, figure, force=force)
        say(screen(errors=json), f"The figure is in {figure}.", style="bold green")
    if json:
        answer(found.to_dict())


def _declared(
    path: Path | None, patients: int | None, columns: int | None, classes: int | None, *, missing: float
) -> Schema:
    """Gives the schema of the file, or one made from the numbers."""
    from wardgan.schema.schema import Schema
    from wardgan.simulate.schemas import generic_schema

    if path is not None:
        if columns is not None or classes is not None:
            raise UsageError("columns, classes: the schema says them; leave --columns and --classes out.")
        return Schema.load(path)
    if patients is None or columns is None:
        raise UsageError(
            "schema: name a schema file, or give numbers: wardgan sketch --patients 5000 --columns 30 --classes 2."
        )
    check.whole(1, patients=patients)
    generic = generic_schema(columns, classes=2 if classes is None else classes, missing=missing > 0)
    return replace(generic, population=patients)


def show(console: Console, found: Sketch) -> None:
    """Prints a sketch: what was simulated, the table, what its columns mean, and what it says."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from wardgan.rehearsal.words import GOALS, HEADER, cells, heading, legend, refusals

    say(console, heading(found), style="bold")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for at, name in enumerate(HEADER):
        table.add_column(name, justify="right" if at else "left", no_wrap=True)
    good = [row.share is not None and row.share.value >= GOALS[0] for row in found.rows]
    for row, passes in zip(cells(found), [*good, False], strict=True):
        table.add_row(*row, style="green" if passes else "red" if row[1] == "refused" else None)
    console.print(table)
    for line in legend(found):
        say(console, line, style="dim")
    for line in refusals(found):
        say(console, line, style="red")
    console.print()
    say(console, found.verdict(), style="bold")

"""`wardgan check`: what breaks the schema, counted and explained without a patient's value."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from wardgan.cli.options import Data, Delimiter, Json, SchemaFile, Visits, delimiter_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from wardgan.schema.cells import Finding


def check(
    data: Data, schema: SchemaFile, visits: Visits = None, delimiter: Delimiter = ",", json: Json = False
) -> None:
    """Check that the rows of a file obey a schema. Never prints a patient's value."""
    from wardgan.cli.findings import worth_knowing
    from wardgan.schema.read import examine
    from wardgan.schema.schema import Schema

    declared = Schema.load(schema)
    checked = examine(data, declared, visits=visits, delimiter=delimiter_of(delimiter))
    findings = [*checked.findings, *worth_knowing(checked)]
    blocking = sum(finding.blocking for finding in findings)
    console = screen(errors=json)
    show_findings(console, findings)
    number = len(declared.columns)
    columns = counted(number, "column")
    if blocking:
        broken = f"{counted(blocking, 'rule')} {'is' if blocking == 1 else 'are'} broken"
        say(console, f"{columns}; {broken}, so the file cannot be used yet.", style="bold red")
    else:
        say(console, f"{columns}: the file obeys the schema.", style="bold green")
    if json:
        answer({"ok": not blocking, "columns": number, "findings": [asdict(finding) for finding in findings]})
    if blocking:
        raise typer.Exit(2)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Prints findings as a table: what should hold, how often it does not, where, and the way out."""
    if not findings:
        return
    from rich.table import Table

    table = Table()
    for name in ("", "column", "rule", "broken", "rows, such as", "way out"):
        table.add_column(name, justify="right" if name == "broken" else "left", overflow="fold")
    for finding in findings:
        mark, style = ("stops", "red") if finding.blocking else ("note", "yellow")
        rows = ", ".join(map(str, finding.rows)) + (", ..." if finding.count > len(finding.rows) > 0 else "")
        count = f"{finding.count:,}" if finding.count else ""
        table.add_row(mark, finding.column, finding.rule, count, rows, finding.way_out, style=style)
    console.print(table)

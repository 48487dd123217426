"""`wardgan check`: what breaks the schema, counted and explained without a patient's value."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Data, Delimiter, Json, Key, Labels, Mask, SchemaFile, Visits, delimiter_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from wardgan.cli.patients import Files
    from wardgan.schema.cells import Finding
    from wardgan.schema.schema import Schema


Skipped = Annotated[
    Path | None,
    typer.Option(
        "--skipped",
        metavar="FILE",
        help="Images: CSV file that gets the name and the reason of each file that cannot be used. Keep it in house.",
        show_default=False,
    ),
]


def check(  # noqa: PLR0913, PLR0917 - one argument for each option
    data: Data, schema: SchemaFile, visits: Visits = None, delimiter: Delimiter = ",", labels: Labels = None,
    key: Key = None, mask: Mask = None, skipped: Skipped = None, json: Json = False,
) -> None:  # fmt: skip
    """Check that the rows of a file, or images, obey a schema. Never prints a patient's value."""
    from wardgan.cli.findings import worth_knowing
    from wardgan.cli.patients import Files
    from wardgan.schema.read import examine
    from wardgan.schema.schema import Schema

    declared = Schema.load(schema)
    files = Files(data, visits, delimiter_of(delimiter), labels, key, mask)
    files.check(declared)
    if declared.images is not None:
        _check_images(files, declared, skipped, as_json=json)
        return
    if skipped is not None:
        raise UsageError(f"--skipped has no meaning here: the schema {declared.name!r} declares no images.")
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


def _check_images(files: Files, schema: Schema, skipped: Path | None, *, as_json: bool) -> None:
    """Reads all images and says what was read; what cannot be used refuses."""
    from wardgan.cli.findings import about_images
    from wardgan.cli.patients import read_folder, show_report

    cohort, report = read_folder(files, schema, "refuse", skipped)
    console, findings = screen(errors=as_json), about_images(cohort)
    show_report(console, report)
    show_findings(console, findings)
    blocking = sum(finding.blocking for finding in findings)
    if blocking:
        say(console, "The images cannot be used yet.", style="bold red")
    else:
        say(console, f"{counted(len(schema.table), 'label')}: the images obey the schema.", style="bold green")
    if as_json:
        # Exact counts are for people in the hospital, on their own screen.
        answer({"ok": not blocking, "images": report.read, "patients": report.patients,
                "findings": [asdict(finding) for finding in findings]})  # fmt: skip
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

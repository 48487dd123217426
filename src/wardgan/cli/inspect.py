"""`wardgan inspect`: what a file says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardgan.cli.options import Json, Model, Trust
from wardgan.cli.terminal import answer, banner, say, screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def inspect(model: Model, trust: Trust = None, json: Json = False) -> None:
    """Show what a file holds: facts, guarantee, columns, parts, signature."""
    from wardgan.seal.artifact import inspect as inspected

    facts = inspected(model, trust)
    console = screen(errors=json)
    show_model(console, facts)
    if json:
        answer(facts)


def show_model(console: Console, facts: Mapping[str, Any]) -> None:
    """Prints the facts of a `.hgan` file.

    Args:
        console: Where to.
        facts: As `wardgan.seal.inspect` gives them.
    """
    card, privacy, schema, signature = facts["card"], facts["privacy"], facts["schema"], facts["signature"]
    say(console, f"{card['name']}: a generator of the family {card['family']}, {facts['bytes']:,} bytes", style="bold")
    say(console, f"Made:      {card['created']} with wardgan {card['package']}, format {card['version']}")
    say(console, f"Digest:    {facts['digest']}")
    signer = signature["name"] or signature["keyid"] or ""
    say(
        console, f"Signature: {signature['status']} {signer}".rstrip(), style="green" if signature["name"] else "yellow"
    )
    if privacy["mode"] == "none":
        banner(console)
        say(console, f"Released by decision of {card['override']}", style="red")
    else:
        spent = privacy["spent"]["epsilon"]
        guarantee = f"epsilon {privacy['epsilon']:g} (spent {spent:.4g}) at delta {privacy['delta']:g}"
        say(console, f"Privacy:   {guarantee}, for each {privacy['unit']} ({privacy['neighbours']})")
    say(console, f"Licence:   {card['licence'] or 'not declared'}")
    _show_columns(console, schema)
    parts = ", ".join(f"{part['name']} {part['bytes']:,}" for part in facts["parts"])
    say(console, f"Parts (bytes): {parts}")


def _show_columns(console: Console, schema: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table()
    for name in ("column", "kind", "values", "unit", "notes"):
        table.add_column(name, overflow="fold")
    visits = schema.get("visits", {})
    for place, columns in (("", schema.get("table", {})), ("at visits", visits.get("columns", {}))):
        for name, column in columns.items():
            levels = ", ".join(map(str, column.get("levels", [])[:12]))
            bounds = f"{column['low']} to {column['high']}" if "low" in column else ""
            notes = [place, *(word for word in ("label", "nullable", "sensitive") if column.get(word))]
            table.add_row(
                name, column["kind"], bounds or levels, column.get("unit", ""), ", ".join(filter(None, notes))
            )
    console.print(table)
    if visits:
        grid = visits.get("grid", f"up to {visits.get('max_visits')}")
        say(console, f"Visits:    {', '.join(map(str, grid)) if isinstance(grid, list) else grid}")

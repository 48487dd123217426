"""`wardgan inspect`: what a file says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wardgan.cli.options import Json, Model, Trust
from wardgan.cli.terminal import answer, banner, say, screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.tree import Tree

_LEVELS = 12


def inspect(model: Model, trust: Trust = None, json: Json = False) -> None:
    """Show what a file holds: facts, guarantee, columns, parts, signature."""
    from wardgan.combining.loading import inspect as inspected

    facts = inspected(model, trust)
    console = screen(errors=json)
    (show_mixture if facts.get("kind") == "mixture" else show_model)(console, facts)
    if json:
        answer(facts)


def show_mixture(console: Console, facts: Mapping[str, Any]) -> None:
    """Prints the facts of a combined generator, with its members as a tree.

    Args:
        console: Where to.
        facts: As `wardgan.combining.inspect` gives them.
    """
    from rich.tree import Tree

    signature, claim, bounds = facts["signature"], facts["privacy"], facts["bounds"]
    say(console, f"{shown(facts['name'])}: a combined generator, {facts['bytes']:,} bytes", style="bold")
    say(console, f"Made:      {facts['created']} with wardgan {shown(facts['package'])}, weights by {facts['weights']}")
    say(console, f"Digest:    {facts['digest']}")
    signer = shown(signature["name"] or signature["keyid"] or "")
    style = "green" if signature["name"] else "yellow"
    say(console, f"Signature: {signature['status']} {signer}".rstrip(), style=style)
    if claim["mode"] == "none":
        banner(console)
    else:
        many = f"at most {facts['overlap']}" if facts["overlap"] else f"all {bounds['sites']}"
        say(console, f"Privacy:   epsilon {claim['epsilon']:.4g} at delta {claim['delta']:g}, for a patient of {many}")
        alone = bounds["disjoint"]["epsilon"]
        say(console, f"           epsilon {alone:.4g} for whoever is a patient of one of the hospitals only")
    tree = Tree(shown(facts["name"]))
    for member in facts["tree"]:
        _grow(tree, member)
    console.print(tree)
    _show_columns(console, facts["schema"])


def _grow(tree: Tree, member: Mapping[str, Any]) -> None:
    """Adds a member and its own members to a tree."""
    from rich.text import Text

    claim, signer = member["privacy"], member["signature"]
    private = f"epsilon {claim['epsilon']:.3g}" if claim["mode"] == "private" else "NOT PRIVATE"
    text = Text(f"{shown(member['name'])}  {100 * member['share']:.1f} %  ")
    text.append(private, style="" if claim["mode"] == "private" else "bold red")
    signed = f"  {signer['status']} {shown(signer['name'] or '')}".rstrip()
    text.append(signed, style="green" if signer["name"] else "yellow")
    branch = tree.add(text)
    for name, source in member["map"].items():
        branch.add(Text(shown(mapped(name, source))))
    for each in member.get("members", ()):
        _grow(branch, each)


def mapped(name: str, source: Mapping[str, Any]) -> str:
    """Gives in words how a member's column becomes one of the whole.

    Args:
        name: Of the column of the whole.
        source: As a recipe says it: `from`, `times`, `plus`, `levels`.

    Example:
        >>> mapped("glucose", {"from": "glucose", "times": 18.016, "plus": 0.0, "levels": {}})
        'glucose is glucose x 18.016'
        >>> mapped("sex", {"from": "gender", "times": 1.0, "plus": 0.0, "levels": {"male": "m"}})
        'sex is gender (male: m)'
    """
    text = f"{name} is {source['from']}"
    text += f" x {source['times']:.6g}" if source["times"] != 1 else ""
    text += f" {source['plus']:+.6g}" if source["plus"] else ""
    levels = [f"{old}: {new}" for old, new in source["levels"].items()]
    more = ", ..." if len(levels) > _LEVELS else ""
    return text + (f" ({', '.join(levels[:_LEVELS])}{more})" if levels else "")


def show_model(console: Console, facts: Mapping[str, Any]) -> None:
    """Prints the facts of a `.hgan` file.

    Args:
        console: Where to.
        facts: As `wardgan.seal.inspect` gives them.
    """
    card, privacy, schema, signature = facts["card"], facts["privacy"], facts["schema"], facts["signature"]
    name, package = shown(card["name"]), shown(card["package"])
    say(console, f"{name}: a generator of the family {card['family']}, {facts['bytes']:,} bytes", style="bold")
    say(console, f"Made:      {card['created']} with wardgan {package}, format {card['version']}")
    say(console, f"Digest:    {facts['digest']}")
    signer = shown(signature["name"] or signature["keyid"] or "")
    say(
        console, f"Signature: {signature['status']} {signer}".rstrip(), style="green" if signature["name"] else "yellow"
    )
    if privacy["mode"] == "none":
        banner(console)
    else:
        guarantee = f"epsilon {privacy['epsilon']:g} at delta {privacy['delta']:g}"
        say(console, f"Privacy:   {guarantee}, for each {privacy['unit']} ({privacy['neighbours']})")
    if privacy.get("sites") is not None:
        _show_sites(console, privacy)
    elif privacy["mode"] == "private":
        ours = "" if facts["epsilon_bound"] is None else f"; by our own accountant at most {facts['epsilon_bound']:.4g}"
        spent = f"{privacy['spent']['epsilon']:.4g} by the file's own word{ours}"
        say(console, f"Spent:     epsilon {spent}; wardgan verify bills it again")
    if card["override"] is not None:
        say(console, f"Override:  released by decision of {shown(card['override'])}", style="red")
    if facts.get("dossier") is None:
        say(console, "Dossier:   none", style="yellow")
    else:
        overall = shown(str(facts["dossier"].get("overall")))
        say(console, f"Dossier:   {overall}, by the hospital's own word; wardgan verify judges again")
    say(console, f"Licence:   {shown(card['licence'] or 'not declared')}")
    look = schema.get("images")
    if look is not None:
        mask = ", each with a mask" * bool(look.get("mask"))
        say(
            console,
            f"Images:    {look['size'][0]} x {look['size'][1]} pixels, grey{mask}; the columns are their labels",
        )
    _show_columns(console, schema)
    parts = ", ".join(f"{part['name']} {part['bytes']:,}" for part in facts["parts"])
    say(console, f"Parts (bytes): {parts}")


def _show_sites(console: Console, privacy: Mapping[str, Any]) -> None:
    """Prints how a generator of several hospitals came about, and what each of them has spent."""
    from rich.table import Table

    origin, overlap = privacy["origin"], privacy.get("overlap")
    rounds = f" in {origin['rounds']} rounds" if origin.get("rounds") else ""
    say(console, f"Origin:    {origin['how']}{rounds}, from {origin['of']}")
    most = "in all of them" if overlap is None else f"in at most {overlap}"
    say(console, f"Hospitals: {len(privacy['sites'])}; the guarantee is that of a patient {most}")
    table = Table()
    for name in ("hospital", "patients", "epsilon", "delta"):
        table.add_column(name, overflow="fold")
    for site in privacy["sites"]:
        bill = site["ledger"]
        epsilon, delta = (f"{bill[name]:.4g}" if name in bill else "NOT PRIVATE" for name in ("epsilon", "delta"))
        table.add_row(shown(site["name"]), site["patients"], epsilon, delta)
    console.print(table)


def shown(text: str) -> str:
    r"""Gives a text that a terminal shows as it is: whatever has no shape of its own is spelled out.

    Example:
        >>> print(shown("a\x1b[2Jb\u202ec"))
        a\x1b[2Jb\u202ec
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _values(column: Mapping[str, Any]) -> str:
    if "after" in column:
        return f"0 to {column['within']} days after {shown(column['after'])}"
    if "low" in column:
        said = [f"{column['low']} to {column['high']}"]
        said += [f"in steps of {column['step']:.15g}"] if "step" in column else []
        said += ["(logarithmic)"] if column.get("scale") == "log" else []
        return " ".join(said)
    if column.get("origin"):
        return "day 0 of each patient"
    levels = column.get("levels", [level for group in column.get("groups", {}).values() for level in group])
    rest = f", ... ({len(levels):,} levels)" if len(levels) > _LEVELS else ""
    return ", ".join(shown(str(level)) for level in levels[:_LEVELS]) + rest


def _show_columns(console: Console, schema: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table()
    for name in ("column", "kind", "values", "unit", "notes"):
        table.add_column(name, overflow="fold")
    visits = schema.get("visits", {})
    for place, columns in (("", schema.get("table", {})), ("at visits", visits.get("columns", {}))):
        for name, column in columns.items():
            event = not place and name == schema.get("events", {}).get("event")
            said = column | {"label": True} if event else column
            notes = [place, *(word for word in ("label", "nullable", "sensitive") if said.get(word))]
            unit = shown(column.get("unit", ""))
            table.add_row(shown(name), column["kind"], _values(column), unit, ", ".join(filter(None, notes)))
    console.print(table)
    if visits:
        grid = visits.get("grid", f"up to {visits.get('max_visits')}")
        names = ", ".join(map(str, cast("list[object]", grid))) if isinstance(grid, list) else str(grid)
        say(console, f"Visits:    {shown(names)}")

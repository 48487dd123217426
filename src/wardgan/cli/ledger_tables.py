"""The institution's ledger as tables in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan.cli.inspect import shown
from wardgan.cli.terminal import say
from wardgan.errors import counted

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.privacy.accounts.facts import Cost, Facts, Line, Page

_HOW: Final = {
    "nothing": "nothing spent",
    "exact": "exact, for Gaussian sums",
    "PLD": "composed by the accountant of record",
    "RDP": "composed by our own accountant, an upper bound",
    "sum": "epsilons and deltas added, because composing them would take too long or has no bound",
    "no privacy": "a fit without privacy, or one whose noise can be replayed, has no finite epsilon",
}
_RED: Final = "bold red"


def show_sets(console: Console, ledger: Path, facts: Facts) -> None:
    """Prints each data set with its fits, and what they cost together.

    Args:
        console: Where to.
        ledger: The file.
        facts: What is in it.
    """
    pages = facts["datasets"]
    say(console, f"{ledger}: {counted(len(pages), 'data set')}", style="bold")
    for page in pages:
        console.print()
        _show_page(console, page)
    if len(pages) > 1:
        everything = facts["everything"]
        text = (
            f"A patient who is in all data sets: {_cost(everything)}. Data sets that share patients belong together: "
        )
        console.print()
        say(console, f"{text}wardgan ledger link ONE OTHER.", style=None if everything["epsilon"] is not None else _RED)


def _show_page(console: Console, page: Page) -> None:
    from rich.table import Table

    table = Table(title=f"Data set {shown(page['name'])}", title_justify="left")
    for name in ("run", "family", "begun (UTC)", "state", "epsilon", "spent", "left the site"):
        table.add_column(name, justify="right" if name in ("epsilon", "spent") else "left", overflow="fold")
    for line in page["entries"]:
        table.add_row(*_cells(line), style=_RED if line["spent_epsilon"] is None else None)
    console.print(table)
    spent = page["total"]
    red = _RED if spent["epsilon"] is None else None
    say(console, f"Together: {_cost(spent)} ({_HOW[spent['how']]}).", style=red)
    for cap in page["caps"]:
        say(console, f"Cap:      epsilon {cap['epsilon']:g} at delta {cap['delta']:g}.")
    if page["left"] is None:
        say(console, "Cap:      none; set one with wardgan ledger cap --epsilon NUMBER.")
    elif page["left"]:
        say(console, f"Left:     epsilon {page['left']:g}, for one more fit such as copula.", style="green")
    else:
        say(console, "Left:     nothing.", style=_RED)


def _cells(line: Line) -> list[str]:
    run = "no run folder" if line["run"] is None else shown(Path(line["run"]).name)
    what = line["family"] if line["kind"] == "fit" else f"figure: {line['family']}"
    planned = line["mode"] if line["epsilon"] is None else f"{line['epsilon']:g}"
    spent = "infinite" if line["spent_epsilon"] is None else f"{line['spent_epsilon']:.4g}"
    state = line["state"] if line["mode"] != "rehearsal" else f"{line['state']} (rehearsal)"
    files = ", ".join(shown(str(release["file"])) for release in line["releases"])
    return [run, shown(what), line["begun"][:16].replace("T", " "), state, planned, spent, files]


def _cost(cost: Cost) -> str:
    return (
        "infinite epsilon" if cost["epsilon"] is None else f"epsilon {cost['epsilon']:.4g} at delta {cost['delta']:g}"
    )

"""`wardgan ledger`: what all fits of a data set have cost together, and what is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import Delta, Force, Json, LedgerFile, ledger_of
from wardgan.cli.terminal import answer, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.privacy.accounts.spending import Account
    from wardgan.schema.image_cohort import AnyCohort

app = typer.Typer(no_args_is_help=True, help="Add up what all fits of a data set have cost, and set a cap.")
_DataSet = Annotated[
    str | None, typer.Argument(metavar="DATASET", help="A data set; left out: all of them.", show_default=False)
]


@app.command()
def show(dataset: _DataSet = None, ledger: LedgerFile = None, json: Json = False) -> None:
    """Show what was spent on each data set, by which runs, and what is left."""
    from wardgan.cli.ledger_tables import show_sets
    from wardgan.privacy.accounts.book import Accounts
    from wardgan.privacy.accounts.facts import facts_of

    place = ledger_of(ledger, Path())
    with Accounts.open(place, writable=False) as accounts:
        found = accounts.show()
    if dataset is not None:
        known = ", ".join(each.name for each in found) or "none yet"
        found = [each for each in found if dataset in each.names]
        if not found:
            raise UsageError(f"dataset={dataset!r} is not in the ledger; it knows {known}.")
    facts = facts_of(found)
    show_sets(screen(errors=json), place, facts)
    if json:
        answer({"ledger": str(place)} | facts)


@app.command()
def cap(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="A data set; left out: the default.", show_default=False)
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="What all its fits may cost together.", show_default=False)
    ] = None,
    delta: Delta = 1e-5,
    lift: Annotated[bool, typer.Option("--lift", help="Take the cap away; the default holds again.")] = False,
    ledger: LedgerFile = None,
    json: Json = False,
) -> None:
    """Refuse further fits above a cap: of one data set, or of each that has no cap of its own."""
    from wardgan.privacy.accounts.book import Accounts
    from wardgan.privacy.events import Budget

    if (epsilon is None) is not lift:
        raise UsageError("epsilon: say what all fits may cost together, such as --epsilon 5, or --lift.")
    budget = None if epsilon is None else Budget(epsilon, delta)
    place = ledger_of(ledger, Path())
    with Accounts.open(place, create=True) as accounts:
        accounts.cap(budget, dataset)
    whose = "each data set without a cap of its own" if dataset is None else f"data set {dataset!r}"
    text = f"lifted for {whose}" if budget is None else f"epsilon {budget.epsilon:g} at delta {budget.delta:g}, {whose}"
    say(screen(errors=json), f"Cap in {place}: {text}.", style="bold")
    if json:
        answer({"ledger": str(place), "dataset": dataset, "epsilon": epsilon, "delta": None if lift else delta})


@app.command()
def link(
    one: Annotated[str, typer.Argument(metavar="ONE", help="A data set.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another one that has some of its patients.")],
    ledger: LedgerFile = None,
    json: Json = False,
) -> None:
    """Count two data sets together from now on, because they share patients. This is never undone."""
    from wardgan.privacy.accounts.book import Accounts

    place = ledger_of(ledger, Path())
    with Accounts.open(place) as accounts:
        accounts.link(one, other)
        (both,) = [each for each in accounts.show() if one in each.names]
    say(screen(errors=json), f"Counted together in {place}: {', '.join(both.names)}.", style="bold")
    if json:
        answer({"ledger": str(place), "datasets": list(both.names)})


@app.command()
def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .json or .csv file.", show_default=False)
    ],
    ledger: LedgerFile = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the whole ledger to a file: totals and entries as JSON, or the entries as CSV."""
    from wardgan.files import check_new, write_bytes
    from wardgan.privacy.accounts.book import Accounts
    from wardgan.privacy.accounts.facts import as_csv, as_json, facts_of

    if output.suffix not in (".json", ".csv"):
        raise UsageError(f"output={str(output)!r}: end the name in .json or .csv.")
    check_new(output, force=force)
    place = ledger_of(ledger, Path())
    with Accounts.open(place, writable=False) as accounts:
        facts = facts_of(accounts.show())
    write_bytes(output, as_json(facts) if output.suffix == ".json" else as_csv(facts), force=force, mode=0o600)
    entries = sum(len(each["entries"]) for each in facts["datasets"])
    say(screen(errors=json), f"{output}: {counted(entries, 'line')} of {place}. It stays on site.", style="bold green")
    if json:
        answer({"ledger": str(place), "output": str(output), "entries": entries})


def account_for(ledger: Path | None, data: Path, dataset: str | None, *, run: Path | None) -> Account:
    """Gives where a fit is entered.

    Args:
        ledger: What `--ledger` says.
        data: The patients' file: by default the ledger lies beside it.
        dataset: What `--dataset` says.
        run: The folder of a run that goes on: it stays where it was entered.
    """
    from wardgan.privacy.accounts.spending import Account, account_of

    given = None if ledger is None else Account(ledger, dataset)
    found = account_of(given, run, resume=run is not None)
    return found or Account(ledger_of(None, data.resolve().parent), dataset)


def show_whose(console: Console, account: Account, cohort: AnyCohort) -> dict[str, object]:
    """Says before a fit in which ledger it is entered, and with which earlier fits it is counted.

    Returns:
        The ledger and the data set, for JSON.
    """
    from wardgan.privacy.accounts.spending import preview

    whose = preview(account, cohort)
    if whose is None:
        say(console, f"Ledger: {account.ledger} is new; the fit is entered there.")
        return {"ledger": str(account.ledger), "dataset": account.dataset or cohort.schema.name}
    before = f"{counted(whose.fits, 'fit')} so far"
    said = {
        "named": f"data set {whose.name!r}, as you say ({before})",
        "same patients": f"data set {whose.name!r}, the same patients as before ({before})",
        "same schema name": f"data set {whose.name!r} ({before})",
        "new": f"data set {whose.name!r}, which is new",
    }[whose.how]
    say(console, f"Ledger: {account.ledger}; {said}.")
    if whose.how == "same schema name":
        say(
            console,
            "These are not exactly the patients of an earlier fit, but its schema has the same name. To be safe they "
            "are counted together. If nobody is in both, stop now and fit with --dataset NAME.",
            style="yellow",
        )
    return {"ledger": str(account.ledger), "dataset": whose.name}

"""`wardgan audit`: one more training, with canary patients, that is thrown away; what stays is a certified bound."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from wardgan.cli.options import (
    Data,
    DataSet,
    Delimiter,
    Delta,
    Family,
    FitLedger,
    Force,
    Invalid,
    Json,
    Privacy,
    SchemaFile,
    Visits,
    delimiter_of,
)
from wardgan.cli.terminal import Stopped, answer, banner, bar, say, screen

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.attack.audit import Audit
    from wardgan.schema import read as reading

_PROVED = 3


def audit(  # noqa: PLR0913, PLR0917 - one argument for each option
    data: Data,
    schema: SchemaFile,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="The claim to be tried; mistakes show best at 1.")
    ] = None,
    canaries: Annotated[int, typer.Option("--canaries", help="How many canary patients are made up.")] = 200,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also write what was found, as JSON.", show_default=False),
    ] = None,
    delta: Delta = 1e-5,
    family: Family = "auto",
    privacy: Privacy = "private",
    invalid: Invalid = "refuse",
    visits: Visits = None,
    delimiter: Delimiter = ",",
    ledger: FitLedger = None,
    dataset: DataSet = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Rehearsal: noise and coins can be replayed.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Train once more, with canary patients, and prove how much it gave away at least. Costs what a fit costs."""
    from wardgan.attack.audit import audit as audited
    from wardgan.cli.fit import planned
    from wardgan.cli.ledger import account_for, show_whose
    from wardgan.cli.patients import only_tables
    from wardgan.cli.plan import show_plan
    from wardgan.files import check_new, write_bytes
    from wardgan.schema.read import read
    from wardgan.schema.schema import Schema

    declared, console = Schema.load(schema), screen(errors=json)
    only_tables(declared, "audit")
    if output is not None:
        check_new(output, force=force)
    plan = planned(declared, epsilon, delta, privacy, family)
    if plan is None:
        banner(console)
    else:
        show_plan(console, plan)
    cohort = read(
        data, declared, visits=visits, invalid=cast("reading.Invalid", invalid), delimiter=delimiter_of(delimiter)
    )
    account = account_for(ledger, data, dataset, run=None)
    entered = show_whose(console, account, cohort)
    try:
        with bar("auditing", 1) as advance:
            found = audited(
                cohort, None if plan is None else plan.budget, family=family,
                privacy="none" if plan is None else "private", canaries=canaries, seed=seed, accounts=account,
                watch=lambda at: advance(at.done, at.total, f"{at.doing} {at.done}/{at.total}"),
            )  # fmt: skip
    except KeyboardInterrupt as error:
        raise Stopped("Stopped. Nothing was kept but what was spent, which is in the ledger.") from error
    show(console, found)
    facts = found.to_dict() | entered
    if output is not None:
        write_bytes(output, (json_text.dumps(facts, indent=1) + "\n").encode(), force=force, mode=0o600)
        say(console, f"What was found is in {output}. It is about your patients: it stays on site.")
    if json:
        answer(facts)
    if found.verdict == "above the claim":
        raise typer.Exit(_PROVED)


def show(console: Console, found: Audit) -> None:
    """Prints what was done, what the bound proves, and what it does not."""
    say(
        console,
        f"A second training ({found.family}) has read your patients, and each of {found.canaries} canary patients if "
        "a coin said so. Its generator is thrown away and was never on the disk.",
    )
    say(
        console,
        f"Who was in was guessed from its synthetic patients: {found.right} of {found.guesses} guesses are right; "
        "chance gives half.",
    )
    bound = found.estimate.value
    say(
        console,
        f"Certified: what it gave away is worth an epsilon of at least {bound:.2f} at delta {found.delta:g} (95 %). "
        f"No more than {found.power:.2f} could have been certified, whatever leaks.",
        style="bold",
    )
    if found.replayable:
        say(console, "A rehearsal: noise and coins come from the seed.", style="yellow")
    if found.claim is None:
        say(console, "There was no claim to be tried. What leaks beyond this bound was not seen.", style="yellow")
    elif found.verdict == "above the claim":
        say(
            console,
            f"ABOVE THE CLAIM of epsilon {found.claim:g}. The training gives away more than it bills: "
            "there is a mistake in the code that ran here. Chance alone does this in at most one of 20 audits. Release "
            "nothing that was fitted with it, and report it (SECURITY.md).",
            style="bold red",
        )
    else:
        say(
            console,
            f"Within the claim of epsilon {found.claim:g}. That proves nothing: an audit finds gross mistakes, such as "
            "copied patients or counts without noise, and never shows that there is none.",
            style="green",
        )

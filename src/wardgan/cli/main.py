"""`wardgan`: all verbs, and what happens when one of them refuses."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from wardgan.cli import (
    access,
    audit,
    audit_log,
    balance,
    card,
    check,
    combine,
    concepts,
    demo,
    distill,
    dossier,
    federate,
    fit,
    init,
    inspect,
    keys,
    ledger,
    listing,
    plan,
    pool,
    release,
    sample,
    serve,
    share,
    sketch,
    split,
    steward,
    token,
    verify,
)
from wardgan.cli.terminal import Stopped, refuse, refuse_error

# Typer does not export the base class of its usage errors.
_USAGE: type[Exception] = typer.BadParameter.__bases__[0]


class Verbs(TyperGroup):
    """The verbs, with one place where errors become messages and exit codes."""

    def invoke(self, ctx: typer.Context) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Runs a verb; Ctrl-C becomes a refusal like others."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped("Stopped. Nothing half-written was left behind; run the same command again.") from error

    def main(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: object
    ) -> NoReturn:
        """Runs the command line and leaves with an exit code.

        Args:
            args: Arguments; `None` for those of the process.
            prog_name: Name in messages.
            extra: What typer passes on.
        """
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            code = super().main(given, prog_name, standalone_mode=not as_json, **extra)  # pyright: ignore
        except _USAGE as error:
            refuse("UsageError", error.format_message(), as_json=as_json)  # pyright: ignore
            code = 2
        except Exception as error:  # what is no refusal is raised again
            code = refuse_error(error, as_json=as_json)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=Verbs, name="wardgan", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Share a generator of patients instead of the patients: differentially private, checked and signed.",
    epilog="A first look, without any data of yours: wardgan demo",
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        from wardgan.cli.facts import facts

        typer.echo(facts())
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of wardgan, Python and its libraries.",
        ),
    ] = False,
) -> None: ...


_HOSPITAL, _ANYWHERE = "In the hospital", "Anywhere"
app.command("sketch", rich_help_panel=_HOSPITAL)(sketch.sketch)
app.command("init", rich_help_panel=_HOSPITAL)(init.init)
app.command("check", rich_help_panel=_HOSPITAL)(check.check)
app.command("split", rich_help_panel=_HOSPITAL)(split.split)
app.command("plan", rich_help_panel=_HOSPITAL)(plan.plan)
app.command("fit", rich_help_panel=_HOSPITAL)(fit.fit)
app.command("dossier", rich_help_panel=_HOSPITAL)(dossier.dossier)
app.command("audit", rich_help_panel=_HOSPITAL)(audit.audit)
app.command("release", rich_help_panel=_HOSPITAL)(release.release)
app.command("steward", rich_help_panel=_HOSPITAL)(steward.steward)
app.add_typer(ledger.app, name="ledger", rich_help_panel=_HOSPITAL)
app.add_typer(keys.app, name="keys", rich_help_panel=_HOSPITAL)
app.command("verify", rich_help_panel=_ANYWHERE)(verify.verify)
app.command("inspect", rich_help_panel=_ANYWHERE)(inspect.inspect)
app.command("card", rich_help_panel=_ANYWHERE)(card.card)
app.command("combine", rich_help_panel=_ANYWHERE)(combine.combine)
app.command("distill", rich_help_panel=_ANYWHERE)(distill.distill)
app.add_typer(federate.app, name="federate", rich_help_panel=_ANYWHERE)
app.add_typer(pool.app, name="pool", rich_help_panel=_ANYWHERE)
app.command("push", rich_help_panel=_ANYWHERE)(share.push)
app.command("pull", rich_help_panel=_ANYWHERE)(share.pull)
app.command("list", rich_help_panel=_ANYWHERE)(listing.list_)
app.command("search", rich_help_panel=_ANYWHERE)(listing.search)
app.command("revoke", rich_help_panel=_ANYWHERE)(share.revoke)
app.command("serve", rich_help_panel=_ANYWHERE)(serve.serve)
app.add_typer(token.app, name="token", rich_help_panel=_ANYWHERE)
app.add_typer(access.app, name="access", rich_help_panel=_ANYWHERE)
app.add_typer(audit_log.app, name="audit-log", rich_help_panel=_ANYWHERE)
app.command("sample", rich_help_panel=_ANYWHERE)(sample.sample)
app.command("concepts", rich_help_panel=_ANYWHERE)(concepts.concepts)
app.command("balance", rich_help_panel=_ANYWHERE)(balance.balance)
app.command("demo", rich_help_panel=_ANYWHERE)(demo.demo)


def main() -> None:
    """Runs `wardgan` with the arguments of the process."""
    # Whoever ends the process politely gets the same tidying up as with Ctrl-C.
    signal.signal(signal.SIGTERM, _ended)
    # Threads of classifiers and networks sleep while they wait. Otherwise they take turns at doing nothing where
    # others use the machine, too: there a dossier took more than ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app()


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)

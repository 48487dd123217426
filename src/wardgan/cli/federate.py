"""`wardgan federate`: several hospitals train one generator; patients and discriminators stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.inspect import shown
from wardgan.cli.options import Force, Json, Override, SigningKey
from wardgan.cli.terminal import Stopped, answer, banner, say, screen, unsigned, watching
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from wardgan.federating.release import Federated

app = typer.Typer(
    no_args_is_help=True, help="Train one generator at several hospitals: patients and discriminators stay there."
)
AgreementFile = Annotated[
    Path, typer.Argument(metavar="AGREEMENT", help="What was agreed on (YAML).", show_default=False)
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .hgan file.", show_default=False)]


@app.command("simulate")
def simulate(
    agreement: AgreementFile,
    policies: Annotated[
        list[Path], typer.Argument(metavar="POLICIES", help="Policy files of the hospitals.", show_default=False)
    ],
    output: Output,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Keep the state here; with it, a stopped training goes on."),
    ] = None,
    key: SigningKey = None,
    override: Override = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Train with all hospitals on this machine, as it would be done over a network."""
    from wardgan.cli.keys import passphrase_of
    from wardgan.federating.agreement import Agreement
    from wardgan.federating.here import federate as simulated
    from wardgan.federating.policy import Policy

    what = Agreement.load(agreement)
    known = [Policy.load(one) for one in policies]
    secret = None if key is None else passphrase_of(key)
    with watching("federating") as watch:
        try:
            made = simulated(
                what, known, output, folder=state, key=key, passphrase=secret, override=override, force=force,
                watch=watch,
            )  # fmt: skip
        except KeyboardInterrupt as error:
            way = "run the same command again" if state is not None else "with --state it could be continued"
            raise Stopped(f"Stopped. What was spent is in each hospital's ledger; {way}.") from error
    _report(made, output, key, as_json=json)


@app.command("provision")
def provision(
    sites: Annotated[list[str], typer.Argument(metavar="SITES", help="Names of the hospitals.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder.", show_default=False)],
    host: Annotated[str, typer.Option("--host", help="How hospitals reach the server.")] = "localhost",
    port: Annotated[int, typer.Option("--port", help="The server's port.")] = 8002,
    days: Annotated[int, typer.Option("--days", help="Until the certificates expire; at most 360.")] = 360,
) -> None:
    """Write startup kits: certificates, and a policy that lets nothing run but this package."""
    _need()
    from wardgan.federating.flare.kits import provision as written

    place = written(sites, output, host=host, port=port, days=days)
    console = screen()
    say(
        console,
        f"{place}: kits of {counted(len(sites), 'hospital')}, the server and the coordinator.",
        style="bold green",
    )
    say(console, f"Hand each hospital its own folder, in secret: {', '.join(sites)}.")
    say(console, f"Keep {place / 'authority'} away from the server: whoever has it can let others in.", style="yellow")
    say(console, "Next, at each hospital: fill in local/policy.yaml; wardgan federate site KIT")
    say(console, f"and then here: wardgan federate coordinate AGREEMENT {place} -o FILE")


@app.command("site")
def site(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The hospital's startup kit.", show_default=False)],
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="The hospital's policy.", show_default="KIT/local/policy.yaml"),
    ] = None,
) -> None:
    """Take part as a hospital, within its own policy, until the training ends."""
    _need()
    from wardgan.federating.flare import CONSOLE
    from wardgan.federating.flare.processes import run_site

    console = screen()
    text = f"{kit}: taking part; what happens is written to {kit / CONSOLE}. Ctrl-C stops it."
    try:
        code = run_site(kit, policy, begun=lambda: say(console, text))
    except KeyboardInterrupt as error:
        raise Stopped("Stopped. What was spent is in the ledger; run the same command again to go on.") from error
    say(console, "The training has ended." if code == 0 else f"The process ended with code {code}; see the log.")
    if code:
        raise typer.Exit(1)


@app.command("coordinate")
def coordinate(  # noqa: PLR0913, PLR0917 - one argument for each option
    agreement: AgreementFile,
    kits: Annotated[
        Path, typer.Argument(metavar="KITS", help="Folder with the kits server and admin.", show_default=False)
    ],
    output: Output,
    patience: Annotated[
        int, typer.Option("--patience", help="Seconds after which a step goes on without who is late.")
    ] = 600,
    most: Annotated[
        int, typer.Option("--job-rounds", help="Rounds in a job; who was restarted joins the next one.")
    ] = 10,
    join: Annotated[float, typer.Option("--join", help="Seconds to wait for hospitals.")] = 600.0,
    key: SigningKey = None,
    override: Override = None,
    force: Force = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Run the server, train with the hospitals that join, and write the generator of all of them."""
    _need()
    from wardgan.cli.keys import passphrase_of
    from wardgan.federating.agreement import Agreement
    from wardgan.federating.flare.processes import coordinate as coordinated

    what = Agreement.load(agreement)
    secret = None if key is None else passphrase_of(key)
    with watching("federating") as watch:
        try:
            made = coordinated(
                what, kits, output, patience=patience, most=most, join=join, key=key, passphrase=secret,
                override=override, force=force, watch=watch,
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Stopped("Stopped. The state is in the server's kit; run the same command again to go on.") from error
    _report(made, output, key, as_json=json)


def _need() -> None:
    """Refuses verbs that need a network's library, if it is not installed."""
    from importlib.util import find_spec

    if find_spec("nvflare") is None:
        raise UsageError("A training over a network needs NVFlare. Install it with: pip install 'wardgan[federate]'")


def _report(made: Federated, output: Path, key: Path | None, *, as_json: bool) -> None:
    from wardgan.cli.combine import show_bounds

    console = screen(errors=as_json)
    rounds = f" in {counted(made.rounds, 'round')}" if made.rounds else ""
    say(console, f"{output}: trained at {counted(len(made.hospitals), 'hospital')}{rounds}.", style="bold green")
    for notice in made.notices:
        say(console, f"Note: {shown(notice)}", style="yellow")
    unsigned(console, key)
    if made.bounds.worst.epsilon == float("inf"):
        banner(console)
    else:
        show_bounds(console, made.bounds)
    if as_json:
        answer(
            {
                "output": str(output), "hospitals": list(made.hospitals), "rounds": made.rounds,
                "notices": list(made.notices), "bounds": made.bounds.to_dict(), "seconds": list(made.seconds),
            }
        )  # fmt: skip

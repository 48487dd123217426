"""`wardgan verify`: everything that can be checked about a file, checked."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from wardgan.cli.inspect import shown
from wardgan.cli.options import Json, Model, Trust
from wardgan.cli.terminal import answer, banner, say, screen
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from wardgan.combining.loading import VerifiedMixture
    from wardgan.dossier.receiver import Received

_REFUSED = 3
_STYLES = {"fail": "red", "warn": "yellow", "unjudged": "yellow"}


def verify(
    model: Model,
    trust: Trust = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", metavar="NAME|FILE", help="Judge by your own policy.", show_default="the hospital's"),
    ] = None,
    json: Json = False,
) -> None:
    """Check a file: every digest, the signature, the privacy bill added up again, and the public gates judged again."""
    from wardgan.combining.file import kind_of
    from wardgan.dossier.receiver import verify as verified

    if kind_of(model) == "mixture":
        _verify_mixture(model, trust, policy, as_json=json)
        return
    found = verified(model, trust, policy=policy)
    claim, console = found.privacy, screen(errors=json)
    # Where batches are cut off too often for our own accountant, its bound is infinite.
    bound = found.epsilon_bound if isfinite(found.epsilon_bound or 0.0) else None
    refused = bool(found.refusals)
    _show_head(console, model, found)
    if claim.mode == "none":
        banner(console)
    else:
        guarantee = f"epsilon {claim.epsilon:g} at delta {claim.delta:g}"
        say(console, f"Claims:    {guarantee}, for each {claim.unit} ({claim.neighbours})")
        if found.epsilon is None:
            say(console, "Billed:    roughly; for the exact bill: pip install 'wardgan[train]'", style="yellow")
        else:
            say(console, f"Billed:    epsilon {found.epsilon:.4g} by the accountant of record (PLD)")
        if bound is not None:
            say(console, f"           epsilon {bound:.4g} by our own (Renyi), an upper bound")
    _show_gates(console, found)
    say(console, f"Verdict:   {shown(found.verdict)}", style="bold")
    if json:
        answer(
            {
                "ok": not refused, "refusals": [*found.refusals],
                "digest": found.digest, "signer": found.signer, "keyid": found.keyid,
                "privacy": claim.model_dump(), "epsilon": found.epsilon, "epsilon_bound": bound,
                "override": found.override, "overall": found.overall, "verdict": found.verdict,
                "policy": found.policy, "weaker": [*found.weaker],
                "gates": [one.to_dict() for one in found.gates],
            }
        )  # fmt: skip
    if refused:
        raise typer.Exit(_REFUSED)


def _show_head(console: Console, model: Path, found: Received | VerifiedMixture) -> None:
    refused = bool(found.refusals)
    say(console, f"{model}: {'NOT in order' if refused else 'in order'}", style="bold red" if refused else "bold green")
    for reason in found.refusals:
        say(console, f"Refused:   {shown(reason)}", style="red")
    say(console, f"Digest:    {found.digest}")
    say(console, f"Signed by: {shown(found.signer)} (key id {found.keyid})")


def _verify_mixture(model: Path, trust: Path | None, policy: str | None, *, as_json: bool) -> None:
    if policy is not None:
        raise UsageError("--policy has no meaning for a combined generator: its members were judged one by one.")
    from wardgan.cli.combine import show_bounds
    from wardgan.combining.loading import verify_mixture

    found, console = verify_mixture(model, trust), screen(errors=as_json)
    refused = bool(found.refusals)
    _show_head(console, model, found)
    for name, epsilon in found.billed.items():
        say(
            console,
            f"Billed:    {shown(name)}: "
            + ("roughly, or NOT PRIVATE" if epsilon is None else f"epsilon {epsilon:.4g}"),
        )
    show_bounds(console, found.bounds)
    if as_json:
        answer(
            {
                "ok": not refused, "refusals": [*found.refusals], "digest": found.digest, "signer": found.signer,
                "keyid": found.keyid, "privacy": found.privacy.model_dump(), "bounds": found.bounds.to_dict(),
                "billed": dict(found.billed),
            }
        )  # fmt: skip
    if refused:
        raise typer.Exit(_REFUSED)


def _show_gates(console: Console, found: Received) -> None:
    if found.dossier is None:
        say(console, "Dossier:   none; nobody says what attacks found", style="yellow")
    for weaker in found.weaker:
        say(console, f"Policy:    the hospital's asks for less than default does: {weaker}", style="yellow")
    for one in found.gates:
        about = f" ({shown(one.about)})" if one.about else ""
        say(
            console, f"Gate:      {one.gate}{about}: {one.verdict}. {shown(one.reason)}", style=_STYLES.get(one.verdict)
        )
    if found.override is not None:
        say(console, f"Override:  {shown(found.override)}", style="red")

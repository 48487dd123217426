"""`wardgan verify`: everything that can be checked about a file, checked."""

from __future__ import annotations

from wardgan.cli.options import Json, Model, Trust
from wardgan.cli.terminal import answer, banner, say, screen


def verify(model: Model, trust: Trust = None, json: Json = False) -> None:
    """Check a file: every digest, the signature, and the privacy bill, added up again."""
    from wardgan.seal.artifact import verify as verified

    found = verified(model, trust)
    claim, console = found.privacy, screen(errors=json)
    say(console, f"{model}: in order", style="bold green")
    say(console, f"Digest:    {found.digest}")
    say(console, f"Signed by: {found.signer} (key id {found.keyid})")
    if claim.mode == "none":
        banner(console)
    else:
        guarantee = f"epsilon {claim.epsilon:g} at delta {claim.delta:g}"
        say(console, f"Claims:    {guarantee}, for each {claim.unit} ({claim.neighbours})")
        if found.epsilon is None:
            say(
                console,
                "Billed:    install the accountant of record for this: pip install 'wardgan[train]'",
                style="yellow",
            )
        else:
            say(console, f"Billed:    epsilon {found.epsilon:.4g} by the accountant of record (PLD)")
        say(console, f"           epsilon {found.epsilon_bound:.4g} by our own (Renyi), an upper bound")
    if json:
        answer(
            {
                "ok": True, "digest": found.digest, "signer": found.signer, "keyid": found.keyid,
                "privacy": claim.model_dump(), "epsilon": found.epsilon, "epsilon_bound": found.epsilon_bound,
            }
        )  # fmt: skip

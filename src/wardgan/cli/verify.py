"""`wardgan verify`: everything that can be checked about a file, checked."""

from __future__ import annotations

from math import isfinite

from wardgan.cli.inspect import shown
from wardgan.cli.options import Json, Model, Trust
from wardgan.cli.terminal import answer, banner, say, screen


def verify(model: Model, trust: Trust = None, json: Json = False) -> None:
    """Check a file: every digest, the signature, and the privacy bill, added up again."""
    from wardgan.seal.artifact import verify as verified

    found = verified(model, trust)
    claim, console = found.privacy, screen(errors=json)
    # Where batches are cut off too often for our own accountant, its bound is infinite.
    bound = found.epsilon_bound if isfinite(found.epsilon_bound or 0.0) else None
    say(console, f"{model}: in order", style="bold green")
    say(console, f"Digest:    {found.digest}")
    say(console, f"Signed by: {shown(found.signer)} (key id {found.keyid})")
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
    if json:
        answer(
            {
                "ok": True, "digest": found.digest, "signer": found.signer, "keyid": found.keyid,
                "privacy": claim.model_dump(), "epsilon": found.epsilon, "epsilon_bound": bound,
            }
        )  # fmt: skip

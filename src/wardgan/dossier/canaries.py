"""What a canary audit proved, for section 6 of the internal dossier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from wardgan.dossier.document import Block, Number, Numbers, Text
from wardgan.dossier.gates import Measured
from wardgan.dossier.numbers import STRICT, Stated
from wardgan.errors import FormatError, UsageError
from wardgan.sample.generator import Generator

_ABSENT: Final = "No canary audit was made: wardgan audit, then wardgan dossier --audit FILE."


@dataclass(frozen=True, config=STRICT)
class CanaryAudit:
    """An audit as `wardgan audit -o` writes it; see `wardgan.attack.audit.Audit` for its fields."""

    estimate: Stated
    claim: float | None
    delta: float
    family: str
    canaries: int
    guesses: int
    right: int
    power: float
    replayable: bool
    verdict: str | None


def read_audit(path: str | Path) -> CanaryAudit:
    """Gives what an audit proved.

    Args:
        path: JSON that `wardgan audit -o` has written.

    Raises:
        UsageError: There is no such file.
        FormatError: It is no audit.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        kept = {name: found[name] for name in CanaryAudit.__dataclass_fields__}
        return _AUDIT.validate_json(json.dumps(kept))
    except OSError as error:
        raise UsageError(f"audit={str(path)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise FormatError(f"audit={str(path)!r} is not what wardgan audit writes.") from error


def check_audit(found: CanaryAudit, generator: Generator) -> None:
    """Refuses an audit that says nothing about a generator.

    Raises:
        UsageError: It is of another family, epsilon or delta, or its noise could be replayed.
    """
    claim = generator.privacy
    for what, ours, theirs in (
        ("family", generator.family, found.family), ("epsilon", claim.get("epsilon"), found.claim),
        ("delta", claim.get("delta") or found.delta, found.delta), ("replayable noise", False, found.replayable),
    ):  # fmt: skip
        if ours != theirs:
            raise UsageError(f"audit: its {what} is {theirs}, that of the run {ours}; audit the same training.")


def audit_blocks(found: CanaryAudit | None) -> list[Block]:
    """Gives what section 6 says of an audit."""
    if found is None:
        return [Text(_ABSENT, "quiet")]
    claim = "no privacy" if found.claim is None else f"epsilon {found.claim:g}"
    note = f"{found.right} of {found.guesses} guesses right; the most that could be proved is {found.power:.3g}"
    text = (
        f"A second training of the family {found.family}, with {found.canaries} invented canary patients, each in or "
        f"out by a coin, and thrown away. The claim is {claim}. What is proved holds for that training and its code, "
        "not for the file that is released; a bound within the claim proves nothing."
    )
    return [Text(text), Numbers("Canary audit", [Number("epsilon proved at least", found.estimate, note=note)], "")]


def audit_number(found: CanaryAudit) -> Measured:
    """Gives what the gate on certified epsilon judges."""
    return Measured(
        "certified epsilon", "canary audit", found.estimate, enough=False, accuses=True, limit=found.claim or 0.0,
        because="it proves nothing within the claim.",
    )  # fmt: skip


_AUDIT: Final = TypeAdapter(CanaryAudit)

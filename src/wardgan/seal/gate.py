"""The gate: rules that a model must pass before it may leave the hospital."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from wardgan.errors import ArtifactError
from wardgan.privacy.events import MAX_EPSILON
from wardgan.schema.texts import formula_problem
from wardgan.seal.records import Bill, LedgerRecord, read_ledger

if TYPE_CHECKING:
    from wardgan.privacy.ledger import Ledger
    from wardgan.sample.generator import Generator
    from wardgan.schema.schema import Schema

_OVERRIDE: Final = re.compile(r"[^:\n]*\w[^:\n]*: *\S[^\n]*")
NOT_PROTECTED: Final = (
    "Nothing protects the patients (privacy none); it may leave only with an override 'person: reason'."
)
_COMMON: Final = 65_535
_BATCHED: Final = 8


def reasons_to_refuse(generator: Generator, ledger: Ledger, *, override: str | None = None) -> list[str]:
    """Gives every reason why a model may not leave, one sentence each; none if it may.

    Args:
        generator: The model.
        ledger: What its fit has spent.
        override: `person: reason`. It excuses that nothing protects the patients, and nothing else here.
    """
    return [*generator_reasons(generator), *claim_reasons(generator.privacy, ledger.to_dict(), override)]


def claim_reasons(claim: Mapping[str, object], ledger: Mapping[str, object], override: str | None) -> list[str]:
    """Gives the reasons that lie in a ledger, or between it and what the generator claims.

    Args:
        claim: The generator's `privacy`.
        ledger: The ledger's JSON.
        override: `person: reason`.
    """
    try:
        record = read_ledger(ledger, "ledger")
    except ArtifactError as error:
        return [str(error)]
    found = ledger_reasons(record, override)
    for name in ("mode", "epsilon", "delta"):
        if name in claim and claim[name] != getattr(record, name):
            found.append(f"The generator claims {name} {claim[name]!r}, its ledger says {getattr(record, name)!r}.")
    return found


def ledger_reasons(record: LedgerRecord, override: str | None) -> list[str]:
    """Gives the reasons that lie in the ledger (Rules P4, P5, P10, P16).

    Args:
        record: The ledger.
        override: `person: reason`; without privacy it must be there.
    """
    form = _form_reasons(record)
    if form or record.mode == "none":
        return form or _open_reasons(override)
    found = [] if override is None else override_reasons(override)
    if record.sites is None:
        return found + _bill_reasons(record)
    found += _target_reasons(record)
    return found + [f"{site.name}: {reason}" for site in record.sites for reason in _bill_reasons(site.ledger)]


def _form_reasons(record: LedgerRecord) -> list[str]:
    """Gives what is wrong with a ledger of several hospitals, or of one, as such."""
    several = record.sites is not None
    if several != (record.version == 2) or several != (record.origin is not None) or (record.overlap and not several):
        return ["A ledger of several hospitals says so by its version, its origin and their ledgers; of one, by none."]
    if record.sites is None:
        return []
    own = bool(record.events or record.unbilled or record.replayable or record.spent)
    if own:
        return ["What was spent stands in the hospitals' ledgers, not beside them."]
    keys = [(site.patients, site.source) for site in record.sites]
    if len(set(keys)) < len(keys):
        return ["Something is there twice among the hospitals' ledgers."]
    for site in record.sites:
        found = _target_reasons(site.ledger) if site.ledger.mode == "private" else []
        if site.ledger.mode == "none" and record.mode == "private":
            found = ["It claims to be private, and nothing protects these patients."]
        if found:
            return [f"{site.name}: {found[0]}"]
    return []


def _bill_reasons(record: Bill) -> list[str]:
    found: list[str] = []
    if record.replayable:
        found.append(
            "It is a rehearsal: its noise can be replayed, so anyone can subtract it. Fit again without a noise seed."
        )
    if record.unbilled:
        found.append(
            f"Patients were read without a bill ({', '.join(record.unbilled[:3])}); fit again through the ledger."
        )
    if not record.events:
        found.append("It claims to be private, but its ledger is empty.")
    batched = sum(event.mechanism == "poisson-gaussian" for event in record.events)
    if batched > _BATCHED:
        found.append(f"Its ledger has {batched} events with batches, more than {_BATCHED}.")
    return found + _budget_reasons(record)


def generator_reasons(generator: Generator) -> list[str]:
    """Gives the reasons that lie in the generator: a draft's values, formulas, or impossible class shares."""
    problem = shares_problem(generator.probabilities, generator.schema.classes)
    return schema_reasons(generator.schema) + ([] if problem is None else [problem])


def schema_reasons(schema: Schema) -> list[str]:
    """Gives the reasons that lie in a schema: a draft's values, or texts that a spreadsheet would run."""
    found: list[str] = []
    if schema.confirm:
        places = ", ".join(schema.confirm[:3])
        found.append(f"The schema has values that a draft read off patients ({places}); confirm them and fit again.")
    problem = formula_problem(schema)
    return found if problem is None else [*found, problem]


def shares_problem(probabilities: Sequence[float], classes: int) -> str | None:
    """Gives what is wrong with the shares of the classes, if anything."""
    if len(probabilities) != classes:
        return f"There are {len(probabilities)} class shares for {classes} classes."
    if not all(math.isfinite(share) and share >= 0 for share in probabilities):
        return "A class share is negative or not finite."
    if abs(math.fsum(probabilities) - 1) > 1e-6:
        return f"The class shares sum to {math.fsum(probabilities):.6g}, not to 1."
    return None


def scan_for(values: Iterable[str], data: bytes) -> list[str]:
    """Gives the values that occur in bytes: no planted patient may be found in a release (Rule P18).

    A value is looked for as text (UTF-8, UTF-16). A number that is not a common whole number is looked for in
    binary too: float32, float64 and 64-bit integer, little-endian.

    Args:
        values: What must not be there; empty texts are passed over.
        data: The bytes of a release.

    Example:
        >>> scan_for(["Quixote", "1234567.5"], b"..." + "Quixote".encode("utf-16-le"))
        ['Quixote']
    """
    return [value for value in values if value and any(form in data for form in _forms(value))]


def _open_reasons(override: str | None) -> list[str]:
    if override is None:
        return [NOT_PROTECTED]
    return override_reasons(override)


def override_reasons(override: str) -> list[str]:
    """Gives what is wrong with an override, if anything."""
    if not _OVERRIDE.fullmatch(override):
        return ["The override does not name a person and a reason; write 'person: reason'."]
    return []


def _budget_reasons(record: Bill) -> list[str]:
    epsilon, spent = record.epsilon, record.spent
    found = _target_reasons(record)
    if spent is None or not 0 <= spent.epsilon < math.inf:
        found.append("The ledger does not say what was spent.")
    elif epsilon is not None and not spent.epsilon <= epsilon:
        found.append(f"It spent epsilon {spent.epsilon:.6g}, more than its target {epsilon:.6g}.")
    return found


def _target_reasons(record: Bill) -> list[str]:
    epsilon, delta = record.epsilon, record.delta
    found: list[str] = []
    if epsilon is None or not math.isfinite(epsilon) or epsilon <= 0:
        found.append(f"Epsilon is {epsilon}, not a finite number greater than 0.")
    elif epsilon > MAX_EPSILON:
        found.append(f"Epsilon is {epsilon:g}, more than {MAX_EPSILON:g}; that protects nobody.")
    if delta is None or not 0 < delta < 1:
        found.append(f"Delta is {delta}, not between 0 and 1.")
    return found


def _forms(value: str) -> list[bytes]:
    texts = [value.encode(), value.encode("utf-16-le"), value.encode("utf-16-be")]
    try:
        number = float(value)
    except ValueError:
        return texts
    if not math.isfinite(number) or (number.is_integer() and abs(number) <= _COMMON):
        return texts
    if number.is_integer() and abs(number) < 2**63:
        texts.append(struct.pack("<q", int(number)))
    if abs(number) < 3e38:
        texts.append(struct.pack("<f", number))
    return [*texts, struct.pack("<d", number)]

"""Gates: what was measured against what the policy asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from wardgan.dossier.policy import Limit, Policy
from wardgan.estimate import Estimate

Verdict = Literal["pass", "warn", "fail", "unjudged"]
Overall = Literal["pass", "pass with warnings", "not judged", "fail", "released by override"]
_WORST: Final[Sequence[Verdict]] = ("pass", "warn", "unjudged", "fail")


@dataclass(frozen=True)
class Measured:
    """One number that a gate judges.

    Attributes:
        gate: Name of the gate, one of the policy's.
        about: What it is about, such as a column or a group; empty if there is one number for the gate.
        estimate: The number; `None` if it could not be measured.
        enough: Whether there were enough patients to see what the gate is about.
        because: Why it was not measured, or why it is not enough; empty otherwise.
    """

    gate: str
    about: str
    estimate: Estimate | None
    enough: bool = True
    because: str = ""


@dataclass(frozen=True)
class Judgement:
    """What a gate says of one number.

    Attributes:
        gate: Name of the gate.
        about: What the number is about.
        verdict: `pass`, `warn`, `fail`, or `unjudged`: too few patients, which is never a pass.
        reason: One sentence with the number and the limit.
        estimate: The number, if there is one.
    """

    gate: str
    about: str
    verdict: Verdict
    reason: str
    estimate: Estimate | None


def judged(measured: Iterable[Measured], policy: Policy) -> tuple[Judgement, ...]:
    """Gives what each gate says; a gate of which nothing was measured is not judged.

    Args:
        measured: Numbers, for some gates several.
        policy: The limits.
    """
    given = list(measured)
    found = [_judgement(one, policy.limits[one.gate]) for one in given]
    for gate in policy.limits:
        if not any(one.gate == gate for one in given):
            found.append(Judgement(gate, "", "unjudged", "It was not measured.", None))
    return tuple(found)


def overall(judgements: Iterable[Judgement]) -> Verdict:
    """Gives the worst verdict; a gate that cannot be judged is worse than a warning."""
    found = {one.verdict for one in judgements}
    for verdict in reversed(_WORST):
        if verdict in found:
            return verdict
    return "unjudged"


def reasons(judgements: Iterable[Judgement], policy: Policy) -> list[str]:
    """Gives why a generator may not leave, one sentence for each gate that says so; none if it may.

    Args:
        judgements: What the gates say.
        policy: Whether a gate that cannot be judged refuses.
    """
    refusing = ("fail", "unjudged") if policy.unjudged == "refuse" else ("fail",)
    return [
        f"{one.gate}{f' ({one.about})' if one.about else ''}: {one.reason}"
        for one in judgements
        if one.verdict in refusing
    ]


def _judgement(measured: Measured, limit: Limit) -> Judgement:
    estimate = measured.estimate
    if estimate is None or not math.isfinite(estimate.value):
        because = measured.because or "It could not be measured."
        return Judgement(measured.gate, measured.about, "unjudged", because, estimate)
    verdict = _verdict(estimate, limit)
    reason = f"{_number(estimate)}; {_asked(limit)}."
    # What is beyond the limit for certain is so with few patients, too.
    if verdict != "fail" and not measured.enough:
        verdict, reason = "unjudged", f"{reason[:-1]}. Not enough power: {measured.because or 'too few patients.'}"
    elif verdict == "unjudged":
        reason = f"{reason[:-1]}. Not enough power: the interval reaches beyond the limit."
    return Judgement(measured.gate, measured.about, verdict, reason, estimate)


def _verdict(estimate: Estimate, limit: Limit) -> Verdict:
    if limit.sense == "at least":
        return _worse(estimate.value < limit.fail, estimate.value < limit.warn)
    if limit.sense == "not above":
        return _worse(estimate.low > limit.fail, estimate.low > limit.warn)
    if estimate.low <= limit.fail < estimate.high:
        return "unjudged"
    return _worse(estimate.low > limit.fail, estimate.high > limit.warn)


def _worse(fails: bool, warns: bool) -> Verdict:
    if fails:
        return "fail"
    return "warn" if warns else "pass"


def _number(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _asked(limit: Limit) -> str:
    words = {"shown below": "its interval must lie below", "not above": "its interval must not lie above"}
    return f"{words.get(limit.sense, 'it must be at least')} {limit.fail:g}"

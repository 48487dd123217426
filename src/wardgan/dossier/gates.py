"""Gates: what was measured against what the policy asks for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from pydantic.dataclasses import dataclass

from wardgan.dossier.numbers import STRICT, Stated
from wardgan.dossier.policy import PRIVACY, PROVES, Limit, Policy
from wardgan.estimate import Estimate

Verdict = Literal["pass", "warn", "fail", "unjudged", "not asked"]
_COUNTED: Final[Mapping[Verdict, str]] = {"fail": "failed", "unjudged": "could not be judged"}
# Attacks that must have been made; the others may have nobody to ask about, such as unusual patients.
_MADE: Final = ("membership", "membership area", "attribute", "linkability")
_WORST: Final[Sequence[Verdict]] = ("pass", "warn", "unjudged", "fail")


@dataclass(frozen=True, config=STRICT)
class Measured:
    """One number that a gate judges.

    Attributes:
        gate: Name of the gate, one of the policy's.
        about: What it is about, such as a column or a group; empty if there is one number for the gate.
        estimate: The number with its 95 % interval; `None` if it could not be measured.
        alarm: The same with the interval that accuses, of an attack among several; `None`: the 95 % one.
        chance: What the number is where nothing leaks.
        enough: Whether there were enough patients to see what the gate is about.
        because: Why it was not measured, or why it is not enough, in a sentence; empty otherwise.
        asked: Whether the gate is about this generator at all: without a time-to-event pair nobody asks for survival.
        accuses: Whether the number can only accuse: if it does not, nothing is judged.
        limit: Limit in the place of the policy's, such as the epsilon that is claimed.
    """

    gate: str
    about: str
    estimate: Stated | None
    alarm: Stated | None = None
    chance: float = 0.0
    enough: bool = True
    because: str = ""
    asked: bool = True
    accuses: bool = False
    limit: float | None = None


@dataclass(frozen=True, config=STRICT)
class Judgement:
    """What a gate says of one number.

    Attributes:
        gate: Name of the gate.
        about: What the number is about.
        verdict: `pass`, `warn`, `fail`; `unjudged`: too few patients, which is never a pass; or `not asked`.
        reason: One sentence with the number and the limit.
        estimate: The number, if there is one.
    """

    gate: str
    about: str
    verdict: Verdict
    reason: str
    estimate: Stated | None

    def to_dict(self) -> dict[str, object]:
        """Gives the judgement for JSON."""
        return {**vars(self), "estimate": None if self.estimate is None else self.estimate.to_dict()}


def judged(measured: Iterable[Measured], policy: Policy, *, gates: Iterable[str] | None = None) -> list[Judgement]:
    """Gives what each gate says; a gate of which nothing was measured is not judged.

    Args:
        measured: Numbers, for some gates several.
        policy: The limits.
        gates: The gates that are asked; all of the policy by default.
    """
    given = list(measured)
    found = [_judgement(one, policy.limits[one.gate]) for one in given]
    for gate in policy.limits if gates is None else gates:
        if not any(one.gate == gate for one in given):
            found.append(Judgement(gate, "", "unjudged", "It was not measured.", None))
    return found


def overall(judgements: Iterable[Judgement]) -> Verdict:
    """Gives the worst verdict; a gate that cannot be judged is worse than a warning."""
    found = {one.verdict for one in judgements}
    for verdict in reversed(_WORST):
        if verdict in found:
            return verdict
    return "unjudged"


def reasons(judgements: Sequence[Judgement], policy: Policy) -> list[str]:
    """Gives why a generator may not leave, one sentence for each gate that says so; none if it may.

    Args:
        judgements: What the gates say.
        policy: Whether a gate that cannot be judged refuses.
    """
    proved = any(
        one.gate == "epsilon" and one.verdict == "pass" and one.estimate is not None and one.estimate.value <= PROVES
        for one in judgements
    )
    attacked = any(one.gate == "membership area" and one.estimate is not None for one in judgements)
    return [
        f"{one.gate}{f' ({one.about})' if one.about else ''}: {one.reason}"
        for one in judgements
        if one.verdict == "fail"
        or (one.verdict == "unjudged" and _refuses(one, policy, proved=proved and attacked, attacked=attacked))
    ]


def meaning(judgements: Sequence[Judgement], policy: Policy) -> str:
    """Gives what the verdicts come to, in a sentence or two.

    Args:
        judgements: What the gates say.
        policy: What becomes of those that cannot be judged.
    """
    counts = Counter(one.verdict for one in judgements)
    if reasons(judgements, policy):
        what = [f"{counts[verdict]} {word}" for verdict, word in _COUNTED.items() if counts[verdict]]
        return f"It may leave only by a person's decision: {' and '.join(what)}."
    if counts["unjudged"]:
        because = "by this policy they do not hold it back."
        if policy.unjudged == "proof" and any(one.verdict == "unjudged" and one.gate in PRIVACY for one in judgements):
            limit = min(PROVES, policy.limits["epsilon"].warn)
            because = f"epsilon is at most {limit:g}, so by this policy the proof stands in the place of attacks."
        return f"No gate failed. {counts['unjudged']} could not be judged: {because}"
    return (
        "No gate failed; the warnings are for people to weigh."
        if counts["warn"]
        else "Every gate that was asked passed."
    )


def _refuses(one: Judgement, policy: Policy, *, proved: bool, attacked: bool) -> bool:
    if one.gate == "public utility":
        # The noise on a public number is no fault of the generator; its use is judged in the internal edition.
        return False
    if one.gate in PRIVACY and one.estimate is None and not attacked:
        # No policy lets a generator leave that nobody has attacked: a person may.
        return True
    if policy.unjudged != "proof":
        return policy.unjudged == "refuse"
    if one.gate in PRIVACY:
        return not proved or (one.estimate is None and one.gate in _MADE)
    return one.estimate is None


def _judgement(measured: Measured, limit: Limit) -> Judgement:
    found = Judgement(measured.gate, measured.about, "unjudged", "", measured.estimate)
    estimate = measured.estimate
    if measured.limit is not None:
        limit = replace(limit, fail=measured.limit, warn=measured.limit)
    if not measured.asked:
        return replace(found, verdict="not asked", reason=measured.because)
    if estimate is None or not math.isfinite(estimate.value):
        # An epsilon that is not there is no lack of power: nothing protects the patients.
        verdict = "fail" if measured.gate == "epsilon" else "unjudged"
        return replace(found, verdict=verdict, estimate=None, reason=measured.because or "It could not be measured.")
    verdict = _verdict(estimate, measured.alarm or estimate, measured.chance, limit)
    if verdict == "unjudged" and _beyond(measured.gate, estimate, limit):
        verdict = "fail"
    reason = f"{_shown(estimate)}; {_asked(limit)}."
    # What is beyond the limit for certain is so with few patients, too.
    if verdict not in ("fail", "unjudged") and not measured.enough:
        verdict = "unjudged"
    if verdict == "unjudged" and measured.accuses:
        return replace(found, verdict="not asked", reason=f"{reason} It can only accuse, and it does not.")
    if verdict == "unjudged":
        because = measured.because or "the interval reaches beyond the limit."
        reason = f"{reason} Not enough power: {because}"
    return replace(found, verdict=verdict, reason=reason)


def _verdict(estimate: Estimate, alarm: Estimate, chance: float, limit: Limit) -> Verdict:
    if limit.sense == "at least":
        return _two_sided(-estimate.value, -estimate.high, -estimate.low, -limit.fail, -limit.warn)
    if limit.sense == "at most":
        return _two_sided(estimate.value, estimate.low, estimate.high, limit.fail, limit.warn)
    if limit.sense == "not above":
        return _worse(estimate.low > limit.fail, estimate.low > limit.warn)
    if alarm.value > limit.fail and alarm.low > chance:
        return "fail"
    if estimate.high > limit.fail:
        return "unjudged"
    return _worse(False, estimate.high > limit.warn)


def _beyond(gate: str, estimate: Estimate, limit: Limit) -> bool:
    """Tells whether a number of use is beyond the limit, and for certain beyond where it warns."""
    if gate == "public utility":
        return False  # noise alone may take a public number there; what was measured in the hospital counts as it is
    if limit.sense == "at least":
        return estimate.value < limit.fail and estimate.high < limit.warn
    return limit.sense == "at most" and estimate.value > limit.fail and estimate.low > limit.warn


def _two_sided(value: float, low: float, high: float, fail: float, warn: float) -> Verdict:
    """Gives the verdict on a number that must not be above: only an interval on one side of the limit decides."""
    if low > fail:
        return "fail"
    if high > fail:
        return "unjudged"
    return "warn" if value > warn else "pass"


def _worse(fails: bool, warns: bool) -> Verdict:
    if fails:
        return "fail"
    return "warn" if warns else "pass"


def _shown(estimate: Estimate) -> str:
    if estimate.low == estimate.value == estimate.high:
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _asked(limit: Limit) -> str:
    words = {
        "shown below": "its interval must lie below", "not above": "it must not lie above",
        "at most": "it must be at most",
    }  # fmt: skip
    return f"{words.get(limit.sense, 'it must be at least')} {limit.fail:g}"

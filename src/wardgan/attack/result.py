"""What an attack found: a number with its interval, the question behind it, and what it could have seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from wardgan.estimate import Estimate, normal_quantile

Verdict = Literal["leak", "clear", "unclear"]
By = Literal["interval", "value"]

# Patients that a part of an attack needs; below, no number is made.
FEWEST: Final = 50
# 80 % of the normal distribution lie below.
POWER: Final = 0.8416212335729143


@dataclass(frozen=True)
class Power:
    """What an attack could have seen with this many patients.

    Attributes:
        smallest: The smallest leak that it sees in 80 of 100 cases, on the scale of its estimate, at the level of the
            joint interval; infinite if it could see none.
        enough: Whether a generator that leaks nothing is cleared in 80 of 100 cases.
        reason: Why no number was made; "" if one was.
    """

    smallest: float
    enough: bool
    reason: str = ""


@dataclass(frozen=True)
class Curve:
    """An ROC curve: of the members the share called members, by that of the others. About real patients.

    Attributes:
        false: False positive rates, rising.
        true: True positive rate at each.
    """

    false: tuple[float, ...]
    true: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """One attack.

    Attributes:
        name: Machine name, such as `membership.nearest.auc`.
        question: What it asks, in plain words.
        estimate: The number with its 95 % interval; its baseline is what chance or the hold-out patients give.
        joint: The same number with the interval for alarms: those of all judged attacks hold together in 95 % of cases
            (Bonferroni).
        chance: What the number is where nothing leaks.
        limit: What it may be at most; `None` if it is for information only.
        power: What it could have seen.
        by: Whether the `interval` is held against the limit, or its `value`, for numbers that are certain
            themselves: a certified bound, and a count where one is too many.
        curve: The ROC curve, if it has one.
    """

    name: str
    question: str
    estimate: Estimate
    joint: Estimate
    chance: float
    limit: float | None
    power: Power
    by: By = "interval"
    curve: Curve | None = None

    @property
    def verdict(self) -> Verdict | None:
        """`leak`, `clear`, or `unclear`, which is never a pass; `None` if it is for information only.

        A leak is above the limit, and its joint interval is above chance: all attacks together raise a false alarm
        about at most one of 20 safe generators (Bonferroni). Clear is a 95 % interval that ends below the limit. It
        needs no correction if a generator passes only when every attack is clear: whoever leaks in one way must be
        missed by that one attack (intersection-union test; Berger, Technometrics 1982;24:295).
        """
        if self.limit is None:
            return None
        value = self.joint.value
        if self.by == "value":
            return "leak" if value > self.limit else "clear" if self.power.enough else "unclear"
        if value > self.limit and self.joint.low > self.chance:
            return "leak"
        return "clear" if self.estimate.high <= self.limit else "unclear"

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as a dictionary for JSON; what is not finite is `None`."""
        smallest = self.power.smallest if math.isfinite(self.power.smallest) else None
        return {
            "name": self.name,
            "question": self.question,
            "estimate": self.estimate.to_dict(),
            "joint": self.joint.to_dict(),
            "chance": self.chance,
            "limit": self.limit,
            "power": {"smallest": smallest, "enough": self.power.enough, "reason": self.power.reason},
            "by": self.by,
            "verdict": self.verdict,
            "curve": None if self.curve is None else {"false": [*self.curve.false], "true": [*self.curve.true]},
        }


@dataclass(frozen=True)
class Question:
    """What an attack asks and how it is judged, before anything is measured.

    Attributes:
        name: Machine name.
        text: The question in plain words.
        limit: See `Result`.
        chance: See `Result`.
        confidence: Level of the joint interval.
        by: See `Result`.
    """

    name: str
    text: str
    limit: float | None
    chance: float
    confidence: float
    by: By = "interval"

    def unanswered(self, reason: str, n: int = 0) -> Result:
        """Gives the result of an attack that cannot be made.

        Args:
            reason: Why, with counts and never with a value.
            n: How many patients there were.
        """
        nothing = Estimate(math.nan, -math.inf, math.inf, n, f"not measured: {reason}")
        return self.judged(nothing, nothing, Power(math.inf, enough=False, reason=reason))

    def judged(self, estimate: Estimate, joint: Estimate, power: Power, curve: Curve | None = None) -> Result:
        """Gives a result whose power is known.

        Args:
            estimate: With the 95 % interval.
            joint: With the interval at `confidence`.
            power: What could have been seen.
            curve: The ROC curve.
        """
        return Result(self.name, self.text, estimate, joint, self.chance, self.limit, power, self.by, curve)

    def answered(self, estimate: Estimate, joint: Estimate, error: float, curve: Curve | None = None) -> Result:
        """Gives a result whose power follows from the standard error where nothing leaks.

        Args:
            estimate: With the 95 % interval.
            joint: With the interval at `confidence`.
            error: Standard error of the number where nothing leaks.
            curve: The ROC curve.
        """
        smallest = self.chance + reach(self.confidence) * error
        enough = self.limit is None or self.chance + reach(0.95) * error <= self.limit
        return self.judged(estimate, joint, Power(smallest, enough), curve)


def reach(confidence: float) -> float:
    """Gives how many standard errors away something is seen in 80 of 100 cases.

    Args:
        confidence: Of the two-sided interval.

    Example:
        >>> round(reach(0.95), 2)
        2.8
    """
    return normal_quantile(confidence) + POWER


def too_few(parts: Mapping[str, int]) -> str:
    """Says which part has fewer patients than an attack needs; "" if none has.

    Args:
        parts: Patients of each part, by its name.

    Example:
        >>> too_few({"training": 400, "hold-out": 12})
        '12 hold-out patients are fewer than 50'
    """
    for name, count in parts.items():
        if count < FEWEST:
            return f"{count} {name} patients are fewer than {FEWEST}"
    return ""

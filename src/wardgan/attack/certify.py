"""From scores of members and non-members to numbers: ROC curve, hits at few false alarms, a certified epsilon."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.attack.result import POWER, Curve
from wardgan.estimate import Estimate, exact_proportion, normal_quantile

Scores = NDArray[np.float64]

_POINTS: Final = 200


def curve(members: Scores, others: Scores) -> tuple[float, Curve]:
    """Gives the area under the ROC curve, ties counting half, and at most 200 points of the curve.

    The points are dense where false alarms are few, as a figure with logarithmic axes needs it.

    Args:
        members: Scores of training patients, shape (members,): high where the attacker says "member".
        others: Scores of patients the generator has not seen, shape (others,).

    Example:
        >>> curve(np.array([0.4, 0.9]), np.array([0.1, 0.4]))
        (0.875, Curve(false=(0.0, 0.5, 1.0), true=(0.5, 1.0, 1.0)))
    """
    levels = np.unique(np.concatenate([members, others]))[::-1]
    ours, theirs = (np.sort(scores) for scores in (members, others))
    true = 1 - np.searchsorted(ours, levels, side="left") / ours.size
    false = 1 - np.searchsorted(theirs, levels, side="left") / theirs.size
    area = float(np.trapezoid(np.r_[0.0, true], np.r_[0.0, false]))
    last = np.r_[false[1:] > false[:-1], True]  # of points at the same false positive rate, the highest
    false, true = false[last], true[last]
    wanted = np.r_[0.0, np.geomspace(1 / theirs.size, 1.0, _POINTS - 1)]
    kept = np.unique(np.searchsorted(false, wanted * (1 + 1e-9), side="right") - 1)
    kept = kept[kept >= 0]
    return area, Curve(tuple(false[kept].tolist()), tuple(true[kept].tolist()))


def hits(members: Scores, others: Scores, rate: float, *, confidence: float = 0.95) -> Estimate:
    """Gives the share of members who are found where at most `rate` of the others are called members by mistake.

    The interval also holds that the threshold itself is measured, on few others: its lower end is taken at a threshold
    whose true false positive rate is surely below `rate`, its upper end where it is surely above (order statistics),
    each with an exact interval of the share there. A quarter of the error goes to each of the four.

    Args:
        members: Scores of training patients, shape (members,).
        others: Scores of patients the generator has not seen, shape (others,).
        rate: False positive rate, between 0 and 1.
        confidence: Level of the interval.
    """
    ordered = np.sort(others)[::-1]
    # A share of at least j of n others above the j-th highest score has the distribution Beta(j, n - j + 1).
    tail = _binomial_tail(others.size, rate)  # tail[j]: the chance of at least j
    risk = (1 - confidence) / 4
    sure = np.flatnonzero(tail >= 1 - risk).max()
    far = int(np.flatnonzero(tail <= risk).min(initial=others.size + 1))
    allowed = math.floor(rate * others.size + 1e-9)
    found = int((members > ordered[min(allowed, others.size - 1)]).sum())
    low, high = 0.0, 1.0
    level = 1 - 2 * risk
    if sure > 0:
        low = exact_proportion(int((members > ordered[sure - 1]).sum()), members.size, confidence=level).low
    if far <= others.size:
        high = exact_proportion(int((members >= ordered[far - 1]).sum()), members.size, confidence=level).high
    method = f"share found at {100 * rate:g} % false positives, exact interval"
    method += "" if confidence == 0.95 else f", {100 * confidence:.4g} %"
    return Estimate(found / members.size, low, high, members.size, method, rate)


def hits_in_reach(members: int, others: int, rate: float, *, confidence: float) -> float:
    """Gives the smallest share of members whose finding `hits` sees in 80 of 100 cases: its lower end above `rate`.

    Args:
        members: Number of training patients.
        others: Number of patients the generator has not seen.
        rate: False positive rate.
        confidence: Level of the interval.

    Returns:
        The share; infinite if the lower end is 0 whatever is found, because too few others are tested.
    """
    risk = (1 - confidence) / 4
    if np.flatnonzero(_binomial_tail(others, rate) >= 1 - risk).max() == 0:
        return math.inf
    counts = range(math.ceil(rate * members), members + 1)
    level = 1 - 2 * risk
    least = next((count for count in counts if exact_proportion(count, members, confidence=level).low > rate), None)
    return math.inf if least is None else (least + POWER * math.sqrt(least)) / members


def hits_at_most(members: int, others: int, rate: float) -> float:
    """Gives where the upper end of the 95 % interval of `hits` is, in 80 of 100 cases, if nothing leaks.

    Args:
        members: Number of training patients.
        others: Number of patients the generator has not seen.
        rate: False positive rate.
    """
    risk = 0.05 / 4
    far = int(np.flatnonzero(_binomial_tail(others, rate) <= risk).min(initial=others + 1))
    if far > others:
        return 1.0
    share = far / (others + 1)
    count = members * share + POWER * math.sqrt(members * share * (1 - share) * (1 + members / others))
    return exact_proportion(min(members, math.ceil(count)), members, confidence=1 - 2 * risk).high


def certified_epsilon(
    members: tuple[Scores, Scores], others: tuple[Scores, Scores], *, delta: float, confidence: float = 0.95
) -> Estimate:
    """Gives a lower bound of epsilon: what no (epsilon, delta)-private generator below it could have shown.

    The threshold is chosen on one half of the patients and judged on the other, so choosing costs nothing. An
    (epsilon, delta)-private generator has TPR <= e^epsilon FPR + delta and 1 - FPR <= e^epsilon (1 - TPR) + delta
    (Kairouz, Oh and Viswanath, ICML 2015).

    Args:
        members: Scores of training patients, two halves: to choose with, to judge with.
        others: Scores of patients the generator has not seen, two halves.
        delta: Of the claim.
        confidence: Of the bound: two exact one-sided bounds share the error.

    Returns:
        The bound as value and lower end; the upper end is open. 0 says nothing at all.
    """
    threshold, upper = _chosen(members[0], others[0], delta)
    hit, alarm = ((scores > threshold).sum() for scores in (members[1], others[1]))
    if upper:
        one, two = (int(hit), members[1].size), (int(alarm), others[1].size)
    else:
        one, two = (int(others[1].size - alarm), others[1].size), (int(members[1].size - hit), members[1].size)
    # Each bound is one-sided, so the two tails of an interval are the error of both together.
    low = exact_proportion(*one, confidence=confidence).low
    high = exact_proportion(*two, confidence=confidence).high
    bound = _bound(low, high, delta)
    method = "certified lower bound, threshold from the other half, Clopper-Pearson"
    method += "" if confidence == 0.95 else f", {100 * confidence:.4g} %"
    return Estimate(bound, bound, math.inf, members[1].size + others[1].size, method, 0.0)


def ceiling(members: int, others: int, *, delta: float, confidence: float = 0.95) -> float:
    """Gives the bound that an attack without any error would certify on this many patients: more cannot be seen.

    Args:
        members: Training patients in the judging half.
        others: Others in the judging half.
        delta: Of the claim.
        confidence: Of the bound.

    Example:
        >>> round(ceiling(100, 100, delta=0.0), 2)
        3.28
    """
    low = exact_proportion(members, members, confidence=confidence).low
    high = exact_proportion(0, others, confidence=confidence).high
    return _bound(low, high, delta)


def _bound(low: float, high: float, delta: float) -> float:
    return max(0.0, math.log((low - delta) / high)) if low > delta and high > 0 else 0.0


def _chosen(members: Scores, others: Scores, delta: float) -> tuple[float, bool]:
    """Gives the threshold with the best bound, and whether it is that of members above it."""
    levels = np.unique(np.concatenate([members, others]))
    levels = levels[np.unique(np.linspace(0, levels.size - 1, 2_000).astype(int))]
    true, false = (
        1 - np.searchsorted(np.sort(scores), levels, side="right") / scores.size for scores in (members, others)
    )
    # Wilson's bounds: quick, and only a choice.
    above = _ratio(true, members.size, false, others.size, delta)
    below = _ratio(1 - false, others.size, 1 - true, members.size, delta)
    best, worst = int(above.argmax()), int(below.argmax())
    upper = above[best] >= below[worst]
    return float(levels[best if upper else worst]), bool(upper)


def _ratio(hit: Scores, hits: int, alarm: Scores, alarms: int, delta: float) -> Scores:
    low, _ = _wilson(hit, hits)
    _, high = _wilson(alarm, alarms)
    return np.maximum(low - delta, 0.0) / high


def _wilson(share: Scores, n: int) -> tuple[Scores, Scores]:
    z = normal_quantile(0.95)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


def _binomial_tail(n: int, rate: float) -> Scores:
    """Gives the chance of at least j of n, for j = 0 to n."""
    lgamma = np.vectorize(math.lgamma)
    at = np.arange(n + 1)
    logs = math.lgamma(n + 1) - lgamma(at + 1) - lgamma(n - at + 1) + at * math.log(rate) + (n - at) * math.log1p(-rate)
    return np.minimum(1.0, np.cumsum(np.exp(logs)[::-1])[::-1] + 1e-15)

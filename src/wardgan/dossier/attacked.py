"""Sections 6 and 11 of the internal dossier: what attacks found, and what they could have found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wardgan.attack import Battery, Result
from wardgan.dossier.canaries import CanaryAudit, audit_blocks
from wardgan.dossier.document import Block, Curves, Forest, Number, Numbers, Section, Table, Text, Who
from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.gauges import ATTACKERS, NO_HOLDOUT, attack_name, gate_of
from wardgan.dossier.policy import Policy
from wardgan.errors import UsageError
from wardgan.estimate import Estimate

_WORDS: Final = {
    "leak": "LEAK", "clear": "clear", "unclear": "unclear: not enough patients to be sure", None: "for information",
}  # fmt: skip
# Attackers whose ROC curves are drawn, of tables and of images.
_DRAWN: Final = ("nearest", "forest", "pixels", "features")
_POINTS: Final = 60
_FLOOR: Final = 1e-3


def attacks(
    found: Battery | None, control: Battery | None, policy: Policy, *, audit: CanaryAudit | None = None,
    more: Sequence[Block] = (),
) -> Section:  # fmt: skip
    """Gives section 6.

    Args:
        found: What attacks found about this generator; `None` if there was no hold-out.
        control: What they found about one that leaks on purpose.
        policy: The limits that are drawn.
        audit: What a canary audit proved.
        more: What else was measured about nearness, for information.
    """
    if found is None:
        return Section(6, "Attacks", [Text(f"No attack was made. {NO_HOLDOUT}", "alarm"), *audit_blocks(audit)])
    leaks = {} if control is None else {result.name: result for result in control.results}
    seen = 0 if control is None else len(control.leaks)
    how = (
        f"{found.train:,} training patients, {found.holdout:,} hold-out patients and {found.synthetic:,} synthetic "
        "ones were compared. A point is what was measured, its line the 95 % interval; a hollow diamond is what "
        "chance or the hold-out gives, and a cross what the same attack finds about a generator that leaks on "
        f"purpose: 30 % of what it gives are copies, hardly blurred. {seen} of {found.family} judged attacks saw that "
        "leak. An attack whose cross lies at the diamond would not see yours either."
    )
    blocks: list[Block] = [Text(how)]
    blocks += _forests(found.results, leaks, policy)
    drawn = [one for one in _DRAWN if _of(found, f"membership.{one}.auc") is not None]
    blocks += [*(_curves(found, leaks, one) for one in drawn), _table(found.results, leaks)]
    note = (
        "That no attack found anything does not make a generator private: attacks only accuse. Distances to the "
        "nearest record are for information; generators that pass them are known to leak."
    )
    return Section(6, "Attacks", [*blocks, Text(note), *more, *audit_blocks(audit)])


def power(found: Battery | None) -> list[Block]:
    """Gives the part of section 11 that says what would have been seen."""
    if found is None:
        return [Text(NO_HOLDOUT, "alarm")]
    rows: list[list[str]] = []
    for result in found.results:
        if result.limit is not None:
            smallest = f"{result.power.smallest:.3g}" if math.isfinite(result.power.smallest) else "nothing"
            enough = "yes" if result.power.enough else f"no{f': {result.power.reason}' if result.power.reason else ''}"
            rows.append([attack_name(result.name), f"{result.chance:g}", f"{result.limit:g}", smallest, enough])
    head = [
        "attack", "where nothing leaks", "limit", "smallest value seen in 80 of 100 cases",
        "enough patients to clear a safe generator",
    ]  # fmt: skip
    return [Table("What the attacks could have seen", head, rows)]


def _forests(results: Sequence[Result], leaks: dict[str, Result], policy: Policy) -> list[Forest]:
    areas = [result for result in results if result.name.endswith(".auc")]
    hits = [result for result in results if result.name.endswith((".tpr_1", ".tpr_01"))]
    excess = [
        result for result in results
        if result.name.startswith(("inference", "linkability", "singling_out", "copies.excess", "copies.near"))
    ]  # fmt: skip
    return [
        _forest("Can training patients be told from others? (area under the ROC curve; .5 is guessing)", areas, leaks,
                "area under the ROC curve", policy),
        _forest("How many training patients are found while 1 % (0.1 %) of the others are accused wrongly?", hits,
                leaks, "share of training patients", policy),
        _forest("What is found beyond what all patients teach? (excess risk; 0 is nothing)", excess, leaks,
                "excess risk", policy),
    ]  # fmt: skip


def _forest(title: str, results: Sequence[Result], leaks: dict[str, Result], unit: str, policy: Policy) -> Forest:
    rows = [
        Row(
            attack_name(one.name),
            _at_chance(one),
            _known(leaks[one.name].estimate) if one.name in leaks else None,
            _limit_of(one, policy),
        )
        for one in results
    ]
    known = [one for row in rows for one in (row.estimate, row.control) if one is not None]
    ends = [value for one in known for value in (one.low, one.high, one.value) if math.isfinite(value)]
    ends += [row.limit for row in rows if row.limit is not None]
    low, high = max(min(ends), -1.0), min(max(ends), 1.0)
    room = 0.05 * (high - low)
    return Forest(title, rows, Axis(unit, low - room, high + room))


def _limit_of(result: Result, policy: Policy) -> float | None:
    gate = gate_of(result.name)
    return None if gate is None or result.limit is None else policy.limits[gate].fail


def _curves(found: Battery, leaks: dict[str, Result], attacker: str) -> Block:
    name = f"membership.{attacker}.auc"
    lines: list[Line] = []
    sources: tuple[tuple[str, Who, Result | None], ...] = (
        ("this generator", "synthetic", _of(found, name)),
        ("leaking", "control", leaks.get(name)),
    )
    for label, kind, result in sources:
        if result is not None and result.curve is not None:
            x, y = _thinned(result.curve.false, result.curve.true)
            lines.append(Line(label, kind, x, y))
    if not lines:
        return Text(f"There is no ROC curve of the attack by {ATTACKERS[attacker]}: too few patients.", "quiet")
    title = f"Attack by {ATTACKERS[attacker]}: training patients found, against others accused (both axes logarithmic)"
    axes = [Axis(words, _FLOOR, 1.0, log=True) for words in ("others accused wrongly", "training patients found")]
    return Curves(title, lines, axes[0], axes[1], diagonal=True)


def _thinned(false: Sequence[float], true: Sequence[float]) -> tuple[list[float], list[float]]:
    """Gives at most so many points of an ROC curve as a figure can show."""
    step = max(1, len(false) // _POINTS)
    kept = sorted({*range(0, len(false), step), *range(min(len(false), 20)), len(false) - 1})
    return [max(round(false[at], 5), _FLOOR) for at in kept], [max(round(true[at], 5), _FLOOR) for at in kept]


def _table(results: Sequence[Result], leaks: dict[str, Result]) -> Numbers:
    rows: list[Number] = []
    for result in results:
        leaking = leaks.get(result.name)
        control = None if leaking is None else _known(leaking.estimate)
        estimate = _known(result.estimate)
        note = _WORDS[result.verdict] if estimate is not None else f"not measured: {result.power.reason}"
        if result.verdict == "unclear" and result.power.reason and estimate is not None:
            note = f"unclear: {result.power.reason}"
        if leaking is not None and result.verdict == "clear" and leaking.verdict != "leak":
            note += "; it does not see the leaking generator either"
        rows.append(Number(attack_name(result.name), estimate, control, note))
    return Numbers("All attacks", rows, "chance or hold-out")


def _at_chance(result: Result) -> Estimate | None:
    """Gives what was found, with where it would be if nothing leaked in the place of the hold-out's own share."""
    return None if _known(result.estimate) is None else replace(result.estimate, baseline=result.chance)


def _known(estimate: Estimate) -> Estimate | None:
    if not math.isfinite(estimate.value):
        return None
    return estimate


def _of(found: Battery, name: str) -> Result | None:
    try:
        return found[name]
    except UsageError:
        return None

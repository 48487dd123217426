"""Which of the measured numbers a gate judges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from wardgan.attack import Battery, Result
from wardgan.dossier.gates import Measured
from wardgan.dossier.measure import Findings
from wardgan.estimate import Estimate, proportion
from wardgan.evaluate import Subgroup, Utility
from wardgan.sample.generator import Generator

_GATES: Final = {
    "tpr_1": "membership", "auc": "membership area", "epsilon": "certified epsilon",
    "inference": "attribute", "linkability": "linkability", "singling_out": "singling out",
    "copies.excess": "copies", "copies.near": "copies", "copies.certain": "certain copies",
}  # fmt: skip
# Numbers that see much in a large study and cannot clear anybody in a small one; they hardly see leaks either.
_ACCUSE: Final = ("membership.forest.tpr_1", "singling_out.one")
ATTACKERS: Final = {
    "nearest": "nearest synthetic patient", "distance": "distance alone", "forest": "random forest",
    "pixels": "nearest image, by pixels", "features": "nearest image, by features",
}  # fmt: skip
_APART: Final = 0.55
_BELOW: Final = 0.45
# Gates whose attacks must see the planted leak; its copies are blurred, so those that look for exact ones cannot.
_CONTROLLED: Final = (
    "membership",
    "membership area",
    "membership of outliers",
    "attribute",
    "linkability",
    "singling out",
)
_BLIND: Final = "none of these attacks saw the generator that leaks on purpose, so they clear nobody."
NO_HOLDOUT: Final = "There is no hold-out: nobody can tell what the generator knows from what is true of all patients."


def warnings(found: Findings) -> list[str]:
    """Says what takes the ground from under all attacks: no hold-out, or one that is not drawn like the training."""
    if found.attacks is None:
        return [f"{NO_HOLDOUT} No attack and no use could be judged; name one with --holdout (holdout=)."]
    apart = found.detector[0].holdout
    if apart is None or not apart.low > _APART:
        return []
    return [
        f"The hold-out is not drawn like the training patients: a classifier tells them apart (area {apart}). So "
        "attacks may accuse a safe generator, and clear none; draw both at random from the same patients (wardgan "
        "split)."
    ]


def internal_numbers(found: Findings, generator: Generator) -> list[Measured]:
    """Gives what the gates of the internal edition judge.

    Args:
        found: What was measured.
        generator: What it claims.
    """
    claim = claimed(generator)
    return [
        epsilon_number(claim),
        *(attack_numbers(found.attacks, found.control, claim) if found.attacks is not None else unattacked()),
        _rules(found),
        *_utility(found.target, found.utility),
        _survival(found),
        *group_numbers(found.groups),
    ]


def claimed(generator: Generator) -> float | None:
    """Gives the epsilon that a generator claims; `None` if nothing protects the patients."""
    epsilon = generator.privacy.get("epsilon")
    return float(epsilon) if isinstance(epsilon, (int, float)) else None


def epsilon_number(claim: float | None) -> Measured:
    """Gives what the gate on epsilon judges; without privacy it is endless."""
    if claim is None:
        because = "Nothing protects the patients (privacy none): it may leave only by override."
        return Measured("epsilon", "", None, because=because)
    return Measured("epsilon", "", Estimate(claim, claim, claim, 1, "target of the fit, billed in the ledger"))


def gate_of(name: str) -> str | None:
    """Gives the gate that an attack's number belongs to; `None` for information.

    Example:
        >>> gate_of("membership.nearest.tpr_1"), gate_of("nearer_to_training")
        ('membership', None)
    """
    if name == "membership.worst.auc":
        return "membership of outliers"
    parts = name.split(".")
    for key in (name, parts[0], parts[-1]):
        if key in _GATES:
            return _GATES[key]
    return None


def attack_name(name: str) -> str:
    """Gives what people call an attack.

    Example:
        >>> attack_name("membership.nearest.tpr_1"), attack_name("inference.hiv")
        ('nearest synthetic patient, at 1 %', 'guessing hiv')
    """
    parts = name.split(".")
    if parts[0] == "inference":
        return f"guessing {'.'.join(parts[1:])}"
    if parts[0] == "membership":
        who = "most isolated 5 %" if parts[1] == "worst" else ATTACKERS.get(parts[1], parts[1])
        what = {"auc": "", "tpr_1": ", at 1 %", "tpr_01": ", at 0.1 %", "epsilon": ", epsilon proved"}[parts[2]]
        return f"{who}{what}"
    return {
        "singling_out.one": "singling out by one value", "singling_out.many": "singling out by many values",
        "copies.excess": "copies of unusual patients", "copies.near": "images very near to patients",
        "copies.certain": "copies beyond doubt",
        "nearer_to_training": "nearer to training (information)",
    }.get(name, name)  # fmt: skip


def attack_numbers(found: Battery, control: Battery | None, claim: float | None) -> Iterator[Measured]:
    """Gives what the gates on attacks judge; a gate none of whose attacks saw the leaking generator clears nobody.

    Args:
        found: What attacks found.
        control: What they found about a generator that leaks on purpose.
        claim: Epsilon that the generator claims.
    """
    seeing = {gate_of(result.name) for result in (control.leaks if control is not None else ())}
    for result in found.results:
        gate = gate_of(result.name)
        if gate is not None and result.limit is not None:
            one = _attack(result, gate, claim)
            blind = control is not None and gate in _CONTROLLED and gate not in seeing
            yield replace(one, enough=False, because=_BLIND) if blind and one.estimate is not None else one


def _attack(result: Result, gate: str, claim: float | None) -> Measured:
    about = attack_name(result.name)
    why, certain = result.power.reason, result.by == "value"
    if not math.isfinite(result.joint.value):
        return Measured(gate, about, None, because=f"Not measured: {why}.")
    if certain:
        value, proves = result.joint.value, gate == "certified epsilon"
        one = replace(result.joint, low=value, high=value, baseline=None)
        few = f"{why}." if why else "too few patients."
        because = "with so many patients nothing above the claim could be proved." if proves else few
        return Measured(
            gate, about, one, enough=result.power.enough, because=because, accuses=proves,
            limit=(claim or 0.0) if proves else None,
        )  # fmt: skip
    if gate == "membership area" and result.estimate.high < _BELOW:
        because = "others look more like synthetic patients than the training does: the hold-out is not drawn like it."
        return Measured(gate, about, result.estimate, alarm=result.joint, chance=0.5, enough=False, because=because)
    smallest = result.power.smallest
    seen = f"a leak of {smallest:.3g} would have been seen in 80 of 100 cases." if math.isfinite(smallest) else ""
    return Measured(
        gate, about, result.estimate, alarm=result.joint, chance=result.chance, because=seen,
        accuses=result.name in _ACCUSE,
    )  # fmt: skip


def unattacked() -> Iterator[Measured]:
    """Gives the gates on attacks where there was none."""
    for gate in dict.fromkeys((*_GATES.values(), "membership of outliers")):
        yield Measured(gate, "", None, because=NO_HOLDOUT)


def _rules(found: Findings) -> Measured:
    if found.rules.impossible is None:
        return Measured("impossible", "", None, because="The schema declares no rules.", asked=False)
    return Measured("impossible", "", found.rules.impossible)


def rules_number(broken: int, drawn: int) -> Measured:
    """Gives what the gate on rules judges, from synthetic patients alone.

    Args:
        broken: How many of them break a rule.
        drawn: How many there are.
    """
    return Measured("impossible", "", proportion(broken, drawn))


def _utility(target: str | None, found: Utility | None) -> Iterator[Measured]:
    if target is None:
        yield Measured("utility", "", None, because="The schema has no label, so nothing is predicted.", asked=False)
    elif found is None:
        yield Measured("utility", target, None, because=NO_HOLDOUT)
    elif not found.models:
        yield Measured("utility", target, None, because=found.refusal or "")
    else:
        for model, one in found.models.items():
            if one.kept is None:
                because = "the real patients themselves teach nothing that could be told from chance."
                yield Measured("utility", f"{target}, {model}", one.share, enough=False, because=because)
            else:
                yield Measured("utility", f"{target}, {model}", one.share)
                # Guessing alone reaches more than .8 of what is hardly better than guessing.
                yield Measured("utility", f"{target}, {model}, beyond guessing", one.kept, limit=0.0)


def _survival(found: Findings) -> Measured:
    if found.survival is None:
        return Measured("survival", "", None, because="The schema declares no time-to-event pair.", asked=False)
    gap = found.survival.gaps["all"]
    if gap.mean is None:
        return Measured("survival", "", None, because=gap.refusal or "")
    return Measured("survival", "mean gap", gap.mean.synthetic)


def group_numbers(groups: Sequence[Subgroup]) -> Iterator[Measured]:
    """Gives the share ratio of each group that can be judged.

    Args:
        groups: What became of groups of patients.
    """
    judged = [group for group in groups if group.verdict in ("kept", "vanished") and group.ratio is not None]
    if not judged:
        because = "No group of patients is large enough to be judged." if groups else "The schema has no groups."
        yield Measured("subgroups", "", None, because=because, asked=bool(groups))
    for group in judged:
        yield Measured("subgroups", _named(group), group.ratio)


def _named(group: Subgroup) -> str:
    return f"{group.column}: {group.group}"

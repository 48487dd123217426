"""Policies: which numbers a generator must reach before it may leave, and what becomes of those that cannot be judged.

The limits are proposals, measured on generators that copy patients and on fresh patients (`benchmarks/attacks.py`);
0.09 is the probability of re-identification that the European Medicines Agency's Policy 0070 recommends at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, cast

from pydantic import JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass

from wardgan.dossier.numbers import STRICT, parsed
from wardgan.errors import FormatError, UsageError
from wardgan.schema.yaml_text import structure_in

_LONGEST: Final = 100
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}}")
_NAMES: Final = f"1 to {_LONGEST} letters of a to z, digits, dots and dashes"
_HIGHEST: Final = 100.0

Name = Literal["strict", "default", "research"]
Sense = Literal["shown below", "not above", "at most", "at least"]
Unjudged = Literal["refuse", "proof", "warn"]
_UNJUDGED: Final = ("refuse", "proof", "warn")


@dataclass(frozen=True, config=STRICT)
class Limit:
    """What one gate asks for.

    Attributes:
        about: What is measured, as people say it.
        sense: `shown below`: the whole interval must lie below, so that few patients never pass; it fails if the value
            is above and the interval for alarms leaves chance out. `at most`, `at least`: it fails if the value is
            beyond and the whole interval is beyond where it warns (of counts with noise: if the whole interval is
            beyond), and passes if none of the interval is beyond.
            `not above`: what is certain, or counted, must not be.
        fail: Beyond it the gate fails.
        warn: Beyond it the gate warns; the same as `fail` where it does not warn.
    """

    about: str
    sense: Sense
    fail: float
    warn: float


# What attacks ask, what the schema forbids, and what the synthetic patients are for.
PRIVACY: Final = (
    "membership", "membership area", "membership of outliers", "certified epsilon", "attribute", "singling out",
    "linkability", "copies", "certain copies",
)  # fmt: skip
# A larger epsilon is no proof that could stand in the place of an attack, whatever a policy says.
PROVES: Final = 3.0
_DEFAULT: Final[Mapping[str, Limit]] = {
    "epsilon": Limit("epsilon of the generator", "not above", 10.0, 3.0),
    "membership": Limit(
        "share of training patients recognised where 1 % of others are mistaken for one", "shown below", 0.03, 0.03
    ),
    "membership area": Limit("area under the ROC curve of a membership attack", "shown below", 0.55, 0.55),
    "membership of outliers": Limit("the same for the 5 % most isolated patients", "shown below", 0.60, 0.60),
    "certified epsilon": Limit("epsilon that an attack proves; the limit is the claimed one", "not above", 0.0, 0.0),
    "attribute": Limit("excess risk of guessing a sensitive value", "shown below", 0.09, 0.09),
    "singling out": Limit("excess risk of singling out", "shown below", 0.09, 0.09),
    "linkability": Limit("excess risk of linking two parts of a record", "shown below", 0.05, 0.05),
    "copies": Limit("copies of unusual patients, beyond chance", "shown below", 0.01, 0.01),
    "certain copies": Limit("share of the synthetic patients who are certain copies", "not above", 0.0, 0.0),
    "impossible": Limit("share of the synthetic patients who break a rule of the schema", "not above", 0.0, 0.0),
    "utility": Limit("what classifiers learn, as a share of real patients", "at least", 0.80, 0.90),
    "survival": Limit("gap between the Kaplan-Meier curves", "at most", 0.06, 0.03),
    "subgroups": Limit("share of a group among the synthetic patients, by its real share", "at least", 0.50, 0.80),
    "public utility": Limit("what classifiers find beyond guessing, by paid counts", "at least", 0.0, 0.1),
}
_CHANGED: Final[Mapping[Name, Mapping[str, tuple[float, float]]]] = {
    "strict": {
        "epsilon": (3.0, 1.0), "membership": (0.02, 0.02), "attribute": (0.05, 0.05), "singling out": (0.05, 0.05),
        "linkability": (0.03, 0.03), "utility": (0.90, 0.95), "survival": (0.03, 0.02), "subgroups": (0.80, 0.90),
    },
    "default": {},
    "research": {
        "membership": (0.05, 0.03), "attribute": (0.20, 0.09), "singling out": (0.20, 0.09),
        "linkability": (0.10, 0.05), "utility": (0.0, 0.80), "survival": (1.0, 0.06), "subgroups": (0.0, 0.50),
    },
}  # fmt: skip
_WITHOUT_POWER: Final[Mapping[Name, Unjudged]] = {"strict": "refuse", "default": "proof", "research": "warn"}
_KEYS: Final = ("base", "name", "limits", "unjudged")


@dataclass(frozen=True, config=STRICT)
class Policy:
    """What a hospital asks of a generator before it may leave.

    Attributes:
        name: `strict`, `default`, `research`, or the name that a file gives.
        limits: What each gate asks for, by the name of the gate.
        unjudged: What becomes of a generator if a gate cannot be judged, which is never a pass. `refuse`: it may not
            leave. `proof`: it may, if the gate is about privacy, the attack was made and did not accuse, and epsilon
            is at most what warns: then the proof stands where the attack has too few patients. `warn`: it may.
    """

    name: str
    limits: Mapping[str, Limit]
    unjudged: Unjudged = "proof"

    @classmethod
    def named(cls, name: Name) -> Policy:
        """Gives one of the policies that come with the package.

        Example:
            >>> Policy.named("strict").limits["epsilon"].fail
            3.0
        """
        changed = _CHANGED[name]
        limits = {
            gate: replace(limit, fail=changed[gate][0], warn=changed[gate][1]) if gate in changed else limit
            for gate, limit in _DEFAULT.items()
        }
        return cls(name, limits, _WITHOUT_POWER[name])

    @classmethod
    def load(cls, asked: str | Path) -> Policy:
        """Gives a policy by name, or from a YAML file.

        A file says which policy it changes and what it changes: `base: default`, then `limits: {epsilon: {fail: 2,
        warn: 1}}` and `unjudged: warn`.

        Args:
            asked: `strict`, `default`, `research`, or a path.

        Raises:
            UsageError: No such policy or file, or the file has keys, gates or values that mean nothing.
        """
        if str(asked) in _CHANGED:
            return cls.named(cast("Name", str(asked)))
        if not Path(asked).is_file():
            raise UsageError(f"policy={str(asked)!r} is neither strict, default nor research, nor a file.")
        found = structure_in(asked, "policy")
        return _of_file(found, str(asked))

    @classmethod
    def of_dict(cls, found: object, what: str) -> Policy:
        """Gives the policy that a dossier was judged by.

        Args:
            found: What `to_dict` gave.
            what: What it is called in messages.

        Raises:
            FormatError: It is none, it leaves out a gate, or it turns one around.
        """
        policy = parsed(_POLICY, found, f"{what}: its policy is malformed.")
        if policy.limits.keys() != _DEFAULT.keys():
            raise FormatError(f"{what}: its policy does not have a limit for each gate.")
        turned = [gate for gate, limit in policy.limits.items() if limit.sense != _DEFAULT[gate].sense]
        if turned:
            raise FormatError(f"{what}: its policy asks for something else than the gate {turned[0]!r} does.")
        if not _NAME.fullmatch(policy.name):
            raise FormatError(f"{what}: the name of its policy is not {_NAMES}.")
        if policy.name.lower() in _CHANGED and policy != cls.named(cast("Name", policy.name.lower())):
            raise FormatError(f"{what}: its policy is called {policy.name}, and is another one.")
        return policy

    def weaker_than(self, other: Policy) -> list[str]:
        """Gives where this policy asks for less than another one, in a few words each.

        Args:
            other: What it is compared with.

        Example:
            >>> Policy.named("default").weaker_than(Policy.named("strict"))[0]
            'epsilon fails above 10 instead of 3'
        """
        found: list[str] = []
        for gate, limit in self.limits.items():
            theirs, least = other.limits[gate], limit.sense == "at least"
            for what, ours, asked in (("fails", limit.fail, theirs.fail), ("warns", limit.warn, theirs.warn)):
                if (ours < asked) if least else (ours > asked):
                    found.append(f"{gate} {what} {'below' if least else 'above'} {ours:g} instead of {asked:g}")
        if _UNJUDGED.index(self.unjudged) > _UNJUDGED.index(other.unjudged):
            found.append(f"gates that cannot be judged: {self.unjudged} instead of {other.unjudged}")
        return found

    def to_dict(self) -> dict[str, JsonValue]:
        """Gives the policy for JSON, limits and all: a dossier says what it was judged by."""
        return _POLICY.dump_python(self, mode="json")


def _of_file(found: object, place: str) -> Policy:
    if not isinstance(found, dict):
        raise UsageError(f"policy={place!r} is not a list of settings such as `base: default`.")
    given = cast("dict[object, object]", found)
    _known(given, _KEYS, place, "keys")
    base = given.get("base", "default")
    if not isinstance(base, str) or base not in _CHANGED:
        raise UsageError(f"policy={place!r}: base={base!r} is not one of {', '.join(_CHANGED)}.")
    policy = Policy.named(cast("Name", base))
    unjudged = given.get("unjudged", policy.unjudged)
    if unjudged not in _UNJUDGED:
        raise UsageError(f"policy={place!r}: unjudged={unjudged!r} is not one of {', '.join(_UNJUDGED)}.")
    changes = given.get("limits", {})
    if not isinstance(changes, dict):
        raise UsageError(f"policy={place!r}: limits are not gates with their limits, such as epsilon: {{fail: 3}}.")
    limits = dict(policy.limits)
    changed = cast("dict[object, object]", changes)
    _known(changed, tuple(limits), place, "gates")
    for gate, change in changed.items():
        limits[str(gate)] = _limit(limits[str(gate)], change, f"policy={place!r}: {gate}")
    name = given.get("name", Path(place).stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"policy={place!r}: name is not {_NAMES}.")
    policy = Policy(name, limits, cast("Unjudged", unjudged))
    if name.lower() in _CHANGED and policy != Policy.named(cast("Name", name.lower())):
        raise UsageError(f"policy={place!r}: name={name!r} is that of another policy; write name: our-hospital.")
    return policy


def _limit(limit: Limit, change: object, place: str) -> Limit:
    if not isinstance(change, dict):
        raise UsageError(f"{place} is not written as {{fail: {limit.fail:g}, warn: {limit.warn:g}}}.")
    given = cast("dict[object, object]", change)
    _known(given, ("fail", "warn"), place, "keys")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _HIGHEST:
            raise UsageError(f"{place}: {name} is not a number from 0 to {_HIGHEST:g}.")
    fail = float(cast("float", given.get("fail", limit.fail)))
    warn = float(cast("float", given.get("warn", limit.warn)))
    if "warn" not in given:
        warn = max(warn, fail) if limit.sense == "at least" else min(warn, fail)
    if (warn < fail) if limit.sense == "at least" else (warn > fail):
        raise UsageError(f"{place}: it would fail at {fail:g} before it warns at {warn:g}; change both.")
    return replace(limit, fail=fail, warn=warn)


def _known(given: Mapping[object, object], names: tuple[str, ...], place: str, what: str) -> None:
    unknown = [str(name) for name in given if name not in names]
    if unknown:
        raise UsageError(f"{place}: {', '.join(unknown[:3])}: no such {what}; there are {', '.join(names)}.")


_POLICY: Final = TypeAdapter(Policy)

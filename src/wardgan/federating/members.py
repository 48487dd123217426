"""The hospitals of a training, as they introduce themselves, and what each has billed."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from wardgan.encode.layout import Layout
from wardgan.errors import BudgetError, FormatError
from wardgan.federating.agreement import Agreement
from wardgan.federating.wire import Message, strange
from wardgan.privacy.accountant import pld_epsilon, rdp_epsilon
from wardgan.privacy.events import NEIGHBOURS, UNIT, Event
from wardgan.privacy.plan import Plan, solve
from wardgan.seal.artifact import DATA_ID

_MORE: Final = 1.1
_LEAST: Final = 0.999
_PART: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Member:
    """A hospital that takes part.

    Attributes:
        name: What it is called.
        patients: Opaque name of its patients.
        population: Public number of its patients.
        part: Random name of its run.
        plan: What it may spend; `None` without privacy.
        events: What it has billed, as far as its answers count.
        heard: Whether anything that it said counts.
    """

    name: str
    patients: str
    population: int
    part: str
    plan: Plan | None
    events: tuple[Event, ...] = ()
    heard: bool = False

    def noise(self, name: str) -> float:
        """Gives the noise multiplier of an event; 0 without privacy, or for batches."""
        if self.plan is None:
            return 0.0
        return next((one.noise_multiplier or 0.0 for one in self.plan.events if one.name == name), 0.0)

    def counted(self, *, private: bool) -> bool:
        """Whether its patients are behind the generator."""
        return self.heard and (bool(self.events) or not private)

    def billed(self, bill: object, name: str) -> Member:
        """Gives the member with what it has billed by now.

        Args:
            bill: As it says.
            name: The event that it has just used: it must be in the bill, and of batches there must be new ones.

        Raises:
            FormatError: It is no bill.
            BudgetError: It is not within the plan that the hospital has shown, or less than before.
        """
        if not isinstance(bill, dict):
            raise FormatError("sent no bill")
        given = cast("Mapping[str, object]", bill)
        mode = "none" if self.plan is None else "private"
        if given.get("mode") != mode or not isinstance(given.get("events"), list):
            raise FormatError("sent no bill")
        if self.plan is None:
            return replace(self, heard=True)
        if given.get("replayable") is not False or given.get("unbilled"):
            raise BudgetError("has read patients without a bill, or with noise that can be replayed")
        found = cast("list[object]", given["events"])
        if not all(isinstance(one, dict) for one in found):
            raise FormatError("sent no bill")
        events = tuple(Event.from_dict(one) for one in cast("list[Mapping[str, object]]", found))
        _check_within(self, events)
        now, before = (sum(one.steps for one in each if one.name == name) for each in (events, self.events))
        # A question is billed once, and its answer may come twice; steps on batches are new each time.
        again = self.plan.event(name).mechanism == "gaussian"
        if not now or (now == before and not again):
            raise BudgetError(f"has not billed {name!r}, which it has used")
        return replace(self, events=events, heard=True)


def _check_within(member: Member, events: Collection[Event]) -> None:
    plan, before = cast("Plan", member.plan), {one.name: one.steps for one in member.events}
    planned = {one.name: one for one in plan.events}
    for event in events:
        whole = planned.get(event.name)
        if whole is None or event.times(whole.steps) != whole or event.steps > whole.steps:
            raise BudgetError(f"has billed {event.name!r} otherwise than it had planned; it is left out")
    now = {one.name: one.steps for one in events}
    if any(now.get(name, 0) < steps for name, steps in before.items()):
        raise BudgetError("has billed less than before; it is left out")


def member_of(site: str, reply: Message, agreement: Agreement, others: Mapping[str, Member]) -> Member:
    """Gives the hospital that introduces itself.

    Args:
        site: Its name in the channel.
        reply: What it says.
        agreement: What was agreed on.
        others: Those who were heard before.

    Raises:
        FormatError: It does not introduce itself, not to this training, or in messages of another protocol.
        BudgetError: It would spend more than was agreed on.
    """
    facts = reply.facts
    # Another version may well name the same agreement otherwise, so that comes first.
    foreign = strange(facts) if facts.get("kind") == "hello" else None
    if foreign is not None:
        raise FormatError(foreign)
    if facts.get("kind") != "hello" or facts.get("agreement") != agreement.digest:
        raise FormatError("does not take part")
    patients, population = facts.get("patients"), facts.get("population")
    if not isinstance(patients, str) or not DATA_ID.fullmatch(patients):
        raise FormatError("does not name its patients")
    if not isinstance(population, int) or isinstance(population, bool) or population < 1:
        raise FormatError("does not say how many patients it has")
    if population + sum(one.population for one in others.values()) > _MORE * agreement.patients:
        raise FormatError(
            f"has {population:,} patients, so all would be more than the {agreement.patients:,} agreed on"
        )
    part = facts.get("part")
    if not isinstance(part, str) or not _PART.fullmatch(part):
        raise FormatError("does not name its run")
    twice = next((one.name for one in others.values() if one.patients == patients), None)
    if twice is not None:
        raise FormatError(f"has the same patients as {twice}")
    return Member(site, patients, population, part, _plan(facts.get("plan"), agreement, population))


def _plan(found: object, agreement: Agreement, population: int) -> Plan | None:
    if agreement.budget is None:
        if found is not None:
            raise FormatError("plans with privacy, and the agreement is without")
        return None
    if not isinstance(found, dict):
        raise FormatError("shows no plan")
    plan = Plan.from_dict(cast("Mapping[str, object]", found))
    config, schema = agreement.config, replace(agreement.schema, population=population)
    shares = config.shares(Layout.of(schema), agreement.budget)
    # Everybody knows what has to be planned, so nothing has to be believed.
    own = solve(agreement.budget, shares, population=population, family=agreement.family)
    if not _alike(plan, own):
        raise BudgetError(
            f"plans something else than epsilon {own.budget.epsilon:g} at delta {own.budget.delta:g} for its patients"
        )
    return plan


def _alike(plan: Plan, own: Plan) -> bool:
    """Tells whether a plan is the one that follows from the agreement, but for the last digits of the noise."""
    if (plan.budget, plan.population, plan.family, len(plan.events)) != (
        own.budget, own.population, own.family, len(own.events)
    ):  # fmt: skip
        return False
    return all(
        replace(one, noise_multiplier=None if one.mechanism == "pure" else other.noise_multiplier) == other
        and (one.noise_multiplier or 1.0) >= _LEAST * (other.noise_multiplier or 1.0)
        for one, other in zip(plan.events, own.events, strict=True)
    )


def ledger_json(member: Member, agreement: Agreement) -> dict[str, object]:
    """Gives a hospital's ledger as it stands in a file, added up.

    Args:
        member: The hospital.
        agreement: What was agreed on.
    """
    found: dict[str, object] = {
        "version": 1, "mode": "private" if member.plan else "none", "unit": UNIT, "neighbours": NEIGHBOURS,
        "replayable": False, "unbilled": [], "events": [one.to_dict() for one in member.events],
        "population": member.population, "family": agreement.family,
    }  # fmt: skip
    if member.plan is None:
        return found
    budget = member.plan.budget
    bound = rdp_epsilon(member.events, budget.delta)
    spent = {"epsilon": pld_epsilon(member.events, budget.delta), "accountant": "PLD"}
    spent |= {"epsilon_rdp": bound} if math.isfinite(bound) else {}
    return found | {"epsilon": budget.epsilon, "delta": budget.delta, "spent": spent}

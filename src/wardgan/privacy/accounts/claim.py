"""What a fit wants to reserve, and why it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from wardgan.errors import BudgetError, counted
from wardgan.privacy.accounts.rows import Entry, Kind
from wardgan.privacy.accounts.together import Part, room, total
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.plan import Plan


@dataclass(frozen=True)
class Claim:
    """What is to be reserved.

    Attributes:
        token: Name of the entry; the entry of that name goes on, if there is one.
        plan: What may be spent; `None` without privacy.
        family: The model family, or what a figure is for.
        replayable: Whether the noise comes from a user's seed.
        run: The run folder.
        kind: `fit` or `figure`.
        billed: What the run's own ledger says; more than nothing if the run goes on.
    """

    token: str
    plan: Plan | None
    family: str
    replayable: bool = False
    run: Path | None = None
    kind: Kind = "fit"
    billed: tuple[Event, ...] = ()

    @property
    def part(self) -> Part:
        """What it counts for."""
        if self.plan is None:
            return Part((), None, protected=False)
        return Part(self.plan.events, self.plan.budget, protected=not self.replayable)


class OverCapError(Exception):
    """A fit would go beyond a cap; it never leaves this package.

    Args:
        name: Of the data set.
        others: What was entered before.
        cap: The one that does not hold.
    """

    def __init__(self, name: str, others: list[Entry], cap: Budget) -> None:
        self.name, self.others, self.cap = name, others, cap
        super().__init__()


def refuse(claim: Claim, over: OverCapError) -> NoReturn:
    """Says why a fit is refused, and what is left.

    Args:
        claim: What was to be reserved.
        over: The cap.

    Raises:
        BudgetError: Always.
    """
    cap, parts = over.cap, [entry.part for entry in over.others]
    text = f"the cap of data set {over.name!r} is epsilon {cap.epsilon:g} at delta {cap.delta:g}"
    if not claim.part.protected:
        why = "noise that can be replayed" if claim.plan is not None else "privacy='none'"
        raise BudgetError(f"{text}, and a fit with {why} has no finite epsilon. Fit with a budget and without a seed.")
    bad = next((entry for entry in over.others if not entry.part.protected), None)
    if bad is not None:
        raise BudgetError(
            f"{text}, and an earlier fit ({bad.run or bad.family}, {bad.begun}) has no finite epsilon: nothing is "
            "left. Only whoever set the cap can lift it (wardgan ledger cap)."
        )
    spent, rest = total(parts, cap.delta), room(parts, claim.part, cap)
    asked = 0.0 if claim.plan is None else claim.plan.budget.epsilon
    said = f"epsilon={asked:g}: {text}"
    if parts:
        said += f", and {counted(len(parts), 'earlier fit')} together cost {spent.epsilon:.4g}"
        said += "" if spent.delta == cap.delta else f" at delta {spent.delta:g}"
    if rest:
        raise BudgetError(f"{said}. At most epsilon {rest:g} is left for such a fit: take that, or less.")
    raise BudgetError(f"{said}. Nothing is left. Only whoever set the cap can raise it (wardgan ledger cap).")

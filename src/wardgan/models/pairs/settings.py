"""How pairs of variables are chosen, measured and fitted, and what a budget allows of that, from public facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.models.pairs.candidates import candidate_pairs
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share

SELECTION: Final = "selection"
GROUPS: Final = 8
EACH: Final = 3
_UNKNOWN: Final = 1_000


@dataclass(frozen=True)
class PairSettings:
    """Settings of the tables of pairs.

    Attributes:
        pairs: Weight of the tables; other weights are compared with it.
        selection: Weight of choosing which pairs are measured.
        rounds: How often pairs are chosen and measured, with a training in between.
        groups: Most groups of levels of a variable in a table.
        steps: Steps of the training after each round, twice as many after the last one; without privacy up to fifteen
            times as many, until a hold-out is predicted no better.
        lr: Adam's learning rate; it falls to 0 over the second half.
        ema: Decay of the running mean of the generator's weights.
    """

    pairs: float
    selection: float
    rounds: int = 4
    groups: int = GROUPS
    steps: int = 200
    lr: float = 2e-3
    ema: float = 0.98

    def __post_init__(self) -> None:
        check.whole(1, rounds=self.rounds, steps=self.steps)
        check.whole(2, groups=self.groups)
        check.positive(pairs=self.pairs, selection=self.selection, lr=self.lr)
        check.in_open_interval(0, 1, ema=self.ema)

    def shares(self, layout: Layout, budget: Budget, others: float) -> list[Share]:
        """Gives the wishes for a budget; none where no pair can be told from noise.

        Args:
            layout: The variables.
            budget: Of the whole fit.
            others: Sum of all other weights of the fit.
        """
        rounds, each = self.schedule(layout, budget, others)
        if not rounds:
            return []
        asked = [Share(round_name(number), self.pairs / rounds) for number in range(rounds)]
        return [Share(SELECTION, self.selection, steps=rounds * each, pure=True), *asked]

    def schedule(self, layout: Layout, budget: Budget, others: float) -> tuple[int, int]:
        """Gives how many rounds there are, and how many pairs each of them measures (see `affordable`).

        Args:
            layout: The variables.
            budget: Of the whole fit.
            others: Sum of all other weights of the fit.
        """
        part = self.pairs / (others + self.pairs + self.selection)
        patients = layout.schema.population or _UNKNOWN
        worth = affordable(layout, budget, part=part, patients=patients, groups=self.groups)
        rounds = min(self.rounds, worth)
        return (rounds, worth // rounds) if rounds else (0, 0)


def affordable(layout: Layout, budget: Budget, *, part: float, patients: int, groups: int = GROUPS) -> int:
    """Gives how many pairs a budget can tell from noise, from public facts.

    As many as can be measured with a noise of half the mean count of a cell, at most three for each variable; none at
    all if that is less than one for four variables.

    Args:
        layout: The variables.
        budget: Of the whole fit.
        part: Part of the budget (of mu^2) that the tables of pairs get.
        patients: Public number of patients.
        groups: Most groups of levels of a variable.
    """
    candidates = candidate_pairs(layout)
    if not candidates:
        return 0
    mu = gaussian_mu(budget.epsilon, budget.delta) * np.sqrt(part)
    columns = [variable.column for variable in layout.variables]
    sizes = [(groups if one.numeric else min(groups, one.size)) + one.nullable for one in columns]
    cells = layout.schema.classes * np.mean([sizes[one] * sizes[other] for one, other in candidates])
    worth = int(min((mu * patients / (2 * cells)) ** 2, EACH * len(layout), len(candidates)))
    # Too few are not worth their part of the budget: the others take it.
    return worth if worth >= len(layout) / 4 else 0


def round_name(number: int) -> str:
    """Gives the ledger's name for the measurement of one round."""
    return f"pairs {number + 1}"

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
        """Gives how many rounds there are, and how many pairs each of them measures, from public facts.

        As many pairs as can be measured with a noise of half the mean count of a cell, at most three for each
        variable; none at all if that is less than one for four variables.

        Args:
            layout: The variables.
            budget: Of the whole fit.
            others: Sum of all other weights of the fit.
        """
        candidates = candidate_pairs(layout)
        if not candidates:
            return 0, 0
        part = self.pairs / (others + self.pairs + self.selection)
        mu = gaussian_mu(budget.epsilon, budget.delta) * np.sqrt(part)
        sizes = np.array([self._groups(layout, at) for at in range(len(layout))])
        cells = layout.schema.classes * np.mean([sizes[one] * sizes[other] for one, other in candidates])
        patients = layout.schema.population or _UNKNOWN
        worth = int(min((mu * patients / (2 * cells)) ** 2, 3 * len(layout), len(candidates)))
        if worth < len(layout) / 4:
            # Too few to be worth their part of the budget: the others take it.
            return 0, 0
        rounds = min(self.rounds, worth)
        return rounds, worth // rounds

    def _groups(self, layout: Layout, at: int) -> int:
        column = layout.variables[at].column
        return (self.groups if column.numeric else min(self.groups, column.size)) + column.nullable


def round_name(number: int) -> str:
    """Gives the ledger's name for the measurement of one round."""
    return f"pairs {number + 1}"

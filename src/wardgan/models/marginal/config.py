"""The marginal family: settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible
from wardgan.models.base import Network, Run
from wardgan.models.marginal.candidates import candidate_pairs
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records

SELECTION: Final = "selection"
_UNKNOWN: Final = 1_000


@dataclass(frozen=True)
class MarginalConfig:
    """Settings of the marginal family.

    Attributes:
        anchor: How the anchor's part of the budget is split over its noisy tables; `None`: as usual for tables, or
            for visits.
        pairs: Weight of the tables of pairs; the anchor's weights sum to 1.
        selection: Weight of choosing which pairs are measured.
        rounds: How often pairs are chosen and measured, with a training in between.
        groups: Most groups of levels of a variable in the tables of pairs.
        width: Units in each hidden layer.
        noise_inputs: Latent normals besides those of the anchor.
        steps: Steps of the training after each round, twice as many after the last one; without privacy up to fifteen
            times as many, until a hold-out is predicted no better.
        lr: Adam's learning rate; it falls to 0 over the second half.
        ema: Decay of the running mean of the generator's weights.
    """

    anchor: Weights | None = None
    pairs: float = 0.33
    selection: float = 0.06
    rounds: int = 4
    groups: int = 8
    width: int = 128
    noise_inputs: int = 32
    steps: int = 200
    lr: float = 2e-3
    ema: float = 0.98

    def __post_init__(self) -> None:
        check.whole(1, rounds=self.rounds, width=self.width, steps=self.steps, noise_inputs=self.noise_inputs)
        check.whole(2, groups=self.groups)
        check.positive(pairs=self.pairs, selection=self.selection, lr=self.lr)
        check.in_open_interval(0, 1, ema=self.ema)

    @property
    def family(self) -> str:
        """Name of the family."""
        return "marginal"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts; where no pair can be told from noise, those of a copula."""
        anchor = anchor_shares(layout, self.anchor)
        rounds, each = self.schedule(layout, budget)
        if not rounds:
            return anchor
        asked = [Share(round_name(number), self.pairs / rounds) for number in range(rounds)]
        return [*anchor, Share(SELECTION, self.selection, steps=rounds * each, pure=True), *asked]

    def schedule(self, layout: Layout, budget: Budget) -> tuple[int, int]:
        """Gives how many rounds there are, and how many pairs each of them measures, from public facts.

        As many pairs as can be measured with a noise of half the mean count of a cell, at most three for each
        variable; none at all if that is less than one for four variables.
        """
        candidates = candidate_pairs(layout)
        if not candidates:
            return 0, 0
        total = sum(share.weight for share in anchor_shares(layout, self.anchor)) + self.pairs + self.selection
        mu = gaussian_mu(budget.epsilon, budget.delta) * np.sqrt(self.pairs / total)
        sizes = np.array([self._groups(layout, at) for at in range(len(layout))])
        cells = layout.schema.classes * np.mean([sizes[one] * sizes[other] for one, other in candidates])
        patients = layout.schema.population or _UNKNOWN
        worth = int(min((mu * patients / (2 * cells)) ** 2, 3 * len(layout), len(candidates)))
        if worth < len(layout) / 4:
            # Too few to be worth their part of the budget: the anchor takes it.
            return 0, 0
        rounds = min(self.rounds, worth)
        return rounds, worth // rounds

    def _groups(self, layout: Layout, at: int) -> int:
        column = layout.variables[at].column
        return (self.groups if column.numeric else min(self.groups, column.size)) + column.nullable

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise."""
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Records, run: Run) -> Network:
        """Gives the fitted network of a cohort."""
        from wardgan.models.marginal.train import train

        return train(self, records, run)


def round_name(number: int) -> str:
    """Gives the ledger's name for the measurement of one round."""
    return f"pairs {number + 1}"

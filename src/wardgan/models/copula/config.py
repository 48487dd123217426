"""The copula family: settings and fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible, measure_anchor
from wardgan.models.anchor.network import copula_network
from wardgan.models.base import Network, Progress, Run
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records


@dataclass(frozen=True)
class CopulaConfig:
    """Settings of the copula family.

    Attributes:
        weights: How the budget is split over the noisy tables.
    """

    weights: Weights = field(default_factory=Weights)

    @property
    def family(self) -> str:
        """Name of the family."""
        return "copula"

    def shares(self, layout: Layout) -> list[Share]:
        """Gives the wishes for the budget, from public facts."""
        return anchor_shares(layout, self.weights)

    def check(self, layout: Layout, epsilon: float, delta: float, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise."""
        part = self.weights.labels / sum(share.weight for share in self.shares(layout))
        check_feasible(layout, Budget(epsilon, delta), population, part=part)

    def train(self, records: Records, run: Run) -> Network:
        """Gives the copula of a cohort: at most five noisy tables and no gradient."""
        tables = len(self.shares(records.layout))
        run.watch(Progress("measuring", 0, tables))
        anchor = measure_anchor(records, population=run.population)
        run.watch(Progress("measuring", tables, tables))
        return Network(copula_network(anchor), len(anchor.axes), tuple(anchor.probabilities.tolist()), anchor.notes)

"""The copula family: settings and fit."""

from __future__ import annotations

from dataclasses import dataclass

from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible, measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.network import copula_network
from wardgan.models.base import Network, Progress, Run
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records


@dataclass(frozen=True)
class CopulaConfig:
    """Settings of the copula family.

    Attributes:
        weights: How the budget is split over the noisy tables; `None`: as usual for tables, or for visits.
    """

    weights: Weights | None = None

    @property
    def family(self) -> str:
        """Name of the family."""
        return "copula"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        return anchor_shares(layout, self.weights)

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise."""
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Records, run: Run) -> Network:
        """Gives the copula of a cohort: at most five noisy tables and no gradient."""
        tables = len(anchor_shares(records.layout, self.weights))
        run.watch(Progress("measuring", 0, tables))
        anchor = measure_anchor(records, population=run.population)
        run.watch(Progress("measuring", tables, tables))
        network = lawful_network(anchor, copula_network, latent=len(anchor.axes))
        return Network(network, len(anchor.axes), tuple(anchor.probabilities.tolist()), anchor.notes)

"""The copula family: settings and fit."""

from __future__ import annotations

from dataclasses import dataclass

from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Anchor, Weights, anchor_shares, check_feasible, measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.survey import Survey
from wardgan.models.anchor.surveyed import check_survey, surveyed
from wardgan.models.base import Network, Progress, Run
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Asked


@dataclass(frozen=True)
class CopulaConfig:
    """Settings of the copula family.

    Attributes:
        weights: How the budget is split over the noisy tables; `None`: as usual for tables, or for visits.
        survey: Questions that were fixed beforehand, so that the answers of several hospitals add up; `None`: later
            questions hang on earlier answers, as suits one hospital best.
    """

    weights: Weights | None = None
    survey: Survey | None = None

    @property
    def family(self) -> str:
        """Name of the family."""
        return "copula"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        return anchor_shares(layout, self.weights, fixed=self.survey is not None)

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise, and a survey about something else."""
        if self.survey is not None:
            population = check_survey(self.survey, layout, population, family=self.family)
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Asked, run: Run) -> Network:
        """Gives the copula of a cohort: at most six noisy tables and no gradient."""
        survey, tables = self.survey, len(anchor_shares(records.layout, self.weights, fixed=self.survey is not None))
        run.watch(Progress("measuring", 0, tables))
        if survey is None:
            anchor = measure_anchor(records, population=run.population)
        else:
            _, anchor = surveyed(records, survey, run, family=self.family)
        run.watch(Progress("measuring", tables, tables))
        return copula_of(anchor)


def copula_of(anchor: Anchor) -> Network:
    """Gives the generator network of an anchor that nothing refines.

    Args:
        anchor: Paid answers.
    """
    network = lawful_network(anchor, copula_network, latent=len(anchor.axes))
    return Network(network, len(anchor.axes), tuple(anchor.probabilities.tolist()), anchor.notes)

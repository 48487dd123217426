"""The marginal family: settings."""

from __future__ import annotations

from dataclasses import dataclass

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible
from wardgan.models.anchor.answered import PAIRS
from wardgan.models.anchor.survey import Survey
from wardgan.models.anchor.surveyed import check_survey
from wardgan.models.base import Network, Run
from wardgan.models.pairs.settings import PairSettings
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records


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
        survey: Questions that were fixed beforehand, pairs and groups among them, so that the answers of several
            hospitals add up. All is asked at once then: nothing is selected, and there is one training as long as those
            of all rounds. `None`: what is asked hangs on earlier answers, as suits one hospital best.
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
    survey: Survey | None = None

    def __post_init__(self) -> None:
        check.whole(1, width=self.width, noise_inputs=self.noise_inputs)
        _ = self.asked  # its settings are checked when it is made

    @property
    def asked(self) -> PairSettings:
        """What is asked about pairs, and how the network is trained on it."""
        return PairSettings(
            self.pairs, self.selection, self.rounds, self.groups, self.steps, self.lr, self.ema
        )  # fmt: skip

    @property
    def family(self) -> str:
        """Name of the family."""
        return "marginal"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts; where no pair can be told from noise, those of a copula."""
        if self.survey is not None:
            return self.at_once(layout)
        anchor = anchor_shares(layout, self.anchor)
        return [*anchor, *self.asked.shares(layout, budget, sum(share.weight for share in anchor))]

    def at_once(self, layout: Layout) -> list[Share]:
        """Gives the wishes where all questions are fixed beforehand: the tables of all pairs are one event."""
        return [*anchor_shares(layout, self.anchor, fixed=True), Share(PAIRS, self.pairs)]

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise, and a survey about something else."""
        if self.survey is not None:
            population = check_survey(self.survey, layout, population, family=self.family)
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Records, run: Run) -> Network:
        """Gives the fitted network of a cohort."""
        from wardgan.models.marginal.train import train

        return train(self, records, run)

"""The tabgan family: settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible
from wardgan.models.base import Network, Run
from wardgan.models.pairs.settings import PairSettings
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records
from wardgan.select.choice import Choice, check_choice, choice_shares

DISCRIMINATOR = "discriminator"
_CHOOSING: Final = 0.2


@dataclass(frozen=True)
class TabganConfig:
    """Settings of the tabgan family.

    Attributes:
        anchor: How the anchor's part of the budget is split over its noisy tables; `None`: as usual for tables, or
            for visits.
        pairs: Weight of tables of pairs, as those of `marginal`, to which the network is fitted before there is a
            discriminator; 0: none, the anchor is a copula.
        discriminator: Weight of the discriminator's steps; the anchor's weights sum to 1.
        sampling_rate: Probability that a patient is in a batch; large batches carry less noise (Bie et al. 2023).
        steps: Discriminator steps.
        steps_per_generator_step: Discriminator steps for each generator step.
        clip_norm: Longest gradient of one patient.
        width: Units in each hidden layer.
        noise_inputs: Latent normals besides those of the anchor.
        lr_discriminator: Adam's learning rate; it falls to 0 over the second half.
        lr_generator: The same for the generator.
        moments: Weight of the penalty that holds the refinement to the anchor's means and correlations.
        tables: Weight of the penalty that holds it to the tables of pairs, if there are any.
        ema: Decay of the running mean of the generator's weights, for each generator step.
        choice: How the weights that leave are chosen on patients, which is billed; `None`: the newest ones are taken.
    """

    anchor: Weights | None = None
    pairs: float = 0.0
    discriminator: float = 0.15
    sampling_rate: float = 1 / 6
    steps: int = 1000
    steps_per_generator_step: int = 3
    clip_norm: float = 1.0
    width: int = 128
    noise_inputs: int = 32
    lr_discriminator: float = 3e-3
    lr_generator: float = 1e-3
    moments: float = 300.0
    tables: float = 0.03
    ema: float = 0.97
    choice: Choice | None = None

    def __post_init__(self) -> None:
        check.whole(1, steps=self.steps, steps_per_generator_step=self.steps_per_generator_step, width=self.width)
        check.positive(clip_norm=self.clip_norm, lr_discriminator=self.lr_discriminator, lr_generator=self.lr_generator)
        check.in_open_interval(0, 1, ema=self.ema, sampling_rate=self.sampling_rate)
        if self.pairs != 0:
            check.positive(pairs=self.pairs, tables=self.tables)

    @property
    def asked(self) -> PairSettings | None:
        """What is asked about pairs, if anything."""
        return PairSettings(self.pairs, _CHOOSING * self.pairs) if self.pairs else None

    @property
    def family(self) -> str:
        """Name of the family."""
        return "tabgan"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        found = [*anchor_shares(layout, self.anchor), *choice_shares(self.choice)]
        if self.asked is not None:
            others = sum(share.weight for share in found) + self.discriminator
            found += self.asked.shares(layout, budget, others)
        return [*found, Share(DISCRIMINATOR, self.discriminator, sampling_rate=self.sampling_rate, steps=self.steps)]

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise, and a choice that there is nothing to choose by."""
        check_choice(self.choice, layout)
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Records, run: Run) -> Network:
        """Gives the refined network of a cohort."""
        from wardgan.models.tabgan.train import train

        return train(self, records, run)

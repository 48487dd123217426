"""The tabgan family: settings."""

from __future__ import annotations

from dataclasses import dataclass

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.models.anchor.anchor import Weights, anchor_shares, check_feasible
from wardgan.models.base import Network, Run
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records

DISCRIMINATOR = "discriminator"


@dataclass(frozen=True)
class TabganConfig:
    """Settings of the tabgan family.

    Attributes:
        anchor: How the anchor's part of the budget is split over its noisy tables; `None`: as usual for tables, or
            for visits.
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
        ema: Decay of the running mean of the generator's weights, for each generator step.
    """

    anchor: Weights | None = None
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
    ema: float = 0.97

    def __post_init__(self) -> None:
        check.whole(1, steps=self.steps, steps_per_generator_step=self.steps_per_generator_step, width=self.width)
        check.positive(clip_norm=self.clip_norm, lr_discriminator=self.lr_discriminator, lr_generator=self.lr_generator)
        check.in_open_interval(0, 1, ema=self.ema, sampling_rate=self.sampling_rate)

    @property
    def family(self) -> str:
        """Name of the family."""
        return "tabgan"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        anchor = anchor_shares(layout, self.anchor)
        return [*anchor, Share(DISCRIMINATOR, self.discriminator, sampling_rate=self.sampling_rate, steps=self.steps)]

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise."""
        check_feasible(layout, budget, population, shares=self.shares(layout, budget))

    def train(self, records: Records, run: Run) -> Network:
        """Gives the refined network of a cohort."""
        from wardgan.models.tabgan.train import train

        return train(self, records, run)

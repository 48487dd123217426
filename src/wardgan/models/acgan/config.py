"""The acgan family: settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.acgan.features import Picture
from wardgan.models.base import Network, Run
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records
from wardgan.select.choice import Choice, check_choice, choice_shares

DISCRIMINATOR: Final = "discriminator"
CLASSES: Final = "class counts"
_MOST: Final = 500


@dataclass(frozen=True)
class AcganConfig:
    """Settings of the acgan family.

    The networks have the layers of 2017 (3 x 12 visits; other schemas become a picture of one row), by default with
    fewer units, since the noise of a private step grows with the root of the number of weights. What is mended: the
    real patient's gradient is clipped alone, batches are Poisson, noise cannot be replayed, the shares of the
    classes are paid for instead of assumed, and numbers are rounded instead of truncated.

    Attributes:
        classes: Weight of the noisy class counts.
        discriminator: Weight of the discriminator's steps.
        sampling_rate: Probability that a patient is in a batch.
        steps: Discriminator steps.
        steps_per_generator_step: Discriminator steps for each generator step.
        clip_norm: Longest gradient of one patient.
        dense: Units in each dense layer of the discriminator; 1,024 in 2017.
        channels: Channels between the generator's two convolutions; 256 in 2017.
        dropout: Share of dropped units in the discriminator.
        latent: Latent numbers, uniform in (-1, 1).
        lr_discriminator: Adam's learning rate.
        lr_generator: The same for the generator.
        ema: Decay of the running mean of the generator's weights.
        choice: How the weights that leave are chosen on patients, which is billed; `None`: the newest ones are taken.
    """

    classes: float = 0.02
    discriminator: float = 0.98
    sampling_rate: float = 1 / 12
    steps: int = 500
    steps_per_generator_step: int = 3
    clip_norm: float = 1.0
    dense: int = 128
    channels: int = 32
    dropout: float = 0.3
    latent: int = 100
    lr_discriminator: float = 1e-3
    lr_generator: float = 1e-3
    ema: float = 0.98
    choice: Choice | None = None

    def __post_init__(self) -> None:
        check.whole(1, steps=self.steps, steps_per_generator_step=self.steps_per_generator_step, dense=self.dense)
        check.whole(1, latent=self.latent, channels=self.channels)
        check.positive(clip_norm=self.clip_norm, lr_discriminator=self.lr_discriminator, lr_generator=self.lr_generator)
        check.in_open_interval(0, 1, ema=self.ema, sampling_rate=self.sampling_rate)

    @property
    def family(self) -> str:
        """Name of the family."""
        return "acgan"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        steps = Share(DISCRIMINATOR, self.discriminator, sampling_rate=self.sampling_rate, steps=self.steps)
        return [Share(CLASSES, self.classes), steps, *choice_shares(self.choice)]

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a schema whose picture would be too wide, or that has nothing to choose by."""
        check_choice(self.choice, layout)
        features = Picture.of(layout).features
        if features > _MOST:
            raise PlanError(
                f"family='acgan' would need {features} features, more than {_MOST}: group the levels of large "
                "categories, or use family='copula'."
            )

    def train(self, records: Records, run: Run) -> Network:
        """Gives the trained network."""
        from wardgan.models.acgan.train import train

        return train(self if records.private else self.without_noise(), records, run)

    def without_noise(self) -> AcganConfig:
        """Gives what suits a training without noise: five times the steps, small batches, one step each in turn."""
        return replace(
            self,
            steps=5 * self.steps,
            sampling_rate=self.sampling_rate / 4,
            steps_per_generator_step=1,
            lr_discriminator=0.4 * self.lr_discriminator,
            lr_generator=0.4 * self.lr_generator,
        )

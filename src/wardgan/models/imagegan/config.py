"""The imagegan family: settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError
from wardgan.models.base import Network, Run
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records

CLASSES: Final = "classes"
SUMS: Final = "wave sums"
PRODUCTS: Final = "wave products"
GRAIN: Final = "grain"
GREYS: Final = "shades of grey"
DISCRIMINATOR: Final = "discriminator"
_PARTS: Final = {CLASSES: 0.05, SUMS: 0.2, PRODUCTS: 0.75}
# A class share whose noise is a third of it says little.
_NOISE: Final = 3.0
_SMALLEST: Final = 0.001


@dataclass(frozen=True)
class ImageganConfig:
    """Settings of the imagegan family.

    Attributes:
        waves: Low frequencies in each direction whose means and covariances the generator is built on.
        radius: Longest difference of an image from the mean of its class, as a part of the longest possible one; longer
            ones are cut.
        grain: Weight of the two questions about fine texture and shades of grey; the waves' weights sum to 1. 0: low
            frequencies alone. Where a network is trained without privacy, it learns the texture instead.
        discriminator: Weight of the discriminator's steps in a private fit; the waves' weights sum to 1. 0: none.
        sampling_rate: Probability that a patient is in a batch of a private fit.
        steps: Discriminator steps of a private fit.
        steps_per_generator_step: Discriminator steps for each generator step of a private fit (Bie et al. 2023).
        clip_norm: Longest gradient of one patient.
        images_at_once: Most images of a patient in one private step; who has more takes turns with them.
        open_steps: Steps of both networks in a fit without privacy, such as 1500; 0: none.
        batch: Images in a step of a fit without privacy, and fakes in every fit.
        width: Channels at full size; twice as many at each half of it, up to four times.
        noise_inputs: Latent normals besides those of the waves.
        lr_discriminator: Adam's learning rate of a private fit; it falls to 0 over the second half.
        lr_generator: The same for the generator.
        lr_open: Both networks' learning rate in a fit without privacy.
        penalty: Weight of the gradient penalties on real and fake images without privacy (gamma).
        penalty_every: In which step they are taken, that many times as strong.
        augment: Whether images are shifted, brightened and cut out before the discriminator sees them, without privacy.
        flips: Whether they are mirrored, too: not for organs that have a side.
        ema: Decay of the running mean of the generator's weights, for each generator step of a private fit.
        ema_open: The same without privacy.
    """

    waves: int = 12
    radius: float = 0.35
    grain: float = 0.1
    discriminator: float = 0.0
    sampling_rate: float = 0.05
    steps: int = 600
    steps_per_generator_step: int = 5
    clip_norm: float = 1.0
    images_at_once: int = 1
    open_steps: int = 0
    batch: int = 32
    width: int = 12
    noise_inputs: int = 32
    lr_discriminator: float = 1e-3
    lr_generator: float = 3e-4
    lr_open: float = 3e-4
    penalty: float = 0.5
    penalty_every: int = 8
    augment: bool = True
    flips: bool = False
    ema: float = 0.97
    ema_open: float = 0.995

    def __post_init__(self) -> None:
        check.whole(
            1, waves=self.waves, steps=self.steps, steps_per_generator_step=self.steps_per_generator_step,
            images_at_once=self.images_at_once, width=self.width, noise_inputs=self.noise_inputs,
            penalty_every=self.penalty_every,
        )  # fmt: skip
        check.whole(0, open_steps=self.open_steps)
        check.whole(2, batch=self.batch)
        check.positive(
            clip_norm=self.clip_norm, lr_discriminator=self.lr_discriminator, lr_generator=self.lr_generator,
            lr_open=self.lr_open, penalty=self.penalty,
        )  # fmt: skip
        check.in_open_interval(0, 1, ema=self.ema, ema_open=self.ema_open, sampling_rate=self.sampling_rate)
        if not _SMALLEST <= self.radius <= 1:
            raise PlanError(f"radius={self.radius!r} is not from {_SMALLEST} to 1.")
        for name in ("grain", "discriminator"):
            if getattr(self, name) != 0:
                check.positive(**{name: getattr(self, name)})

    @property
    def family(self) -> str:
        """Name of the family."""
        return "imagegan"

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        found = [Share(name, weight) for name, weight in _PARTS.items()]
        if self.has_grain(layout):
            found += [Share(name, self.grain / 2) for name in (GRAIN, GREYS)]
        if self.discriminator:
            steps = Share(DISCRIMINATOR, self.discriminator, sampling_rate=self.sampling_rate, steps=self.steps)
            found.append(steps)
        return found

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses a budget that leaves nothing but noise of the classes' means."""
        if population is None:
            return
        mu = gaussian_mu(budget.epsilon, budget.delta)
        part = _PARTS[SUMS] / sum(share.weight for share in self.shares(layout, budget))
        classes, size = layout.schema.classes, self.numbers(layout)
        # The noise of a class's mean image, per pixel of grey levels from -1 to 1, with patients evenly spread.
        noise = math.sqrt(size) * classes / (mu * math.sqrt(part) * population)
        if noise > 1 / _NOISE:
            least = math.ceil(noise * _NOISE * population)
            raise PlanError(
                f"epsilon={budget.epsilon:g} is too small for population={population} with {classes} classes: the mean "
                f"image of a class would be noise. It takes about {least:,} patients, more epsilon, or fewer labels."
            )

    def numbers(self, layout: Layout) -> int:
        """Gives how many low frequencies an image has."""
        images = layout.schema.images
        if images is None:
            raise PlanError("family='imagegan' draws images; the schema declares none.")
        return images.planes * min(self.waves, images.height) * min(self.waves, images.width)

    def has_grain(self, layout: Layout) -> bool:
        """Whether images have texture that low frequencies leave out, and it is wanted."""
        images = layout.schema.images
        return bool(self.grain) and images is not None and max(images.height, images.width) > self.waves

    def train(self, records: Records, run: Run) -> Network:
        """Gives the trained network of a cohort of images."""
        from wardgan.models.imagegan.train import train

        return train(self, records, run)

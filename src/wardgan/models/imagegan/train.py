"""The training of imagegan: with privacy against a private discriminator, without privacy against an open one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn, optim

from wardgan.models import checkpoint
from wardgan.models.base import Network, Progress, Run
from wardgan.models.imagegan.augment import augmented
from wardgan.models.imagegan.base import WaveModel, wave_model
from wardgan.models.imagegan.config import DISCRIMINATOR, ImageganConfig
from wardgan.models.imagegan.draw import waves_network
from wardgan.models.imagegan.nets import ImageGenerator, Judge
from wardgan.models.imagegan.sizes import check_size
from wardgan.models.imagegan.strip import write_strip
from wardgan.models.weights import average, decay_at, fall, weights_state
from wardgan.privacy.image_queries import Pictures
from wardgan.privacy.records import Records
from wardgan.rng import Seed

# A checkpoint is written after so many steps, or seconds.
_EVERY = 100
_SECONDS = 20.0


def train(config: ImageganConfig, records: Records, run: Run) -> Network:
    """Gives the trained network.

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    steps = config.discriminator if records.private else config.open_steps
    look = records.layout.schema.images
    if steps and look is not None:
        check_size(look, config.width)
    base = wave_model(config, records)
    if not steps:
        return Network(waves_network(base), base.latent, tuple(base.shares.tolist()), base.notes)
    with torch.random.fork_rng(devices=[]):
        players = players_of(config, base, run.seed)
        mean = (
            _private(config, records, run, players)
            if records.private
            else _open(config, records.open_images(), run, players)
        )
    return Network(mean.network(), mean.latent, tuple(base.shares.tolist()), base.notes)


def players_of(config: ImageganConfig, base: WaveModel, seed: Seed) -> Players:
    """Gives the two networks with their first weights; torch's generator is left where these leave it.

    Args:
        config: Settings.
        base: Paid answers.
        seed: Of the first weights.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.random.set_rng_state(weights_state(seed))
    maker = ImageGenerator(base, width=config.width, noise_inputs=config.noise_inputs).to(device)
    judge = Judge(base.look, classes=len(base.shares), width=config.width).to(device)
    return Players(base, maker, judge)


class Players:
    """The two networks, the running mean of the first, and fakes."""

    def __init__(self, base: WaveModel, maker: ImageGenerator, judge: Judge) -> None:
        self.base, self.maker, self.judge = base, maker, judge
        self.mean = copy.deepcopy(maker)
        self.device = next(maker.parameters()).device

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """What a checkpoint holds."""
        return self.maker, self.judge, self.mean

    def latent(self, stream: np.random.Generator, size: int) -> Tensor:
        """Gives standard normals, shape (size, latent)."""
        found = stream.standard_normal((size, self.maker.latent), dtype=np.float32)
        return torch.from_numpy(found).to(self.device)

    def fakes(self, stream: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Gives fake images of classes in their shares, and the classes."""
        classes = torch.from_numpy(stream.choice(len(self.base.shares), size, p=self.base.shares)).to(self.device)
        return self.maker(self.latent(stream, size), classes), classes

    def strip(self, run: Run) -> None:
        """Draws what the generator makes now; it stays on site."""
        if run.folder is None:
            return
        count = len(self.base.shares)
        classes = torch.arange(count, device=self.device).repeat_interleave(8)
        latent = self.latent(run.seed.stream("strip"), 8 * count)
        with torch.no_grad():
            parts = [self.mean(some, which) for some, which in zip(latent.split(16), classes.split(16), strict=True)]
        write_strip(run.folder, torch.cat(parts).clamp(-1, 1).cpu().numpy(), columns=8)


def _private(config: ImageganConfig, records: Records, run: Run, players: Players) -> ImageGenerator:
    """The running mean of the generator that a private discriminator has taught."""
    mean = players.mean
    duel = ImageDuel(config, records, run, players)
    duel.go_on(checkpoint.load(run.folder, players.modules, duel.adams))

    def moved(step: int) -> None:
        average(mean, players.maker, decay_at(config.ema, step // config.steps_per_generator_step))

    while duel.block(moved):
        checkpoint.save(run.folder, duel.step, players.modules, duel.adams)
        players.strip(run)
        run.watch(Progress("training the discriminator", duel.step, duel.steps))
    return mean


class ImageDuel:
    """Many discriminator steps for each of the generator (Bie, Kamath, Zhang 2023); only their gradient is private.

    The generator never sees a real image (Rule P9): its loss is the non-saturating one on fakes alone (Goodfellow et
    al. 2014, section 3).

    Attributes:
        adams: The optimisers, for a checkpoint: of the discriminator, of the generator.
        step: How many steps are taken.
    """

    def __init__(self, config: ImageganConfig, records: Records, run: Run, players: Players) -> None:
        """Takes the players.

        Args:
            config: Settings.
            records: The patients.
            run: Seeds and the public number of patients.
            players: The two networks; both are changed.
        """
        self._config, self._run, self._players = config, run, players
        self._flat = _Flat(players.judge, players.base.look.shape)
        self._training = records.image_training(
            DISCRIMINATOR, self._flat, rate=config.sampling_rate, steps=config.steps, clip_norm=config.clip_norm,
            population=run.population, at_once=config.images_at_once,
        )  # fmt: skip
        self.adams = (
            optim.Adam(players.judge.parameters(), config.lr_discriminator, betas=(0.5, 0.999)),
            optim.Adam(players.maker.parameters(), config.lr_generator, betas=(0.5, 0.999)),
        )
        self.step = 0

    @property
    def steps(self) -> int:
        """How many steps there are in all."""
        return self._training.steps

    @property
    def spent(self) -> bool:
        """Whether all steps are billed."""
        return self._training.taken == self.steps

    def go_on(self, step: int) -> None:
        """Goes on after a checkpoint of so many steps.

        Raises:
            BudgetError: All steps are billed, and what they taught is lost.
        """
        self._training.go_on(step)
        self.step = self._training.taken

    def block(self, moved: Callable[[int], None]) -> int:
        """Takes the next block of steps, billed first, and gives how many there were; 0 if all are spent.

        Args:
            moved: Called after each step of the generator, with the number of the discriminator's step.
        """
        config, players, flat = self._config, self._players, self._flat
        judge_adam, adam = self.adams
        block = self._training.reserve()
        for step in range(self.step, self.step + block):
            fall(judge_adam, config.lr_discriminator, step / self.steps)
            fall(adam, config.lr_generator, step / self.steps)
            with torch.no_grad():
                images, classes = players.fakes(self._run.seed.stream("discriminator", step), config.batch)
                fake = torch.cat([images.flatten(1), classes[:, None].float()], dim=1)
            self._training.gradient(lambda real: _losses(flat, real), fake, step)
            judge_adam.step()
            if (step + 1) % config.steps_per_generator_step == 0:
                adam.zero_grad()
                images, classes = players.fakes(self._run.seed.stream("generator", step), config.batch)
                nn.functional.softplus(-players.judge(images, classes)).mean().backward()
                adam.step()
                moved(step)
        self.step += block
        return block


class _Flat(nn.Module):
    """A discriminator of records: pixels with the class behind them."""

    def __init__(self, judge: Judge, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.judge, self.shape = judge, shape

    def forward(self, records: Tensor) -> Tensor:
        classes = records[:, -1].long().clamp(0, self.judge.last.out_features - 1)
        return self.judge(records[:, :-1].reshape(-1, *self.shape), classes)


def _losses(flat: _Flat, real: int) -> Callable[[Tensor], Tensor]:
    """Gives the loss of each record: whether it is told to be real or fake."""

    def losses(records: Tensor) -> Tensor:
        sign = torch.ones(len(records), device=records.device)
        sign[:real] = -1.0
        return nn.functional.softplus(sign * flat(records))

    return losses


def _open(config: ImageganConfig, pictures: Pictures, run: Run, players: Players) -> ImageGenerator:
    """One step of each in turn: relativistic pairs of one class, gradient penalties on real and fake images.

    Source: Huang, Gokaslan, Kuleshov, Tompkin 2024, "The GAN is dead; long live the GAN!", equations 2 and 3; the
    penalties every few steps as in Karras et al. 2020, section 4 ("lazy regularisation").
    """
    adams = tuple(
        optim.Adam(network.parameters(), config.lr_open, betas=(0.0, 0.99))
        for network in (players.maker, players.judge)
    )
    begun, saved = checkpoint.load(run.folder, players.modules, adams), monotonic()
    for step in range(begun, config.open_steps):
        for adam in adams:
            fall(adam, config.lr_open, step / config.open_steps)
        stream = run.seed.stream("open", step)
        chosen = stream.choice(len(pictures.classes), min(config.batch, len(pictures.classes)), p=_chances(pictures))
        real = torch.from_numpy(pictures.pixels[chosen]).to(players.device)
        classes = torch.from_numpy(pictures.classes[chosen]).to(players.device)
        _judge_step(config, players, adams[1], stream, real, classes, penalised=step % config.penalty_every == 0)
        _maker_step(config, players, adams[0], stream, real, classes)
        average(players.mean, players.maker, decay_at(config.ema_open, step))
        if (step + 1) % _EVERY == 0 or step + 1 == config.open_steps or monotonic() - saved > _SECONDS:
            checkpoint.save(run.folder, step + 1, players.modules, adams)
            players.strip(run)
            run.watch(Progress("training without privacy", step + 1, config.open_steps))
            saved = monotonic()
    return players.mean


def _chances(pictures: Pictures) -> np.ndarray:
    """Gives how often each image is drawn: each patient alike."""
    return pictures.weights / pictures.weights.sum()


def _judge_step(
    config: ImageganConfig, players: Players, adam: optim.Adam, stream: np.random.Generator, real: Tensor,
    classes: Tensor, *, penalised: bool,
) -> None:  # fmt: skip
    with torch.no_grad():
        fake = players.maker(players.latent(stream, len(real)), classes)
    real, fake = (_seen(config, players, images, stream).requires_grad_(penalised) for images in (real, fake))
    true, false = players.judge(real, classes), players.judge(fake, classes)
    loss = nn.functional.softplus(false - true).mean()
    if penalised:
        slopes = torch.autograd.grad(true.sum() + false.sum(), (real, fake), create_graph=True)
        penalty = sum((slope.square().sum(dim=(1, 2, 3)).mean() for slope in slopes), torch.zeros_like(loss))
        loss = loss + config.penalty_every * config.penalty / 2 * penalty
    adam.zero_grad()
    loss.backward()
    adam.step()


def _maker_step(
    config: ImageganConfig, players: Players, adam: optim.Adam, stream: np.random.Generator, real: Tensor,
    classes: Tensor,
) -> None:  # fmt: skip
    fake = players.maker(players.latent(stream, len(real)), classes)
    real, fake = (_seen(config, players, images, stream) for images in (real, fake))
    with torch.no_grad():
        true = players.judge(real, classes)
    adam.zero_grad()
    nn.functional.softplus(true - players.judge(fake, classes)).mean().backward()
    adam.step()


def _seen(config: ImageganConfig, players: Players, images: Tensor, stream: np.random.Generator) -> Tensor:
    """Gives what the discriminator sees: detached for its own step, with gradients for the generator's."""
    if not config.augment:
        return images
    return augmented(images, stream, mask=players.base.look.mask, flips=config.flips)

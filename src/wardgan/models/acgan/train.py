"""The training of acgan: the discriminator names the class and tells real from fake; only its gradient is private."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from wardgan.encode.units import Units
from wardgan.models import checkpoint
from wardgan.models.acgan.config import CLASSES, DISCRIMINATOR, AcganConfig
from wardgan.models.acgan.features import Picture
from wardgan.models.acgan.nets import PictureGenerator, discriminator, mixed_network
from wardgan.models.base import Network, Progress, Run
from wardgan.models.candidates import Candidates
from wardgan.models.verdicts import alone
from wardgan.models.weights import average, one_thread, weights_state
from wardgan.privacy.queries import ClassCounts
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.select.choice import Choice, check_choice
from wardgan.select.decide import Field, decided, told

_FAKES: Final = 192


def train(config: AcganConfig, records: Records, run: Run) -> Network:
    """Gives the trained network (Beaulieu-Jones et al. 2019, methods; Odena, Olah, Shlens 2017, section 4).

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    check_choice(config.choice, records.layout)
    classes = records.layout.schema.classes
    counts = np.maximum(records.measure(CLASSES, ClassCounts(classes)), 1.0)
    shares = counts / counts.sum()
    picture = Picture.of(records.layout)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(run.seed))
        maker = PictureGenerator(picture, classes=classes, latent=config.latent, channels=config.channels)
        judge = discriminator(picture, classes=classes, dense=config.dense, dropout=config.dropout)
        mean, candidates = _trained(config, records, run, shares, maker, judge)
        made = mean.network(), config.latent, ()
        if config.choice is not None:
            run.watch(Progress("choosing the weights", 0, 1))
            made = _chosen(config.choice, records, candidates, shares, float(counts.sum()))
    network, latent, notes = made
    return Network(network, latent, tuple(shares.tolist()), notes)


def _chosen(
    choice: Choice, records: Records, candidates: Candidates[PictureGenerator], shares: NDArray[np.float64],
    patients: float,
) -> tuple[bytes, int, tuple[str, ...]]:  # fmt: skip
    """Gives the network of the chosen weights, how many normals it wants, and a note."""
    makers = candidates.makers
    picture, latent = makers[0].picture, makers[0].latent

    def verdicts(units: Units, classes: NDArray[np.int64]) -> NDArray[np.float64]:
        return alone(candidates.judges, picture.real(units, classes)[:, :-1])

    networks = tuple(maker.network() for maker in makers)
    weights = decided(choice, records, Field(records.layout, networks, latent, shares, patients, verdicts))
    notes = (told(weights, candidates.steps, choice),)
    chosen = np.flatnonzero(weights)
    if len(chosen) == 1:
        return networks[chosen[0]], latent, notes
    return mixed_network([makers[at] for at in chosen], weights[chosen]), latent + 1, notes


def _trained(
    config: AcganConfig, records: Records, run: Run, shares: NDArray[np.float64], maker: PictureGenerator,
    judge: nn.Sequential,
) -> tuple[PictureGenerator, Candidates[PictureGenerator]]:  # fmt: skip
    training = records.training(
        DISCRIMINATOR, judge, features=maker.picture.real, rate=config.sampling_rate, steps=config.steps,
        clip_norm=config.clip_norm, population=run.population,
    )  # fmt: skip
    mean = copy.deepcopy(maker)
    judge_adam = optim.Adam(judge.parameters(), config.lr_discriminator, betas=(0.5, 0.999))
    adam = optim.Adam(maker.parameters(), config.lr_generator, betas=(0.5, 0.999))
    candidates = Candidates(config.choice, training.steps, mean, judge)
    networks = (maker, judge, mean, *candidates.modules)
    found = checkpoint.load(run.folder, networks, (adam, judge_adam))
    training.go_on(found)
    candidates.go_on(found)
    size = int(np.clip(config.sampling_rate * run.population, 32, _FAKES))
    step, fake = training.taken, None
    while block := training.reserve():
        for step in range(step, step + block):  # noqa: B020 - goes on where the block before it ended
            if fake is None or step % config.steps_per_generator_step == 0:
                with torch.no_grad():
                    fake = _fakes(maker, shares, run.seed, "discriminator", step, size)
            training.gradient(lambda real: _losses(judge, real), fake, step)
            judge_adam.step()
            if (step + 1) % config.steps_per_generator_step == 0:
                adam.zero_grad()
                rows = _fakes(maker, shares, run.seed, "generator", step, size)
                _losses(judge, len(rows))(rows).mean().backward()
                adam.step()
                average(mean, maker, config.ema)
            candidates.look(step + 1, mean, judge)
        step += 1
        checkpoint.save(run.folder, step, networks, (adam, judge_adam))
        run.watch(Progress("training the discriminator", step, training.steps))
    candidates.close(mean, judge)
    return mean, candidates


def _fakes(
    maker: PictureGenerator, shares: NDArray[np.float64], seed: Seed, purpose: str, step: int, size: int
) -> Tensor:
    """Gives generated pictures with their class behind them, shape (size, features + 1)."""
    stream = seed.stream(purpose, step)
    latent = torch.from_numpy(stream.standard_normal((size, maker.latent), dtype=np.float32))
    classes = torch.from_numpy(stream.choice(len(shares), size, p=shares))
    return torch.cat([maker(latent, classes), classes[:, None].float()], dim=1)


def _losses(judge: nn.Module, real: int) -> Callable[[Tensor], Tensor]:
    """Gives the loss of each record: real or fake, and the class of both, as in 2017."""

    def losses(rows: Tensor) -> Tensor:
        verdict = judge(rows[:, :-1])  # (records, 1 + classes)
        sign = torch.ones(len(rows))
        sign[:real] = -1.0
        named = nn.functional.cross_entropy(
            verdict[:, 1:], rows[:, -1].long().clamp(0, verdict.shape[1] - 2), reduction="none"
        )
        return nn.functional.softplus(sign * verdict[:, 0]) + named

    return losses

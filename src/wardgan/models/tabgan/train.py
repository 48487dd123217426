"""The training of tabgan: an anchor, then a private discriminator that teaches the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn, optim

from wardgan.models import checkpoint
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.base import Network, Progress, Run
from wardgan.models.pairs.best import Best, Task, task_of
from wardgan.models.pairs.candidates import groups_of
from wardgan.models.pairs.fitting import PairFit, split
from wardgan.models.pairs.goal import Goal
from wardgan.models.pairs.settings import GROUPS
from wardgan.models.tabgan.config import DISCRIMINATOR, TabganConfig
from wardgan.models.tabgan.fakes import FakeFeatures
from wardgan.models.tabgan.features import real_features, width
from wardgan.models.tabgan.nets import discriminator
from wardgan.models.weights import average, fall, one_thread, weights_state
from wardgan.privacy.records import Records
from wardgan.rng import Seed

_EACH: Final = 512
_MOST_FAKES: Final = 4_096


def train(config: TabganConfig, records: Records, run: Run) -> Network:
    """Gives the trained network.

    Non-saturating loss (Goodfellow et al. 2014, section 3) with the class as an input of the discriminator; many
    discriminator steps for each generator step, large batches (Bie, Kamath, Zhang 2023, section 3). The generator
    step sees fakes only (Rule P9). With privacy the last weights are taken; without it those that teach most about
    patients who were held out, the anchor's among them.

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    run.watch(Progress("measuring the anchor", 0, config.steps))
    records, held = split(records, run.seed)
    anchor = measure_anchor(records, population=run.population)
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(weights_state(run.seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        judge = discriminator(width(anchor), config.width)
    with one_thread():
        goal, groups = None, groups_of(anchor, config.asked.groups if config.asked else GROUPS)
        if config.asked is not None:
            fit = PairFit.of(config.asked, records, run, anchor)
            known = fit.trained(records, refiner, held)
            goal = fit.goal(known) if known.pairs else None
        start = _Start(anchor, refiner, goal, task_of(held, anchor, groups))
        best = _refined(config, records, run, start, judge)
    warp = warp_of(best)
    network = lawful_network(anchor, lambda made: refined_network(best, made, warp), latent=refiner.latent)
    return Network(network, refiner.latent, tuple(anchor.probabilities.tolist()), anchor.notes)


@dataclass(frozen=True)
class _Start:
    """What the discriminator begins with.

    Attributes:
        anchor: Paid answers.
        refiner: The generator; it is changed.
        goal: How far it is from tables of pairs, if any were measured.
        task: Without privacy: how well held-out patients are predicted by its patients.
    """

    anchor: Anchor
    refiner: Refiner
    goal: Goal | None
    task: Task | None


def _refined(config: TabganConfig, records: Records, run: Run, start: _Start, judge: nn.Sequential) -> Refiner:
    anchor, refiner = start.anchor, start.refiner
    training = records.training(
        DISCRIMINATOR, judge, features=lambda units, classes: real_features(units, classes, anchor),
        rate=config.sampling_rate, steps=config.steps, clip_norm=config.clip_norm, population=run.population,
    )  # fmt: skip
    mean = copy.deepcopy(refiner)
    best = Best(start.task, refiner)
    judge_adam = optim.Adam(judge.parameters(), config.lr_discriminator, betas=(0.5, 0.999))
    adam = optim.Adam(refiner.parameters(), config.lr_generator, betas=(0.5, 0.999))
    networks = (refiner, judge, mean, best.kept)
    training.go_on(checkpoint.load(run.folder, networks, (adam, judge_adam)))
    best.look(best.kept)
    fakes = _Fakes(start, run.seed, size=_fakes(config, run.population))
    step = training.taken
    while block := training.reserve():
        for step in range(step, step + block):  # noqa: B020 - goes on where the block before it ended
            fall(judge_adam, config.lr_discriminator, step / training.steps)
            with torch.no_grad():
                fake = fakes(step)
            training.gradient(lambda real: _losses(judge, real), fake, step)
            judge_adam.step()
            if (step + 1) % config.steps_per_generator_step == 0:
                fall(adam, config.lr_generator, step / training.steps)
                adam.zero_grad()
                fakes.loss(judge, step, config).backward()
                adam.step()
                average(mean, refiner, config.ema)
        step += 1
        score = best.look(mean)
        checkpoint.save(run.folder, step, networks, (adam, judge_adam))
        text = "training the discriminator" + ("" if score is None else f", hold-out task {score:.3f}")
        run.watch(Progress(text, step, training.steps))
    return best.kept


def _fakes(config: TabganConfig, population: int) -> int:
    """Gives the number of fakes of a step: as many as patients are expected, within bounds."""
    # The mean gradient of n fakes, each cut to the clip norm, is off by at most 1 / sqrt(n) clip norms: with 4,096 of
    # them far less than the noise on the patients' part, and more of them only take time.
    return min(max(64, round(config.sampling_rate * population)), _MOST_FAKES)


class _Fakes:
    """Features of generated patients, drawn anew for each step."""

    def __init__(self, start: _Start, seed: Seed, *, size: int) -> None:
        self._features, self._refiner, self._goal = FakeFeatures(start.anchor), start.refiner, start.goal
        self._seed, self._size = seed, size
        self._shares = start.anchor.probabilities

    def __call__(self, step: int) -> Tensor:
        normals, classes = self._draw(step, "discriminator")
        return self._features(normals, classes)

    def loss(self, judge: nn.Module, step: int, config: TabganConfig) -> Tensor:
        """Gives the generator's loss: what the discriminator says, and how far it leaves what the noisy tables say."""
        normals, classes = self._draw(step, "generator")
        verdict = nn.functional.softplus(-judge(self._features(normals, classes))).mean()
        loss = verdict + config.moments * moment_gap(normals, classes, self._refiner.factors)
        return loss if self._goal is None else loss + config.tables * self._goal(self._each_class(step))

    def _each_class(self, step: int) -> Tensor:
        """Gives as many normals of each class, shape (classes, patients, axes)."""
        stream, classes = self._seed.stream("each class", step), len(self._shares)
        latent = stream.standard_normal((classes * _EACH, self._refiner.latent), dtype=np.float32)
        normals = self._refiner(torch.from_numpy(latent), torch.arange(classes).repeat_interleave(_EACH))
        return normals.reshape(classes, _EACH, self._refiner.size)

    def _draw(self, step: int, purpose: str) -> tuple[Tensor, Tensor]:
        stream = self._seed.stream(purpose, step)
        latent = torch.from_numpy(stream.standard_normal((self._size, self._refiner.latent), dtype=np.float32))
        classes = torch.from_numpy(stream.choice(len(self._shares), self._size, p=self._shares))
        return self._refiner(latent, classes), classes


def moment_gap(normals: Tensor, classes: Tensor, factors: Tensor) -> Tensor:
    """Gives the mean squared gap between the moments of generated normals and those of the anchor.

    The anchor's means and correlations were measured with far less noise than a discriminator can tell them, so the
    refinement is held to them and is left with what a copula cannot say.

    Args:
        normals: Shape (patients, variables).
        classes: Shape (patients,).
        factors: L of each class, shape (classes, variables, variables).
    """
    gaps: list[Tensor] = []
    for y, factor in enumerate(factors):
        mine = normals[classes == y]
        if len(mine) < 2:
            continue
        gap = mine.T @ mine / len(mine) - factor @ factor.T
        gaps.append((mine.mean(dim=0) ** 2).mean() + (gap**2).mean())
    return torch.stack(gaps).mean() if gaps else normals.sum() * 0


def _losses(judge: nn.Module, real: int) -> Callable[[Tensor], Tensor]:
    def losses(rows: Tensor) -> Tensor:
        verdict = judge(rows)[:, 0]  # (real + fakes,)
        sign = torch.ones_like(verdict)
        sign[:real] = -1.0
        return nn.functional.softplus(sign * verdict)

    return losses

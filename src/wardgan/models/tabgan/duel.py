"""The duel of tabgan: a private discriminator teaches the refiner what the anchor does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn, optim

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.base import Run
from wardgan.models.pairs.best import Task
from wardgan.models.pairs.goal import Goal
from wardgan.models.tabgan.config import DISCRIMINATOR, TabganConfig
from wardgan.models.tabgan.fakes import FakeFeatures
from wardgan.models.tabgan.features import real_features
from wardgan.models.weights import fall
from wardgan.privacy.records import Records
from wardgan.rng import Seed

_EACH: Final = 512
_MOST_FAKES: Final = 4_096


@dataclass(frozen=True)
class Start:
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


class Duel:
    """Steps of the discriminator on patients and of the refiner on its verdicts, in blocks that are billed first.

    Non-saturating loss (Goodfellow et al. 2014, section 3) with the class as an input of the discriminator; many
    discriminator steps for each generator step, large batches (Bie, Kamath, Zhang 2023, section 3). The generator
    step sees fakes only (Rule P9).

    Attributes:
        adams: The optimisers, for a checkpoint: of the refiner, of the discriminator.
        step: How many steps are taken.
    """

    def __init__(self, config: TabganConfig, records: Records, run: Run, start: Start, judge: nn.Sequential) -> None:
        """Takes the players.

        Args:
            config: Settings.
            records: The patients.
            run: Seeds and the public number of patients.
            start: What the discriminator begins with.
            judge: The discriminator; it is changed.
        """
        anchor = start.anchor
        self._config, self._start, self._judge = config, start, judge
        self._training = records.training(
            DISCRIMINATOR, judge, features=lambda units, classes: real_features(units, classes, anchor),
            rate=config.sampling_rate, steps=config.steps, clip_norm=config.clip_norm, population=run.population,
        )  # fmt: skip
        self.adams = (
            optim.Adam(start.refiner.parameters(), config.lr_generator, betas=(0.5, 0.999)),
            optim.Adam(judge.parameters(), config.lr_discriminator, betas=(0.5, 0.999)),
        )
        self._fakes = _Fakes(start, run.seed, size=_fakes(config, run.population))
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
        """Goes on after a checkpoint.

        Args:
            step: How many steps the checkpoint holds, 0 if there is none.

        Raises:
            BudgetError: All steps are billed, and what they taught is lost.
        """
        self._training.go_on(step)
        self.step = self._training.taken

    def block(self, moved: Callable[[int], None]) -> int:
        """Takes the next block of steps, and gives how many there were; 0 if all are spent.

        Args:
            moved: Called after each step of the refiner, with the number of the discriminator's step.
        """
        config, judge = self._config, self._judge
        adam, judge_adam = self.adams
        block = self._training.reserve()
        for step in range(self.step, self.step + block):
            fall(judge_adam, config.lr_discriminator, step / self.steps)
            with torch.no_grad():
                fake = self._fakes(step)
            self._training.gradient(lambda real: _losses(judge, real), fake, step)
            judge_adam.step()
            if (step + 1) % config.steps_per_generator_step == 0:
                fall(adam, config.lr_generator, step / self.steps)
                adam.zero_grad()
                self._fakes.loss(judge, step, config).backward()
                adam.step()
                moved(step)
        self.step += block
        return block


def _fakes(config: TabganConfig, population: int) -> int:
    """Gives the number of fakes of a step: as many as patients are expected, within bounds."""
    # The mean gradient of n fakes, each cut to the clip norm, is off by at most 1 / sqrt(n) clip norms: with 4,096 of
    # them far less than the noise on the patients' part, and more of them only take time.
    return min(max(64, round(config.sampling_rate * population)), _MOST_FAKES)


class _Fakes:
    """Features of generated patients, drawn anew for each step."""

    def __init__(self, start: Start, seed: Seed, *, size: int) -> None:
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

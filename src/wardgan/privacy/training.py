"""Discriminator steps on real patients: billed, drawn, clipped, noised. Nothing else leaves this module.

`Records.training` makes a `PrivateTraining`; a family gives it a network and fakes, and finds a gradient in `.grad`
that is already private. Steps are billed in blocks before they are taken, so a crash can waste steps but never
take one too many (Rule P5).
"""

# torch annotates a part of its functions only.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wardgan.errors import BudgetError
from wardgan.privacy.batches import padded, poisson_batch
from wardgan.privacy.clip import PatientGradients, PrivateStep, private_gradient
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import BLOCK
from wardgan.rng import Seed

Losses = Callable[[Tensor], Tensor]


class PrivateTraining:
    """The real half of a discriminator's training.

    Attributes:
        steps: How many steps the plan has (or the family wants, without privacy).
        taken: How many steps are billed; training goes on from there after a crash.
    """

    def __init__(  # noqa: PLR0913 - what a step needs; `Records.training` is the way in
        self, rows: NDArray[np.float32], ledger: Ledger, name: str, module: nn.Module, *, rate: float, steps: int,
        clip_norm: float, population: int, noise: Seed, owners: NDArray[np.int64] | None = None, at_once: int = 1,
    ) -> None:  # fmt: skip
        """Takes the patients' features; use `Records.training`.

        Args:
            rows: One row for each patient, shape (patients, features); or several of each, with `owners`.
            ledger: The bill.
            name: The planned event.
            module: The discriminator, of layers that treat each record alone.
            rate: Probability that a patient is in a batch; must be the planned one.
            steps: Steps without privacy; a plan has its own.
            clip_norm: Longest gradient of one patient.
            population: Public number of patients.
            noise: Source of batches and noise.
            owners: Patient of each row, from 0; `None`: each row is a patient.
            at_once: Most rows of a patient in one step; who has more takes turns with them.

        Raises:
            BudgetError: The plan has another rate, no cap of its batches, or fewer patients.
            PlanError: The discriminator cannot be trained privately.
        """
        self._rows = torch.from_numpy(rows)
        self._groups = None if owners is None else Groups(owners, at_once)
        patients = len(rows) if self._groups is None else len(self._groups)
        self._ledger, self._name, self._noise = ledger, name, noise
        self._module = module
        self._rate = rate
        self._expected = rate * population
        self._left = 0
        self.steps = steps
        self.taken = 0
        ledger.check_noise(noise)
        if ledger.plan is not None:
            event = ledger.plan.event(name)
            if event.sampling_rate != rate:
                raise BudgetError(f"event={name!r} is planned with sampling rate {event.sampling_rate}, not {rate}.")
            if event.batch_cap is None or patients > cast("int", event.population):
                raise BudgetError(f"event={name!r} is planned without a cap of its batches, or for fewer patients.")
            self.steps, self.taken = event.steps, ledger.steps(name)
            self._cap = event.batch_cap
            rule = PrivateStep(clip_norm, cast("float", event.noise_multiplier), self._expected)
            self._gradients = PatientGradients(module, rule)

    def go_on(self, step: int) -> None:
        """Goes on after a checkpoint: with privacy from what is billed, without from the step of the checkpoint.

        Args:
            step: How many steps the checkpoint holds, 0 if there is none.

        Raises:
            BudgetError: All steps are billed, and what they taught is lost.
        """
        if self._ledger.plan is None:
            self.taken = min(step, self.steps)
        elif step == 0 and self.taken == self.steps:
            raise BudgetError(f"event={self._name!r}: all steps are spent and their result is lost; start a new run.")

    def reserve(self) -> int:
        """Bills the next block of steps and gives how many there are; 0 when all are spent."""
        block = min(BLOCK, self.steps - self.taken)
        if block and self._ledger.plan is not None:
            self._ledger.spend(self._name, block, mechanism="poisson-gaussian")
        self.taken += block
        self._left = block
        return block

    def gradient(self, losses_of: Callable[[int], Losses], fake: Tensor, step: int) -> None:
        """Writes the gradient of one step into the module's `.grad`.

        Neighbours: add or remove one patient. Event: one run of the planned Poisson-Gaussian event, billed by
        `reserve`. Not protected: nothing is shown but the noisy gradient.

        Args:
            losses_of: For the number of real records, gives the function from records (real ones first, then
                fakes) to one loss each.
            fake: Generated records, shape (fakes, features).
            step: Number of the step.

        Raises:
            BudgetError: The step was not reserved.
        """
        if self._left < 1:
            raise BudgetError(f"event={self._name!r}: step {step} was not reserved; it may not be taken.")
        self._left -= 1
        if self._ledger.plan is None:
            self._plain(losses_of, fake, step)
            return
        if self._groups is not None:
            self._grouped(self._groups, losses_of, fake, step)
            return
        index = poisson_batch(len(self._rows), rate=self._rate, cap=self._cap, seed=self._noise, step=step)
        places, mask = padded(index, self._cap)
        real = self._rows[torch.from_numpy(places)]
        private_gradient(
            self._gradients,
            losses_of(len(real)),
            real,
            mask=torch.from_numpy(mask),
            fake=fake,
            seed=self._noise,
            step=step,
        )

    def _grouped(self, groups: Groups, losses_of: Callable[[int], Losses], fake: Tensor, step: int) -> None:
        index = poisson_batch(len(groups), rate=self._rate, cap=self._cap, seed=self._noise, step=step)
        rows, patients, parts = groups.batch(index, self._cap, step)
        mask = parts > 0
        device = fake.device
        real = self._rows[torch.from_numpy(rows)].to(device)
        losses = losses_of(len(real))
        weights = torch.from_numpy(np.concatenate([np.where(mask, parts, 1.0), np.ones(len(fake))])).float().to(device)
        private_gradient(
            self._gradients,
            lambda records: losses(records) * weights,
            real,
            mask=torch.from_numpy(mask).to(device),
            fake=fake,
            # One row each is the fast way to the same gradient.
            patients=None if groups.single else torch.from_numpy(patients).to(device),
            seed=self._noise,
            step=step,
        )

    def _plain(self, losses_of: Callable[[int], Losses], fake: Tensor, step: int) -> None:
        size = max(2, min(len(self._rows), round(self._rate * len(self._rows))))
        chosen = self._noise.stream("batch", step).choice(len(self._rows), size, replace=False)
        real = self._rows[torch.from_numpy(chosen)]
        losses = losses_of(size)(torch.cat([real, fake]))
        self._module.zero_grad()
        (losses[:size].mean() + losses[size:].mean()).backward()


class Groups:
    """Patients with several rows each, and which of them stand for a patient in a step."""

    def __init__(self, owners: NDArray[np.int64], at_once: int) -> None:
        """Takes the owners.

        Args:
            owners: Patient of each row, from 0, shape (rows,); each has at least one.
            at_once: Most rows of a patient in one step.
        """
        self._order = np.argsort(owners, kind="stable")
        self._count = np.bincount(owners)
        self._first = np.cumsum(self._count) - self._count
        # Public, so that one patient with many images changes no shape and no way of computing for the others.
        self._most = at_once

    def __len__(self) -> int:
        return len(self._count)

    @property
    def single(self) -> bool:
        """Whether no patient has more than one row in a step."""
        return self._most == 1

    def batch(
        self, patients: NDArray[np.intp], cap: int, step: int
    ) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]:
        """Gives the rows of a batch of patients, filled up so that every step has the same shape.

        Which rows stand for a patient hangs on the number of the step and of the patient's rows, on no other patient.

        Args:
            patients: Positions of at most `cap` patients.
            cap: Most patients in a batch.
            step: Number of the step.

        Returns:
            Rows, the place of the patient of each in the batch, and the part that the row has of its patient's loss: 0
            where nobody was drawn. All of shape (cap * most rows of a patient,).
        """
        turn = np.arange(self._most)
        count = self._count[patients][:, None]  # (patients, 1)
        rows = self._order[self._first[patients][:, None] + (step * self._most + turn) % count]  # (patients, most)
        part = np.where(turn < count, 1 / np.minimum(count, self._most), 0.0)
        places = np.repeat(np.arange(len(patients)), self._most)
        size, drawn = cap * self._most, len(places)
        filled = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=np.int64), np.zeros(size)
        for whole, mine in zip(filled, (rows.ravel(), places, part.ravel()), strict=True):
            whole[:drawn] = mine
        return filled

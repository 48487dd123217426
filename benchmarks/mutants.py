"""Mistakes to plant: ways in which private code was wrong elsewhere, and what our instruments must see.

Nothing here is part of the package: a mutant is put in the place of honest code for the length of a `with` block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wardgan.privacy import clip, records
from wardgan.privacy import training as training_steps
from wardgan.privacy.clip import PatientGradients, PrivateStep
from wardgan.privacy.queries import LevelCounts, Query
from wardgan.privacy.records import Records
from wardgan.privacy.training import PrivateTraining
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort

Put = Callable[[object, str, object], None]
Mutant = Callable[[Put], None]


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Plants a mistake, and takes it out again."""
    before: list[tuple[object, str, object]] = []

    def put(owner: object, name: str, value: object) -> None:
        before.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    try:
        mutant(put)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def honest(put: Put) -> None:
    """The code as it is."""


def everywhere(put: Put, home: object, name: str, value: object) -> None:
    """Puts a function in the place of another one wherever it was imported."""
    old = getattr(home, name)
    for module in [each for key, each in sys.modules.items() if key.startswith("wardgan.")]:
        if vars(module).get(name) is old:
            put(module, name, value)


# One step of a training.


def no_clip(put: Put) -> None:
    """Gradients of patients are not cut."""
    put(clip, "clip_factors", lambda squared_norms, clip_norm: torch.ones_like(squared_norms))


def half_the_noise(put: Put) -> None:
    """Half the noise."""
    old = clip.noise_sd
    put(clip, "noise_sd", lambda rule: old(rule) / 2)


def clip_of_the_whole_batch(put: Put) -> None:
    """The sum over the batch is cut instead of each patient's gradient."""
    old = PatientGradients.clipped_sum

    def mutant(self: PatientGradients, losses_of: clip.Losses, rows: Tensor, **how: Tensor) -> list[Tensor]:
        with planted(no_clip):
            whole = old(self, losses_of, rows, **how)
        most = self.rule.clip_norm / self.rule.expected_batch
        length = torch.sqrt(sum(part.square().sum() for part in whole))
        return [part * min(1.0, most / float(length)) for part in whole]

    put(PatientGradients, "clipped_sum", mutant)


def drawn_batch_as_denominator(put: Put) -> None:
    """The mean is over who was drawn, not over the expected batch."""

    def mutant(mask: Tensor, rule: PrivateStep) -> Tensor:
        return mask.double() / max(1, int(mask.sum()))

    put(clip, "real_weights", mutant)


def noise_divided_twice(put: Put) -> None:
    """Noise meant for the sum is divided by the batch once more."""
    old = clip.noise_sd
    put(clip, "noise_sd", lambda rule: old(rule) / rule.expected_batch)


def a_layer_without_noise(put: Put) -> None:
    """The last layer gets no noise."""
    old = clip.add_noise

    def mutant(gradients: list[Tensor], sd: float, seed: Seed, step: int) -> list[Tensor]:
        return [*old(gradients, sd, seed, step)[:-2], *gradients[-2:]]

    put(clip, "add_noise", mutant)


def the_same_noise_again(put: Put) -> None:
    """Every step has the noise of the first one."""
    old = clip.add_noise
    put(clip, "add_noise", lambda gradients, sd, seed, step: old(gradients, sd, Seed(7), 0))


def real_and_fake_clipped_together(put: Put) -> None:
    """A patient and a fake are cut as one, so each moves twice the length."""
    old = PatientGradients.clipped_sum

    def mutant(self: PatientGradients, losses_of: clip.Losses, rows: Tensor, **how: Tensor) -> list[Tensor]:
        # The first patient and the first fake are cut as one; without the patient, the fake is still there.
        weights, owners = how["weights"].clone(), torch.arange(len(rows))
        first = len(rows) - round(1 / float(weights[-1]))  # a fake counts 1 / number of fakes
        present = torch.ones(len(rows))
        present[0] = float(weights[0] > 0)
        weights[0], owners[first] = 1 / self.rule.expected_batch, 0

        def losses(x: Tensor) -> Tensor:
            return present * losses_of(x)

        return old(self, losses, rows, weights=weights, patients=owners)

    put(PatientGradients, "clipped_sum", mutant)


# Which patients a step sees.


def rare_patients_drawn_often(put: Put) -> None:
    """Patients who are unlike the others are drawn ten times as often (as training by sampling does)."""
    old = PrivateTraining.__init__
    rare: list[NDArray[np.bool_]] = []

    def begin(self: PrivateTraining, rows: NDArray[np.float32], *more: object, **how: object) -> None:
        rare[:] = [_unlike(rows)]
        old(self, rows, *more, **how)

    def batch(patients: int, *, rate: float, cap: int, seed: Seed, step: int) -> NDArray[np.intp]:
        often = np.where(rare[0], min(1.0, 10 * rate), rate)
        return np.flatnonzero(seed.stream("batch", step).random(patients) < often)[:cap]

    put(PrivateTraining, "__init__", begin)
    put(training_steps, "poisson_batch", batch)


def shuffled_batches(put: Put) -> None:
    """Batches of one size from a shuffled list, billed as if a coin had been tossed for everybody."""

    def batch(patients: int, *, rate: float, cap: int, seed: Seed, step: int) -> NDArray[np.intp]:
        size = max(1, round(rate * patients))
        turn, place = divmod(step * size, patients)
        order = np.concatenate([np.random.default_rng(turn + more).permutation(patients) for more in (0, 1)])
        return np.sort(np.unique(order[place : place + size]))[:cap]

    put(training_steps, "poisson_batch", batch)


# Noisy answers.


def half_the_noise_of_answers(put: Put) -> None:
    """Half the noise."""
    old = records.noise_sd
    everywhere(put, records, "noise_sd", lambda event, query: old(event, query) / 2)


def noise_of_answers_on_the_mean(put: Put) -> None:
    """Noise that belongs to a mean is added to the sum: 1,000 times too little."""
    old = records.noise_sd
    everywhere(put, records, "noise_sd", lambda event, query: old(event, query) / 1000)


def noise_lost_on_the_way(put: Put) -> None:
    """Answers without any noise, under a bill that says otherwise."""
    everywhere(put, records, "noised", lambda total, sd, normals: total)


def halved_sensitivity(put: Put) -> None:
    """The sensitivity of the label tables is too small by half."""
    old = LevelCounts.sensitivity
    put(LevelCounts, "sensitivity", property(lambda self: old.fget(self) / 2))


def the_same_noise_in_answers(put: Put) -> None:
    """Noise from a fixed seed: whoever knows the code can subtract it."""
    put(Seed, "normals", lambda self, size, name, step=0: Seed(7).noisy(np.zeros(size), 1.0, name, step))


@dataclass(frozen=True)
class _Repeated:
    """A query that counts patients who are unlike the others ten times."""

    query: Query

    @property
    def sensitivity(self) -> float:
        return self.query.sensitivity

    def total(self, units: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
        times = np.repeat(np.arange(len(units)), np.where(_unlike(units), 10, 1))
        return self.query.total(units[times], classes[times])


def rare_patients_counted_often(put: Put) -> None:
    """Patients who are unlike the others are put in ten times, to balance the cohort."""
    old = Records.measure
    put(Records, "measure", lambda self, name, query: old(self, name, _Repeated(query)))


# What the generator gives out.


def copies_of_patients(put: Put) -> None:
    """Three in ten synthetic patients are patients who were trained on."""
    old, seen = Generator.draw, []
    before = Records.__init__

    def begin(self: Records, cohort: Cohort, *more: object, **how: object) -> None:
        seen[:] = [cohort]
        before(self, cohort, *more, **how)

    def draw(self: Generator, n: int, **how: object) -> Cohort:
        honest_ones = old(self, n, **how)
        stream = np.random.default_rng(n)
        copied = stream.permutation(len(seen[0]))[: max(1, int(0.3 * len(seen[0])))]
        source = seen[0].take(stream.choice(copied, n))
        leaking = stream.random(n) < 0.3
        for mine, theirs in ((honest_ones.static, source.static), (honest_ones.measured, source.measured)):
            for name, codes in mine.items():
                codes[leaking] = theirs[name][leaking]
        return honest_ones

    put(Records, "__init__", begin)
    put(Generator, "draw", draw)


def no_privacy(put: Put) -> None:
    """No privacy is asked for, and nothing claimed: what an audit sees at most."""


def _unlike(rows: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Gives the rows that are twice as far from the middle of all as half of them are."""
    known = np.where(np.isnan(rows), 0, rows)
    away = np.abs(known - np.median(known, axis=0)).sum(axis=1)
    return away > 2 * np.median(away)


STEPS: tuple[Mutant, ...] = (
    no_clip,
    half_the_noise,
    clip_of_the_whole_batch,
    drawn_batch_as_denominator,
    noise_divided_twice,
    a_layer_without_noise,
    the_same_noise_again,
    real_and_fake_clipped_together,
)
BATCHES: tuple[Mutant, ...] = (rare_patients_drawn_often, shuffled_batches)
ANSWERS: tuple[Mutant, ...] = (
    half_the_noise_of_answers,
    noise_of_answers_on_the_mean,
    noise_lost_on_the_way,
    halved_sensitivity,
    the_same_noise_in_answers,
    rare_patients_counted_often,
)
DRAWS: tuple[Mutant, ...] = (copies_of_patients,)
OPEN: tuple[Mutant, ...] = (no_privacy,)

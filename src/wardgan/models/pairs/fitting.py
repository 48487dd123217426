"""The fit of a network to pairs: choose some, measure them with noise, train on all that was measured, and again."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import optim

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.base import Progress, Run
from wardgan.models.pairs.best import Best, HeldOut, task_of
from wardgan.models.pairs.candidates import Pairs, candidate_pairs, groups_of
from wardgan.models.pairs.drawn import Groups, expected_tables
from wardgan.models.pairs.goal import Goal, Measured
from wardgan.models.pairs.settings import SELECTION, PairSettings, round_name
from wardgan.models.pairs.tables import SoftGroups, drawn_patients
from wardgan.models.weights import average, fall
from wardgan.privacy.pairs import PairCounts, PairGaps
from wardgan.privacy.records import Records, noise_sd
from wardgan.rng import Seed

_BATCH: Final = 1_024
_LONGEST: Final = 50.0
_TOLD: Final = 20
_OPEN: Final = 400
_HELD: Final = 0.1
_FEWEST_HELD: Final = 50
_CHUNKS: Final = 15
_PATIENCE: Final = 3


@dataclass(frozen=True)
class PairFit:
    """What stays the same during a fit.

    Attributes:
        settings: Settings.
        run: Seeds and watcher.
        anchor: Paid answers.
        groups: For each variable the group of each level.
        rounds: How often pairs are chosen and measured.
        each: How many pairs each round measures.
    """

    settings: PairSettings
    run: Run
    anchor: Anchor
    groups: Groups
    rounds: int
    each: int

    @classmethod
    def of(cls, settings: PairSettings, records: Records, run: Run, anchor: Anchor) -> PairFit:
        """Gives a fit as it was planned, or without privacy one that asks for all pairs at once.

        Args:
            settings: Settings.
            records: The patients.
            run: Seeds and watcher.
            anchor: Paid answers.
        """
        rounds, each = _schedule(settings, records)
        return cls(settings, run, anchor, groups_of(anchor, settings.groups), rounds, each)

    def goal(self, known: Measured) -> Goal:
        """Gives the loss that measures how far generated patients are from what is known."""
        return Goal(self.anchor, known, SoftGroups(self.anchor, self.groups))

    def trained(self, records: Records, refiner: Refiner, held: HeldOut | None) -> Measured:
        """Gives what was learned about pairs, and trains the network on it (select, measure, fit).

        Liu, Vietri, Wu 2021, "Iterative methods for private synthetic data", section 3.

        Args:
            records: The patients.
            refiner: The network; it is changed.
            held: Patients to judge a training without privacy on.
        """
        known = Measured()
        for number in range(self.rounds):
            _measure(self, known, records, refiner, round_name(number))
            if records.private:
                _train_round(self, known, refiner, number)
            else:
                _train_openly(self, known, refiner, held)
        return known

    def taught(self, known: Measured, refiner: Refiner) -> None:
        """Trains the network on tables that were all measured at once.

        Args:
            known: The tables.
            refiner: The network; it is changed.
        """
        _train_round(self, known, refiner, 0)


def split(records: Records, seed: Seed) -> tuple[Records, HeldOut | None]:
    """Gives the patients to learn from and, in a fit without privacy, some to judge the training on."""
    if records.private:
        return records, None
    rest, units, classes = records.held_out(_HELD, seed.stream("hold-out"))
    return (rest, (units, classes)) if len(units) >= _FEWEST_HELD else (records, None)


def _schedule(settings: PairSettings, records: Records) -> tuple[int, int]:
    """Gives the number of rounds and of pairs in each: as planned, or without privacy all pairs at once."""
    plan = records.ledger.plan
    if plan is None:
        candidates = len(candidate_pairs(records.layout))
        return (1, min(candidates, _OPEN)) if candidates else (0, 0)
    names = {event.name for event in plan.events}
    rounds = sum(round_name(number) in names for number in range(settings.rounds))
    return (rounds, plan.event(SELECTION).steps // rounds) if rounds else (0, 0)


def _measure(fit: PairFit, known: Measured, records: Records, refiner: Refiner, name: str) -> None:
    """Chooses the pairs that the network is farthest from, and measures them."""
    anchor, candidates, count = fit.anchor, candidate_pairs(fit.anchor.layout), fit.each

    def asking(pairs: Pairs) -> PairCounts:
        return PairCounts(anchor.levels, fit.groups, pairs, len(anchor.probabilities))

    plan = records.ledger.plan
    sd = 0.0 if plan is None else noise_sd(plan.event(name), asking(candidates[:count]))
    expected = expected_tables(
        drawn_patients(refiner, anchor, fit.groups), anchor.patients * anchor.probabilities, asking(candidates)
    )
    # Large tables have large gaps by noise alone: what the noise will add to a gap is taken off its score.
    allowance = np.array([np.sqrt(2 / np.pi) * sd * table.size for table in expected])
    allowance[[candidates.index(pair) for pair in known.pairs]] = np.inf
    places = records.choose(SELECTION, PairGaps(asking(candidates), tuple(expected), allowance), count)
    query = asking(tuple(candidates[place] for place in places))
    known.tables += query.tables(records.measure(name, query))
    known.pairs += query.pairs
    known.sd += [sd] * len(places)


def _train_round(fit: PairFit, known: Measured, refiner: Refiner, number: int) -> None:
    """Trains the network on all tables that are known, and gives it the running mean of its weights."""
    training = _Training(fit, known, refiner, f"patients of round {number + 1}")
    steps = fit.settings.steps * (1 + (number == fit.rounds - 1))
    for step in range(steps):
        training.step(step, done=step / steps)
        if step % _TOLD == 0:
            done, total = fit.settings.steps * number + step, fit.settings.steps * (fit.rounds + 1)
            fit.run.watch(Progress("fitting the network", done, total))
    refiner.load_state_dict(training.mean.state_dict())


def _train_openly(fit: PairFit, known: Measured, refiner: Refiner, held: HeldOut | None) -> None:
    """Trains without privacy until patients whom the network has not seen are predicted no better."""
    training = _Training(fit, known, refiner, "patients")
    best = Best(task_of(held, fit.anchor, fit.groups), refiner)
    for chunk in range(_CHUNKS):
        for step in range(chunk * fit.settings.steps, (chunk + 1) * fit.settings.steps):
            training.step(step, done=0.0 if held else step / (_CHUNKS * fit.settings.steps))
        score = best.look(training.mean)
        text = "fitting the network" + ("" if score is None else f", hold-out task {score:.3f}")
        fit.run.watch(Progress(text, chunk + 1, _CHUNKS))
        if best.idle == _PATIENCE:
            break
    refiner.load_state_dict(best.kept.state_dict())


class _Training:
    """Steps of one training, and the running mean of the network's weights.

    Every step draws new patients: with the same ones again and again the network would learn the noise.
    """

    def __init__(self, fit: PairFit, known: Measured, refiner: Refiner, name: str) -> None:
        self._fit, self._refiner, self._name = fit, refiner, name
        self._goal = fit.goal(known)
        self._label = torch.arange(len(fit.anchor.probabilities)).repeat_interleave(_BATCH)
        self._adam = optim.Adam(refiner.parameters(), fit.settings.lr, betas=(0.9, 0.99))
        self.mean = copy.deepcopy(refiner)

    def step(self, step: int, *, done: float) -> None:
        """Takes one step; `done` is the part of the training that is over, for the learning rate."""
        settings, refiner = self._fit.settings, self._refiner
        fall(self._adam, settings.lr, done)
        stream = self._fit.run.seed.stream(self._name, step)
        latent = torch.from_numpy(stream.standard_normal((len(self._label), refiner.latent), dtype=np.float32))
        self._adam.zero_grad()
        normals = refiner(latent, self._label)  # (classes x patients, axes)
        self._goal(normals.reshape(-1, _BATCH, refiner.size)).backward()
        torch.nn.utils.clip_grad_norm_(refiner.parameters(), _LONGEST)
        self._adam.step()
        average(self.mean, refiner, min(settings.ema, (step + 1) / (step + 10)))

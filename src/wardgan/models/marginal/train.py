"""The training of marginal: choose pairs, measure them with noise, fit the network to all that was measured."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import optim

from wardgan.encode.units import Units
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.base import Network, Progress, Run
from wardgan.models.marginal.candidates import Pairs, candidate_pairs, groups_of
from wardgan.models.marginal.config import SELECTION, MarginalConfig, round_name
from wardgan.models.marginal.goal import Goal, Measured
from wardgan.models.marginal.holdout import HoldOut
from wardgan.models.marginal.tables import Groups, SoftGroups, drawn_groups, expected_tables
from wardgan.models.weights import average, fall, one_thread, weights_state
from wardgan.privacy.pairs import PairCounts, PairGaps
from wardgan.privacy.queries import Classes
from wardgan.privacy.records import Records, noise_sd
from wardgan.rng import Seed

_DRAWN: Final = 8_192
_BATCH: Final = 1_024
_LONGEST: Final = 50.0
_TOLD: Final = 20
_OPEN: Final = 400
_HELD: Final = 0.1
_FEWEST_HELD: Final = 50
_CHUNKS: Final = 15
_PATIENCE: Final = 3


@dataclass(frozen=True)
class Fit:
    """What stays the same during a fit.

    Attributes:
        config: Settings.
        run: Seeds and watcher.
        anchor: Paid answers.
        groups: For each variable the group of each level.
        rounds: How often pairs are chosen and measured.
    """

    config: MarginalConfig
    run: Run
    anchor: Anchor
    groups: Groups
    rounds: int


def train(config: MarginalConfig, records: Records, run: Run) -> Network:
    """Gives the fitted network (select, measure, fit: Liu, Vietri, Wu 2021, "Iterative methods", section 3).

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    run.watch(Progress("measuring the anchor", 0, 1))
    records, held = _split(records, run.seed)
    anchor = measure_anchor(records, population=run.population)
    rounds, each = _schedule(config, records)
    shares = tuple(anchor.probabilities.tolist())
    if not rounds:
        return Network(copula_network(anchor), len(anchor.axes), shares, anchor.notes)
    fit = Fit(config, run, anchor, groups_of(anchor, config.groups), rounds)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(run.seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        known = Measured()
        for number in range(rounds):
            _measure(fit, known, records, refiner, round_name(number), each)
            if records.private:
                _train_round(fit, known, refiner, number)
            else:
                _train_openly(fit, known, refiner, held)
        network = refined_network(refiner, anchor, warp_of(refiner))
    return Network(network, refiner.latent, shares, anchor.notes)


def _split(records: Records, seed: Seed) -> tuple[Records, tuple[Units, Classes] | None]:
    """Gives the patients to learn from and, in a fit without privacy, some to judge the training on."""
    if records.private:
        return records, None
    rest, units, classes = records.held_out(_HELD, seed.stream("hold-out"))
    return (rest, (units, classes)) if len(units) >= _FEWEST_HELD else (records, None)


def _schedule(config: MarginalConfig, records: Records) -> tuple[int, int]:
    """Gives the number of rounds and of pairs in each: as planned, or without privacy all pairs at once."""
    plan = records.ledger.plan
    if plan is None:
        candidates = len(candidate_pairs(records.layout))
        return (1, min(candidates, _OPEN)) if candidates else (0, 0)
    names = {event.name for event in plan.events}
    rounds = sum(round_name(number) in names for number in range(config.rounds))
    return (rounds, plan.event(SELECTION).steps // rounds) if rounds else (0, 0)


def _measure(fit: Fit, known: Measured, records: Records, refiner: Refiner, name: str, count: int) -> None:
    """Chooses the pairs that the network is farthest from, and measures them."""
    anchor, candidates = fit.anchor, candidate_pairs(fit.anchor.layout)

    def asking(pairs: Pairs) -> PairCounts:
        return PairCounts(anchor.levels, fit.groups, pairs, len(anchor.probabilities))

    plan = records.ledger.plan
    sd = 0.0 if plan is None else noise_sd(plan.event(name), asking(candidates[:count]))
    expected = expected_tables(_drawn(fit, refiner), anchor.patients * anchor.probabilities, asking(candidates))
    # Large tables have large gaps by noise alone: what the noise will add to a gap is taken off its score.
    allowance = np.array([np.sqrt(2 / np.pi) * sd * table.size for table in expected])
    allowance[[candidates.index(pair) for pair in known.pairs]] = np.inf
    places = records.choose(SELECTION, PairGaps(asking(candidates), tuple(expected), allowance), count)
    query = asking(tuple(candidates[place] for place in places))
    known.tables += query.tables(records.measure(name, query))
    known.pairs += query.pairs
    known.sd += [sd] * len(places)


def _drawn(fit: Fit, refiner: Refiner) -> list[NDArray[np.int64]]:
    """Gives for each class the groups of drawn patients; from the same latent normals each time."""
    found: list[NDArray[np.int64]] = []
    for y in range(len(fit.anchor.probabilities)):
        latent = Seed(0).stream("drawn pairs", y).standard_normal((_DRAWN, refiner.latent), dtype=np.float32)
        with torch.no_grad():
            normals = refiner(torch.from_numpy(latent), torch.full((_DRAWN,), y)).double().numpy()
        found.append(drawn_groups(normals, y, fit.anchor, fit.groups))
    return found


def _train_round(fit: Fit, known: Measured, refiner: Refiner, number: int) -> None:
    """Trains the network on all tables that are known, and gives it the running mean of its weights."""
    training = _Training(fit, known, refiner, f"patients of round {number + 1}")
    steps = fit.config.steps * (1 + (number == fit.rounds - 1))
    for step in range(steps):
        training.step(step, done=step / steps)
        if step % _TOLD == 0:
            done, total = fit.config.steps * number + step, fit.config.steps * (fit.rounds + 1)
            fit.run.watch(Progress("fitting the network", done, total))
    refiner.load_state_dict(training.mean.state_dict())


def _train_openly(fit: Fit, known: Measured, refiner: Refiner, held: tuple[Units, Classes] | None) -> None:
    """Trains without privacy until patients whom the network has not seen are predicted no better."""
    training = _Training(fit, known, refiner, "patients")
    judge = None if held is None else HoldOut.of(*held, fit.anchor, fit.groups)
    best, kept, idle = -np.inf, copy.deepcopy(refiner.state_dict()), 0
    for chunk in range(_CHUNKS):
        for step in range(chunk * fit.config.steps, (chunk + 1) * fit.config.steps):
            training.step(step, done=0.0 if judge else step / (_CHUNKS * fit.config.steps))
        score = float(chunk) if judge is None else judge.task(_drawn(fit, training.mean), fit.anchor)
        text = "fitting the network" + (f", hold-out task {score:.3f}" if judge else "")
        fit.run.watch(Progress(text, chunk + 1, _CHUNKS))
        idle = idle + 1
        if not score <= best:  # also where nothing can be predicted
            best, kept, idle = score, copy.deepcopy(training.mean.state_dict()), 0
        if idle == _PATIENCE:
            break
    refiner.load_state_dict(kept)


class _Training:
    """Steps of one training, and the running mean of the network's weights.

    Every step draws new patients: with the same ones again and again the network would learn the noise.
    """

    def __init__(self, fit: Fit, known: Measured, refiner: Refiner, name: str) -> None:
        self._fit, self._refiner, self._name = fit, refiner, name
        self._goal = Goal(fit.anchor, known, SoftGroups(fit.anchor, fit.groups))
        self._label = torch.arange(len(fit.anchor.probabilities)).repeat_interleave(_BATCH)
        self._adam = optim.Adam(refiner.parameters(), fit.config.lr, betas=(0.9, 0.99))
        self.mean = copy.deepcopy(refiner)

    def step(self, step: int, *, done: float) -> None:
        """Takes one step; `done` is the part of the training that is over, for the learning rate."""
        config, refiner = self._fit.config, self._refiner
        fall(self._adam, config.lr, done)
        stream = self._fit.run.seed.stream(self._name, step)
        latent = torch.from_numpy(stream.standard_normal((len(self._label), refiner.latent), dtype=np.float32))
        self._adam.zero_grad()
        normals = refiner(latent, self._label)  # (classes x patients, axes)
        self._goal(normals.reshape(-1, _BATCH, refiner.size)).backward()
        torch.nn.utils.clip_grad_norm_(refiner.parameters(), _LONGEST)
        self._adam.step()
        average(self.mean, refiner, min(config.ema, (step + 1) / (step + 10)))

"""The training of tabgan: an anchor, then a private discriminator that teaches the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wardgan.encode.units import Units
from wardgan.models import checkpoint
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.refiner import Mixed, Refiner, mixed_network, refined_network, warp_of
from wardgan.models.base import Network, Progress, Run
from wardgan.models.candidates import Candidates
from wardgan.models.pairs.best import Best, task_of
from wardgan.models.pairs.candidates import groups_of
from wardgan.models.pairs.fitting import PairFit, split
from wardgan.models.pairs.settings import GROUPS
from wardgan.models.tabgan.config import TabganConfig
from wardgan.models.tabgan.duel import Duel, Start
from wardgan.models.tabgan.features import real_features, width
from wardgan.models.tabgan.nets import discriminator
from wardgan.models.verdicts import alone
from wardgan.models.weights import average, one_thread, weights_state
from wardgan.privacy.queries import Classes
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.select.choice import Choice, check_choice
from wardgan.select.decide import Field, decided, told


def train(config: TabganConfig, records: Records, run: Run) -> Network:
    """Gives the trained network.

    With privacy the last weights are taken; without it those that teach most about
    patients who were held out, the anchor's among them.

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    check_choice(config.choice, records.layout)
    run.watch(Progress("measuring the anchor", 0, config.steps))
    records, held = split(records, run.seed)
    anchor = measure_anchor(records, population=run.population)
    refiner, judge = players(config, anchor, run.seed)
    with one_thread():
        goal, groups = None, groups_of(anchor, config.asked.groups if config.asked else GROUPS)
        if config.asked is not None:
            fit = PairFit.of(config.asked, records, run, anchor)
            known = fit.trained(records, refiner, held)
            goal = fit.goal(known) if known.pairs else None
        start = Start(anchor, refiner, goal, task_of(held, anchor, groups))
        best, candidates = _refined(config, records, run, start, judge)
        if config.choice is None:
            return finished(best, anchor)
        run.watch(Progress("choosing the weights", 0, 1))
        return _chosen(config.choice, records, candidates, anchor)


def players(config: TabganConfig, anchor: Anchor, seed: Seed) -> tuple[Refiner, nn.Sequential]:
    """Gives the refiner, which changes nothing at first, and the discriminator.

    Args:
        config: Settings.
        anchor: Paid answers.
        seed: Of the first weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(weights_state(seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        return refiner, discriminator(width(anchor), config.width)


def finished(refiner: Refiner, anchor: Anchor) -> Network:
    """Gives the generator network of a trained refiner.

    Args:
        refiner: What refines the anchor.
        anchor: Paid answers.
    """
    warp = warp_of(refiner)
    return _lawful(anchor, lambda made: refined_network(refiner, made, warp), refiner.latent)


def mixture(refiners: Sequence[Refiner], weights: NDArray[np.float64], anchor: Anchor) -> Network:
    """Gives one generator network of several refiners.

    Args:
        refiners: What refines the anchor.
        weights: Share of each, shape (refiners,).
        anchor: Paid answers.
    """
    mixed = Mixed(refiners, weights)
    warp = warp_of(mixed)
    return _lawful(anchor, lambda made: mixed_network(mixed, made, warp), mixed.latent)


def _lawful(anchor: Anchor, made: Callable[[Anchor], bytes], latent: int) -> Network:
    network = lawful_network(anchor, made, latent=latent)
    return Network(network, latent, tuple(anchor.probabilities.tolist()), anchor.notes)


def _chosen(choice: Choice, records: Records, candidates: Candidates[Refiner], anchor: Anchor) -> Network:
    refiners = candidates.makers

    def verdicts(units: Units, classes: Classes) -> NDArray[np.float64]:
        return alone(candidates.judges, real_features(units, classes, anchor))

    networks = tuple(refined_network(refiner, anchor, warp_of(refiner)) for refiner in refiners)
    field = Field(records.layout, networks, refiners[0].latent, anchor.probabilities, anchor.patients, verdicts)
    weights = decided(choice, records, field)
    chosen = np.flatnonzero(weights)
    if len(chosen) == 1:
        made = finished(refiners[int(chosen[0])], anchor)
    else:
        made = mixture([refiners[at] for at in chosen], weights[chosen], anchor)
    return replace(made, notes=(*made.notes, told(weights, candidates.steps, choice)))


def _refined(
    config: TabganConfig, records: Records, run: Run, start: Start, judge: nn.Sequential
) -> tuple[Refiner, Candidates[Refiner]]:
    refiner = start.refiner
    mean, best = copy.deepcopy(refiner), Best(start.task, refiner)
    duel = Duel(config, records, run, start, judge)
    candidates = Candidates(config.choice, duel.steps, mean, judge)
    networks = (refiner, judge, mean, best.kept, *candidates.modules)
    found = checkpoint.load(run.folder, networks, duel.adams)
    duel.go_on(found)
    candidates.go_on(found)
    best.look(best.kept)

    def moved(step: int) -> None:
        average(mean, refiner, config.ema)
        candidates.look(step + 1, mean, judge)

    while duel.block(moved):
        candidates.look(duel.step, mean, judge)
        score = best.look(mean)
        checkpoint.save(run.folder, duel.step, networks, duel.adams)
        text = "training the discriminator" + ("" if score is None else f", hold-out task {score:.3f}")
        run.watch(Progress(text, duel.step, duel.steps))
    candidates.close(mean, judge)
    return best.kept, candidates

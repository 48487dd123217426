"""The training of tabgan: an anchor, then a private discriminator that teaches the rest."""

from __future__ import annotations

import copy

import torch
from torch import nn

from wardgan.models import checkpoint
from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.base import Network, Progress, Run
from wardgan.models.pairs.best import Best, task_of
from wardgan.models.pairs.candidates import groups_of
from wardgan.models.pairs.fitting import PairFit, split
from wardgan.models.pairs.settings import GROUPS
from wardgan.models.tabgan.config import TabganConfig
from wardgan.models.tabgan.duel import Duel, Start
from wardgan.models.tabgan.features import width
from wardgan.models.tabgan.nets import discriminator
from wardgan.models.weights import average, one_thread, weights_state
from wardgan.privacy.records import Records
from wardgan.rng import Seed


def train(config: TabganConfig, records: Records, run: Run) -> Network:
    """Gives the trained network.

    With privacy the last weights are taken; without it those that teach most about
    patients who were held out, the anchor's among them.

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
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
        best = _refined(config, records, run, start, judge)
    return finished(best, anchor)


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
    network = lawful_network(anchor, lambda made: refined_network(refiner, made, warp), latent=refiner.latent)
    return Network(network, refiner.latent, tuple(anchor.probabilities.tolist()), anchor.notes)


def _refined(config: TabganConfig, records: Records, run: Run, start: Start, judge: nn.Sequential) -> Refiner:
    refiner = start.refiner
    mean, best = copy.deepcopy(refiner), Best(start.task, refiner)
    duel = Duel(config, records, run, start, judge)
    networks = (refiner, judge, mean, best.kept)
    duel.go_on(checkpoint.load(run.folder, networks, duel.adams))
    best.look(best.kept)
    while duel.block(lambda _: average(mean, refiner, config.ema)):
        score = best.look(mean)
        checkpoint.save(run.folder, duel.step, networks, duel.adams)
        text = "training the discriminator" + ("" if score is None else f", hold-out task {score:.3f}")
        run.watch(Progress(text, duel.step, duel.steps))
    return best.kept

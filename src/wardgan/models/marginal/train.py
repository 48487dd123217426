"""The training of marginal: an anchor, then a network fitted to tables of pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import torch

from wardgan.models.anchor.anchor import Anchor, measure_anchor
from wardgan.models.anchor.answered import PAIRS, Answered
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.anchor.survey import Survey
from wardgan.models.anchor.surveyed import surveyed
from wardgan.models.base import Network, Progress, Run
from wardgan.models.marginal.config import MarginalConfig
from wardgan.models.pairs.fitting import PairFit, split
from wardgan.models.pairs.goal import Measured
from wardgan.models.pairs.pairing import Pairing
from wardgan.models.weights import one_thread, weights_state
from wardgan.privacy.records import Records, noise_sd

_NO_PAIRS: Final = (
    "No table of a pair could be told from its noise, so none was measured, and the generator is what family='copula' "
    "makes. A larger epsilon, or more patients, would change that."
)


def train(config: MarginalConfig, records: Records, run: Run) -> Network:
    """Gives the fitted network.

    Args:
        config: Settings.
        records: The patients.
        run: Seeds, folder and watcher.
    """
    run.watch(Progress("measuring the anchor", 0, 1))
    if config.survey is not None:
        answers, anchor = surveyed(records, config.survey, run, family=config.family)
        return taught(config, config.survey, answers, anchor, run)
    records, held = split(records, run.seed)
    anchor = measure_anchor(records, population=run.population)
    fit = PairFit.of(config.asked, records, run, anchor)
    if not fit.rounds:
        run.watch(Progress("measuring the anchor", 1, 1))
        network = lawful_network(anchor, copula_network, latent=len(anchor.axes))
        notes = (*anchor.notes, _NO_PAIRS) if records.private else anchor.notes
        return Network(network, len(anchor.axes), tuple(anchor.probabilities.tolist()), notes)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(run.seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        fit.trained(records, refiner, held)
        return _finished(refiner, anchor)


def taught(config: MarginalConfig, survey: Survey, answers: Answered, anchor: Anchor, run: Run) -> Network:
    """Gives the network that answers to a survey teach: those of one hospital, or the sums of several.

    Post-processing: no patient is read, and the same answers and seed give the same bytes on one platform.

    Args:
        config: Settings.
        survey: The questions, pairs among them.
        answers: The noisy tables.
        anchor: What the other tables make.
        run: Seeds and watcher.
    """
    pairing = cast("Pairing", survey.pairing)
    asked = pairing.query(survey.levels, len(anchor.probabilities))
    sd = 0.0 if answers.plan is None else noise_sd(answers.plan.event(PAIRS), asked)
    known = Measured(list(asked.pairs), asked.tables(answers.measure(PAIRS, asked)), [sd] * len(asked.pairs))
    # The last round of a fit is twice as long as each of the others.
    settings = replace(config.asked, steps=-(-config.steps * (config.rounds + 1) // 2))
    fit = PairFit(settings, run, anchor, pairing.arrays(), rounds=1, each=len(asked.pairs))
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(run.seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        fit.taught(known, refiner)
        return _finished(refiner, anchor)


def _finished(refiner: Refiner, anchor: Anchor) -> Network:
    warp = warp_of(refiner)
    network = lawful_network(anchor, lambda made: refined_network(refiner, made, warp), latent=refiner.latent)
    return Network(network, refiner.latent, tuple(anchor.probabilities.tolist()), anchor.notes)

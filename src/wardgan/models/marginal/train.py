"""The training of marginal: an anchor, then a network fitted to tables of pairs."""

from __future__ import annotations

from typing import Final

import torch

from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.base import Network, Progress, Run
from wardgan.models.marginal.config import MarginalConfig
from wardgan.models.pairs.fitting import PairFit, split
from wardgan.models.weights import one_thread, weights_state
from wardgan.privacy.records import Records

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
    records, held = split(records, run.seed)
    anchor = measure_anchor(records, population=run.population)
    fit = PairFit.of(config.asked, records, run, anchor)
    shares = tuple(anchor.probabilities.tolist())
    if not fit.rounds:
        run.watch(Progress("measuring the anchor", 1, 1))
        network = lawful_network(anchor, copula_network, latent=len(anchor.axes))
        notes = (*anchor.notes, _NO_PAIRS) if records.private else anchor.notes
        return Network(network, len(anchor.axes), shares, notes)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.random.set_rng_state(weights_state(run.seed))
        refiner = Refiner(anchor, width=config.width, noise_inputs=config.noise_inputs)
        fit.trained(records, refiner, held)
        warp = warp_of(refiner)
        network = lawful_network(anchor, lambda made: refined_network(refiner, made, warp), latent=refiner.latent)
    return Network(network, refiner.latent, shares, anchor.notes)

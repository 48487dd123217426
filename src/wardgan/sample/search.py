"""Which way patients who meet conditions are looked for, and how well it goes: both from pilot draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import UsageError
from wardgan.estimate import Estimate, proportion
from wardgan.rng import Seed
from wardgan.sample.conditions import Conditions
from wardgan.sample.drawing import BLOCK, Drawn, Effort, Run, Search, candidates, judged, lawful
from wardgan.sample.forms import Floats
from wardgan.sample.proposal import Proposal, proposed

RARE: Final = 0.01
_PART: Final = 2_048
_OBEYING: Final = 8_192
_WORTH: Final = 0.5


@dataclass(frozen=True)
class Efficiency:
    """How many patients must be drawn for those who are kept.

    Attributes:
        kept: Share of the patients drawn from the network who are kept.
        share: Share of the generator's patients who meet the conditions.
        rules: For each rule, the share of the patients drawn who break it and are drawn again.
        proposed: Whether candidates are drawn only from where the conditions can hold.
    """

    kept: Estimate
    share: Estimate
    rules: Mapping[str, Estimate]
    proposed: bool

    def __str__(self) -> str:
        where = ", found where alone the conditions can hold" if self.proposed else ""
        return f"{percent(self.kept.value)} of the patients drawn are kept{where}; {self.rarity}"

    @property
    def rarity(self) -> str:
        """How rare the patients who meet the conditions are, in words."""
        if self.share.value > 0.1:
            return f"{percent(self.share.value)} of the generator's patients meet the conditions"
        if not self.share.value:
            return f"fewer than 1 in {1 / self.share.high:,.0f} of the generator's patients meets the conditions"
        one_in = float(f"{1 / self.share.value:.3g}")
        return f"about 1 in {one_in:,.0f} of the generator's patients meets the conditions"

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as a dictionary for JSON."""
        return {
            "kept": self.kept.to_dict(),
            "share": self.share.to_dict(),
            "rules": {rule: broken.to_dict() for rule, broken in self.rules.items()},
            "proposed": self.proposed,
        }


def percent(share: float) -> str:
    """Gives a share in words.

    Example:
        >>> percent(1.0), percent(0.0221), percent(0.00002)
        ('100 %', '2.21 %', '0.002 %')
    """
    return f"{100 * share:.3g} %"


@dataclass(frozen=True)
class Pilot:
    """What some draws showed.

    Attributes:
        drawn: Patients drawn from the network.
        tried: Draws for each turn: lawful patients, or draws of a proposal; shape (turns,).
        met: How many of them met the conditions, shape (turns,).
    """

    drawn: Drawn
    tried: NDArray[np.int64]
    met: NDArray[np.int64]

    @property
    def lawful(self) -> float:
        """Share of the patients drawn from the network who obey the rules."""
        return float(self.tried.sum()) / self.drawn.patients

    @property
    def rare(self) -> bool:
        """Whether in some turn less than one in a hundred of the patients drawn is kept."""
        return bool((self.met * self.lawful < RARE * self.tried).any())


@dataclass(frozen=True)
class Network:
    """What a search needs of a generator.

    Attributes:
        run: Runs the network.
        model: Its ONNX bytes.
        latent: How many standard normals it wants for each patient.
        layout: The variables of its output.
    """

    run: Run
    model: bytes
    latent: int
    layout: Layout


def searched(network: Network, wanted: Conditions, seed: Seed) -> Search:
    """Gives how patients who meet conditions are looked for.

    Ordinary patients are drawn until the conditions hold, unless less than one in a hundred of them is kept, and
    candidates can be drawn from a part of the latent space that is proved to hold everybody who does.

    Args:
        network: The generator's network.
        wanted: The conditions.
        seed: Replays the pilot.

    Raises:
        UsageError: It is proved that no patient can meet the conditions.
    """
    plain = Search(wanted, None, Effort(wanted))
    if not wanted.others:
        return plain
    first = pilot(network, wanted, seed, whole=False)
    if not first.rare:
        return plain
    proposal = proposed(network.model, wanted, network.layout, latent=network.latent)
    if proposal is None:
        return plain
    if not (proposal.shares > 0).all():
        _refuse(network, wanted, wanted.turns[np.argmin(proposal.shares)])
    if proposal.shares.mean() >= _WORTH:
        return plain
    search = Search(wanted, proposal, Effort(wanted, proved=True))
    found = trial(network, search, seed)
    search = replace(search, effort=search.effort.after(int(found.tried.sum()), int(found.met.sum())))
    return search if _work(proposal, first, found) < _WORTH else plain


def _refuse(network: Network, wanted: Conditions, turn: Floats) -> None:
    classes = np.flatnonzero(turn)
    some = len(classes) < len(turn)
    of = " or ".join(network.layout.schema.class_name(int(label)) for label in classes[:3]) if some else "the generator"
    raise UsageError(
        f"where: no patient of {of} can meet the conditions on {wanted.names}. Ask for a wider range, or leave one of "
        "them out."
    )


def _work(proposal: Proposal, plain: Pilot, found: Pilot) -> float:
    """Gives how much work a patient takes, with that of ordinary patients as 1.

    Work is counted in runs of the network, and a draw of a proposal as one run more. Both ways meet the same patients,
    the proposal within its share of all draws.
    """
    runs = found.drawn.patients / float(found.tried.sum())
    return float(proposal.shares.mean()) * (1 + runs) / plain.lawful**proposal.coins


def pilot(network: Network, wanted: Conditions, seed: Seed, *, whole: bool) -> Pilot:
    """Gives what ordinary patients show.

    Args:
        network: The generator's network.
        wanted: The conditions.
        seed: Replays the pilot.
        whole: Whether to go on when it is clear that the conditions are not rare.
    """
    stream = seed.stream("pilot")
    turns = len(wanted.turns)
    drawn = Drawn()
    tried, met = np.zeros((2, turns), dtype=np.int64)
    for start in range(0, BLOCK, _PART):
        turn = np.arange(start, start + _PART) % turns
        patients, took = lawful(network.run, wanted.classes(turn, stream), stream)
        held = wanted.hold(patients)
        drawn += replace(took, kept=int(held.sum()))
        tried += np.bincount(turn, minlength=turns)
        met += np.bincount(turn[held], minlength=turns)
        found = Pilot(drawn, tried, met)
        if not whole and (met * found.lawful >= RARE * BLOCK / turns).all():
            return found
    return Pilot(drawn, tried, met)


def trial(network: Network, search: Search, seed: Seed) -> Pilot:
    """Gives what candidates show.

    Args:
        network: The generator's network.
        search: With a proposal.
        seed: Replays the trial.
    """
    turns = len(search.wanted.turns)
    turn = np.arange(BLOCK) % turns
    met = candidates(network.run, search, turn, seed.stream("trial"))
    return Pilot(met.drawn, np.bincount(turn, minlength=turns), np.bincount(turn[met.source], minlength=turns))


def efficiency(network: Network, search: Search, seed: Seed) -> Efficiency:
    """Gives how many patients must be drawn for those who are kept, from pilot draws.

    Args:
        network: The generator's network.
        search: How patients are looked for.
        seed: Replays the pilot.
    """
    plain = pilot(network, search.wanted, seed, whole=True)
    rules = {rule: proportion(count, plain.drawn.patients) for rule, count in plain.drawn.broken.items()}
    if search.proposal is None:
        share = proportion(int(plain.met.sum()), int(plain.tried.sum()))
        return Efficiency(proportion(plain.drawn.kept, plain.drawn.patients), share, rules, proposed=False)
    found = trial(network, search, seed)
    kept = proportion(found.drawn.kept, max(found.drawn.patients, 1))
    return Efficiency(kept, _share(network, search.proposal, found, seed), rules, proposed=True)


def _share(network: Network, proposal: Proposal, found: Pilot, seed: Seed) -> Estimate:
    """Gives the share of the generator's patients who meet the conditions, from a trial of a proposal.

    In each turn a draw ends in a patient with chance share x prod r / weight, where the product of the shares r of each
    possible class that obeys the rules comes from `drawing.candidates`, and weight is that of the proposal.
    """
    possible = proposal.weights > 0  # (turns, classes)
    obeyed = np.ones(possible.shape[1])
    if network.layout.schema.rules:
        for label in np.flatnonzero(possible.any(axis=0)):
            obeyed[label] = _obeying(network, int(label), seed)
    factor = proposal.shares / np.where(possible, obeyed, 1.0).prod(axis=1)  # (turns,)
    met, tried = int(found.met.sum()), int(found.tried.sum())
    scale = float(factor @ found.met) / met if met else float(factor.max())
    raw = proportion(met, tried)
    # The shares that obey were estimated, too: their relative errors add up.
    spread = 1 + 2 * float(np.sqrt(((1 - obeyed) / (obeyed * _OBEYING)).sum()))
    low, high = scale * raw.low / spread, min(1.0, scale * raw.high * spread)
    return Estimate(scale * raw.value, low, high, tried, "share of a proposal's draws, Wilson interval, scaled")


def _obeying(network: Network, label: int, seed: Seed) -> float:
    """Gives the share of a class that obeys the rules."""
    patients = network.run(np.full(_OBEYING, label), seed.stream("rules", label))
    return max(float((~judged(patients)[0]).mean()), 1 / _OBEYING)

"""Private post-GAN boosting: discriminators against the pool of all candidates' synthetic patients.

Neunhoeffer, Wu, Dwork 2021, "Private post-GAN boosting", section 3.1 and algorithm 1. One player holds a distribution
phi over a finite pool B of synthetic patients, the other one picks one of the kept discriminators D_j. What is at stake
is U(phi, D) = mean of D over patients + mean of 1 - D under phi: high where D tells them apart. In each round the
discriminator is drawn by the exponential mechanism with U as its score, and phi moves, by multiplicative weights, to
synthetic patients whom that discriminator takes for real. The mean of all phi is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.units import Units
from wardgan.privacy.records import Records
from wardgan.select.choice import CHOICE

Classes = NDArray[np.int64]
Verdicts = Callable[[Units, Classes], NDArray[np.float64]]
_SNAP: Final = 1 << 20


@dataclass(eq=False, repr=False)
class Heard:
    """What each discriminator says of the patients, summed; the same in each round, so it is found once.

    Sums stay in memory, behind the bill of the first round, and leave it through the choices alone.

    Attributes:
        verdicts: What each discriminator says of each patient, shape (patients, discriminators); each patient is
            judged alone.
    """

    verdicts: Verdicts
    _sums: NDArray[np.float64] | None = field(default=None, init=False)

    def sums(self, units: Units, classes: Classes) -> NDArray[np.float64]:
        """Gives the sum over patients of D - 1/2, with D cut to [0, 1], shape (discriminators,)."""
        found = self._sums
        if found is None:
            found = self._sums = np.asarray((within(self.verdicts(units, classes)) - 0.5).sum(axis=0))
        return found


@dataclass(frozen=True, eq=False, repr=False)
class Payoff:
    """The payoff of each discriminator, as a sum over patients: the scores of one round.

    sum over patients of (D_j - 1/2) - N sum over the pool of phi (D_j - 1/2), with N a number of patients that was
    declared or paid for. In the paper it is divided by the exact number of patients, which must not be known here.
    Neighbours: one patient more or less. That patient adds between -1/2 and 1/2 to each score, since D_j is in [0, 1];
    N, phi and the pool know no patient but through earlier choices. Hence the sensitivity is 1/2.

    Attributes:
        heard: The patients' half.
        believed: The mean of D_j - 1/2 under phi, shape (discriminators,).
        patients: N.
    """

    heard: Heard
    believed: NDArray[np.float64]
    patients: float

    @property
    def sensitivity(self) -> float:
        """1/2."""
        return 0.5

    def scores(self, units: Units, classes: Classes) -> NDArray[np.float64]:
        """Gives the score of each discriminator, shape (discriminators,)."""
        return self.heard.sums(units, classes) - self.patients * self.believed


def boosted(
    records: Records, heard: Heard, said: NDArray[np.float64], *, patients: float, rounds: int
) -> NDArray[np.float64]:
    """Plays the game, and gives the weight of each synthetic patient of the pool.

    Neighbours: add or remove one patient. Event: the planned pure event, one run in each round. Not protected: the
    pool and the discriminators' verdicts on it, which are functions of private gradients.

    Args:
        records: The patients.
        heard: What the discriminators say of patients.
        said: What they say of the pool, shape (pool, discriminators), within 0 and 1.
        patients: How many patients there are, as declared or paid for.
        rounds: How many rounds.

    Returns:
        The mean of phi over all rounds, shape (pool,); sums to 1.
    """
    said = within(said)
    # The rate that bounds the regret of weights over B alternatives after T rounds (Freund and Schapire 1997).
    rate = np.sqrt(8 * np.log(max(len(said), 2)) / rounds)
    log_phi, total = np.zeros(len(said)), np.zeros(len(said))
    for _ in range(rounds):
        phi = _shares(log_phi)
        payoff = Payoff(heard, phi @ (said - 0.5), patients)
        (chosen,) = records.choose(CHOICE, payoff)
        log_phi += rate * said[:, chosen]
        total += _shares(log_phi)
    return total / rounds


def within(verdicts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Gives verdicts cut to [0, 1], 1/2 for what is no number, rounded so that sums of them are exact."""
    cut = np.clip(np.nan_to_num(np.asarray(verdicts, dtype=np.float64), nan=0.5, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.rint(cut * _SNAP) / _SNAP


def _shares(log_phi: NDArray[np.float64]) -> NDArray[np.float64]:
    phi = np.exp(log_phi - log_phi.max())
    return phi / phi.sum()

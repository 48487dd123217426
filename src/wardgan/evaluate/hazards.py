"""Hazard ratios: Cox's regression on real and on synthetic patients side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.evaluate.coefficients import MOST, CoefficientAgreement, agreement
from wardgan.evaluate.columns import Columns, paired
from wardgan.evaluate.logistic import PENALTY, Fit, newton
from wardgan.evaluate.resample import subsample
from wardgan.evaluate.survival import Endpoint, FollowUp, follow_up
from wardgan.rng import Seed


def hazard_agreement(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    *,
    endpoint: Endpoint,
    seed: Seed,
) -> CoefficientAgreement:
    """Compares the hazard ratios of Cox's regression on synthetic patients with those on real ones.

    All columns but those of the end are variables, as `design` makes them; the coefficients are log hazard ratios.
    Synthetic patients are cut to the number of real ones; at most 20,000 of each table are used.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.
        endpoint: Which columns tell the time to the event, such as from `survival.endpoint_of`.
        seed: Source of randomness of the choice of patients.

    Raises:
        DataError: A table is empty or lacks a column, or time is no number.

    Source:
        Cox, J R Stat Soc B 1972;34:187; Efron, J Am Stat Assoc 1977;72:557 (tied times). The penalty is that of
        `coefficients.coefficient_agreement`.
    """
    size = min(len(real), MOST)
    frames = [subsample(real, size, seed, "hazards/0"), subsample(synthetic, size, seed, "hazards/1")]
    frames += [] if holdout is None else [subsample(holdout, MOST, seed, "hazards/2")]
    tables: list[Columns] = []
    follows: list[FollowUp] = []
    for name, frame in zip(("real", "synthetic", "holdout"), frames, strict=False):
        table = paired(frames[0], frame, names=("real", name))[1]
        follow = follow_up(table, endpoint)
        out = endpoint.columns
        tables.append({column: values[follow.known] for column, values in table.items() if column not in out})
        follows.append(follow)
    fits = [partial(_of_events, time=follow.time) for follow in follows]
    return agreement(f"hazard of {endpoint.event}", tables, [follow.event for follow in follows], fits)


def _of_events(values: NDArray[np.float64], event: NDArray[np.bool_], *, time: NDArray[np.float64]) -> Fit:
    return cox(values, time, event)


def cox(
    values: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_], *, penalty: float = PENALTY
) -> Fit:
    """Gives the log hazard ratios of Cox's regression, with Efron's treatment of tied times.

    Args:
        values: Variables, shape (patients, variables).
        time: Follow-up, shape (patients,).
        event: Whether it ended with the event, shape (patients,).
        penalty: Half of it times the sum of the squared coefficients is taken from the log likelihood.

    Source:
        Cox 1972; Efron 1977; Therneau and Grambsch, Modeling Survival Data, 2000, section 3.1 (partial likelihood, its
        derivatives) and 3.3 (Efron's approximation).
    """
    ordered = _Ordered.of(values, time, event)
    slopes, information = newton(
        partial(ordered.loss, penalty=penalty), partial(ordered.bent, penalty=penalty), np.zeros(values.shape[1])
    )
    return Fit(slopes, np.sqrt(np.diag(np.linalg.inv(information))), event.size, int(event.sum()))


@dataclass(frozen=True, eq=False, repr=False)
class _Ordered:
    """Patients with the longest follow-up first, so that a running sum is one over those at risk.

    Attributes:
        values: Variables less their means, shape (patients, variables).
        dead: Positions of the patients with the event, shape (events,).
        last: For each event the last position at risk with it, shape (events,).
        moment: For each event the number of its time among those of all events, shape (events,).
        tied: For each event its number among those at the same time, divided by how many they are, shape (events,).
    """

    values: NDArray[np.float64]
    dead: NDArray[np.intp]
    last: NDArray[np.intp]
    moment: NDArray[np.intp]
    tied: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]) -> _Ordered:
        order = np.argsort(-time, kind="stable")
        back, dead = -time[order], np.flatnonzero(event[order])
        moments, moment, counts = np.unique(back[dead], return_inverse=True, return_counts=True)
        number = np.arange(dead.size) - np.concatenate([[0], np.cumsum(counts)[:-1]])[moment]
        last = np.searchsorted(back, moments, side="right")[moment] - 1
        return cls((values - values.mean(axis=0))[order], dead, last, moment, number / counts[moment])

    def loss(self, at: NDArray[np.float64], *, penalty: float) -> float:
        line = self.values @ at
        top = float(line.max(initial=0.0))
        share = np.exp(line - top)
        return float((np.log(self._risk(share)) + top - line[self.dead]).sum() + penalty * (at @ at) / 2)

    def bent(self, at: NDArray[np.float64], *, penalty: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        line = self.values @ at
        share = np.exp(line - line.max(initial=0.0))
        risk = self._risk(share)  # (events,)
        mean = self._risk(share[:, None] * self.values) / risk[:, None]  # (events, variables)
        weight = share * self._hazard(1 / risk)
        slope = self.values[self.dead].sum(axis=0) - mean.sum(axis=0) - penalty * at
        spread = (self.values * weight[:, None]).T @ self.values - mean.T @ mean
        return slope, spread + penalty * np.eye(at.size)

    def _risk(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives for each event the sum over those at risk, less its part of the sum over the events at that time."""
        among = np.zeros((int(self.moment.max(initial=-1)) + 1, *share.shape[1:]))
        np.add.at(among, self.moment, share[self.dead])
        part = self.tied.reshape(-1, *[1] * (share.ndim - 1))
        return np.cumsum(share, axis=0)[self.last] - part * among[self.moment]

    def _hazard(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives for each patient the sum over the events that it is at risk for, less its part of ties."""
        starts = np.zeros(len(self.values))
        np.add.at(starts, self.last, each)
        summed = np.cumsum(starts[::-1])[::-1]
        tied = np.bincount(self.moment, each * self.tied)
        summed[self.dead] -= tied[self.moment]
        return summed

"""The step game: how well can one private step, or one noisy answer, with a patient be told from one without?

A mechanism that adds noise of sd `z` times its sensitivity is Gaussian-DP with `mu = 1 / z`. Then whoever guesses
has error rates with `mu >= Phi^-1(1 - FPR) - Phi^-1(FNR)` (Dong, Roth, Su 2022, "Gaussian differential privacy",
definition 2.6), so measured error rates give a lower bound of mu (Nasr et al. 2023, "Tight auditing of
differentially private machine learning", section 4). A bound above `1 / z` proves a mistake. The tests play it on every
commit, with and without the planted mistakes of `mutants.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta, norm
from torch import nn

from wardgan.privacy.clip import PatientGradients, PrivateStep, private_gradient
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.queries import Query
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort

# (is the patient there?, number of the play) -> the flat gradient of one step or one answer, shape (coordinates,).
Play = Callable[[bool, int], NDArray[np.float64]]
OTHERS, CAP, FAKES = 4, 8, 2


def training_step(rule: PrivateStep) -> tuple[Play, list[slice]]:
    """Gives the game of one step of a tiny critic: others and fakes pull one way, one loud patient the other way."""
    module = nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.2), nn.Linear(2, 1))
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(0.1 * torch.ones_like(parameter) * (1 + number))
    gradients = PatientGradients(module, rule)
    records, fakes = torch.ones(CAP, 3), torch.ones(FAKES, 3)
    pull = 10 * torch.ones(CAP + FAKES)
    pull[0] = -1000  # the loud patient
    masks = {there: (torch.arange(CAP) <= OTHERS) & ((torch.arange(CAP) > 0) | there) for there in (True, False)}

    def play(there: bool, number: int) -> NDArray[np.float64]:
        private_gradient(
            gradients,
            lambda x: pull * module(x)[:, 0],
            records,
            mask=masks[there],
            fake=fakes,
            seed=Seed.secret(),
            step=number,
        )
        return np.concatenate([each.grad.numpy().ravel() for each in module.parameters()]).astype(np.float64)

    ends = np.cumsum([parameter.numel() for parameter in module.parameters()])
    return play, [slice(end - each.numel(), end) for end, each in zip(ends, module.parameters(), strict=True)]


def query_answer(query: Query, cohort: Cohort, *, noise_multiplier: float) -> tuple[Play, list[slice]]:
    """Gives the game of one noisy answer about a cohort, with and without its last patient.

    Args:
        query: What is asked.
        cohort: At least two patients.
        noise_multiplier: Of the answer.
    """
    event = Event("game", "gaussian", noise_multiplier=noise_multiplier)
    plan = Plan(Budget(50.0), (event,), len(cohort), "copula")
    cohorts = {True: cohort, False: cohort.take(slice(-1))}

    def play(there: bool, _number: int) -> NDArray[np.float64]:
        return Records(cohorts[there], Ledger(plan), noise=Seed.secret()).measure("game", query)

    return play, []


def least_mu(play: Play, *, parts: Sequence[slice], plays: int, alpha: float = 1e-4) -> float:
    """Gives a lower bound of mu that holds with probability 1 - alpha.

    What is looked at (a part of the gradient, along the mean difference) and the threshold are chosen on the first
    half of the plays and judged on the second half.

    Args:
        play: The step.
        parts: Coordinates of each parameter; each is tried alone, and all together.
        plays: How many steps are played with the patient, and how many without; even.
        alpha: Probability that the bound is too high.
    """
    half = plays // 2
    there = np.array([play(True, number) for number in range(plays)])  # (plays, coordinates)
    absent = np.array([play(False, plays + number) for number in range(plays)])
    best = (-np.inf, 0.0, np.zeros(0))
    for part in (slice(None), *parts):
        direction = np.zeros(there.shape[1])
        direction[part] = (there[:half, part] - absent[:half, part]).mean(axis=0)
        scores = there[:half] @ direction, absent[:half] @ direction
        for threshold in np.quantile(np.concatenate(scores), np.linspace(0.02, 0.98, 49)):
            best = max(best, (_mu(*scores, threshold, alpha), threshold, direction), key=lambda each: each[0])
    _, threshold, direction = best
    return _mu(there[half:] @ direction, absent[half:] @ direction, threshold, alpha)


def _mu(there: NDArray[np.float64], absent: NDArray[np.float64], threshold: float, alpha: float) -> float:
    missed = _upper(int((there <= threshold).sum()), len(there), alpha / 2)
    false_alarms = _upper(int((absent > threshold).sum()), len(absent), alpha / 2)
    return float(norm.ppf(1 - false_alarms) - norm.ppf(missed))


def _upper(successes: int, n: int, alpha: float) -> float:
    # Clopper & Pearson 1934.
    return 1.0 if successes == n else float(beta.ppf(1 - alpha, successes + 1, n - successes))

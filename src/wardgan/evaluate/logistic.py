"""Logistic regression with standard errors, and Newton's method for convex losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PENALTY: Final = 0.16
_STEPS: Final = 50


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """Coefficients of one regression with their standard errors.

    Attributes:
        values: Shape (variables,).
        errors: Standard errors, same shape.
        n: Number of patients.
        events: How many of them have the event.
    """

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    n: int
    events: int


def logistic(values: NDArray[np.float64], event: NDArray[np.bool_], *, penalty: float = PENALTY) -> Fit:
    """Gives the coefficients of a logistic regression with an intercept, which is not among them.

    Args:
        values: Variables, shape (patients, variables).
        event: Who has the event, shape (patients,).
        penalty: Half of it times the sum of the squared coefficients is taken from the log likelihood.

    Source:
        Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2nd edition, section 4.4.1, equation 4.26
        (Newton's steps). Standard errors are from the inverse of the penalised information.
    """
    slopes, information = _fitted(values, event.astype(np.float64), penalty)
    spread = np.sqrt(np.diag(np.linalg.inv(information)))
    return Fit(slopes[1:], spread[1:], event.size, int(event.sum()))


def risks(
    values: NDArray[np.float64],
    event: NDArray[np.bool_],
    start: NDArray[np.float64] | None = None,
    *,
    penalty: float = PENALTY,
    steps: int = _STEPS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the fitted risk of each patient, and all coefficients with the intercept first, to start from again.

    Args:
        values: See `logistic`.
        event: See `logistic`.
        start: Coefficients to start from.
        penalty: See `logistic`.
        steps: At most so many of Newton's steps.
    """
    slopes = _fitted(values, event.astype(np.float64), penalty, start, steps)[0]
    return _risk(np.column_stack([np.ones(len(values)), values]) @ slopes), slopes


def _fitted(
    values: NDArray[np.float64],
    event: NDArray[np.float64],
    penalty: float,
    start: NDArray[np.float64] | None = None,
    steps: int = _STEPS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    full = np.column_stack([np.ones(len(values)), values])
    ridge = np.full(full.shape[1], penalty)
    ridge[0] = 1e-9  # keeps the information of a table with one class invertible
    slopes = np.zeros(full.shape[1]) if start is None else start

    def loss(at: NDArray[np.float64]) -> float:
        line = full @ at
        return float(np.logaddexp(0, line).sum() - event @ line + (ridge * at * at).sum() / 2)

    def bent(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        risk = _risk(full @ at)
        weight = risk * (1 - risk)
        return full.T @ (event - risk) - ridge * at, (full * weight[:, None]).T @ full + np.diag(ridge)

    return newton(loss, bent, slopes, steps)


def newton(
    loss: Callable[[NDArray[np.float64]], float],
    bent: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]],
    at: NDArray[np.float64],
    steps: int = _STEPS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives where a convex loss is least, and its second derivatives there; a step that does not help is halved.

    Args:
        loss: The loss.
        bent: The slope downwards and the second derivatives.
        at: Where to start.
        steps: At most so many steps.
    """
    here = loss(at)
    slope, information = bent(at)
    for _ in range(steps):
        move = np.linalg.solve(information, slope)
        there = loss(at + move)
        for _ in range(40):
            if there <= here:
                break
            move = move / 2
            there = loss(at + move)
        else:
            break
        at, gain, here = at + move, here - there, there
        slope, information = bent(at)
        if gain < 1e-10 * (1 + abs(here)) and np.abs(move).max() < 1e-7:
            break
    return at, information


def _risk(line: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(line / 2))

"""Two accountants for the same events: privacy loss distributions, and our own Renyi bound.

Both use add-or-remove-one-patient neighbours. The first one (PLD, by dp-accounting) is the accountant of record.
The second is written here from the formulas, shares no code with the first and must never give a smaller epsilon
(Rule P17). Neither protects against a wrong list of events: what was not billed is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import PlanError
from wardgan.privacy.events import Event

_ORDERS: Final = np.array([*range(2, 65), 72, 80, 96, 112, 128, 160, 192, 256, 384, 512, 1024])
_GRID: Final = 1e-4
_FINEST: Final = 1e-5


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Gives delta of a mu-Gaussian-DP mechanism (Balle & Wang 2018, theorem 8; Dong, Roth, Su 2022, corollary 1).

    Args:
        mu: Sensitivity divided by noise sd, at least 0.
        epsilon: At least 0.

    Example:
        >>> round(gaussian_delta(0.26805, 1.0) * 1e5, 3)
        1.0
    """
    if mu == 0:
        return 0.0
    inner = _normal_cdf(-epsilon / mu + mu / 2)
    return max(0.0, inner - math.exp(epsilon + _log_normal_cdf(-epsilon / mu - mu / 2)))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Gives the largest mu with `gaussian_delta(mu, epsilon) <= delta`."""
    low, high = 0.0, 1.0
    while gaussian_delta(high, epsilon) < delta and high < 1e6:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(middle, epsilon) <= delta else (low, middle)
    return low


def rdp_epsilon(events: Sequence[Event], delta: float) -> float:
    """Gives an upper bound of epsilon from Renyi divergences: our own accountant.

    Gaussian: Mironov 2017, corollary 3. Poisson subsampling: Mironov, Talwar, Zhang 2019, section 3.3, integer
    orders. Pure mechanisms: the exact curve of randomised response, the worst case. Conversion: Canonne, Kamath,
    Steinke 2020, proposition 12. Truncated batches: their tail probability is added to delta.

    Args:
        events: What was done.
        delta: In (0, 1).

    Returns:
        Epsilon, 0 for no events, infinity if delta is used up by thresholds and truncation.
    """
    curve, cut, spent = rdp_curve(events)
    return rdp_epsilon_of(curve, cut, delta - spent)


def rdp_curve(events: Sequence[Event]) -> tuple[NDArray[np.float64], float, float]:
    """Gives what events cost in our own accountant's terms, all of which add up over events.

    Args:
        events: What was done.

    Returns:
        The Renyi divergence at each order, the probability that a batch is truncated, and the failure probability of
        thresholds.
    """
    done = [event for event in events if event.steps]
    curve = np.sum([np.zeros(len(_ORDERS)), *(event.steps * _renyi(event) for event in done)], axis=0)
    cut = sum(event.steps * _truncation(event) for event in done)
    return curve, cut, sum(event.steps * event.delta for event in done)


def rdp_epsilon_of(curve: NDArray[np.float64], cut: float, left: float) -> float:
    """Gives an upper bound of epsilon from what events cost; see `rdp_epsilon`.

    Args:
        curve: Renyi divergence at each order.
        cut: Probability that a batch is truncated.
        left: Delta without what thresholds use of it.
    """
    if left <= 0:
        return math.inf
    if not curve.any():
        return 0.0
    if cut == 0:
        # Without truncation the condition can be solved for epsilon at each order.
        solved = curve + np.log1p(-1 / _ORDERS) - (math.log(left) + np.log(_ORDERS)) / (_ORDERS - 1)
        return max(0.0, float(solved.min()))
    low, high = 0.0, 1.0
    while _rdp_delta(curve, cut, high) > left:
        high *= 2
        if high > 1e4 or cut * (1 + math.exp(min(high, 700.0))) > left:
            break
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if _rdp_delta(curve, cut, middle) <= left else (middle, high)
    return high if _rdp_delta(curve, cut, high) <= left else math.inf


def _rdp_delta(curve: NDArray[np.float64], cut: float, epsilon: float) -> float:
    """Gives delta at epsilon; truncation moves both distributions by at most `cut` in total variation."""
    log_delta = (_ORDERS - 1) * (curve - epsilon + np.log1p(-1 / _ORDERS)) - np.log(_ORDERS)
    return math.exp(min(0.0, float(log_delta.min()))) + cut * (1 + math.exp(min(epsilon, 700.0)))


def pld_epsilon(events: Sequence[Event], delta: float, *, grid: float = _GRID) -> float:
    """Gives epsilon from privacy loss distributions (dp-accounting), an upper bound on a grid.

    The grid is halved until epsilon moves by less than 0.5 %; the discretisation is pessimistic, so every value
    is valid and the smallest is returned.

    Args:
        events: What was done.
        delta: In (0, 1).
        grid: Width of the first grid; a coarser one is faster and gives a larger epsilon.

    Returns:
        Epsilon; 0 for no events, infinity if delta is used up.
    """
    return _pld_epsilon(tuple(event for event in events if event.steps), delta, grid)


@lru_cache(maxsize=256)
def _pld_epsilon(done: tuple[Event, ...], delta: float, grid: float) -> float:
    """Remembers what was added up: one bill is asked for at the end of a fit, in its dossier, and at its release."""
    left = delta - sum(event.steps * event.delta for event in done)
    if left <= 0:
        return math.inf
    if not done:
        return 0.0
    epsilon = _pld_on_grid(done, left, grid)
    grid /= 2
    while grid >= _FINEST and any(event.steps > 1000 for event in done):
        finer = _pld_on_grid(done, left, grid)
        if finer > epsilon * 0.995:
            return min(epsilon, finer)
        epsilon, grid = finer, grid / 2
    return epsilon


def pld_available() -> bool:
    """Tells whether the accountant of record is installed (`pip install 'wardgan[train]'`)."""
    from importlib.util import find_spec

    return find_spec("dp_accounting") is not None


def _pld_on_grid(events: Sequence[Event], delta: float, grid: float) -> float:
    try:
        from dp_accounting.pld import common, privacy_loss_distribution  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise PlanError(
            "epsilon cannot be billed: install the accountant with pip install 'wardgan[train]'."
        ) from error

    # Gaussian sums compose to one Gaussian exactly: the precisions add up.
    precision = sum(
        event.steps / cast("float", event.noise_multiplier) ** 2 for event in events if event.mechanism == "gaussian"
    )
    parts: list[privacy_loss_distribution.PrivacyLossDistribution] = []
    if precision:
        parts.append(
            privacy_loss_distribution.from_gaussian_mechanism(precision**-0.5, value_discretization_interval=grid)
        )
    for event in events:
        if event.mechanism == "poisson-gaussian":
            parts.append(_subsampled(event, grid).self_compose(event.steps))
        elif event.mechanism == "pure":
            pure = common.DifferentialPrivacyParameters(cast("float", event.epsilon), 0.0)
            one = privacy_loss_distribution.from_privacy_parameters(pure, value_discretization_interval=grid)
            parts.append(one.self_compose(event.steps))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    return max(0.0, float(whole.get_epsilon_for_delta(delta)))


def _subsampled(event: Event, grid: float):  # noqa: ANN202 - the type belongs to an optional package
    from dp_accounting.pld import privacy_loss_distribution  # pyright: ignore[reportMissingTypeStubs]

    rate, noise = cast("float", event.sampling_rate), cast("float", event.noise_multiplier)
    if event.batch_cap is None or event.population is None:
        return privacy_loss_distribution.from_gaussian_mechanism(
            noise, sampling_prob=rate, value_discretization_interval=grid
        )
    return privacy_loss_distribution.from_truncated_subsampled_gaussian_mechanism(
        dataset_size=event.population,
        sampling_probability=rate,
        truncated_batch_size=event.batch_cap,
        noise_multiplier=noise,
        value_discretization_interval=grid,
    )


def _renyi(event: Event) -> NDArray[np.float64]:
    """Gives the Renyi divergence of one run at each order."""
    if event.mechanism == "pure":
        return _renyi_pure(cast("float", event.epsilon))
    variance = cast("float", event.noise_multiplier) ** 2
    if event.mechanism == "gaussian" or event.sampling_rate == 1:
        return _ORDERS / (2 * variance)
    return np.array([_renyi_subsampled(int(order), cast("float", event.sampling_rate), variance) for order in _ORDERS])


def _renyi_pure(epsilon: float) -> NDArray[np.float64]:
    low = -math.log1p(math.exp(epsilon))
    high = low + epsilon
    first = _ORDERS * high + (1 - _ORDERS) * low
    second = _ORDERS * low + (1 - _ORDERS) * high
    return np.logaddexp(first, second) / (_ORDERS - 1)


def _renyi_subsampled(order: int, rate: float, variance: float) -> float:
    k = np.arange(order + 1)
    log_choose = np.array([math.lgamma(order + 1) - math.lgamma(i + 1) - math.lgamma(order - i + 1) for i in k])
    terms = log_choose + k * math.log(rate) + (order - k) * math.log1p(-rate) + k * (k - 1) / (2 * variance)
    return float(np.logaddexp.reduce(terms)) / (order - 1)


def _truncation(event: Event) -> float:
    """Gives a bound of the probability that a batch of the largest allowed cohort is truncated."""
    if event.mechanism != "poisson-gaussian" or event.batch_cap is None or event.population is None:
        return 0.0
    return tail_above(event.batch_cap, event.population, cast("float", event.sampling_rate))


def tail_above(cap: int, size: int, rate: float) -> float:
    """Gives a bound of the probability that more than `cap` of `size` patients are in a Poisson batch.

    Beyond the cap the binomial probabilities fall at least as fast as a geometric series from its first ratio.

    Args:
        cap: Largest batch, at least 0.
        size: Number of patients.
        rate: Probability that a patient is in the batch, in (0, 1].

    Example:
        >>> tail_above(9, 10, 0.5) == 0.5**10
        True
    """
    first = cap + 1
    if first > size:
        return 0.0
    if rate == 1:
        return 1.0
    ratio = (size - first) / (first + 1) * rate / (1 - rate)
    if ratio >= 1:
        return 1.0
    choose = math.lgamma(size + 1) - math.lgamma(first + 1) - math.lgamma(size - first + 1)
    return min(1.0, math.exp(choose + first * math.log(rate) + (size - first) * math.log1p(-rate)) / (1 - ratio))


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _log_normal_cdf(x: float) -> float:
    if x > -30:
        return math.log(_normal_cdf(x))
    # Mills ratio: erfc underflows before the product with exp(epsilon) does.
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / (x * x))

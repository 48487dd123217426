"""Labels that hang together with the other columns, as strongly as was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.schema.cohort import Codes

Features = NDArray[np.float64]
_IDLE: Final = 0.3
_AGAINST: Final = 0.2
_ILLNESS: Final = (0.3, 0.95)
_BENT: Final = (0.0, 0.5)
_STRONGEST: Final = 30.0
_LOOKED: Final = 1_000


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a label comes about: a multinomial logistic law of the patients' features.

    Most of the risk is a weighted sum, with a few large weights and many small ones, and some that are zero. About a
    seventh of its variance is bent: products of two features, and extremes on both sides.

    Attributes:
        weights: Weight of each feature for each level but the first, shape (features, levels - 1).
        pairs: Features that act together, shape (pairs, 2); a feature with itself stands for both extremes.
        bends: Weight of each pair, shape (pairs, levels - 1).
        scale: Standard deviation of the two parts of the risk, shape (2, levels - 1).
        strength: Standard deviation of the risk on the scale of logits.
        base: Logit of each level for a patient without any risk, shape (levels,).
    """

    weights: NDArray[np.float64]
    pairs: NDArray[np.intp]
    bends: NDArray[np.float64]
    scale: NDArray[np.float64]
    strength: float
    base: NDArray[np.float64]

    @classmethod
    def of(cls, features: Features, shares: NDArray[np.float64], area: float, stream: np.random.Generator) -> Outcome:
        """Gives a law under which the levels have these shares, and can be predicted as well as asked for.

        Args:
            features: Those of many patients, shape (patients, features).
            shares: Share of each level, shape (levels,).
            area: Area under the ROC curve of the true chances, mean over the levels, each against the others. If the
                features cannot carry so much, the law is as strong as they allow.
            stream: What is drawn from.
        """
        count, risks = features.shape[1], max(len(shares) - 1, 0)
        shared = shared_direction(features)[:, None]
        own = np.abs(stream.laplace(size=(count, risks))) * (stream.random((count, 1)) >= _IDLE)
        own *= np.where(stream.random((count, risks)) < _AGAINST, -1.0, 1.0) * np.where(shared < 0, -1.0, 1.0)
        part = stream.uniform(*_ILLNESS, risks)
        weights = np.sqrt(part) * _scaled(features, shared) + np.sqrt(1 - part) * _scaled(features, own)
        weights *= stream.choice((-1.0, 1.0), risks)
        pairs = stream.integers(0, max(count, 1), (-(-count // 2), 2))
        pairs[::2, 1] = pairs[::2, 0]
        bends = stream.standard_normal((len(pairs), risks))
        made = cls(weights, pairs, bends, np.ones((2, risks)), 0.0, np.log(shares))
        parts = np.stack([np.std(part, axis=0) for part in made.parts(features)])  # (2, levels - 1)
        part = stream.uniform(*_BENT, risks)
        parts = np.where(parts > 1e-9, parts, 1.0) / np.sqrt([1 - part, part])
        made = cls(weights, pairs, bends, parts, 0.0, made.base)
        risk = made.risk(features)
        low, high = 0.0, _STRONGEST
        for _ in range(20):
            middle = (low + high) / 2
            chances = softmax(_based(risk, shares, middle) + middle * risk)
            low, high = (middle, high) if mean_area(chances) < area else (low, middle)
        return cls(weights, pairs, bends, made.scale, high, _based(risk, shares, high))

    def parts(self, features: Features) -> tuple[Features, Features]:
        """Gives the straight and the bent part of the risk, each of shape (patients, levels - 1), mean about 0."""
        one, two = features[:, self.pairs[:, 0]], features[:, self.pairs[:, 1]]
        itself = self.pairs[:, 0] == self.pairs[:, 1]
        return features @ self.weights, (one * two - itself) @ self.bends

    def risk(self, features: Features) -> Features:
        """Gives the risk of each level, shape (patients, levels); that of the first level is 0."""
        straight, bent = self.parts(features)
        risk = straight / self.scale[0] + bent / self.scale[1]
        return np.column_stack([np.zeros(len(risk)), risk])

    def codes(self, features: Features, stream: np.random.Generator) -> Codes:
        """Gives the number of each patient's level, shape (patients,)."""
        if len(self.base) < 2:
            return np.zeros(len(features))
        chances = softmax(self.base + self.strength * self.risk(features))
        # The Gumbel trick: the largest of chance and noise falls on each level with its chance.
        return np.argmax(np.log(chances + 1e-300) + stream.gumbel(size=chances.shape), axis=1).astype(np.float64)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the chances of logits of shape (patients, levels)."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def mean_area(chances: NDArray[np.float64]) -> float:
    """Gives the area under the ROC curve that true chances reach on average, mean over the levels.

    A pair of a patient with a level and another one without it counts as often as the chances say that it occurs.

    Args:
        chances: Shape (patients, levels).

    Example:
        >>> round(mean_area(np.array([[0.5, 0.5], [0.5, 0.5]])), 3)
        0.5
    """
    areas: list[float] = []
    for chance in chances.T:
        has = np.sort(chance)
        lacks = 1 - has
        below = np.cumsum(lacks) - lacks
        pairs = has.sum() * lacks.sum() - has @ lacks
        areas.append(float(has @ below / pairs) if pairs > 1e-12 else 0.5)
    return float(np.mean(areas)) if areas else 0.5


def shared_direction(features: Features) -> NDArray[np.float64]:
    """Gives the direction in which patients differ most, shape (features,): the first principal component."""
    centred = features[:_LOOKED] - features[:_LOOKED].mean(axis=0)
    found = np.ones(features.shape[1])
    for _ in range(20):  # the power method
        found = centred.T @ (centred @ found)
        found /= np.linalg.norm(found) + 1e-300
    return found


def _scaled(features: Features, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the weights under which the sums over the features have variance 1, shape (features, risks)."""
    spread = np.std(features @ weights, axis=0)
    return weights / np.where(spread > 1e-9, spread, 1.0)


def _based(risk: Features, shares: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Gives the logits at which the levels have their shares among these patients."""
    base = np.log(shares)
    for _ in range(30):
        base = base + np.log(shares) - np.log(softmax(base + strength * risk).mean(axis=0) + 1e-300)
    return base

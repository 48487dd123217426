"""Whether synthetic patients are useful: how like the real ones they are, and whether they do their work."""

from __future__ import annotations

from wardgan.evaluate.fidelity import (
    CorrelationAgreement,
    Gap,
    correlation_agreement,
    correlations,
    median_gap,
    pair_total_variation,
    total_variation,
)
from wardgan.evaluate.figures import correlation_pair, median_trajectories
from wardgan.evaluate.utility import (
    Answers,
    Score,
    Utility,
    ask_classifiers,
    score_classifiers,
    train_synthetic_test_real,
)

__all__ = [
    "Answers",
    "CorrelationAgreement",
    "Gap",
    "Score",
    "Utility",
    "ask_classifiers",
    "correlation_agreement",
    "correlation_pair",
    "correlations",
    "median_gap",
    "median_trajectories",
    "pair_total_variation",
    "score_classifiers",
    "total_variation",
    "train_synthetic_test_real",
]

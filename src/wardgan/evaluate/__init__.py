"""Whether synthetic patients are useful: how like the real ones they are, and whether they do their work."""

from __future__ import annotations

from wardgan.evaluate.associations import association_gap
from wardgan.evaluate.coefficients import Coefficient, CoefficientAgreement, coefficient_agreement
from wardgan.evaluate.curves import Curve
from wardgan.evaluate.detect import detection, detector, propensity_ratio
from wardgan.evaluate.distances import Likeness, likeness
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
from wardgan.evaluate.groups import Grouped, default_groups
from wardgan.evaluate.hazards import hazard_agreement
from wardgan.evaluate.neighbours import Neighbourhoods, neighbourhoods
from wardgan.evaluate.obedience import (
    Combination,
    Obedience,
    RuleKept,
    UnseenCombinations,
    rules_kept,
    unseen_combinations,
)
from wardgan.evaluate.record import Beside
from wardgan.evaluate.reliability import Calibration, Point, calibration
from wardgan.evaluate.slopes import Slopes
from wardgan.evaluate.survival import (
    Endpoint,
    FollowUp,
    Survival,
    SurvivalGap,
    endpoint_of,
    follow_up,
    survival_agreement,
)
from wardgan.evaluate.transfer import Transfer, Utility, train_synthetic_test_real
from wardgan.evaluate.utility import Answers, Score, ask_classifiers, score_classifiers
from wardgan.evaluate.vanished import Subgroup, subgroups
from wardgan.evaluate.visits import Course, Slot, course

__all__ = [
    "Answers",
    "Beside",
    "Calibration",
    "Coefficient",
    "CoefficientAgreement",
    "Combination",
    "CorrelationAgreement",
    "Course",
    "Curve",
    "Endpoint",
    "FollowUp",
    "Gap",
    "Grouped",
    "Likeness",
    "Neighbourhoods",
    "Obedience",
    "Point",
    "RuleKept",
    "Score",
    "Slopes",
    "Slot",
    "Subgroup",
    "Survival",
    "SurvivalGap",
    "Transfer",
    "UnseenCombinations",
    "Utility",
    "ask_classifiers",
    "association_gap",
    "calibration",
    "coefficient_agreement",
    "correlation_agreement",
    "correlation_pair",
    "correlations",
    "course",
    "default_groups",
    "detection",
    "detector",
    "endpoint_of",
    "follow_up",
    "hazard_agreement",
    "likeness",
    "median_gap",
    "median_trajectories",
    "neighbourhoods",
    "pair_total_variation",
    "propensity_ratio",
    "rules_kept",
    "score_classifiers",
    "subgroups",
    "survival_agreement",
    "total_variation",
    "train_synthetic_test_real",
    "unseen_combinations",
]

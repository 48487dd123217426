"""Membership inference: can somebody with the synthetic patients tell who was trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from wardgan.attack.certify import Scores, ceiling, certified_epsilon, curve, hits, hits_at_most, hits_in_reach
from wardgan.attack.nearest import nearest
from wardgan.attack.patients import Parties, Rows
from wardgan.attack.result import Power, Question, Result, too_few
from wardgan.errors import UsageError
from wardgan.estimate import area_error, area_under_curve
from wardgan.rng import Seed

RATES: Final = {"tpr_1": 0.01, "tpr_01": 0.001}
MOST: Final = 10_000
ISOLATED: Final = 0.05

# Distances are means over variables between 0 and 1; below this one, all are alike.
_BLUR: Final = 1e-4
_TREES: Final = 100
_TAUGHT: Final = 20_000


@dataclass(frozen=True, eq=False, repr=False)
class Arena:
    """Who is told apart: training patients and hold-out patients, with the scores that each attack gave them.

    Attributes:
        members: For each attack the scores of the tested training patients, shape (members,).
        others: For each attack the scores of the tested hold-out patients, none of whom is in the reference sample.
        isolation: Distance of the members and of the others to the nearest patient of the reference sample.
    """

    members: Mapping[str, Scores]
    others: Mapping[str, Scores]
    isolation: tuple[Scores, Scores]

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of members and of others."""
        return self.isolation[0].size, self.isolation[1].size


def arena(parties: Parties, *, seed: Seed) -> Arena:
    """Gives the scores of all membership attacks.

    Half of the hold-out is the attacker's reference sample, the other half are the non-members who are tested: nobody
    is both, or every attack that uses the reference would look weak. At most 10,000 of each are tested; of synthetic
    patients none is left out, because the twin of a copied patient would be left out with them.

    Args:
        parties: The patients; the hold-out has at least two.
        seed: Of the halves, of who is tested, and of the forest.

    Source:
        nearest: the density ratio of DOMIAS (van Breugel et al., AISTATS 2023), both densities by the nearest
        neighbour; distance: GAN-Leaks (Chen et al., CCS 2020); forest: density ratio by classification.
    """
    order = seed.stream("attack/halves").permutation(len(parties.holdout))
    half = len(order) // 2
    reference, others = parties.holdout[np.sort(order[:half])], parties.holdout[np.sort(order[half:])]
    others = tested(others, seed, "attack/others")
    members = tested(parties.train, seed, "attack/members")
    numeric = parties.variables.numeric
    both = np.concatenate([members, others])
    near = nearest(both, parties.synthetic, numeric)[0].astype(np.float64)
    alone = nearest(both, reference, numeric)[0].astype(np.float64)
    scores = {"nearest": np.log(alone + _BLUR) - np.log(near + _BLUR), "distance": -near}
    scores["forest"] = _forest(parties.synthetic, reference, both, seed)
    cut = len(members)
    return Arena(
        {name: score[:cut] for name, score in scores.items()},
        {name: score[cut:] for name, score in scores.items()},
        (alone[:cut], alone[cut:]),
    )


def measured(
    question: Question, figure: str, members: Scores, others: Scores, *, delta: float, seed: Seed
) -> Result:  # fmt: skip
    """Gives one figure of an attack.

    Args:
        question: What is asked.
        figure: `auc`, `epsilon`, or one of `RATES`.
        members: Scores of training patients, shape (members,).
        others: Scores of hold-out patients, shape (others,).
        delta: Of the claim.
        seed: Of the halves.
    """
    if figure == "auc":
        return area(question, members, others)
    if figure == "epsilon":
        return epsilon(question, members, others, delta=delta, seed=seed)
    return found(question, members, others, RATES[figure])


def area(question: Question, members: Scores, others: Scores) -> Result:
    """Gives the area under the ROC curve, the curve beside it.

    Args:
        question: What is asked.
        members: Scores of training patients, shape (members,).
        others: Scores of hold-out patients, shape (others,).
    """
    few = too_few({"training": members.size, "hold-out": others.size})
    if few:
        return question.unanswered(few, members.size + others.size)
    value, points = curve(members, others)
    sizes = members.size, others.size
    plain, joint = (
        area_under_curve(value, *sizes, baseline=0.5, confidence=level) for level in (0.95, question.confidence)
    )
    return question.answered(plain, joint, area_error(0.5, *sizes), points)


def found(question: Question, members: Scores, others: Scores, rate: float) -> Result:
    """Gives the share of training patients found at few false alarms.

    Args:
        question: What is asked.
        members: Scores of training patients, shape (members,).
        others: Scores of hold-out patients, shape (others,): at least one false alarm must be allowed.
        rate: False positive rate.
    """
    few = too_few({"training": members.size, "hold-out": others.size})
    if not few and others.size * rate < 1:
        few = f"{others.size} hold-out patients are too few for a false positive rate of {100 * rate:g} %"
    if few:
        return question.unanswered(few, members.size)
    plain, joint = (hits(members, others, rate, confidence=level) for level in (0.95, question.confidence))
    smallest = hits_in_reach(members.size, others.size, rate, confidence=question.confidence)
    enough = question.limit is None or hits_at_most(members.size, others.size, rate) <= question.limit
    return question.judged(plain, joint, Power(smallest, enough))


def epsilon(question: Question, members: Scores, others: Scores, *, delta: float, seed: Seed) -> Result:
    """Gives a certified lower bound of epsilon; its power is the largest bound that these patients could certify.

    Args:
        question: What is asked; the limit is the claimed epsilon.
        members: Scores of training patients, shape (members,).
        others: Scores of hold-out patients, shape (others,).
        delta: Of the claim.
        seed: Of the halves.
    """
    few = too_few({"training": members.size // 2, "hold-out": others.size // 2})
    if few:
        return question.unanswered(f"in a half, {few}", members.size + others.size)
    one, two = (_halved(scores, seed, question.name, step) for step, scores in enumerate((members, others)))
    plain, joint = (certified_epsilon(one, two, delta=delta, confidence=level) for level in (0.95, question.confidence))
    most = ceiling(one[1].size, two[1].size, delta=delta, confidence=question.confidence)
    # There is no upper end: a small bound is no evidence that epsilon is small.
    return question.judged(plain, joint, Power(most, most > (question.limit or 0.0)))


def most_isolated(arena: Arena, attack: str = "nearest") -> tuple[Scores, Scores]:
    """Gives the scores of the most isolated twentieth of all tested patients, members and others.

    Isolated are those who are farthest from the reference sample, which treats members and others alike.

    Args:
        arena: Who was tested.
        attack: Whose scores.
    """
    both = np.concatenate(arena.isolation)
    count = max(1, round(ISOLATED * both.size))
    edge = np.sort(both)[-count]
    members, others = (isolation >= edge for isolation in arena.isolation)
    return arena.members[attack][members], arena.others[attack][others]


def tested(rows: Rows, seed: Seed, name: str) -> Rows:
    """Gives the patients who are tested: all, or 10,000 of them at random.

    Args:
        rows: Shape (patients, variables).
        seed: Of the choice.
        name: Of the stream.
    """
    if len(rows) <= MOST:
        return rows
    return rows[np.sort(seed.stream(name).permutation(len(rows))[:MOST])]


def _halved(scores: Scores, seed: Seed, name: str, step: int) -> tuple[Scores, Scores]:
    order = seed.stream(f"attack/{name}", step).permutation(scores.size)
    half = scores.size // 2
    return scores[order[:half]], scores[order[half:]]


def _forest(synthetic: Rows, reference: Rows, both: Rows, seed: Seed) -> Scores:
    """Gives the chance of each patient to be synthetic, by a forest that knows none of them."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise UsageError("Attacks need scikit-learn. Install it with: pip install 'wardgan[train]'") from error
    stream = seed.stream("attack/forest")
    parts = [rows[np.sort(stream.permutation(len(rows))[:_TAUGHT])] for rows in (reference, synthetic)]
    origin = np.repeat([0, 1], [len(part) for part in parts])
    forest = RandomForestClassifier(
        n_estimators=_TREES, class_weight="balanced", n_jobs=1, random_state=int(stream.integers(2**31))
    )
    forest.fit(np.concatenate(parts), origin)
    chances = np.asarray(forest.predict_proba(both), dtype=np.float64)  # (patients, origins)
    return chances[:, -1]

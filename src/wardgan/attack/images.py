"""Attacks on a generator of images: whoever has its images, and other patients' images, looks for training patients.

An image is a point, in several spaces: blurred pixels, or features of a network. What is told apart are patients, not
images: of several images of a patient the one that gives away most counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.attack import membership
from wardgan.attack.battery import Battery
from wardgan.attack.inference import compared_by_level
from wardgan.attack.questions import IMAGE_ATTACKERS, image_questions
from wardgan.attack.result import POWER, Power, Question, Result, too_few
from wardgan.errors import DataError, UsageError
from wardgan.estimate import Estimate, exact_proportion, normal_quantile
from wardgan.points import Owners, Points, even, nearest
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

Codes = Owners

# Two images of different patients are as near as this in one of 100 cases.
NEAR: Final = 0.01
GREY_LEVEL: Final = 2 / 255
# Around a certain copy there is no other patient within so many grey levels.
_ALONE: Final = 4
_BLUR: Final = 1e-3
_TWINS: Final = "hold-out images are the same as training images up to a grey level, so that a copy proves little"
# Where nothing was found, as much as three hits is not excluded (the rule of three).
_HIDDEN: Final = 3


@dataclass(frozen=True, eq=False, repr=False)
class Side:
    """Images of training, hold-out or synthetic patients, as points.

    Attributes:
        points: For each attacker of `IMAGE_ATTACKERS` an array of shape (images, numbers). Those of `pixels` are grey
            levels from -1 to 1.
        patients: Number of the patient of each image, shape (images,).
        labels: For each label the place of its level, shape (images,).
    """

    points: Mapping[str, Points]
    patients: Codes
    labels: Mapping[str, Codes]

    def __post_init__(self) -> None:
        sizes = {len(self.patients), *(len(one) for one in (*self.points.values(), *self.labels.values()))}
        if set(self.points) != set(IMAGE_ATTACKERS) or len(sizes) > 1 or 0 in sizes:
            raise DataError("images: a side needs points for each attacker, patients and labels of the same images.")
        if not all(bool(np.isfinite(one).all()) for one in self.points.values()):
            raise DataError("images: a point has a number that is not finite.")

    @property
    def people(self) -> int:
        """How many patients there are."""
        return int(np.unique(self.patients).size)

    def take(self, images: NDArray[Any]) -> Side:
        """Gives some of the images, their patients numbered from 0.

        Args:
            images: Positions, or which ones.
        """
        return Side(
            {name: points[images] for name, points in self.points.items()},
            np.unique(self.patients[images], return_inverse=True)[1].astype(np.int64),
            {name: codes[images] for name, codes in self.labels.items()},
        )

    def in_order(self) -> Side:
        """Gives the same images in an order that hangs on what they show, and not on that of the files."""
        names = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in self.points["pixels"]]
        whose: dict[int, list[bytes]] = {}
        for patient, name in zip(self.patients.tolist(), names, strict=True):
            whose.setdefault(patient, []).append(name)
        keys = {patient: b"".join(sorted(each)) for patient, each in whose.items()}
        patients = self.patients.tolist()
        order = sorted(range(len(names)), key=lambda at: (keys[patients[at]], patients[at], names[at]))
        places = {patient: place for place, patient in enumerate(dict.fromkeys(patients[at] for at in order))}
        found = self.take(np.array(order))
        return Side(found.points, np.array([places[patients[at]] for at in order], dtype=np.int64), found.labels)


def image_battery(
    train: Side, holdout: Side, synthetic: Side, schema: Schema, *, seed: Seed, epsilon: float | None = None,
    delta: float = 1e-5,
) -> Battery:  # fmt: skip
    """Gives what all attacks on a generator of images find.

    Half of the hold-out patients are the attacker's reference sample, the others are told from training patients. The
    result depends on the images, and not on their order. All numbers are about real patients.

    Args:
        train: Images that the generator has learned from.
        holdout: Images of other patients, drawn like them; best as many.
        synthetic: Images drawn from it; best as many.
        schema: Declares the labels.
        seed: Of the halves.
        epsilon: What the generator claims; a larger certified bound is a leak. `None`: any bound is.
        delta: Of the claim.

    Raises:
        UsageError: `epsilon` or `delta` is none.
    """
    if epsilon is not None:
        check.positive(epsilon=epsilon)
    if not check.is_number(delta) or not 0 <= delta < 1:
        raise UsageError(f"delta={delta!r} is not at least 0 and below 1.")
    asked = image_questions(schema, epsilon)
    whole = train.in_order(), holdout.in_order()
    found, every = (_Attacks(*sides, synthetic, seed, delta) for sides in (_alike(*whole), whole))
    # For a copy all images of a patient count, whoever has more of them.
    results = tuple((every if one.name == "copies.certain" else found).answer(one) for one in asked)
    family = sum(question.limit is not None for question in asked)
    return Battery(results, family, train.people, holdout.people, len(synthetic.patients))


def _alike(train: Side, holdout: Side) -> tuple[Side, Side]:
    """Gives both sides with one image of each patient, unless all patients have the same number of them.

    Of several images the one that gives away most counts. Whoever has more of them gives away more, though nobody knows
    them; so the numbers must not differ between the sides. Which image it is hangs on what it shows alone.
    """
    if even(train.patients, holdout.patients):
        return train, holdout
    one, other = (side.take(np.unique(side.patients, return_index=True)[1]) for side in (train, holdout))
    return one, other


@dataclass(frozen=True, eq=False, repr=False)
class _Attacks:
    train: Side
    holdout: Side
    synthetic: Side
    seed: Seed
    delta: float

    def answer(self, question: Question) -> Result:
        kind, *rest = question.name.split(".")
        if kind == "copies":
            return self._excess(question) if rest[0] == "near" else self._certain(question)
        if kind == "inference":
            return self._guessed(question, question.name.partition(".")[2])
        return self._membership(question, *rest)

    def _membership(self, question: Question, attack: str, figure: str) -> Result:
        few = too_few({
            "training": self.train.people, "tested hold-out": self.holdout.people // 2,
            "synthetic": len(self.synthetic.patients),
        })  # fmt: skip
        if few:
            return question.unanswered(few)
        if attack == "worst":
            return membership.area(question, *membership.most_isolated(self._arena("pixels"), "pixels"))
        arena = self._arena(attack)
        scores = arena.members[attack], arena.others[attack]
        return membership.measured(question, figure, *scores, delta=self.delta, seed=self.seed)

    def _arena(self, space: str) -> membership.Arena:
        """Gives how much nearer a synthetic image is to each patient than any image of the reference sample."""
        order = self.seed.stream("attack/images/halves").permutation(self.holdout.people)
        reference = np.isin(self.holdout.patients, order[: self.holdout.people // 2])
        others = self.holdout.take(~reference)
        known, made = self.holdout.points[space][reference], self.synthetic.points[space]
        alone, near = (
            [nearest(side.points[space], base)[0] for side in (self.train, others)] for base in (known, made)
        )
        blur = _BLUR * float(np.median(np.concatenate(alone))) + 1e-12
        scores = [
            _of_patients(np.log(far + blur) - np.log(close + blur), side.patients)
            for far, close, side in zip(alone, near, (self.train, others), strict=True)
        ]
        isolation = [-_of_patients(-far, side.patients) for far, side in zip(alone, (self.train, others), strict=True)]
        return membership.Arena({space: scores[0]}, {space: scores[1]}, (isolation[0], isolation[1]))

    def _guessed(self, question: Question, label: str) -> Result:
        """Compares how often the nearest synthetic image has a patient's own level."""
        few = too_few({"training": self.train.people, "hold-out": self.holdout.people})
        if few:
            return question.unanswered(few)
        right, wanted = [], []
        for side in (self.train, self.holdout):
            # One image of each patient: the first one in an order that hangs on nothing but what they show.
            one = side.take(np.unique(side.patients, return_index=True)[1])
            place = nearest(one.points["features"], self.synthetic.points["features"])[1]
            right.append(self.synthetic.labels[label][place] == one.labels[label])
            wanted.append(one.labels[label].astype(np.float32))
        return compared_by_level(question, right, wanted)

    def _excess(self, question: Question) -> Result:
        """Gives the share of synthetic images near to a training patient, beyond what the hold-out would make likely.

        If the generator knows nothing of the split, patients could be exchanged: of `a` near images at T training
        patients and `b` at H others, `a - b T / H` is 0 on average, whoever is everybody's nearest. Its deviation is
        that of a sample of patients without replacement (Cochran, Sampling Techniques, 1977, theorem 2.2).
        """
        sizes = self.train.people, self.holdout.people
        few = too_few({"training": sizes[0], "hold-out": sizes[1], "synthetic": len(self.synthetic.patients)})
        if few:
            return question.unanswered(few)
        real, patients = self._real()
        near = float(np.quantile(nearest(real, real, patients)[0], NEAR))
        made, ours, theirs = self.synthetic.points["pixels"], self.train.points["pixels"], self.holdout.points["pixels"]
        first, second = nearest(made, ours), nearest(made, theirs)
        away = np.minimum(first[0], second[0])
        # An image that a patient of each side has counts half for either.
        part = np.where(first[0] < second[0], 1.0, np.where(first[0] == second[0], 0.5, 0.0)) * (away <= near)
        other = (away <= near) - part
        hits = np.concatenate([
            np.bincount(self.train.patients[first[1]], weights=part, minlength=sizes[0]),
            np.bincount(self.holdout.patients[second[1]], weights=other, minlength=sizes[1]),
        ])  # fmt: skip
        ours, theirs = float(part.sum()), float(other.sum())
        n, ratio = len(away), sizes[0] / sizes[1]
        variance = max(float(np.var(hits, ddof=1)), _HIDDEN / sum(sizes))
        error = (1 + ratio) * math.sqrt(sizes[0] * sizes[1] / sum(sizes) * variance) / n
        value = (ours - theirs * ratio) / n
        plain, joint = (
            Estimate(
                value, max(-1.0, value - z * error), min(1.0, value + z * error), n,
                "share beyond that of exchanged patients, normal interval", theirs * ratio / n,
            )
            for z in map(normal_quantile, (0.95, question.confidence))
        )  # fmt: skip
        return question.answered(plain, joint, error)

    def _certain(self, question: Question) -> Result:
        """Gives the share of synthetic images that are a training patient's, with nobody else near.

        One is a leak. Where hold-out patients are as alike to training patients as that, as slices of one body are that
        count as patients of their own, fresh images are so, too: then only more of them accuse than that share makes
        likely, by a Poisson distribution with the upper end of the share.
        """
        few = too_few({"training": self.train.people, "hold-out": self.holdout.people})
        if few:
            return question.unanswered(few)
        mine, made = self.train.points["pixels"], self.synthetic.points["pixels"]
        level = GREY_LEVEL * math.sqrt(mine.shape[1])
        special = nearest(mine, *self._real(), self.train.patients)[0] > _ALONE * level
        count = int((nearest(made, mine[special])[0] <= level).sum()) if special.any() else 0
        alike = nearest(self.holdout.points["pixels"], mine)[0] <= level
        twins, people = int(np.unique(self.holdout.patients[alike]).size), self.holdout.people
        n = len(made)
        plain, joint = (
            exact_proportion(count, n, baseline=twins / people, confidence=confidence)
            for confidence in (0.95, question.confidence)
        )
        if not twins:
            return question.judged(plain, joint, Power(1 / n, enough=True))
        risk = (1 - question.confidence) / 2
        expected = n * most_likely(twins, risk) / people
        sure = count >= count_beyond(expected, risk)
        value = count / n if sure else 0.0
        plain, joint = (replace(one, value=value, low=min(one.low, value)) for one in (plain, joint))
        fewest = count_beyond(expected, risk)
        # Copies come as they like: to be so many in 80 of 100 cases, they have to be somewhat more on average.
        smallest = min(1.0, (fewest + POWER * math.sqrt(fewest)) / n)
        return question.judged(plain, joint, Power(smallest, enough=False, reason=_TWINS))

    def _real(self) -> tuple[Points, Codes]:
        """Gives the pixels of all real images, and whose they are: training patients first."""
        real = np.concatenate([self.train.points["pixels"], self.holdout.points["pixels"]])
        return real, np.concatenate([self.train.patients, self.holdout.patients + self.train.people])


def poisson_tail(count: int, mean: float) -> float:
    """Gives the chance of at least `count` where `mean` are expected (Poisson).

    Example:
        >>> round(poisson_tail(2, 1.0), 4)
        0.2642
    """
    return max(0.0, 1 - math.fsum(math.exp(one * math.log(mean) - mean - math.lgamma(one + 1)) for one in range(count)))


def count_beyond(mean: float, risk: float) -> int:
    """Gives the smallest count for which so many or more are less likely than `risk` where `mean` are expected.

    Example:
        >>> count_beyond(1.0, 0.05)
        4

    Source:
        The Poisson distribution's upper tail.
    """
    low, high = 0, 1 + math.ceil(mean - 3 * math.log(risk) * (1 + math.sqrt(mean)))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if poisson_tail(middle, mean) < risk else (middle, high)
    return high


def most_likely(count: int, risk: float) -> float:
    """Gives the largest mean of a Poisson distribution for which so few are not less likely than `risk`.

    Source:
        Garwood, Biometrika 1936;28:437, the upper end of the exact interval.

    Example:
        >>> round(most_likely(0, 0.05), 3)
        2.996
    """
    low, high = 0.0, count + 10 * math.sqrt(count + 1) - 2 * math.log(risk)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - poisson_tail(count + 1, middle) > risk else (low, middle)
    return high


def _of_patients(values: Points, patients: Codes) -> Points:
    """Gives the largest value of each patient."""
    best = np.full(int(patients.max()) + 1, -np.inf)
    np.maximum.at(best, patients, values)
    return best

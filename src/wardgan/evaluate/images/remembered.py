"""Whether a generator remembers its patients: are synthetic images nearer to training than to hold-out patients?

All distances are taken twice: between pixels after a blur (of at most 32 x 32 means over blocks), and between
random features. What is compared are patients, not images. Under the null, that the synthetic images know nothing of
who was trained on, training and hold-out patients could be exchanged. So their numbers need not be equal: each side
weighs a half, and the intervals are those of drawing that many training patients out of all at random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate, area_under_curve, normal_quantile
from wardgan.evaluate.images.convolved import random_features
from wardgan.evaluate.images.copied import copies, identical
from wardgan.evaluate.images.scale import Scale
from wardgan.evaluate.images.sets import Codes, ImageSet, Pixels, Values, one_each, shrunk
from wardgan.evaluate.images.waves import blurred
from wardgan.evaluate.ranks import auroc
from wardgan.evaluate.record import Beside, plain_fields
from wardgan.points import even, nearest
from wardgan.rng import Seed

EXPOSED: Final = 0.05
ENOUGH: Final = 20
_SIDE: Final = 32
# Four numbers in two spaces, and `identical`. Each accuses at this level, so that all of them together accuse few
# generators that do not leak.
CONFIDENCE: Final = 1 - 0.05 / 9


@dataclass(frozen=True)
class Nearness:
    """How near synthetic images are to training patients, in one kind of distance.

    Attributes:
        nearer: Share of the synthetic images whose nearest patient is a training patient, each side weighing a half: .5
            is nothing.
        membership: Chance that a training patient scores higher than one of the hold-out, the score being how much
            nearer a synthetic image is than any other real patient (area under the ROC curve): .5 is nothing.
        exposed: Share of training patients among the twentieth of all patients with the highest scores, each side
            weighing a half: .5 is nothing.
        copies: Share of the synthetic images as near to a training image as only the nearest pairs of real patients
            are, beside the share of the hold-out.
        accused: Which of these say that the generator remembers, at a level that all nine numbers share.
    """

    nearer: Estimate
    membership: Estimate
    exposed: Estimate
    copies: Beside
    accused: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """What synthetic images give away about who was trained on.

    Attributes:
        spaces: For `"pixels"` and `"random features"` what was found; empty if nothing can be judged.
        identical: Share of the synthetic images that are a training image up to one grey level of 256 after the blur,
            beside the share of the hold-out; `None` if nothing can be judged.
        same: Whether that share accuses.
        refusal: Why nothing can be judged; `None` if it can.
    """

    spaces: Mapping[str, Nearness]
    identical: Beside | None = None
    same: bool = False
    refusal: str | None = None

    @property
    def accused(self) -> tuple[str, ...]:
        """What says that the generator remembers its patients; empty is no proof that it does not."""
        found = tuple(f"{name} ({space})" for space, found in self.spaces.items() for name in found.accused)
        return (*found, "identical") if self.same else found

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def memory(train: ImageSet, holdout: ImageSet, synthetic: ImageSet, *, seed: Seed) -> Memory:
    """Tells whether synthetic images are nearer to training patients than to hold-out patients.

    Args:
        train: Training images.
        holdout: Hold-out images of other patients.
        synthetic: Synthetic images.
        seed: Source of randomness of the halves of the hold-out.

    Returns:
        With fewer than 20 patients or synthetic images on a side nothing can be judged.

    Source:
        nearer: share of records nearer to training than to hold-out, Platzer and Reutterer, Front Big Data
        2021;4:679939; membership: Hilprecht et al., PoPETs 2019 (distance to the nearest synthetic image), against
        the local density as in DOMIAS (van Breugel et al., AISTATS 2023). The variance of `nearer` and `exposed` is
        that of a sample without replacement (Cochran, Sampling Techniques, 1977, theorem 2.2).
    """
    sizes = {"training patients": train.people(), "hold-out patients": holdout.people()}
    few = [f"{size} {name}" for name, size in (sizes | {"synthetic images": len(synthetic)}).items() if size < ENOUGH]
    if few:
        return Memory({}, refusal=f"there are only {' and '.join(few)}; {ENOUGH} are needed.")
    sides = *_alike(train, holdout, seed), synthetic
    spaces = spaces_of(*sides)
    found = {name: _nearness(points, sides, seed) for name, points in spaces.items()}
    # What is the same as an image of a patient is that image, whichever of the patient's images it is.
    pixels = [_blurred(one.pixels) for one in (train, holdout)]
    same = identical([*pixels, spaces["pixels"][2]], holdout.patients, seed=seed, confidence=CONFIDENCE)
    return Memory(found, *same)


def _alike(train: ImageSet, holdout: ImageSet, seed: Seed) -> tuple[ImageSet, ImageSet]:
    """Gives both with one image of each patient, unless all patients have the same number of images.

    Who has more images is nearer to everything; if training patients have more than those of the hold-out, that would
    accuse a generator that knows nobody.
    """
    if even(train.patients, holdout.patients):
        return train, holdout
    one, other = (
        side.take(one_each(side.patients, seed, f"alike/{name}"))
        for side, name in ((train, "train"), (holdout, "holdout"))
    )
    return one, other


def spaces_of(train: ImageSet, holdout: ImageSet, synthetic: ImageSet) -> dict[str, list[Values]]:
    """Gives images as points in which nearness means something: `"pixels"` after a blur, and `"random features"`.

    Args:
        train: Training images.
        holdout: Hold-out images.
        synthetic: Synthetic images.

    Returns:
        For each space the points of the three sets, each of shape (images, numbers).
    """
    sides = train, holdout, synthetic
    features = [random_features(one.pixels) for one in sides]
    # On the scale of all real images: that of the training images alone would treat the two sides differently.
    scale = Scale.of(np.concatenate(features[:2]))
    return {"pixels": [_blurred(one.pixels) for one in sides], "random features": [scale(one) for one in features]}


def _nearness(points: list[Values], sides: tuple[ImageSet, ImageSet, ImageSet], seed: Seed) -> Nearness:
    train, holdout, _ = sides
    patients, member = _together(train.patients, holdout.patients)
    real = np.concatenate(points[:2])
    hits = np.bincount(patients[nearest(points[2], real)[1]], minlength=member.size)
    scores = _scores(real, patients, points[2])
    edge = np.argsort(-scores, kind="stable")[: max(1, round(EXPOSED * scores.size))]
    top = np.bincount(edge, minlength=member.size)
    found = {
        "nearer": weighted_share(hits, member, "nearest patient is a training patient"),
        "exposed": weighted_share(top, member, "training patients among the most exposed twentieth"),
        "membership": area_under_curve(auroc(scores, member), int(member.sum()), int((~member).sum()), baseline=0.5),
    }
    strict = {
        "nearer": weighted_share(hits, member, "", confidence=CONFIDENCE),
        "exposed": weighted_share(top, member, "", confidence=CONFIDENCE),
        "membership": area_under_curve(
            found["membership"].value, int(member.sum()), int((~member).sum()), confidence=CONFIDENCE
        ),
    }
    accused = [name for name, one in strict.items() if one.low > 0.5]
    near, copied = copies(points, holdout.patients, seed=seed, confidence=CONFIDENCE)
    return Nearness(
        found["nearer"],
        found["membership"],
        found["exposed"],
        near,
        (*accused, "copies") if copied else tuple(accused),
    )


def weighted_share(
    counts: NDArray[np.int64], member: NDArray[np.bool_], text: str, *, confidence: float = 0.95
) -> Estimate:
    """Gives the share of counts that fall on training patients, training and hold-out patients weighing a half each.

    (a / T) / (a / T + b / H) for a counts on T training patients and b on H of the hold-out. If patients could be
    exchanged, a would be the total of T patients who are drawn from all T + H without replacement; its standard
    deviation, which is large where few patients have all counts, makes the interval of a.

    Args:
        counts: How much falls on each patient, shape (patients,).
        member: Which patients are training patients, shape (patients,); both kinds occur.
        text: What was measured.
        confidence: Level of the interval.

    Example:
        >>> print(weighted_share(np.array([4, 3, 0, 1]), np.array([True, True, False, False]), "share"))
        0.875 [0.428, 1.000] against 0.500
    """
    total, patients = float(counts.sum()), member.size
    sides = int(member.sum()), int((~member).sum())
    ours = float(counts[member].sum())
    variance = sides[0] * sides[1] / patients * float(np.var(counts, ddof=1))
    half = normal_quantile(confidence) * math.sqrt(variance)
    ends = (ours, max(0.0, ours - half), min(total, ours + half))

    def share(a: float) -> float:
        one, two = a / sides[0], (total - a) / sides[1]
        return one / (one + two)

    value, low, high = (share(a) for a in ends)
    return Estimate(value, low, high, int(total), f"{text}, interval of exchanged patients", 0.5)


def _scores(real: Values, patients: Codes, made: Values) -> Values:
    """Gives for each patient how much nearer a synthetic image is than any other real patient, shape (patients,)."""
    best = np.full(int(patients.max()) + 1, -np.inf)
    apart = nearest(real, made)[0]
    alone = nearest(real, real, patients)[0]
    blur = 1e-3 * float(np.median(alone)) + 1e-12
    np.maximum.at(best, patients, np.log(alone + blur) - np.log(apart + blur))
    return best


def _together(train: Codes, holdout: Codes) -> tuple[Codes, NDArray[np.bool_]]:
    """Gives the number of each image's patient, training patients first, and which patients are training patients."""
    ours, one = np.unique(train, return_inverse=True)
    theirs, other = np.unique(holdout, return_inverse=True)
    return np.concatenate([one, other + ours.size]), np.arange(ours.size + theirs.size) < ours.size


def _blurred(pixels: Pixels) -> Values:
    """Gives blurred small images as rows, shape (images, values)."""
    small = shrunk(pixels, _SIDE).astype(np.float64)
    flat = small.reshape(-1, *small.shape[2:])
    return blurred(blurred(flat)).reshape(len(pixels), -1)

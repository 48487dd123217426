"""Whether synthetic images are copies: nearer to a training image than real patients are to each other."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate
from wardgan.evaluate.images.clusters import share_of
from wardgan.evaluate.images.sets import Codes, Values, one_each
from wardgan.evaluate.record import Beside, beside
from wardgan.points import nearest, parts, squared
from wardgan.rng import Seed

NEAR_PAIRS: Final = 0.05
GREY_LEVEL: Final = 2 / 255
_ENOUGH: Final = 20


def copies(points: list[Values], patients: Codes, *, seed: Seed, confidence: float) -> tuple[Beside, bool]:
    """Gives the share of synthetic images that are as near to a training image as hardly any patient is.

    One half of the hold-out patients says how near that is: the distance that a twentieth of them have to the nearest
    training image, or the median distance of two images of one patient, if that is smaller. The other half is the
    control. One image of each patient counts.

    Synthetic images that are as near to each other count as one cluster in the interval. So a generator that makes ten
    images again and again is not accused because some of the ten are near to a training image, as some patients are.

    Args:
        points: Training, hold-out and synthetic images, each of shape (images, values).
        patients: Patient of each hold-out image, shape (images,).
        seed: Source of randomness of the halves.
        confidence: Level at which the share accuses.

    Returns:
        The share, beside that of the control, and whether it accuses.

    Source:
        Interval of the difference: Newcombe, Stat Med 1998;17:873, method 10.
    """
    chosen = one_each(patients, seed, "copies")
    half = len(chosen) // 2
    apart = nearest(points[1], points[0])[0]
    near = float(np.quantile(apart[chosen[:half]], NEAR_PAIRS))
    twins = _twins(points[1], patients, chosen[:half])
    text = "share within the distance of the nearest twentieth of the hold-out"
    if twins is not None and twins < near:
        near, text = twins, "share within the distance of two images of one patient"
    made, control = nearest(points[2], points[0])[0] <= near, apart[chosen[half:]] <= near
    return _judged((made, clustered(points[2], near)), control, text, confidence)


def identical(points: list[Values], patients: Codes, *, seed: Seed, confidence: float) -> tuple[Beside, bool]:
    """Gives the share of synthetic images that are a training image up to one grey level of 256.

    Here every synthetic image counts: what is the same as a patient's image is that image, and one patient who is
    handed out a hundred times is a leak, though it may look like chance to whoever counts patients.

    Args:
        points: Training, hold-out and synthetic images as pixels, each of shape (images, values).
        patients: Patient of each hold-out image, shape (images,).
        seed: Source of randomness of the image of each patient that counts.
        confidence: Level at which the share accuses.

    Returns:
        The share, beside that of the hold-out, and whether it accuses. Images that many patients share, such as
        black ones, are in both.
    """
    limit = GREY_LEVEL * math.sqrt(points[0].shape[1])
    made = nearest(points[2], points[0])[0] <= limit
    control = nearest(points[1][one_each(patients, seed, "identical")], points[0])[0] <= limit
    return _judged((made, np.arange(len(made))), control, "share up to one grey level", confidence)


def clustered(points: Values, near: float) -> Codes:
    """Gives the first point of the cluster of each: the first free point and all free ones within `near`, and so on.

    Args:
        points: Shape (points, values).
        near: Distance.

    Example:
        >>> clustered(np.array([[0.0], [5.0], [0.9], [1.8]]), 1.0).tolist()
        [0, 1, 0, 3]
    """
    owner = np.full(len(points), -1, dtype=np.int64)
    for part in parts(len(points)):
        within = squared(points[part], points) <= near**2
        for row, around in enumerate(within, start=part.start):
            if owner[row] < 0:
                owner[(owner < 0) & around] = row
                owner[row] = row
    return owner


def _judged(
    made: tuple[NDArray[np.bool_], NDArray[Any]], control: NDArray[np.bool_], text: str, confidence: float
) -> tuple[Beside, bool]:
    """Gives two shares side by side, and whether the first is larger; `made` holds who, and the cluster of each."""
    alone = np.arange(len(control))
    plain, strict = (
        (share_of(*made, text, confidence=level), share_of(control, alone, text, confidence=level))
        for level in (0.95, confidence)
    )
    return beside(*plain), _above(*strict)


def _above(one: Estimate, other: Estimate) -> bool:
    return one.value - other.value > math.hypot(one.value - one.low, other.high - other.value)


def _twins(points: Values, patients: Codes, chosen: NDArray[np.intp]) -> float | None:
    """Gives the median distance of the nearest two images of one patient, of at least 20 patients who have several."""
    found = [
        float(nearest(points[one][None], points[others])[0][0])
        for one in chosen
        if (others := np.flatnonzero((patients == patients[one]) & (np.arange(len(patients)) != one))).size
    ]
    return float(np.median(found)) if len(found) >= _ENOUGH else None

"""Whether synthetic images do the work of real ones: a small network learns from them and is tested on the hold-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.estimate import Estimate, area_under_curve, share_interval
from wardgan.evaluate.images.draws import SIDE, Draws, need_torch, over_repeats, patient_draws, seed_of
from wardgan.evaluate.images.sets import Codes, ImageSet, Values, sample, shrunk
from wardgan.evaluate.ranks import weighted_aurocs
from wardgan.evaluate.record import plain_fields
from wardgan.evaluate.resample import interval, ratio
from wardgan.rng import Seed

ENOUGH: Final = 10
STEPS: Final = 300
_BLOCK: Final = 50


@dataclass(frozen=True)
class Taught:
    """What a small network learns from synthetic images, beside what it learns from real ones.

    Attributes:
        tstr: Area under the ROC curve, taught by synthetic images and tested on the hold-out; mean over the classes,
            each against all others, and over the repeats. Baseline `trtr`.
        trtr: Taught by as many training images, tested on the hold-out.
        trts: Taught by training images, tested on the synthetic ones; baseline `trtr`. `None` where a class has too few
            synthetic images.
        share: `tstr` divided by `trtr`.
        accuracy: Mean over the classes of the share of hold-out images that are recognised, taught by synthetic images;
            the baseline is the same taught by training images.
        classes: The classes that count: those with at least 10 hold-out patients inside and outside.
        taught: Number of images that taught, the same of either kind.
    """

    tstr: Estimate
    trtr: Estimate
    trts: Estimate | None
    share: Estimate
    accuracy: Estimate
    classes: tuple[int, ...]
    taught: int

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def train_and_test(
    train: ImageSet, synthetic: ImageSet, holdout: ImageSet, *, seed: Seed, repeats: int = 3, steps: int = STEPS
) -> Taught | str:
    """Compares small networks that learned from synthetic images with those that learned from training images.

    As many images of either kind teach, for always the same number of steps, and each class weighs alike: so what
    differs is what the images teach. Images longer than 64 pixels are made smaller by means over blocks.

    Args:
        train: Images that the generator has learned from.
        synthetic: Synthetic images.
        holdout: Real images of other patients.
        seed: Source of randomness of the networks and of the intervals.
        repeats: How many networks of either kind, at least 1; numbers are means over them.
        steps: Steps of each training.

    Returns:
        What was reached, or why it cannot be judged. Intervals are a bootstrap over the patients and the networks; they
        do not speak of another generator.

    Raises:
        UsageError: torch is not installed.

    Source:
        Esteban, Hyland, Rätsch 2017, arXiv:1706.02633 (train on synthetic, test on real); mean of the areas of each
        class against the rest: Provost and Domingos, Mach Learn 2003;52:199.
    """
    counted = judged(holdout)
    if not counted:
        return f"fewer than {ENOUGH} hold-out patients in all classes but one, or outside of them; it cannot be judged."
    need_torch()
    from wardgan.evaluate.images.nets import classifier

    size = min(len(train), len(synthetic))
    real, made = (sample(one, size, seed, f"taught/{name}") for name, one in (("real", train), ("made", synthetic)))
    classes = int(max(one.labels.max() for one in (real, made, holdout))) + 1

    def ask(teacher: ImageSet, asked: list[ImageSet], name: str) -> list[Values]:
        """Gives the chances of all repeats for each of the sets that are asked about, (repeats, images, classes)."""
        found: list[list[Values]] = []
        for repeat in range(repeats):
            net = classifier(
                shrunk(teacher.pixels, SIDE), teacher.labels, classes, steps=steps, seed=seed_of(seed, name, repeat)
            )
            found.append([net(shrunk(one.pixels, SIDE)) for one in asked])
        return [np.stack(one) for one in zip(*found, strict=True)]

    by_real, back = ask(real, [holdout, made], "real")
    (by_made,) = ask(made, [holdout], "made")
    weights = patient_draws(holdout, seed)
    areas = {name: _areas(found, holdout.labels, counted, weights, seed, name) for name, found in
             (("real", by_real), ("made", by_made))}  # fmt: skip
    trtr = _area(areas["real"], holdout, counted)
    accuracies = {name: _recalls(found, holdout.labels, counted, weights, seed, name) for name, found in
                  (("real", by_real), ("made", by_made))}  # fmt: skip
    n = holdout.people()
    return Taught(
        replace(_area(areas["made"], holdout, counted), baseline=trtr.value),
        trtr,
        _trts(back, made, counted, trtr.value, seed),
        replace(
            interval(ratio(areas["made"], areas["real"]), n, "share of two areas on the same patients", low=0.0),
            baseline=1.0,
        ),
        _accuracy(accuracies, n),
        counted,
        size,
    )


def judged(images: ImageSet) -> tuple[int, ...]:
    """Gives the classes with at least 10 patients inside and outside, in order; none if there is but one."""
    people = {int(label): set(images.patients[images.labels == label].tolist()) for label in np.unique(images.labels)}
    outside = {label: set(images.patients[images.labels != label].tolist()) for label in people}
    return tuple(label for label, inside in people.items() if min(len(inside), len(outside[label])) >= ENOUGH)


def _by_class(
    chances: Values, labels: Codes, counted: tuple[int, ...], measure: Callable[[Values, NDArray[np.bool_], int], Draws]
) -> Draws:
    """Gives the mean over the classes of a measure of each repeat, shape (repeats, 1 + draws)."""
    return np.stack(
        [np.mean([measure(found, labels == label, label) for label in counted], axis=0) for found in chances]
    )


def _areas(chances: Values, labels: Codes, counted: tuple[int, ...], weights: Draws, seed: Seed, name: str) -> Draws:
    def area(found: Values, inside: NDArray[np.bool_], label: int) -> Draws:
        blocks = [weights[at : at + _BLOCK] for at in range(0, len(weights), _BLOCK)]
        return np.concatenate([weighted_aurocs(found[:, label], inside, block) for block in blocks])

    return over_repeats(_by_class(chances, labels, counted, area), seed, f"area/{name}")


def _recalls(chances: Values, labels: Codes, counted: tuple[int, ...], weights: Draws, seed: Seed, name: str) -> Draws:
    def recall(found: Values, inside: NDArray[np.bool_], label: int) -> Draws:
        right = (found.argmax(axis=1) == label) & inside
        return (weights @ right) / (weights @ inside)

    return over_repeats(_by_class(chances, labels, counted, recall), seed, f"recall/{name}")


def _area(areas: Draws, images: ImageSet, counted: tuple[int, ...]) -> Estimate:
    n = images.people()
    found = interval(areas, n, f"area under the ROC curve, mean over {len(counted)} classes", low=0.0, high=1.0)
    if found.low < found.high:
        return found
    # All draws agree, as they do where the classes are told apart without a fault: no draw can say how sure that is.
    least = min(images.take(images.labels == label).people() for label in counted)
    single = area_under_curve(found.value, least, n - least)
    return replace(found, low=single.low, high=single.high, method=f"{found.method}, Newcombe's as all draws agree")


def _accuracy(found: Mapping[str, Draws], n: int) -> Estimate:
    one = interval(found["made"], n, "balanced accuracy", low=0.0, high=1.0)
    if one.low == one.high:
        low, high = share_interval(one.value, n)
        one = replace(one, low=low, high=high, method=f"{one.method}, Wilson's as all draws agree")
    return replace(one, baseline=float(found["real"][0]))


def _trts(back: Values, made: ImageSet, counted: tuple[int, ...], baseline: float, seed: Seed) -> Estimate | None:
    if not set(counted) <= set(judged(made)):
        return None
    areas = _areas(back, made.labels, counted, patient_draws(made, seed), seed, "back")
    return replace(_area(areas, made, counted), baseline=baseline)

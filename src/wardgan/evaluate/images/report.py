"""All that is measured about synthetic images, in one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import DataError, UsageError
from wardgan.estimate import Estimate
from wardgan.evaluate.images.clusters import share_of
from wardgan.evaluate.images.drawn import DRAWN_STEPS, Drawn, draw_and_test
from wardgan.evaluate.images.extract import Extractor, radiomics_extractor, random_extractor
from wardgan.evaluate.images.gaps import Cloud, frechet, kernel, nearness
from wardgan.evaluate.images.places import Manifold, manifold
from wardgan.evaluate.images.remembered import Memory, memory
from wardgan.evaluate.images.scale import Scale
from wardgan.evaluate.images.sets import ImageSet, Values, pick, sample
from wardgan.evaluate.images.taught import STEPS, Taught, train_and_test
from wardgan.evaluate.images.tones import intensity_gap, spectrum_gap
from wardgan.evaluate.images.variety import Diversity, diversity
from wardgan.evaluate.record import Beside, beside, plain_fields
from wardgan.rng import Seed

MOST: Final = 2_000
ENOUGH: Final = 20
SIDES: Final = ("training", "hold-out", "synthetic")

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Distances:
    """How far the synthetic images are from the training images in one kind of features.

    Attributes:
        frechet: Frechet distance; its name holds that of the features, because it means nothing without them.
        ratio: Frechet distance of the hold-out divided by that of the synthetic images: 1 as near as other patients.
        kernel: Kernel distance, 0 on average for images of one distribution. A ratio of two such numbers means
            nothing, since the one of the hold-out is 0 but for chance.
        features: How many features were used: those that vary in the training images.
        manifold: Precision, recall, density and coverage.
    """

    frechet: Beside
    ratio: Estimate
    kernel: Beside
    features: int
    manifold: Manifold


@dataclass(frozen=True)
class ClassReport:
    """What was measured on the images of one class.

    Attributes:
        label: Code of the class.
        sizes: Number of training, hold-out and synthetic images that were compared.
        manifolds: For each kind of features precision, recall, density and coverage within the class.
        diversity: How unlike each other the images of the class are.
        refusal: Why nothing can be judged; `None` if it can.
    """

    label: int
    sizes: tuple[int, int, int]
    manifolds: Mapping[str, Manifold]
    diversity: Diversity | None
    refusal: str | None = None


@dataclass(frozen=True)
class ImageReport:
    """All that was measured about synthetic images; each number beside that of the hold-out.

    Attributes:
        sizes: For `"training"`, `"hold-out"` and `"synthetic"` the number of images and of patients that were used; the
            distances use as many of each as there are of the fewest.
        shared: Share of the hold-out images that are training images, too, pixel for pixel. Above 0 the hold-out is
            no hold-out, or patients were not kept together; all baselines are then too good, and memory sees less.
        compared: How many images of each set the distances use.
        distances: For each kind of features what was found; empty if nothing can be judged.
        classes: What was found within each class that occurs in the training images.
        diversity: How unlike each other all images are.
        intensity: Distance of the grey levels.
        spectrum: Distance of the power spectra.
        taught: What a small network learns from synthetic images.
        drawn: What a small U-Net learns from synthetic pairs of image and mask; `None` without masks.
        memory: Whether the generator remembers its patients.
        refusals: What cannot be judged, and why.
    """

    sizes: Mapping[str, tuple[int, int]]
    shared: Estimate
    compared: int
    distances: Mapping[str, Distances]
    classes: tuple[ClassReport, ...]
    diversity: Diversity | None
    intensity: Beside
    spectrum: Beside
    taught: Taught | None
    drawn: Drawn | None
    memory: Memory
    refusals: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


@dataclass(frozen=True, eq=False, repr=False)
class _Sides:
    """Training, hold-out and synthetic images, always in this order, with the features of each.

    Attributes:
        sets: The images without the mask.
        features: For each kind of features three arrays of shape (images, features), on the scale of the training
            images.
        texts: For each kind of features how its numbers are called.
    """

    sets: tuple[ImageSet, ImageSet, ImageSet]
    features: Mapping[str, tuple[Values, ...]]
    texts: Mapping[str, str]

    def width(self, name: str) -> int:
        return self.features[name][0].shape[1]

    def varied(self) -> list[str]:
        return [name for name in self.features if self.width(name)]

    def clouds(self, name: str, chosen: Sequence[Positions], seed: Seed) -> list[Cloud]:
        return [
            Cloud.of(found[one], images.patients[one], seed, side)
            for found, images, one, side in zip(self.features[name], self.sets, chosen, SIDES, strict=True)
        ]

    def diversity(self, chosen: Sequence[Positions], seed: Seed, name: str) -> Diversity:
        found = self.features["random features"]
        holdout, synthetic = ((self.sets[at].take(chosen[at]), found[at][chosen[at]]) for at in (1, 2))
        return diversity(synthetic, holdout, seed=seed, name=name)


def evaluate_images(
    train: ImageSet,
    holdout: ImageSet,
    synthetic: ImageSet,
    *,
    seed: Seed,
    mask: bool = False,
    extractors: Sequence[Extractor] = (),
    repeats: int = 3,
) -> ImageReport:
    """Measures everything about synthetic images, beside what other real images reach.

    At most 2,000 images of each set are used, patients at random with all of their images.

    Args:
        train: Images that the generator has learned from.
        holdout: Real images of other patients: no patient is in both.
        synthetic: Images of the generator; each is a patient of its own.
        seed: Source of randomness of choices, intervals and networks.
        mask: Whether the last channel is a mask. It counts for the random features and for memory, and it is what the
            U-Nets draw; all else sees the image alone.
        extractors: Networks of the user's own, beside random features and radiomics; they see the image alone.
        repeats: Number of networks that are taught of either kind; 0 teaches none.

    Returns:
        The report. What cannot be judged is `None` or empty, with the reason in `refusals`: never a pass.

    Raises:
        DataError: The sets have images of different sizes or channels, or an extractor gives no features.
        UsageError: Two kinds of features have the same name, or torch is not installed and `repeats` is not 0.
    """
    check.whole(0, repeats=repeats)
    whole = tuple(sample(one, MOST, seed, side) for one, side in zip((train, holdout, synthetic), SIDES, strict=True))
    _check_alike(whole, mask)
    sides = _described(whole, mask, extractors)
    everybody = [np.arange(len(one)) for one in sides.sets]
    chosen, refusal = _equal(sides, everybody, seed, "all")
    reasons = [f"{name}: no feature varies in the training images." for name in sides.texts if not sides.width(name)]
    reasons += [] if refusal is None else [f"distances: {refusal}"]
    judged = refusal is None
    labels = np.unique(sides.sets[0].labels)
    classes = tuple(_class_report(sides, int(label), seed) for label in labels) if labels.size > 1 else ()
    reasons += [f"class {one.label}: {one.refusal}" for one in classes if one.refusal is not None]
    found = memory(*whole, seed=seed)
    reasons += [f"memory: {found.refusal}"] if found.refusal is not None else []
    taught = _taught(sides, seed, repeats)
    reasons += [f"taught: {taught}"] if isinstance(taught, str) else []
    drawn = _drawn(whole, seed, repeats) if mask else None
    reasons += [f"drawn: {drawn}"] if isinstance(drawn, str) else []
    ours, theirs, made = sides.sets
    return ImageReport(
        {side: (len(one), one.people()) for side, one in zip(SIDES, sides.sets, strict=True)},
        _shared(whole[0], whole[1]),
        len(chosen[0]),
        {name: _distances(sides, name, chosen, seed) for name in sides.varied()} if judged else {},
        classes,
        sides.diversity(chosen, seed, "all") if judged else None,
        intensity_gap(ours, made, theirs, seed=seed),
        spectrum_gap(ours, made, theirs, seed=seed),
        None if isinstance(taught, str) else taught,
        None if isinstance(drawn, str) else drawn,
        found,
        tuple(reasons),
    )


def _shared(train: ImageSet, holdout: ImageSet) -> Estimate:
    """Gives the share of the hold-out images that are training images, too."""
    known = {sha256(image.tobytes()).digest() for image in train.pixels}
    twins = np.array([sha256(image.tobytes()).digest() in known for image in holdout.pixels])
    return share_of(twins, holdout.patients, "hold-out images among the training images")


def _check_alike(sets: Sequence[ImageSet], mask: bool) -> None:
    shapes = {side: one.pixels.shape[1:] for side, one in zip(SIDES, sets, strict=True)}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{side} {shape}" for side, shape in shapes.items())
        raise DataError(f"pixels: {told} differ in channels, height or width. Bring the images to one size.")
    if mask and shapes[SIDES[0]][0] < 2:
        raise DataError(
            "mask=True, but the images have one channel. Pass the image and, as the last channel, the mask."
        )


def _described(whole: Sequence[ImageSet], mask: bool, extractors: Sequence[Extractor]) -> _Sides:
    bare = [
        ImageSet(np.ascontiguousarray(one.pixels[:, :-1]), one.labels, one.patients) if mask else one for one in whole
    ]
    own = random_extractor(whole[0].pixels.shape[1])
    kinds = [(own, whole), *((one, bare) for one in (radiomics_extractor(), *extractors))]
    names = [extractor.name for extractor, _ in kinds]
    if len(set(names)) < len(names):
        raise UsageError(f"extractors: the names {', '.join(names)} are not all different. Rename one.")
    features: dict[str, tuple[Values, ...]] = {}
    for extractor, sets in kinds:
        found = [extractor(one.pixels) for one in sets]
        scale = Scale.of(found[0])
        features[extractor.name] = tuple(scale(one) for one in found)
    return _Sides((bare[0], bare[1], bare[2]), features, {one.name: one.text for one, _ in kinds})


def _equal(sides: _Sides, kept: Sequence[Positions], seed: Seed, name: str) -> tuple[list[Positions], str | None]:
    """Gives as many images of each side, and why too few are left to judge by."""
    size = min(one.size for one in kept)
    chosen = [
        one[pick(images.patients[one], size, seed, f"{name}/{side}")]
        for one, images, side in zip(kept, sides.sets, SIDES, strict=True)
    ]
    people = {
        side: np.unique(images.patients[one]).size for one, images, side in zip(chosen, sides.sets, SIDES, strict=True)
    }
    few = [f"{count} {side} patients" for side, count in people.items() if count < ENOUGH]
    if few:
        return chosen, f"as many images of each set leave {' and '.join(few)}; {ENOUGH} are needed."
    return chosen, None


def _distances(sides: _Sides, name: str, chosen: Sequence[Positions], seed: Seed) -> Distances:
    train, holdout, synthetic = sides.clouds(name, chosen, seed)
    text = sides.texts[name]
    gaps = [frechet(train, one, text) for one in (synthetic, holdout)]
    kernels = [kernel(train, one, text) for one in (synthetic, holdout)]
    return Distances(
        beside(gaps[0].estimate(), gaps[1].estimate()),
        nearness(gaps[0], gaps[1]),
        beside(kernels[0].estimate(), kernels[1].estimate()),
        train.features.shape[1],
        manifold(train, synthetic, holdout),
    )


def _class_report(sides: _Sides, label: int, seed: Seed) -> ClassReport:
    kept = [np.flatnonzero(one.labels == label) for one in sides.sets]
    chosen, refusal = _equal(sides, kept, seed, f"class {label}")
    sizes = (chosen[0].size, chosen[1].size, chosen[2].size)
    if refusal is not None:
        return ClassReport(label, sizes, {}, None, refusal)
    manifolds: dict[str, Manifold] = {}
    for name in sides.varied():
        train, holdout, synthetic = sides.clouds(name, chosen, seed)
        manifolds[name] = manifold(train, synthetic, holdout)
    return ClassReport(label, sizes, manifolds, sides.diversity(chosen, seed, f"class {label}"))


def _taught(sides: _Sides, seed: Seed, repeats: int) -> Taught | str:
    train, holdout, synthetic = sides.sets
    if not repeats:
        return "repeats=0, so no network was taught."
    if np.unique(train.labels).size < 2:
        return "there is but one class; it cannot be judged."
    return train_and_test(train, synthetic, holdout, seed=seed, repeats=repeats, steps=STEPS)


def _drawn(whole: Sequence[ImageSet], seed: Seed, repeats: int) -> Drawn | str:
    train, holdout, synthetic = whole
    if not repeats:
        return "repeats=0, so no network was taught."
    if holdout.people() < ENOUGH:
        return f"there are only {holdout.people()} hold-out patients; {ENOUGH} are needed."
    return draw_and_test(train, synthetic, holdout, seed=seed, repeats=repeats, steps=DRAWN_STEPS)

"""Everything that an internal dossier measures on patients with images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.attack import Battery, Side, image_battery
from wardgan.dossier.measure import Told
from wardgan.errors import UsageError
from wardgan.estimate import Estimate, mean
from wardgan.evaluate import Beside, Subgroup, default_groups, subgroups
from wardgan.evaluate.detect import detector
from wardgan.evaluate.images import Extractor, ImageReport, ImageSet, evaluate_images
from wardgan.evaluate.images.remembered import spaces_of
from wardgan.evaluate.images.sets import Codes, Values, one_each, pick
from wardgan.evaluate.images.waves import blurred
from wardgan.evaluate.record import beside
from wardgan.imaging.marks import Batch
from wardgan.points import nearest
from wardgan.rng import Seed
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.schema import Schema

MOST: Final = 5_000
_NUMBERS: Final = 10**8
_COPIED: Final = 0.3
_SIDES: Final = ("training", "hold-out", "synthetic")
# Spaces of the measures by what attackers are called.
_SPACES: Final = {"pixels": "pixels", "features": "random features"}
_TOLD_APART: Final = 2_000


@dataclass(frozen=True, eq=False, repr=False)
class Seen:
    """Images as they are compared.

    Attributes:
        images: Pixels, whose class is the level of the target, and patients.
        labels: Places of the levels of each label, shape (images,).
    """

    images: ImageSet
    labels: Mapping[str, Codes]

    def take(self, chosen: NDArray[np.intp]) -> Seen:
        """Gives some of the images, by position."""
        return Seen(self.images.take(chosen), {name: codes[chosen] for name, codes in self.labels.items()})


@dataclass(frozen=True, eq=False, repr=False)
class ImagePatients:
    """The three groups that a dossier of images compares.

    Attributes:
        schema: Declares images and labels.
        target: The label that a network learns; `None` without one.
        train: Images that the generator has learned from.
        holdout: Images of other patients; `None` if none were set aside.
        synthetic: As many synthetic ones as training images, at most `most_images`.
    """

    schema: Schema
    target: str | None
    train: Seen
    holdout: Seen | None
    synthetic: Seen

    @classmethod
    def of(
        cls, train: ImageCohort, holdout: ImageCohort | None, synthetic: Batch, target: str | None
    ) -> ImagePatients:  # fmt: skip
        """Gives patients and synthetic images, ready to be compared.

        Args:
            train: The patients of the fit.
            holdout: Others.
            synthetic: Drawn from the generator.
            target: The label that a network learns.
        """
        schema = train.schema
        levels = {column.name: [str(level) for level in column.levels] for column in schema.table}
        drawn = {name: _places(synthetic.labels[name], known) for name, known in levels.items()}
        made = Seen(ImageSet.of(synthetic.pixels, None if target is None else drawn[target]), drawn)
        return cls(schema, target, seen(train, target), None if holdout is None else seen(holdout, target), made)

    def levels(self) -> list[str]:
        """Gives how the levels of the target are called; one word for all images without a target."""
        if self.target is None:
            return ["all"]
        return [str(level) for level in self.schema.column(self.target).levels]


@dataclass(frozen=True, eq=False, repr=False)
class ImageFindings:
    """What was measured on images. All of it is about real patients: it stays in the hospital.

    Attributes:
        target: The label that a network learns; `None` without one.
        attacks: What attacks found; `None` without a hold-out.
        control: What the same attacks found about a generator that leaks on purpose.
        report: Likeness and use; `None` without a hold-out.
        detector: How well synthetic images, and those of the hold-out, are told from training images by their
            features; `None` without a hold-out.
        groups: What became of the levels of each label.
        masks: Share of an image that is mask, for training, hold-out and synthetic images; empty without masks.
        closest: Synthetic images that are nearest to a training image, with that one and the nearest of the hold-out
            behind them: shape (3, images, channels, height, width); `None` without a hold-out.
    """

    target: str | None
    attacks: Battery | None
    control: Battery | None
    report: ImageReport | None
    detector: Beside | None
    groups: Sequence[Subgroup]
    masks: Mapping[str, Estimate]
    closest: NDArray[np.float32] | None


def measure_images(
    patients: ImagePatients, *, epsilon: float | None, delta: float, seed: Seed,
    extractors: Sequence[Extractor] = (), told: Told = lambda _what, _done, _all: None,
) -> ImageFindings:  # fmt: skip
    """Gives everything that is measured for an internal dossier of images.

    Args:
        patients: Training, hold-out and synthetic images.
        epsilon: What the generator claims; `None` if it claims nothing.
        delta: Of the claim.
        seed: Of all choices.
        extractors: Networks of the hospital's own whose features are compared, too.
        told: Called with what is being done, how many parts are done and how many there are.
    """
    held = patients.holdout
    told("groups of patients", 0, 4)
    frames = [_frame(one, patients.schema, seed, side) for side, one in zip(_SIDES, _sides(patients), strict=True)
              if one is not None]  # fmt: skip
    real, made = frames[0], frames[-1]
    groups = default_groups(patients.schema)
    found = subgroups(real, made, groups=groups, seed=seed) if groups else ()
    masks = _mask_shares(patients)
    if held is None:
        told("done", 4, 4)
        return ImageFindings(patients.target, None, None, None, None, found, masks, None)
    told("attacks", 1, 4)
    ours, theirs, drawn = (
        _capped(one, most_images(patients.schema), seed, side)
        for one, side in zip((patients.train, held, patients.synthetic), _SIDES, strict=True)
    )
    leaking = leaking_images(ours, drawn, seed=seed)
    spaces = points_of(ours, theirs, [drawn, leaking])
    attacks, control = (
        image_battery(*sides, patients.schema, seed=seed, epsilon=epsilon, delta=delta)
        for sides in sides_of(spaces, ours, theirs, [drawn, leaking])
    )
    told("likeness and use", 2, 4)
    report = evaluate_images(
        patients.train.images, held.images, patients.synthetic.images, seed=seed, mask=_masked(patients),
        extractors=extractors,
    )  # fmt: skip
    told("detectors", 3, 4)
    apart = _told_apart(spaces["random features"], (ours, theirs, drawn), seed)
    told("done", 4, 4)
    closest = _closest(spaces["pixels"], ours, theirs, drawn)
    return ImageFindings(patients.target, attacks, control, report, apart, found, masks, closest)


def most_images(schema: Schema) -> int:
    """Gives how many images of each side are attacked: 5,000, and of large images fewer, so that 1 GB holds them.

    Args:
        schema: Declares the size of the images.

    Example:
        >>> [most_images(Schema.from_dict({"name": "x", "images": {"size": [side, side]}})) for side in (64, 252)]
        [5000, 1574]
    """
    numbers = 1 if schema.images is None else math.prod(schema.images.shape)
    return min(MOST, _NUMBERS // numbers)


def image_target(schema: Schema, asked: str | None) -> str | None:
    """Gives the label that a network learns: the one that is asked for, or the first one.

    Args:
        schema: Declarations.
        asked: A label; `None` for the first one with several levels.

    Raises:
        UsageError: There is no such label, or it has one level.
    """
    labels = [column.name for column in schema.table if column.size > 1]
    if asked is None:
        return labels[0] if labels else None
    if asked not in labels:
        raise UsageError(f"target={asked!r} is no label with several levels; there are {', '.join(labels) or 'none'}.")
    return asked


def points_of(train: Seen, holdout: Seen, made: Sequence[Seen]) -> dict[str, list[Values]]:
    """Gives images as points, on one scale: of training, hold-out, and all synthetic images behind each other.

    Args:
        train: Training images.
        holdout: Hold-out images.
        made: Synthetic images of one or several generators.
    """
    drawn = ImageSet.of(np.concatenate([one.images.pixels for one in made]))
    return spaces_of(train.images, holdout.images, drawn)


def sides_of(
    spaces: Mapping[str, Sequence[Values]], train: Seen, holdout: Seen, made: Sequence[Seen]
) -> Iterator[tuple[Side, Side, Side]]:
    """Yields what attacks compare, for each generator.

    Args:
        spaces: From `points_of`, for the same images.
        train: Training images.
        holdout: Hold-out images.
        made: Synthetic images of one or several generators.
    """

    def side(at: int, one: Seen, start: int = 0) -> Side:
        stop = start + len(one.images)
        points = {name: spaces[space][at][start:stop] for name, space in _SPACES.items()}
        return Side(points, one.images.patients, one.labels)

    first = 0
    for one in made:
        yield side(0, train), side(1, holdout), side(2, one, first)
        first += len(one.images)


def leaking_images(train: Seen, made: Seen, *, seed: Seed) -> Seen:
    """Gives what a leaking generator would: 30 % of the images are training images, hardly blurred.

    Args:
        train: Images that are copied, each at most once while there are enough.
        made: Images from an honest source, such as the synthetic ones; as many come out.
        seed: Of who is copied.
    """
    stream = seed.stream("dossier/images/leak")
    count = round(_COPIED * len(made.images))
    source = np.concatenate(
        [np.empty(0, np.intp), *(stream.permutation(len(train.images)) for _ in range(-(-count // len(train.images))))]
    )[:count].astype(np.intp)
    copies = train.images.pixels[source]
    flat = copies.reshape(-1, *copies.shape[2:]).astype(np.float64)
    soft = ((flat + blurred(flat)) / 2).reshape(copies.shape).astype(np.float32)
    rest = np.sort(stream.permutation(len(made.images))[: len(made.images) - count])
    pixels = np.concatenate([soft, made.images.pixels[rest]])
    classes = np.concatenate([train.images.labels[source], made.images.labels[rest]])
    labels = {name: np.concatenate([train.labels[name][source], codes[rest]]) for name, codes in made.labels.items()}
    return Seen(ImageSet.of(pixels, classes), labels)


def seen(cohort: ImageCohort, target: str | None) -> Seen:
    """Gives a cohort's images as they are compared.

    Args:
        cohort: Patients.
        target: The label whose levels are the classes; `None` for one class.
    """
    labels = {column.name: cohort.labels[column.name] for column in cohort.schema.table}
    classes = np.zeros(len(cohort.pixels), dtype=np.int64) if target is None else labels[target]
    return Seen(ImageSet(cohort.pixels, classes, cohort.owners), labels)


def _places(names: Sequence[str], levels: Sequence[str]) -> Codes:
    place = {level: at for at, level in enumerate(levels)}
    return np.array([place[name] for name in names], dtype=np.int64)


def _sides(patients: ImagePatients) -> tuple[Seen, Seen | None, Seen]:
    return patients.train, patients.holdout, patients.synthetic


def _masked(patients: ImagePatients) -> bool:
    return patients.schema.images is not None and patients.schema.images.mask


def _frame(images: Seen, schema: Schema, seed: Seed, side: str) -> pd.DataFrame:
    """Gives the labels of one image of each patient, as a table that measures of tables can read."""
    chosen = one_each(images.images.patients, seed, f"labels/{side}")
    found: dict[str, object] = {}
    for column in schema.table:
        codes = images.labels[column.name][chosen]
        levels = np.array([str(level) for level in column.levels], dtype=object)
        found[column.name] = codes.astype(bool) if column.kind == "flag" else levels[codes]
    return pd.DataFrame(found)


def _mask_shares(patients: ImagePatients) -> dict[str, Estimate]:
    if not _masked(patients):
        return {}
    return {
        side: _mean_by_patient((one.images.pixels[:, -1] > 0).mean(axis=(1, 2)), one.images.patients)
        for side, one in zip(_SIDES, _sides(patients), strict=True)
        if one is not None
    }


def _mean_by_patient(values: NDArray[np.floating], patients: Codes) -> Estimate:
    whose = np.unique(patients, return_inverse=True)[1]
    each = np.bincount(whose, weights=values) / np.bincount(whose)
    return mean([float(value) for value in each])


def _capped(images: Seen, most: int, seed: Seed, side: str) -> Seen:
    if len(images.images) <= most:
        return images
    return images.take(pick(images.images.patients, most, seed, side))


def _told_apart(features: Sequence[Values], sides: Sequence[Seen], seed: Seed) -> Beside:
    """Gives how well gradient boosting tells images by their features, one image of each patient."""
    alone = [one_each(side.images.patients, seed, f"apart/{at}")[:_TOLD_APART] for at, side in enumerate(sides)]
    size = min(map(len, alone))
    train, holdout, made = (
        pd.DataFrame(points[chosen[:size]]).add_prefix("feature ")
        for points, chosen in zip(features, alone, strict=True)
    )
    return beside(detector(train, made, seed=seed), detector(train, holdout, seed=seed))


def _closest(pixels: Sequence[Values], train: Seen, holdout: Seen, made: Seen, most: int = 6) -> NDArray[np.float32]:
    away, place = nearest(pixels[2][: len(made.images)], pixels[0])
    chosen = np.argsort(away, kind="stable")[:most]
    other = nearest(pixels[2][chosen], pixels[1])[1]
    sides = made.images.pixels[chosen], train.images.pixels[place[chosen]], holdout.images.pixels[other]
    return cast("NDArray[np.float32]", np.stack(sides))

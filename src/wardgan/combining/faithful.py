"""How near a pupil is to its teacher: both are sampled, and the teacher is sampled once more as a yardstick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from wardgan.combining.lesson import class_index, codes_of
from wardgan.combining.mixture import Mixture
from wardgan.evaluate import detection, likeness, train_synthetic_test_real
from wardgan.evaluate.record import Beside, beside, plain_fields
from wardgan.rng import Seed
from wardgan.sample.generator import Generator

PATIENTS: Final = 5_000
IMAGES: Final = 400
_SIDE: Final = 16


@dataclass(frozen=True)
class Faithful:
    """How near a pupil is to its teacher.

    Attributes:
        numbers: By name a number for the pupil's patients against the teacher's; beside it the same for other patients
            of the teacher, which is the best that can be reached.
        refusals: What could not be judged, and why.
    """

    numbers: Mapping[str, Beside]
    refusals: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def faithful(teacher: Generator | Mixture, pupil: Generator, *, seed: int | None = None) -> Faithful:
    """Compares a pupil with its teacher, from 5,000 patients, or 400 images, of each.

    Args:
        teacher: Whose patients were learned from.
        pupil: Of the same schema.
        seed: Of the samples; `None`: new ones.

    Returns:
        For tables: total variation of columns and of pairs of columns, the difference of associations, how well a
        classifier tells the patients apart (.5: not at all), and for each label the area under the ROC curve of
        classifiers that learned from the pupil, tested on patients of the teacher, beside those that learned from the
        teacher. For images: the Frechet distance of random features, and the same areas. All with 95 % intervals.
    """
    source = Seed.secret() if seed is None else Seed(seed)
    numbers = source.stream("faithful").integers(2**62, size=3).tolist()
    judged = Seed(int(numbers[0]))
    if teacher.schema.images is not None:
        return _images(teacher, pupil, numbers, judged)
    real, held = (teacher.draw(PATIENTS, seed=one).wide(named=False) for one in numbers[:2])
    made = pupil.draw(PATIENTS, seed=numbers[2]).wide(named=False)
    return _tables(real, made, held, [one.name for one in teacher.schema.labels if not one.constant], judged)


def _tables(
    real: pd.DataFrame, made: pd.DataFrame, held: pd.DataFrame, labels: list[str], seed: Seed
) -> Faithful:  # fmt: skip
    like = likeness(real, made, held, seed=seed)
    found: dict[str, Beside] = {"total variation of columns": like.mean}
    if like.pairs is not None:
        found["total variation of pairs"] = like.pairs
    if like.associations is not None:
        found["difference of associations"] = like.associations
    found["told apart (AUROC)"] = detection(real, made, held, seed=seed)[0]
    refusals: list[str] = []
    for name in labels:
        use = train_synthetic_test_real(held, made, real, target=name, seed=seed)
        refusals += [] if use.refusal is None else [f"{name}: {use.refusal}"]
        found |= {f"{name} by {model} (AUROC)": beside(one.tstr, one.trtr) for model, one in use.models.items()}
    return Faithful(found, tuple(refusals))


def _images(teacher: Generator | Mixture, pupil: Generator, numbers: list[int], seed: Seed) -> Faithful:
    from wardgan.evaluate.images import ImageSet, evaluate_images

    look = teacher.schema.images
    if look is None or min(look.height, look.width) < _SIDE:
        return Faithful({}, (f"images below {_SIDE} pixels cannot be judged.",))
    sets: list[ImageSet] = []
    for at, (generator, number) in enumerate(zip((teacher, teacher, pupil), numbers, strict=True)):
        batch = generator.images(IMAGES, seed=number)
        codes = class_index(codes_of(batch, teacher.schema), teacher.schema)
        people = np.arange(IMAGES, dtype=np.int64) + at * IMAGES
        sets.append(ImageSet.of(batch.pixels, codes if len(codes) else None, people))
    report = evaluate_images(sets[0], sets[1], sets[2], seed=seed, mask=look.mask, repeats=1)
    found = {f"Frechet distance ({name})": one.frechet for name, one in report.distances.items()}
    if report.taught is not None:
        found["classes by a network (AUROC)"] = beside(report.taught.tstr, report.taught.trtr)
    return Faithful(found, report.refusals)

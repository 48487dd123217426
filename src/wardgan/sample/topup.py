"""How many synthetic images a user's own set lacks until a level has the share that is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

from wardgan import check
from wardgan.errors import UsageError
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.schema import Schema

FEW: Final = 50


class Known(Protocol):
    """What is known of a generator of images, a hospital's own or a combined one."""

    @property
    def schema(self) -> Schema:
        """What its images obey."""
        ...

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Share of each class."""
        ...


@dataclass(frozen=True)
class TopUp:
    """What is missing of a level.

    Attributes:
        label: Name of the label.
        level: The level that is rare.
        real: Images of a user's own set with the level.
        others: Its images without it.
        lacking: How many synthetic images bring the level to the wanted share.
        learned: About how many patients taught the generator this level, from public facts; `None` if these do not say.
    """

    label: str
    level: str
    real: int
    others: int
    lacking: int
    learned: int | None


def asked_for(generator: Known, label: str, ratio: float) -> tuple[str, int, str]:
    """Gives the label, the place of the level and the level that are asked for, before any image is read.

    Args:
        generator: A generator of images.
        label: As in `top_up`.
        ratio: As in `top_up`.

    Raises:
        UsageError: As of `top_up`, but for what own images say.
    """
    check.in_open_interval(0, 1, ratio=ratio)
    return _level(generator, label)


def top_up(generator: Known, own: ImageCohort, label: str, ratio: float) -> TopUp:
    """Gives how many synthetic images bring a level to a share of a user's own set.

    A generator that saw fewer than 50 patients of a level hands out copies, or noise: it may at most double the user's
    own images of that level, and brings no parity.

    Args:
        generator: A generator of images.
        own: The user's own images, read with the generator's schema.
        label: The level, such as `malignant`, or `finding=malignant` if several labels have one of that name.
        ratio: Wanted share of all images, in (0, 1): 0.5 for as many as all others together.

    Raises:
        UsageError: No label or several have such a level; `ratio` is no share; the level is as frequent already; or it
            was too rare in the training for that many.
    """
    name, place, level = asked_for(generator, label, ratio)
    codes = own.labels[name]
    real = int((codes == place).sum())
    others = len(codes) - real
    lacking = math.ceil((ratio * len(codes) - real) / (1 - ratio) - 1e-9)
    if lacking <= 0:
        raise UsageError(f"ratio={ratio:g}: {name}={level} has that share already ({real:,} of {len(codes):,} images).")
    found = TopUp(name, level, real, others, lacking, _learned(generator, name, place))
    if found.learned is not None and found.learned < FEW and lacking > real:
        possible = math.floor(200 * real / (2 * real + others)) / 100
        way_out = (
            f"At most as many as your own {real:,} are drawn: --ratio {possible:g}."
            if possible * len(codes) > real
            else "You have too few of your own; look at some from wardgan sample before you use any."
        )
        raise UsageError(
            f"label={name}={level}: the generator has learned it from about {found.learned} patients, fewer than "
            f"{FEW}, so {lacking:,} images would be copies or noise. {way_out}"
        )
    return found


def _level(generator: Known, label: str) -> tuple[str, int, str]:
    """Gives the name of the label, the place of the level, and the level as text."""
    name, sign, wanted = label.partition("=")
    found = [
        (column.name, place, str(level))
        for column in generator.schema.labels
        for place, level in enumerate(column.levels)
        if (str(level) == wanted and column.name == name if sign else str(level) == label)
    ]
    if len(found) != 1:
        known = ", ".join(
            f"{column.name}={level}" for column in generator.schema.labels for level in column.levels
        )  # fmt: skip
        what = "several labels have such a level" if found else "no label has such a level"
        raise UsageError(f"label={label!r}: {what}; the generator has {known or 'no label'}.")
    return found[0]


def _learned(generator: Known, name: str, place: int) -> int | None:
    """Gives the declared population times the share of the level, which was paid for or is public."""
    population = generator.schema.population
    if population is None:
        return None
    level = next(column for column in generator.schema.labels if column.name == name).levels[place]
    schema = generator.schema
    classes = (at for at in range(schema.classes) if schema.class_levels(at)[name] == level)
    return round(population * sum(generator.probabilities[at] for at in classes))

"""What the internal edition says about patients: of tables and visits, or of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from wardgan.dossier.attacked import attacks, power
from wardgan.dossier.canaries import CanaryAudit, audit_number
from wardgan.dossier.document import Block, Facts, Number, Numbers, Section, Text
from wardgan.dossier.gates import Measured
from wardgan.dossier.gauges import claimed, internal_numbers, warnings
from wardgan.dossier.images.measure import ImagePatients, image_target, measure_images, most_images
from wardgan.dossier.images.numbers import image_numbers, image_warnings
from wardgan.dossier.images.sections import (
    image_clinical,
    image_fidelity,
    image_source,
    image_utility,
    memory_blocks,
)
from wardgan.dossier.measure import Patients, Told, measure, target_of
from wardgan.dossier.policy import Policy
from wardgan.dossier.subject import Subject, declared, method
from wardgan.dossier.useful import clinical, fidelity, groups, utility
from wardgan.errors import DataError, UsageError
from wardgan.estimate import proportion
from wardgan.evaluate.images import Extractor
from wardgan.evaluate.images.sets import SMALLEST
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.schema import Schema


@dataclass(frozen=True, eq=False, repr=False)
class Asked:
    """What a dossier is asked for.

    Attributes:
        subject: The generator and its bill.
        policy: The limits.
        audit: What a canary audit proved; `None` if there was none.
        target: What classifiers learn; `None` for nothing.
        source_bytes: Size of the files with the patients, if known.
        notes: What the fit noted.
        told: Called with what is being done, how many parts are done and how many there are.
        extractors: Networks of the hospital's own, for images.
    """

    subject: Subject
    policy: Policy
    audit: CanaryAudit | None
    target: str | None
    source_bytes: int | None
    notes: Sequence[str]
    told: Told
    extractors: Sequence[Extractor]


@dataclass(frozen=True, eq=False, repr=False)
class Inside:
    """The parts of an internal edition that are about patients.

    Attributes:
        measured: What the gates judge.
        sections: Sections 3, 4 and 6 to 11.
        warnings: What takes the ground from under everything.
    """

    measured: list[Measured]
    sections: Sequence[Section]
    warnings: list[str]

    def before(self, guarantee: Section) -> list[Section]:
        """Gives the sections with the privacy statement in its place."""
        return sorted([*self.sections, guarantee], key=lambda one: one.number)


def internal_parts(asked: Asked, train: AnyCohort, holdout: AnyCohort | None, *, delta: float) -> Inside:
    """Measures patients against synthetic ones, and says what was found.

    Args:
        asked: What is asked for.
        train: The patients of the fit.
        holdout: Others, of the same kind; `None` if none were set aside.
        delta: Of the claim.
    """
    if isinstance(train, ImageCohort):
        return _of_images(asked, train, cast("ImageCohort | None", holdout), delta)
    return _of_tables(asked, train, cast("Cohort | None", holdout), delta)


def aim_of(schema: Schema, asked: str | None) -> str | None:
    """Gives what classifiers learn; see `target_of` and `image_target`."""
    return target_of(schema, asked) if schema.images is None else image_target(schema, asked)


def check_kind(holdout: AnyCohort | None, schema: Schema) -> None:
    """Refuses a hold-out of tables for a generator of images, the other way around, and images of another size.

    Raises:
        DataError: Says so.
        UsageError: The images are too small to be judged.
    """
    if schema.images is not None and min(schema.images.height, schema.images.width) < SMALLEST:
        raise UsageError(
            f"run: images with a side below {SMALLEST} pixels cannot be judged; fit larger ones, or let a person "
            "answer for a release without a dossier."
        )
    if holdout is None:
        return
    images = isinstance(holdout, ImageCohort)
    if images != (schema.images is not None):
        raise DataError("holdout: patients with images and patients with tables cannot be compared.")
    if images and holdout.schema.images != schema.images:
        raise DataError("holdout: its images were read as another size or kind; read both with the schema of the fit.")


def _of_tables(asked: Asked, train: Cohort, holdout: Cohort | None, delta: float) -> Inside:
    subject, generator, seed = asked.subject, asked.subject.generator, asked.subject.seed
    patients = Patients(train, holdout, generator.draw(len(train), seed=seed))
    found = measure(
        patients, target=asked.target, epsilon=claimed(generator), delta=delta, seed=Seed(seed), told=asked.told
    )  # fmt: skip
    measured = internal_numbers(found, generator)
    sections = [
        _source(subject, patients), method(subject, [_size(patients, asked.source_bytes)]),
        attacks(found.attacks, found.control, asked.policy, audit=asked.audit), fidelity(found, patients),
        utility(found), clinical(found), groups(found.groups, asked.policy), _limits(asked, power(found.attacks)),
    ]  # fmt: skip
    return Inside([*measured, *_audited(asked)], sections, warnings(found))


def _of_images(asked: Asked, train: ImageCohort, holdout: ImageCohort | None, delta: float) -> Inside:
    subject, generator, seed = asked.subject, asked.subject.generator, asked.subject.seed
    drawn = generator.images(min(len(train.pixels), most_images(generator.schema)), seed=seed)
    patients = ImagePatients.of(train, holdout, drawn, asked.target)
    found = measure_images(
        patients, epsilon=claimed(generator), delta=delta, seed=Seed(seed), extractors=asked.extractors, told=asked.told
    )
    sizes = [
        ("files with the images", train.source_bytes if asked.source_bytes is None else asked.source_bytes),
        ("pixels of the training images, 4 bytes each", train.pixels.nbytes),
    ]
    sections = [
        image_source(subject, patients), method(subject, sizes),
        attacks(found.attacks, found.control, asked.policy, audit=asked.audit, more=memory_blocks(found)),
        image_fidelity(subject, found, patients), image_utility(found), image_clinical(found),
        groups(found.groups, asked.policy), _limits(asked, power(found.attacks)),
    ]  # fmt: skip
    return Inside([*image_numbers(found, generator), *_audited(asked)], sections, image_warnings(found))


def _audited(asked: Asked) -> list[Measured]:
    return [] if asked.audit is None else [audit_number(asked.audit)]


def _source(subject: Subject, patients: Patients) -> Section:
    held = "none" if patients.holdout is None else f"{len(patients.holdout):,}"
    facts = Facts([("training patients", f"{len(patients.train):,}"), ("hold-out patients", held)])
    table = patients.tables()[0]
    missing = {name: int(np.asarray(table[name].isna()).sum()) for name in map(str, table.columns)}
    rows = [Number(name, proportion(count, len(table))) for name, count in missing.items() if count]
    blocks = [Numbers("Share of missing cells among training patients", rows, "")] if rows else []
    return Section(3, "Source data", [facts, *declared(subject), *blocks])


def _size(patients: Patients, source: int | None) -> tuple[str, int]:
    if source is not None:
        return "files with the patients", source
    cells = sum(codes.size for codes in (*patients.train.static.values(), *patients.train.measured.values()))
    return "cells of the training patients, 4 bytes each", 4 * cells


def _limits(asked: Asked, power: Sequence[Block]) -> Section:
    words = [
        Text(
            "An attack that found nothing proves nothing: others may know more, such as the network itself, relatives, "
            "or other releases. What was not measured is not judged, and nothing here is about a later version."
        )
    ]
    notes = [Text(f"Note of the fit: {note}") for note in asked.notes]
    return Section(11, "Limits and power", [*words, *notes, *power])

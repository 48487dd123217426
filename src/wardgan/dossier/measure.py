"""Everything that an internal dossier measures on real patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from wardgan.attack import Battery, battery, leak
from wardgan.errors import DataError, UsageError
from wardgan.evaluate import (
    Beside,
    CoefficientAgreement,
    Course,
    Likeness,
    Neighbourhoods,
    Obedience,
    Subgroup,
    Survival,
    UnseenCombinations,
    Utility,
    coefficient_agreement,
    course,
    default_groups,
    detection,
    endpoint_of,
    hazard_agreement,
    likeness,
    neighbourhoods,
    rules_kept,
    subgroups,
    survival_agreement,
    train_synthetic_test_real,
    unseen_combinations,
)
from wardgan.evaluate.utility import MODELS
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema

Told = Callable[[str, int, int], None]
_COURSES = 6


@dataclass(frozen=True, eq=False, repr=False)
class Patients:
    """The three groups that a dossier compares.

    Attributes:
        train: Real patients the generator has learned from.
        holdout: Other real patients, whom it has never seen; `None` if none were set aside.
        synthetic: Synthetic ones, as many as `train`.
    """

    train: Cohort
    holdout: Cohort | None
    synthetic: Cohort

    @property
    def schema(self) -> Schema:
        """The schema of the training patients."""
        return self.train.schema

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
        """Gives wide tables without the patients' names: real, synthetic, hold-out."""
        held = None if self.holdout is None else _wide(self.holdout)
        return _wide(self.train), _wide(self.synthetic), held


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What was measured. All of it is about real patients: it stays in the hospital.

    Attributes:
        target: Column that classifiers learn; `None` without one.
        attacks: What attacks found; `None` without a hold-out.
        control: What the same attacks found about a generator that leaks on purpose.
        likeness: How like the real patients the synthetic ones are.
        detector: How well they are told apart, and how uneven propensities are.
        neighbours: Where synthetic patients are.
        utility: What classifiers learn; `None` without a target or a hold-out.
        coefficients: Agreement of a regression for the target; `None` without one.
        survival: Of the time-to-event pair; `None` without one.
        hazards: Agreement of Cox's regression; `None` without a pair.
        courses: Of repeated numbers.
        groups: What became of groups of patients.
        rules: Who breaks the rules of the schema.
        unseen: Levels that go together in synthetic patients only.
    """

    target: str | None
    attacks: Battery | None
    control: Battery | None
    likeness: Likeness
    detector: tuple[Beside, Beside]
    neighbours: Neighbourhoods
    utility: Utility | None
    coefficients: CoefficientAgreement | None
    survival: Survival | None
    hazards: CoefficientAgreement | None
    courses: Sequence[Course]
    groups: Sequence[Subgroup]
    rules: Obedience
    unseen: UnseenCombinations


def target_of(schema: Schema, asked: str | None) -> str | None:
    """Gives the column that classifiers learn: the one that is asked for, or the first label.

    Args:
        schema: Declarations.
        asked: A category or a flag of the table; `None` for the first label.

    Raises:
        UsageError: There is no such column, or it has no classes.
    """
    if asked is None:
        labels = [column.name for column in schema.labels if not column.constant]
        return labels[0] if labels else None
    columns = {column.name: column for column in schema.table}
    if asked not in columns or columns[asked].numeric or columns[asked].constant:
        known = ", ".join(name for name, column in columns.items() if not (column.numeric or column.constant))
        raise UsageError(f"target={asked!r} is no category or flag of the table; there are {known or 'none'}.")
    return asked


def measure(
    patients: Patients, *, target: str | None, epsilon: float | None, delta: float, seed: Seed,
    told: Told = lambda _what, _done, _all: None,
) -> Findings:  # fmt: skip
    """Gives everything that is measured for an internal dossier.

    Args:
        patients: Training, hold-out and synthetic ones.
        target: What classifiers learn, from `target_of`.
        epsilon: What the generator claims; `None` if it claims nothing.
        delta: Of the claim.
        seed: Of all choices.
        told: Called with what is being done, how many parts are done and how many there are.

    Raises:
        DataError: The hold-out has patients of the training or other columns, or a group has no patient.
    """
    real, made, held = patients.tables()
    steps = _Steps(told)
    steps.say("attacks")
    attacks, control = _attacked(patients, epsilon, delta, seed, steps)
    steps.say("likeness")
    like = likeness(real, made, held, seed=seed)
    steps.say("detectors")
    detector = detection(real, made, held, seed=seed)
    near = neighbourhoods(real, made, held, seed=seed)
    steps.say("classifiers")
    use = None
    if target is not None and held is not None:
        use = train_synthetic_test_real(real, made, held, target=target, seed=seed, models=MODELS)
    coefficients = None if target is None else coefficient_agreement(real, made, held, target=target, seed=seed)
    steps.say("survival")
    endpoint = endpoint_of(patients.schema)
    survival = hazards = None
    if endpoint is not None:
        by = target if target not in endpoint.columns else None
        survival = survival_agreement(real, made, held, endpoint=endpoint, by=by, seed=seed)
        hazards = hazard_agreement(real, made, held, endpoint=endpoint, seed=seed)
    steps.say("visits")
    courses = _courses(patients.schema, real, made, held, seed)
    steps.say("groups of patients")
    groups = subgroups(real, made, held, groups=default_groups(patients.schema), target=target, seed=seed)
    rules = rules_kept(patients.train, patients.synthetic, patients.holdout)
    unseen = unseen_combinations(real, made, held)
    steps.say("done")
    return Findings(
        target, attacks, control, like, detector, near, use, coefficients, survival, hazards, courses, groups, rules,
        unseen,
    )  # fmt: skip


class _Steps:
    """Counts the parts of the work."""

    ALL = 8

    def __init__(self, told: Told) -> None:
        self._told = told
        self._done = 0

    def say(self, what: str) -> None:
        self._told(what, self._done, self.ALL)
        self._done += 1


def _attacked(
    patients: Patients, epsilon: float | None, delta: float, seed: Seed, steps: _Steps
) -> tuple[Battery | None, Battery | None]:
    if patients.holdout is None:
        steps.say("no hold-out, no attacks")
        return None, None
    train, holdout, made = patients.train, patients.holdout, patients.synthetic
    attacks = battery(train, holdout, made, seed=seed, epsilon=epsilon, delta=delta)
    steps.say("the same attacks on a generator that leaks on purpose")
    leaking = leak(train, made, seed=seed)
    return attacks, battery(train, holdout, leaking, seed=seed, epsilon=epsilon, delta=delta)


def _courses(
    schema: Schema, real: pd.DataFrame, made: pd.DataFrame, held: pd.DataFrame | None, seed: Seed
) -> list[Course]:
    if schema.visits is None:
        return []
    names = [column.name for column in schema.visits.columns if column.kind in ("number", "integer")][:_COURSES]
    by = next((column.name for column in schema.labels if not column.constant), None)
    return [course(real, made, held, variable=name, by=by, seed=seed) for name in names]


def _wide(cohort: Cohort) -> pd.DataFrame:
    if not len(cohort):
        raise DataError("A table has no patient; a dossier needs patients to compare.")
    return cohort.wide(named=False)

"""What is worth knowing about a cohort that obeys its schema row by row."""

from __future__ import annotations

import numpy as np

from wardgan.encode.units import classes_of
from wardgan.privacy.plan import HEADROOM, largest
from wardgan.schema.cells import MISSING, Finding
from wardgan.schema.cohort import Cohort
from wardgan.schema.image_cohort import ImageCohort
from wardgan.schema.read import Checked
from wardgan.schema.schema import Schema
from wardgan.schema.search import TRIED, hardest_rule

_FEW = 100


def worth_knowing(checked: Checked) -> list[Finding]:
    """Gives findings about the cohort as a whole; a class without patients stops a fit, the others do not.

    Args:
        checked: Patients, as `examine` gives them: cells that break the schema may be missing.
    """
    cohort = checked.cohort
    schema = cohort.schema
    about = [*_undeclared(schema), *_nothing_to_model(schema), *rules_together(schema)]
    if not len(cohort) and not checked.findings:
        way_out = "There is no row below its first line; export the patients again."
        return [*about, _note("patients", "the file has a patient", way_out, blocking=True)]
    return [*about, *_constant(cohort, _unread(checked)), *_classes(cohort), *_size(cohort)]


def about_images(cohort: ImageCohort) -> list[Finding]:
    """Gives findings about patients with images; a class without an image stops a fit, the others do not."""
    schema = cohort.schema
    found = _undeclared(schema)
    count = np.bincount(cohort.classes, minlength=schema.classes)
    columns = ", ".join(column.name for column in schema.table) or "images"
    way_out = "Take the level out of the schema, or take the label away."
    for empty in np.flatnonzero(count == 0):
        found.append(_note(columns, f"the class {schema.class_name(int(empty))} has images", way_out, blocking=True))
    return [*found, *_people(len(cohort), schema.population)]


def rules_together(schema: Schema) -> list[Finding]:
    """Gives a note if no row of declared values was found that meets all rules at once."""
    hardest = hardest_rule(schema)
    if hardest is None:
        return []
    rule = f"all rules can hold together (none of {TRIED:,} rows of declared values meets them)"
    return [_note("rules", rule, f"Mend the rules, {hardest.text!r} first: it was met least often.")]


def _unread(checked: Checked) -> set[str]:
    """Gives the columns that may look empty because their cells, or the keys of their rows, could not be read."""
    schema = checked.cohort.schema
    broken = {finding.column for finding in checked.findings if finding.blocking and finding.rule != MISSING}
    visits = set() if schema.visits is None else {column.name for column in schema.visits.columns}
    if schema.patient in broken:
        broken |= {column.name for column in schema.columns}
    return broken | (visits if schema.visits is not None and schema.visits.key in broken else set())


def _note(column: str, rule: str, way_out: str, *, blocking: bool = False) -> Finding:
    return Finding(column, rule, 0, (), way_out, blocking=blocking)


def _undeclared(schema: Schema) -> list[Finding]:
    found = [
        _note(column.name, "bounds or levels are declared", "Declare them, or set learn: true; a private fit needs it.")
        for column in schema.columns
        if not column.complete and not column.learn
    ]
    if schema.confirm:
        rule = f"the values that a draft took from patients are confirmed (not yet: {len(schema.confirm)})"
        found.append(
            _note("confirm", rule, "Replace each by what is public and take it off the list; a private fit needs it.")
        )
    return found


def _nothing_to_model(schema: Schema) -> list[Finding]:
    labels = {column.name for column in schema.labels}
    if schema.visits is not None or any(not column.constant and column.name not in labels for column in schema.table):
        return []
    return [_note("table", "there is a column to model", "All are labels or constants; add one.", blocking=True)]


def _constant(cohort: Cohort, unread: set[str]) -> list[Finding]:
    found: list[Finding] = []
    for name, codes in [*cohort.static.items(), *cohort.measured.items()]:
        known = codes[~np.isnan(codes)]
        if len(cohort) < 2 or name in unread or cohort.schema.column(name).constant:
            continue
        if not len(known):
            found.append(_note(name, "the column has a value", "It is empty; leave it out of the schema."))
        elif known.min() == known.max():
            found.append(
                _note(name, "the column tells patients apart", "It is constant; it may be left out of the schema.")
            )
    return found


def _classes(cohort: Cohort) -> list[Finding]:
    schema = cohort.schema
    labels = [cohort.static[column.name] for column in schema.labels]
    if not labels or not all(column.complete for column in schema.labels):
        return []
    whole = ~np.isnan(np.array(labels)).any(axis=0)
    count = np.bincount(classes_of(cohort.take(np.flatnonzero(whole))), minlength=schema.classes)
    columns = ", ".join(column.name for column in schema.labels)
    way_out = "A fit with a budget takes it; for one without, merge its level with another, or take the label away."
    return [
        _note(columns, f"the class {schema.class_name(int(empty))} has patients", way_out)
        for empty in np.flatnonzero(count == 0)
    ]


def _size(cohort: Cohort) -> list[Finding]:
    found = _people(len(cohort), cohort.schema.population)
    if len(cohort) < _variables(cohort.schema):
        rule = "there are more patients than variables (columns x visits)"
        found.append(_note("patients", rule, "Leave columns or visits out; links between so many drown in noise."))
    return found


def _people(number: int, declared: int | None) -> list[Finding]:
    """Gives findings about the number of patients."""
    found: list[Finding] = []
    if number < _FEW:
        found.append(
            _note(
                "patients", f"there are at least {_FEW} patients", "Fewer give noise at any useful epsilon; join more."
            )
        )
    if declared is not None and number > largest(declared):
        rule = f"there are at most {HEADROOM:g} times as many patients as declared"
        found.append(_note("population", rule, "Declare a population that is not too small.", blocking=True))
    if declared is not None and 2 * number < declared:
        rule = "there are at least half as many patients as declared"
        found.append(_note("population", rule, "Declare a population that is not too large: noise is chosen for it."))
    return found


def _variables(schema: Schema) -> int:
    visits = schema.visits
    return len(schema.table) + (0 if visits is None else len(visits.columns) * len(visits.slots))

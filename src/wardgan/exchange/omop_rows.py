"""Visits and cells of synthetic patients as rows of OMOP tables: who, what, when, and the value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.exchange.clock import Clock, Times
from wardgan.exchange.codes import Concept
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.entry import Mapped
from wardgan.exchange.fhir import filled
from wardgan.schema.cohort import Codes, Cohort

Whole = NDArray[np.int64]
# From fields to values: arrays of one length, or what stands in each row. `row` is the row of the patient.
Rows = Mapping[str, object]
HOME: Final = {
    "observation": "observation", "measurement": "measurement", "condition": "condition_occurrence",
    "medication": "drug_exposure",
}  # fmt: skip
STARTS: Final = {
    "visit_occurrence": "visit_start_date", "condition_occurrence": "condition_start_date",
    "drug_exposure": "drug_exposure_start_date", "measurement": "measurement_date", "observation": "observation_date",
}  # fmt: skip
ABOUT: Final = {
    "condition_occurrence": "condition_concept_id", "drug_exposure": "drug_concept_id",
    "measurement": "measurement_concept_id", "observation": "observation_concept_id",
    "visit_occurrence": "visit_concept_id",
}  # fmt: skip
LONGEST: Final = 50


class Places:
    """Which places of a table the cells of a patient have, so that each cell has an id of its own."""

    def __init__(self, concepts: Concepts) -> None:
        """Counts the cells of each table.

        Args:
            concepts: What the columns mean.
        """
        visits = concepts.schema.visits
        self.slots = 1 if visits is None else len(visits.slots)
        self.widths = dict.fromkeys(HOME.values(), 0)
        self.starts: dict[str, int] = {}
        for mapped in concepts.columns:
            if mapped.kind in HOME:
                table = HOME[mapped.kind]
                self.starts[mapped.name] = self.widths[table]
                self.widths[table] += self.slots if mapped.visit else 1


@dataclass(frozen=True)
class Draft:
    """A cohort on its way into tables.

    Attributes:
        cohort: Synthetic patients with whole numbers for names.
        concepts: What their columns mean.
        clock: When things are.
        places: Where cells stand.
    """

    cohort: Cohort
    concepts: Concepts
    clock: Clock
    places: Places

    @cached_property
    def numbers(self) -> Whole:
        """Numbers of the patients."""
        return self.cohort.patients.astype(np.int64)

    def codes(self, mapped: Mapped) -> Codes:
        """Gives the cells of a column."""
        return (self.cohort.measured if mapped.visit else self.cohort.static)[mapped.name]

    def visit_ids(self, row: NDArray[np.intp], slot: NDArray[np.intp]) -> Whole:
        """Gives the ids of visits, by the rows of their patients and their places on the grid."""
        return (self.numbers[row] - 1) * self.places.slots + slot + 1

    def surely(self, times: Times) -> Times:
        """Gives times in which those that are not known are day 0: OMOP demands a day of everything."""
        day = self.clock.day0.seconds
        return times.or_else(
            Times(np.broadcast_to(day[:, None], times.seconds.shape) if times.seconds.ndim > 1 else day)
        )


def visit_rows(draft: Draft) -> list[Rows]:
    """Gives the rows of `visit_occurrence`."""
    visits, present, meetings = draft.cohort.schema.visits, draft.cohort.present, draft.concepts.meetings
    if visits is None or present is None or meetings is None or draft.clock.visits is None:
        return []
    row, slot = np.nonzero(present)
    when = draft.surely(draft.clock.visits).seconds[row, slot]
    names = np.array([cut(name) for name in visits.slots], dtype=object)
    exact = {"visit_start_datetime": when, "visit_end_datetime": when} if draft.clock.visits.exact else {}
    return [{
        "row": row, "visit_occurrence_id": draft.visit_ids(row, slot), "person_id": draft.numbers[row],
        "visit_concept_id": meetings.omop, "visit_start_date": when, "visit_end_date": when, **exact,
        "visit_type_concept_id": draft.concepts.type_omop, "visit_source_value": names[slot],
    }]  # fmt: skip


def cell_rows(draft: Draft, mapped: Mapped) -> Rows:
    """Gives the rows of one column: of cells that are there and mean something."""
    table = HOME[mapped.kind]
    there = _meant(mapped, draft)
    row, *slot = np.nonzero(there)
    codes = draft.codes(mapped)[there]
    told, default = draft.clock.told(mapped), draft.clock.default(mapped)
    times = draft.surely(default if told is None else told.or_else(default))
    when, start, short = times.seconds[there], STARTS[table], ABOUT[table].removesuffix("_concept_id")
    place = draft.places.starts[mapped.name] + (slot[0] if slot else 0)
    concept, source = _subject(mapped, codes)
    found: dict[str, object] = {
        "row": row, "person_id": draft.numbers[row],
        f"{table}_id": (draft.numbers[row] - 1) * draft.places.widths[table] + place + 1,
        "visit_occurrence_id": draft.visit_ids(row, slot[0]) if slot else None, start: when,
        f"{short}_concept_id": concept, f"{short}_source_value": source,
        f"{short}_type_concept_id": draft.concepts.type_omop,
    }  # fmt: skip
    if times.exact:
        found[start.replace("_date", "_datetime")] = when
    if table == "drug_exposure":
        found["drug_exposure_end_date"] = when
    if table not in ("measurement", "observation"):
        return found
    values = _values(mapped, codes, draft, there)
    words = {"value_as_string": values["value_source_value"]} if "value_source_value" in values else {}
    return {**found, **values, **(words if table == "observation" else {})}


def _meant(mapped: Mapped, draft: Draft) -> NDArray[np.bool_]:
    """Gives which cells become a row: those that are there, and mean something."""
    there = filled(mapped, draft.cohort)
    if not mapped.levels:
        return there
    nothing = (None, False) if mapped.kind in ("condition", "medication") else (None,)
    means = np.array([all(level is not one for one in nothing) for level in mapped.levels])
    return there & means[np.where(there, draft.codes(mapped), 0).astype(np.intp)]


def _subject(mapped: Mapped, codes: Codes) -> tuple[object, object]:
    """Gives the concepts that rows are about, and their source values."""
    return _levels(mapped, codes) if mapped.coded else (mapped.concept.omop, cut(mapped.concept.source))


def _levels(mapped: Mapped, codes: Codes) -> tuple[Whole, NDArray[np.object_]]:
    """Gives the concepts of levels, and their source values, for each code."""
    known = [one if isinstance(one, Concept) else Concept("-") for one in mapped.levels]
    which = codes.astype(np.intp)
    sources = np.array([cut(one.source) for one in known], dtype=object)
    return np.array([one.omop for one in known], dtype=np.int64)[which], sources[which]


def _values(mapped: Mapped, codes: Codes, draft: Draft, there: NDArray[np.bool_]) -> dict[str, object]:
    """Gives the values of measurements and observations."""
    kind = mapped.column.kind
    if kind in ("number", "integer"):
        unit = None if mapped.unit is None else cut(mapped.unit)
        return {"value_as_number": codes, "unit_concept_id": mapped.unit_omop or None, "unit_source_value": unit}
    if kind == "category":
        concept, text = _levels(mapped, codes)
        return {"value_source_value": text, "value_as_concept_id": concept}
    if kind == "flag":
        return {"value_source_value": np.array(["false", "true"], dtype=object)[codes.astype(np.intp)]}
    return {"value_source_value": Times(draft.clock.dates(mapped).seconds[there]).texts().astype(object)}


def cut(text: str) -> str:
    """Gives as much of a text as a field holds."""
    return text[:LONGEST]

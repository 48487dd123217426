"""Synthetic patients as FHIR R4 resources, each of them marked as test data.

A patient is a list of resources that refer to each other: Patient, an Encounter for each visit, and of each cell that
is not missing an Observation, a Condition or a MedicationStatement. References are relative, so they hold within a
Bundle as on a server to which the resources are sent one by one.

Source: HL7 FHIR R4 (4.0.1), resources Patient, Encounter, Observation, Condition, MedicationStatement and Bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.exchange.clock import Clock, Times
from wardgan.exchange.codes import UCUM, Concept
from wardgan.exchange.concepts import CLASSES, Concepts
from wardgan.exchange.entry import LARGEST_ID, Mapped
from wardgan.imaging.marks import Origin
from wardgan.schema.cohort import Codes, Cohort

Resource = dict[str, object]
TYPES: Final = ("Patient", "Encounter", "Observation", "Condition", "MedicationStatement")
RELEASE: Final = "urn:wardgan:release"
# Nothing is there, and nothing ever will be (RFC 2606): entries of a Bundle need an address.
_BASE: Final = "https://wardgan.invalid/fhir"
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_HTEST: Final = {"system": f"{_HL7}/v3-ActReason", "code": "HTEST", "display": "test health data"}
_SETTLED: Final = {
    "clinicalStatus": {"coding": [{"system": f"{_HL7}/condition-clinical", "code": "active"}]},
    "verificationStatus": {"coding": [{"system": f"{_HL7}/condition-ver-status", "code": "confirmed"}]},
}


class Marks:
    """What every resource of a draw has in common: its tags, and the beginning of its id."""

    def __init__(self, origin: Origin) -> None:
        """Makes tags and ids from the release and the seed.

        Args:
            origin: What the patients came from.
        """
        self._origin = origin
        self._prefix = hashlib.sha256(f"{origin.model}/{origin.seed}".encode()).hexdigest()[:16]
        drawn = f"synthetic: drawn by wardgan with seed {origin.seed}"
        self._meta = {"tag": [_HTEST, {"system": RELEASE, "code": origin.model, "display": drawn}]}

    def resource(self, kind: str, patient: int, part: str = "") -> Resource:
        """Gives the beginning of a resource.

        Args:
            kind: Its type.
            patient: Number of the patient.
            part: What of the patient it is; "" for the patient.
        """
        return {"resourceType": kind, "id": self.id(patient, part), "meta": self._meta}

    def id(self, patient: int, part: str = "") -> str:
        """Gives an id that is the same whenever the same patient of the same release and seed is written."""
        return f"{self._prefix}-{patient}{part and '-'}{part}"

    def subject(self, patient: int) -> dict[str, str]:
        """Gives a reference to a patient."""
        return {"reference": f"Patient/{self.id(patient)}"}

    def identifier(self, patient: int) -> dict[str, str]:
        """Gives the number of a patient within the draw, as it stands in a table of the same patients."""
        return {"system": f"urn:wardgan:{self._origin.model}:{self._origin.seed}", "value": str(patient)}


def bundle(resources: list[Resource], marks: Marks, patient: int) -> Resource:
    """Gives a Bundle of all that is known of a patient.

    Args:
        resources: Of `patients`.
        marks: Tags and ids.
        patient: Number of the patient.
    """
    entries = [{"fullUrl": f"{_BASE}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    return {**marks.resource("Bundle", patient, "bundle"), "type": "collection", "entry": entries}


def patients(cohort: Cohort, concepts: Concepts, marks: Marks) -> list[list[Resource]]:
    """Gives the resources of each patient, the patient first, then visits, then cells in the order of the schema.

    Args:
        cohort: Synthetic patients with whole numbers for names.
        concepts: What their columns mean.
        marks: Tags and ids.
    """
    clock = Clock(cohort, concepts)
    numbers = [int(number) for number in cohort.patients]
    found = [[one] for one in _people(cohort, concepts, clock, marks, numbers)]
    for row, one in _encounters(cohort, concepts, clock, marks, numbers):
        found[row].append(one)
    for mapped in concepts.columns:
        make = _MAKERS.get(mapped.kind)
        for row, one in make(mapped, Cells(mapped, cohort, clock, marks, numbers)) if make else ():
            found[row].append(one)
    return found


def filled(mapped: Mapped, cohort: Cohort) -> NDArray[np.bool_]:
    """Gives which cells of a column are there: filled, and of a visit that took place."""
    codes = (cohort.measured if mapped.visit else cohort.static)[mapped.name]
    there = ~np.isnan(codes)
    return there & cohort.present if mapped.visit and cohort.present is not None else there


class Cells:
    """The cells of one column that are not missing, with what belongs to each."""

    def __init__(self, mapped: Mapped, cohort: Cohort, clock: Clock, marks: Marks, numbers: list[int]) -> None:
        """Looks for them.

        Args:
            mapped: The column.
            cohort: The patients.
            clock: When things are.
            marks: Tags and ids.
            numbers: The patients' numbers.
        """
        self.codes = (cohort.measured if mapped.visit else cohort.static)[mapped.name]
        self.places: tuple[NDArray[np.intp], ...] = np.nonzero(filled(mapped, cohort))
        told = clock.told(mapped)
        self.told = None if told is None else self._texts(told)
        self.default = self._texts(clock.default(mapped))
        self.dates = self._texts(clock.dates(mapped)) if mapped.column.kind == "date" else []
        self._mapped, self._marks, self._numbers = mapped, marks, numbers

    def _texts(self, times: Times) -> list[str]:
        """Gives a text for each cell, "" where the time is not known."""
        return [text.replace("NaT", "") for text in Times(times.seconds[self.places], times.exact).texts().tolist()]

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        """Yields for each cell its number, the row of its patient, and its code."""
        values = self.codes[self.places].tolist()
        for number, (row, value) in enumerate(zip(self.places[0].tolist(), values, strict=True)):
            yield number, row, value

    def begin(self, kind: str, number: int, row: int) -> Resource:
        """Gives the beginning of the resource of a cell: its id, its patient and its visit."""
        patient, part, where = self._numbers[row], f"c{self._mapped.number}", {}
        if self._mapped.visit:
            slot = int(self.places[1][number])
            part = f"{part}-v{slot}"
            where = {"encounter": {"reference": f"Encounter/{self._marks.id(patient, f'v{slot}')}"}}
        return {**self._marks.resource(kind, patient, part), "subject": self._marks.subject(patient), **where}

    def effective(self, number: int) -> dict[str, str]:
        """Gives when a cell's finding was, if that is known."""
        text = (self.told[number] if self.told is not None else "") or self.default[number]
        return {"effectiveDateTime": text} if text else {}

    def meant(self, code: float) -> Concept | None:
        """Gives what somebody has or takes; `None` for nothing."""
        if self._mapped.column.kind == "date":
            return self._mapped.concept
        level = self._mapped.levels[int(code)]
        if isinstance(level, Concept):
            return level
        return self._mapped.concept if level is True else None


def _people(
    cohort: Cohort, concepts: Concepts, clock: Clock, marks: Marks, numbers: list[int]
) -> list[Resource]:  # fmt: skip
    found: list[Resource] = [
        {
            **marks.resource("Patient", number),
            "identifier": [marks.identifier(number)],
            "name": [{"use": "anonymous", "text": f"SYNTHETIC {number}"}],
        }
        for number in numbers
    ]
    gender, birth, end = concepts.first("gender"), concepts.first("age", "birth"), concepts.first("deceased")
    if gender is not None:
        _put(
            found,
            "gender",
            [None if np.isnan(code) else gender.levels[int(code)] for code in cohort.static[gender.name]],
        )
    if birth is not None:
        days, known = clock.births(birth)
        texts = np.datetime_as_string(days.astype(f"datetime64[{known}]"))
        _put(found, "birthDate", [None if text == "NaT" else text for text in texts.tolist()])
    if end is not None:
        _put_end(found, end, cohort.static[end.name], clock)
    return found


def _put(found: list[Resource], key: str, values: list[object]) -> None:
    for one, value in zip(found, values, strict=True):
        if value is not None:
            one[key] = value


def _put_end(found: list[Resource], mapped: Mapped, codes: Codes, clock: Clock) -> None:
    """Says who is deceased and when, as far as it is known."""
    told = clock.told(mapped)
    when = [""] * len(found) if told is None else [text.replace("NaT", "") for text in told.texts().tolist()]
    for one, code, text in zip(found, codes.tolist(), when, strict=True):
        dead = None if np.isnan(code) else mapped.column.kind == "date" or mapped.levels[int(code)]
        if dead and text:
            one["deceasedDateTime"] = text
        elif dead is not None:
            one["deceasedBoolean"] = bool(dead)


def _encounters(
    cohort: Cohort, concepts: Concepts, clock: Clock, marks: Marks, numbers: list[int]
) -> Iterator[tuple[int, Resource]]:
    visits, meetings = cohort.schema.visits, concepts.meetings
    if visits is None or meetings is None or cohort.present is None or clock.visits is None:
        return
    kind = {"system": f"{_HL7}/v3-ActCode", "code": meetings.kind, "display": CLASSES[meetings.kind]}
    texts = clock.visits.texts()
    for row, slot in np.argwhere(cohort.present).tolist():
        when = str(texts[row, slot])
        yield (
            row,
            {
                **marks.resource("Encounter", numbers[row], f"v{slot}"),
                "status": "finished",
                "class": kind,
                "type": [{"text": visits.slots[slot]}],
                "subject": marks.subject(numbers[row]),
                **({} if when == "NaT" else {"period": {"start": when, "end": when}}),
            },
        )


def _observations(mapped: Mapped, cells: Cells) -> Iterator[tuple[int, Resource]]:
    category = {"system": f"{_HL7}/observation-category", "code": mapped.category}
    about: Resource = {
        "status": "final",
        **({"category": [{"coding": [category]}]} if mapped.category else {}),
        "code": mapped.concept.to_fhir(),
    }
    value = _value(mapped, cells)
    for number, row, code in cells:
        found = value(number, code)
        if found:
            yield row, {**cells.begin("Observation", number, row), **about, **cells.effective(number), **found}


def _value(mapped: Mapped, cells: Cells) -> Callable[[int, float], Resource]:
    """Gives what turns a cell into the value of an Observation; nothing for a level that means nothing."""
    column, unit = mapped.column, mapped.unit
    if column.kind == "date":
        return lambda number, code: {"valueDateTime": cells.dates[number]}
    if column.kind == "flag":
        return lambda number, code: {"valueBoolean": bool(code)}
    if column.kind == "category":
        levels: list[Resource] = [
            {"valueCodeableConcept": one.to_fhir()} if isinstance(one, Concept) else {} for one in mapped.levels
        ]
        return lambda number, code: levels[int(code)]
    whole = column.kind == "integer"
    if unit is None:
        small = max(abs(column.low or 0), abs(column.high or 0)) <= LARGEST_ID
        return lambda number, code: {"valueInteger": int(code)} if small else {"valueQuantity": {"value": int(code)}}
    quantity = {"unit": unit, "system": UCUM, "code": unit}
    return lambda number, code: {"valueQuantity": {"value": int(code) if whole else code, **quantity}}


def _conditions(mapped: Mapped, cells: Cells) -> Iterator[tuple[int, Resource]]:
    for number, row, code in cells:
        meant = cells.meant(code)
        if meant is None:
            continue
        onset = cells.told[number] if cells.told is not None else ""
        noted = {"onsetDateTime": onset} if onset else {"recordedDate": cells.default[number]}
        one: Resource = {**cells.begin("Condition", number, row), **_SETTLED, "code": meant.to_fhir()}
        yield row, one | {key: text for key, text in noted.items() if text}


def _medications(mapped: Mapped, cells: Cells) -> Iterator[tuple[int, Resource]]:
    for number, row, code in cells:
        meant = cells.meant(code)
        if meant is not None:
            one = cells.begin("MedicationStatement", number, row)
            # Of a medication, the visit is called its context.
            where = {"context": one.pop("encounter")} if "encounter" in one else {}
            about = {"status": "active", "medicationCodeableConcept": meant.to_fhir(), **where}
            yield row, {**one, **about, **cells.effective(number)}


_MAKERS: Final[Mapping[str, Callable[[Mapped, Cells], Iterator[tuple[int, Resource]]]]] = {
    "observation": _observations, "measurement": _observations, "condition": _conditions, "medication": _medications,
}  # fmt: skip

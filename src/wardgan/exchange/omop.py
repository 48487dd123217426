"""Synthetic patients as tables of the OMOP common data model 5.4.

Ids are made of the number of the patient and the place of the cell, so a row has the same id however many patients are
drawn. No vocabulary is looked up: the numbers of concepts are those of the mapping file, and 0 where it gives none.

Source: OHDSI, OMOP common data model v5.4, https://ohdsi.github.io/CommonDataModel/cdm54.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wardgan._version import __version__
from wardgan.errors import UsageError
from wardgan.exchange.clock import Clock, Seconds
from wardgan.exchange.codes import Concept
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.entry import LARGEST_ID, Mapped
from wardgan.exchange.omop_rows import ABOUT, HOME, LONGEST, STARTS, Draft, Places, Rows, cell_rows, cut, visit_rows
from wardgan.exchange.omop_tables import SCHEMAS, TABLES
from wardgan.imaging.marks import Origin
from wardgan.schema.cohort import Cohort

# Concepts of the CDM itself: the two of gender, and version 5.4.0.
_GENDERS: Final = {"male": 8507, "female": 8532}
_VERSION: Final = 756265


@dataclass(frozen=True)
class Told:
    """What OMOP demands and the patients do not have.

    Attributes:
        without_concept: For each table, how many rows are about concept 0.
        born_somehow: Patients with the year of birth that the mapping file gives for those without one.
        died_somehow: Patients whose day of death is not known, and is the last day of their observation.
    """

    without_concept: Mapping[str, int] = field(default_factory=dict[str, int])
    born_somehow: int = 0
    died_somehow: int = 0

    def __add__(self, other: Told) -> Told:
        names = dict.fromkeys([*self.without_concept, *other.without_concept])
        counts = {one: self.without_concept.get(one, 0) + other.without_concept.get(one, 0) for one in names}
        return Told(counts, self.born_somehow + other.born_somehow, self.died_somehow + other.died_somehow)


def check_omop(concepts: Concepts, patients: int) -> None:
    """Refuses what OMOP has no place for, before anything is drawn.

    Args:
        concepts: What the columns mean.
        patients: How many are wanted.

    Raises:
        UsageError: No year of birth, texts that are the same once they are cut, or ids beyond 32 bits.
    """
    birth = concepts.first("age", "birth")
    if concepts.year_of_birth is None and (birth is None or birth.column.nullable):
        what = "no column gives an age or a birthday" if birth is None else f"{birth.name} may be missing"
        raise UsageError(
            f"concepts: OMOP wants a year of birth of every person, and {what}; write omop: {{year_of_birth: 1950}} "
            "for a year that stands for those who have none."
        )
    for mapped in concepts.columns:
        texts = [cut(one.source) for one in mapped.levels if isinstance(one, Concept)]
        if len(set(texts)) < len({one.source for one in mapped.levels if isinstance(one, Concept)}):
            raise UsageError(
                f"concepts: {mapped.name}: two levels have the same first {LONGEST} letters, and OMOP keeps no more; "
                "give them a shorter text."
            )
    most = max([len(concepts.schema.visits.slots) if concepts.schema.visits else 1, *Places(concepts).widths.values()])
    if patients * most > LARGEST_ID:
        raise UsageError(
            f"n={patients:,} patients have up to {patients * most:,} rows in a table, and OMOP's ids end at "
            f"{LARGEST_ID:,}; ask for at most {LARGEST_ID // most:,}."
        )


def tables(cohort: Cohort, concepts: Concepts) -> tuple[dict[str, pa.Table], Told]:
    """Gives the rows of some patients in each table but `cdm_source`, and what had to be made up.

    Args:
        cohort: Synthetic patients with whole numbers for names.
        concepts: What their columns mean; `check_omop` has nothing against it.
    """
    draft = Draft(cohort, concepts, Clock(cohort, concepts), Places(concepts))
    parts: dict[str, list[Rows]] = {name: [] for name in TABLES if name != "cdm_source"}
    parts["visit_occurrence"] += visit_rows(draft)
    for mapped in concepts.columns:
        if mapped.kind in HOME:
            parts[HOME[mapped.kind]].append(cell_rows(draft, mapped))
    first, last = _span(draft, parts)
    people, born_somehow = _people(draft)
    deaths, died_somehow = _deaths(draft, last)
    parts["person"].append(people)
    parts["death"] += deaths
    parts["observation_period"].append({
        "observation_period_id": draft.numbers, "person_id": draft.numbers, "observation_period_start_date": first,
        "observation_period_end_date": last, "period_type_concept_id": concepts.type_omop,
    })  # fmt: skip
    found = {name: _table(name, rows) for name, rows in parts.items()}
    zeros = {name: found[name].column(about).to_numpy() for name, about in ABOUT.items() if len(found[name])}
    without = {name: int((column == 0).sum()) for name, column in zeros.items()}
    return found, Told({name: count for name, count in without.items() if count}, born_somehow, died_somehow)


def source_table(concepts: Concepts, origin: Origin, *, released: str, written: str) -> pa.Table:
    """Gives the one row of `cdm_source`, which says that all of it is synthetic.

    Args:
        concepts: What the columns mean.
        origin: What the patients came from.
        released: Day of the release, `YYYY-MM-DD`.
        written: Day on which the tables are written.
    """
    epsilon = "none: the generator is not private" if origin.epsilon is None else f"{origin.epsilon:.6g}"
    return _table("cdm_source", [{
        "cdm_source_name": f"SYNTHETIC {concepts.schema.name}"[:255], "cdm_source_abbreviation": "SYNTHETIC",
        "cdm_holder": "nobody: these patients do not exist",
        "source_description": (
            f"Synthetic patients, who do not exist, drawn by wardgan {__version__} from the generator {origin.model} "
            f"with seed {origin.seed}. Epsilon: {epsilon}. Not for decisions about persons."
        ),
        "source_documentation_reference": f"urn:wardgan:{origin.model}", "cdm_etl_reference": f"wardgan {__version__}",
        "source_release_date": np.datetime64(released, "s"), "cdm_release_date": np.datetime64(written, "s"),
        "cdm_version": "v5.4", "cdm_version_concept_id": _VERSION, "vocabulary_version": "none",
    }])  # fmt: skip


def _table(name: str, parts: list[Rows]) -> pa.Table:
    """Gives the rows of all parts, by their ids; a value that is not an array stands in each row."""
    schema = SCHEMAS[name]
    found: list[pa.Table] = []
    for part in parts:
        arrays = [value for value in part.values() if isinstance(value, np.ndarray)]
        size = len(arrays[0]) if arrays else 1
        found.append(pa.table([_array(part.get(one.name), one.type, size) for one in schema], schema=schema))
    whole = pa.concat_tables(found) if found else schema.empty_table()
    return whole.sort_by(schema.names[0])


def _array(value: object, kind: pa.DataType, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size, kind)
    cells = value if isinstance(value, np.ndarray) else np.full(size, value)
    if cells.dtype.kind == "M":
        cells = cells.astype("datetime64[D]" if kind == pa.date32() else "datetime64[s]")
    return pa.array(cells, type=kind, from_pandas=True)


def _people(draft: Draft) -> tuple[Rows, int]:
    gender, birth = draft.concepts.first("gender"), draft.concepts.first("age", "birth")
    concept, source = np.zeros(len(draft.cohort), dtype=np.int64), None
    if gender is not None:
        codes = draft.cohort.static[gender.name]
        known = ~np.isnan(codes)
        which = np.where(known, codes, 0).astype(np.intp)
        concept = np.where(known, np.array([_GENDERS.get(str(one), 0) for one in gender.levels])[which], 0)
        names = np.array([cut(str(level)) for level in gender.column.levels], dtype=object)
        source = names[which]
        source[~known] = None
    born, somehow = _births(draft, birth)
    return {
        "person_id": draft.numbers, "gender_concept_id": concept, "race_concept_id": 0, "ethnicity_concept_id": 0,
        "person_source_value": np.array([f"SYNTHETIC {number}" for number in draft.numbers], dtype=object),
        "gender_source_value": source, **born,
    }, somehow  # fmt: skip


def _births(draft: Draft, birth: Mapped | None) -> tuple[Rows, int]:
    if birth is None:
        return {"year_of_birth": draft.concepts.year_of_birth}, len(draft.cohort)
    days, known = draft.clock.births(birth)
    lost = np.isnat(days)
    years = np.where(lost, draft.concepts.year_of_birth or 0, days.astype("datetime64[Y]").astype(np.int64) + 1970)
    months = (days.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64)
    day = (days - days.astype("datetime64[M]")).astype(np.float64) + 1
    found: dict[str, object] = {"year_of_birth": years}
    if known in ("M", "D"):
        found["month_of_birth"] = np.where(lost, np.nan, months)
    if known == "D":
        found["day_of_birth"] = np.where(lost, np.nan, day)
    return found, int(lost.sum())


def _span(draft: Draft, parts: Mapping[str, list[Rows]]) -> tuple[Seconds, Seconds]:
    """Gives the first and the last moment at which something is known of each patient; day 0 is one of them."""
    first, last = draft.clock.day0.seconds.copy(), draft.clock.day0.seconds.copy()
    for table, start in STARTS.items():
        for part in parts[table]:
            _widen(first, last, np.asarray(part["row"]), np.asarray(part[start]))
    for mapped in draft.concepts.columns:
        told = draft.clock.told(mapped) if mapped.after is not None or mapped.kind == "deceased" else None
        if told is not None:
            at = np.flatnonzero(~np.isnat(told.seconds))
            _widen(first, last, at, told.seconds[at])
    return first, last


def _widen(first: Seconds, last: Seconds, row: NDArray[np.intp], when: Seconds) -> None:
    np.minimum.at(first, row, when)
    np.maximum.at(last, row, when)


def _deaths(draft: Draft, last: Seconds) -> tuple[list[Rows], int]:
    end = draft.concepts.first("deceased")
    if end is None:
        return [], 0
    codes = draft.cohort.static[end.name]
    dead = ~np.isnan(codes)
    if end.column.kind != "date":
        dead &= np.array([level is True for level in end.levels])[np.where(dead, codes, 0).astype(np.intp)]
    told = draft.clock.told(end)
    known = np.full(len(codes), np.datetime64("NaT", "s")) if told is None else told.seconds
    when = np.where(np.isnat(known), last, known)[dead]
    exact = {"death_datetime": when} if told is not None and told.exact else {}
    rows = {"person_id": draft.numbers[dead], "death_date": when, **exact,
            "death_type_concept_id": draft.concepts.type_omop}  # fmt: skip
    return [rows], int(np.isnat(known)[dead].sum())

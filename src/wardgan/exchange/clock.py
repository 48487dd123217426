"""When things happen to synthetic patients: days counted from day 0, and times of the day where they are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.exchange.codes import seconds_of, time_unit, within_a_day
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.entry import Mapped
from wardgan.schema.cohort import Codes, Cohort
from wardgan.schema.columns import DAY_ZERO, Column
from wardgan.schema.references import origins

Seconds = NDArray[np.datetime64]
_FIRST, _LAST = np.datetime64("0001-01-01", "s"), np.datetime64("10000-01-01", "s")
# Beyond any calendar, and within what fits into 64 bits.
_NEVER = 1e15
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
_KNOWN = {"a": "Y", "mo": "M"}


@dataclass(frozen=True)
class Times:
    """When something is.

    Attributes:
        seconds: Of the type `datetime64[s]`, shape (patients,) or (patients, visits); NaT where it is not known.
        exact: Whether the time of the day is known, or the day alone.

    Raises:
        UsageError: A year lies outside of 1 to 9999.
    """

    seconds: Seconds
    exact: bool = False

    def __post_init__(self) -> None:
        known = self.seconds[~np.isnat(self.seconds)]
        if len(known) and not _FIRST <= known.min() <= known.max() < _LAST:
            raise UsageError(
                "concepts: some dates lie outside of the years 1 to 9999; choose another reference, or mend the units "
                "of the times that are counted from it."
            )

    def texts(self) -> NDArray[np.str_]:
        """Gives FHIR dates, or instants in UTC, of the same shape; `NaT` where it is not known."""
        if not self.exact:
            return np.datetime_as_string(self.seconds.astype("datetime64[D]"))
        texts = np.datetime_as_string(self.seconds)
        return np.where(np.isnat(self.seconds), texts, np.strings.add(texts, "Z"))

    def or_else(self, other: Times) -> Times:
        """Gives these times, and others where they are not known."""
        return Times(np.where(np.isnat(self.seconds), other.seconds, self.seconds), self.exact)


class Clock:
    """Tells when things are for the patients of a cohort."""

    def __init__(self, cohort: Cohort, concepts: Concepts) -> None:
        """Finds day 0 of each patient, and when their visits were.

        Args:
            cohort: Synthetic patients.
            concepts: What their columns mean.
        """
        self._cohort, self._concepts = cohort, concepts
        self._origins = origins(cohort.schema.columns)
        reference = concepts.reference
        fixed = np.datetime64(reference, "s") if isinstance(reference, date) else np.datetime64("2000-01-01", "s")
        # A date that is counted from an origin has no calendar; its origin is day 0.
        self._moved = fixed - np.datetime64("2000-01-01", "s")
        day = np.full(len(cohort), fixed) if isinstance(reference, date) else self._dates(reference)
        self.day0 = Times(day)
        self.visits = None if cohort.present is None else self._visits()

    def default(self, mapped: Mapped) -> Times:
        """Gives when a column's cells are if nothing else says so: at day 0, or at the visit."""
        return self.visits if mapped.visit and self.visits is not None else self.day0

    def told(self, mapped: Mapped) -> Times | None:
        """Gives when a column's cells are by another column, or by themselves; `None` if nothing says so."""
        if mapped.on is not None:
            found = self._dates(mapped.on)
            shaped = mapped.visit and found.ndim == 1
            return Times(np.broadcast_to(found[:, None], self.default(mapped).seconds.shape) if shaped else found)
        if mapped.after is not None:
            unit = time_unit(self._cohort.schema.column(mapped.after).unit) or "d"
            return self._later(self._codes(mapped.after), seconds_of(unit), exact=within_a_day(unit))
        if mapped.column.kind == "date" and mapped.kind in ("condition", "medication", "deceased"):
            return Times(self._dates(mapped.name))
        return None

    def dates(self, mapped: Mapped) -> Times:
        """Gives the dates in the cells of a date column."""
        return Times(self._dates(mapped.name))

    def births(self, mapped: Mapped) -> tuple[Seconds, str]:
        """Gives birthdays, NaT where not known, and what is known of them: `Y` the year, `M` the month, `D` the day.

        A patient of 65 whole years is taken to be born 65 years before day 0, so the year says no more than the age.
        """
        if mapped.kind == "birth":
            return self._dates(mapped.name).astype("datetime64[D]"), "D"
        codes, unit = self._codes(mapped.name), mapped.unit or "a"
        day = self.day0.seconds.astype("datetime64[D]")
        if _whole(mapped.column) and unit in ("a", "mo"):
            months = np.where(np.isnan(codes), 0, codes) * (12 if unit == "a" else 1)
            first = day.astype("datetime64[M]") - months.astype("timedelta64[M]")
            return np.where(np.isnan(codes), np.datetime64("NaT", "D"), first.astype("datetime64[D]")), _KNOWN[unit]
        days = np.rint(np.where(np.isnan(codes), 0, codes) * seconds_of(unit) / _DAY)
        return np.where(np.isnan(codes), np.datetime64("NaT", "D"), day - days.astype("timedelta64[D]")), "D"

    def late(self) -> tuple[int, int]:
        """Counts visits after the day of death, and all visits of patients whose day of death is known.

        A generator draws both from what they look like, and no rule of a schema binds visits to a death.
        """
        end, present = self._concepts.first("deceased"), self._cohort.present
        told = None if end is None else self.told(end)
        if end is None or told is None or self.visits is None or present is None:
            return 0, 0
        codes = self._cohort.static[end.name]
        dead = ~np.isnan(codes)
        if end.column.kind != "date":
            died = np.array([bool(level) for level in end.levels])
            dead &= died[np.where(dead, codes, 0).astype(np.int64)]
        # Comparisons with what is not known are false.
        seen = present & (dead & ~np.isnat(told.seconds))[:, None] & ~np.isnat(self.visits.seconds)
        after = self.visits.seconds.astype("datetime64[D]") > told.seconds.astype("datetime64[D]")[:, None]
        return int((seen & after).sum()), int(seen.sum())

    def _visits(self) -> Times:
        meetings = self._concepts.meetings
        if meetings is None or self._cohort.present is None:
            raise UsageError("concepts: they were made for a schema without visits.")
        if meetings.on is None:
            offsets = np.tile(meetings.seconds, (len(self._cohort), 1))
            return self._later(offsets, 1.0, exact=meetings.exact)
        if self._cohort.schema.column(meetings.on).kind == "date":
            return Times(self._dates(meetings.on))
        return self._later(self._codes(meetings.on), seconds_of(meetings.unit), exact=meetings.exact)

    def _later(self, codes: Codes, unit: float, *, exact: bool) -> Times:
        """Gives times that lie so many units after day 0."""
        missing = np.isnan(codes)
        seconds = np.clip(np.where(missing, 0, codes) * unit, -_NEVER, _NEVER)
        whole = np.rint(seconds if exact else np.rint(seconds / _DAY) * _DAY).astype("timedelta64[s]")
        day = self.day0.seconds if codes.ndim == 1 else self.day0.seconds[:, None]
        return Times(np.where(missing, np.datetime64("NaT", "s"), day + whole), exact)

    def _dates(self, name: str) -> Seconds:
        codes = self._codes(name)
        missing = np.isnan(codes)
        days = np.where(missing, DAY_ZERO, codes).astype(np.int64) - _EPOCH
        found = days.astype("datetime64[D]").astype("datetime64[s]")
        found = found + self._moved if name in self._origins else found
        return np.where(missing, np.datetime64("NaT", "s"), found)

    def _codes(self, name: str) -> Codes:
        return self._cohort.measured[name] if name in self._cohort.measured else self._cohort.static[name]


def _whole(column: Column) -> bool:
    return column.step is not None and column.step.is_integer() and float(column.low or 0).is_integer()

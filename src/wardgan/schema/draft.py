"""A draft of a schema from a file: a first guess for a person to correct, never a declaration.

Everything that the draft reads off the cells came from patients. It is put on the schema's `confirm` list, and a
private fit refuses a schema with such a list (Rule P2).
"""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from wardgan import files
from wardgan.errors import DataError, counted
from wardgan.schema.cells import keys_of
from wardgan.schema.guess import Guess, column_of, identifier, numbers_of, outward, plain
from wardgan.schema.read import Source, frame_of
from wardgan.schema.schema import Schema
from wardgan.schema.source import hint_of
from wardgan.schema.visits import MAX_SLOTS, Visits

MARK: Final = "# from patients: confirm or replace"
_HEAD: Final = """\
# A draft, guessed from the cells of a file. What is marked "from patients" is not public yet. Replace it by what is
# known without looking at a patient (bounds or levels that nobody knows: delete them and set `learn: true`), then
# take its line off the `confirm` list at the end. Check the kinds too: they were guessed from the cells.
"""
_HOLES: Final = "nullable"
_ABOUT_HOLES: Final = """\
# `nullable` on that list stands for all columns without `nullable: true`: in this file they have no empty cell. Say
# `nullable: true` wherever a cell could be empty, then take the line off.
"""
_PATIENTS: Final = (
    "patientid", "patient", "patid", "pid", "subjectid", "subject", "subjid", "usubjid", "participantid", "participant",
    "personid", "person", "patientnumber", "patientnbr", "patientno", "maskid", "recordid", "mrn", "caseid", "id",
)  # fmt: skip
_VISITS: Final = (
    "visit", "visitid", "visitname", "visitcode", "visitnum", "visitnumber", "visitno", "timepoint", "wave", "event",
    "eventname", "redcapeventname", "followup", "fu", "epoch", "cycle", "time", "hour", "hours", "day", "days", "week",
    "month", "months", "year", "years", "studyday", "visitdate", "date", "encounterid", "encounter", "admissionid",
)  # fmt: skip
_MOST_NAMED: Final = 100
_MOST_NUMBERED: Final = 20


@dataclass(frozen=True)
class Drafted:
    """A draft and what a person should know about it.

    Attributes:
        schema: The draft; its `confirm` list names every value that came from patients.
        left_out: Columns that are not in the draft, each with the reason.
        notices: What to look at first; never a patient's value.
    """

    schema: Schema
    left_out: Mapping[str, str]
    notices: tuple[str, ...]

    def to_yaml(self) -> str:
        """Gives the text of the schema file, with a mark on each line whose value came from patients.

        What is on the `confirm` list and has no line, as `nullable` where it is left out, is explained at the head.
        """
        lines = self.schema.to_yaml().splitlines()
        places = set(self.schema.confirm)
        for place, line in _lines(yaml.compose("\n".join(lines)), ()):
            if place in places:
                lines[line] += f"  {MARK}"
        notes = [f"# {notice}" for notice in self.notices]
        notes += [f"# left out: {name} ({reason})" for name, reason in self.left_out.items()]
        head = _HEAD + _ABOUT_HOLES * (_HOLES in places)
        return head + "\n".join([*notes, *lines]) + "\n"

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the schema file, whole or not at all.

        Raises:
            OutputError: The file exists, or cannot be written.
        """
        files.write_bytes(path, self.to_yaml().encode(), force=force)


def draft(
    source: Source, *, name: str, patient: str | None = None, visit: str | None = None, delimiter: str = ","
) -> Drafted:
    """Gives a first guess of the schema of a file.

    Columns that never change within a patient become columns of the table, the others measures of the visits.
    Bounds are rounded outwards to round numbers and the number of patients to two digits; they are still not public.

    Args:
        source: CSV or Parquet file, or dataframe: one row per patient, or one row per visit.
        name: Short name of the data set.
        patient: Column that names the patient; guessed from the columns' names if left out.
        visit: Column that tells the visits of a patient apart; guessed if left out and patients have several rows.
        delimiter: Between the cells of a CSV file.

    Returns:
        The draft, what was left out of it, and notices.

    Raises:
        DataError: The file cannot be read or has no row, a named column is not in it, or the visits of a patient
            cannot be told apart.

    Example:
        >>> frame = pd.DataFrame({"id": [1, 2, 3], "age": [34, 58, 71], "smoker": ["no", "yes", "no"]})
        >>> made = draft(frame, name="demo")
        >>> made.schema.patient, made.schema.column("age").low, made.schema.column("age").high
        ('id', 30.0, 80.0)
        >>> made.schema.confirm
        ('population', 'table.age.low', 'table.age.high', 'nullable')
    """
    for argument, value in (("name", name), ("patient", patient), ("visit", visit)):
        if value is not None and not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"{argument}: {type(value).__name__} is not a name; pass text.")
    frame = frame_of(source, delimiter=delimiter)
    if not len(frame):
        raise DataError("source: the file has no row to draft a schema from.")
    notices: list[str] = []
    key = _patient(frame, patient, notices)
    person = np.arange(len(frame)) if key is None else keys_of(_cells(frame, key))[0]
    number = int(person.max()) + 1
    if not number:
        raise DataError(f"patient={key!r}: no row names its patient; fill the column, or name another one.")
    repeats = key is not None and np.bincount(person[person >= 0]).max(initial=0) > 1
    when = _visit(frame, cast("str", key), person, visit) if repeats else _named(frame, visit, "visit")
    if repeats and visit is None:
        notices.append(f"patients have several rows: {when!r} was taken for what tells their visits apart.")
    guesses, left_out = _guesses(frame, {key, when} if repeats else {key}, number)
    moving = {name for name in guesses if repeats and _moves(_cells(frame, name), person)}
    table = {name: guess for name, guess in guesses.items() if name not in moving}
    marks = ["population", *_marks("table", table)]
    visits = None
    if repeats:
        visits, more = _visits(
            frame, cast("str", when), person, {name: guesses[name] for name in guesses if name in moving}
        )
        marks += more
    if not guesses:
        # The reasons, and not the headers: in a file without a header line they are a patient's cells.
        reasons = (f"{counted(count, 'column')}: {why}" for why, count in Counter(left_out.values()).items())
        raise DataError("source: no column can be drafted: " + "; ".join(reasons))
    columns = (*table.values(), *(guesses[name] for name in moving))
    marks += [_HOLES] * any(not guess.column.nullable for guess in columns)
    schema = Schema(
        name=name, patient=key, population=int(float(f"{number:.1e}")), visits=visits, confirm=tuple(marks),
        table=tuple(guess.column for guess in table.values()),
    )  # fmt: skip
    notices += [*_together(guesses), *_dates(table), *_dates({name: guesses[name] for name in moving})]
    notices.append("no label is set: add `label: true` to the category that researchers may ask for, such as an arm.")
    return Drafted(schema, left_out, tuple(notices))


def _lines(node: yaml.Node | None, path: tuple[str, ...]) -> list[tuple[str, int]]:
    """Gives the place of each key of a mapping and the number of its line."""
    found: list[tuple[str, int]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*path, str(key.value))
            found += [(".".join(place), key.start_mark.line), *_lines(value, place)]
    return found


def _named(frame: pd.DataFrame, name: str | None, argument: str) -> str | None:
    if name is not None and name not in frame.columns:
        raise DataError(
            f"{argument}={name!r} is not a column of the file{hint_of(frame, name)}; its first line must name the "
            f"columns, and it names {frame.shape[1]}."
        )
    return name


def _patient(frame: pd.DataFrame, given: str | None, notices: list[str]) -> str | None:
    if given is not None:
        return _named(frame, given, "patient")
    by_name = {plain(name): name for name in reversed(list(map(str, frame.columns)))}
    for candidate in _PATIENTS:
        if candidate in by_name:
            notices.append(f"{by_name[candidate]!r} was taken for the column that names the patient.")
            return by_name[candidate]
    notices.append(
        "no column names the patient: each row counts as one. If a patient can have several rows, name the column; "
        "otherwise a patient with many rows is not protected."
    )
    return None


def _visit(frame: pd.DataFrame, key: str, person: NDArray[np.intp], given: str | None) -> str:
    if given is not None:
        return cast("str", _named(frame, given, "visit"))
    moving = [name for name in map(str, frame.columns) if name != key and _moves(_cells(frame, name), person)]
    by_name = {plain(name): name for name in reversed(moving)}
    for candidate in _VISITS:
        if candidate in by_name:
            return by_name[candidate]
    for name in moving:
        at, names = _visit_names(_cells(frame, name))
        if len(names) <= _MOST_NAMED and not _twice(person, at):
            return name
    raise DataError(
        f"visit: patients have several rows (column {key!r}), but no column is known to tell their visits apart; name "
        "it, or keep one row per patient. (Rows of name and value need to become one row per visit first.)"
    )


def _cells(frame: pd.DataFrame, name: str) -> pd.Series:
    return cast("pd.Series", frame[name])


def _visit_names(cells: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    return keys_of(cells, missing=frozenset({""}))


def _twice(person: NDArray[np.intp], visit: NDArray[np.intp]) -> bool:
    """Tells whether a patient has a visit more than once."""
    return bool(pd.DataFrame({"person": person, "visit": visit})[person >= 0].duplicated().to_numpy().any())


def _moves(cells: pd.Series, person: NDArray[np.intp]) -> bool:
    """Tells whether a column takes more than one value within a patient."""
    known = person >= 0
    return bool(cast("pd.Series", cells[known]).groupby(person[known]).nunique().max() > 1)


def _guesses(frame: pd.DataFrame, keys: set[str | None], patients: int) -> tuple[dict[str, Guess], dict[str, str]]:
    guesses: dict[str, Guess] = {}
    left_out: dict[str, str] = {}
    for name in map(str, frame.columns):
        if name in keys:
            continue
        found = identifier(name, _cells(frame, name), patients) or column_of(name, _cells(frame, name))
        if isinstance(found, str):
            left_out[name] = found
        else:
            guesses[name] = found
    return guesses, left_out


def _together(guesses: Mapping[str, Guess]) -> list[str]:
    """Gives each notice once, with the columns that it is about."""
    names: dict[str, list[str]] = {}
    for name, guess in guesses.items():
        if guess.notice:
            names.setdefault(guess.notice, []).append(name)
    return [f"{', '.join(columns)}: {notice}" for notice, columns in names.items()]


def _dates(guesses: Mapping[str, Guess]) -> list[str]:
    """Gives a notice about dates side by side. Whether one is always the first is not read off the patients."""
    dates = [name for name, guess in guesses.items() if guess.column.kind == "date"]
    if len(dates) < 2:
        return []
    way_out = "if one can never be before another, declare `after` and `within` in the place of `low` and `high`."
    return [f"{', '.join(dates)}: {way_out}"]


def _marks(place: str, guesses: Mapping[str, Guess]) -> list[str]:
    return [f"{place}.{name}.{mark}" for name, guess in guesses.items() for mark in guess.marks]


def _visits(
    frame: pd.DataFrame, key: str, person: NDArray[np.intp], guesses: dict[str, Guess]
) -> tuple[Visits, list[str]]:
    if not guesses:
        raise DataError(f"visit={key!r}: the rows of a patient differ in nothing else; keep one row per patient.")
    columns = tuple(guess.column for guess in guesses.values())
    marks = _marks("visits.columns", guesses)
    at, names = _visit_names(_cells(frame, key))
    slots = _slots(_cells(frame, key), person, at, names)
    if slots is not None:
        known = person >= 0
        present = pd.DataFrame({"person": person, "visit": at})[known].drop_duplicates()
        complete = len(present) == len(names) * (int(person.max()) + 1) and bool((at[known] >= 0).all())
        named = Visits(key, slots, columns, complete=complete)
        return named, ["visits.grid", *["visits.complete"] * complete, *marks]
    time = column_of(key, _cells(frame, key))
    if not isinstance(time, Guess) or not time.column.numeric:
        raise DataError(
            f"visit={key!r} has too many different texts for a grid; name a column with visits, times or dates."
        )
    most = min(MAX_SLOTS, int(outward(0.0, float(np.bincount(person[person >= 0]).max()), 1.0)[1]))
    # The slots only count here, so the time of a visit is a measure of its own; the number of a case is none.
    own = () if time.column.nullable or identifier(key, _cells(frame, key), int(person.max()) + 1) else (time.column,)
    timed = _marks("visits.columns", {key: time}) if own else []
    visits = Visits(key, tuple(str(slot + 1) for slot in range(most)), (*own, *columns), ragged=True)
    return visits, ["visits.max_visits", *timed, *marks]


def _slots(
    cells: pd.Series, person: NDArray[np.intp], at: NDArray[np.intp], names: list[str]
) -> tuple[str, ...] | None:
    """Gives the names of the visits, or `None` if the column holds times rather than names."""
    values = numbers_of(pd.Series(names, dtype=object))
    if np.isnan(values).any():
        dates = isinstance(guess := column_of("visit", cells), Guess) and guess.column.kind == "date"
        return None if dates or len(names) > _MOST_NAMED else tuple(names)
    scheduled = len(names) <= _MOST_NUMBERED and (values == np.round(values)).all() and not _twice(person, at)
    filled = 2 * len(cells) >= len(names) * (int(person.max()) + 1)
    return tuple(names[rank] for rank in np.argsort(values, kind="stable")) if scheduled and filled else None

"""The schema: everything about a cohort that is public before a patient is looked at."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from wardgan import files
from wardgan.errors import SchemaError
from wardgan.schema.columns import Column, Level
from wardgan.schema.duo import uses_of
from wardgan.schema.images import ImageFormat
from wardgan.schema.meaning import Meaning
from wardgan.schema.references import resolved
from wardgan.schema.rules import MAX_RULES, Rule
from wardgan.schema.verdicts import check_possible
from wardgan.schema.visits import Visits, columns_of, refuse_unknown
from wardgan.schema.yaml_text import read_yaml, yaml_of

MAX_CLASSES: Final = 64
_DEPTH: Final = 8
_KEYS: Final = ("name", "patient", "population", "table", "visits", "images", "events", "rules", "terms", "confirm")


@dataclass(frozen=True)
class Schema:
    """What is declared about a cohort. It is public and travels with the generator.

    Attributes:
        name: Short name of the data set.
        patient: Column that names the patient: the unit of privacy, never modelled. `None`: one row is one patient.
        population: Public, rounded number of patients; `None`: a noisy count is paid for.
        table: Columns with one value per patient.
        visits: Repeated measures, if any.
        images: How images look, if patients are images: the columns of the table are then the labels of each image.
        events: Names of a time-to-event pair, as `{"time": ..., "event": ...}`; the event is a label.
        rules: Rules between columns.
        terms: Licence, permitted use (DUO codes) and contact.
        confirm: Places whose value was read off patients by a draft and waits for a person's word.
    """

    name: str
    patient: str | None
    table: tuple[Column, ...]
    population: int | None = None
    visits: Visits | None = None
    events: Mapping[str, str] = field(default_factory=dict[str, str])
    rules: tuple[Rule, ...] = ()
    terms: Mapping[str, object] = field(default_factory=dict[str, object])
    confirm: tuple[str, ...] = ()
    images: ImageFormat | None = None

    def __post_init__(self) -> None:
        _check_images(self)
        _check_names(self)
        _set_columns(self, resolved(self.table, self.visits))
        _check_events(self)
        _bind_rules(self)
        uses_of(self.terms)
        if self.population is not None and self.population < 1:
            raise SchemaError(f"population={self.population} is not a whole number of at least 1.")
        if self.classes > MAX_CLASSES:
            raise SchemaError(f"label: the label columns make {self.classes} classes; {MAX_CLASSES} are allowed.")

    @property
    def labels(self) -> tuple[Column, ...]:
        """Columns whose levels a generator can be asked for: those declared so, and the event of a pair.

        With images it is all columns.
        """
        if self.images is not None:
            return self.table
        event = self.events.get("event")
        return tuple(column for column in self.table if column.label or column.name == event)

    @property
    def classes(self) -> int:
        """Number of classes: the product of the labels' levels, 1 without a label."""
        count = 1
        for column in self.labels:
            count *= max(column.size, 1)
        return count

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, those of the table first."""
        return self.table + (self.visits.columns if self.visits else ())

    @property
    def cells(self) -> int:
        """How many values a patient has at most: of the table, and of each visit."""
        return len(self.table) + (len(self.visits.slots) * len(self.visits.columns) if self.visits else 0)

    def column(self, name: str) -> Column:
        """Gives a column by its name.

        Raises:
            SchemaError: There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"column={name!r} is not in the schema; it has {', '.join(c.name for c in self.columns)}.")

    def replace_columns(self, changed: Mapping[str, Column]) -> Schema:
        """Gives the schema with some columns replaced, by name."""
        table = tuple(changed.get(column.name, column) for column in self.table)
        if self.visits is None:
            return replace(self, table=table)
        columns = tuple(changed.get(column.name, column) for column in self.visits.columns)
        return replace(self, table=table, visits=replace(self.visits, columns=columns))

    def to_dict(self) -> dict[str, object]:
        """Gives the structure of the schema file."""
        found: dict[str, object] = {
            "name": self.name,
            "patient": self.patient,
            "population": self.population,
            "table": {column.name: column.to_dict() for column in self.table},
            "visits": None if self.visits is None else self.visits.to_dict(),
            "images": None if self.images is None else self.images.to_dict(),
            "events": dict(self.events) or None,
            "rules": [rule.text for rule in self.rules] or None,
            "terms": dict(self.terms) or None,
            "confirm": list(self.confirm) or None,
        }
        return {key: value for key, value in found.items() if value is not None}

    @classmethod
    def from_dict(cls, found: object) -> Schema:
        """Reads the structure of the schema file.

        Raises:
            SchemaError: A key is unknown or missing, or the schema contradicts itself.

        Example:
            >>> schema = Schema.from_dict({"name": "demo", "table": {"age": {"kind": "integer", "low": 0, "high": 99}}})
            >>> schema.table[0].steps
            100
        """
        if not isinstance(found, Mapping):
            raise SchemaError("schema: is a mapping with name, patient, table, visits and so on.")
        given = cast("Mapping[str, object]", found)
        refuse_unknown(given, _KEYS, "schema")
        table = _mapping(given, "table")
        images = given.get("images")
        if not table and given.get("visits") is None and images is None:
            # Before anything is repeated: without columns the text may be anything, such as a patient's record.
            raise SchemaError("table: the schema has no column.")
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise SchemaError(f"name={name!r} is not a short text.")
        return cls(
            name=name,
            patient=_optional_text(given, "patient"),
            population=_population(given.get("population")),
            table=columns_of("table", cast("Mapping[object, object]", table)),
            visits=None if given.get("visits") is None else Visits.from_dict(given["visits"]),
            events=_events(_mapping(given, "events")),
            rules=tuple(Rule.parse(rule) for rule in _list(given, "rules")[: MAX_RULES + 1]),
            terms=cast("dict[str, object]", _plain(dict(_mapping(given, "terms")), _DEPTH)),
            confirm=tuple(str(place) for place in _list(given, "confirm")),
            images=None if images is None else ImageFormat.from_dict(cast("Mapping[str, object]", images)),
        )

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Reads a schema file (YAML).

        Raises:
            SchemaError: It is no path, the file is missing, a table or no YAML, names a key twice, or the schema
                contradicts itself. What is no schema may hold patients: its text is not repeated.
        """
        return read_yaml(path, cls.from_dict)

    def save(self, path: str | Path) -> None:
        """Writes a schema file (YAML); one that exists is replaced.

        Raises:
            OutputError: The file cannot be written.
        """
        files.write_bytes(path, self.to_yaml().encode(), force=True)

    def to_yaml(self) -> str:
        """Gives the text of the schema file."""
        return yaml_of(self.to_dict())

    def fingerprint(self) -> str:
        """Gives a digest of the declarations, whatever the order in which columns are declared."""
        found: dict[str, object] = self.to_dict()
        # The order of groups is the order of levels, which a generator counts on.
        order = {column.name: [name for name, _ in column.groups] for column in self.columns if column.groups}
        text = json.dumps(
            found | ({"order of groups": order} if order else {}), sort_keys=True, separators=(",", ":"),
            ensure_ascii=False,
        )  # fmt: skip
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def class_levels(self, index: int) -> dict[str, Level]:
        """Gives the labels' levels that make up a class.

        Args:
            index: Number of the class, 0 to `classes` - 1.
        """
        found: dict[str, Level] = {}
        for column in reversed(self.labels):
            index, level = divmod(index, column.size)
            found[column.name] = column.levels[level]
        return dict(reversed(found.items()))

    def class_name(self, index: int) -> str:
        """Gives a class in words, such as `arm=intensive`."""
        return ", ".join(f"{name}={level}" for name, level in self.class_levels(index).items()) or "all patients"


def _check_images(schema: Schema) -> None:
    """Refuses what has no meaning for images: each column is a label of every image."""
    if schema.images is None:
        return
    for key in ("visits", "events", "rules"):
        if getattr(schema, key):
            raise SchemaError(f"{key}: a schema of images has labels only; take {key} out.")
    for column in schema.table:
        if column.numeric or not column.levels:
            raise SchemaError(
                f"{column.name}: a label of images is a category or a flag with declared levels; declare them, or take "
                "the column out."
            )
        if column.nullable:
            raise SchemaError(
                f"{column.name}: a label of images may not be missing; declare a level for images without one."
            )


def _check_names(schema: Schema) -> None:
    names = [column.name for column in schema.columns]
    if not names and schema.images is None:
        raise SchemaError("table: the schema has no column.")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise SchemaError(f"{twice}: the column is declared twice.")
    for name in names:
        if "@" in name or not name or name != name.strip():
            raise SchemaError(f"{name!r}: a column name must not be empty, have spaces around it or contain '@'.")
    _check_keys(schema)


def _set_columns(schema: Schema, columns: Mapping[str, Column]) -> None:
    """Puts in the columns whose bounds were worked out from those of others."""
    if all(column.after is None for column in schema.columns):
        return
    object.__setattr__(schema, "table", tuple(columns[column.name] for column in schema.table))
    if schema.visits is not None:
        visits = tuple(columns[column.name] for column in schema.visits.columns)
        object.__setattr__(schema, "visits", replace(schema.visits, columns=visits))


def _check_keys(schema: Schema) -> None:
    visits = schema.visits
    keys = {schema.patient, visits.key} if visits else {schema.patient}
    modelled = {column.name for column in visits.columns if visits.ragged} if visits else set[str]()
    for column in schema.columns:
        # Only ragged visits model their key, as times between visits; the patient's key is never modelled.
        if column.name in keys and (column.name == schema.patient or column.name not in modelled):
            raise SchemaError(f"{column.name}: the column is the key of patients or visits; keys are not modelled.")
    if visits is not None and schema.patient is None:
        raise SchemaError("patient: visits need a column that names the patient.")
    if visits is not None and schema.patient == visits.key:
        raise SchemaError(f"visits: key={visits.key!r} names the patient, so it cannot tell visits apart.")


def _check_events(schema: Schema) -> None:
    if not schema.events:
        return
    if set(schema.events) != {"time", "event"}:
        raise SchemaError("events: has the two keys time and event.")
    time, event = (schema.column(schema.events[key]) for key in ("time", "event"))
    for key, column in (("time", time), ("event", event)):
        if column not in schema.table:
            raise SchemaError(
                f"events: {key}={column.name!r} is measured at visits; name a column of the table, with one value per "
                "patient."
            )
    if not time.numeric:
        raise SchemaError(f"events: time={time.name!r} has kind={time.kind}; name a number, an integer or a date.")
    if time.constant:
        raise SchemaError(f"events: time={time.name!r} has one possible value; name a time that differs.")
    _check_event(event)


def _check_event(event: Column) -> None:
    if event.numeric:
        raise SchemaError(f"events: event={event.name!r} has kind={event.kind}; name a flag or a category.")
    if event.nullable:
        raise SchemaError(
            f"events: event={event.name!r} may be missing; declare a level for patients whose end is not known, or "
            "leave events out."
        )
    if event.size < 2:
        raise SchemaError(f"events: event={event.name!r} needs two declared levels, such as no and yes.")


def _bind_rules(schema: Schema) -> None:
    if not schema.rules:
        return
    if len(schema.rules) > MAX_RULES:
        raise SchemaError(f"rules: {len(schema.rules)} rules are more than {MAX_RULES}.")
    columns = {column.name: column for column in schema.columns}
    meaning = Meaning(columns)
    bound = tuple(rule.bound(meaning) for rule in schema.rules)
    for rule in bound:
        check_possible(rule, columns)
    object.__setattr__(schema, "rules", bound)


def _events(given: Mapping[str, object]) -> dict[str, str]:
    refuse_unknown(given, ("time", "event"), "events")
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise SchemaError(f"events: {key} is not the name of a column.")
    return {str(key): str(value) for key, value in given.items()}


def _population(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise SchemaError(f"population={value!r} is not a whole number.")
    return value


def _optional_text(given: Mapping[str, object], key: str) -> str | None:
    value = given.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise SchemaError(f"{key}={value!r} is not the name of a column.")
    return value


def _mapping(given: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = given.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SchemaError(f"{key}: is a mapping.")
    return cast("Mapping[str, object]", value)


def _list(given: Mapping[str, object], key: str) -> list[object]:
    value = given.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SchemaError(f"{key}: is a list.")
    return cast("list[object]", value)


def _plain(value: object, depth: int) -> object:
    """Gives terms as JSON can hold them; refuses what it cannot, such as the dates that YAML makes of bare days."""
    if depth == 0:
        raise SchemaError(f"terms: are nested more than {_DEPTH} deep.")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth - 1) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth - 1) for item in cast("list[object]", value)]
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise SchemaError(f"terms: {value!r} cannot be written as JSON; put it into quotes.")

"""Columns of a schema: kinds, bounds and levels that are declared, never read off patients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cached_property
from typing import Final, Literal, cast, get_args

from wardgan.errors import SchemaError
from wardgan.schema.column_checks import check_groups, check_label, check_reference

Kind = Literal["number", "integer", "category", "flag", "date"]
Level = str | int

KINDS: Final = get_args(Kind)
SCALES: Final = ("log",)
MAX_LOG_STEPS: Final = 2**40
MAX_LEVELS: Final = 10_000
MAX_STEPS: Final = 2**50
LAST_DAY: Final = float(date.max.toordinal())
DAY_ZERO: Final = float(date(2000, 1, 1).toordinal())
FARTHEST: Final = 1e100
_WHOLE: Final = 2.0**53
_BOUNDED: Final = ("number", "integer", "date")
_FLAG: Final = ("false", "true")
_FLAGS: Final = ("nullable", "label", "sensitive", "learn", "origin")


@dataclass(frozen=True)
class Column:
    """One declared column.

    Attributes:
        name: Name of the column in the data.
        kind: `number`, `integer`, `category`, `flag` or `date`.
        low: Smallest possible value (number, integer), or day number since 0001-01-01 (date).
        high: Largest possible value, as `low`; the same as `low` for a constant.
        step: Distance between two possible values: 1 for dates, and for integers that say nothing else; `None` for a
            continuous number.
        scale: `log` for a number or integer with a long tail, whose position between the bounds is that of its
            logarithm; `None` for an equal scale.
        levels: Possible levels of a category, in order; false and true for a flag.
        groups: Named groups of a category's levels, such as chapters of a code; each level is in one. Without
            `levels`, these are the levels of all groups in order.
        unit: Unit of measurement (UCUM), for people.
        code: Code in a terminology, for people ("LOINC 8480-6").
        nullable: Whether cells may be missing.
        label: Whether the generator can be asked for this column's levels.
        sensitive: Whether attacks on this column are judged in the dossier.
        learn: Whether missing bounds or levels are learned with a share of the privacy budget.
        after: Date column that this date never comes before. The days between are modelled instead of the date, and
            the schema works out `low` and `high`.
        within: Most days that this date comes after that one.
        origin: Whether the date is each patient's day 0: dates after it are kept, and it itself is set to 2000-01-01.
    """

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    step: float | None = None
    scale: str | None = None
    levels: tuple[Level, ...] = ()
    groups: tuple[tuple[str, tuple[Level, ...]], ...] = ()
    unit: str | None = None
    code: str | None = None
    nullable: bool = False
    label: bool = False
    sensitive: bool = False
    learn: bool = False
    after: str | None = None
    within: int | None = None
    origin: bool = False

    def __post_init__(self) -> None:
        if self.kind in ("integer", "date") and self.step is None:
            object.__setattr__(self, "step", 1.0)
        for name in ("low", "high", "step"):
            value = cast("float | None", getattr(self, name))
            object.__setattr__(self, name, None if value is None else float(value))
        if self.kind == "flag" and not self.levels:
            object.__setattr__(self, "levels", _FLAG)
        check_reference(self)
        if self.origin:
            object.__setattr__(self, "low", DAY_ZERO)
            object.__setattr__(self, "high", DAY_ZERO)
        if self.groups and not self.levels:
            object.__setattr__(self, "levels", tuple(level for _, levels in self.groups for level in levels))
        check_groups(self)
        _check_kind(self)
        _check_bounds(self)
        _check_scale(self)
        _check_levels(self)
        if self.label:
            check_label(self)

    @property
    def numeric(self) -> bool:
        """Whether values lie between bounds."""
        return self.kind in _BOUNDED

    @property
    def complete(self) -> bool:
        """Whether everything that the kind needs is declared; of a date after another one, that is how far."""
        if self.numeric:
            return self.after is not None or (self.low is not None and self.high is not None)
        return bool(self.levels)

    @property
    def constant(self) -> bool:
        """Whether it is a number or a date with one possible value and no missing cell: there is nothing to model."""
        return self.numeric and self.low is not None and self.low == self.high and not self.nullable

    @property
    def size(self) -> int:
        """Number of levels of a category or a flag."""
        return len(self.levels)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each level stands, by its text."""
        return {str(level): at for at, level in enumerate(self.levels)}

    @property
    def steps(self) -> int | None:
        """Number of possible values of a stepped column or a constant; `None` for a continuous one."""
        if self.low is None or self.high is None:
            return None
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def to_dict(self) -> dict[str, object]:
        """Gives the structure of the schema file, without what is at its default."""
        found: dict[str, object] = {"kind": self.kind}
        for name in ("low", "high"):
            value = cast("float | None", getattr(self, name))
            if value is not None and self.after is None and not self.origin:
                found[name] = self._written(value)
        if self.after is not None:
            found |= {"after": self.after, "within": self.within}
        if self.step is not None and (self.kind == "number" or (self.kind == "integer" and self.step != 1)):
            found["step"] = self.step if self.kind == "number" else int(self.step)
        if self.groups:
            found["groups"] = {name: list(levels) for name, levels in self.groups}
        elif self.kind == "category" and self.levels:
            found["levels"] = list(self.levels)
        found |= {name: getattr(self, name) for name in ("scale", "unit", "code") if getattr(self, name) is not None}
        return found | {name: True for name in _FLAGS if getattr(self, name)}

    @property
    def ends(self) -> tuple[str, str]:
        """The two bounds as people write them, `anything` for one that is not known."""
        low, high = ("anything" if end is None else str(self._written(end)) for end in (self.low, self.high))
        return low, high

    def _written(self, value: float) -> float | int | str:
        if self.kind == "date":
            return date.fromordinal(int(value)).isoformat()
        return int(value) if float(value).is_integer() else value

    @classmethod
    def from_dict(cls, name: str, found: object) -> Column:
        """Reads one column of the schema file.

        Args:
            name: Name of the column.
            found: Mapping such as `{"kind": "integer", "low": 18, "high": 110}`.

        Raises:
            SchemaError: An unknown key, a wrong type, or a rule of the kind is broken.

        Example:
            >>> Column.from_dict("age", {"kind": "integer", "low": 18, "high": 110}).steps
            93
        """
        if not isinstance(found, Mapping):
            raise SchemaError(f"{name}: a column is a mapping such as {{kind: integer, low: 0, high: 9}}.")
        given = cast("Mapping[str, object]", found)
        known = {field.name for field in fields(cls)} - {"name"} | {"decimals"}
        unknown = sorted(set(map(str, given)) - known)
        if unknown:
            raise SchemaError(f"{name}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        kind = given.get("kind")
        if kind not in KINDS:
            raise SchemaError(f"{name}: kind={kind!r} is not one of {', '.join(KINDS)}.")
        kind = cast("Kind", kind)
        bounded = given.get("low") is not None or given.get("high") is not None
        if bounded and (given.get("after") is not None or given.get("origin") is True):
            raise SchemaError(f"{name}: a date with after or origin has no low and high of its own; leave them out.")
        return cls(
            name=name,
            kind=kind,
            low=_bound(name, kind, "low", given.get("low")),
            high=_bound(name, kind, "high", given.get("high")),
            step=_step(name, kind, given),
            scale=_text(name, "scale", given.get("scale")),
            levels=_levels(name, kind, given.get("levels")),
            groups=_groups(name, kind, given),
            unit=_text(name, "unit", given.get("unit")),
            code=_text(name, "code", given.get("code")),
            after=_text(name, "after", given.get("after")),
            within=_days(name, given.get("within")),
            **{key: _flag(name, key, given.get(key, False)) for key in _FLAGS},
        )

    def with_bounds(self, low: float, high: float) -> Column:
        """Gives the column with bounds that were learned or declared later."""
        return replace(self, low=low, high=high)

    def with_levels(self, levels: tuple[Level, ...]) -> Column:
        """Gives the column with levels that were learned or declared later."""
        return replace(self, levels=levels)


def _check_kind(column: Column) -> None:
    if column.numeric and column.levels:
        raise SchemaError(f"{column.name}: levels belong to a category, not to kind={column.kind}.")
    if not column.numeric and (column.low is not None or column.high is not None):
        raise SchemaError(f"{column.name}: low and high belong to numbers and dates, not to kind={column.kind}.")
    if column.kind == "flag" and column.levels != _FLAG:
        raise SchemaError(f"{column.name}: a flag has the levels false and true; use kind: category for others.")


def _check_bounds(column: Column) -> None:
    low, high, step, name = column.low, column.high, column.step, column.name
    if step is not None and not 0 < step < math.inf:
        raise SchemaError(f"{name}: step={step:.15g} is not a finite number greater than 0.")
    if step is not None and column.kind == "integer" and not step.is_integer():
        raise SchemaError(f"{name}: step={step:.15g} is not a whole number, but the kind is integer.")
    if low is None or high is None:
        return
    if low > high:
        raise SchemaError(f"{name}: low={low:.15g} is above high={high:.15g}.")
    if step is None:
        return
    count = (high - low) / step
    if max(count, abs(low) / step, abs(high) / step) >= MAX_STEPS:
        raise SchemaError(f"{name}: step={step:.15g} is too small for numbers up to {max(-low, high):.15g}.")
    if abs(count - round(count)) > 1e-6 + 1e-12 * count:
        raise SchemaError(f"{name}: high - low = {high - low:.15g} is not a multiple of step={step:.15g}.")


def _check_scale(column: Column) -> None:
    if column.scale is None:
        return
    name, low = column.name, column.low
    if column.scale not in SCALES:
        raise SchemaError(f"{name}: scale={column.scale!r} is not one of {', '.join(SCALES)}.")
    if column.kind not in ("number", "integer"):
        raise SchemaError(f"{name}: scale belongs to a number or an integer, not to kind={column.kind}.")
    if low is None:
        raise SchemaError(f"{name}: scale=log needs low, which says where its axis begins; declare it.")
    if low < 0 or (low == 0 and column.step is None):
        least = "at least 0" if column.step is not None else "above 0, or a step (or decimals)"
        raise SchemaError(f"{name}: low={low:.15g}, but scale=log needs low {least}.")
    if column.steps is not None and column.steps > MAX_LOG_STEPS:
        raise SchemaError(f"{name}: step={column.step:.15g} is too small for scale=log and high={column.high:.15g}.")


def _check_levels(column: Column) -> None:
    texts = [str(level) for level in column.levels]
    if len(texts) > MAX_LEVELS:
        raise SchemaError(f"{column.name}: {len(texts)} levels are more than {MAX_LEVELS}; group them.")
    (twice, count), *_ = [*Counter(texts).most_common(1), ("", 0)]
    if count > 1:
        raise SchemaError(f"{column.name}: level {twice!r} is declared twice.")


def _bound(name: str, kind: Kind, key: str, value: object) -> float | None:
    if value is None:
        return None
    if kind == "date":
        if isinstance(value, date):
            return float(value.toordinal())
        try:
            return float(date.fromisoformat(str(value)).toordinal())
        except ValueError as error:
            raise SchemaError(f"{name}: {key}={value!r} is not a date like 2020-12-31.") from error
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= FARTHEST:
        raise SchemaError(f"{name}: {key}={_short(value)} is not a finite number up to {FARTHEST:g}.")
    if kind == "integer" and value != int(value):
        raise SchemaError(f"{name}: {key}={value!r} is not a whole number, but the kind is integer.")
    if kind == "integer" and abs(value) >= _WHOLE:
        raise SchemaError(f"{name}: {key}={value!r} is beyond 2^53, where whole numbers get lost; use kind: number.")
    return float(value)


def _step(name: str, kind: Kind, given: Mapping[str, object]) -> float | None:
    step, decimals = given.get("step"), given.get("decimals")
    if decimals is not None and kind != "number":
        raise SchemaError(f"{name}: decimals belong to kind: number, not to kind={kind}.")
    if kind not in ("number", "integer"):
        if step is not None and (kind != "date" or step != 1):
            raise SchemaError(f"{name}: step belongs to a number or an integer, not to kind={kind}.")
        return None
    if decimals is None:
        return None if step is None else _size(name, step)
    if step is not None:
        raise SchemaError(f"{name}: step and decimals say the same thing; keep one.")
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= 12:
        raise SchemaError(f"{name}: decimals={decimals!r} is not a whole number from 0 to 12.")
    return float(f"1e-{decimals}")


def _size(name: str, step: object) -> float:
    if isinstance(step, bool) or not isinstance(step, (int, float)) or not abs(step) <= FARTHEST:
        raise SchemaError(f"{name}: step={_short(step)} is not a finite number.")
    return float(step)


def _days(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < LAST_DAY:
        raise SchemaError(f"{name}: within={_short(value)} is not a whole number of days, at least 1.")
    return value


def _levels(name: str, kind: Kind, value: object, *, where: str = "levels") -> tuple[Level, ...]:
    if kind == "flag" and value is not None:
        raise SchemaError(f"{name}: a flag has the levels false and true; use kind: category for others.")
    if value is None and where == "levels":
        return ()
    if not isinstance(value, (list, tuple)) or not value:
        raise SchemaError(f"{name}: {where} is a list with at least one level.")
    for level in cast("list[object]", value):
        if (
            isinstance(level, bool)
            or not isinstance(level, (str, int))
            or (isinstance(level, int) and abs(level) >= _WHOLE)
        ):
            raise SchemaError(
                f"{name}: level {level!r} is neither text nor a whole number; put words such as no, yes, null "
                "and dates into quotes."
            )
        if not str(level) or str(level) != str(level).strip():
            raise SchemaError(f"{name}: level {level!r} is empty or has spaces around it; cells are read without them.")
    return tuple(cast("list[Level]", value))


def _groups(name: str, kind: Kind, given: Mapping[str, object]) -> tuple[tuple[str, tuple[Level, ...]], ...]:
    value = given.get("groups")
    if value is None:
        return ()
    if given.get("levels") is not None:
        raise SchemaError(f"{name}: levels and groups both say what the levels are; keep groups.")
    if not isinstance(value, Mapping) or not value:
        raise SchemaError(f"{name}: groups is a mapping such as {{circulatory: [I10, I21], respiratory: [J18]}}.")
    found = cast("Mapping[object, object]", value)
    for group in found:
        if not isinstance(group, str) or not group or group != group.strip():
            raise SchemaError(f"{name}: the group {_short(group)} is not a short text; put it into quotes.")
    return tuple((str(group), _levels(name, kind, levels, where="a group")) for group, levels in found.items())


def _short(value: object) -> str:
    # A whole number of thousands of digits cannot even be printed.
    return "a number of too many digits" if isinstance(value, int) and abs(value) > FARTHEST else repr(value)


def _text(name: str, key: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise SchemaError(f"{name}: {key}={value!r} is not text; put it into quotes.")
    return value


def _flag(name: str, key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SchemaError(f"{name}: {key}={value!r} is not true or false.")
    return value

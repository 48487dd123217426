"""Estimates in records that are written to JSON and read back: what is not finite is `null` there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, TypeAdapter, ValidationError

from wardgan.errors import FormatError
from wardgan.estimate import Estimate

Made = TypeVar("Made")
# Records that are read back refuse what they do not know.
STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_FIELDS: Final = {"value", "low", "high", "n", "method", "baseline"}


def estimate_of(found: object) -> Estimate:
    """Gives an estimate from what `Estimate.to_dict` gave.

    Args:
        found: An estimate, or its dictionary; an end of the interval that is `None` is open, a value undefined.

    Raises:
        ValueError: A field is missing, unknown or of another kind.

    Example:
        >>> estimate_of(Estimate(0.5, 0.0, math.inf, 3, "made up").to_dict()).high
        inf
    """
    if isinstance(found, Estimate):
        return found
    if not isinstance(found, Mapping) or set(cast("Mapping[str, object]", found)) != _FIELDS:
        raise ValueError("an estimate has value, low, high, n, method and baseline")
    given = cast("Mapping[str, object]", found)
    n, method, baseline = given["n"], given["method"], given["baseline"]
    if isinstance(n, bool) or not isinstance(n, int) or n < 0 or not isinstance(method, str):
        raise ValueError("an estimate has a whole n and a method in words")
    value, low, high = (
        _number(given[name], open_) for name, open_ in (("value", math.nan), ("low", -math.inf), ("high", math.inf))
    )
    return Estimate(value, low, high, n, method, None if baseline is None else _number(baseline, math.nan))


def parsed(adapter: TypeAdapter[Made], found: object, problem: str) -> Made:
    """Gives a record from what JSON gave.

    Args:
        adapter: Of the record.
        found: What JSON gave.
        problem: What is said of anything else.

    Raises:
        FormatError: It is none.
    """
    try:
        return adapter.validate_json(json.dumps(found))
    except (ValidationError, ValueError, TypeError) as error:
        raise FormatError(problem) from error


def _number(found: object, absent: float) -> float:
    if found is None:
        return absent
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise ValueError("a number of an estimate is not finite")
    return float(found)


Stated = Annotated[Estimate, BeforeValidator(estimate_of), PlainSerializer(Estimate.to_dict)]

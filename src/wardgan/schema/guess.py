"""What a column seems to be, from its cells: the guesses behind a draft."""

# pandas comes without complete types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.schema.cells import code
from wardgan.schema.columns import Column
from wardgan.schema.forms import other_form

MOST_LEVELS: Final = 50
_FEW: Final = 12
_MANY: Final = 10
_DECIMALS: Final = 4
_WORDS: Final = ({"false", "true"}, {"no", "yes"})
_LETTERS: Final = ({"f", "t"}, {"n", "y"})
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?")
_PERSONAL: Final = frozenset((
    "name", "fullname", "firstname", "lastname", "surname", "forename", "givenname", "familyname", "maidenname",
    "initials", "phone", "phonenumber", "telephone", "mobile", "fax", "email", "mail", "address", "street", "postcode",
    "zip", "zipcode", "ssn", "nhsnumber", "nhsno", "mrn", "hospitalnumber", "insurancenumber", "passport", "iban", "ip",
    "ipaddress", "url",
))  # fmt: skip
_CODES: Final = (
    "arm", "group", "sex", "gender", "race", "ethnicity", "site", "centre", "center", "status", "stage", "grade",
    "class", "type", "code", "category", "treatment", "id",
)  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """A guessed column.

    Attributes:
        column: The declaration.
        marks: Its fields that were read off patients.
        notice: What a person should decide; empty if nothing.
    """

    column: Column
    marks: tuple[str, ...]
    notice: str = ""


def plain(name: str) -> str:
    """Gives a column's name in small letters and digits only, for comparison.

    Example:
        >>> plain("Patient_ID")
        'patientid'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def identifier(name: str, cells: pd.Series, patients: int) -> str | None:
    """Gives why a column should not be modelled at all, if it seems to point at persons.

    Args:
        name: Name of the column.
        cells: Its cells.
        patients: Number of patients.
    """
    if not name or "@" in name or name.startswith("Unnamed:"):
        return "the column has no usable name in the file; a name must not be empty or contain '@'"
    if plain(name) in _PERSONAL:
        return "by its name it points at persons"
    if len(cells) < _MANY or cells.nunique() < patients:
        return None
    if plain(name).endswith("id"):
        return "each patient has another one, as in an identifier"
    numbers = numbers_of(cells)
    if (numbers == numbers[0] + np.arange(len(numbers))).all():
        return "it counts the rows"
    return None


def numbers_of(cells: pd.Series) -> NDArray[np.float64]:
    """Gives cells as numbers, NaN where they are none; shape (rows,)."""
    return code(cells, Column("cells", "number", nullable=True)).codes


def column_of(name: str, cells: pd.Series) -> Guess | str:
    """Gives what a column seems to be, or why it cannot be drafted.

    Args:
        name: Name of the column.
        cells: Cells of any type, shape (rows,).
    """
    distinct = pd.Series(cells.unique())
    levels = code(distinct, Column(name, "category", nullable=True))
    texts = tuple(str(level) for level in levels.seen)
    if not texts:
        return "it has no value"
    nullable = bool(np.isnan(levels.codes).any())
    guess = _flag(name, texts) or _number(name, distinct) or _date(name, distinct, texts) or _category(name, texts)
    if isinstance(guess, str) or not nullable:
        return guess
    return Guess(replace(guess.column, nullable=True), (*guess.marks, "nullable"), guess.notice)


def outward(low: float, high: float, least: float) -> tuple[float, float]:
    """Gives round bounds around two values, low < high.

    Args:
        low: Smallest value.
        high: Largest value.
        least: Distance of two possible values; the bounds are multiples of at least that.

    Example:
        >>> outward(19, 97, 1), outward(62, 233, 1), outward(0.31, 12.7, 0.01), outward(4, 4, 1)
        ((0.0, 100.0), (50.0, 250.0), (0.0, 15.0), (4.0, 5.0))
    """
    spread = high - low if high > low else abs(high)
    wanted = max(spread / 5, least)
    power = math.floor(math.log10(wanted) + 1e-9)
    unit = next(factor * 10.0**power for factor in (1, 2, 5, 10) if factor * 10.0**power >= wanted * (1 - 1e-9))
    digits = max(0, -power)
    bottom, top = math.floor(low / unit + 1e-9), math.ceil(high / unit - 1e-9)
    return round(bottom * unit, digits), round(max(top, bottom + 1) * unit, digits)


def _flag(name: str, texts: tuple[str, ...]) -> Guess | None:
    words = {text.lower() for text in texts}
    if any(words <= pair for pair in _WORDS) or words in _LETTERS:
        return Guess(Column(name, "flag", levels=("false", "true")), ())
    return None


def _number(name: str, distinct: pd.Series) -> Guess | None:
    coded = code(distinct, Column(name, "number", nullable=True))
    if coded.bad.any():
        return None
    values = coded.codes[~np.isnan(coded.codes)]
    if not (values == np.round(values)).all():
        decimals = _decimals(values)
        step = None if decimals is None else float(f"1e-{decimals}")
        low, high = outward(float(values.min()), float(values.max()), step or 1e-9)
        return Guess(
            Column(name, "number", low=low, high=high, step=step), ("low", "high", *(["step"] if step else []))
        )
    if set(values) <= {0.0, 1.0}:
        return Guess(Column(name, "flag", levels=("false", "true")), ())
    coding = any(plain(name).endswith(word) for word in _CODES)
    if (coding and len(values) <= MOST_LEVELS) or len(values) == 2:
        levels = tuple(int(value) for value in np.sort(values))
        return Guess(
            Column(name, "category", levels=levels),
            ("levels",),
            "whole numbers, taken for codes; use kind: integer if they are counts.",
        )
    low, high = outward(float(values.min()), float(values.max()), 1.0)
    notice = (
        "few whole numbers, taken for a count; use kind: category if they are codes." if len(values) <= _FEW else ""
    )
    return Guess(Column(name, "integer", low=low, high=high, step=1.0), ("low", "high"), notice)


def _decimals(values: NDArray[np.float64]) -> int | None:
    for decimals in range(1, _DECIMALS + 1):
        scaled = values * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled))).all():
            return decimals
    return None


def _date(name: str, distinct: pd.Series, texts: tuple[str, ...]) -> Guess | None:
    found = [_DATE.fullmatch(text) for text in texts]
    if not all(found):
        return None
    coded = code(distinct, Column(name, "date", nullable=True))
    if coded.bad.any():
        return None
    days = coded.codes[~np.isnan(coded.codes)].astype(int)
    first, last = date.fromordinal(int(days.min())).year, date.fromordinal(int(days.max())).year
    low, high = date(first, 1, 1).toordinal(), date(last, 12, 31).toordinal()
    timed = any(match is not None and (match[1] or "").strip("0:.") for match in found)
    column = Column(name, "date", low=float(low), high=float(high), step=1.0)
    return Guess(column, ("low", "high"), "the time of day is left away." if timed else "")


def _category(name: str, texts: tuple[str, ...]) -> Guess | str:
    hint = other_form(texts)
    if len(texts) <= MOST_LEVELS:
        return Guess(Column(name, "category", levels=texts), ("levels",), hint and f"{hint}.")
    return hint or (
        f"it has more than {MOST_LEVELS} different texts, such as names or remarks; group them, or declare it by hand"
    )

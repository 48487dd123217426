"""Checks of arguments that say which argument, which value, which rule."""

from __future__ import annotations

import math
import numbers
import os

from wardgan.errors import UsageError


def positive(**arguments: float) -> None:
    """Refuses arguments that are not finite numbers greater than zero.

    Raises:
        UsageError: Names the first argument that breaks the rule.

    Example:
        >>> positive(steps=3)
        >>> positive(steps=0)
        Traceback (most recent call last):
        wardgan.errors.UsageError: steps=0 is not a finite number greater than 0.
    """
    for name, value in arguments.items():
        if not is_number(value) or not 0 < value < math.inf:
            raise UsageError(f"{name}={value!r} is not a finite number greater than 0.")


def in_open_interval(low: float, high: float, **arguments: float) -> None:
    """Refuses arguments outside the open interval (low, high).

    Raises:
        UsageError: Names the first argument that breaks the rule.

    Example:
        >>> in_open_interval(0, 1, delta=2)
        Traceback (most recent call last):
        wardgan.errors.UsageError: delta=2 is not between 0 and 1 (both excluded).
    """
    for name, value in arguments.items():
        if not is_number(value) or not low < value < high:
            raise UsageError(f"{name}={value!r} is not between {low} and {high} (both excluded).")


def whole(minimum: int, **arguments: int) -> None:
    """Refuses arguments that are not whole numbers of at least `minimum`; 3.0 is no whole number, 3 is.

    Raises:
        UsageError: Names the first argument that breaks the rule.

    Example:
        >>> whole(0, n=-1)
        Traceback (most recent call last):
        wardgan.errors.UsageError: n=-1 is not a whole number of at least 0.
    """
    for name, value in arguments.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
            raise UsageError(f"{name}={value!r} is not a whole number of at least {minimum}.")


def path(**arguments: object) -> None:
    """Refuses arguments that are not the name of a file: text or a `pathlib.Path`.

    Raises:
        UsageError: Names the first argument that breaks the rule.

    Example:
        >>> path(model="clinic.hgan")
        >>> path(model=3)
        Traceback (most recent call last):
        wardgan.errors.UsageError: model: int is not a path; pass text or a pathlib.Path.
    """
    for name, value in arguments.items():
        if not isinstance(value, (str, os.PathLike)) or "\0" in str(value):
            # Never the value: whatever is passed by mistake may hold patients.
            raise UsageError(f"{name}: {type(value).__name__} is not a path; pass text or a pathlib.Path.")


def is_number(value: object) -> bool:
    """Whether a value is a real number; true and false are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)

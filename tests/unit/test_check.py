from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from wardgan import check
from wardgan.errors import UsageError


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2), np.int64(3), 10**400])
def test_positive_numbers_pass(value):
    check.positive(steps=value)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, "3", None, True, [1], 1j])
def test_what_is_not_positive_is_named(value):
    with pytest.raises(UsageError, match=r"^steps=.* is not a finite number greater than 0\.$"):
        check.positive(epochs=1, steps=value)


@pytest.mark.parametrize("value", ["x.csv", Path("x.csv"), ""])
def test_paths_pass(value):
    check.path(model=value)


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"], {"x": "Ann"}, "a\0b"])
def test_what_is_no_path_is_named_and_not_shown(value):
    with pytest.raises(UsageError, match=rf"^model: {type(value).__name__} is not a path; pass text or a pathlib.Path"):
        check.path(trust="x", model=value)


@pytest.mark.parametrize("value", [0.5, np.float64(1e-9)])
def test_numbers_inside_pass(value):
    check.in_open_interval(0, 1, delta=value)


@pytest.mark.parametrize("value", [0, 1, -1, 2, math.nan, math.inf, "0.5", None, True])
def test_numbers_outside_are_named(value):
    with pytest.raises(UsageError, match=r"^delta=.* is not between 0 and 1 \(both excluded\)\.$"):
        check.in_open_interval(0, 1, delta=value)


@pytest.mark.parametrize("value", [0, 7, np.int32(7), 10**30])
def test_whole_numbers_pass(value):
    check.whole(0, n=value)


@pytest.mark.parametrize("value", [-1, 0.5, 3.0, math.nan, math.inf, "3", None, True, np.bool_(True), [3]])
def test_what_is_not_whole_is_named(value):
    with pytest.raises(UsageError, match=r"^n=.* is not a whole number of at least 0\.$"):
        check.whole(0, n=value)


def test_the_minimum_counts():
    check.whole(2, n=2)
    with pytest.raises(UsageError, match="at least 2"):
        check.whole(2, n=1)

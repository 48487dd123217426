"""Nearest neighbours against a loop over patients, columns and cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.attack.nearest import nearest


def distance(one, two, numeric):
    total = 0.0
    for a, b, number in zip(one, two, numeric, strict=True):
        if (a < 0) != (b < 0):
            total += 1
        elif a >= 0:
            total += abs(a - b) if number else float(a != b)
    return total / len(numeric)


def slow(queries, base, numeric):
    found = [[distance(one, two, numeric) for two in base] for one in queries]
    return np.min(found, axis=1), np.argmin(np.round(found, 6), axis=1)


@st.composite
def patients(draw):
    count = draw(st.integers(1, 5))
    numeric = np.array([draw(st.booleans()) for _ in range(count)])
    number = st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0])
    cells = [st.one_of(number if number_ else st.integers(0, 3).map(float), st.just(-1.0)) for number_ in numeric]
    row = st.tuples(*cells)
    queries, base = (np.array(draw(st.lists(row, min_size=1, max_size=9)), dtype=np.float32) for _ in range(2))
    return queries, base, numeric


@given(patients())
@settings(max_examples=150, deadline=None)
def test_neighbours_are_those_of_a_loop(case):
    found, place = nearest(*case)
    expected, first = slow(*case)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(place, first)


@pytest.mark.parametrize("people", [1, 7, 3000])
def test_blocks_do_not_matter(people, monkeypatch):
    r = np.random.default_rng(people)
    numeric = np.array([True, False, True])
    queries, base = (
        np.column_stack([r.random(n), r.integers(0, 4, n), np.where(r.random(n) < 0.2, -1, r.random(n))]).astype("f4")
        for n in (500, people)
    )
    whole = nearest(queries, base, numeric)
    monkeypatch.setattr("wardgan.attack.nearest._BLOCK", 64)
    parts = nearest(queries, base, numeric)
    assert all(np.array_equal(one, two) for one, two in zip(whole, parts, strict=True))


def test_an_empty_cell_is_as_far_as_can_be_from_a_full_one():
    one = np.array([[-1.0]], dtype=np.float32)
    for other in (0.0, 0.5, 1.0):
        full = np.array([[other]], dtype=np.float32)
        assert nearest(one, full, np.array([True]))[0][0] == nearest(full, one, np.array([True]))[0][0] == 1
    assert nearest(one, one, np.array([True]))[0][0] == 0

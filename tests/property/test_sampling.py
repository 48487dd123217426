"""Laws of sampling: patient i of a seed is always the same, and wishes are honoured exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, decode, encode
from wardgan.sample.drawing import BLOCK
from wardgan.schema.cohort import joined
from wardgan.schema.read import broken, examine

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

GENERATOR = kit.generator(
    kit.schema(
        {
            "arm": {"kind": "category", "levels": ["a", "b", "c"], "label": True},
            "sex": {"kind": "flag", "label": True},
            "age": {"kind": "integer", "low": 0, "high": 99},
            "site": {"kind": "category", "levels": ["x", "y", 3], "nullable": True},
        },
        {"key": "visit", "max_visits": 2, "columns": {"sbp": {"kind": "integer", "low": 0, "high": 99}}},
        rules=["sbp < age + 60"],
    ),
    (0.05, 0.1, 0.15, 0.2, 0.2, 0.3),
    tilt=0.2,
)
seeds = st.integers(0, 2**64)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "arm": st.sampled_from(["a", ["b", "c"], ["a", "b", "c"]]),
        "sex": st.sampled_from([True, "false", [True, False]]),
        "age": st.sampled_from([(20, 60), (95, 99), [1, 50, 99], (0, 99)]),
        "site": st.sampled_from(["x", ["y", 3], 3]),
    },
)
balances = st.sampled_from([None, "arm", "sex"])


def assume_possible(where, balance):
    """A label that is held to one level is not balanced but refused."""
    assume(isinstance(where.get(balance, []), list))


@many
@given(seeds, st.integers(0, 400), st.integers(1, 450), wishes, balances)
def test_chunks_do_not_matter(seed, n, chunk, where, balance):
    assume_possible(where, balance)
    whole = GENERATOR.draw(n, where=where, balance=balance, seed=seed)
    parts = list(GENERATOR.draws(n, chunk=chunk, where=where, balance=balance, seed=seed))
    assert [len(part) for part in parts] == ([chunk] * (n // chunk) + [n % chunk] * (n % chunk > 0) or [0])
    assert kit.same(joined(parts), whole)


@many
@given(seeds, st.integers(0, 300), st.integers(0, 300), wishes, balances)
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(seed, one, other, where, balance):
    assume_possible(where, balance)
    n, m = max(one, other), min(one, other)
    large = GENERATOR.draw(n, where=where, balance=balance, seed=seed)
    small = GENERATOR.draw(m, where=where, balance=balance, seed=seed)
    assert kit.same(small, large.take(slice(m)))


@few
@given(seeds, st.integers(1, 2 * BLOCK), st.integers(1, 3 * BLOCK), st.sampled_from([{}, {"age": (90, 99)}]), balances)
def test_nor_do_the_borders_of_blocks(seed, n, chunk, where, balance):
    large = GENERATOR.draw(2 * BLOCK, where=where, balance=balance, seed=seed)
    small = joined(list(GENERATOR.draws(n, chunk=chunk, where=where, balance=balance, seed=seed)))
    assert kit.same(small, large.take(slice(n)))
    # Blocks are not copies of each other.
    assert not np.array_equal(large.static["age"][:BLOCK], large.static["age"][BLOCK:])


@many
@given(seeds, st.integers(0, 300), wishes, balances)
def test_wishes_are_honoured_by_everybody(seed, n, where, balance):
    assume_possible(where, balance)
    cohort = GENERATOR.draw(n, where=where, balance=balance, seed=seed)
    assert len(cohort) == n
    frame = cohort.wide()
    for name, wanted in where.items():
        if isinstance(wanted, tuple):
            assert frame[name].between(*wanted).all()
        else:
            texts = {str(one).lower() for one in (wanted if isinstance(wanted, list) else [wanted])}
            assert set(frame[name].astype(str).str.lower()) <= texts
    assert not broken(cohort)[1].any()


@many
@given(seeds, st.integers(1, 300), wishes, st.sampled_from(["arm", "sex"]))
def test_balance_is_exact(seed, n, where, balance):
    assume_possible(where, balance)
    codes = GENERATOR.draw(n, where=where, balance=balance, seed=seed).static[balance]
    counts = np.bincount(codes.astype(int))
    counts = counts[counts > 0]
    assert counts.max() - counts.min() <= 1
    wanted = where.get(balance)
    levels = {"arm": 3, "sex": 2}[balance] if wanted is None else len(wanted)
    assert len(counts) == min(levels, n)


@few
@given(kit.schemas(), seeds, st.integers(0, 60))
def test_patients_of_any_schema_obey_it(declared, seed, n):
    generator = kit.generator(declared)
    cohort = generator.draw(n, seed=seed)
    layout = Layout.of(declared)
    assert kit.same(cohort, decode(encode(cohort, layout), classes_of(cohort), layout), exact=False)
    kept = cohort if cohort.present is None else cohort.take(np.flatnonzero(cohort.present.any(axis=1)))
    assert examine(kept.frame(), declared).findings == ()
    assert_array_equal(cohort.patients, np.arange(1, n + 1))


@few
@given(kit.schemas(), seeds)
def test_tables_of_chunks_have_the_types_of_the_whole(declared, seed):
    generator = kit.generator(declared)
    whole = generator.draw(12, seed=seed)
    for part in generator.draws(12, chunk=1, seed=seed):
        assert part.wide().dtypes.equals(whole.wide().dtypes)
        assert part.frame().dtypes.equals(whole.frame().dtypes)

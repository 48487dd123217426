"""Laws of encoding: whatever the schema, units are an exact picture of the patients, and units give lawful patients."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.encode.layout import Layout
from wardgan.encode.scales import border_units
from wardgan.encode.units import classes_of, decode, encode, to_codes, to_units
from wardgan.errors import NetworkError
from wardgan.schema.columns import Column
from wardgan.schema.read import broken, examine, read
from wardgan.schema.schema import Schema
from wardgan.schema.steps import snapped

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(kit.cohorts())
def test_decoding_undoes_encoding(cohort):
    layout = Layout.of(cohort.schema)
    units = encode(cohort, layout)
    back = decode(units, classes_of(cohort), layout)
    assert kit.same(cohort, back, exact=False, names=False)
    assert_array_equal(back.patients, np.arange(1, len(cohort) + 1))


@many
@given(kit.cohorts())
def test_decoding_undoes_encoding_in_single_precision(cohort):
    """Networks give float32; the middle of a step survives that."""
    layout = Layout.of(cohort.schema)
    back = decode(encode(cohort, layout).astype(np.float32), classes_of(cohort), layout)
    assert kit.same(cohort, back, exact=False, names=False)


@many
@given(kit.cohorts())
def test_units_are_what_their_documentation_says(cohort):
    layout = Layout.of(cohort.schema)
    units = encode(cohort, layout)
    assert units.shape == (len(cohort), len(layout))
    for at, variable in enumerate(layout.variables):
        column, mine = variable.column, units[:, at]
        absent = np.zeros(len(cohort), dtype=bool)
        if variable.role == "cell":
            absent = ~cohort.present[:, variable.slot]
        assert_array_equal(np.isnan(mine), absent)
        known = mine[~absent]
        if not column.nullable:
            assert (known >= 0).all()
        known = known[known != -1]
        top = 1.0 if column.numeric else column.size - 1
        assert ((known >= 0) & (known <= top)).all()
        if not column.numeric:
            assert_array_equal(known, np.floor(known))


@few
@given(kit.cohorts(least=1), st.sampled_from(["frame", "csv", "parquet"]))
def test_a_table_that_was_written_is_read_as_the_same_cohort(tmp_path_factory, cohort, form):
    frame = cohort.frame()
    source = frame
    if form != "frame":
        source = tmp_path_factory.mktemp("tables") / f"table.{form}"
        frame.to_csv(source, index=False) if form == "csv" else frame.to_parquet(source)
    back = read(source, cohort.schema)
    order = np.arange(len(cohort))
    if cohort.schema.patient is not None:
        place = {str(name): at for at, name in enumerate(cohort.patients)}
        order = np.array([place[str(name)] for name in back.patients])
    assert kit.same(cohort.take(order), back, exact=False)


@many
@given(st.data())
def test_codes_are_rounded_and_never_cut_off(data):
    column = data.draw(st.one_of(kit.numbers("n"), kit.integers("n"), kit.dates("n")).filter(lambda c: c.low < c.high))
    column = kit.replace(column, step=column.step or (column.high - column.low) / 64)
    unit = np.array(data.draw(st.lists(st.floats(0, 1), min_size=1)))
    exact = column.low + (unit * column.steps - 0.5) * column.step
    slack = column.step * (0.5 + 1e-6) + 1e-9 * max(abs(column.low), abs(column.high))
    assert (np.abs(to_codes(unit, column) - np.clip(exact, column.low, column.high)) <= slack).all()


@many
@given(st.data())
def test_a_disturbance_below_half_a_step_changes_nothing(data):
    column = data.draw(st.one_of(kit.numbers("n"), kit.integers("n"), kit.dates("n")).filter(lambda c: c.step))
    values = np.array(data.draw(st.lists(st.sampled_from(kit.values_of(column)), min_size=1)))
    shift = np.array(data.draw(st.lists(st.floats(-0.49, 0.49), min_size=len(values), max_size=len(values))))
    assert_array_equal(to_codes(to_units(values, column) + shift / column.steps, column), values)


@many
@given(kit.schemas(), st.integers(0, 2**32))
def test_any_units_give_patients_who_obey_the_schema(declared, seed):
    """Even a network that has gone wild gives values within bounds and on steps, or is refused."""
    layout = Layout.of(declared)
    rng = np.random.default_rng(seed)
    units = rng.normal(0.5, 1, (20, len(layout))) * rng.choice([1, 10, 1e30], (20, len(layout)))
    units[rng.random(units.shape) < 0.05] = np.inf
    nullable = np.array([variable.column.nullable for variable in layout.variables])
    units[:, ~nullable] = np.abs(units[:, ~nullable])
    classes = rng.integers(0, declared.classes, 20)
    cohort = decode(units.astype(np.float32), classes, layout)
    assert_array_equal(classes_of(cohort), classes)
    for column in declared.columns:
        codes = cohort.static.get(column.name)
        if codes is None:
            codes = cohort.measured[column.name][cohort.present]
        if column.after is not None:
            gaps = kit.gaps(cohort, column)
            assert ((gaps >= 0) & (gaps <= column.within)).all(), column.name
        codes = codes[~np.isnan(codes)]
        if column.numeric:
            assert ((codes >= column.low) & (codes <= column.high)).all()
        if column.step is not None or not column.numeric:
            assert np.isin(codes, kit.values_of(column) if column.numeric else np.arange(column.size)).all()
    kept = cohort if cohort.present is None else cohort.take(np.flatnonzero(cohort.present.any(axis=1)))
    assert examine(kept.frame(), declared).findings == ()


def whole(variable):
    """Whether every patient must have a value."""
    return variable.role == "static" and not variable.column.nullable


@few
@given(kit.schemas().filter(lambda s: any(map(whole, Layout.of(s).variables))), st.booleans())
def test_a_hole_that_is_not_allowed_is_refused(declared, missing):
    layout = Layout.of(declared)
    units = np.full((3, len(layout)), 0.5)
    at = next(at for at, variable in enumerate(layout.variables) if whole(variable))
    units[1, at] = -1.0 if missing else np.nan
    with pytest.raises(NetworkError, match="is not nullable"):
        decode(units, np.zeros(3, dtype=np.int64), layout)


@few
@given(kit.schemas(), st.integers(0, 2**32))
def test_decoding_agrees_with_a_loop_over_variables(declared, seed):
    """The fast decoder takes all visits of a column at once; its twin takes one variable after the other."""
    layout = Layout.of(declared)
    units = np.random.default_rng(seed).random((8, len(layout)))
    fast = decode(units, np.zeros(8, dtype=np.int64), layout)
    for at, variable in enumerate(layout.variables):
        if variable.role == "static":
            slow = to_codes(units[:, at], variable.column)
            first = fast.static[variable.since] if variable.since else 0
            assert_array_equal(fast.static[variable.name], slow + first)
        elif variable.role == "cell":
            column, mine = declared.column(variable.source), fast.measured[variable.source]
            slow = to_codes(units[:, at], variable.column)
            if variable.since:
                first = fast.static.get(variable.since)
                slow = slow + (fast.measured[variable.since][:, variable.slot] if first is None else first)
            if variable.gap:
                most = column.high if column.after is None else fast.static[column.after] + column.within
                slow = snapped(np.minimum(mine[:, variable.slot - 1] + slow, most), column)
            slow = np.where(fast.present[:, variable.slot], slow, np.nan)
            room = 0 if column.step is not None or not column.numeric else 1e-9 * (column.high - column.low)
            np.testing.assert_allclose(mine[:, variable.slot], slow, rtol=0, atol=room)


@few
@given(kit.cohorts())
def test_encoding_and_tables_leave_the_cohort_alone(cohort):
    copy = cohort.take(np.arange(len(cohort)))
    layout = Layout.of(cohort.schema)
    decode(encode(cohort, layout), classes_of(cohort), layout)
    for table in (cohort.frame(), cohort.wide()):
        for at, kind in enumerate(table.dtypes):
            if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
                table.iloc[:, at] = 0
    broken(cohort)
    assert kit.same(cohort, copy)


@many
@given(kit.schemas())
def test_a_schema_survives_its_file(declared):
    assert Schema.from_dict(declared.to_dict()) == declared
    assert Schema.from_dict(declared.to_dict()).fingerprint() == declared.fingerprint()


# --- a logarithmic scale ----------------------------------------------------------------------------------------------

stepped = kit.tails("n").filter(lambda column: column.steps)


@many
@given(stepped, st.data())
def test_values_on_a_logarithmic_scale_come_back_exactly(column, data):
    values = np.array(data.draw(st.lists(st.sampled_from(kit.values_of(column)), min_size=1, max_size=20)))
    units = to_units(values, column)
    assert ((units > 0) & (units < 1)).all()
    assert_array_equal(to_codes(units, column), values)
    assert_array_equal(to_codes(units.astype(np.float32), column), values)


@many
@given(stepped)
def test_the_intervals_of_all_values_fill_the_axis(column):
    """The slow way: each border by itself, with the logarithm of Python."""
    first = column.low + column.step / 2
    end = math.log((first + column.steps * column.step) / first)
    borders = [math.log((first + k * column.step) / first) / end for k in range(column.steps + 1)]
    np.testing.assert_allclose(border_units(np.arange(column.steps + 1.0), column), borders, atol=1e-12)
    assert (borders[0], borders[-1]) == (0, 1)
    values = np.array(kit.values_of(column))
    middle = (np.array(borders[1:]) + np.array(borders[:-1])) / 2
    np.testing.assert_allclose(to_units(values, column), middle, atol=1e-12)
    inside = np.array(borders[:-1]) + 0.999 * np.diff(borders)
    assert_array_equal(to_codes(inside, column), values)
    assert_array_equal(to_codes(np.array([0.0, 1.0, 7.0]), column), values[[0, -1, -1]])


@many
@given(kit.tails("n").filter(lambda column: not column.steps), st.lists(st.floats(0, 1), min_size=1))
def test_a_continuous_logarithmic_scale_is_the_logarithm(column, units):
    found = to_codes(np.array(units), column)
    exact = [math.exp(math.log(column.low) + u * (math.log(column.high) - math.log(column.low))) for u in units]
    np.testing.assert_allclose(found, exact, rtol=1e-9)
    assert ((found >= column.low) & (found <= column.high)).all()
    np.testing.assert_allclose(to_units(found, column), units, atol=1e-9)
    assert_array_equal(to_codes(np.array([0.0, 1.0]), column), [column.low, column.high])


@pytest.mark.parametrize("steps", [2**20, 2**33, 2**40 - 1])
def test_even_the_finest_logarithmic_scale_is_exact(steps):
    column = Column("n", "integer", low=0, high=steps - 1, scale="log")
    values = np.array([0.0, 1, 2, steps // 3, steps - 3, steps - 2, steps - 1])
    assert_array_equal(to_codes(to_units(values, column), column), values)


def test_the_middle_of_a_logarithmic_scale_is_where_the_patients_are():
    column = Column("n", "integer", low=0, high=100_000, scale="log")
    assert to_units(np.array([20.0]), column)[0] == pytest.approx(0.3, abs=0.05)
    assert to_units(np.array([20.0]), Column("n", "integer", low=0, high=100_000))[0] < 1e-3
    missing = to_units(np.array([np.nan, 5.0]), column)
    assert missing[0] == -1
    assert np.isnan(to_codes(missing, column)[0])

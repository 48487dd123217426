"""Patients as attackers see them: each variable once, labels included, what is not there is -1."""

import numpy as np

from attack_kit import CLINIC, VISITS, clinic, rounds
from wardgan.attack import Parties
from wardgan.encode.layout import Layout
from wardgan.encode.units import to_units
from wardgan.schema.schema import Schema


def test_a_table_is_its_units_with_the_labels():
    train = clinic(300, 1)
    each = Parties.of(train, clinic(60, 2), clinic(60, 3))
    assert sorted(each.variables.names) == sorted(train.static)
    for name, codes in train.static.items():
        (at,) = each.variables.of(name)
        assert each.variables.numeric[at] == CLINIC.column(name).numeric
        expected = to_units(codes, CLINIC.column(name))
        np.testing.assert_allclose(np.sort(each.train[:, at]), np.sort(expected), atol=1e-6)
    assert len(each.train) == 300


def test_rows_stay_together():
    train = clinic(300, 1)
    each = Parties.of(train, clinic(60, 2), clinic(60, 3))
    (age,), (sbp,) = each.variables.of("age"), each.variables.of("sbp")
    pairs = {
        (round(a, 4), round(b, 4))
        for a, b in zip(
            to_units(train.static["age"], CLINIC.column("age")), to_units(train.static["sbp"], CLINIC.column("sbp")),
            strict=True,
        )
    }  # fmt: skip
    assert {(round(float(a), 4), round(float(b), 4)) for a, b in each.train[:, [age, sbp]]} == pairs


def test_visits_that_did_not_take_place_and_holes_are_not_there():
    train = rounds(200, 1)
    each = Parties.of(train, rounds(60, 2), rounds(60, 3))
    cells = each.variables.of("load")
    assert [each.variables.names[at] for at in cells] == ["load@RZ", "load@1M", "load@2M"]
    assert [each.variables.names[at] for at in each.variables.of("visit@")] == ["visit@RZ", "visit@1M", "visit@2M"]
    there = ~np.isnan(train.measured["load"])
    np.testing.assert_array_equal((each.train[:, cells] >= 0).sum(axis=0), there.sum(axis=0))
    assert set(np.unique(each.train[:, cells][each.train[:, cells] < 0])) == {-1.0}
    assert set(each.variables.names) == {*Layout.of(VISITS).names, "arm", "died"}
    assert not np.isnan(each.train).any()


def test_a_date_that_is_counted_from_another_one_is_a_gap():
    schema = Schema.from_dict({
        "name": "stays",
        "table": {"came": {"kind": "date", "low": "2020-01-01", "high": "2020-12-31"},
                  "left": {"kind": "date", "after": "came", "within": 100}},
    })  # fmt: skip
    from wardgan.schema.cohort import Cohort

    first = np.arange(60) + schema.column("came").low

    def stay(days):
        return Cohort(schema, {"came": first, "left": first + days}, {}, None, np.arange(60))

    each = Parties.of(stay(50), stay(20), stay(30))
    (at,) = each.variables.of("left")
    np.testing.assert_allclose(each.train[:, at], (50 + 0.5) / 101, atol=1e-6)

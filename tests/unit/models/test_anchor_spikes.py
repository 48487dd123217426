"""Values that many patients share, of numbers with more values than a grid has cells."""

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.models.anchor.answered import SPIKES
from wardgan.models.anchor.grid import cell_query, grids
from wardgan.models.anchor.spikes import coarse, heavy, spike_query, with_spikes

PATIENTS = 6000


def fitted(column, values, *, epsilon=3.0, family="copula", **more):
    schema = wg.Schema.from_dict({
        "name": "d", "population": PATIENTS, "table": {"x": column, "sex": {"kind": "flag", "label": True}},
    })  # fmt: skip
    frame = pd.DataFrame({"x": values, "sex": np.arange(len(values)) % 2 == 0})
    how = {"privacy": "none"} if epsilon is None else {"budget": wg.Budget(epsilon)}
    return wg.fit(wg.read(frame, schema), family=family, seed=1, **how, **more)


def numbers(low, high, *, spike, share=0.3, seed=0):
    stream = np.random.default_rng(seed)
    return np.where(stream.random(PATIENTS) < share, spike, stream.integers(low, high, PATIENTS))


@pytest.mark.parametrize("epsilon", [1.0, 3.0, None])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ({"kind": "integer", "low": 0, "high": 100_000}, numbers(0, 9_000, spike=1_000)),
        ({"kind": "integer", "low": 0, "high": 100_000, "scale": "log"}, numbers(0, 9_000, spike=1_000)),
        ({"kind": "integer", "low": -10, "high": 2_100}, numbers(-10, 2_100, spike=0)),
        ({"kind": "number", "low": 0, "high": 500, "decimals": 1}, numbers(0, 5_000, spike=74) / 10),
        ({"kind": "integer", "low": -9_999, "high": 99_999}, numbers(0, 99, spike=9_999)),
    ],
)
def test_a_value_that_many_share_stays_one_value(column, values, epsilon):
    drawn = fitted(column, values, epsilon=epsilon).generator.sample(20_000, seed=2)["x"]
    spike, share = next(iter(pd.Series(values).value_counts(normalize=True).items()))
    assert drawn.value_counts(normalize=True).index[0] == spike
    assert (drawn == spike).mean() == pytest.approx(share, abs=0.03)


def test_two_values_in_one_range_and_none_where_none_is():
    stream = np.random.default_rng(3)
    values = stream.choice([5_000, 5_010, -1], PATIENTS, p=[0.2, 0.1, 0.7])
    values = np.where(values < 0, stream.integers(0, 100_000, PATIENTS), values)
    drawn = fitted({"kind": "integer", "low": 0, "high": 100_000}, values).generator.sample(20_000, seed=2)["x"]
    assert (drawn == 5_000).mean() == pytest.approx(0.2, abs=0.03)
    assert (drawn == 5_010).mean() == pytest.approx(0.1, abs=0.03)
    even = fitted({"kind": "integer", "low": 0, "high": 100_000}, stream.integers(0, 100_000, PATIENTS))
    assert even.generator.sample(20_000, seed=2)["x"].value_counts(normalize=True).iloc[0] < 0.01
    assert even.notes == ()


def test_each_of_two_such_numbers_has_its_own_values():
    schema = wg.Schema.from_dict({
        "name": "d", "population": PATIENTS, "table": {
            "sex": {"kind": "flag", "label": True},
            "x": {"kind": "integer", "low": 0, "high": 100_000}, "y": {"kind": "integer", "low": 0, "high": 100_000},
        },
    })  # fmt: skip
    made = {"x": numbers(0, 9_000, spike=1_000), "y": numbers(0, 100_000, spike=70_007, share=0.5, seed=1)}
    frame = pd.DataFrame({**made, "sex": np.arange(PATIENTS) % 2 == 0})
    drawn = wg.fit(wg.read(frame, schema), wg.Budget(3.0), family="copula").generator.sample(20_000, seed=2)
    assert (drawn["x"] == 1_000).mean() == pytest.approx(0.3, abs=0.03)
    assert (drawn["y"] == 70_007).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("family", ["copula", "marginal", "tabgan"])
def test_it_is_billed_where_there_is_such_a_number_and_only_there(family):
    def names(column):
        schema = wg.Schema.from_dict(
            {"name": "d", "population": PATIENTS, "table": {"x": column, "y": {"kind": "flag"}}}
        )
        return [event.name for event in wg.plan(schema, wg.Budget(3.0), family=family).events]

    assert SPIKES in names({"kind": "integer", "low": 0, "high": 5_000})
    assert SPIKES not in names({"kind": "integer", "low": 0, "high": 2_000})
    assert SPIKES not in names({"kind": "number", "low": 0, "high": 5_000})


def test_the_ledger_has_it():
    ledger = fitted({"kind": "integer", "low": 0, "high": 5_000}, numbers(0, 5_000, spike=77)).ledger
    assert [entry.name for entry in ledger.events].count(SPIKES) == 1


def test_bounds_that_are_learned_leave_nothing_to_ask():
    """The plan knew of no such number, so nothing was set aside for it."""
    made = fitted({"kind": "integer", "learn": True}, numbers(0, 90_000, spike=77))
    assert SPIKES not in [entry.name for entry in made.ledger.events]
    assert coarse(Layout.of(made.generator.schema))


def test_the_split_by_hand():
    """Shares of each value, told by looking at each of them, are those of the grid with spikes."""
    schema = wg.Schema.from_dict({"name": "d", "table": {"x": {"kind": "integer", "low": 0, "high": 9_999}}})
    layout = Layout.of(schema)
    values = numbers(0, 10_000, spike=1_234, share=0.4)
    units = ((values + 0.5) / 10_000)[:, None]
    classes = np.zeros(PATIENTS, dtype=np.int64)
    query, names = cell_query(layout)
    plain = grids(query, names, query.total(units, classes), 0.0)
    cells = {"x": heavy(plain["x"], layout.variables[0].column, 0.0)}
    (cell,) = cells["x"]
    low, high = plain["x"].edges[[cell, cell + 1]] * 10_000
    assert low <= 1_234 < high
    asked = spike_query(layout, plain, cells)
    found = with_spikes(layout, plain, cells, asked.parts(asked.total(units, classes)), 0.0)["x"]
    below, above = (found.share_below(np.array([at / 10_000])) for at in (1_234, 1_235))
    assert (above - below)[0] == pytest.approx((values == 1_234).mean(), abs=0.001)
    others = np.flatnonzero(~np.isin(plain["x"].edges, [plain["x"].edges[0]]))
    kept = plain["x"].edges[others]
    np.testing.assert_allclose(found.share_below(kept), plain["x"].share_below(kept), atol=1e-12)
    assert (np.diff(found.cumulative) >= 0).all()
    assert (np.diff(found.edges) >= 0).all()

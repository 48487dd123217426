"""Trajectories, lags, variances and slopes against slow twins; planted changes are seen, another sample is not."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError
from wardgan.evaluate.slopes import Slopes, deviations, intraclass, lag_correlation, slope_distance, slopes_of
from wardgan.evaluate.visits import course, mean_of, places, spread_of
from wardgan.rng import Seed

SEED = Seed(1)
VISITS = ("0", "3", "6", "12")


def trial(n, *, seed, between=3.0, within=2.0, slope=-0.5, holes=0.1, ragged=False):
    """Random intercepts, a common course per month, and noise; some visits are missing."""
    stream = np.random.default_rng(seed)
    at = np.array([float(visit) for visit in VISITS])
    values = 140 + between * stream.normal(size=(n, 1)) + slope * at + within * stream.normal(size=(n, 4))
    arm = stream.choice(["a", "b"], n)
    values += 10.0 * (arm == "b")[:, None]
    gone = stream.random((n, 4)) < holes
    if ragged:
        gone = np.arange(4) >= stream.integers(1, 5, n)[:, None]
    values[gone] = np.nan
    return pd.DataFrame({"arm": arm} | {f"sbp@{visit}": column for visit, column in zip(VISITS, values.T, strict=True)})


@pytest.fixture(scope="module")
def real():
    return trial(800, seed=1)


@pytest.fixture(scope="module")
def holdout():
    return trial(500, seed=3)


def asked(*tables, by="arm", variable="sbp"):
    return course(*tables, variable=variable, by=by, seed=SEED)


def apart(one, other):
    return one.low > other.high or other.low > one.high


@pytest.mark.parametrize("ragged", [False, True])
def test_another_sample_has_the_same_course(ragged):
    tables = [trial(n, seed=at, ragged=ragged) for at, n in ((1, 800), (2, 900), (3, 500))]
    found = asked(*tables)
    assert found.visits == VISITS
    assert list(found.trajectories) == ["all", "arm: a", "arm: b"]
    for group in found.trajectories.values():
        assert list(group) == ["real", "synthetic", "holdout"]
        for at in range(4):
            one, two = group["real"][at], group["synthetic"][at]
            assert not apart(one.mean, two.mean)
            assert not apart(one.sd, two.sd)
            assert not apart(one.there, two.there)
    for measure in (found.lags[1], found.lags[3], found.within, found.between, found.intraclass):
        assert not apart(measure["real"], measure["synthetic"])
        assert measure["synthetic"].baseline == measure["holdout"].baseline == measure["real"].value
        assert measure["real"].baseline is None
    assert found.slope_distance.synthetic.low <= found.slope_distance.holdout.high
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_slots_are_those_of_pandas(real):
    found = asked(real, real)
    for level, rows in [("arm: a", real[real["arm"] == "a"]), ("all", real)]:
        for visit, slot in zip(VISITS, found.trajectories[level]["real"], strict=True):
            column = rows[f"sbp@{visit}"]
            assert slot.mean.value == pytest.approx(column.mean())
            assert slot.sd.value == pytest.approx(column.std())
            assert slot.there.value == column.notna().mean()
            assert slot.mean.n == column.count()


def test_variances_are_those_that_were_planted():
    found = asked(trial(3000, seed=1), trial(3000, seed=2), by=None)
    # The arms lie 10 apart, which is 25 of variance between patients.
    assert found.within["real"].low < 4 < found.within["real"].high
    assert found.between["real"].low < 9 + 25 < found.between["real"].high
    assert found.intraclass["real"].low < 34 / 38 < found.intraclass["real"].high
    assert found.lags[2]["real"].low < 34 / 38 < found.lags[2]["real"].high


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"slope": 0.5}, "mean"),
        ({"within": 4.0}, "within"),
        ({"between": 0.0}, "between"),
        ({"between": 0.0}, "lag"),
        ({"holes": 0.4}, "there"),
        ({"slope": 0.5}, "slopes"),
        ({"within": 4.0}, "sd"),
    ],
)
def test_a_planted_change_is_seen(real, holdout, change, seen):
    found = asked(real, trial(800, seed=5, **change), holdout)
    last = {name: slots[-1] for name, slots in found.trajectories["arm: a"].items()}
    measured = {
        "mean": lambda name: last[name].mean, "sd": lambda name: last[name].sd, "there": lambda name: last[name].there,
        "within": found.within.get, "between": found.between.get, "lag": found.lags[1].get,
        "slopes": lambda name: found.slopes[name].quantiles[2],
    }[seen]  # fmt: skip
    assert apart(measured("real"), measured("synthetic"))
    assert not apart(measured("real"), measured("holdout"))
    if seen == "slopes":
        assert found.slope_distance.synthetic.low > found.slope_distance.holdout.high


def test_visits_in_any_order_destroy_the_lags(real):
    shuffled = real.copy()
    stream = np.random.default_rng(1)
    for visit in VISITS:
        shuffled[f"sbp@{visit}"] = stream.permutation(shuffled[f"sbp@{visit}"])
    found = asked(real, shuffled, by=None)
    for lag in (1, 2, 3):
        assert found.lags[lag]["synthetic"].high < 0.2 < found.lags[lag]["real"].low
    assert found.intraclass["synthetic"].high < 0.2


def matrix(n, seed, holes=0.3):
    return trial(n, seed=seed, holes=holes)[[f"sbp@{visit}" for visit in VISITS]].to_numpy()


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_lags_are_those_of_a_loop(lag):
    values = matrix(60, 1)
    scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    pairs = [
        (row[at], row[at + lag]) for row in scaled for at in range(4 - lag) if np.isfinite(row[at] * row[at + lag])
    ]
    assert lag_correlation(values, lag, seed=SEED, name="a").value == pytest.approx(
        np.corrcoef(np.array(pairs).T)[0, 1]
    )


def test_variances_are_those_of_a_loop():
    values = matrix(60, 2).copy()
    values[3] = np.nan
    off = deviations(values)
    np.testing.assert_allclose(off, values - np.nanmean(values, axis=0))
    rows = [row[np.isfinite(row)] for row in off if np.isfinite(row).any()]
    total, k, whole = sum(map(len, rows)), len(rows), np.concatenate(rows)
    within = sum(((row - row.mean()) ** 2).sum() for row in rows) / (total - k)
    among = sum(len(row) * (row.mean() - whole.mean()) ** 2 for row in rows) / (k - 1)
    size = (total - sum(len(row) ** 2 for row in rows) / total) / (k - 1)
    share, inside, between = intraclass(values, seed=SEED, name="a")
    assert inside.value == pytest.approx(within)
    assert between.value == pytest.approx((among - within) / size)
    assert share.value == pytest.approx((among - within) / size / ((among - within) / size + within))
    assert share.n == 59


def test_slopes_are_those_of_polyfit():
    values, at = matrix(50, 3), np.array([0.0, 3.0, 6.0, 12.0])
    slow = [
        np.polyfit(at[np.isfinite(row)], row[np.isfinite(row)], 1)[0] for row in values if np.isfinite(row).sum() > 1
    ]
    np.testing.assert_allclose(slopes_of(values, at), slow)
    found = Slopes.of(slopes_of(values, at))
    assert [one.value for one in found.quantiles] == pytest.approx(np.quantile(slow, [0.05, 0.25, 0.5, 0.75, 0.95]))
    assert found.quantiles[0].low == -math.inf or found.quantiles[0].low <= found.quantiles[0].value


def test_intervals_cover():
    held = np.zeros(6)
    for at in range(200):
        values = matrix(150, at, holes=0.1)
        values = values - 10.0 * (trial(150, seed=at, holes=0.1)["arm"] == "b").to_numpy()[:, None]
        share, within, between = intraclass(values, seed=Seed(at), name="a")
        first = values[:, 0][np.isfinite(values[:, 0])]
        truth = (9 / 13, 4, 9, 9 / 13, 140, 13**0.5)
        found = (
            share,
            within,
            between,
            lag_correlation(values, 1, seed=Seed(at), name="a"),
            mean_of(first),
            spread_of(first),
        )
        held += [one.low <= real <= one.high for one, real in zip(found, truth, strict=True)]
    assert (held / 200 >= 0.9).all(), held


def test_the_spread_of_skewed_values_covers_and_quantiles_too():
    held = np.zeros(3)
    for at in range(400):
        values = np.random.default_rng(at).exponential(size=200)
        spread = spread_of(values)
        quantiles = Slopes.of(values).quantiles
        held += [spread.low <= 1 <= spread.high, quantiles[2].low <= math.log(2) <= quantiles[2].high,
                 quantiles[4].low <= math.log(20) <= quantiles[4].high]  # fmt: skip
    assert (held / 400 > [0.88, 0.93, 0.93]).all(), held


def test_places_of_visits():
    assert places(["0", "6", "24"]).tolist() == [0, 6, 24]
    assert places(["RZ", "1M"]).tolist() == [0, 1]
    assert places(["nan", "1"]).tolist() == [0, 1]


def test_odd_tables(real):
    empty = real.assign(**{f"sbp@{visit}": np.nan for visit in VISITS})
    found = asked(real, empty, real)
    assert found.trajectories["all"]["synthetic"][0].mean is None
    assert (found.intraclass["synthetic"], found.slopes["synthetic"], found.slope_distance) == (None, None, None)
    assert math.isnan(found.lags[1]["synthetic"].value)
    assert asked(empty, empty).intraclass["real"] is None
    one = asked(real, real.iloc[:1])
    assert one.trajectories["all"]["synthetic"][0].mean.high == math.inf
    constant = real.assign(**{f"sbp@{visit}": -7.0 for visit in VISITS})
    found = asked(constant, constant)
    assert math.isnan(found.lags[1]["real"].value)
    assert found.within["real"].value == 0
    assert math.isnan(found.intraclass["real"].value)
    assert found.slope_distance.synthetic.value == 0
    lost = asked(real, real[real["arm"] == "a"])
    assert lost.trajectories["arm: b"]["synthetic"] == ()
    assert json.dumps(lost.to_dict(), allow_nan=False)


def test_one_visit_has_no_lag(real):
    found = asked(real[["arm", "sbp@0"]], real)
    assert found.lags == {}
    assert (found.intraclass["real"], found.slopes["real"]) == (None, None)


def test_nothing_is_changed_and_refusals_name_the_way_out(real, holdout):
    copies = real.copy(), holdout.copy()
    asked(real, real, holdout)
    pd.testing.assert_frame_equal(real, copies[0])
    pd.testing.assert_frame_equal(holdout, copies[1])
    with pytest.raises(DataError, match="variable='pulse'"):
        asked(real, real, variable="pulse")
    with pytest.raises(DataError, match="by='ward'"):
        asked(real, real, by="ward")
    with pytest.raises(DataError, match="sbp@3: columns of real that holdout lacks"):
        asked(real, real, holdout.drop(columns="sbp@3"))
    words = real.assign(**{"sbp@0": "high"})
    with pytest.raises(DataError, match="text has no trajectory"):
        asked(words, words)


def test_the_distance_of_slopes_holds_what_samples_show():
    found = []
    for at in range(80):
        stream = np.random.default_rng(at)
        found.append(slope_distance(stream.normal(size=200), stream.normal(0.3, 1, 150), seed=Seed(at)))
    whole = np.mean([one.value for one in found])
    assert np.mean([one.low <= whole <= one.high for one in found]) >= 0.88

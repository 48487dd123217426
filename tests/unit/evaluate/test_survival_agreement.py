"""Kaplan-Meier, log-rank and Cox against slow twins and scipy; planted differences are seen, and chance is not."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from wardgan.errors import DataError
from wardgan.evaluate.columns import columns
from wardgan.evaluate.curves import gaps, kaplan_meier, rate_ratio
from wardgan.evaluate.hazards import cox, hazard_agreement
from wardgan.evaluate.logistic import PENALTY
from wardgan.evaluate.survival import Endpoint, endpoint_of, follow_up, survival_agreement
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SEED = Seed(1)
END = Endpoint("days", "died")


HARM = math.log(2)


def trial(n, *, seed, faster=1.0, harm=HARM):
    """Exponential survival with a hazard ratio of 2 for the old arm, and one for age; censored at random."""
    stream = np.random.default_rng(seed)
    arm, age = stream.choice(["new", "old"], n), stream.normal(60, 10, n)
    death = stream.exponential(600 / faster, n) * np.exp(-harm * (arm == "old") - 0.04 * (age - 60))
    left = stream.uniform(100, 1500, n)
    return pd.DataFrame(
        {
            "arm": arm,
            "age": age,
            "days": np.floor(np.minimum(death, left)),
            "died": death < left,
            "noise": stream.normal(size=n),
        }
    )


@pytest.fixture(scope="module")
def real():
    return trial(800, seed=1)


@pytest.fixture(scope="module")
def alike():
    return trial(800, seed=2)


@pytest.fixture(scope="module")
def holdout():
    return trial(400, seed=3)


def times(n, *, seed, whole=True):
    stream = np.random.default_rng(seed)
    time = stream.exponential(10, n)
    return np.floor(time) if whole else time, stream.random(n) < 0.6


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("n", [1, 2, 30, 500])
def test_kaplan_meier_is_scipys_and_its_band_too(n, whole):
    time, event = times(n, seed=n, whole=whole)
    found = kaplan_meier(time, event)
    theirs = stats.ecdf(stats.CensoredData.right_censored(time, ~event)).sf
    assert np.array_equal(found.times, theirs.quantiles)
    np.testing.assert_allclose(found.survival, theirs.probabilities, atol=1e-12)
    curve = found.curve(10_000)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        band = theirs.confidence_interval(method="log-log")
    for at, low, high, alive in zip(curve.time[1:], curve.low[1:], curve.high[1:], curve.survival[1:], strict=True):
        place = np.searchsorted(theirs.quantiles, at)
        if 0 < alive < 1:
            assert low == pytest.approx(band.low.probabilities[place])
            assert high == pytest.approx(band.high.probabilities[place])
        assert low <= alive <= high


def test_kaplan_meier_by_hand():
    found = kaplan_meier(np.array([1.0, 1.0, 2.0, 3.0, 3.0, -4.0]), np.array([True, False, True, True, False, False]))
    assert found.times.tolist() == [0, 1, 2, 3]
    assert found.at_risk.tolist() == [6, 5, 3, 2]
    np.testing.assert_allclose(found.survival, [1, 4 / 5, 8 / 15, 4 / 15])
    np.testing.assert_allclose(found.at(np.array([0.0, 0.9, 1.0, 2.5, 99.0])), [1, 1, 4 / 5, 8 / 15, 4 / 15])


def test_a_curve_without_an_event_may_be_lower_and_one_that_ended_higher():
    free = kaplan_meier(np.array([5.0, 6.0]), np.array([False, False])).curve(9)
    assert free.survival == (1, 1)
    assert free.low == pytest.approx((0.025**0.5, 0.025))
    assert free.high == (1, 1)
    ended = kaplan_meier(np.array([5.0, 6.0, 7.0]), np.array([True, True, True])).curve(9)
    assert ended.survival[-1] == ended.low[-1] == 0
    assert ended.high[-1] == ended.high[-2] > 0.5


def test_the_band_covers():
    held = []
    for at in range(300):
        stream = np.random.default_rng(at)
        death, left = stream.exponential(1, 80), stream.uniform(0, 3, 80)
        curve = kaplan_meier(np.minimum(death, left), death < left).curve(1000)
        place = np.searchsorted(curve.time, 0.7, side="right") - 1
        held.append(curve.low[place] <= math.exp(-0.7) <= curve.high[place])
    assert 0.92 < np.mean(held) < 0.98


def test_a_long_curve_is_told_at_few_times():
    found = kaplan_meier(*times(5000, seed=1, whole=False))
    curve = found.curve(200)
    assert 150 < len(curve.time) <= 202
    np.testing.assert_allclose(curve.survival, found.at(np.array(curve.time)))
    assert (curve.n, curve.events) == (5000, found.event.sum())


def test_gaps_are_those_of_a_fine_grid(real, alike):
    one, two = (kaplan_meier(frame["days"].to_numpy(), frame["died"].to_numpy()) for frame in (real, alike))
    grid = np.arange(0, 900, 0.5)
    apart = np.abs(one.at(grid) - two.at(grid))
    mean, largest = gaps(one, two, 900.0, seed=SEED)
    assert mean.value == pytest.approx(apart.mean())
    assert largest.value == pytest.approx(apart.max())
    assert mean.low < mean.value < mean.high


def test_the_interval_of_a_gap_holds_what_samples_show_on_the_whole():
    def one(seed, faster):
        frame = trial(300, seed=seed, faster=faster)
        return kaplan_meier(frame["days"].to_numpy(), frame["died"].to_numpy())

    for faster in (1.0, 1.5):
        found = [gaps(one(2 * at, 1.0), one(2 * at + 1, faster), 800.0, seed=Seed(at))[0] for at in range(50)]
        whole = np.mean([each.value for each in found])
        assert np.mean([each.low <= whole <= each.high for each in found]) >= 0.88


def test_the_draws_of_a_curve_are_kaplan_meiers_of_the_drawn_patients(real):
    from wardgan.evaluate.curves import _drawn
    from wardgan.evaluate.resample import Resamples

    few = real.iloc[:60]
    time, event = few["days"].to_numpy(), few["died"].to_numpy()
    grid = np.unique(np.append(0.0, time))
    drawn = _drawn(kaplan_meier(time, event), grid, SEED, "one")
    draws = Resamples.of(60, SEED, "curves/one")
    for at in (0, 1, 77):
        often = draws.weights[at, draws.group].astype(int)
        slow = kaplan_meier(np.repeat(time, often), np.repeat(event, often))
        np.testing.assert_allclose(drawn[at], slow.at(grid), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_ratio_of_rates_is_that_of_scipys_log_rank_test(seed):
    (time, event), (other, died) = times(60, seed=seed), times(80, seed=seed + 9)
    other = np.floor(other / (1 + seed))
    found = rate_ratio(kaplan_meier(time, event), kaplan_meier(other, died))
    theirs = stats.logrank(
        stats.CensoredData.right_censored(other, ~died), stats.CensoredData.right_censored(time, ~event)
    )
    z = math.log(found.value) / ((math.log(found.high) - math.log(found.low)) / 2 / 1.959963984540054)
    assert abs(z) == pytest.approx(abs(theirs.statistic), rel=1e-6)


def test_the_ratio_of_rates_is_near_the_true_one():
    real, faster = trial(3000, seed=1, harm=0), trial(3000, seed=2, harm=0, faster=1.5)
    one, two = (kaplan_meier(frame["days"].to_numpy(), frame["died"].to_numpy()) for frame in (real, faster))
    found = rate_ratio(one, two)
    assert found.low < 1.5 < found.high
    assert found.low > 1.3
    none = rate_ratio(
        kaplan_meier(np.array([1.0]), np.array([False])), kaplan_meier(np.array([2.0]), np.array([False]))
    )
    assert math.isnan(none.value)
    assert (none.low, none.high) == (0, math.inf)


def test_survival_sees_nothing_between_samples(real, alike, holdout):
    found = survival_agreement(real, alike, holdout, endpoint=END, by="arm", seed=SEED)
    assert list(found.curves) == list(found.gaps) == ["all", "arm: new", "arm: old"]
    assert list(found.curves["all"]) == ["real", "synthetic", "holdout"]
    for gap in found.gaps.values():
        assert gap.refusal is None
        assert gap.mean.synthetic.value < 0.05
        assert gap.mean.synthetic.baseline == gap.mean.holdout.value
        assert gap.ratio.synthetic.low < 1 < gap.ratio.synthetic.high
    assert found.events["synthetic"].value == alike["died"].mean()
    assert found.curves["arm: old"]["real"].n == (real["arm"] == "old").sum()
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["endpoint"]["time"] == "days"


def test_survival_sees_who_dies_faster_and_in_which_arm(real, holdout):
    faster = survival_agreement(real, trial(800, seed=5, faster=1.6), holdout, endpoint=END, seed=SEED).gaps["all"]
    assert faster.mean.synthetic.low > faster.mean.holdout.high
    assert faster.ratio.synthetic.low > 1.3
    # The arms swapped: all together nothing is to be seen, in each arm much.
    swapped = trial(800, seed=6).replace({"arm": {"old": "new", "new": "old"}})
    gaps_of = survival_agreement(real, swapped, endpoint=END, by="arm", seed=SEED).gaps
    assert gaps_of["all"].ratio.synthetic.low < 1 < gaps_of["all"].ratio.synthetic.high
    assert gaps_of["arm: new"].ratio.synthetic.low > 1.4
    assert gaps_of["arm: old"].ratio.synthetic.high < 0.75
    assert gaps_of["arm: old"].mean.holdout is None


def test_what_cannot_be_judged_says_so(real):
    lost = survival_agreement(real, real[real["arm"] == "old"], endpoint=END, by="arm", seed=SEED)
    assert lost.gaps["arm: new"].mean is None
    assert "synthetic patients are followed; it cannot be judged" in lost.gaps["arm: new"].refusal
    assert "synthetic" not in lost.curves["arm: new"]
    alive = survival_agreement(real.assign(died=False), real, endpoint=END, seed=SEED).gaps["all"]
    assert "no real patient had the event" in alive.refusal
    for few in (real.iloc[:1], real.assign(days=np.nan), real.assign(days=0.0), real.assign(died=None)):
        assert survival_agreement(real, few, endpoint=END, seed=SEED).gaps["all"].refusal


def test_negative_times_count_as_over_at_the_beginning(real):
    wrong = real.assign(
        days=np.where(np.arange(800) < 80, -50.0, real["days"]), died=(np.arange(800) < 80) | real["died"]
    )
    found = survival_agreement(real, wrong, endpoint=END, seed=SEED)
    assert found.curves["all"]["synthetic"].survival[1] < 0.91
    assert found.gaps["all"].largest.synthetic.low > 0.04


def test_nobody_dies_in_the_synthetic_patients(real):
    gap = survival_agreement(real, real.assign(died=False), endpoint=END, seed=SEED).gaps["all"]
    assert gap.ratio.synthetic.high < 0.2
    assert gap.mean.synthetic.low > 0.2


def test_dates_texts_and_flags(real):
    start = pd.Timestamp("2010-01-01") + pd.to_timedelta(np.arange(800), "D")
    dated = real.assign(
        entered=start, ended=start + pd.to_timedelta(real["days"], "D"), how=np.where(real["died"], "dead", "left")
    )
    end = Endpoint("ended", "how", "entered", "dead")
    found = follow_up(columns(dated), end)
    assert found.time.tolist() == real["days"].tolist()
    assert found.event.tolist() == real["died"].tolist()
    with pytest.raises(DataError, match="event='how' is no flag"):
        follow_up(columns(dated), Endpoint("days", "how"))
    with pytest.raises(DataError, match="time: how is text"):
        follow_up(columns(dated), Endpoint("how", "died"))
    with pytest.raises(DataError, match="'nothing' is not a column"):
        follow_up(columns(dated), Endpoint("nothing", "died"))
    with pytest.raises(DataError, match="days: not a column of synthetic"):
        survival_agreement(dated, dated.drop(columns="days"), endpoint=END, seed=SEED)


def test_the_endpoint_of_a_schema():
    table = {
        "entered": {"kind": "date", "low": "2010-01-01", "high": "2012-12-31"},
        "ended": {"kind": "date", "after": "entered", "within": 900},
        "died": {"kind": "flag"},
        "how": {"kind": "category", "levels": ["left", "dead"]},
    }
    pair = {"time": "ended", "event": "died"}
    assert endpoint_of(Schema.from_dict({"name": "a", "table": table, "events": pair})) == Endpoint(
        "ended", "died", "entered"
    )
    pair["event"] = "how"
    schema = Schema.from_dict({"name": "a", "table": table, "events": pair})
    assert endpoint_of(schema) == Endpoint("ended", "how", "entered", "dead")
    assert endpoint_of(Schema.from_dict({"name": "a", "table": table})) is None


def slow_cox_loss(at, values, time, event, penalty):
    """Efron's partial likelihood, patient by patient."""
    line = values @ at
    total = penalty * (at @ at) / 2
    for moment in np.unique(time[event]):
        dead = np.flatnonzero((time == moment) & event)
        risk, tied = np.exp(line[time >= moment]).sum(), np.exp(line[dead]).sum()
        for number in range(len(dead)):
            total += math.log(risk - number / len(dead) * tied)
        total -= line[dead].sum()
    return total


@pytest.mark.parametrize("penalty", [PENALTY, 1e-3])
@pytest.mark.parametrize("whole", [True, False])
def test_cox_is_a_minimiser_of_the_slow_likelihood(whole, penalty):
    time, event = times(120, seed=5, whole=whole)
    values = np.random.default_rng(1).normal(size=(120, 3)) + 0.05 * time[:, None]
    found = cox(values, time, event, penalty=penalty)
    arguments = (values, time, event, penalty)
    slow = optimize.minimize(slow_cox_loss, np.zeros(3), args=arguments, tol=1e-12)
    np.testing.assert_allclose(found.values, slow.x, atol=1e-5)
    step = 1e-3
    unit = step * np.eye(3)
    bent = [
        [
            (slow_cox_loss(slow.x + one + two, *arguments) - slow_cox_loss(slow.x + one - two, *arguments)
             - slow_cox_loss(slow.x - one + two, *arguments) + slow_cox_loss(slow.x - one - two, *arguments)) / 4 / step**2
            for two in unit
        ]
        for one in unit
    ]  # fmt: skip
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(bent))), rtol=1e-4)
    assert (found.n, found.events) == (120, event.sum())


def test_kaplan_meier_and_cox_are_those_of_lifelines(real):
    lifelines = pytest.importorskip("lifelines", reason="lifelines is not a dependency: it refuses pandas 3")
    theirs = lifelines.KaplanMeierFitter().fit(real["days"], real["died"])
    ours = kaplan_meier(real["days"].to_numpy(), real["died"].to_numpy())
    np.testing.assert_allclose(
        ours.at(np.arange(0, 1400, 7.0)), theirs.survival_function_at_times(np.arange(0, 1400, 7.0)), atol=1e-12
    )
    frame = real.assign(arm=(real["arm"] == "old").astype(float), died=real["died"].astype(float))
    with warnings.catch_warnings(action="ignore"):
        fitted = lifelines.CoxPHFitter(penalizer=0).fit(frame, "days", "died")
    found = cox(
        frame[["arm", "age", "noise"]].to_numpy(), frame["days"].to_numpy(), real["died"].to_numpy(), penalty=1e-9
    )
    np.testing.assert_allclose(found.values, fitted.params_[["arm", "age", "noise"]], rtol=1e-4)
    np.testing.assert_allclose(found.errors, fitted.standard_errors_[["arm", "age", "noise"]], rtol=1e-4)


def test_hazard_ratios_agree_between_samples(real, alike, holdout):
    found = hazard_agreement(real, alike, holdout, endpoint=END, seed=SEED)
    rows = {row.name: row for row in found.coefficients}
    arm = next(name for name in rows if name.startswith("arm"))
    sign = 1 if arm == "arm: old" else -1
    assert rows[arm].real.low < sign * math.log(2) < rows[arm].real.high
    assert rows["age (per sd)"].synthetic.baseline == rows["age (per sd)"].real.value
    assert set(rows) == {arm, "age (per sd)", "noise (per sd)"}
    assert found.signs.synthetic.value == found.signs.holdout.value == 1
    assert found.overlap.synthetic.value > 0.4
    assert found.outcome == "hazard of died"


def test_hazard_ratios_see_a_harm_that_became_a_benefit(real):
    found = hazard_agreement(real, trial(800, seed=7, harm=-math.log(2)), endpoint=END, seed=SEED)
    row = next(row for row in found.coefficients if row.name.startswith("arm"))
    assert row.overlap == 0
    assert found.signs.synthetic.value == 0.5
    assert found.distance.synthetic.value > 3


def test_hazards_without_events_cannot_be_judged(real):
    for made in (real.assign(died=False), real.assign(died=True), real.iloc[:1]):
        found = hazard_agreement(real, made, endpoint=END, seed=SEED)
        assert found.coefficients == ()
        assert "cannot be judged" in found.refusal


def test_the_tables_are_left_as_they_were(real, alike):
    copies = real.copy(), alike.copy()
    survival_agreement(real, alike, endpoint=END, by="arm", seed=SEED)
    hazard_agreement(real, alike, endpoint=END, seed=SEED)
    pd.testing.assert_frame_equal(real, copies[0])
    pd.testing.assert_frame_equal(alike, copies[1])

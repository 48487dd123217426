"""Survival of simulated patients: exponential times, a hazard for each arm, censoring at the end of the study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import wardgan as wg

HORIZON = 3 * 365
MOST = 0.025  # the largest gap between the two curves of an arm, in survival
AT = np.arange(0, HORIZON + 400, 5)
TABLE = {
    "arm": {"kind": "category", "levels": ["old", "new"], "label": True},
    "age": {"kind": "integer", "low": 18, "high": 110},
    "died": {"kind": "flag"},
}
TIMES = {
    "days": {"days": {"kind": "integer", "low": 0, "high": 5 * 365}},
    "dates": {
        "entered": {"kind": "date", "low": "2010-01-01", "high": "2012-12-31"},
        "ended": {"kind": "date", "after": "entered", "within": 5 * 365},
    },
}


FAMILY = {"days": "auto", "dates": "copula"}


def patients(number=3000, seed=4) -> pd.DataFrame:
    """Half of them in each arm; death is twice as frequent in the old one; some leave before the end of the study."""
    rng = np.random.default_rng(seed)
    arm, age = np.arange(number) % 2, np.clip(rng.normal(60, 10, number).round(), 18, 110)
    death = rng.exponential(np.where(arm == 1, 900, 450) * np.exp(-0.03 * (age - 60)))
    left = np.minimum(rng.uniform(365, 2 * HORIZON, number), HORIZON)
    days = np.floor(np.minimum(death, left)).astype(int)
    entered = np.datetime64("2010-01-01") + rng.integers(0, 1000, number)
    return pd.DataFrame({
        "id": range(number), "arm": np.array(["old", "new"])[arm], "age": age.astype(int), "died": death < left,
        "days": days, "entered": entered, "ended": entered + days,
    })  # fmt: skip


def survival(frame: pd.DataFrame) -> np.ndarray:
    """Kaplan and Meier's estimate (1958) on the days of `AT`."""
    days = frame["days"] if "days" in frame else (frame["ended"] - frame["entered"]).dt.days
    time, died = np.asarray(days), np.asarray(frame["died"], dtype=bool)
    moments = np.unique(time[died])
    alive = np.cumprod([1 - (died & (time == one)).sum() / (time >= one).sum() for one in moments])
    return np.concatenate([[1.0], alive])[np.searchsorted(moments, AT, side="right")]


@pytest.mark.parametrize("times", TIMES)
def test_the_synthetic_curve_of_each_arm_stays_near_the_real_one(times):
    real = patients()
    found = {"name": "trial", "patient": "id", "population": 3000, "table": TABLE | TIMES[times]}
    pair = {"time": "days" if times == "days" else "ended", "event": "died"}
    schema = wg.Schema.from_dict(found | {"events": pair})
    assert schema.classes == 4
    real = real.drop(columns=["entered", "ended"] if times == "days" else "days")
    made = wg.fit(wg.read(real, schema), family=FAMILY[times], privacy="none", seed=1).generator.sample(30_000, seed=2)
    for arm in ("old", "new"):
        gap = np.abs(survival(real[real["arm"] == arm]) - survival(made[made["arm"] == arm])).max()
        assert gap < MOST, arm
    both = [survival(made[made["arm"] == arm]) for arm in ("old", "new")]
    assert (both[1] - both[0]).max() > 0.15, "the arms are told apart"
    days = made["days"] if times == "days" else (made["ended"] - made["entered"]).dt.days
    assert days.max() <= HORIZON, "nothing is known after the horizon"
    assert days[made["died"].astype(bool)].max() < HORIZON
    assert abs((days == HORIZON).mean() - np.mean(patients()["days"] == HORIZON)) < 0.02, "the end of the study is seen"
    assert abs(made["died"].mean() - real["died"].mean()) < 0.01


def test_a_wrong_curve_is_seen():
    """The bound is of use: without the pair, or with the other arm's patients, it is passed."""
    real = patients()
    arms = [survival(real[real["arm"] == arm]) for arm in ("old", "new")]
    assert np.abs(arms[0] - arms[1]).max() > MOST
    schema = wg.Schema.from_dict({"name": "trial", "patient": "id", "table": TABLE | TIMES["days"]})
    made = wg.fit(wg.read(real, schema), privacy="none", seed=1).generator.sample(30_000, seed=2)
    gaps = [
        np.abs(survival(real[real["arm"] == arm]) - survival(made[made["arm"] == arm])).max() for arm in ("old", "new")
    ]
    assert max(gaps) > MOST

"""The invented trial has the published aggregates of SPRINT."""

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import UsageError
from wardgan.rng import Seed
from wardgan.simulate.sprint import ARMS, MEDIAN_SBP, SPRINT_SCHEMA, VISITS, sprint_like

MEASURES = ("sbp", "dbp", "drugs")


@pytest.fixture(scope="module")
def trial():
    return sprint_like(20_000, seed=Seed(1))


@pytest.fixture(scope="module")
def cube(trial):
    """Array of shape (measures, patients, visits)."""
    return np.stack([trial[name].to_numpy().reshape(-1, len(VISITS)) for name in MEASURES])


@pytest.fixture(scope="module")
def intensive(trial):
    return trial["arm"].to_numpy()[:: len(VISITS)] == "intensive"


@pytest.fixture(scope="module")
def blocks(cube):
    """Array of shape (measures, measures, visits, visits) of pooled correlations."""
    matrix = np.corrcoef(np.hstack(list(cube)).T)
    return matrix.reshape(3, 12, 3, 12).transpose(0, 2, 1, 3)


def off_diagonal(block):
    return block[~np.eye(len(VISITS), dtype=bool)]


def test_one_row_for_each_patient_and_visit(trial):
    assert list(trial.columns) == ["patient_id", "arm", "visit", *MEASURES]
    assert len(trial) == 240_000
    assert trial["patient_id"].nunique() == 20_000
    assert trial["patient_id"].iloc[0] == "P000001"
    assert (trial["visit"].to_numpy().reshape(-1, 12) == np.array(VISITS)).all()
    assert (trial.groupby("patient_id")["arm"].nunique() == 1).all()
    assert all(pd.api.types.is_integer_dtype(trial[name]) for name in MEASURES)
    assert not trial.isna().any().any()


def test_half_of_the_patients_in_each_arm(intensive):
    assert abs(intensive.mean() - 0.5) < 0.015


@pytest.mark.parametrize("arm", ARMS)
def test_median_systolic_pressure_within_1_mm_hg(cube, intensive, arm):
    medians = np.median(cube[0][intensive == (arm == "intensive")], axis=0)
    assert np.abs(medians - MEDIAN_SBP[arm]).max() <= 1


@pytest.mark.parametrize("arm", ARMS)
def test_sd_of_systolic_pressure(cube, intensive, arm):
    spread = cube[0][intensive == (arm == "intensive")].std(axis=0)
    assert spread.min() > 12.6
    assert spread.max() < 16.1
    assert spread[0] == pytest.approx(15.7, abs=0.4)


def test_intensive_arm_has_a_long_upper_tail_and_the_standard_arm_has_none(cube, intensive):
    for arm, low, high in ((True, 1.2, 2.6), (False, -0.6, 0.7)):
        follow_up = cube[0][intensive == arm][:, 1:]
        excess = follow_up.mean(axis=0) - np.median(follow_up, axis=0)
        assert low < excess.mean() < high
        assert low - 0.5 < excess.min()
        assert excess.max() < high + 0.5


def test_diastolic_pressure_falls_from_78_to_the_level_of_the_arm(cube, intensive):
    assert cube[1][:, 0].mean() == pytest.approx(78, abs=0.6)
    assert cube[1][:, 0].std() == pytest.approx(12, abs=0.4)
    year = VISITS.index("12M")
    assert cube[1][intensive][:, year].mean() == pytest.approx(68.7, abs=0.8)
    assert cube[1][~intensive][:, year].mean() == pytest.approx(76.3, abs=0.8)


def test_drugs_rise_in_the_intensive_arm_alone(cube, intensive):
    assert cube[2][:, 0].mean() == pytest.approx(1.8, abs=0.05)
    assert cube[2][:, 0].std() == pytest.approx(1.0, abs=0.1)
    assert cube[2][intensive][:, 6:].mean() == pytest.approx(2.8, abs=0.08)
    assert cube[2][~intensive][:, 6:].mean() == pytest.approx(1.8, abs=0.08)


def test_overall_means(cube):
    assert cube[0].mean() == pytest.approx(129.0, abs=0.5)
    assert cube[1].mean() == pytest.approx(72.0, abs=0.7)
    assert cube[2].mean() == pytest.approx(2.27, abs=0.06)


def test_systolic_correlations_fade_with_distance(blocks):
    block = blocks[0, 0]
    assert off_diagonal(block).min() > 0.07
    assert off_diagonal(block).max() < 0.52
    assert block[0, -1] == pytest.approx(0.11, abs=0.04)
    assert block[-2, -1] == pytest.approx(0.48, abs=0.05)
    assert block[1, 2] > block[1, 6]


def test_diastolic_correlations_stay(blocks):
    assert off_diagonal(blocks[1, 1]).min() > 0.45
    assert off_diagonal(blocks[1, 1]).max() < 0.70


def test_drug_correlations_are_high(blocks):
    block = blocks[2, 2]
    assert off_diagonal(block).min() > 0.60
    assert off_diagonal(block).max() < 0.94
    neighbours = np.diag(block, 1)
    assert neighbours.min() > 0.84
    assert neighbours[1:].min() > 0.88


def test_pressures_agree_at_the_same_visit(blocks):
    same, other = np.diag(blocks[0, 1]), off_diagonal(blocks[0, 1])
    assert same.min() > 0.40
    assert same.max() < 0.55
    assert other.min() > 0.0
    assert other.max() < 0.26


def test_who_comes_with_a_high_pressure_gets_more_drugs_later(blocks):
    assert abs(blocks[0, 2][0, 0]) < 0.1
    assert np.abs(blocks[0, 2][0, 1:] - 0.22).max() < 0.06
    assert -0.20 < blocks[0, 2].min() < -0.10


def test_drugs_and_diastolic_pressure_lean_apart(blocks):
    assert -0.28 < blocks[1, 2].min() < -0.10
    assert blocks[1, 2].max() < 0.05


def test_maxima_of_a_trial_of_the_real_size():
    trial = sprint_like(6502, seed=Seed(1))
    assert 200 <= trial["sbp"].max() <= 233
    assert 120 <= trial["dbp"].max() <= 137
    assert trial["drugs"].max() in (6, 7)
    assert trial["drugs"].min() == 0


def test_diastolic_is_below_systolic(trial):
    assert (trial["sbp"] - trial["dbp"]).min() >= 12
    # The rule changes few readings, or it would bend the distribution.
    assert (trial["sbp"] - trial["dbp"] == 12).mean() < 0.005


def test_classifiers_tell_the_arms_apart_as_in_the_trial(cube, intensive):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    values = np.hstack(list(cube)).astype(float)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    for model in (LogisticRegression(max_iter=1000), RandomForestClassifier(60, random_state=0)):
        accuracy = model.fit(values[:6000], intensive[:6000]).score(values[6000:], intensive[6000:])
        assert 0.90 < accuracy < 0.96


def test_rows_obey_the_schema(trial):
    visits = SPRINT_SCHEMA["visits"]
    assert visits["grid"] == list(VISITS)
    assert SPRINT_SCHEMA["table"]["arm"]["levels"] == sorted(trial["arm"].unique(), reverse=True)
    assert SPRINT_SCHEMA["patient"] in trial.columns
    assert visits["key"] in trial.columns
    for name, column in visits["columns"].items():
        assert trial[name].between(column["low"], column["high"]).all()
    assert SPRINT_SCHEMA["rules"] == ["dbp < sbp"]


def test_same_seed_same_trial():
    one, two = (sprint_like(50, seed=Seed(3)) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    assert not sprint_like(50, seed=Seed(4)).equals(one)
    assert not sprint_like(50, seed=Seed.secret()).equals(sprint_like(50, seed=Seed.secret()))


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    sprint_like(10, seed=Seed(1))
    assert (np.random.get_state()[1] == before).all()


def test_one_patient():
    assert len(sprint_like(1, seed=Seed(1))) == 12


@pytest.mark.parametrize("patients", [0, -3, 2.5, True])
def test_refuses_what_is_no_number_of_patients(patients):
    with pytest.raises(UsageError, match="patients="):
        sprint_like(patients, seed=Seed(1))

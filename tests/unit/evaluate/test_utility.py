"""Classifiers see a planted effect, see none in noise, and survive every awkward table."""

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError, UsageError
from wardgan.evaluate.utility import MODELS, Score, ask_classifiers, score_classifiers
from wardgan.rng import Seed

SEED = Seed(1)


def trial(n, *, seed, effect=2.0):
    """A class that moves one number and one level by `effect`."""
    stream = np.random.default_rng(seed)
    arm = stream.choice(["standard", "intensive"], n)
    tells = effect * (arm == "intensive")
    return pd.DataFrame(
        {
            "arm": arm,
            "sbp": 140 - 8 * tells + 8 * stream.normal(size=n),
            "noise": stream.normal(size=n) * 1e6,
            "drug": np.where(stream.normal(size=n) + tells > 1, "b", "a"),
        }
    )


@pytest.fixture(scope="module")
def real():
    return trial(600, seed=1)


@pytest.fixture(scope="module")
def test():
    return trial(400, seed=2)


def logistic(train, test, target="arm"):
    return score_classifiers(train, test, target=target, seed=SEED, models=MODELS[:1])[MODELS[0]]


def test_all_classifiers_see_a_planted_effect(real, test):
    for score in score_classifiers(real, test, target="arm", seed=SEED, models=MODELS).values():
        assert score.accuracy > 0.8
        assert score.auroc > 0.85


def test_no_classifier_sees_an_effect_in_noise():
    train, test = trial(600, seed=3, effect=0.0), trial(600, seed=4, effect=0.0)
    for score in score_classifiers(train, test, target="arm", seed=SEED, models=MODELS).values():
        assert score.accuracy == pytest.approx(0.5, abs=0.08)
        assert score.auroc == pytest.approx(0.5, abs=0.08)


def test_scores_are_those_of_scikit_learn(real, test):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, roc_auc_score
    from sklearn.preprocessing import StandardScaler

    columns = ["sbp", "noise"]
    scaler = StandardScaler().fit(real[columns])
    model = LogisticRegression(max_iter=5000).fit(scaler.transform(real[columns]), real["arm"])
    chance = model.predict_proba(scaler.transform(test[columns]))[:, 1]
    score = logistic(real[["arm", *columns]], test[["arm", *columns]])
    assert score.accuracy == pytest.approx(accuracy_score(test["arm"], model.classes_[(chance > 0.5).astype(int)]))
    assert score.auroc == pytest.approx(roc_auc_score(test["arm"] == model.classes_[1], chance), abs=1e-6)


def test_swapped_labels_score_below_chance(real, test):
    swapped = real.assign(arm=real["arm"].map({"standard": "intensive", "intensive": "standard"}))
    score = logistic(swapped, test)
    assert score.accuracy < 0.2
    assert score.auroc < 0.15


def test_that_a_value_is_missing_can_be_the_effect():
    stream = np.random.default_rng(1)
    died = stream.random(300) < 0.5
    frame = pd.DataFrame({"died": died, "lactate": np.where(died, np.nan, stream.normal(size=300))})
    assert logistic(frame, frame, "died").accuracy == 1


def test_holes_levels_and_kinds_of_all_sorts(real, test):
    def awkward(frame):
        return frame.assign(
            constant=7.0,
            empty=np.nan,
            nothing=None,
            count=pd.array([1, None] * (len(frame) // 2), dtype="Int64"),
            flag=np.arange(len(frame)) % 2 == 0,
            ward=pd.Categorical(["a", None] * (len(frame) // 2)),
            huge=1e300 * frame["noise"],
            when=pd.Timestamp("2020-01-01"),
        ).mask(np.random.default_rng(1).random((len(frame), 12)) < np.array([0] + [0.2] * 11))

    unseen = awkward(test).assign(ward="never seen")
    for score in score_classifiers(awkward(real), unseen, target="arm", seed=SEED, models=MODELS).values():
        assert score.accuracy > 0.7


def test_holes_only_in_the_tested_patients(real, test):
    assert logistic(real, test.assign(noise=np.nan)).accuracy > 0.8


@pytest.mark.parametrize("model", MODELS)
def test_one_class_to_learn_from(real, test, model):
    only = real[real["arm"] == "standard"]
    score = score_classifiers(only, test, target="arm", seed=SEED, models=(model,))[model]
    assert score.accuracy == pytest.approx((test["arm"] == "standard").mean())
    assert score.auroc == 0.5


def test_one_class_to_test(real, test):
    score = logistic(real, test[test["arm"] == "standard"])
    assert 0.7 < score.accuracy < 1
    assert np.isnan(score.auroc)


@pytest.mark.parametrize("model", MODELS)
def test_single_rows(real, test, model):
    one = score_classifiers(real.iloc[:1], test, target="arm", seed=SEED, models=(model,))[model]
    assert one.auroc == 0.5
    rows = real.drop_duplicates("arm")
    assert score_classifiers(rows, test.iloc[:1], target="arm", seed=SEED, models=(model,))[model].n == 1


def test_three_classes_and_one_that_was_never_taught():
    stream = np.random.default_rng(1)
    level = stream.integers(0, 3, 600)
    frame = pd.DataFrame({"stage": level, "marker": level + 0.3 * stream.normal(size=600)})
    train, test = frame.iloc[:300], frame.iloc[300:]
    full = logistic(train, test, "stage")
    assert full.accuracy > 0.85
    assert full.auroc > 0.95
    lacking = logistic(train[train["stage"] != 2], test, "stage")
    assert lacking.accuracy < 0.75
    assert lacking.auroc < full.auroc


def test_patients_without_a_class_are_left_out(real, test):
    holes = test.assign(arm=test["arm"].where(np.arange(len(test)) % 2 == 0, None))
    assert logistic(real, holes).n == 200


def test_same_seed_same_scores(real, test):
    one, two = (score_classifiers(real, test, target="arm", seed=Seed(5)) for _ in range(2))
    assert one == two
    assert list(one) == list(MODELS[:2])


@pytest.mark.parametrize("model", MODELS)
def test_answers_score_groups_as_scikit_learn_does(real, test, model):
    from sklearn.metrics import roc_auc_score

    holes = test.assign(arm=test["arm"].where(np.arange(len(test)) % 5 > 0, None))
    answers = ask_classifiers(real, holes, target="arm", seed=SEED, models=(model,))[model]
    assert answers.score() == score_classifiers(real, holes, target="arm", seed=SEED, models=(model,))[model]
    assert answers.levels.tolist() == ["intensive", "standard"]
    for group in ("a", "b"):
        mine = (holes["drug"] == group) & holes["arm"].notna()
        chance = pd.Series(np.nan, holes.index)
        chance[holes["arm"].notna()] = answers.chances[:, 0]
        score = answers.score((holes["drug"] == group).to_numpy())
        wanted = holes.loc[mine, "arm"] == "intensive"
        assert score.n == mine.sum()
        assert score.correct == ((chance[mine] > 0.5) == wanted).sum()
        assert score.auroc == pytest.approx(roc_auc_score(wanted, chance[mine]))


def test_a_part_of_one_class_has_no_auroc(real, test):
    answers = ask_classifiers(real, test, target="arm", seed=SEED)["logistic regression"]
    score = answers.score((test["arm"] == "standard").to_numpy())
    assert np.isnan(score.auroc)
    assert score.correct == logistic(real, test[test["arm"] == "standard"]).correct
    assert score.n == (test["arm"] == "standard").sum()


def test_parts_that_are_none_are_refused(real, test):
    answers = ask_classifiers(
        real, test.assign(arm=test["arm"].where(test["drug"] == "a", None)), target="arm", seed=SEED
    )
    answers = answers["logistic regression"]
    with pytest.raises(DataError, match="no patient whose class is known"):
        answers.score((test["drug"] == "b").to_numpy())
    with pytest.raises(DataError, match=r"rows: a mask of shape \(400,\)"):
        answers.score(np.arange(400))
    with pytest.raises(DataError, match=r"rows: a mask of shape \(400,\)"):
        answers.score(np.ones(399, dtype=bool))


def test_columns_may_stand_in_any_order(real, test):
    assert logistic(real[real.columns[::-1]], test) == logistic(real, test)


def test_the_tables_are_left_as_they_were(real, test):
    copies = real.copy(), test.copy()
    logistic(real, test)
    pd.testing.assert_frame_equal(real, copies[0])
    pd.testing.assert_frame_equal(test, copies[1])


def test_refusals_name_the_way_out(real, test):
    with pytest.raises(DataError, match="target='ward' is not a column of test"):
        logistic(real, test, "ward")
    with pytest.raises(DataError, match="test has no column but arm"):
        logistic(real[["arm"]], test[["arm"]])
    with pytest.raises(DataError, match="train is empty"):
        logistic(real.iloc[:0], test)
    with pytest.raises(DataError, match="sbp: columns of test that train lacks"):
        logistic(real.drop(columns="sbp"), test)
    with pytest.raises(DataError, match="has no value in train"):
        logistic(real.assign(arm=None), test)
    with pytest.raises(UsageError, match="models has 'oracle'"):
        score_classifiers(real, test, target="arm", seed=SEED, models=("oracle",))


def test_accuracy_is_a_share():
    assert Score(3, 4, 0.5).accuracy == 0.75

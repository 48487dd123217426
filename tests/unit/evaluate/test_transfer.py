"""Train on synthetic, test on real: planted losses are seen, equals are equal, and what cannot be judged is no pass."""

import json

import numpy as np
import pandas as pd
import pytest
from test_utility import SEED, trial

from wardgan.errors import DataError
from wardgan.estimate import Estimate
from wardgan.evaluate.ranks import auroc, weighted_aurocs
from wardgan.evaluate.transfer import ENOUGH, _share, judged_classes, train_synthetic_test_real
from wardgan.evaluate.utility import MODELS, score_classifiers
from wardgan.rng import Seed

LR = MODELS[0]


@pytest.fixture(scope="module")
def real():
    return trial(600, seed=1)


@pytest.fixture(scope="module")
def test():
    return trial(400, seed=2)


def taught(real, synthetic, test, **more):
    return train_synthetic_test_real(real, synthetic, test, **({"target": "arm", "seed": SEED} | more))


def test_synthetic_patients_as_good_as_real_ones(real, test):
    utility = taught(real, trial(600, seed=9), test, models=MODELS)
    assert list(utility.models) == list(utility.accuracy) == list(MODELS)
    assert (utility.classes, utility.taught, utility.refusal) == (("intensive", "standard"), (600, 600), None)
    for found in utility.models.values():
        for estimate in (found.accuracy, found.tstr, found.trts):
            assert estimate.value == pytest.approx(estimate.baseline, abs=0.05)
            assert estimate.low < estimate.value < estimate.high
        assert (found.tstr.n, found.trts.n) == (400, 600)
        assert found.share.low < 1.005
        assert found.share.high > 0.995
        assert found.kept.value == pytest.approx(1, abs=0.06)
    scores = score_classifiers(real, test, target="arm", seed=SEED)
    assert utility.accuracy["random forest"].baseline == scores["random forest"].accuracy
    assert utility.models["random forest"].trtr.value == pytest.approx(scores["random forest"].auroc)


def test_synthetic_patients_without_the_effect(real, test):
    for found in taught(real, trial(600, seed=9, effect=0.0), test, models=MODELS).models.values():
        assert found.accuracy.high < found.accuracy.baseline
        assert found.tstr.high < found.trtr.low
        assert found.trts.high < 0.6
        assert found.share.high < 0.8
        assert found.kept.high < 0.5


def test_swapped_labels_are_worse_than_nothing(real, test):
    swapped = real.assign(arm=real["arm"].map({"standard": "intensive", "intensive": "standard"}))
    found = taught(real, swapped, test, models=[LR]).models[LR]
    assert found.share.high < 0.2
    assert found.kept.high < -0.5


def test_a_quarter_of_wrong_labels_ruins_calibration_and_keeps_the_order(real, test):
    stream = np.random.default_rng(1)
    other = real["arm"].map({"standard": "intensive", "intensive": "standard"})
    noisy = real.assign(arm=np.where(stream.random(600) < 0.25, other, real["arm"]))
    found = taught(real, noisy, test, models=[LR]).models[LR]
    assert found.share.value > 0.97
    ours, best = found.calibration["synthetic"], found.calibration["real"]
    assert ours.error.low > best.error.value
    assert ours.error.baseline == best.error.value
    assert ours.brier.value > ours.brier.baseline == best.brier.value
    assert list(ours.curves) == ["standard"]


def test_the_share_of_two_areas_that_go_together_is_known_better_than_the_areas(real, test):
    same = taught(real, real, test, models=[LR]).models[LR]
    assert same.share.value == 1
    width = same.tstr.high - same.tstr.low
    assert same.share.high - same.share.low < width
    assert (same.kept.low, same.kept.value, same.kept.high) == (1, 1, 1)


def test_where_nothing_can_be_learned_nothing_is_kept(test):
    noise = [trial(600, seed=at, effect=0.0) for at in (3, 4)]
    found = taught(*noise, trial(400, seed=5, effect=0.0), models=[LR]).models[LR]
    assert found.kept is None
    assert found.share.low < 1 < found.share.high


def stages(n, *, seed, spread=0.6):
    stream = np.random.default_rng(seed)
    level = stream.choice(["I", "II", "III"], n, p=[0.6, 0.3, 0.1])
    return pd.DataFrame({"stage": level, "marker": np.char.str_len(level) + spread * stream.normal(size=n)})


def test_three_classes():
    one, two, test = stages(500, seed=1), stages(500, seed=2), stages(400, seed=3)
    found = taught(one, two, test, target="stage", models=[LR])
    assert found.classes == ("I", "II", "III")
    area = found.models[LR].tstr
    slow = score_classifiers(two, test, target="stage", seed=SEED, models=[LR])[LR].auroc
    assert area.value == pytest.approx(slow)
    assert area.low < area.value < area.high
    assert "3 classes" in area.method
    lost = taught(one, two[two["stage"] != "III"], test, target="stage", models=[LR]).models[LR]
    assert lost.share.high < 1
    assert lost.trts is None


def test_a_class_with_few_patients_does_not_count():
    test = pd.concat([stages(300, seed=3).query("stage != 'III'"), pd.DataFrame({"stage": ["III"] * 3, "marker": 3.0})])
    found = taught(stages(500, seed=1), stages(500, seed=2), test, target="stage", models=[LR])
    assert found.classes == ("I", "II")


@pytest.mark.parametrize("left", [0, 1, ENOUGH - 1])
def test_a_hold_out_of_one_class_cannot_be_judged(real, test, left):
    kept = test["arm"] == "standard"
    kept |= (test["arm"] == "intensive") & ((test["arm"] == "intensive").cumsum() <= left)
    utility = taught(real, real, test[kept].astype({"arm": "category"}), models=[LR])
    assert utility.models == {}
    assert utility.accuracy == {}
    assert "cannot be judged" in utility.refusal
    assert "cannot be judged" in str(utility)
    assert json.loads(json.dumps(utility.to_dict()))["refusal"] == utility.refusal


def test_one_class_to_learn_from(real, test):
    found = taught(real, real[real["arm"] == "standard"], test, models=MODELS).models
    assert {one.tstr.value for one in found.values()} == {0.5}
    assert {one.trts for one in found.values()} == {None}


def test_levels_that_nobody_has_change_nothing(real, test):
    declared = test.assign(arm=pd.Categorical(test["arm"], ["standard", "intensive", "sham"]))
    assert taught(real, real, declared, models=[LR]) == taught(real, real, test, models=[LR])


def test_awkward_tables(real, test):
    def awkward(frame):
        return frame.assign(constant=-7.0, empty=np.nan, nothing=None, huge=-1e300 * frame["noise"])

    one, two, three = awkward(real), awkward(trial(600, seed=9)), awkward(test)
    copies = one.copy(), two.copy(), three.copy()
    holes = two.mask(np.random.default_rng(1).random(two.shape) < 0.2)
    assert taught(one, holes, three, models=MODELS).models[LR].share.value > 0.9
    for frame, copy in zip((one, two, three), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
    assert taught(one, two.iloc[:1], three, models=MODELS).models[LR].tstr.value == 0.5
    with pytest.raises(DataError, match="sbp: columns of real_train that real_test lacks"):
        taught(one, two, three.drop(columns="sbp").assign(other=1))


def test_result_prints_as_a_table_and_goes_to_json(real, test):
    utility = taught(real, real, test, models=[LR])
    lines = str(utility).splitlines()
    assert lines[0] == "arm: taught by synthetic, tested on 400 real patients, against taught by real"
    assert lines[1].split() == ["accuracy", "AUROC", "share"]
    assert lines[2].startswith("logistic regression  0.")
    assert lines[2].count("against") == 3
    found = json.loads(json.dumps(utility.to_dict(), allow_nan=False))
    assert found["models"][LR]["tstr"]["n"] == 400
    assert found["models"][LR]["calibration"]["real"]["curves"]["standard"][0]["observed"]["n"] == 40


def test_large_tables_are_cut(monkeypatch, real, test):
    monkeypatch.setattr("wardgan.evaluate.transfer.MOST", 100)
    found = taught(real, real, test, models=[LR])
    assert found.taught == (100, 100)
    assert (found.models[LR].tstr.n, found.models[LR].trts.n) == (100, 100)


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_areas_are_those_of_repeated_patients(ties):
    stream = np.random.default_rng(1)
    scores, positive = stream.normal(size=60), stream.random(60) < 0.3
    scores = scores.round() if ties else scores
    weights = stream.integers(0, 4, (20, 60)).astype(float)
    weights[3, positive] = 0
    found = weighted_aurocs(scores, positive, weights)
    for area, often in zip(found, weights.astype(int), strict=True):
        slow = auroc(np.repeat(scores, often), np.repeat(positive, often))
        assert area == pytest.approx(slow, nan_ok=True)


def test_classes_that_count():
    classes = np.array(["a"] * 12 + ["b"] * 10 + ["c"] * 9 + [None] * 30, dtype=object)
    assert judged_classes(classes) == ("a", "b")
    assert judged_classes(np.array([0.0] * 30 + [1.0] * 9 + [np.nan] * 20)) == ()
    assert judged_classes(np.array([None, None], dtype=object)) == ()


def scored(stream, n, gap, link):
    """A class, and the scores of two classifiers that go together, with areas of known size."""
    positive = np.arange(n) < n // 4
    common = stream.normal(size=n)
    noise = stream.normal(size=(2, n))
    return positive, *((link * common + (1 - link**2) ** 0.5 * noise[at]) + shift * positive
                       for at, shift in enumerate(gap))  # fmt: skip


@pytest.mark.parametrize(("n", "gap", "link"), [(60, (0.5, 1.0), 0.8), (60, (1.0, 1.0), 0.0), (200, (2.2, 2.2), 0.9)])
def test_the_share_of_two_areas_covers_the_true_one(n, gap, link):
    from statistics import NormalDist

    from wardgan.evaluate.ranks import auroc_interval

    one, two = (NormalDist().cdf(shift / 2**0.5) for shift in gap)
    stream = np.random.default_rng(n)
    held, cases = 0, n // 4
    for _ in range(200):
        positive, *scores = scored(stream, n, gap, link)
        weights = np.ones((201, n))
        for mine in (np.flatnonzero(positive), np.flatnonzero(~positive)):
            weights[1:, mine] = stream.multinomial(mine.size, np.full(mine.size, 1 / mine.size), 200)
        areas = [weighted_aurocs(score, positive, weights) for score in scores]
        parts = [Estimate(float(area[0]), *auroc_interval(float(area[0]), cases, n - cases), n, "") for area in areas]
        found = _share(*parts, *areas)
        held += found.low <= one / two <= found.high
    assert held / 200 >= 0.91


def test_the_seed_replays():
    frames = trial(200, seed=1), trial(200, seed=2), trial(200, seed=3)
    assert taught(*frames, models=[LR], seed=Seed(4)) == taught(*frames, models=[LR], seed=Seed(4))

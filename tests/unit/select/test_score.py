"""The scores of a choice: sums over patients, by classifiers that have seen synthetic patients only (Rule P11)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import choice_kit
from wardgan.select import decide, score
from wardgan.select.decide import recognition
from wardgan.select.score import Design, Recognition, class_weights, taught

EPSILON = 1.0


@pytest.fixture(scope="module")
def scoring():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "_TREES", 10)
        return recognition(choice_kit.field())


def shares(scores, sensitivity):
    """The exponential mechanism, from its formula, as `noisy_top` plays it."""
    weight = np.exp(EPSILON * (scores - scores.max()) / (2 * sensitivity))
    return weight / weight.sum()


def test_p11_the_candidate_that_teaches_what_patients_show_is_the_best(scoring):
    scores = scoring.scores(*choice_kit.patients(400))
    assert np.argmax(scores) == 1
    assert np.argmin(scores) == 2
    assert 150 < scores[1] <= 200


def test_p11_scores_are_sums_over_patients_exactly(scoring):
    """A classifier that had seen the patients, or any part that hangs on the others, would break this."""
    units, classes = choice_kit.patients(60, seed=3)
    parts = [scoring.scores(units[at : at + 1], classes[at : at + 1]) for at in range(60)]
    assert (scoring.scores(units, classes) == np.sum(parts, axis=0)).all()


def test_p11_one_patient_moves_a_score_by_the_sensitivity_and_no_more(scoring):
    units, classes = choice_kit.patients(60, seed=4)
    moved = [np.abs(scoring.scores(units[at : at + 1], classes[at : at + 1])) for at in range(60)]
    assert np.max(moved) == scoring.sensitivity == 0.5


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_p11_neighbours_stay_within_epsilon_whatever_the_classifiers_say(data):
    size, candidates = data.draw(st.integers(1, 8)), data.draw(st.integers(2, 4))
    bits = st.lists(st.booleans(), min_size=size, max_size=size)
    namings = [(constant(data.draw(bits)), constant(data.draw(bits))) for _ in range(candidates)]
    weights = class_weights(np.array([data.draw(st.floats(0.0, 1.0)), 1.0]))
    scoring = Recognition(Design(choice_kit.LAYOUT), tuple(namings), weights)
    # The dose says which patient it is, so that one more changes no other's part.
    units = np.stack([(np.arange(size) + 0.5) / 64, np.zeros(size)], axis=1)
    classes = np.array(data.draw(bits)).astype(np.int64)
    left_out = data.draw(st.integers(0, size - 1))
    rest = np.arange(size) != left_out
    one, other = (scoring.scores(units[rows], classes[rows]) for rows in (np.ones(size, dtype=bool), rest))
    assert np.abs(one - other).max() <= scoring.sensitivity
    ratio = np.log(shares(one, scoring.sensitivity) / shares(other, scoring.sensitivity))
    assert np.abs(ratio).max() <= EPSILON + 1e-9


def constant(bits):
    return lambda rows: np.array(bits, dtype=np.int64)[np.floor(rows[:, 0] * 64).astype(int)]


def test_p11_the_bound_is_reached_so_half_of_it_would_be_a_lie():
    right, wrong = constant([1]), constant([0])
    scoring = Recognition(Design(choice_kit.LAYOUT), ((right, right), *[(wrong, wrong)] * 400), np.ones(2))
    units, classes = np.array([[0.5 / 64, 0.0]]), np.array([1])
    none = np.zeros(401)
    one = scoring.scores(units, classes)
    assert np.log(shares(one, 0.5) / shares(none, 0.5)).max() > 0.99 * EPSILON
    assert np.log(shares(one, 0.25) / shares(none, 0.25)).max() > 1.9 * EPSILON


def test_what_a_classifier_says_of_a_patient_hangs_on_no_other(scoring):
    units, _ = choice_kit.patients(130, seed=5)
    rows = scoring.design.rows(units)
    for naming in scoring.taught[0]:
        whole = naming(rows)
        assert (whole == np.concatenate([naming(rows[at : at + 1]) for at in range(len(rows))])).all()
        assert (whole[7:] == naming(rows[7:])).all()


def test_p11_nothing_of_the_patients_is_there_when_the_classifiers_learn(monkeypatch):
    """They are taught before the first patient is scored, by what the candidates draw."""
    seen = []
    monkeypatch.setattr(decide, "taught", lambda rows, classes: seen.append((rows, classes)) or (constant([0] * 64),))
    asked = choice_kit.records(1.0, 1)
    monkeypatch.setattr(Recognition, "scores", lambda self, units, classes: np.zeros(len(seen)))
    decide.decided(decide.Choice(candidates=3), asked, choice_kit.field())
    drawn = choice_kit.field()
    classes = np.tile([0, 1], decide._TAUGHT // 2)
    assert len(seen) == 3
    for at, (rows, labels) in enumerate(seen):
        assert (labels == classes).all()
        assert (rows == Design(choice_kit.LAYOUT).rows(drawn.drawn(at, classes, "taught"))).all()


def test_rare_classes_count_like_others_and_nobody_counts_more_than_1():
    found = class_weights(np.array([0.2, 0.3, 0.5]))
    np.testing.assert_allclose(found * [0.2, 0.3, 0.5], 0.2, atol=1e-4)
    assert found.max() == 1
    # A class that noise cannot tell from none does not silence the others.
    assert class_weights(np.array([1e-6, 1.0])).tolist() == [1.0, 0.125]
    assert (class_weights(np.array([0.0, 0.0, 1.0])) > 0).all()


def test_features_follow_from_the_schema_and_each_patient_alone():
    design = Design(choice_kit.LAYOUT)
    rows = design.rows(np.array([[0.25, 2.0], [-1.0, 0.0], [np.nan, np.nan]]))
    assert rows.tolist() == [[0.25, 0, 0, 0, 1], [0, 1, 1, 0, 0], [0, 1, 0, 0, 0]]


def test_a_constant_feature_teaches_nothing():
    rows = np.column_stack([np.linspace(0, 1, 60), np.full(60, 0.3)])
    for naming in taught(rows, (rows[:, 0] > 0.5).astype(np.int64)):
        assert naming(rows[[0, 59]] + [0.0, 9.0]).tolist() == [0, 1]


def test_three_classes_are_told_apart():
    numbers = np.random.default_rng(0)
    classes = np.tile([0, 1, 2], 100)
    rows = np.column_stack([classes + 0.1 * numbers.standard_normal(300), numbers.random(300)])
    for naming in taught(rows, classes):
        assert (naming(rows) == classes).mean() > 0.95


def test_no_candidate_is_scored_without_its_weight(scoring):
    units, classes = choice_kit.patients(100)
    halved = replace(scoring, weights=np.array([0.5, 0.5]))
    assert (halved.scores(units, classes) * 2 == replace(scoring, weights=np.ones(2)).scores(units, classes)).all()

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.errors import UsageError
from wardgan.sample.conditions import Conditions, conditions
from wardgan.sample.wish import Condition, Place, place_of
from wardgan.schema.cohort import Cohort

SCHEMA = kit.schema(
    {
        "arm": {"kind": "category", "levels": ["a", "b", "c"], "label": True},
        "sex": {"kind": "flag", "label": True},
        "age": {"kind": "integer", "low": 18, "high": 110},
        "bmi": {"kind": "number", "low": 10, "high": 60},
        "ph": {"kind": "number", "low": 6.5, "high": 8, "step": 0.01},
        "born": {"kind": "date", "low": "1920-01-01", "high": "2010-12-31"},
        "site": {"kind": "category", "levels": [1, 2, "None"], "nullable": True},
        "dead": {"kind": "flag", "nullable": True},
    },
    {"key": "visit", "grid": ["A"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}},
)
SHARES = (0.1, 0.2, 0.3, 0.1, 0.3, 0.0)


def asked(where=None, balance=None, shares=SHARES):
    return conditions(SCHEMA, shares, where, balance)


def one(**where) -> Condition:
    (found,) = asked(where).others
    return found


def test_nothing_asked():
    found = asked()
    assert found.turns == pytest.approx(np.array([SHARES]))
    assert found.others == ()


def test_labels_choose_classes():
    assert asked({"arm": "a"}).turns == pytest.approx(np.array([[1 / 3, 2 / 3, 0, 0, 0, 0]]))
    assert asked({"arm": ["a", "b"], "sex": True}).turns == pytest.approx(np.array([[0, 2 / 3, 0, 1 / 3, 0, 0]]))
    # A class that the generator gives no chance can still be asked for.
    assert asked({"arm": "c", "sex": "true"}).turns.tolist() == [[0, 0, 0, 0, 0, 1]]


def test_balance_takes_turns():
    assert asked(balance="arm").turns == pytest.approx(
        np.array([[1 / 3, 2 / 3, 0, 0, 0, 0], [0, 0, 3 / 4, 1 / 4, 0, 0], [0, 0, 0, 0, 1, 0]])
    )
    assert asked({"arm": ("b", "c")}, "arm").turns == pytest.approx(
        np.array([[0, 0, 3 / 4, 1 / 4, 0, 0], [0, 0, 0, 0, 1, 0]])
    )
    assert asked({"sex": True}, "arm").turns.tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("where", "codes", "is_range"),
    [
        ({"age": (65, 80)}, (65, 80), True),
        ({"age": (65.5, np.inf)}, (65.5, np.inf), True),
        ({"age": (-np.inf, 20)}, (-np.inf, 20), True),
        ({"age": 65}, (65,), False),
        ({"age": [65, 70]}, (65, 70), False),
        ({"age": np.int64(65)}, (65,), False),
        ({"age": "65"}, (65,), False),
        ({"ph": 7.4}, (7.4,), False),
        ({"ph": 0.1 + 7.2}, (7.3,), False),
        ({"ph": (7.4, 7.4)}, (7.4, 7.4), True),
        ({"bmi": (20, 25.5)}, (20, 25.5), True),
        ({"born": date(2000, 1, 1)}, (730120,), False),
        ({"born": datetime(2000, 1, 1, 12)}, (730120,), False),
        ({"born": pd.Timestamp("2000-01-01")}, (730120,), False),
        ({"born": "2000-01-01"}, (730120,), False),
        ({"born": ("2000-01-01", date(2000, 1, 3))}, (730120, 730122), True),
        ({"site": 1}, (0,), False),
        ({"site": "2"}, (1,), False),
        ({"site": 2.0}, (1,), False),
        ({"site": "None"}, (2,), False),
        ({"site": ("None", 1)}, (2, 0), False),
        ({"site": np.array([1, 2])}, (0, 1), False),
        ({"dead": True}, (1,), False),
        ({"dead": np.False_}, (0,), False),
        ({"dead": 1}, (1,), False),
        ({"dead": "no"}, (0,), False),
        ({"dead": ["true", "False"]}, (1, 0), False),
    ],
)
def test_wishes_become_codes(where, codes, is_range):
    found = one(**where)
    assert (found.codes, found.range) == (codes, is_range)


@pytest.mark.parametrize(
    ("where", "rule"),
    [
        ({"weight": 3}, "'weight' is not in the generator's table"),
        ({"sbp": 120}, "'sbp' is not in the generator's table but measured at visits; say at which, such as sbp@A"),
        ({"age": (65.2, 65.8)}, "holds none of its values, which have steps of 1"),
        ({"ph": (7.001, 7.009)}, "holds none of its values, which have steps of 0.01"),
        ({3: 120}, "3 is not in the generator's table"),
        ([("age", 3)], "is not a mapping"),
        ("age=3", "is not a mapping"),
        ({"arm": "z"}, "'z' is not a level of arm; it has a, b, c"),
        ({"arm": ["a", "z"]}, "'z' is not a level of arm"),
        ({"arm": []}, "asks for nothing"),
        ({"age": []}, "asks for nothing"),
        ({"arm": None}, "'None' is not a level of arm"),
        ({"dead": "maybe"}, "'maybe' is not a level of dead"),
        ({"dead": 2}, "'2' is not a level of dead"),
        ({"age": "old"}, "is not a number"),
        ({"age": None}, "is not a number"),
        ({"age": True}, "is not a number"),
        ({"age": np.nan}, "is not a number"),
        ({"age": (65, np.nan)}, "is not a number"),
        ({"age": (65,)}, "neither a number nor a (low, high) range"),
        ({"age": (65, 70, 75)}, "neither a number nor a (low, high) range"),
        ({"age": (80, 65)}, "is an empty range"),
        ({"age": (111, 120)}, "is outside 18 to 110"),
        ({"age": (0, 17)}, "is outside 18 to 110"),
        ({"age": 17}, "is outside 18 to 110"),
        ({"age": [65, 111]}, "is outside 18 to 110"),
        ({"age": 10**400}, "is not a number"),
        ({"age": 65.5}, "is none of its values, which have steps of 1"),
        ({"ph": 7.005}, "is none of its values, which have steps of 0.01"),
        ({"bmi": 25}, "is one point of a continuous column"),
        ({"bmi": (25, 25)}, "is one point of a continuous column"),
        ({"born": "01.02.2000"}, "is not a date like"),
        ({"born": 2000}, "is not a date like"),
        ({"born": "2020-01-01"}, "is outside 1920-01-01 to 2010-12-31"),
    ],
)
def test_what_no_patient_can_meet_is_refused_at_once(where, rule):
    with pytest.raises(UsageError) as error:
        asked(where)
    assert rule in str(error.value)


@pytest.mark.parametrize("arm", ["a", ["a"], ["a", "a"], ("a",)])
def test_one_level_cannot_be_balanced(arm):
    with pytest.raises(UsageError, match=r"balance='arm': where leaves it one level only \(a\)"):
        asked({"arm": arm, "age": (20, 90)}, "arm")
    assert len(asked({"arm": arm}, "sex").turns) == 2
    assert len(asked({"arm": ["a", "c"]}, "arm").turns) == 2


@pytest.mark.parametrize(
    ("balance", "rule"),
    [
        (name, f"balance={name!r} is not a label of the generator; its labels are: arm, sex")
        for name in ("age", "weight", "sbp")
    ],
)
def test_only_labels_are_balanced(balance, rule):
    with pytest.raises(UsageError) as error:
        asked(balance=balance)
    assert rule in str(error.value)


def test_conditions_hold_or_not():
    codes = {"age": np.array([18.0, 65, 80, 80.5, np.nan])}
    declared = kit.schema({"age": {"kind": "number", "low": 0, "high": 110, "nullable": True}})
    cohort = Cohort(declared, codes, {}, None, np.arange(5))
    age = Place("age", "column", declared.column("age"), holes=True)
    assert_array_equal(Condition(age, (65.0, 80.0), range=True).holds(cohort), [False, True, True, False, False])
    assert_array_equal(Condition(age, (18.0, 80.0), range=False).holds(cohort), [True, False, True, False, False])
    assert_array_equal(Condition(age, (18.0,), missing=True).holds(cohort), [True, False, False, False, True])
    assert_array_equal(Condition(age, (-np.inf, np.inf), range=True).holds(cohort), [True, True, True, True, False])
    both = Conditions(
        np.ones((1, 1)), (Condition(age, (0.0, 70.0), range=True), Condition(age, (20.0, 99.0), range=True))
    )
    assert_array_equal(both.hold(cohort), [False, True, False, False, False])
    assert Conditions(np.ones((1, 1)), ()).hold(cohort).all()


def test_classes_follow_their_chances():
    found = asked(balance="arm")
    turn = np.arange(300_000) % 3
    classes = found.classes(turn, np.random.default_rng(1))
    assert_array_equal(classes // 2, turn)
    for at, row in enumerate(found.turns):
        counts = np.bincount(classes[turn == at], minlength=6)
        assert (counts[row == 0] == 0).all()
        assert counts / 100_000 == pytest.approx(row, abs=5 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize(
    "shares", [[0.1] * 10, [1 / 3, 1 / 3, 1 / 3, 0.0], [0.0, 1.0], [0.0, 0.7, 0.3, 0.0], [0.2, 0.4, 0.3, 0.1]]
)
def test_the_largest_and_smallest_draws_give_classes_of_some_chance(shares):
    class Ends:
        def random(self, size):
            return np.resize([0.0, np.nextafter(1, 0)], size)

    turns = np.array([shares, shares[::-1]])
    classes = Conditions(turns, ()).classes(np.arange(40) % 2, Ends())
    classes = np.concatenate([classes, Conditions(turns, ()).classes(np.arange(40) // 2 % 2, Ends())])
    picked = np.concatenate([turns[np.arange(40) % 2], turns[np.arange(40) // 2 % 2]])
    assert (classes >= 0).all()
    assert (picked[np.arange(80), classes] > 0).all()


def test_the_event_of_a_pair_is_chosen_by_its_class_like_a_label():
    table = {"died": {"kind": "flag"}, "days": {"kind": "integer", "low": 0, "high": 9}}
    paired = kit.schema(table, events={"time": "days", "event": "died"})
    chosen = conditions(paired, (0.7, 0.3), {"died": True}, None)
    assert (chosen.turns.tolist(), chosen.others) == ([[0.0, 1.0]], ())
    assert conditions(paired, (0.7, 0.3), None, "died").turns.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_constant_may_be_asked_for():
    dose = kit.schema({"dose": {"kind": "number", "low": 5, "high": 5}, "x": {"kind": "flag"}})
    at = place_of(dose, "dose")
    assert conditions(dose, (1.0,), {"dose": 5}, None).others == (Condition(at, (5.0,), range=False),)
    assert conditions(dose, (1.0,), {"dose": (5, 5)}, None).others == (Condition(at, (5.0, 5.0), range=True),)
    with pytest.raises(UsageError, match="outside 5 to 5"):
        conditions(dose, (1.0,), {"dose": 6}, None)
    day = kit.schema({"came": {"kind": "date", "origin": True}, "left": {"kind": "date", "after": "came", "within": 9}})
    with pytest.raises(UsageError, match="left=2001-01-01 is outside 2000-01-01 to 2000-01-10"):
        conditions(day, (1.0,), {"left": "2001-01-01"}, None)

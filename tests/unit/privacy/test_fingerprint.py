"""The same patients have the same fingerprint, whatever is done to their file; others have another one."""

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wardgan as wg
from wardgan.privacy.accounts.fingerprint import fingerprint
from wardgan.schema.keys import plain_key

KEY = b"k" * 32
AGE = {"kind": "integer", "low": 0, "high": 99}
BMI = {"kind": "number", "low": 0, "high": 99, "nullable": True}


def cohort(frame, *, patient="id", **columns):
    found = {"name": "x", "table": columns or {"age": AGE}} | ({"patient": patient} if patient else {})
    return wg.read(frame, wg.Schema.from_dict(found))


def keyed(names):
    return fingerprint(cohort(pd.DataFrame({"id": names, "age": [50] * len(names)})), KEY)


FRAME = pd.DataFrame({"id": ["P1", "P2", "P3"], "age": [50, 61, 70], "bmi": [20.0, np.nan, 30.0]})


def test_columns_cells_and_order_do_not_matter():
    known = fingerprint(cohort(FRAME), KEY)
    assert fingerprint(cohort(FRAME, age=AGE, bmi=BMI), KEY) == known
    assert fingerprint(cohort(FRAME.iloc[::-1].assign(age=[1, 2, 3])), KEY) == known
    assert fingerprint(cohort(FRAME.assign(id=["p1 ", " P2", "P3"])), KEY) == known
    renamed = FRAME.rename(columns={"id": "patient"})
    assert fingerprint(cohort(renamed, patient="patient"), KEY) == known


def test_numbers_texts_and_lost_zeros_are_one_patient():
    known = keyed([7, 8, 12])
    assert keyed(["7", "8", "12"]) == keyed(["007", "008", "012"]) == keyed(["12", "8", "7.0"]) == known
    assert keyed(["0", "8", "12"]) == keyed(["000", "8", "12"]) != known


def test_visits_do_not_matter():
    visits = {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}}
    schema = wg.Schema.from_dict({"name": "x", "patient": "id", "table": {"age": AGE}, "visits": visits})
    long = pd.DataFrame({"id": ["P1", "P1", "P2", "P3"], "age": 50, "visit": ["A", "B", "A", "A"], "sbp": 120})
    assert fingerprint(wg.read(long, schema), KEY) == fingerprint(cohort(FRAME), KEY)


@pytest.mark.parametrize("names", [["P1", "P2"], ["P1", "P2", "P4"], ["P1", "P2", "P3", "P4"], ["P1P2", "P3", "P4"]])
def test_one_patient_more_less_or_other_is_another_fingerprint(names):
    assert keyed(names) != fingerprint(cohort(FRAME), KEY)


@given(st.sets(st.text("ab01 ", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=5))
def test_it_is_the_obvious_keyed_hash_of_the_names(names):
    """The obvious twin: lengths in front, so that no two sets are one text."""
    from wardgan.schema.cells import MISSING_WORDS

    names = {name for name in names if name not in MISSING_WORDS} or {"a"}
    plain = sorted({(name.lstrip("0") or "0") if name.isdigit() else name for name in names})
    parts = [len(name).to_bytes(8, "big") + name.encode() for name in plain]
    slow = hmac.new(KEY, b"patients\0" + b"".join(parts), hashlib.sha256).hexdigest()
    assert keyed(sorted(names)) == slow


def test_without_a_patient_key_the_rows_count_in_any_order():
    one = cohort(FRAME, patient=None, age=AGE, bmi=BMI)
    known = fingerprint(one, KEY)
    assert fingerprint(cohort(FRAME.iloc[[2, 0, 1]], patient=None, bmi=BMI, age=AGE), KEY) == known
    assert fingerprint(cohort(FRAME, patient=None, age=AGE), KEY) != known
    assert fingerprint(cohort(FRAME.assign(age=[50, 61, 71]), patient=None, age=AGE, bmi=BMI), KEY) != known
    assert fingerprint(cohort(FRAME.assign(bmi=[20.0, 30.0, np.nan]), patient=None, age=AGE, bmi=BMI), KEY) != known


def test_another_key_gives_another_fingerprint_and_the_cohort_stays():
    mine = cohort(FRAME)
    assert fingerprint(mine, KEY) != fingerprint(mine, b"l" * 32)
    assert mine.patients.tolist() == ["P1", "P2", "P3"]


@pytest.mark.parametrize("names", [
    ("7", "7.0"), ("7", "007"), ("7", "7.00 "), ("p1", "P1"), ("7", "\ufeff7"), ("a\u200bb", "AB"),
    ("\uff17", "7"), ("u\u0308", "\u00fc"),
])  # fmt: skip
def test_names_that_a_spreadsheet_changed_are_the_same(names):
    assert plain_key(names[0]) == plain_key(names[1])


@pytest.mark.parametrize("names", [("7", "70"), ("7.5", "7"), ("a.0", "a"), ("1.07", "1.7"), ("7", "-7")])
def test_names_of_two_patients_stay_two(names):
    assert plain_key(names[0]) != plain_key(names[1])

"""Groups that vanish are named, groups that are too small are not called kept, and shares have intervals that cover."""

import json

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError
from wardgan.evaluate.groups import AGES, Grouped, default_groups
from wardgan.evaluate.ranks import auroc
from wardgan.evaluate.utility import ask_classifiers
from wardgan.evaluate.vanished import share_ratio, subgroups
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SEED = Seed(1)
GROUPS = {"site": Grouped(), "age": Grouped((40, 65))}


def patients(n, *, seed, sites=(0.6, 0.3, 0.1)):
    stream = np.random.default_rng(seed)
    age, marker = stream.integers(20, 90, n).astype(float), stream.normal(size=n)
    died = stream.random(n) < 1 / (1 + np.exp(-2 * marker))
    site = stream.choice(["north", "south", "west"], n, p=sites)
    return pd.DataFrame({"died": died, "site": site, "age": age, "marker": marker})


@pytest.fixture(scope="module")
def real():
    return patients(2000, seed=1)


@pytest.fixture(scope="module")
def holdout():
    return patients(1000, seed=3)


def rows(*tables, groups=GROUPS, **more):
    return {(row.column, row.group): row for row in subgroups(*tables, groups=groups, seed=SEED, **more)}


def test_another_sample_keeps_all_groups(real, holdout):
    found = rows(real, patients(3000, seed=2), holdout, target="died")
    assert list(found) == [("site", "north"), ("site", "south"), ("site", "west"),
                           ("age", "below 40"), ("age", "40 to 64"), ("age", "65 and over")]  # fmt: skip
    for (column, group), row in found.items():
        assert row.verdict == "kept"
        mine = GROUPS[column].of(real[column]) == group
        assert (row.n, row.real.value) == (mine.sum(), mine.mean())
        assert row.ratio.low < 1.06
        assert row.ratio.high > 0.94
        assert row.synthetic.baseline == row.real.value
        assert row.ratio.baseline == pytest.approx(row.holdout.value / row.real.value)
        assert row.tstr.value == pytest.approx(row.tstr.baseline, abs=0.03)
        assert json.dumps(row.to_dict(), allow_nan=False)


def test_a_group_that_vanished_or_was_lost_is_named(real, holdout):
    thinned = rows(real, patients(3000, seed=2, sites=(0.66, 0.3, 0.04)), holdout)
    assert thinned["site", "west"].verdict == "vanished"
    assert thinned["site", "west"].ratio.high < 0.6
    assert thinned["site", "north"].verdict == "kept"
    lost = rows(real, patients(3000, seed=2, sites=(0.7, 0.3, 0)), holdout)
    assert lost["site", "west"].verdict == "vanished"
    assert lost["site", "west"].ratio.value == lost["site", "west"].ratio.low == 0


@pytest.mark.parametrize("n", [1, 49])
def test_a_small_group_is_not_judged(real, n):
    few = real.assign(site=np.where(np.arange(2000) < n, "tiny", "north"))
    for made in (few, few.assign(site="north")):
        assert rows(few, made)["site", "tiny"].verdict == "too few to judge"
    assert rows(few, few.assign(site="north"))["site", "tiny"].ratio.high > (10 if n == 1 else 0.1) / 2000


def test_a_level_that_nobody_has_is_invented(real, holdout):
    made = patients(500, seed=2).assign(site="moon")
    found = rows(real, made, holdout)["site", "moon"]
    assert (found.verdict, found.n, found.ratio) == ("invented", 0, None)
    assert rows(real, made, holdout.assign(site="moon"))["site", "moon"].verdict == "too few to judge"


def test_missing_cells_are_a_group(real):
    holed = real.assign(site=real["site"].mask(real["age"] > 70), age=real["age"].mask(real["marker"] > 1))
    found = rows(holed, holed)
    assert found["site", "unknown"].n == (real["age"] > 70).sum()
    assert list(found)[-1] == ("age", "unknown")


def test_predictions_in_a_group_are_those_of_the_whole_classifier(real, holdout):
    made = patients(2000, seed=2)
    made.loc[made["site"] == "south", "marker"] *= -1
    found = rows(real, made, holdout, target="died")
    assert found["site", "south"].tstr.n == (holdout["site"] == "south").sum()
    answers = ask_classifiers(made, holdout, target="died", seed=SEED, models=["logistic regression"])
    mine = (holdout["site"] == "south").to_numpy()
    chance = answers["logistic regression"].chances[:, 1]
    assert found["site", "south"].tstr.value == pytest.approx(auroc(chance[mine], holdout["died"].to_numpy()[mine]))
    # Without a hold-out, a target, or enough patients of both classes there is none.
    assert rows(real, made, target="died")["site", "south"].tstr is None
    assert rows(real, made, holdout)["site", "south"].tstr is None
    dead = holdout.assign(died=holdout["died"] | (holdout["site"] == "west"))
    assert rows(real, made, dead, target="died")["site", "west"].tstr is None
    assert rows(real, made, dead, target="died")["site", "north"].tstr is not None
    assert rows(real, made, holdout.assign(died=None), target="died")["site", "north"].tstr is None


def test_the_ratio_of_shares_covers():
    stream = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        found = share_ratio(int(stream.binomial(400, 0.04)), 400, int(stream.binomial(300, 0.08)) or 1, 300)
        held += found.low <= 0.5 <= found.high
    assert 0.93 < held / 1000 < 0.985
    assert share_ratio(0, 100, 50, 100).low == 0
    assert share_ratio(100, 100, 100, 100).value == 1


def test_bands_and_names():
    assert Grouped((50, 65)).of(pd.Series([49.9, 50, 64.9, 65, np.nan])).tolist() == [
        "below 50", "50 to 64", "50 to 64", "65 and over", "unknown",
    ]  # fmt: skip
    assert Grouped((0,)).of(pd.Series([-5, 5])).tolist() == ["below 0", "0 and over"]
    assert Grouped().of(pd.Series([True, False, None], dtype="boolean")).tolist() == ["True", "False", "unknown"]
    assert Grouped().of(pd.Series([1.0, 2.0])).tolist() == ["1", "2"]
    assert Grouped((50,)).of(pd.Series([7, None], dtype="Int64")).tolist() == ["below 50", "unknown"]
    assert Grouped((50,)).of(pd.Series(["[0-10)", None], dtype="category")).tolist() == ["below 50", "unknown"]


def test_flags_are_the_same_group_whatever_their_type(real):
    made = real.assign(died=real["died"].astype("boolean"))
    found = rows(real, made, groups={"died": Grouped()})
    assert {row.group: row.verdict for row in found.values()} == {"False": "kept", "True": "kept"}


def test_the_groups_of_a_schema():
    number = {"kind": "integer", "low": 0, "high": 120}
    table = {
        "outcome": {"kind": "category", "levels": [str(at) for at in range(20)], "label": True},
        "died": {"kind": "flag"},
        "site": {"kind": "category", "levels": ["a", "b"]},
        "code": {"kind": "category", "levels": [str(at) for at in range(20)]},
        "only": {"kind": "category", "levels": ["a"]},
        "AgeAtEntry": number, "patient_age": number, "years": number | {"unit": "a"}, "stage": number, "dosage": number,
    }  # fmt: skip
    found = default_groups(Schema.from_dict({"name": "x", "table": table}))
    assert list(found) == ["outcome", "died", "site", "AgeAtEntry", "patient_age", "years"]
    assert found["years"].bounds == AGES


def test_nothing_is_changed_and_absent_columns_are_refused(real, holdout):
    copies = real.copy(), holdout.copy()
    rows(real, real, holdout, target="died")
    pd.testing.assert_frame_equal(real, copies[0])
    pd.testing.assert_frame_equal(holdout, copies[1])
    with pytest.raises(DataError, match="site"):
        rows(real, real, holdout.drop(columns="site"))
    with pytest.raises(DataError, match="ward"):
        rows(real, real, groups={"ward": Grouped()})
    with pytest.raises(DataError, match="synthetic is empty"):
        rows(real, real.iloc[:0])


def test_few_synthetic_patients_tell_nothing_of_a_small_share(real):
    assert rows(real, real.iloc[:1])["site", "west"].verdict == "too few to judge"
    north = real[real["site"] != "west"]
    share = (real["site"] == "west").mean()
    assert rows(real, north.iloc[: int(9 / share)])["site", "west"].verdict == "too few to judge"
    assert rows(real, north.iloc[: int(11 / share)])["site", "west"].verdict == "vanished"

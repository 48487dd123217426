"""Rules and groups of the benchmark's tables: declared for columns that exist, and counted as a slow loop counts them."""

import numpy as np
import pandas as pd
import pytest

import datasets
from groups import GROUPS, RULES, Grouped, broken_share, with_rules
from judge import ENOUGH, Judged, by_group
from tables import seeds
from wardgan.evaluate.utility import ask_classifiers
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SCHEMAS = {
    "uci_heart": datasets.HEART,
    "support2": datasets.SUPPORT2,
    "diabetes130": datasets.DIABETES,
    "pbc2_first": datasets.PBC2_FIRST,
    "physionet2012_summary": datasets.PHYSIONET_SUMMARY,
}
PRESSURES = {
    "name": "pressures",
    "table": {
        "died": {"kind": "flag", "label": True},
        "sbp": {"kind": "integer", "low": 40, "high": 280, "nullable": True},
        "dbp": {"kind": "integer", "low": 20, "high": 200, "nullable": True},
        "sex": {"kind": "category", "levels": ["female", "male"]},
        "pregnant": {"kind": "flag"},
    },
    "rules": ["dbp < sbp", 'if sex == "male" then pregnant == false'],
}


def people(n, seed):
    stream = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "died": stream.choice(["no", "yes"], n),
            "sbp": np.where(stream.random(n) < 0.2, np.nan, stream.integers(40, 281, n)),
            "dbp": np.where(stream.random(n) < 0.2, np.nan, stream.integers(20, 201, n)),
            "sex": stream.choice(["female", "male"], n),
            "pregnant": stream.choice(["no", "yes"], n),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_broken_rows_are_those_of_a_loop(seed):
    frame = people(200, seed)
    slow = [row.dbp >= row.sbp or (row.sex == "male" and row.pregnant == "yes") for row in frame.itertuples()]
    assert broken_share(frame, Schema.from_dict(PRESSURES)) == np.mean(slow)


def test_without_rules_there_is_no_share():
    assert broken_share(people(9, 0), Schema.from_dict(PRESSURES | {"rules": []})) is None


@pytest.mark.parametrize("name", SCHEMAS)
def test_rules_and_groups_are_of_columns_that_exist(name):
    schema = with_rules(name, Schema.from_dict(SCHEMAS[name]))
    assert [rule.text for rule in schema.rules] == list(RULES.get(name, ()))
    assert set(GROUPS[name]) <= {column.name for column in schema.table}
    assert set(datasets.TABLES) == set(SCHEMAS) == set(GROUPS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_real_patients_obey_the_rules(name):
    if not datasets.available(name):
        pytest.skip(f"the files of {name} are not in {datasets.folder()}")
    from tables import plain

    found = datasets.load(name)
    schema = with_rules(name, found.schema)
    frame = found.table[[column.name for column in schema.table]]
    assert broken_share(plain(frame, schema), schema) in (0, None)


def test_groups_of_numbers_levels_and_holes():
    bands = Grouped((50, 65))
    assert bands.of(pd.Series([49.9, 50, 64.9, 65, np.nan])).tolist() == [
        "below 50", "50 to 64", "50 to 64", "65 and over", "unknown",
    ]  # fmt: skip
    assert bands.of(pd.Series(["[0-10)", "[50-60)", "[90-100)", None])).tolist() == [
        "below 50", "50 to 64", "65 and over", "unknown",
    ]  # fmt: skip
    assert Grouped(names={"yes": "male"}).of(pd.Series(["yes", "no", None])).tolist() == ["male", "no", "unknown"]


def test_groups_get_their_share_and_a_score_if_they_are_large_enough(monkeypatch):
    train, test = people(400, 1), people(400, 2)
    test["sex"] = np.where(np.arange(400) < 2 * ENOUGH - 1, "female", "male")
    made = pd.Series(np.where(np.arange(400) < 100, "female", "male"))
    tables = Judged("pressures", Schema.from_dict(PRESSURES), "died", train, test)
    answers = ask_classifiers(
        train, test, target="died", seed=Seed(1), models=("logistic regression", "gradient boosting")
    )
    rows = by_group("sex", train["sex"], made, test["sex"], tables, answers)
    assert [row["group"] for row in rows] == ["female", "male"]
    women = int((train["sex"] == "female").sum())
    assert [row["n"] for row in rows] == [women, 400 - women]
    assert rows[0]["share"] == pytest.approx(0.25 / (women / 400))
    assert rows[0]["LR"] is None
    men = (test["sex"] == "male").to_numpy()
    assert rows[1]["LR"] == answers["logistic regression"].score(men).auroc
    assert rows[1]["GB"] == answers["gradient boosting"].score(men).auroc


def test_a_mean_over_fewer_seeds_says_so():
    good, bad = {"GB": 0.8}, {"failed": "stopped"}
    assert seeds([good, good]) == "2"
    assert seeds([good, bad, good]) == "2 of 3"

"""The levers for small groups: disjoint patients for each generator, groups joined by public sizes, and floors that hold."""

import numpy as np
import pandas as pd
import pytest

import levers
import wardgan as wg
from levers import Case, Halves, declared, drawing, floored, part_schema, parts

SITES = ("north", "south", "east")
SCHEMA = {
    "name": "toy",
    "population": 3000,
    "table": {
        "died": {"kind": "flag", "label": True},
        "site": {"kind": "category", "levels": sorted([*SITES, "unknown"])},
        "age": {"kind": "integer", "low": 18, "high": 99},
    },
}


def halves(sizes, floor=0.2):
    stream = np.random.default_rng(1)
    site = np.repeat([*SITES, "unknown"], sizes)
    train = pd.DataFrame(
        {"died": stream.choice(["no", "yes"], len(site)), "site": site, "age": stream.integers(18, 100, len(site))}
    )
    return Halves(Case("toy", "site", floor, ("north", "south"), 1), SCHEMA, train, train)


def test_sizes_are_declared_with_one_digit_and_never_too_small():
    assert declared(halves([1450, 61, 100, 7])) == {"north": 2000, "south": 70, "east": 100, "unknown": 7}


def test_groups_that_are_too_small_alone_are_joined_and_every_group_has_one_generator():
    table = halves([2000, 900, 12, 5])
    for epsilon in (0.5, 1.0, 3.0, None):
        found = parts(table, epsilon)
        assert sorted(group for part in found for group in part) == sorted([*SITES, "unknown"])
        for part in found if epsilon and len(found) > 1 else ():
            wg.plan(wg.Schema.from_dict(part_schema(table, part)), wg.Budget(epsilon=epsilon), family="copula")
    assert parts(table, None) == [["unknown"], ["east"], ["south"], ["north"]]
    assert parts(table, 1.0) == [["unknown", "east", "south"], ["north"]]


def test_parts_see_declared_sizes_and_no_patient():
    one, two = halves([1990, 880, 12, 5]), halves([1910, 810, 11, 5])
    assert declared(one) == declared(two) == {"north": 2000, "south": 900, "east": 20, "unknown": 5}
    assert parts(one, 1.0) == parts(two, 1.0)


def test_each_patient_is_in_one_generator_which_has_the_whole_epsilon(monkeypatch):
    seen = []

    def fitted(patients, schema, epsilon, family):
        seen.append((patients, schema, epsilon))
        family.sizes.append(float(len(patients)))
        return wg.fit(wg.read(patients, wg.Schema.from_dict(schema)), family="copula", privacy="none")

    table = halves([2000, 900, 12, 5])
    monkeypatch.setattr(levers, "fitted", fitted)
    draw, facts = drawing(table, "one each", 1.0, 3)
    rows = [row for patients, _, _ in seen for row in patients.index]
    assert sorted(rows) == list(table.train.index)
    assert [epsilon for _, _, epsilon in seen] == [1.0] * len(seen)
    for (patients, schema, _), names in zip(seen, facts["generators"], strict=True):
        assert sorted(set(patients["site"])) == schema["table"]["site"]["levels"] == sorted(names.split(", "))
    made = draw(2917, None)
    assert len(made) == 2917
    assert (made["site"].astype(str) == "north").sum() == pytest.approx(2000, abs=1)


def test_a_patient_more_changes_one_cohort_alone(monkeypatch):
    cohorts = []
    monkeypatch.setattr(levers, "_sample", lambda *given: pd.DataFrame())

    def fitted(patients, schema, epsilon, family):
        cohorts[-1].append(patients.reset_index(drop=True))
        family.sizes.append(1.0)
        return type("Made", (), {"generator": None})

    monkeypatch.setattr(levers, "fitted", fitted)
    for sizes in ([2000, 900, 12, 5], [2000, 899, 12, 5]):
        cohorts.append([])
        table = halves(sizes)
        table.train["died"] = "no"
        table.train["age"] = table.train.groupby("site").cumcount() % 50 + 18
        drawing(table, "one each", 3.0, 3)
    differ = [not one.equals(two) for one, two in zip(*cohorts, strict=True)]
    assert sum(differ) == 1


def test_floors_hold_and_the_unknown_are_no_group():
    table = halves([2500, 380, 30, 7])
    draw, _ = drawing(table, "plain", None, 5)
    shares = floored(draw, table)["site"].astype(str).value_counts(normalize=True)
    assert shares["south"] == pytest.approx(0.2, abs=0.001)
    assert shares["east"] == pytest.approx(0.2, abs=0.001)
    assert shares["unknown"] < 0.02
    assert shares.sum() == pytest.approx(1)
    usual = draw(2917, None)["site"].astype(str).value_counts(normalize=True)
    assert usual["east"] < 0.03

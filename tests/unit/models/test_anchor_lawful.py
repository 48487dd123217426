"""Margins of patients who obey the rules: those of the anchor, although a copula breaks the rules."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from wardgan.errors import UsageError
from wardgan.models.anchor import lawful
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.anchor.lawful import lawful_network
from wardgan.models.anchor.network import copula_network
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.queries import Levels
from wardgan.privacy.records import Records
from wardgan.rng import Seed

LEVELS = ["none", "mild", "severe"]
TABLE = {
    "died": {"kind": "flag", "label": True},
    "illness": {"kind": "category", "levels": LEVELS},
    "drug": {"kind": "flag"},
    "low": {"kind": "integer", "low": 0, "high": 20},
    "high": {"kind": "integer", "low": 0, "high": 20, "nullable": True},
}
RULES = ['if illness == "none" then drug == false', "low <= high"]


def frame(patients=4000):
    numbers = np.random.default_rng(3)
    illness = numbers.choice(LEVELS, patients, p=[0.5, 0.3, 0.2])
    low = numbers.integers(0, 20, patients)
    high = np.minimum(low + numbers.integers(0, 4, patients), 20).astype(float)
    return pd.DataFrame({
        "died": numbers.random(patients) < np.where(illness == "severe", 0.6, 0.1),
        "illness": illness,
        "drug": (illness != "none") & (numbers.random(patients) < 0.7),
        "low": low,
        "high": np.where(numbers.random(patients) < 0.2, np.nan, high),
    })  # fmt: skip


def fitted(rules=RULES, **given):
    schema = wg.Schema.from_dict({"name": "ruled", "population": 4000, "table": TABLE, "rules": rules})
    return wg.fit(wg.read(frame(), schema), seed=1, **given).generator


def distance(synthetic):
    """Total variation of each column within each class, the largest of them."""
    real = frame()
    found = []
    for died in (False, True):
        one, other = (part[part["died"] == died] for part in (real, synthetic))
        for name in ("illness", "drug", "low", "high"):
            shares = [part[name].value_counts(normalize=True, dropna=False) for part in (one, other)]
            found.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return max(found)


@pytest.mark.parametrize("family", ["copula", wg.MarginalConfig(steps=10, width=16, noise_inputs=4)])
def test_who_obeys_the_rules_has_the_margins_of_the_patients(family, monkeypatch):
    made = fitted(family=family, privacy="none").sample(40_000, seed=2)
    assert (made["low"] <= made["high"].fillna(99)).all()
    assert not made.loc[made["illness"] == "none", "drug"].any()
    monkeypatch.setattr(lawful, "_ROUNDS", 0)
    bent = fitted(family=family, privacy="none").sample(40_000, seed=2)
    assert distance(bent) > 0.08
    assert distance(made) < 0.4 * distance(bent)


def test_shares_of_classes_stay():
    made = fitted(family="copula", privacy="none")
    assert made.probabilities[1] == pytest.approx(frame()["died"].mean(), abs=1e-9)


def test_without_rules_the_network_is_made_once():
    calls = []
    plain = fitted([], family="copula", privacy="none")
    assert lawful_network(anchor_of(plain), lambda made: calls.append(made) or b"network", latent=1) == b"network"
    assert len(calls) == 1


def anchor_of(generator):
    from wardgan.encode.layout import Layout

    class Kept:
        layout = Layout.of(generator.schema)

    return Kept()


def test_rules_that_nobody_breaks_change_nothing():
    plain, ruled = (fitted(rules, family="copula", privacy="none") for rules in ([], ["low >= 0"]))
    assert plain.network == ruled.network


def test_margins_that_contradict_the_rules_stay_within_limits():
    """Shares that no lawful patient can have do not push each other further and further away."""
    table = {name: {"kind": "flag"} for name in ("sign", "illness", "other")}
    rules = ["if sign == true then illness == true"]
    numbers = np.random.default_rng(4)
    made = pd.DataFrame(
        {"sign": numbers.random(3000) < 0.9, "illness": numbers.random(3000) < 0.2, "other": numbers.random(3000) < 0.5}
    )
    plain, ruled = (
        wg.Schema.from_dict({"name": "contradiction", "population": 3000, "table": table, "rules": given})
        for given in ([], rules)
    )
    records = Records(wg.read(made, plain), Ledger(None), noise=Seed(1))
    anchor = measure_anchor(records, population=3000)
    anchor = replace(anchor, layout=replace(anchor.layout, schema=ruled))
    asked = []
    lawful_network(anchor, lambda given: asked.append(given) or copula_network(given), latent=len(anchor.axes))
    for one, other in zip(anchor.margins, asked[-1].margins, strict=True):
        np.testing.assert_allclose(other.sum(axis=1), one.sum(axis=1))
        changed = other[one > 0.01] / one[one > 0.01]
        assert changed.max() / changed.min() < 16.01  # four times as much of one level, a quarter of another


def test_a_rare_level_that_rules_make_rarer_keeps_its_share():
    """Nine of ten patients who would have it break the rules, and are drawn again."""
    numbers = np.random.default_rng(5)
    woman, age = numbers.random(20_000) < 0.5, numbers.integers(18, 90, 20_000)
    pregnant = woman & (age < 40) & (numbers.random(20_000) < 0.1)
    table = {"woman": {"kind": "flag"}, "age": {"kind": "integer", "low": 18, "high": 90}, "pregnant": {"kind": "flag"}}
    rules = ["if pregnant == true then woman == true", "if pregnant == true then age < 40"]
    schema = wg.Schema.from_dict({"name": "rare", "population": 20_000, "table": table, "rules": rules})
    cohort = wg.read(pd.DataFrame({"woman": woman, "age": age, "pregnant": pregnant}), schema)
    for epsilon in (3.0, 10.0):
        made = wg.fit(cohort, wg.Budget(epsilon), family="copula").generator.sample(40_000, seed=1)
        assert made["pregnant"].mean() == pytest.approx(pregnant.mean(), rel=0.25)


def test_levels_that_hardly_anybody_has_are_hardly_changed():
    """Two expected and none drawn is chance: only what was counted often is corrected in full."""
    wanted = np.array([[0.0005, 0.4995, 0.5]])
    given = SimpleNamespace(levels=(Levels(None, 3, None),), margins=(wanted,))
    units = np.repeat([1.5, 2.5], [1000, 3000])[:, None]
    drawn = SimpleNamespace(units=units, classes=np.zeros(4000, dtype=np.int64))
    (found,) = lawful._corrected(given, given, drawn, 4.0)
    better = wanted[0] * np.array([22 / 20, 2018 / 1020, 2020 / 3020])
    np.testing.assert_allclose(found[0], better / better.sum())


def test_noisy_margins_give_patients_who_obey():
    made = fitted(family="copula", budget=wg.Budget(epsilon=1.0)).sample(2000, seed=1)
    assert (made["low"] <= made["high"].fillna(99)).all()


def test_where_hardly_anybody_obeys_the_network_is_left_alone(monkeypatch):
    def refuse(*_, **__):
        raise UsageError("rules: hardly any patient")

    monkeypatch.setattr("wardgan.sample.generator.Generator.draws", refuse)
    network = fitted(family="copula", privacy="none").network
    monkeypatch.undo()
    monkeypatch.setattr(lawful, "_ROUNDS", 0)
    assert fitted(family="copula", privacy="none").network == network

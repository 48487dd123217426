"""Policies: what comes with the package, what a file may change, and what it may not."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardgan.dossier.policy import PRIVACY, Policy
from wardgan.errors import FormatError, UsageError

NAMES = ("strict", "default", "research")


def written(tmp_path, text):
    path = tmp_path / "ours.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_strict_asks_for_more_and_research_for_less():
    strict, usual, research = (Policy.load(name) for name in ("strict", "default", "research"))
    for gate, limit in usual.limits.items():
        sign = -1 if limit.sense == "at least" else 1
        for one, other in ((strict.limits[gate], limit), (limit, research.limits[gate])):
            assert sign * one.fail <= sign * other.fail
            assert sign * one.warn <= sign * other.warn
    assert (strict.unjudged, usual.unjudged, research.unjudged) == ("refuse", "proof", "warn")


def test_where_a_policy_asks_for_less_is_told():
    strict, usual, research = (Policy.load(name) for name in ("strict", "default", "research"))
    assert usual.weaker_than(usual) == strict.weaker_than(usual) == []
    assert research.weaker_than(usual) == [
        "membership fails above 0.05 instead of 0.03", "attribute fails above 0.2 instead of 0.09",
        "singling out fails above 0.2 instead of 0.09", "linkability fails above 0.1 instead of 0.05",
        "utility fails below 0 instead of 0.8", "utility warns below 0.8 instead of 0.9",
        "survival fails above 1 instead of 0.06", "survival warns above 0.06 instead of 0.03",
        "subgroups fails below 0 instead of 0.5", "subgroups warns below 0.5 instead of 0.8", "gates that cannot be judged: warn instead of proof",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["strict", "default", "research"])
def test_no_gate_fails_before_it_warns(name):
    for limit in Policy.load(name).limits.values():
        assert limit.warn >= limit.fail if limit.sense == "at least" else limit.warn <= limit.fail


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    found = Policy.load(written(tmp_path, "base: strict\nlimits: {epsilon: {fail: 2, warn: 1}}\nunjudged: warn\n"))
    strict = Policy.load("strict")
    assert (found.name, found.unjudged) == ("ours", "warn")
    assert (found.limits["epsilon"].fail, found.limits["epsilon"].warn) == (2.0, 1.0)
    assert {gate: limit for gate, limit in found.limits.items() if gate != "epsilon"} == {
        gate: limit for gate, limit in strict.limits.items() if gate != "epsilon"
    }


@pytest.mark.parametrize(("change", "expected"), [
    ("epsilon: {fail: 2}", (2.0, 2.0)), ("epsilon: {fail: 8}", (8.0, 3.0)), ("utility: {fail: 0.95}", (0.95, 0.95)),
    ("utility: {fail: 0.5}", (0.5, 0.9)), ("epsilon: {warn: 1}", (10.0, 1.0)),
])  # fmt: skip
def test_a_stricter_limit_takes_its_warning_with_it(tmp_path, change, expected):
    limits = Policy.load(written(tmp_path, f"limits: {{{change}}}")).limits
    one = limits[change.split(":")[0]]
    assert (one.fail, one.warn) == expected


@pytest.mark.parametrize(("text", "phrase"), [
    ("limit: {}", "limit: no such keys; there are base, name, limits, unjudged"),
    ("limits: {privacy: {fail: 1}}", "privacy: no such gates; there are epsilon,"),
    ("limits: {epsilon: {max: 1}}", "epsilon: max: no such keys; there are fail, warn"),
    ("limits: {epsilon: 3}", "epsilon is not written as {fail: 10, warn: 3}"),
    ("limits: {epsilon: {fail: yes}}", "fail is not a number from 0 to 100"),
    ("limits: {epsilon: {fail: .nan}}", "fail is not a number"),
    ("limits: {epsilon: {fail: -1}}", "fail is not a number"),
    ("limits: {epsilon: {fail: 1, warn: 2}}", "would fail at 1 before it warns at 2"),
    ("limits: {utility: {fail: 0.9, warn: 0.8}}", "would fail at 0.9 before it warns at 0.8"),
    ("limits: 3", "limits are not gates"), ("base: lax", "base='lax' is not one of strict, default, research"),
    ("unjudged: pass", "unjudged='pass' is not one of refuse, proof, warn"), ("- strict", "is not a list of settings"),
    ("", "is not a list of settings"), ("{", "is not YAML"), ("name: ''", "name is not 1 to 100 letters"),
    ("name: 'default '", "name is not 1 to 100 letters"), ("name: Default\nunjudged: warn", "is that of another policy"),
    ("unjudged: warn\nunjudged: refuse", "a key is there twice in one mapping, in lines 1 and 2"),
    ("unjudged: &a warn\nname: *a", "has an alias"), ("name: 3", "name is not 1 to 100 letters"), ("unjudged: [warn]", "unjudged=['warn'] is not one of"),
    ("base: [strict]", "base=['strict'] is not one of"), ("name: \"a\\u202eb\"", "name is not 1 to 100 letters"),
])  # fmt: skip
def test_what_means_nothing_is_refused(tmp_path, text, phrase):
    with pytest.raises(UsageError) as error:
        Policy.load(written(tmp_path, text))
    assert phrase in str(error.value)
    assert "ours.yaml" in str(error.value)


@pytest.mark.parametrize("asked", ["lenient", "/", "no/such/file.yaml"])
def test_a_policy_that_is_not_there(asked):
    with pytest.raises(UsageError, match="neither strict, default nor research"):
        Policy.load(asked)


def test_the_gates_of_privacy_are_gates():
    assert set(PRIVACY) < set(Policy.load("default").limits)
    assert not {"epsilon", "utility", "impossible", "public utility"} & set(PRIVACY)


@given(st.sampled_from(NAMES), st.data())
def test_what_a_dossier_was_judged_by_can_be_read_back(name, data):
    policy = Policy.load(name)
    gate = data.draw(st.sampled_from(sorted(policy.limits)))
    found = json.loads(json.dumps(policy.to_dict()))
    found["name"] = data.draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}x", fullmatch=True))
    found["limits"][gate]["fail"] = found["limits"][gate]["warn"] = data.draw(st.floats(0, 100))
    assert Policy.of_dict(found, "x.json").to_dict() == found
    assert Policy.of_dict(policy.to_dict(), "x.json") == policy


def changed(**fields):
    def change(found):
        found.update(fields)

    return change


def in_limit(gate, **fields):
    def change(found):
        found["limits"][gate].update(fields)

    return change


@pytest.mark.parametrize(("change", "phrase"), [
    (lambda found: found["limits"].pop("copies"), "does not have a limit for each gate"),
    (changed(limits={}), "does not have a limit for each gate"),
    (lambda found: found["limits"].update(more=found["limits"]["copies"]), "does not have a limit for each gate"),
    (changed(unjudged="pass"), "malformed"), (changed(name=3), "malformed"), (changed(hook="x"), "malformed"),
    (lambda found: found.pop("name"), "malformed"), (changed(limits=[]), "malformed"),
    (in_limit("epsilon", fail="10"), "malformed"), (in_limit("epsilon", fail=True), "malformed"),
    (in_limit("epsilon", fail=math.nan), "malformed"), (in_limit("epsilon", warn=math.inf), "malformed"),
    (in_limit("epsilon", fail=None), "malformed"), (in_limit("epsilon", sense="below"), "malformed"),
    (in_limit("epsilon", more=1), "malformed"), (lambda found: found["limits"]["epsilon"].pop("about"), "malformed"),
    # A gate turned around would let everything pass.
    (in_limit("epsilon", sense="at least"), "asks for something else"),
    (in_limit("copies", sense="not above"), "asks for something else"),
])  # fmt: skip
def test_a_foreign_policy_that_means_something_else_is_refused(change, phrase):
    found = json.loads(json.dumps(Policy.load("default").to_dict()))
    change(found)
    with pytest.raises(FormatError) as error:
        Policy.of_dict(found, "x.json")
    assert phrase in str(error.value)
    assert str(error.value).startswith("x.json: ")


@pytest.mark.parametrize("found", [None, [], "default", 3, {}, {1: 2}, {"name": {1, 2}}])
def test_what_is_no_policy_at_all(found):
    with pytest.raises(FormatError, match="malformed"):
        Policy.of_dict(found, "x.json")

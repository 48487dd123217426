"""Gates: pass, warn, fail, or not judged; too few patients never pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardgan.dossier.gates import Measured, judged, overall, reasons
from wardgan.dossier.policy import Policy
from wardgan.estimate import Estimate

POLICY = Policy.load("default")


def estimate(value, low, high):
    return Estimate(value, low, high, 100, "made up")


def verdict(gate, value, low, high, **more):
    (one,) = [
        found
        for found in judged([Measured(gate, "", estimate(value, low, high), **more)], POLICY)
        if found.gate == gate
    ]
    return one.verdict


@pytest.mark.parametrize(("gate", "numbers", "expected"), [
    ("attribute", (0.01, -0.02, 0.05), "pass"), ("attribute", (0.01, -0.1, 0.12), "unjudged"),
    ("attribute", (0.2, 0.05, 0.35), "unjudged"), ("attribute", (0.2, 0.1, 0.3), "fail"),
    ("membership area", (0.52, 0.49, 0.58), "pass"), ("membership area", (0.6, 0.56, 0.64), "fail"),
    ("copies", (0.0, 0.0, 0.0), "pass"), ("copies", (0.01, 0.001, 0.02), "fail"),
    ("epsilon", (1.0, 1.0, 1.0), "pass"), ("epsilon", (4.0, 4.0, 4.0), "warn"), ("epsilon", (11.0,) * 3, "fail"),
    ("utility", (0.95, 0.9, 1.0), "pass"), ("utility", (0.85, 0.8, 0.9), "warn"), ("utility", (0.7, 0.6, 0.8), "fail"),
])  # fmt: skip
def test_what_a_gate_says(gate, numbers, expected):
    assert verdict(gate, *numbers) == expected


@given(st.sampled_from(sorted(POLICY.limits)), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_without_power_nothing_passes(gate, value, below, above):
    assert verdict(gate, value, value - below, value + above, enough=False) in ("unjudged", "fail")


@given(st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 0.3))
def test_a_wider_interval_never_makes_a_fail_or_an_open_gate_a_pass(value, half, more):
    narrow = verdict("attribute", value, value - half, value + half)
    wide = verdict("attribute", value, value - half - more, value + half + more)
    assert wide != "pass" or narrow == "pass"


def test_what_was_not_measured_is_not_judged():
    found = judged([], POLICY)
    assert {one.gate for one in found} == set(POLICY.limits)
    assert {one.verdict for one in found} == {"unjudged"}
    (one,) = [one for one in judged([Measured("utility", "died", None, because="One class.")], POLICY)
              if one.gate == "utility"]  # fmt: skip
    assert (one.verdict, one.reason) == ("unjudged", "One class.")
    assert verdict("utility", float("nan"), 0.0, 1.0) == "unjudged"


def test_the_worst_of_several_numbers_decides():
    good, bad = (Measured("attribute", name, estimate(value, value, value)) for name, value in (("a", 0.0), ("b", 0.5)))
    found = [one for one in judged([good, bad], POLICY) if one.gate == "attribute"]
    assert [one.verdict for one in found] == ["pass", "fail"]
    assert overall(found) == "fail"
    assert overall(found[:1]) == "pass"
    assert overall([]) == "unjudged"


def test_reasons_to_refuse_name_gate_column_number_and_limit():
    measured = [Measured("attribute", "died", estimate(0.2, 0.15, 0.25)), Measured("utility", "", estimate(0.85, 0, 1))]
    found = [one for one in judged(measured, POLICY) if one.gate in ("attribute", "utility")]
    assert reasons(found, POLICY) == ["attribute (died): 0.2 [0.15, 0.25]; its interval must lie below 0.09."]


def test_a_policy_decides_whether_what_cannot_be_judged_refuses():
    found = judged([Measured("attribute", "died", estimate(0.05, 0.0, 0.2))], POLICY)
    assert any("Not enough power" in reason for reason in reasons(found, POLICY))
    assert not reasons(found, replace(POLICY, unjudged="warn"))

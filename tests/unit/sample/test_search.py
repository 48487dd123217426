"""What a sample takes is counted and told, and the way to the patients is chosen from a pilot that can be replayed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import data_kit as kit
import rare_kit as rare
from wardgan.errors import UsageError
from wardgan.sample import drawing
from wardgan.sample.drawing import BLOCK, Drawn, Effort
from wardgan.sample.generator import Generator
from wardgan.sample.search import Efficiency, percent
from wardgan.schema.read import broken_rules

ARM = {"kind": "category", "levels": ["a", "b"], "label": True}
AGE = {"kind": "integer", "low": 0, "high": 99}
BMI = {"kind": "number", "low": 0, "high": 1}
RULED = kit.generator(kit.schema({"arm": ARM, "age": AGE, "bmi": BMI}, rules=["age > 19", "age < 90"]), (0.4, 0.6))
FREE = kit.generator(kit.schema({"arm": ARM, "age": AGE, "bmi": BMI}), (0.4, 0.6), tilt=0.5)


def took(generator, n, **more):
    parts = []
    for _ in generator.draws(n, drew=parts.append, **more):
        pass
    return sum(parts, Drawn())


def runs(monkeypatch):
    """Counts the patients that the network makes."""
    counts = []
    run = Generator.run
    monkeypatch.setattr(
        Generator, "run", lambda self, classes, *rest: counts.append(len(classes)) or run(self, classes, *rest)
    )
    return counts


def test_counts_add_up():
    one, other = Drawn(5, 3, {"a < b": 1}), Drawn(7, 2, {"a < b": 4, "b < c": 0})
    assert one + other == Drawn(12, 5, {"a < b": 5, "b < c": 0})
    assert sum([one, other], Drawn()) == one + other


@pytest.mark.parametrize("more", [{}, {"where": {"arm": "a"}}, {"balance": "arm"}])
def test_labels_take_no_pilot_and_no_patient_too_many(more, monkeypatch):
    counts = runs(monkeypatch)
    assert took(FREE, 100, seed=1, **more) == Drawn(BLOCK, BLOCK, {})
    assert counts == [BLOCK]


def test_patients_who_broke_a_rule_are_counted_as_if_drawn_one_by_one():
    found = took(RULED, 3 * BLOCK, seed=2)
    assert found.kept == 3 * BLOCK
    # Each patient is drawn until the rules are obeyed: 70 of 100 ages obey, 20 break one rule, 10 the other.
    assert found.patients == pytest.approx(found.kept / 0.7, rel=0.02)
    assert found.broken["age > 19"] == pytest.approx(0.2 * found.patients, rel=0.05)
    assert found.broken["age < 90"] == pytest.approx(0.1 * found.patients, rel=0.05)
    assert sum(found.broken.values()) == found.patients - found.kept


def test_a_patient_may_break_two_rules():
    both = kit.generator(kit.schema({"age": AGE}, rules=["age > 49", "age > 19"]))
    found = took(both, BLOCK, seed=2)
    assert found.broken["age > 49"] == found.patients - found.kept > found.broken["age > 19"] > 0


def test_masks_of_rules_are_those_of_each_rule():
    cohort = RULED.run(np.zeros(500, dtype=np.int64), np.random.default_rng(1))
    masks = broken_rules(cohort)
    assert np.array_equal(masks[0], cohort.static["age"] <= 19)
    assert np.array_equal(masks[1], cohort.static["age"] >= 90)


def test_patients_who_do_not_meet_a_condition_are_counted():
    found = took(FREE, 3 * BLOCK, where={"bmi": (0.0, 0.25)}, seed=3)
    many = FREE.draw(200_000, seed=4).static["bmi"]
    assert found.kept / found.patients == pytest.approx((many <= 0.25).mean(), rel=0.05)
    # Enough for the sample, and not many more.
    assert 3 * BLOCK <= found.kept < 3.3 * BLOCK


def test_what_is_told_is_what_the_network_made(monkeypatch):
    counts = runs(monkeypatch)
    opaque = kit.generator(FREE.schema, (0.4, 0.6), opaque=True)
    found = took(opaque, 2_000, where={"age": (20, 29)}, seed=5)
    pilots = sum(counts) - found.patients
    assert 0 < pilots <= BLOCK
    assert pilots % 2_048 == 0


def test_the_pilot_ends_when_it_is_clear_that_conditions_are_common(monkeypatch):
    counts = runs(monkeypatch)
    took(FREE, 10, where={"age": (0, 49)}, seed=5)
    assert counts[0] == 2_048
    assert counts[1] == BLOCK
    del counts[:]
    took(FREE, 10, where={"age": 0}, seed=5)
    assert counts[:8] == [2_048] * 8


def test_efficiency_is_an_estimate_that_covers_the_truth():
    known = FREE.efficiency(where={"age": (90, 99)}, seed=6)
    many = FREE.draw(400_000, seed=7).static["age"]
    assert not known.proposed
    assert known.kept == known.share
    assert known.share.low < (many >= 90).mean() < known.share.high
    assert known.share.n == BLOCK
    assert known.rules == {}
    assert known == FREE.efficiency(where={"age": (90, 99)}, seed=6)
    assert known != FREE.efficiency(where={"age": (90, 99)}, seed=7)
    balanced = FREE.efficiency(where={"age": (90, 99)}, balance="arm", seed=6)
    many = FREE.draw(400_000, balance="arm", seed=7).static["age"]
    assert balanced.share.low < (many >= 90).mean() < balanced.share.high
    assert balanced.share.value < known.share.value  # the arm that is older has a smaller part


def test_efficiency_without_conditions_is_about_the_rules():
    known = RULED.efficiency(seed=1)
    assert known.share.value == 1
    assert known.kept.low < 0.7 < known.kept.high
    assert known.rules["age > 19"].low < 0.2 < known.rules["age > 19"].high
    assert known.rules["age < 90"].low < 0.1 < known.rules["age < 90"].high


def test_efficiency_of_rare_conditions_is_that_of_the_sample():
    generator = rare.trial()
    where = {"sbp@3M": (158, 260), "sbp@6M": (150, 260)}
    for balance in (None, "arm"):
        known = generator.efficiency(where=where, balance=balance, seed=8)
        assert known.proposed
        found = took(generator, 4_000, where=where, balance=balance, seed=9)
        assert known.kept.value == pytest.approx(found.kept / found.patients, abs=0.02)
        cohort = generator.draw(150_000, balance=balance, seed=10)
        met = (cohort.measured["sbp"][:, 3] >= 158) & (cohort.measured["sbp"][:, 4] >= 150)
        spread = np.sqrt(met.mean() / len(met))
        assert known.share.low - 5 * spread < met.mean() < known.share.high + 5 * spread
        assert known.share.high - known.share.low < 0.1 * known.share.value


def test_a_sample_goes_the_way_that_was_told():
    generator = rare.trial()
    for where in ({"sbp@3M": (120, 130)}, {"sbp@3M": (175, 260)}, {"sbp@3M": (158, 260)}):
        for seed in range(4):
            known = generator.efficiency(where=where, balance="arm", seed=seed)
            found = took(generator, 10, where=where, balance="arm", seed=seed)
            assert (found.kept > 0.9 * found.patients) == known.proposed


def test_the_words_for_it():
    rarely = FREE.efficiency(where={"age": 0, "bmi": (0.5, 0.51)}, seed=1)
    assert "of the patients drawn are kept, found where alone the conditions can hold; about 1 in " in str(rarely)
    often = FREE.efficiency(where={"age": (10, 99)}, seed=1)
    assert str(often).endswith("% of the generator's patients meet the conditions")
    opaque = kit.generator(FREE.schema, (0.4, 0.6), opaque=True)
    never = opaque.efficiency(where={"age": 0, "bmi": (0.5, 0.50001)}, seed=1)
    assert str(never).startswith("0 % of the patients drawn are kept; fewer than 1 in 4,")
    assert json.loads(json.dumps(never.to_dict()))["share"]["value"] == 0
    assert isinstance(never, Efficiency)
    assert [percent(share) for share in (1, 0.5, 0.022134, 1e-6)] == ["100 %", "50 %", "2.21 %", "0.0001 %"]


def test_a_proposal_that_hardly_helps_is_not_taken():
    """Most patients are in the region, so it would save little, however rare those are who obey the rule."""
    steep = kit.generator(kit.schema({"age": AGE, "sbp": AGE}, rules=["age > sbp + 86"]))
    assert steep.efficiency(where={"age": (90, 99), "sbp": (0, 12)}, seed=1).proposed
    little = steep.efficiency(where={"age": (30, 99)}, seed=1)
    assert not little.proposed
    assert little.kept.value < 0.01


def test_effort_is_given_up_when_it_is_hopeless():
    from wardgan.sample.conditions import conditions
    from wardgan.sample.drawing import MOST, PATIENCE

    wanted = conditions(FREE.schema, FREE.probabilities, {"age": 3, "bmi": (0, 0.5)}, None)
    start = Effort(wanted)
    start.check(needed=BLOCK)
    start.after(PATIENCE, 10).after(PATIENCE, 1).check(needed=5)
    for bad, needed in (
        (start.after(PATIENCE + 1, 0), 1),
        (start.after(PATIENCE + 1, 10), BLOCK),
        (start.after(MOST + 1, 10**6), 1),
    ):
        with pytest.raises(UsageError, match="drawn patients meet the conditions on age, bmi; that is too rare"):
            bad.check(needed=needed)
    assert start.after(1000, 100).size(500) == 5_500
    assert start.size(5) == start.after(10**6, 10**6).size(5) == 1_024
    assert start.after(10**6, 1).size(5) == BLOCK


@pytest.mark.parametrize("where", [{"age": 3}, {"arm": "a"}, None])
@pytest.mark.parametrize("seed", ["a", -1, 1.5])
def test_wrong_wishes_for_efficiency_are_refused(where, seed):
    with pytest.raises(UsageError, match="seed="):
        FREE.efficiency(where=where, seed=seed)
    with pytest.raises(UsageError, match="'weight' is not in"):
        FREE.efficiency(where={"weight": 3})


class Made:
    """Patients of whom only the class is known."""

    schema = SimpleNamespace(rules=("age > 1",))

    def __init__(self, classes):
        self.classes = np.asarray(classes)

    def __len__(self):
        return len(self.classes)

    def take(self, rows):
        return Made(self.classes[rows])


def test_all_coins_of_a_candidate_are_judged(monkeypatch):
    """More coins than a block has patients: none of them may be passed over, or rare patients would be biased."""
    classes = np.zeros(BLOCK, dtype=np.int64)
    monkeypatch.setattr(drawing, "judged", lambda patients: (patients.classes == 2, {}))
    proposal = SimpleNamespace(
        draw=lambda *_: SimpleNamespace(classes=classes, placed=None, source=np.arange(BLOCK)),
        others=lambda *_: np.tile([False, True, True], (BLOCK, 1)),
    )
    wanted = SimpleNamespace(hold=lambda patients: np.ones(len(patients), dtype=bool))
    search = SimpleNamespace(proposal=proposal, wanted=wanted)
    met = drawing.candidates(lambda labels, *_: Made(labels), search, classes, np.random.default_rng(0))
    assert len(met.source) == 0

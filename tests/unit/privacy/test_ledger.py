"""The ledger: billed before read, never more than planned, also after a crash (Rules P4 and P5)."""

from __future__ import annotations

import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.errors import BudgetError, FormatError, OutputError
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger, rebill, rebill_bound
from wardgan.privacy.plan import Plan, with_population
from wardgan.rng import Seed

EVENTS = (
    Event("count", "gaussian", noise_multiplier=20.0),
    Event("table", "gaussian", noise_multiplier=5.0),
    Event("steps", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=0.1, steps=7),
)
PLAN = Plan(Budget(2.0), EVENTS, None, "test")


def test_p05_the_step_after_the_last_one_cannot_be_taken():
    ledger = Ledger(PLAN)
    for _ in range(7):
        ledger.spend("steps")
    with pytest.raises(BudgetError, match="7 of 7"):
        ledger.spend("steps")
    assert ledger.steps("steps") == 7


@pytest.mark.parametrize("steps", [0, -1, 8])
def test_a_block_is_positive_and_within_the_plan(steps):
    ledger = Ledger(PLAN)
    with pytest.raises(BudgetError):
        ledger.spend("steps", steps)
    assert ledger.events == ()


def test_what_is_not_planned_may_not_read():
    with pytest.raises(BudgetError, match="not in the plan"):
        Ledger(PLAN).spend("peek")
    with pytest.raises(BudgetError, match="no plan"):
        Ledger(None).spend("table")


def test_all_patients_are_not_read_at_the_price_of_a_batch():
    ledger = Ledger(PLAN)
    with pytest.raises(BudgetError, match="planned as poisson-gaussian"):
        ledger.spend("steps", mechanism="gaussian")
    assert ledger.steps("steps") == 0
    ledger.spend("table", mechanism="gaussian")


def test_replayable_noise_is_owned_up_to():
    with pytest.raises(BudgetError, match="replayable"):
        Ledger(PLAN).check_noise(Seed(7))
    Ledger(PLAN, replayable=True).check_noise(Seed(7))
    Ledger(PLAN).check_noise(Seed.secret())


def test_the_bill_grows_and_is_billed_again_alike():
    ledger, bills = Ledger(PLAN), []
    for name in ("count", "table", "steps", "steps"):
        ledger.spend(name)
        bills.append((ledger.epsilon(), ledger.epsilon_bound()))
    assert bills == sorted(bills)
    assert all(0 < epsilon <= bound for epsilon, bound in bills)
    found = json.loads(json.dumps(ledger.to_dict()))
    assert rebill(found) == bills[-1][0] == found["spent"]["epsilon"]
    assert rebill_bound(found) == bills[-1][1] == found["spent"]["epsilon_rdp"]
    assert [event["steps"] for event in found["events"]] == [1, 1, 2]


def test_without_privacy_nothing_is_claimed():
    found = Ledger(None).to_dict()
    assert (found["mode"], found["events"], "epsilon" in found) == ("none", [], False)
    assert Ledger(None).epsilon() == Ledger(None).epsilon_bound() == math.inf


def test_an_empty_ledger_has_spent_nothing():
    assert Ledger(PLAN).epsilon() == 0
    assert repr(Ledger(PLAN)) == "Ledger(epsilon 0 of 2 spent, delta 1e-05)"


# --- on the disk ----------------------------------------------------------------------------------------------------


def opened(tmp_path, **how):
    return Ledger(PLAN, path=tmp_path / "ledger.jsonl", **how)


@given(st.lists(st.tuples(st.sampled_from(["count", "table", "steps"]), st.integers(1, 4)), max_size=6), st.booleans())
@settings(deadline=None, max_examples=25)
def test_resumed_is_as_it_was(tmp_path_factory, wishes, replayable):
    path = tmp_path_factory.mktemp("run") / "ledger.jsonl"
    ledger = Ledger(PLAN, replayable=replayable, path=path)
    for name, steps in wishes:
        try:
            ledger.spend(name, steps)
        except BudgetError:
            continue
    ledger.read_unbilled("look")
    again = Ledger.resume(path)
    assert (again.events, again.plan, again.replayable, again.unbilled) == (
        ledger.events, PLAN, replayable, ("look",)
    )  # fmt: skip


def test_p05_each_bill_is_on_the_disk_before_anything_happens(tmp_path, monkeypatch):
    ledger, synced = opened(tmp_path), []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    ledger.spend("table")
    assert synced == [os.path.getsize(tmp_path / "ledger.jsonl")]
    assert Ledger.resume(tmp_path / "ledger.jsonl").steps("table") == 1


def test_if_the_bill_cannot_be_written_nothing_is_spent(tmp_path, monkeypatch):
    def full(_number):
        raise OSError(28, "No space left on device")

    ledger = opened(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="nothing was read"):
        ledger.spend("table")
    assert ledger.steps("table") == 0


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_last_line_that_is_cut_off_was_never_acted_on(tmp_path, cut):
    path = tmp_path / "ledger.jsonl"
    ledger = opened(tmp_path)
    ledger.spend("table")
    ledger.spend("steps", 3)
    path.write_bytes(path.read_bytes()[:-cut])
    again = Ledger.resume(path)
    assert (again.steps("table"), again.steps("steps")) == (1, 0)
    before = path.read_bytes()
    Ledger.resume(path)
    assert path.read_bytes() == before  # reading leaves the file alone
    again.spend("steps", 2)
    assert Ledger.resume(path).steps("steps") == 2


@pytest.mark.parametrize("tail", [b"\x00" * 40, b"\xff\xfe{", b'{"spend": "st'])
def test_a_torn_block_at_the_end_is_dropped(tmp_path, tail):
    path = tmp_path / "ledger.jsonl"
    opened(tmp_path).spend("table")
    path.write_bytes(path.read_bytes() + tail)
    ledger = Ledger.resume(path)
    ledger.spend("count")
    assert {event.name for event in Ledger.resume(path).events} == {"count", "table"}


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"7", b"null", b"\x00\x00", b"\xff", b'{"spend": "table"}', b'{"spend": 3, "steps": 1}',
        b'{"spend": "table", "steps": "1"}', b'{"forgive": "table"}', b'{"revise": 3}', b'{"revise": {}}', b"",
    ],
)  # fmt: skip
def test_damage_before_the_last_line_stops_the_run(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    ledger = opened(tmp_path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(FormatError, match="damaged at line 2"):
        Ledger.resume(path)
    with pytest.raises(BudgetError):
        ledger.spend("table")


@pytest.mark.parametrize("text", ["", "{}", '{"open": {"plan": null, "replayable": false}}'])
def test_a_file_without_a_whole_first_line_is_no_ledger(tmp_path, text):
    (tmp_path / "l").write_text(text)
    with pytest.raises(FormatError, match="begin with its plan"):
        Ledger.resume(tmp_path / "l")


@pytest.mark.parametrize(
    "head", ["{}", "[]", '{"open": {}}', '{"open": 3}', '{"open": {"plan": {}, "replayable": true}}']
)
def test_a_strange_first_line_is_no_ledger(tmp_path, head):
    (tmp_path / "l").write_text(head + "\n")
    with pytest.raises(FormatError, match="line 1"):
        Ledger.resume(tmp_path / "l")


def test_a_missing_file_is_no_ledger(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        Ledger.resume(tmp_path / "none")


def test_a_file_that_says_more_than_planned_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    opened(tmp_path).spend("steps", 5)
    path.write_bytes(path.read_bytes() + b'{"spend": "steps", "steps": 5}\n')
    with pytest.raises(BudgetError):
        Ledger.resume(path)


def test_p05_two_fits_cannot_spend_one_run_side_by_side(tmp_path):
    first = opened(tmp_path)
    second = Ledger.resume(tmp_path / "ledger.jsonl")
    second.spend("steps", 7)
    with pytest.raises(BudgetError, match="another fit"):
        first.spend("steps", 7)
    assert first.steps("steps") == 0
    assert Ledger.resume(tmp_path / "ledger.jsonl").steps("steps") == 7


def test_a_ledger_is_never_begun_twice(tmp_path):
    opened(tmp_path).spend("table")
    with pytest.raises(OutputError, match="exists"):
        opened(tmp_path)
    late = Ledger(PLAN)
    late.spend("table")
    with pytest.raises(BudgetError, match="before the file was begun"):
        late.open_file(tmp_path / "other.jsonl")
    assert Ledger.resume(tmp_path / "ledger.jsonl").steps("table") == 1


# --- the paid count of patients -------------------------------------------------------------------------------------


def test_caps_may_be_set_once_the_count_is_paid_and_survive_a_crash(tmp_path):
    ledger = opened(tmp_path)
    ledger.spend("count")
    ledger.revise(with_population(PLAN, 500))
    ledger.spend("steps", 2)
    again = Ledger.resume(tmp_path / "ledger.jsonl")
    assert again.plan == with_population(PLAN, 500)
    assert again.events == ledger.events


@pytest.mark.parametrize(
    "other",
    [
        Plan(Budget(9.0), EVENTS, 500, "test"),
        Plan(Budget(2.0, 1e-4), EVENTS, 500, "test"),
        Plan(Budget(2.0), (*EVENTS, Event("more", "gaussian", noise_multiplier=1.0)), 500, "test"),
        Plan(Budget(2.0), EVENTS[:2], 500, "test"),
        Plan(Budget(2.0), (*EVENTS[:2], EVENTS[2].times(8)), 500, "test"),
    ],
)
def test_nothing_else_of_a_plan_can_be_revised(other):
    ledger = Ledger(PLAN)
    with pytest.raises(BudgetError, match="only the caps"):
        ledger.revise(other)
    assert ledger.plan is PLAN


def test_caps_are_fixed_once_a_batch_was_drawn():
    ledger = Ledger(with_population(PLAN, 500))
    ledger.revise(with_population(PLAN, 600))
    ledger.spend("steps")
    with pytest.raises(BudgetError, match="before the first batch"):
        ledger.revise(with_population(PLAN, 500))
    with pytest.raises(BudgetError):
        Ledger(None).revise(PLAN)

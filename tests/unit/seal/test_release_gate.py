"""What may leave the hospital, and what may not."""

import copy
import struct

import pytest

import release_kit as kit
from release_kit import release
from wardgan.errors import GateError, UsageError
from wardgan.seal.gate import scan_for


def reasons(override=None, schema=None, ledger=None, **changes):
    bill = {**copy.deepcopy(kit.LEDGER), **changes} if ledger is None else ledger
    made = kit.fit(ledger=bill, schema=schema)
    return release.reasons_to_refuse(made.generator, made.ledger, override=override)


def test_a_private_model_may_leave():
    assert reasons() == []


SPENT = {"accountant": "PLD"}
BROKEN = {
    "P4 unbilled": ({"unbilled": ["looked at the ages"]}, "read without a bill .looked at the ages"),
    "P5 overspent": ({"spent": {**SPENT, "epsilon": 1.0001}}, "more than its target"),
    "P10 rehearsal": ({"replayable": True}, "rehearsal"),
    "P16 epsilon missing": ({"epsilon": None}, "Epsilon is None"),
    "P16 epsilon infinite": ({"epsilon": float("inf")}, "Epsilon is inf"),
    "P16 epsilon NaN": ({"epsilon": float("nan")}, "Epsilon is nan"),
    "P16 epsilon 0": ({"epsilon": 0.0}, "Epsilon is 0"),
    "P16 delta missing": ({"delta": None}, "Delta is None"),
    "P16 delta 0": ({"delta": 0.0}, "Delta is 0"),
    "P16 delta 1": ({"delta": 1.0}, "Delta is 1"),
    "nothing billed": ({"events": []}, "ledger is empty"),
    "spending unknown": ({"spent": None}, "does not say what was spent"),
    "spending NaN": ({"spent": {**SPENT, "epsilon": float("nan")}}, "does not say what was spent"),
    "spending infinite": ({"spent": {**SPENT, "epsilon": float("inf")}}, "does not say what was spent"),
    "malformed": ({"events": [{"name": "x"}]}, "mechanism"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("override", [None, kit.OVERRIDE])
def test_each_rule_refuses_with_or_without_an_override(name, override):
    changes, phrase = BROKEN[name]
    found = reasons(override=override, **changes)
    assert any(__import__("re").search(phrase, reason) for reason in found), found


def test_every_broken_rule_is_listed():
    found = reasons(replayable=True, unbilled=["x"], events=[], spent={**SPENT, "epsilon": 2.0})
    assert len(found) == 4


def test_spending_exactly_the_target_is_allowed():
    assert reasons(spent={**SPENT, "epsilon": 1.0}) == []


def test_open_model_needs_a_person_and_a_reason():
    assert "person: reason" in reasons(ledger=kit.OPEN_LEDGER)[0]
    for bad in ("", "because", ": because", "Ada:", "Ada: ", " : x", "Ada\n: x"):
        assert "does not name a person" in reasons(override=bad, ledger=kit.OPEN_LEDGER)[0]
    assert reasons(override=kit.OVERRIDE, ledger=kit.OPEN_LEDGER) == []


def test_override_of_a_private_model_names_a_person_and_a_reason():
    # Whether there is anything to override, the gates of the dossier say.
    assert reasons(override=kit.OVERRIDE) == []
    assert "does not name a person" in reasons(override="why not")[0]


def test_generator_must_not_claim_more_than_its_ledger():
    made = kit.fit(privacy={"mode": "private", "epsilon": 0.1, "delta": 1e-5})
    found = release.reasons_to_refuse(made.generator, made.ledger)
    assert found == ["The generator claims epsilon 0.1, its ledger says 1.0."]


def test_values_of_a_draft_do_not_leave():
    assert "draft" in reasons(schema={**kit.SCHEMA, "confirm": ["age.low"]})[0]


def test_class_shares():
    made = kit.fit(probabilities=(0.5, 0.4))
    assert "sum to 0.9" in release.reasons_to_refuse(made.generator, made.ledger)[0]


@pytest.mark.parametrize("shares", [(1.5, -0.5), (1.0,), (float("nan"), 1.0)])
def test_shares_that_are_none_make_no_generator(shares):
    with pytest.raises(UsageError, match="probabilities"):
        kit.fit(probabilities=shares)


def test_release_stops_at_the_gate_and_writes_nothing(tmp_path):
    with pytest.raises(GateError) as found:
        release.release(kit.fit(ledger={**kit.LEDGER, "replayable": True}), tmp_path / "x.hgan")
    assert len(found.value.reasons) == 1
    assert found.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


# Rule P18.


def test_planted_patient_is_found_in_every_spelling():
    for data in (
        b"...Quixote...",
        "Quixote".encode("utf-16-le"),
        b"\0" + "Quixote".encode("utf-16-be"),
    ):
        assert scan_for(["Quixote", "Panza"], data) == ["Quixote"]
    number = "987654.25"
    for form in ("<f", "<d"):
        assert scan_for([number], b"xx" + struct.pack(form, 987654.25) + b"xx") == [number]
    assert scan_for(["123456789"], struct.pack("<q", 123456789)) == ["123456789"]
    assert scan_for([number, "123456789", "Quixote", ""], bytes(1000)) == []


def test_common_numbers_are_not_looked_for_in_binary():
    assert scan_for(["120", "1e500", "nan"], struct.pack("<qd", 120, 120.0)) == []


def test_no_canary_in_a_release(tmp_path):
    path = release.release(kit.fit(), tmp_path / "x.hgan", created=kit.DAY)
    assert scan_for(["P004711", "Quixote", "987654.25"], path.read_bytes()) == []
    leaky = {**kit.LEDGER, "events": [{**kit.LEDGER["events"][0], "name": "count of Quixote"}]}
    path = release.release(kit.fit(ledger=leaky), tmp_path / "y.hgan", created=kit.DAY)
    assert scan_for(["Quixote"], path.read_bytes()) == ["Quixote"]

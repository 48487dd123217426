"""What a receiver finds out alone: the forger has every part of the file, and a key that is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dossier_kit as kit
from wardgan.cli.main import app
from wardgan.dossier.assess import Dossier
from wardgan.dossier.cards import card
from wardgan.dossier.policy import Policy
from wardgan.dossier.receiver import verify
from wardgan.errors import FormatError, TrustError, UsageError
from wardgan.seal import artifact
from wardgan.seal.json_text import canonical


def quick(ledger):
    """Stands for the accountant of record, which has tests of its own."""
    return ledger["spent"]["epsilon"]


def checked(clinic, path, **more):
    return verify(path, clinic.trust, **({"rebill": quick} | more))


def line(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_what_is_in_order_is_said_in_one_line(clinic):
    found = verify(clinic.good, clinic.trust)
    assert (found.signer, found.override, found.overall) == ("Clinic", None, "pass")
    assert [(one.gate, one.verdict) for one in found.gates] == [
        ("epsilon", "pass"), ("impossible", "pass"), ("public utility", "pass"),
    ]  # fmt: skip
    assert found.epsilon <= 3
    assert found.verdict == (
        "signed by Clinic; epsilon 3 at delta 1e-05, billed again; public gates judged again by the policy default: "
        "3 pass."
    )
    assert found.dossier.edition == "public"
    assert found.dossier.facts["paid"]["epsilon"] == 1.5


def test_a_file_without_a_dossier_says_so(clinic, tmp_path):
    path = clinic.release(tmp_path / "x.hgan", dossier=None, override=kit.OVERRIDE)
    found = checked(clinic, path)
    assert (found.dossier, found.overall, list(found.gates), found.override) == (None, None, [], kit.OVERRIDE)
    assert "no dossier: nobody says what attacks found" in found.verdict
    assert f"released by override of {kit.OVERRIDE}" in found.verdict
    told = line("verify", path, "--trust", clinic.trust)
    assert told.exit_code == 0, told.output
    assert "none; nobody says what attacks found" in told.output


def test_an_own_policy_decides(clinic, tmp_path):
    own = tmp_path / "ours.yaml"
    own.write_text("base: default\nlimits: {epsilon: {fail: 2}, 'public utility': {fail: 0.99}}\n", encoding="utf-8")
    found = checked(clinic, clinic.good, policy=own)
    assert [one.verdict for one in found.gates] == ["fail", "pass", "fail"]
    assert found.overall == "fail"
    assert "1 pass, 2 fail" in found.verdict
    assert "it must not lie above 2." in found.gates[0].reason
    told = line("verify", clinic.good, "--trust", clinic.trust, "--policy", own, "--json")
    assert told.exit_code == 3, told.output
    answer = json.loads(told.stdout)
    assert (answer["overall"], answer["gates"][0]["verdict"]) == ("fail", "fail")
    with pytest.raises(UsageError, match="neither strict, default nor research"):
        checked(clinic, clinic.good, policy="lenient")


def test_by_an_own_policy_nothing_is_excused(clinic, tmp_path):
    for policy in ("strict", "default", "research"):
        for path, phrase in (
            (clinic.open, "Nothing protects the patients"), (clinic.open, "nobody attacked this generator"),
            (clinic.release(tmp_path / f"{policy}.hgan", dossier=None, override=kit.OVERRIDE), "It has no dossier"),
        ):  # fmt: skip
            assert any(phrase in reason for reason in checked(clinic, path, policy=policy).refusals)
            told = line("verify", path, "--trust", clinic.trust, "--policy", policy, "--json")
            assert told.exit_code == 3
            assert json.loads(told.stdout)["ok"] is False
            assert "NOT in order" in told.stderr
    assert checked(clinic, clinic.good, policy="strict").refusals == []
    assert checked(clinic, clinic.open).refusals == checked(clinic, clinic.overridden).refusals == []


def test_who_drops_the_warning_has_still_said_that_nobody_attacked(clinic, tmp_path):
    path = kit.forged(clinic, clinic.open, tmp_path / "x.hgan", lambda found: found["facts"].pop("warnings"))
    assert "nobody attacked it" in checked(clinic, path).verdict
    assert "nobody attacked this generator" in card(path, "hf")
    assert "nobody attacked this generator" in card(path, "html")


def test_a_policy_that_asks_for_less_is_told(clinic, tmp_path):
    assert checked(clinic, clinic.good).weaker == []
    clinic.release(tmp_path / "x.hgan", dossier=lenient(clinic, tmp_path))
    found = checked(clinic, tmp_path / "x.hgan", policy="default")
    assert (found.policy, found.weaker) == ("default", ["epsilon fails above 20 instead of 10"])
    told = line("verify", tmp_path / "x.hgan", "--trust", clinic.trust)
    assert "asks for less than default does: epsilon fails above 20 instead of 10" in " ".join(told.output.split())


def lenient(clinic, folder):
    own = folder / "ours.yaml"
    own.write_text("name: ours\nlimits: {epsilon: {fail: 20}}\n", encoding="utf-8")
    kit.rejudged(Dossier.read(clinic.dossier()), Policy.load(own)).write(folder / "lenient")
    return folder / "lenient"


def test_without_privacy_it_says_so_first(clinic):
    found = checked(clinic, clinic.open)
    assert found.verdict.startswith("signed by Clinic; NOT PRIVATE; ")
    assert found.verdict.endswith(f"released by override of {kit.OVERRIDE}.")
    assert found.dossier.private is False
    assert [one.verdict for one in found.gates if one.gate == "epsilon"] == ["fail"]
    told = line("verify", clinic.open, "--trust", clinic.trust)
    assert "NOT PRIVATE" in told.output


def paid(**fields):
    return lambda found: found["facts"]["paid"].update(fields)


def scaled(name, factor):
    def change(found):
        counts = found["facts"]["paid"]
        counts[name] = (
            [factor * one for one in counts[name]] if isinstance(counts[name], list) else counts[name] * factor
        )

    return change


def top(**fields):
    return lambda found: found.update(fields)


def measured(gate, /, **fields):
    return lambda found: next(one for one in found["measured"] if one["gate"] == gate).update(fields)


def number(gate, /, **fields):
    return lambda found: next(one for one in found["measured"] if one["gate"] == gate)["estimate"].update(fields)


def judgement(place, /, **fields):
    return lambda found: found["judgements"][place].update(fields)


def epsilon_everywhere(found):
    """Tells of a smaller epsilon wherever it stands."""
    for one in (found["measured"][0]["estimate"], found["judgements"][0]["estimate"]):
        one.update(value=0.1, low=0.1, high=0.1)


def pays_less(found):
    found["facts"]["paid"].update(epsilon=0.5)


FOLLOWS, AGREE, BILL = "is not what comes out here", "does not agree with the other parts", "of the paid counts"
LIES = {
    "more people": (scaled("people", 1.5), FOLLOWS),
    "more recognised": (scaled("recognised", 1.01), FOLLOWS),
    "less noise": (scaled("noise_multiplier", 0.5), BILL),
    "more noise, the same interval": (scaled("noise_multiplier", 1.5), FOLLOWS),
    "a smaller sensitivity": (paid(sensitivity=1.0), BILL),
    "a smaller price": (pays_less, BILL),
    "a column that is none": (paid(target="nothing"), "a column that the schema does not have"),
    "classes with other names": (paid(classes=["no", "yes"]), "other classes than the schema's"),
    "a larger delta": (paid(delta=1e-3), "stated at another delta"),
    "a price above that of the generator": (paid(epsilon=3.1), "cost more than the generator"),
    "another class": (lambda found: found["facts"]["paid"]["classes"].append("maybe"), BILL),
    "counts of nobody": (paid(people=[1.7e308, 1.7e308]), BILL),
    "counts that are texts": (paid(people=["1", "2"]), "paid counts are malformed"),
    "a field more in the counts": (paid(hook="x"), "paid counts are malformed"),
    "no counts": (lambda found: found["facts"].update(paid=None), FOLLOWS),
    "a better overall": (top(overall="warn"), "verdicts do not follow"),
    "another verdict": (judgement(1, verdict="not asked"), "verdicts do not follow"),
    "a verdict about something else": (judgement(0, about="survival"), "verdicts do not follow"),
    "a verdict less": (lambda found: found["judgements"].pop(), "verdicts do not follow"),
    "a verdict more": (lambda found: found["judgements"].append(found["judgements"][0]), "verdicts do not follow"),
    "a smaller epsilon": (number("epsilon", value=1.0, low=1.0, high=1.0), FOLLOWS),
    "a smaller epsilon everywhere": (epsilon_everywhere, FOLLOWS),
    "epsilon not measured": (measured("epsilon", estimate=None), FOLLOWS),
    "epsilon not asked": (measured("epsilon", asked=False), FOLLOWS),
    "a narrower interval": (number("public utility", low=0.5), FOLLOWS),
    "rules kept better": (number("impossible", high=0.0), FOLLOWS),
    "a number less": (lambda found: found["measured"].pop(), "not one for each public gate"),
    "a number twice": (lambda found: found["measured"].append(found["measured"][0]), "not one for each public gate"),
    "a number of another gate": (measured("impossible", gate="copies"), "not one for each public gate"),
    "no word": (lambda found: found["facts"].pop("word"), "what the hospital says is malformed"),
    "a word more": (lambda found: found["facts"]["word"].update(hook="x"), "what the hospital says is malformed"),
    "fewer than no questions": (
        lambda found: found["facts"]["word"].update(asked=[-1, 0.0]), "what the hospital says is malformed"
    ),
    "another classifier": (paid(model="one that the agency certified"), "another classifier"),
    "a classifier that nobody taught": (paid(taught=-7), "another classifier"),
    "no seed": (lambda found: found["facts"].pop("seed"), "seed is not a whole number"),
    "a seed that is a text": (lambda found: found["facts"].update(seed="0"), "seed is not a whole number"),
    "a seed that is true": (lambda found: found["facts"].update(seed=True), "seed is not a whole number"),
    "a negative seed": (lambda found: found["facts"].update(seed=-1), "seed is not a whole number"),
    "an override added": (top(overrides=["A. Person: because"]), AGREE),
    "another name": (top(name="clinic 2"), AGREE),
    "not private": (top(private=False), AGREE),
    "the internal edition": (top(edition="internal"), AGREE),
    "another bill": (lambda found: found["generator"].update(bill="sha256:" + "0" * 64), AGREE),
    "another network": (lambda found: found["generator"].update(network="sha256:" + "0" * 64), AGREE),
    "another schema": (lambda found: found["generator"].pop("schema"), AGREE),
    "a field more": (top(hook="x"), "is no dossier of version 1"),
    "a field less": (lambda found: found.pop("sections"), "is no dossier of version 1"),
    "another version": (top(version=2), "is no dossier of version 1"),
    "nothing in it": (lambda found: found.clear(), "is no dossier of version 1"),
    "a limit less": (lambda found: found["policy"]["limits"].pop("copies"), "does not have a limit for each gate"),
    "a gate turned around": (
        lambda found: found["policy"]["limits"]["epsilon"].update(sense="at least"), "asks for something else"
    ),
    "a toothless policy with a good name": (
        lambda found: found["policy"]["limits"]["epsilon"].update(fail=100.0, warn=100.0), "and is another one"
    ),
    "a stricter policy, the same verdict": (
        lambda found: (
            found["policy"].update(name="ours"), found["policy"]["limits"]["epsilon"].update(fail=1.0, warn=1.0)
        ), "verdicts do not follow"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_dossier_that_lies_is_refused_though_a_trusted_key_signed_it(name, clinic, tmp_path):
    change, phrase = LIES[name]
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", change)
    with pytest.raises(FormatError, match=phrase) as error:
        checked(clinic, path)
    assert str(error.value).startswith("dossier.json: ")
    with pytest.raises(FormatError, match=phrase):
        checked(clinic, path, policy="research")
    with pytest.raises(FormatError, match=phrase):
        card(path, "hf", trust=clinic.trust)


def test_what_is_only_repacked_is_in_order(clinic, tmp_path):
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", lambda found: None)
    assert path.read_bytes() == clinic.good.read_bytes()


@pytest.mark.parametrize("change", [top(overrides=[]), top(overrides=["A. Person: because"]),
                                    top(overrides=[kit.OVERRIDE, kit.OVERRIDE])])  # fmt: skip
def test_an_override_is_neither_dropped_nor_changed(change, clinic, tmp_path):
    assert checked(clinic, clinic.overridden).override == kit.OVERRIDE
    path = kit.forged(clinic, clinic.overridden, tmp_path / "x.hgan", change)
    with pytest.raises(FormatError, match="overrides does not agree"):
        checked(clinic, path)


def test_a_dossier_of_another_generator_is_refused(clinic, tmp_path):
    other = kit.public(clinic.open)
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", other)
    with pytest.raises(FormatError, match="private does not agree"):
        checked(clinic, path)
    other |= {"private": True, "overrides": []}
    with pytest.raises(FormatError, match="generator does not agree"):
        checked(clinic, kit.forged(clinic, clinic.good, tmp_path / "y.hgan", other))


def test_another_seed_gives_the_numbers_of_that_seed(clinic, tmp_path):
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", lambda found: found["facts"].update(seed=99))
    # No patient breaks the rules, whatever the seed: the same numbers come out, and nothing is gained by it.
    assert [one.verdict for one in checked(clinic, path).gates] == ["pass", "pass", "pass"]


FORMS = {
    "not canonical": (lambda data: data + b"\n", "not written in canonical form"),
    "keys in another order": (
        lambda data: json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        .replace('{"edition"', '{ "edition"').encode() + b" ", "not written in canonical form"),
    "a key twice": (lambda data: data[:-1] + b',"version":1}', "is there twice"),
    "not a number": (lambda data: data.replace(b'"seed":0', b'"seed":NaN'), "NaN is no JSON number"),
    "no JSON": (lambda _: b"{", "is not JSON"),
    "nothing": (lambda _: b"", "dossier"),
    "too large": (lambda _: canonical({"x": "y" * (3 << 20)}), "more than 2097152|larger|bytes"),
    "an escape in a name": (lambda data: data.replace(b'"clinic"', b'"cli\\u001bnic"'), "control character"),
    "a line in an override": (lambda data: data.replace(b'"overrides":[]', b'"overrides":["a\\nb"]'), "control char"),
    "an escape in a section": (lambda data: data.replace(b"Teaching.", b"Teaching\\u001b"), "control character"),
    "half a letter": (lambda data: data.replace(b"Teaching.", b"\\ud800"), "control character"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_bytes_that_are_no_dossier_are_refused_by_everybody(name, clinic, tmp_path):
    change, phrase = FORMS[name]
    data = change(kit.parts(clinic.good).dossier)
    assert data != kit.parts(clinic.good).dossier
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", data)
    for read in (checked, lambda _, place: artifact.load(place), lambda _, place: artifact.inspect(place)):
        with pytest.raises(FormatError, match=phrase):
            read(clinic, path)


@pytest.mark.parametrize("found", [[], "x", 3, True, None])
def test_a_dossier_is_an_object(found, clinic, tmp_path):
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", found)
    for read in (artifact.load, artifact.inspect):
        with pytest.raises(FormatError, match=r"dossier\.json: is not an object"):
            read(path)
    assert line("inspect", path).exit_code == 2


@pytest.mark.parametrize("found", [{}, {"overall": []}, {"overall": "[red]"}, {"overall": {"a": None}}])
def test_inspect_shows_what_it_cannot_judge(found, clinic, tmp_path):
    told = line("inspect", kit.forged(clinic, clinic.good, tmp_path / "x.hgan", found))
    assert told.exit_code == 0, told.output
    assert f"Dossier:   {found.get('overall')}, by the hospital's own word" in told.output
    assert "Dossier:   pass, by the hospital's own word" in line("inspect", clinic.good).output


def test_a_signature_is_needed_and_a_key_of_ones_own(clinic, tmp_path):
    with pytest.raises(TrustError):
        verify(clinic.good, tmp_path / "nobody.json")
    data = kit.parts(clinic.good)
    unsigned = tmp_path / "x.hgan"
    unsigned.write_bytes(kit.oci.pack(data))
    with pytest.raises(TrustError, match="unsigned"):
        checked(clinic, unsigned)


def test_a_bill_that_costs_more_is_refused_with_a_dossier_too(clinic):
    with pytest.raises(FormatError, match="claims"):
        checked(clinic, clinic.good, rebill=lambda _ledger: 3.5)


def test_the_page_of_the_command_line_names_each_gate(clinic):
    told = line("verify", clinic.overridden, "--trust", clinic.trust)
    assert told.exit_code == 0, told.output
    for words in ("Gate:      epsilon: ", "public utility (died, logistic regression)", "Override:  Dr Ada Example"):
        assert words in told.output
    shown = json.loads(line("verify", clinic.overridden, "--trust", clinic.trust, "--json").stdout)
    assert shown["override"] == kit.OVERRIDE
    assert shown["verdict"] == checked(clinic, Path(clinic.overridden)).verdict

"""The way out: only with a dossier that passes, or with a person who answers for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace

import pytest
from typer.testing import CliRunner

import dossier_kit as kit
from wardgan.cli.main import app
from wardgan.dossier.assess import Dossier, assess, tied
from wardgan.dossier.policy import Policy
from wardgan.dossier.receiver import verify
from wardgan.dossier.release import NO_DOSSIER, refusals_of, release
from wardgan.errors import DataError, FormatError, GateError, UsageError
from wardgan.models.base import Trained
from wardgan.models.fit import fit
from wardgan.privacy.events import Budget
from wardgan.schema.read import read
from wardgan.schema.schema import Schema
from wardgan.seal import artifact
from wardgan.seal.card import BANNER

EDITIONS = ("internal.json", "internal.html", "public.json", "public.html")


def line(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def copied(clinic, tmp_path, name="private"):
    """Gives a copy of a dossier's folder, to be changed."""
    return shutil.copytree(clinic.dossier(name), tmp_path / f"{name}-copy")


def edited(folder, change, edition="internal"):
    """Changes the JSON of an edition by hand."""
    place = folder / f"{edition}.json"
    found = json.loads(place.read_bytes())
    change(found)
    place.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return folder


def measured(found, gate):
    return next(one for one in found["measured"] if one["gate"] == gate)


def refused(clinic, tmp_path, **more):
    """Gives the reasons of a refusal that leaves nothing behind."""
    target = tmp_path / "refused.hgan"
    with pytest.raises(GateError) as error:
        clinic.release(target, **more)
    assert not target.exists()
    return list(error.value.reasons)


def on_the_command_line(clinic, tmp_path, *more, run="private", dossier=None):
    place = () if dossier is None else ("--dossier", dossier)
    return line("release", clinic.folder / run, "-o", tmp_path / "x.hgan", "--key", clinic.key, *place, *more)


# --- what leaves, and what does not ---------------------------------------------------------------------------------


def test_with_a_dossier_that_passes_it_leaves(clinic, tmp_path):
    assert refusals_of(clinic.trained(), Dossier.read(clinic.dossier())) == []
    before = {name: (clinic.dossier() / name).read_bytes() for name in EDITIONS}
    path = clinic.release(tmp_path / "x.hgan")
    assert path.read_bytes() == clinic.good.read_bytes()
    assert kit.public(path) == json.loads((clinic.dossier() / "public.json").read_bytes())
    assert before == {name: (clinic.dossier() / name).read_bytes() for name in EDITIONS}
    facts = artifact.inspect(path)
    assert (facts["card"]["override"], facts["dossier"]["overrides"]) == (None, [])
    told = on_the_command_line(clinic, tmp_path, "--force", dossier=clinic.dossier())
    assert told.exit_code == 0, told.output


def test_p13_no_number_of_the_internal_edition_leaves(clinic):
    data = clinic.good.read_bytes()
    internal = json.loads((clinic.dossier() / "internal.json").read_bytes())
    inside = [one["estimate"] for one in internal["measured"] if one["gate"] not in ("epsilon", "impossible")]
    values = [repr(one["value"]) for one in inside if one is not None and len(repr(one["value"])) > 9]
    assert len(values) > 8
    public = kit.parts(clinic.good).dossier
    assert not [value for value in values if value.encode() in public or value.encode() in data]


def test_without_a_dossier_it_stays_and_says_how_to_make_one(clinic, tmp_path):
    assert refused(clinic, tmp_path, dossier=None) == [NO_DOSSIER]
    assert "wardgan dossier" in NO_DOSSIER
    told = on_the_command_line(clinic, tmp_path)
    assert told.exit_code == 3, told.output
    assert "It has no dossier" in " ".join(told.output.split())
    assert not (tmp_path / "x.hgan").exists()


def test_a_dossier_beside_the_run_is_found(clinic, tmp_path):
    run = shutil.copytree(clinic.folder / "private", tmp_path / "run")
    shutil.copytree(clinic.dossier(), run / "dossier")
    told = line("release", run, "-o", tmp_path / "x.hgan", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["dossier"] == str(run / "dossier")
    assert artifact.inspect(tmp_path / "x.hgan")["dossier"]["overall"] == "pass"


def test_a_person_may_answer_for_a_missing_dossier(clinic, tmp_path):
    path = clinic.release(tmp_path / "x.hgan", dossier=None, override=kit.OVERRIDE)
    assert artifact.inspect(path)["card"]["override"] == kit.OVERRIDE
    assert artifact.inspect(path)["dossier"] is None
    assert f"**Released by override:** {kit.OVERRIDE}" in kit.parts(path).readme.decode()


def test_a_stricter_policy_refuses_gate_by_gate(clinic, tmp_path):
    reasons = refused(clinic, tmp_path, dossier="strict")
    assert reasons == Dossier.read(clinic.dossier("strict")).refusals
    gates = {reason.split(" (")[0].split(":")[0] for reason in reasons}
    # An attack that is lucky in nothing may leave a gate of membership that can be judged.
    assert {"attribute", "singling out"} <= gates
    assert not {"epsilon", "utility", "public utility", "certified epsilon"} & gates
    told = on_the_command_line(clinic, tmp_path, dossier=clinic.dossier("strict"))
    assert told.exit_code == 3, told.output
    assert "attribute (guessing died)" in " ".join(told.output.split())


def test_an_override_is_printed_everywhere_and_signed(clinic, tmp_path):
    folder = copied(clinic, tmp_path, "strict")
    path = clinic.release(tmp_path / "x.hgan", dossier=folder, override=kit.OVERRIDE)
    for name in EDITIONS:
        assert kit.OVERRIDE in (folder / name).read_text(encoding="utf-8"), name
    assert "Released by override: Dr Ada Example" in (folder / "public.html").read_text(encoding="utf-8")
    found, facts = kit.parts(path), artifact.inspect(path, clinic.trust)
    assert kit.public(path)["overrides"] == [kit.OVERRIDE]
    assert f"**Released by override:** {kit.OVERRIDE}" in found.readme.decode()
    assert facts["card"]["override"] == kit.OVERRIDE
    assert facts["signature"]["status"] == "verified"
    checked = verify(path, clinic.trust)
    assert (checked.override, list(checked.dossier.overrides)) == (kit.OVERRIDE, [kit.OVERRIDE])
    for verb in ("inspect", "verify"):
        told = line(verb, path, "--trust", clinic.trust)
        assert kit.OVERRIDE in told.output
        assert json.loads(line(verb, path, "--trust", clinic.trust, "--json").stdout)


def test_a_second_release_with_an_override_is_about_itself(clinic, tmp_path):
    folder = copied(clinic, tmp_path, "strict")
    for number, override in enumerate((kit.OVERRIDE, kit.OVERRIDE, "Dr Bo Other: another reason")):
        path = clinic.release(tmp_path / f"{number}.hgan", dossier=folder, override=override)
        assert verify(path, clinic.trust).override == override
        assert kit.public(path)["overrides"] == [override]
    assert Dossier.read(folder).internal.overrides == [kit.OVERRIDE, "Dr Bo Other: another reason"]


def test_a_needless_override_is_refused(clinic, tmp_path):
    (reason,) = refused(clinic, tmp_path, override=kit.OVERRIDE)
    assert "nothing to override" in reason
    told = on_the_command_line(clinic, tmp_path, "--override", kit.OVERRIDE, dossier=clinic.dossier())
    assert told.exit_code == 3, told.output


@pytest.mark.parametrize("override", ["", "Dr Ada Example", "because", ": because", "Ada:", "Ada: a\nb", " : x"])
def test_an_override_names_a_person_and_a_reason(override, clinic, tmp_path):
    (reason,) = refused(clinic, tmp_path, dossier="strict", override=override)
    assert "does not name a person and a reason" in reason


# --- what no override excuses ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bill:
    """A ledger that says something else."""

    mode: str
    found: dict

    def to_dict(self):
        return self.found


def with_bill(trained, **changes):
    bill = trained.ledger.to_dict() | changes
    return replace(trained, ledger=Bill(bill["mode"], bill))


@pytest.mark.parametrize(("changes", "phrase"), [
    ({"replayable": True}, "rehearsal"), ({"unbilled": ["counted by hand"]}, "without a bill"),
    ({"events": []}, "its ledger is empty"), ({"spent": {"epsilon": 3.5, "accountant": "PLD"}}, "more than its target"),
    ({"epsilon": 2.9}, "more than its target"),
])  # fmt: skip
@pytest.mark.parametrize("override", [None, kit.OVERRIDE])
def test_no_override_excuses_a_bill_that_is_wrong(changes, phrase, override, clinic, tmp_path):
    trained = with_bill(clinic.trained(), **changes)
    with pytest.raises(GateError) as error:
        release(trained, tmp_path / "x.hgan", clinic.key, override)
    assert any(phrase in reason for reason in error.value.reasons)
    assert any(reason == NO_DOSSIER for reason in error.value.reasons) == (override is None)
    assert not (tmp_path / "x.hgan").exists()


def test_no_override_and_no_dossier_excuse_a_rehearsal(clinic, tmp_path):
    train = kit.cohort(300, 5)
    fit(train, Budget(3.0), family="copula", run=tmp_path / "run", seed=1)
    assess(tmp_path / "run", train, policy="research", created=kit.DAY).write(tmp_path / "dossier")
    trained = Trained.load(tmp_path / "run")
    for override in (None, kit.OVERRIDE):
        with pytest.raises(GateError, match="rehearsal"):
            release(trained, tmp_path / "x.hgan", clinic.key, override, dossier=tmp_path / "dossier")
    told = line("release", tmp_path / "run", "-o", tmp_path / "x.hgan", "--override", kit.OVERRIDE)
    assert told.exit_code == 3
    assert not (tmp_path / "x.hgan").exists()


def test_an_unbilled_read_in_the_run_itself_is_found(clinic, tmp_path):
    trained = clinic.trained()
    trained.ledger._path = None
    trained.ledger.read_unbilled("counted by hand")
    with pytest.raises(GateError, match="counted by hand"):
        release(trained, tmp_path / "x.hgan", clinic.key, kit.OVERRIDE)


@pytest.mark.parametrize("trained", [None, "run", 3, {}])
def test_what_is_no_fit(trained, tmp_path):
    with pytest.raises(UsageError, match="no finished fit"):
        release(trained, tmp_path / "x.hgan")


# --- a dossier of something else, or another number -----------------------------------------------------------------


def test_a_dossier_of_another_run_is_refused(clinic, tmp_path):
    for run, dossier in (("private", "open"), ("open", "private")):
        for override in (None, kit.OVERRIDE):
            with pytest.raises(UsageError, match="about another generator"):
                clinic.release(tmp_path / "x.hgan", run=run, dossier=dossier, override=override)
    assert not (tmp_path / "x.hgan").exists()


@pytest.mark.parametrize("edition", ["internal", "public"])
@pytest.mark.parametrize("part", ["network", "bill", "schema"])
def test_each_edition_is_about_this_network_bill_and_schema(part, edition, clinic, tmp_path):
    folder = edited(
        copied(clinic, tmp_path), lambda found: found["generator"].update({part: "sha256:" + "0" * 64}), edition
    )
    with pytest.raises(UsageError, match="about another generator"):
        clinic.release(tmp_path / "x.hgan", dossier=folder)


def test_a_number_beyond_a_limit_refuses_with_its_reason(clinic, tmp_path):
    def worse(found):
        measured(found, "linkability")["estimate"].update(value=0.2, low=0.15, high=0.25)
        measured(found, "linkability")["alarm"].update(value=0.2, low=0.1, high=0.3)

    folder = edited(copied(clinic, tmp_path), worse)
    reason = "linkability (linkability): 0.2 [0.15, 0.25]; its interval must lie below 0.05."
    assert refused(clinic, tmp_path, dossier=folder) == [reason]
    told = on_the_command_line(clinic, tmp_path, dossier=folder)
    assert told.exit_code == 3, told.output
    assert reason in " ".join(told.output.split())


def test_editions_that_were_not_made_together_do_not_leave(clinic, tmp_path):
    def worse(found):
        found["sections"][0]["blocks"].append({"kind": "text", "text": "AUROC .931 on real patients", "tone": "plain"})

    with pytest.raises(UsageError, match="made with the internal one"):
        clinic.release(tmp_path / "x.hgan", dossier=edited(copied(clinic, tmp_path), worse, "public"))
    mixed = copied(clinic, tmp_path, "strict")
    shutil.copy(clinic.dossier() / "public.json", mixed / "public.json")
    with pytest.raises(UsageError, match="made with the internal one"):
        clinic.release(tmp_path / "x.hgan", dossier=mixed)


def test_a_policy_of_ones_own_refuses(clinic, tmp_path):
    place = tmp_path / "ours.yaml"
    place.write_text("base: default\nlimits: {epsilon: {fail: 2, warn: 1}}\n", encoding="utf-8")
    folder = tmp_path / "dossier"
    kit.rejudged(Dossier.read(clinic.dossier()), Policy.load(place)).write(folder)
    reasons = refused(clinic, tmp_path, dossier=folder)
    assert reasons[0] == "epsilon: 3; it must not lie above 2."
    # Without the proof, what attacks cannot judge refuses as well.
    assert any(reason.startswith(("membership", "attribute", "singling out")) for reason in reasons)


@pytest.mark.parametrize("change", [
    lambda found: found.update(overall="pass"), lambda found: found.update(judgements=[]),
    lambda found: [one.update(verdict="pass") for one in found["judgements"]],
    lambda found: found.update(overall="pass", judgements=[], sections=[]),
])  # fmt: skip
def test_editing_the_verdicts_does_not_help(change, clinic, tmp_path):
    folder = edited(copied(clinic, tmp_path, "strict"), change)
    assert refused(clinic, tmp_path, dossier=folder) == refused(clinic, tmp_path, dossier="strict")


def test_a_number_that_is_taken_out_is_not_judged(clinic, tmp_path):
    def less(found):
        found["measured"] = [one for one in found["measured"] if one["gate"] not in ("utility", "membership area")]

    reasons = refused(clinic, tmp_path, dossier=edited(copied(clinic, tmp_path), less))
    assert {"utility: It was not measured.", "membership area: It was not measured."} <= set(reasons)


BROKEN = {
    "an unknown gate": lambda found: found["measured"][0].update(gate="privacy"),
    "an unknown field": lambda found: found.update(hook="x"),
    "an unknown policy": lambda found: found["policy"].update(unjudged="pass"),
    "a policy without a gate": lambda found: found["policy"]["limits"].pop("copies"),
    "the other edition": lambda found: found.update(edition="public"),
    "a fact that is no number": lambda found: found["facts"].update(seed=float("nan")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("override", [None, kit.OVERRIDE])
def test_a_damaged_dossier_is_refused(name, override, clinic, tmp_path):
    folder = edited(copied(clinic, tmp_path), BROKEN[name])
    with pytest.raises(FormatError):
        clinic.release(tmp_path / "x.hgan", dossier=folder, override=override)
    assert not (tmp_path / "x.hgan").exists()
    told = on_the_command_line(clinic, tmp_path, dossier=folder)
    assert told.exit_code == 2, told.output


@pytest.mark.parametrize("dossier", ["nowhere", "private/trained.json"])
def test_a_folder_without_a_dossier(dossier, clinic, tmp_path):
    with pytest.raises(UsageError, match=r"holds no internal\.json"):
        clinic.release(tmp_path / "x.hgan", dossier=clinic.folder / dossier)


# --- without privacy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dossier", ["open", None])
def test_without_privacy_only_a_person_lets_it_out(dossier, clinic, tmp_path):
    reasons = refused(clinic, tmp_path, run="open", dossier=dossier)
    assert reasons[0].startswith("Nothing protects the patients")
    assert len([reason for reason in reasons if "Nothing protects" in reason]) == 1
    told = on_the_command_line(clinic, tmp_path, run="open")
    assert told.exit_code == 3, told.output


def test_an_override_stands_in_the_ledger_of_the_page_too(clinic):
    text = (clinic.dossier("strict") / "internal.html").read_text(encoding="utf-8")
    section = text[text.index('id="s12"') : text.index('id="s13"')]
    assert f"Released by override: {kit.OVERRIDE}" in section


def test_what_stays_in_the_hospital_is_the_owners_alone(clinic):
    modes = {path.name: path.stat().st_mode & 0o777 for path in clinic.dossier().iterdir()}
    assert modes == {"internal.html": 0o600, "internal.json": 0o600, "public.html": 0o644, "public.json": 0o644}


def test_without_privacy_the_banner_is_everywhere(clinic):
    for name in ("internal.html", "public.html"):
        text = (clinic.dossier("open") / name).read_text(encoding="utf-8")
        assert '<p class="banner">NOT PRIVATE: nothing protects the patients.</p>' in text
        assert kit.OVERRIDE in text
    readme = kit.parts(clinic.open).readme.decode()
    assert f"\n# {BANNER}\n" in readme
    assert kit.OVERRIDE in readme
    assert kit.public(clinic.open)["private"] is False
    assert kit.public(clinic.open)["facts"]["paid"] is None
    told = line("inspect", clinic.open)
    assert "NOT PRIVATE" in told.output
    assert kit.OVERRIDE in told.output


def test_a_public_edition_that_a_receiver_would_refuse_does_not_leave(clinic, tmp_path):
    found = Dossier.read(clinic.dossier())
    measured_ = [
        replace(one, estimate=replace(one.estimate, value=0.99)) if one.gate == "public utility" else one
        for one in found.public.measured
    ]
    tied(found.internal, replace(found.public, measured=measured_)).write(tmp_path / "better")
    with pytest.raises(FormatError, match="not what comes out here"):
        clinic.release(tmp_path / "x.hgan", dossier=tmp_path / "better")
    assert not (tmp_path / "x.hgan").exists()


def test_patients_of_the_training_are_known_by_their_names(tmp_path):
    schema = Schema.from_dict({**kit.SCHEMA, "patient": "id", "rules": []})
    table = kit.cohort(300, 4).wide().assign(id=[f"P{at:03d}" for at in range(300)])
    other = kit.cohort(300, 5).wide().assign(id=[f" p{at} " for at in range(250, 550)])
    fit(read(table, schema), Budget(3.0), family="copula", run=tmp_path / "run")
    with pytest.raises(DataError, match="50 patients of it are patients of data, too, by their names in id"):
        assess(tmp_path / "run", read(table, schema), read(other, schema))

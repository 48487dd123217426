"""One generator of constant size, learned from synthetic patients of a combined one."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import wardgan as wg
from combining_kit import hospital
from wardgan.combining import distilling
from wardgan.combining.distilling import distill
from wardgan.combining.faithful import faithful
from wardgan.combining.loading import open_file, verify_mixture
from wardgan.errors import FormatError, GateError, OutputError, PlanError, TrustError, UsageError
from wardgan.seal import joint
from wardgan.seal.json_text import canonical
from wardgan.seal.reading import read_file
from wardgan.seal.records import read_ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    wg.new_key(place / "key", name="Tester", trust=place / "trust.json")
    for at, (name, epsilon) in enumerate((("alpha", 1.0), ("beta", 2.0), ("gamma", 3.0))):
        hospital(place, name, 400, seed=at, epsilon=epsilon, key=place / "key", new=0.2 + 0.1 * at, age=40 + 5 * at)
    hospital(place, "bare", 300, seed=7, epsilon=None, key=place / "key")
    made = [place / f"{name}.hgan" for name in ("alpha", "beta", "gamma")]
    wg.combine(made, place / "region.hgan", key=place / "key", overlap=2)
    distill(place / "region.hgan", place / "pupil.hgan", n=4_000, seed=1, judge=False, key=place / "key")
    return place


def test_the_pupil_has_the_teachers_guarantee_and_lists_its_hospitals(home):
    found = read_file(home / "pupil.hgan", lambda _: open_file(home / "alpha.hgan", None, required=False).signature)
    region = open_file(home / "region.hgan", None, required=False)
    assert found.card.privacy == region.privacy
    assert found.ledger.origin is not None
    assert (found.ledger.origin.how, found.ledger.origin.of) == ("distilled", region.digest)
    assert [site.name for site in found.ledger.sites] == ["alpha", "beta", "gamma"]
    assert [site.ledger.epsilon for site in found.ledger.sites] == [1.0, 2.0, 3.0]
    assert [site.source for site in found.ledger.sites] == [leaf.digest for _, leaf, _ in region.node.leaves()]
    assert found.generator.schema == region.generator.schema


def test_the_pupil_has_the_teachers_shares_and_is_near_to_it(home):
    teacher, pupil = wg.load(home / "region.hgan"), wg.load(home / "pupil.hgan")
    assert np.allclose(teacher.probabilities, pupil.probabilities)
    ours, theirs = pupil.sample(8_000, seed=2), teacher.sample(8_000, seed=3)
    assert abs(ours["age"].mean() - theirs["age"].mean()) < 1.0
    assert abs(ours["glucose"].std() - theirs["glucose"].std()) < 3.0


def test_a_signed_pupil_is_verified_and_its_bill_is_composed_again(home):
    found = wg.verify(home / "pupil.hgan", home / "trust.json")
    region = verify_mixture(home / "region.hgan", home / "trust.json")
    assert found.epsilon == pytest.approx(region.bounds.overlap.epsilon)
    assert found.epsilon > 3.0


def test_what_was_distilled_is_no_teacher_unless_somebody_insists(home, tmp_path):
    with pytest.raises(UsageError, match="was distilled itself"):
        distill(home / "pupil.hgan", tmp_path / "again.hgan", n=500, judge=False)
    wg.combine([home / "pupil.hgan", home / "bare.hgan"], tmp_path / "odd.hgan")
    with pytest.raises(UsageError, match="was distilled itself"):
        distill(tmp_path / "odd.hgan", tmp_path / "again.hgan", n=500, judge=False, override="A: b")
    assert not (tmp_path / "again.hgan").exists()
    made = distill(home / "pupil.hgan", tmp_path / "again.hgan", n=500, judge=False, again=True)
    assert made.bounds.worst.epsilon > 3.0


def test_patients_of_a_pupil_and_of_its_own_hospital_are_counted_once(home, tmp_path):
    both = wg.combine([home / "pupil.hgan", home / "alpha.hgan"], tmp_path / "both.hgan", weights="size")
    region = wg.combine([home / f"{name}.hgan" for name in ("alpha", "beta", "gamma")], tmp_path / "region.hgan")
    assert both.bounds.sites == 3
    assert both.bounds.worst.epsilon == pytest.approx(region.bounds.worst.epsilon)
    assert any("count once" in notice for notice in both.notices)


def test_nobody_distils_privacy_into_a_teacher_without_it(home, tmp_path):
    wg.combine([home / "alpha.hgan", home / "bare.hgan"], tmp_path / "open.hgan")
    with pytest.raises(GateError, match="not private"):
        distill(tmp_path / "open.hgan", tmp_path / "pupil.hgan", n=500, judge=False)
    distill(tmp_path / "open.hgan", tmp_path / "pupil.hgan", n=500, judge=False, override="A. Tester: open data")
    assert wg.load(tmp_path / "pupil.hgan").privacy["mode"] == "none"
    text = wg.inspect(tmp_path / "pupil.hgan")
    assert text["card"]["override"] == "A. Tester: open data"


def test_rare_classes_are_learned_from_200_patients_at_least(home):
    from wardgan.combining.lesson import lesson
    from wardgan.encode.units import classes_of
    from wardgan.rng import Seed

    made = lesson(wg.load(home / "alpha.hgan"), 300, Seed(1))
    assert np.bincount(classes_of(made)).min() >= 200
    assert len(np.unique(made.patients)) == len(made)


def test_the_yardstick_is_the_teacher_itself(home):
    teacher = wg.load(home / "region.hgan")
    found = faithful(teacher, wg.load(home / "alpha.hgan"), seed=1)
    columns = found.numbers["total variation of columns"]
    assert columns.holdout is not None
    assert columns.synthetic.low > columns.holdout.value  # one hospital is not the region
    assert abs(found.numbers["told apart (AUROC)"].holdout.value - 0.5) < 0.05
    near = faithful(teacher, wg.load(home / "pupil.hgan"), seed=1).numbers["total variation of columns"]
    assert near.synthetic.value < columns.synthetic.value


def test_a_file_that_is_there_stays_and_few_patients_teach_nobody(home, tmp_path):
    place = tmp_path / "there.hgan"
    place.write_text("mine")
    with pytest.raises(OutputError):
        distill(home / "region.hgan", place, n=500, judge=False)
    assert place.read_text() == "mine"
    with pytest.raises(UsageError, match="n="):
        distill(home / "region.hgan", tmp_path / "few.hgan", n=50)


def test_on_the_command_line(home, tmp_path):
    from wardgan.cli.main import app

    out = tmp_path / "out.hgan"
    call = [
        "distill",
        str(home / "region.hgan"),
        "-o",
        str(out),
        "-n",
        "1000",
        "--family",
        "copula",
        "--seed",
        "3",
        "--json",
    ]
    run = CliRunner().invoke(app, call)
    assert run.exit_code == 0, run.output
    facts = json.loads(run.stdout)
    assert facts["bytes"] == out.stat().st_size
    assert "told apart (AUROC)" in facts["quality"]["numbers"]
    shown = CliRunner().invoke(app, ["inspect", str(out)])
    assert "distilled" in shown.output
    assert "alpha" in shown.output


# --- a ledger of several hospitals, as it is read ---------------------------------------------------------------------


def ledger_of(home, **changes):
    found = wg.inspect(home / "pupil.hgan")["privacy"]
    return json.loads(canonical(found)) | changes


def problem(found):
    from wardgan.seal.gate import ledger_reasons

    record = read_ledger(found, "privacy.json")
    reasons = ledger_reasons(record, None)
    if not reasons:
        joint.bound_of(record)
    return reasons[0] if reasons else None


def test_p04_a_claim_below_what_the_hospitals_spent_is_refused(home):
    whole = ledger_of(home)
    assert problem(whole) is None
    with pytest.raises(FormatError, match="its members' ledgers cost"):
        problem(whole | {"epsilon": 0.97 * whole["epsilon"]})
    with pytest.raises(FormatError, match="its members' ledgers cost"):
        problem(whole | {"delta": 1e-6})
    with pytest.raises(FormatError, match="its members' ledgers cost"):
        problem({name: value for name, value in whole.items() if name != "overlap"})  # then it is the worst case
    with pytest.raises(FormatError, match="its members' ledgers cost"):
        problem(whole | {"epsilon": 0.5, "delta": 1.0000001e-5})  # a hair of delta excuses nothing
    cheap = ledger_of(home)
    for event in cheap["sites"][2]["ledger"]["events"]:
        event["noise_multiplier"] /= 4
    with pytest.raises(FormatError, match=r"privacy\.json"):
        problem(cheap)


def test_p04_what_one_hospital_says_that_it_spent_is_the_least_that_is_claimed(home):
    # Batches are billed roughly when a file is loaded, but a claim below one ledger's own word is a lie at once.
    event = {"name": "steps", "mechanism": "poisson-gaussian", "noise_multiplier": 1.0, "sampling_rate": 0.05,
             "steps": 200}  # fmt: skip
    own = {"version": 1, "mode": "private", "unit": "patient", "neighbours": "add-or-remove", "replayable": False,
           "unbilled": [], "events": [event], "epsilon": 6.0, "delta": 1e-5,
           "spent": {"epsilon": 4.5, "accountant": "PLD"}}  # fmt: skip
    whole = ledger_of(home) | {"delta": 1e-5, "overlap": 1}
    whole["sites"] = [{**whole["sites"][0], "ledger": own}]
    assert problem(whole | {"epsilon": 4.5}) is None
    with pytest.raises(FormatError, match="its members' ledgers cost"):
        problem(whole | {"epsilon": 4.0})


def test_p04_verify_bills_each_hospitals_ledger(home):
    # Alone the ledger lies by a little; the claim of all, which is larger, would cover it.
    whole = ledger_of(home)
    site = json.loads(json.dumps(whole["sites"][0]))
    for event in site["ledger"]["events"]:
        event["noise_multiplier"] /= 1.3
    record = read_ledger(whole | {"epsilon": 9.0, "sites": [site, *whole["sites"][1:]]}, "privacy.json")
    with pytest.raises(FormatError, match="its events cost"):
        joint.billed(record, 9.0, None)


def test_p04_two_bills_for_one_thing_both_count(home):
    whole = read_ledger(ledger_of(home), "privacy.json")
    one = joint.behind("", "", whole)[0]
    other = joint.Behind(one.source, one.patients, whole.sites[2].ledger)
    alone, both = (joint.bounds_of(each, overlap=None).worst.epsilon for each in ([one], [one, other]))
    assert both > alone * 1.5
    named = [joint.Named(each.source, each.patients, each.ledger, "x") for each in (one, other)]
    claim = {"mode": "private", "epsilon": 5.0, "delta": 1e-5}
    with pytest.raises(FormatError, match="two bills"):
        joint.ledger_of(named, claim, how="distilled", of=one.source, overlap=None, family="copula")
    apart = [named[0], joint.Named(one.source, "data-of-others", other.ledger, "y")]
    made = joint.ledger_of(apart, claim, how="distilled", of=one.source, overlap=None, family="copula")
    assert len(made["sites"]) == 2


def test_a_ledger_that_protects_nobody_is_refused_in_an_open_file_too(home):
    own = ledger_of(home) | {"mode": "none"}
    del own["epsilon"], own["delta"]
    own["sites"][1]["ledger"]["epsilon"] = 1e9
    assert "protects nobody" in problem(own)


def test_the_file_is_there_before_the_pupil_is_judged(home, tmp_path, monkeypatch):
    from wardgan.combining import distilling

    def stopped(*_args, **_how):
        raise KeyboardInterrupt

    monkeypatch.setattr(distilling, "faithful", stopped)
    with pytest.raises(KeyboardInterrupt):
        distill(home / "region.hgan", tmp_path / "pupil.hgan", n=500)
    assert len(wg.load(tmp_path / "pupil.hgan").sample(3, seed=1)) == 3


def test_what_stands_beside_the_hospitals_ledgers_is_refused(home):
    whole = ledger_of(home)
    event = whole["sites"][0]["ledger"]["events"][0]
    assert "not beside them" in problem(whole | {"events": [event]})
    assert "not beside them" in problem(whole | {"unbilled": ["a look"]})
    assert "says so by its version" in problem(whole | {"version": 1})
    assert "says so by its version" in problem({name: value for name, value in whole.items() if name != "origin"})
    assert "twice" in problem(whole | {"sites": [*whole["sites"], whole["sites"][0]]})
    own = json.loads(json.dumps(whole))
    own["sites"][1]["ledger"]["replayable"] = True
    assert "rehearsal" in problem(own)
    own = json.loads(json.dumps(whole))
    own["sites"][1]["ledger"] |= {"mode": "none"}
    assert "beta: It claims to be private" in problem(own)
    own = json.loads(json.dumps(whole))
    own["sites"][1]["ledger"]["events"] = []
    assert "empty" in problem(own)
    with pytest.raises(FormatError):
        read_ledger(whole | {"sites": []}, "privacy.json")
    nested = json.loads(json.dumps(whole))
    nested["sites"][0]["ledger"] = whole
    with pytest.raises(FormatError):
        read_ledger(nested, "privacy.json")


def test_a_pupil_may_have_a_name_of_its_own(home, tmp_path):
    distill(home / "region.hgan", tmp_path / "n.hgan", name="national", n=500, judge=False)
    assert wg.inspect(tmp_path / "n.hgan")["card"]["name"] == "national"
    assert wg.inspect(home / "pupil.hgan")["card"]["name"] == "region"


def test_what_cannot_be_learned_is_refused_before_anything_is_drawn(home, tmp_path, monkeypatch):
    monkeypatch.setattr(distilling, "lesson", lambda *_: pytest.fail("patients were drawn"))
    inner = wg.inspect(home / "region.hgan")["tree"][1]["digest"]
    for more, kind, said in (
        ({"family": "nope"}, PlanError, "family='nope' is not one of"),
        ({"family": "imagegan"}, PlanError, "cannot draw tables"),
        ({"revoked": [wg.inspect(home / "region.hgan")["digest"]]}, TrustError, "was revoked"),
        ({"revoked": [inner]}, TrustError, "was revoked"),
    ):  # fmt: skip
        with pytest.raises(kind, match=said):
            distill(home / "region.hgan", tmp_path / "x.hgan", **more)
    assert not list(tmp_path.iterdir())

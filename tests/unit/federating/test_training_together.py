"""Hospitals train together: sums, rounds, bills, and what happens when one of them fails."""

import json
from dataclasses import replace

import numpy as np
import pytest

import wardgan as wg
from combining_kit import patients, schema
from federating_kit import SITES, SIZE, agreement, asking, channel, hospitals, policy, with_arrays, write_hospital
from wardgan.encode.layout import Layout
from wardgan.errors import FormatError, GateError, OutputError, PlanError, SchemaError, UsageError
from wardgan.federating.coordinator import Coordinator, TooFewError
from wardgan.federating.here import federate
from wardgan.federating.release import federated
from wardgan.federating.site import Site
from wardgan.federating.wire import Message
from wardgan.models.anchor.anchor import measure_anchor
from wardgan.models.base import Trained
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed


def ledger_of(one):
    return Ledger.resume(next(one.run.glob("*/ledger.jsonl")))


def spent(one):
    return {event.name: event.steps for event in ledger_of(one).events}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that went well."""
    place = tmp_path_factory.mktemp("whole")
    policies = hospitals(place)
    made = federate(agreement(), policies, place / "all.hgan")
    return made, policies


def test_all_hospitals_train_and_each_ledger_is_in_the_file(whole):
    made, policies = whole
    assert (made.hospitals, made.rounds, made.notices) == (SITES, 3, ())
    privacy = wg.inspect(made.path)["privacy"]
    assert privacy["origin"] == {"how": "federated", "of": agreement().digest, "rounds": 3}
    for site, one in zip(privacy["sites"], policies, strict=True):
        assert site["patients"] == one.patients
        assert {event["name"]: event.get("steps", 1) for event in site["ledger"]["events"]} == spent(one)
        assert spent(one)["discriminator"] == 150
    assert wg.load(made.path).privacy["epsilon"] == pytest.approx(2.0, rel=0.02)
    assert made.bounds.worst.epsilon > 3


def test_the_generator_knows_the_patients_of_all_hospitals(whole):
    made, _ = whole
    found = wg.load(made.path).sample(4_000, seed=1)
    assert abs(found["age"].mean() - 45) < 3  # 40, 45 and 50
    assert abs((found["arm"] == "new").mean() - 0.3) < 0.1


def test_a_part_of_a_training_is_no_generator_of_one_hospital(whole):
    _, policies = whole
    run = next(policies[0].run.iterdir())
    with pytest.raises(UsageError, match="part of a training with others"):
        Trained.load(run)
    # Rule P12: the discriminator does not outlive the training.
    assert not (run / "checkpoint.npz").exists()
    assert not (run / "generator.onnx").exists()


def test_what_leaves_a_hospital_is_answers_and_weights_of_the_generator_alone(tmp_path):
    policies = hospitals(tmp_path)
    seen = []

    def watch(name, facts, reply):
        seen.append((reply.facts["kind"], sorted(reply.arrays)))
        return reply

    coordinator = Coordinator(agreement(), channel(policies, watch))
    game = coordinator.run()
    coordinator.farewell()
    weights = sorted(f"weight/{name}" for name in game.weights())
    kinds = dict(seen)
    assert kinds == {"hello": [], "answer": ["answer"], "update": weights, "done": []}
    assert not any("judge" in name for name in weights)


def test_sums_without_noise_are_those_of_all_patients_in_one_place(tmp_path):
    what = agreement(epsilon=None, family="copula", settings={})
    policies = hospitals(tmp_path, epsilon=None)
    coordinator = Coordinator(what, channel(policies))
    game = coordinator.run()
    parts = [patients(schema(name, SIZE), SIZE, at, age=40 + 5 * at) for at, name in enumerate(SITES)]
    together = replace(
        parts[0], static={name: np.concatenate([one.static[name] for one in parts]) for name in parts[0].static},
        patients=np.arange(3 * SIZE),
    )  # fmt: skip
    anchor = measure_anchor(Records(together, Ledger(None), noise=Seed.secret()), population=3 * SIZE)
    assert np.allclose(game.anchor.probabilities, anchor.probabilities)
    assert np.allclose(game.anchor.factors, anchor.factors, atol=2e-3)
    for ours, theirs in zip(game.anchor.margins, anchor.margins, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)
    coordinator.farewell()


def test_p04_the_noise_of_the_sums_is_that_of_all_hospitals(tmp_path):
    coordinator = Coordinator(agreement(family="copula", settings={}), channel(hospitals(tmp_path)))
    coordinator.run()
    for event in coordinator.plan.events:
        singles = [one.noise(event.name) for one in coordinator.state.members.values()]
        assert event.noise_multiplier == pytest.approx(float(np.sqrt(np.sum(np.square(singles)))))
    coordinator.farewell()


def test_a_hospital_that_is_silent_for_one_question_is_represented_by_the_others(tmp_path):
    def meddle(name, facts, reply):
        return None if (name, reply.facts.get("name")) == ("gamma", "grid") else reply

    what = agreement(family="copula", settings={})
    full = Coordinator(what, channel(hospitals(tmp_path)))
    full.run()
    other = tmp_path / "other"
    other.mkdir()
    less = Coordinator(what, channel(hospitals(other), meddle))
    less.run()
    # The first two numbers of the grid are all patients, below and above the middle.
    one, two = less.state.sums["grid"][:2].sum(), full.state.sums["grid"][:2].sum()
    assert abs(one - 900) < 150
    assert abs(two - 900) < 150
    # Bins are chosen by the noise that was planned, so that a coordinator who goes on chooses the same ones.
    assert less.state.noise == full.state.noise
    assert less.state.notices == ["gamma: was silent for 'grid'"]


def test_a_training_goes_on_without_a_hospital_that_dies(tmp_path):
    policies = hospitals(tmp_path)

    def meddle(name, facts, reply):
        return None if name == "beta" and (facts.get("round") or 0) >= 1 else reply

    coordinator = Coordinator(agreement(), channel(policies, meddle))
    made = federated(coordinator, tmp_path / "all.hgan")
    assert made.rounds == 3
    assert made.notices == ("beta: was silent in round 2", "beta: was silent in round 3")
    assert made.hospitals == SITES  # what beta had answered before is in it
    sites = {site["name"]: site for site in wg.inspect(made.path)["privacy"]["sites"]}
    steps = {
        name: {event["name"]: event.get("steps", 1) for event in site["ledger"]["events"]}["discriminator"]
        for name, site in sites.items()
    }
    assert steps == {"alpha": 150, "beta": 50, "gamma": 150}


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        (lambda reply: with_arrays(reply, lambda one: one * 1e6 + 1), "as far as the usual ones"),
        (lambda reply: with_arrays(reply, lambda one: one[:1]), "do not fit"),
        (lambda reply: Message(reply.facts), "do not fit"),
        (lambda reply: Message({**reply.facts, "round": 99}, reply.arrays), "not in step"),
        (lambda reply: Message({**reply.facts, "bill": {"mode": "none", "events": []}}, reply.arrays), "sent no bill"),
        (lambda reply: Message({**reply.facts, "bill": None}, reply.arrays), "sent no bill"),
        (lambda reply: Message({"kind": "failed", "error": "DataError"}), "DataError"),
    ],
)
def test_what_one_hospital_sends_does_not_spoil_the_others(tmp_path, change, notice):
    def meddle(name, facts, reply):
        return change(reply) if name == "gamma" and facts.get("round") == 1 else reply

    coordinator = Coordinator(agreement(), channel(hospitals(tmp_path), meddle))
    made = federated(coordinator, tmp_path / "all.hgan")
    assert made.rounds == 3
    assert any("gamma" in one and notice in one for one in made.notices), made.notices


def billed(reply, change):
    bill = json.loads(json.dumps(reply.facts["bill"]))
    change(bill)
    return Message({**reply.facts, "bill": bill}, reply.arrays)


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        (lambda bill: bill["events"][-1].update(steps=10_000), "otherwise than it had planned"),
        (lambda bill: bill["events"][0].update(noise_multiplier=0.1), "otherwise than it had planned"),
        (lambda bill: bill["events"].append({"name": "more", "mechanism": "pure", "epsilon": 1.0}), "otherwise"),
        (lambda bill: bill["events"].pop(), "less than before"),
        (lambda bill: bill.update(replayable=True), "can be replayed"),
        (lambda bill: bill.update(unbilled=["a look"]), "without a bill"),
    ],
)
def test_p05_a_hospital_that_overspends_is_left_out_from_then_on(tmp_path, change, notice):
    def meddle(name, facts, reply):
        return billed(reply, change) if name == "gamma" and facts.get("round") == 1 else reply

    coordinator = Coordinator(agreement(), channel(hospitals(tmp_path), meddle))
    made = federated(coordinator, tmp_path / "all.hgan")
    assert any("gamma" in one and notice in one for one in made.notices), made.notices
    wg.inspect(made.path)


def test_hospitals_that_plan_more_than_agreed_or_have_the_same_patients_are_not_let_in(tmp_path):
    policies = hospitals(tmp_path)

    def meddle(name, facts, reply):
        if reply.facts["kind"] != "hello":
            return reply
        found = json.loads(json.dumps(dict(reply.facts)))
        if name == "gamma":
            for event in found["plan"]["events"]:
                event["noise_multiplier"] /= 1.01
        if name == "beta":
            found["patients"] = "data-of-alpha"
        return Message(found)

    coordinator = Coordinator(agreement(), channel(policies, meddle))
    with pytest.raises(TooFewError, match="Only 1 of at least 2") as error:
        coordinator.run()
    text = "\n".join(error.value.__notes__)
    assert "gamma: plans something else" in text
    assert "beta: has the same patients as alpha" in text


def test_a_hospital_whose_policy_says_no_is_not_asked_for_anything(tmp_path):
    policies = hospitals(tmp_path)
    stern = [policies[0], policies[1], policy(tmp_path, "gamma", epsilon=1.0)]
    coordinator = Coordinator(agreement(family="copula", settings={}), channel(stern))
    coordinator.run()
    assert list(coordinator.state.members) == ["alpha", "beta"]
    assert any("the policy allows 1" in notice for notice in coordinator.state.notices)
    assert not (tmp_path / "run-gamma").exists()
    coordinator.farewell()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"epsilon": 1.5}, "the policy allows 1.5"),
        ({"delta": 1e-6}, "delta"),
        ({"rounds": 2}, "the policy allows 2"),
        ({"families": ("copula",)}, "does not allow the family tabgan"),
        ({"agreement": "sha256:" + "0" * 64}, "not the agreement"),
    ],
)
def test_a_policy_bounds_what_a_training_may_do(tmp_path, more, text):
    write_hospital(tmp_path, "alpha")
    reply = Site(policy(tmp_path, "alpha", **more)).reply(asking(agreement()))
    assert reply.facts["kind"] == "refusal"
    assert any(text in why for why in reply.facts["why"])


def test_without_privacy_only_where_the_policy_allows_it_and_somebody_answers_for_it(tmp_path):
    what = agreement(epsilon=None, family="copula", settings={})
    assert Site(policy(tmp_path, "alpha")).reply(asking(what)).facts["kind"] == "refusal"
    policies = hospitals(tmp_path, epsilon=None)
    with pytest.raises(GateError, match="without privacy"):
        federate(what, policies, tmp_path / "x.hgan")
    made = federate(what, policies, tmp_path / "x.hgan", override="A. Tester: open data")
    assert wg.load(made.path).privacy["mode"] == "none"


def test_too_few_hospitals_end_a_training_that_goes_on_later(tmp_path):
    policies = hospitals(tmp_path)
    gone = True

    def meddle(name, facts, reply):
        return None if gone and facts.get("round") == 1 and name != "alpha" else reply

    first = channel(policies, meddle)
    with pytest.raises(TooFewError, match="Only 1 of at least 2"):
        simulate_with(first, tmp_path)
    assert not (tmp_path / "all.hgan").exists()
    first.close()
    gone = False
    made = simulate_with(channel(policies, meddle), tmp_path)
    # The round that was lost was paid for (Rule P5): so one fewer counts, and nobody has spent more than planned.
    assert made.rounds == 2
    assert all(spent(one)["discriminator"] <= 150 for one in policies)
    sites = {site["name"]: site["ledger"] for site in wg.inspect(made.path)["privacy"]["sites"]}
    for one in policies:
        said = {event["name"]: event.get("steps", 1) for event in sites[one.name]["events"]}
        assert said == spent(one)


def simulate_with(found, place):
    coordinator = Coordinator(agreement(), found, folder=place / "state")
    return federated(coordinator, place / "all.hgan", force=True)


def test_a_hospital_that_was_killed_goes_on_with_its_ledger_and_asks_nothing_twice(tmp_path):
    policies = hospitals(tmp_path)
    sites = {one.name: Site(one) for one in policies}
    found = channel(policies)
    found._sites = sites
    coordinator = Coordinator(agreement(), found, folder=tmp_path / "state")
    assert not coordinator.train(1)
    before = spent(policies[0])
    sites["alpha"].close()  # a new process, the same folder
    sites["alpha"] = Site(policies[0])
    found._sites = sites
    assert coordinator.train(5)
    after = spent(policies[0])
    assert {name: steps for name, steps in after.items() if name != "discriminator"} == {
        name: steps for name, steps in before.items() if name != "discriminator"
    }
    assert after["discriminator"] == 150
    coordinator.farewell()


def test_a_state_of_another_training_or_a_damaged_one_is_refused(tmp_path):
    what = agreement(family="copula", settings={})
    coordinator = Coordinator(what, channel(hospitals(tmp_path)), folder=tmp_path / "state")
    coordinator.run()
    coordinator.farewell()
    with pytest.raises(FormatError, match="of another training"):
        Coordinator(agreement(), channel([]), folder=tmp_path / "state")
    (tmp_path / "state" / "state.npz").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="damaged"):
        Coordinator(what, channel([]), folder=tmp_path / "state")


def test_imagegan_is_trained_together(tmp_path):
    declared = {"name": "x", "images": {"size": [16, 16]}, "patient": "patient",
                "table": {"kind": {"kind": "category", "levels": ["a", "b"], "label": True}}}  # fmt: skip
    policies = []
    (tmp_path / "schema.yaml").write_text(json.dumps(declared))
    for at, name in enumerate(SITES):
        rng = np.random.default_rng(at)
        kinds = rng.integers(0, 2, 120)
        images = np.clip(rng.normal(0.3 + 0.4 * kinds[:, None, None], 0.05, (120, 16, 16)), 0, 1)
        np.savez(tmp_path / f"{name}.npz", images=(255 * images).astype(np.uint8), patients=np.arange(120),
                 kind=np.array(["a", "b"])[kinds])  # fmt: skip
        policies.append(policy(tmp_path, name, data=tmp_path / f"{name}.npz", population=120, epsilon=8.0))
    for settings, rounds in (({}, 0), ({"discriminator": 0.3, "steps": 100, "width": 4}, 2)):
        what = agreement(
            schema=wg.Schema.from_dict(declared), patients=360, epsilon=8.0, family="imagegan", settings=settings
        )
        mine = [replace(one, run=tmp_path / str(rounds) / one.name) for one in policies]
        made = federate(what, mine, tmp_path / f"{rounds}.hgan")
        assert (made.rounds, made.notices) == (rounds, ())
        found = wg.load(made.path).images(60, seed=1)
        bright = {kind: found.pixels[np.array(found.labels["kind"]) == kind].mean() for kind in "ab"}
        assert bright["b"] - bright["a"] > 0.3


# --- what an attacker tried -------------------------------------------------------------------------------------------


def asked(place, what, **more):
    site = Site(policy(place, "alpha", **more))
    found = site.reply(asking(what, noise=None, hello=True)).facts
    site.close()
    return found


def test_p04_nobody_finds_anything_out_by_asking_for_other_bounds_rules_or_patients(tmp_path):
    write_hospital(tmp_path, "alpha")
    plain = schema("x", None).to_dict()
    assert asked(tmp_path, agreement())["kind"] == "hello"
    tighter = json.loads(json.dumps(plain))
    tighter["table"]["age"]["high"] = 98
    answers = [
        asked(tmp_path, agreement(schema=wg.Schema.from_dict(tighter))),
        asked(tmp_path, agreement(schema=wg.Schema.from_dict(plain | {"rules": ["age < 99"]}))),
        asked(tmp_path, agreement(schema=wg.Schema.from_dict(plain | {"rules": ["age != 50"]}))),
    ]
    assert {one["kind"] for one in answers} == {"refusal"}
    assert len({tuple(one["why"]) for one in answers}) == 1
    # Whose a row is says the hospital: without its patients' names, each of these rows would be a patient.
    twice = (tmp_path / "alpha.csv").read_text().splitlines()
    (tmp_path / "alpha.csv").write_text("\n".join([*twice, twice[1].replace(twice[1].split(",")[1], "old", 1)]) + "\n")
    nameless = {name: value for name, value in plain.items() if name != "patient"}
    assert asked(tmp_path, agreement(schema=wg.Schema.from_dict(nameless)), run=tmp_path / "new")["kind"] == "failed"


def test_p14_all_trainings_of_a_run_folder_are_held_to_the_policys_epsilon_together(tmp_path):
    policies = hospitals(tmp_path, epsilon=2.5)
    what = agreement(family="copula", settings={}, epsilon=2.0)
    federate(what, policies, tmp_path / "one.hgan")
    again = asked(tmp_path, agreement(family="copula", settings={}, epsilon=2.0, seed=1), epsilon=2.5)
    assert again["kind"] == "refusal"
    assert "trainings before" in again["why"][0]
    assert asked(tmp_path, agreement(family="copula", settings={}, epsilon=2.0, seed=1), epsilon=4.0)["kind"] == "hello"


def test_two_trainings_of_one_agreement_are_two_costs(tmp_path):
    files, what = [], agreement(family="copula", settings={})
    for run in ("first", "second"):
        policies = [replace(one, run=tmp_path / run / one.name) for one in hospitals(tmp_path)]
        files.append(federate(what, policies, tmp_path / f"{run}.hgan").path)
    sources = [{site["source"] for site in wg.inspect(one)["privacy"]["sites"]} for one in files]
    assert not sources[0] & sources[1]
    both = wg.combine(files, tmp_path / "both.hgan", overlap=1)
    assert both.bounds.disjoint.epsilon > 2.5


def test_p05_an_answer_that_is_not_in_the_bill_does_not_count(tmp_path):
    def meddle(name, facts, reply):
        return (
            billed(reply, lambda bill: bill["events"].clear()) if name == "gamma" and "bill" in reply.facts else reply
        )

    coordinator = Coordinator(agreement(epsilon=20.0), channel(hospitals(tmp_path, epsilon=20.0), meddle))
    made = federated(coordinator, tmp_path / "all.hgan")
    assert made.hospitals == ("alpha", "beta")
    assert any("has not billed 'grid'" in one for one in made.notices)
    population = sum(one.population for one in coordinator.state.members.values())
    assert abs(coordinator.state.sums["grid"][:2].sum() - population) < 200


def test_a_hospital_that_was_not_let_in_pays_for_nothing(tmp_path):
    policies = hospitals(tmp_path)
    policies[1] = replace(policies[1], patients="data-of-alpha")
    made = federate(agreement(family="copula", settings={}), policies, tmp_path / "x.hgan")
    assert made.hospitals == ("alpha", "gamma")
    assert ledger_of(policies[1]).events == ()


def test_a_hospital_that_claims_too_many_patients_is_not_let_in(tmp_path):
    policies = hospitals(tmp_path)
    policies[2] = replace(policies[2], population=1_000_000)
    made = federate(agreement(family="copula", settings={}), policies, tmp_path / "x.hgan")
    assert made.hospitals == ("alpha", "beta")
    assert any("gamma" in one and "agreed on" in one for one in made.notices)


@pytest.mark.parametrize("factor", [1e300, -1e9])
def test_answers_that_no_patients_could_give_are_left_out(tmp_path, factor):
    def meddle(name, facts, reply):
        big = name == "gamma" and reply.facts["kind"] == "answer"
        return with_arrays(reply, lambda one: one * factor) if big else reply

    coordinator = Coordinator(agreement(family="copula", settings={}), channel(hospitals(tmp_path), meddle))
    coordinator.run()
    assert any("cannot give" in one for one in coordinator.state.notices)
    coordinator.farewell()


@pytest.mark.parametrize("events", [[5], "x", [{"name": 5}], [{}]])
def test_a_bill_that_is_none_ends_nobody_elses_training(tmp_path, events):
    def meddle(name, facts, reply):
        odd = name == "gamma" and reply.facts["kind"] == "answer"
        return billed(reply, lambda bill: bill.update(events=events)) if odd else reply

    coordinator = Coordinator(agreement(family="copula", settings={}), channel(hospitals(tmp_path), meddle))
    coordinator.run()
    assert any(one.startswith("gamma: ") for one in coordinator.state.notices)
    coordinator.farewell()


def test_hospitals_whose_weights_do_not_move_divide_nothing_by_zero(tmp_path):
    def meddle(name, facts, reply):
        if name == "alpha" or facts.get("round") is None:
            return reply
        return Message(reply.facts, still)

    still = {}
    found = channel(hospitals(tmp_path), meddle)
    plain = found.ask

    def ask(message):
        still.clear()
        still.update({f"weight/{name}": one for name, one in message.part("weight").items()})
        return plain(message)

    found.ask = ask
    coordinator = Coordinator(agreement(), found)
    coordinator.run()
    assert coordinator.state.round == 3
    coordinator.farewell()


def test_one_hospital_that_says_it_is_done_does_not_end_the_training(tmp_path):
    def meddle(name, facts, reply):
        spent = Message({"kind": "spent", "round": facts.get("round"), "bill": reply.facts.get("bill")})
        return spent if name == "beta" and facts.get("round") == 0 else reply

    coordinator = Coordinator(agreement(), channel(hospitals(tmp_path), meddle))
    coordinator.run()
    assert coordinator.state.round == 3
    coordinator.farewell()


def test_a_training_whose_steps_are_all_spent_is_released_from_its_state(tmp_path):
    policies = hospitals(tmp_path)
    lost = {"beta", "alpha", "gamma"}

    def meddle(name, facts, reply):
        return None if facts.get("round") == 2 and name in lost else reply

    found = channel(policies, meddle)
    with pytest.raises(TooFewError):
        simulate_with(found, tmp_path)
    lost.clear()
    coordinator = Coordinator(agreement(), found, folder=tmp_path / "state")
    assert coordinator.train(10)
    later = Coordinator(agreement(), channel([]), folder=tmp_path / "state")
    assert later.state.over
    made = federated(later, tmp_path / "all.hgan")
    assert made.rounds == 2
    assert "2 of 3 rounds counted; the hospitals have spent all steps of the others." in made.notices
    found.close()


def test_p05_an_answer_that_was_paid_for_is_not_given_to_another_question(tmp_path):
    write_hospital(tmp_path, "alpha")
    one = policy(tmp_path, "alpha")
    what = agreement(family="copula", settings={}, least=2)
    first = Coordinator(what, channel(hospitals(tmp_path)))
    first.run()
    for site in first._channel._sites.values():
        site.close()
    # A coordinator without its state adds up other sums, on which other bins hang.
    site = Site(one)
    noise, members = first.state.noise, [each.part for each in first.state.members.values()]
    facts = {"noise": noise, "members": members, "wanted": "label tables"}
    grid = first.state.sums["grid"]
    same = site.reply(asking(what, {"sum/grid": grid}, **facts))
    assert same.facts["kind"] == "answer"
    site.close()
    other = Site(one).reply(asking(what, {"sum/grid": grid[::-1].copy()}, **facts))
    assert (other.facts["kind"], other.facts["error"]) == ("failed", "BudgetError")


def test_what_would_refuse_the_release_is_said_before_anybody_spends_anything(tmp_path):
    policies = hospitals(tmp_path)
    with pytest.raises(UsageError):
        federate(agreement(), policies, tmp_path / "x.hgan", key=tmp_path / "missing.key")
    with pytest.raises(GateError, match="person: reason"):
        federate(agreement(), policies, tmp_path / "x.hgan", override="because")
    assert not list(tmp_path.glob("run-*"))


def test_what_is_agreed_on_has_no_bounds_to_learn():
    open_ended = schema("x", None).to_dict()
    open_ended["table"]["age"] = {"kind": "integer", "learn": True}
    with pytest.raises(SchemaError, match="age: bounds or levels are not declared"):
        agreement(schema=wg.Schema.from_dict(open_ended))


def test_families_and_settings_that_cannot_be_trained_together_are_refused_at_once():
    with pytest.raises(PlanError, match="not trained by several hospitals"):
        agreement(family="marginal", settings={})
    with pytest.raises(PlanError, match="tables of pairs"):
        agreement(settings={"pairs": 0.3})
    with pytest.raises(UsageError, match="more than 1000"):
        agreement(settings={"steps": 100_000})
    with pytest.raises(UsageError, match="least=4"):
        agreement(least=4)


def test_an_existing_file_stays_and_two_hospitals_need_two_names(tmp_path):
    policies = hospitals(tmp_path)
    (tmp_path / "all.hgan").write_text("mine")
    with pytest.raises(OutputError):
        federate(agreement(), policies, tmp_path / "all.hgan")
    assert (tmp_path / "all.hgan").read_text() == "mine"
    with pytest.raises(UsageError, match="called 'alpha'"):
        federate(agreement(), [policies[0], policies[0]], tmp_path / "x.hgan")


def test_a_hospital_with_other_columns_fails_by_itself(tmp_path):
    policies = hospitals(tmp_path)
    (tmp_path / "gamma.csv").write_text("id,arm,weight\n1,old,70\n")
    made = federate(agreement(family="copula", settings={}), policies, tmp_path / "x.hgan")
    assert made.hospitals == ("alpha", "beta")
    # Why stays in the hospital's log; nobody else learns more than the kind.
    assert [one for one in made.notices if "gamma" in one] == ["gamma: does not take part (DataError)"]


def test_everybody_makes_the_same_generator_from_the_same_sums(tmp_path):
    write_hospital(tmp_path, "alpha")
    what = agreement()
    layout = Layout.of(what.schema)
    assert what.fits(schema("alpha", 300))
    assert not what.fits(wg.Schema.from_dict(schema("alpha", 300).to_dict() | {"rules": ["age < 90"]}))
    assert len(layout) == 2

"""What ends a training of several hospitals, or keeps one of them out: spent steps, versions, other trainings."""

from dataclasses import replace

import pytest

import wardgan as wg
from federating_kit import SITES, agreement, asking, channel, hospitals, policy, write_hospital
from wardgan._version import __version__
from wardgan.errors import BudgetError, UsageError
from wardgan.federating import site as site_module
from wardgan.federating.coordinator import Coordinator, TooFewError
from wardgan.federating.here import federate
from wardgan.federating.release import federated
from wardgan.federating.site import Site
from wardgan.federating.wire import PROTOCOL, Message, strange, versions
from wardgan.privacy.ledger import Ledger

COPULA = {"family": "copula", "settings": {}}
OLD = {"protocol": PROTOCOL - 1, "wardgan": "0.0.9"}


def ledger_of(one):
    return Ledger.resume(next(one.run.glob("*/ledger.jsonl")))


def in_file(made, name):
    (found,) = [site for site in wg.inspect(made.path)["privacy"]["sites"] if site["name"] == name]
    return {event["name"]: event.get("steps", 1) for event in found["ledger"]["events"]}


# --- steps that are spent ---------------------------------------------------------------------------------------------


def test_an_agreement_whose_steps_all_hospitals_have_spent_is_no_training_of_no_round(tmp_path):
    policies, what = hospitals(tmp_path), agreement()
    federate(what, policies, tmp_path / "first.hgan", folder=tmp_path / "state")
    for folder in (None, tmp_path / "new", tmp_path / "new"):
        with pytest.raises(BudgetError, match=r"alpha, beta, gamma have already spent .* another seed"):
            federate(what, policies, tmp_path / "second.hgan", folder=folder)
    assert not (tmp_path / "second.hgan").exists()
    assert all(ledger_of(one).events[-1].steps == 150 for one in policies)
    # Both ways out work: the state of the training, and another agreement.
    assert federate(what, policies, tmp_path / "second.hgan", folder=tmp_path / "state").rounds == 3
    more = [replace(one, epsilon=5.0) for one in policies]
    assert federate(replace(what, seed=1), more, tmp_path / "third.hgan").rounds == 3


# --- too few ----------------------------------------------------------------------------------------------------------


def test_fewer_policies_than_hospitals_are_needed_are_refused_before_anything_is_spent(tmp_path):
    policies, what = hospitals(tmp_path), agreement(**COPULA)
    with pytest.raises(UsageError, match=r"1 hospital named, and the agreement needs at least 2 \(least\)"):
        federate(what, policies[:1], tmp_path / "all.hgan")
    assert not list(tmp_path.glob("run-*"))
    # A training that is over needs nobody.
    federate(what, policies, tmp_path / "all.hgan", folder=tmp_path / "state")
    assert federate(what, policies[:1], tmp_path / "again.hgan", folder=tmp_path / "state").hospitals == SITES


def test_who_could_be_asked_is_counted_when_too_few_take_part(tmp_path):
    with pytest.raises(TooFewError) as error:
        Coordinator(agreement(**COPULA), channel(hospitals(tmp_path)[:1])).run()
    assert "Only 1 of at least 2 hospitals took part; 1 hospital could be asked. What" in str(error.value)
    stern = [replace(one, families=("tabgan",)) for one in hospitals(tmp_path)]
    with pytest.raises(TooFewError, match="3 hospitals could be asked; silent or refused: alpha, beta, gamma"):
        Coordinator(agreement(**COPULA), channel(stern)).run()


# --- versions ---------------------------------------------------------------------------------------------------------


def both(text):
    """Whether a text names both versions, for people and for programs."""
    return all(
        one in text
        for one in ("0.0.9", __version__, f"protocol {PROTOCOL - 1}", f"protocol {PROTOCOL}", "install the same")
    )


@pytest.mark.parametrize("odd", [{}, OLD, {"protocol": PROTOCOL + 1}, {"protocol": True}, {"protocol": "1"}])
def test_messages_of_another_protocol_are_known(odd):
    assert strange(versions() | {"more": 1}) is None
    assert f"wardgan {__version__}" in strange(odd)


def test_a_version_is_never_more_than_a_version():
    found = strange({"protocol": "x" * 500, "wardgan": "\x1b[31m" + "y" * 500})
    assert "xxx" not in found
    assert "yyy" not in found
    assert "speaks no protocol (wardgan of an unknown version)" in found


def test_a_hospital_whose_wardgan_is_older_introduces_itself_in_vain_and_pays_nothing(tmp_path):
    policies = hospitals(tmp_path)

    def old(name, facts, reply):
        return Message({**reply.facts, **OLD}) if (name, reply.facts["kind"]) == ("gamma", "hello") else reply

    coordinator = Coordinator(agreement(**COPULA), channel(policies, old))
    made = federated(coordinator, tmp_path / "all.hgan")
    assert made.hospitals == ("alpha", "beta")
    (notice,) = [one for one in made.notices if one.startswith("gamma: ")]
    assert both(notice), notice
    assert ledger_of(policies[2]).events == ()


def test_a_hospital_refuses_questions_of_another_protocol_before_it_reads_them(tmp_path):
    write_hospital(tmp_path, "alpha")
    one = Site(policy(tmp_path, "alpha"))
    found = one.reply(Message({"agreement": "something else by then", **OLD}))
    assert found.facts["kind"] == "refusal"
    assert both(found.facts["why"][0])
    assert not (tmp_path / "run-alpha").exists()
    # It is not the end: whoever coordinates may have brought its version up to date meanwhile.
    assert one.reply(asking(agreement(), noise=None, hello=True)).facts["kind"] == "hello"
    one.close()


def test_a_hospital_that_comes_back_with_an_older_wardgan_is_left_out_and_its_ledger_stays_right(tmp_path, monkeypatch):
    policies = hospitals(tmp_path)
    found = channel(policies)
    coordinator = Coordinator(agreement(), found)
    assert not coordinator.train(1)
    found._sites["gamma"].close()
    found._sites["gamma"] = older = Site(policies[2])

    def strangely(facts):
        other = f"speaks protocol {PROTOCOL} (wardgan {__version__}), and here it is protocol {PROTOCOL - 1}"
        return f"{other} (wardgan 0.0.9); install the same version of wardgan on both sides"

    plain = older.reply

    def reply(message):
        with monkeypatch.context() as patch:
            patch.setattr(site_module, "strange", strangely)
            return plain(message)

    older.reply = reply
    made = federated(coordinator, tmp_path / "all.hgan")
    assert made.rounds == 3
    assert made.hospitals == SITES
    notices = [one for one in made.notices if one.startswith("gamma: ")]
    assert [one.partition(" (")[0] for one in notices] == [f"gamma: was not in step in round {at}" for at in (2, 3)]
    assert all(both(one) for one in notices), notices
    assert in_file(made, "gamma") == {event.name: event.steps for event in ledger_of(policies[2]).events}
    assert in_file(made, "gamma")["discriminator"] == 50
    assert in_file(made, "alpha")["discriminator"] == 150


# --- bills, bounds and other trainings --------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [1, 2])
def test_p05_a_hospital_that_died_after_one_or_two_answers_has_its_ledger_in_the_file(tmp_path, answers):
    policies = hospitals(tmp_path)
    given = []

    def meddle(name, facts, reply):
        if name == "gamma" and reply.facts["kind"] == "answer":
            given.append(reply.facts["name"])
        return reply

    found = channel(policies, meddle)
    plain = found.ask

    def ask(message):
        if len(given) == answers and "gamma" in found._sites:
            found._sites.pop("gamma").close()
        return plain(message)

    found.ask = ask
    made = federated(Coordinator(agreement(**COPULA), found), tmp_path / "all.hgan")
    assert made.hospitals == SITES
    assert list(in_file(made, "gamma")) == given
    assert in_file(made, "gamma") == {event.name: event.steps for event in ledger_of(policies[2]).events}
    assert len(given) == answers
    assert len(in_file(made, "alpha")) > answers


def test_a_round_has_at_most_20_blocks_whatever_an_agreement_says(tmp_path):
    one = policy(tmp_path, "alpha")
    assert one.refusals(agreement(blocks=20)) == []
    assert one.refusals(agreement(blocks=21)) == ["A round has 21 blocks of steps; 20 are allowed."]


def test_a_hospital_takes_part_in_one_training_at_a_time(tmp_path):
    write_hospital(tmp_path, "alpha")
    one, what = Site(policy(tmp_path, "alpha", epsilon=9.0)), agreement()
    assert one.reply(asking(what, noise=None, hello=True)).facts["kind"] == "hello"
    other = one.reply(asking(agreement(seed=1), noise=None, hello=True))
    assert (other.facts["kind"], other.facts["why"]) == ("refusal", ["Another training is going on."])
    assert len(list((tmp_path / "run-alpha").iterdir())) == 1
    assert one.reply(asking(what, noise=None, hello=True)).facts["kind"] == "hello"
    one.close()

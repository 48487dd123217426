"""Every attack sees an effect that was planted, and sees none where there is none."""

import numpy as np
import pytest

from attack_kit import CLINIC, VISITS, clinic, parties, question, rounds
from wardgan.attack import Parties, battery, leak
from wardgan.attack.copies import certain_copies, copied, nearer_to_training
from wardgan.attack.inference import guessed, secrets
from wardgan.attack.linkage import linked, singled_by_many, singled_by_one
from wardgan.attack.membership import area, arena, epsilon, found, most_isolated
from wardgan.attack.result import FEWEST
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort

SEEDS = range(3)
N = 1200


def planted(share=0.3, noise=0.02, seed=0):
    return lambda train, fresh: leak(train, fresh, share=share, noise=noise, seed=Seed(seed))


def both(seed, attack, *, n=N, share=0.3, noise=0.02, make=clinic):
    """The result on patients whom the generator cannot know, and on the planted leak."""
    safe = attack(parties(n, seed, make))
    leaking = attack(parties(n, seed, make, planted(share, noise, seed)))
    return safe, leaking


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["nearest", "distance", "forest"])
@pytest.mark.parametrize("make", [clinic, rounds])
def test_membership(seed, name, make):
    schema = CLINIC if make is clinic else VISITS
    areas, shares, bounds = [], [], []
    for synthetic in (None, planted(seed=seed)):
        scores = arena(parties(2000, seed, make, synthetic), seed=Seed(seed))
        mine = scores.members[name], scores.others[name]
        areas.append(area(question(f"membership.{name}.auc", schema), *mine))
        shares.append(found(question(f"membership.{name}.tpr_1", schema), *mine, 0.01))
        asked = question(f"membership.{name}.epsilon", schema)
        bounds.append(epsilon(asked, *mine, delta=1e-5, seed=Seed(seed)))
    for safe, _ in (areas, shares, bounds):
        assert safe.verdict != "leak"
        assert safe.estimate.baseline == safe.chance
    assert areas[1].verdict == "leak"
    assert areas[1].estimate.value > 0.6
    assert areas[1].curve is not None
    if name != "forest":
        assert shares[1].verdict == bounds[1].verdict == "leak"
        assert 0.2 < shares[1].estimate.value < 0.4
        assert bounds[1].estimate.value > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_most_isolated(seed):
    asked = question("membership.worst.auc")
    found = []
    for synthetic in (None, planted(0.8, seed=seed)):
        scores = arena(parties(3000, seed, clinic, synthetic), seed=Seed(seed))
        members, others = most_isolated(scores)
        assert members.size + others.size == pytest.approx(0.05 * sum(scores.sizes), rel=0.05)
        found.append(area(asked, members, others))
    assert found[0].verdict != "leak"
    assert found[1].verdict == "leak"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("secret", ["hiv", "ward", "balance"])
def test_inference(seed, secret):
    """A flag, a category, and a number of which half of the values are negative."""
    safe, leaking = both(
        seed, lambda each: guessed(each, secret, question(f"inference.{secret}"), seed=Seed(seed)), n=2500
    )
    assert safe.verdict != "leak"
    assert leaking.verdict == "leak"
    assert 0.18 < leaking.estimate.value < 0.42


@pytest.mark.parametrize("secret", ["died", "load"])
def test_inference_of_an_event_and_of_a_visit(secret):
    for seed in SEEDS:
        asked = question(f"inference.{secret}", VISITS)
        safe, leaking = both(seed, lambda each, asked=asked: guessed(each, secret, asked, seed=Seed(1)), make=rounds)
        assert safe.verdict != "leak"
        assert leaking.verdict == "leak"


@pytest.mark.parametrize("sign", [1, -1])
def test_negative_numbers_are_guessed_as_well_as_positive_ones(sign):
    def turned(cohort):
        return Cohort(
            cohort.schema, {**cohort.static, "balance": sign * cohort.static["balance"]}, {}, None, cohort.patients
        )

    train, holdout, fresh = (turned(clinic(800, seed)) for seed in (1, 2, 3))
    each = Parties.of(train, holdout, leak(train, fresh, seed=Seed(1)))
    result = guessed(each, "balance", question("inference.balance"), seed=Seed(1))
    assert result.estimate.value == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [clinic, rounds])
@pytest.mark.parametrize(("attack", "name"), [(linked, "linkability"), (singled_by_many, "singling_out.many")])
def test_linking_and_singling_out(seed, make, attack, name):
    asked = question(name, CLINIC if make is clinic else VISITS)
    safe, leaking = both(seed, lambda each: attack(each, asked, seed=Seed(seed)), make=make)
    assert safe.verdict != "leak"
    assert leaking.verdict == "leak"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_value_singles_out_only_where_it_is_copied_exactly(seed):
    """Noise hides a copy from this attack, which is why it is not the only one."""
    asked = question("singling_out.one")
    safe, leaking = both(seed, lambda each: singled_by_one(each, asked, seed=Seed(seed)), noise=0.0, share=0.6)
    assert safe.verdict != "leak"
    assert leaking.verdict == "leak"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [clinic, rounds])
def test_copies(seed, make):
    schema = CLINIC if make is clinic else VISITS
    for attack, name in ((copied, "copies.excess"), (certain_copies, "copies.certain")):
        safe, leaking = both(seed, lambda each: attack(each, question(name, schema)), noise=0.0, make=make)  # noqa: B023
        assert safe.verdict == "clear"
        assert leaking.verdict == "leak"
        assert leaking.estimate.value == pytest.approx(0.3, abs=0.06)


def test_one_copy_is_one_too_many():
    train, holdout, fresh = (clinic(400, seed) for seed in (1, 2, 3))
    one = leak(train, fresh, share=1 / 400, noise=0.0, seed=Seed(1))
    result = certain_copies(Parties.of(train, holdout, one), question("copies.certain"))
    assert (result.estimate.value * result.estimate.n, result.verdict) == (1, "leak")


def test_the_same_patient_again_and_again_is_seen():
    train, holdout, _ = (clinic(400, seed) for seed in (1, 2, 3))
    asked = Parties.of(train, holdout, train.take(np.zeros(400, dtype=np.intp)))
    assert certain_copies(asked, question("copies.certain")).verdict == "leak"


@pytest.mark.parametrize("seed", SEEDS)
def test_nearer_to_training_is_information_only(seed):
    safe, leaking = both(seed, lambda each: nearer_to_training(each, question("nearer_to_training"), seed=Seed(1)))
    assert safe.verdict is leaking.verdict is None
    assert abs(safe.estimate.value - 0.5) < 0.06
    assert leaking.estimate.value > 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_of_few_values_raise_no_alarm(seed):
    """Everybody occurs among the synthetic patients here, because there are 16 kinds of patients."""
    few = [clinic(900, 10 * seed + part) for part in range(3)]
    constant = {"age": 50.0, "balance": 0.0, "crp": np.nan, "sbp": 120.0, "weight": 80.0}
    few = [
        Cohort(CLINIC, {**each.static, **{name: np.full(900, value) for name, value in constant.items()}}, {}, None,
               each.patients) for each in few
    ]  # fmt: skip
    found = battery(*few, seed=Seed(seed))
    assert found.leaks == ()
    assert found["copies.certain"].verdict == found["inference.balance"].verdict == "unclear"
    assert found["inference.balance"].power.reason


@pytest.mark.parametrize("make", [clinic, rounds])
def test_no_attack_raises_an_alarm_on_safe_generators(make):
    """Joint intervals: about one battery in twenty may."""
    alarms = 0
    for seed in range(12):
        found = battery(*(make(400, 100 + 10 * seed + part) for part in range(3)), seed=Seed(seed))
        alarms += bool(found.leaks)
    assert alarms <= 2


def test_secrets_are_the_declared_ones_and_otherwise_labels_flags_and_events():
    from wardgan.schema.schema import Schema

    def of(table, **more):
        return secrets(Schema.from_dict({"name": "demo", "table": table, **more}))

    number, flag = {"kind": "integer", "low": 0, "high": 9}, {"kind": "flag"}
    assert of({"a": {**number, "sensitive": True}, "b": flag}) == ("a",)
    assert of({"a": number, "b": flag, "c": {**flag, "label": True}}) == ("b", "c")
    assert of({"z": number, "t": number, "e": {"kind": "category", "levels": ["x", "y"]}}, events={
        "time": "t", "event": "e"}) == ("e", "t")  # fmt: skip
    assert of({"a": number, "b": number}) == ("a", "b")
    assert of({"a": {**number, "high": 0, "sensitive": True}, "b": flag}) == ("b",)
    assert FEWEST == 50

"""The fast attacks against slow, obvious ones on a few patients, and what must not change a result."""

import numpy as np
import pytest

from attack_kit import CLINIC, VISITS, clinic, parties, question, rounds
from wardgan.attack import Parties, battery, leak
from wardgan.attack.chance import unlikely
from wardgan.attack.copies import certain_copies, copied, nearer_to_training
from wardgan.attack.inference import guessed, tolerance
from wardgan.attack.linkage import _even, halves, linked, singled_by_many, singled_by_one
from wardgan.attack.membership import arena
from wardgan.attack.patients import keys
from wardgan.estimate import excess
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.schema import Schema


def far(one, two, numeric):
    total = 0.0
    for a, b, number in zip(one, two, numeric, strict=True):
        if (a < 0) != (b < 0):
            total += 1
        elif a >= 0:
            total += abs(float(a) - float(b)) if number else float(a != b)
    return total


def nearest_of(one, base, numeric):
    return int(np.argmin([round(far(one, two, numeric), 5) for two in base]))


@pytest.fixture(scope="module", params=["clinic", "rounds"])
def few(request):
    make = {"clinic": clinic, "rounds": rounds}[request.param]
    return parties(70, 4, make, lambda train, fresh: leak(train, fresh, share=0.4, noise=0.0, seed=Seed(1)))


def test_membership_scores_are_those_of_a_loop(few):
    found = arena(few, seed=Seed(3))
    order = Seed(3).stream("attack/halves").permutation(len(few.holdout))
    reference = few.holdout[np.sort(order[: len(order) // 2])]
    others = few.holdout[np.sort(order[len(order) // 2 :])]
    assert not set(keys(reference).tolist()) & set(keys(others).tolist())
    numeric = few.variables.numeric
    for people, scores, alone in zip((few.train, others), (found.members, found.others), found.isolation, strict=True):
        count = numeric.size
        near = [min(far(one, two, numeric) for two in few.synthetic) / count for one in people]
        apart = [min(far(one, two, numeric) for two in reference) / count for one in people]
        np.testing.assert_allclose(scores["distance"], -np.array(near), atol=1e-5)
        np.testing.assert_allclose(alone, apart, atol=1e-5)
        ratio = (np.array(apart) + 1e-4) / (np.array(near) + 1e-4)
        np.testing.assert_allclose(np.exp(scores["nearest"]), ratio, rtol=2e-3)


@pytest.mark.parametrize(
    ("make", "secret"), [(clinic, "ward"), (clinic, "balance"), (rounds, "died"), (rounds, "load")]
)
def test_guesses_are_those_of_a_loop(make, secret):
    each = parties(80, 5, make, lambda train, fresh: leak(train, fresh, share=0.5, noise=0.01, seed=Seed(1)))
    schema = CLINIC if make is clinic else VISITS
    names, sources = each.variables.names, each.variables.sources
    hidden = {"died", "days"} if secret == "died" else {secret}
    kept = [at for at, source in enumerate(sources) if source not in hidden]
    cells = (
        [names.index(secret)] if secret in names else [names.index(f"{secret}@{slot}") for slot in ("RZ", "1M", "2M")]
    )
    numeric = each.variables.numeric

    def value(row):
        seen = [row[at] for at in cells if row[at] >= 0]
        return seen[-1] if seen else None

    made = [row for row in each.synthetic if value(row) is not None]
    away = float(tolerance(np.array([value(row) for row in made]))) if numeric[cells[0]] else 0.0
    right = []
    for people in (each.train, each.holdout):
        hits = {}
        for row in people:
            if value(row) is not None:
                twin = made[nearest_of(row[kept], [other[kept] for other in made], numeric[kept])]
                level = -1.0 if numeric[cells[0]] else float(value(row))
                hits.setdefault(level, []).append(abs(value(twin) - value(row)) <= away)
        right.append(hits)
    common = [level for level in sorted(right[0]) if min(len(hits.get(level, ())) for hits in right) >= 20]
    rare = [[hit for level in hits if level not in common for hit in hits[level]] for hits in right]
    strata = [[(sum(hits[level]), len(hits[level])) for level in common] for hits in right]
    if min(map(len, rare)) >= 20:
        strata = [[*mine, (sum(more), len(more))] for mine, more in zip(strata, rare, strict=True)]
    found = guessed(each, secret, question(f"inference.{secret}", schema), seed=Seed(1))
    expected = excess(*strata)
    assert (found.estimate.value, found.estimate.baseline) == pytest.approx((expected.value, expected.baseline))
    assert (found.estimate.low, found.estimate.high) == pytest.approx((expected.low, expected.high))


def test_links_are_those_of_a_loop(few):
    one, two = halves(few.variables, Seed(2))
    assert sorted([*one, *two]) == list(range(len(few.variables.names)))
    assert one
    assert two
    numeric, trials = few.variables.numeric, []
    for people in (few.train, few.holdout):
        hits = [
            nearest_of(row[one], few.synthetic[:, one], numeric[one])
            == nearest_of(row[two], few.synthetic[:, two], numeric[two])
            for row in people
        ]
        trials.append([(sum(hits), len(hits))])
    schema = CLINIC if "ward" in few.variables.names else VISITS
    assert linked(few, question("linkability", schema), seed=Seed(2)).estimate.value == excess(*trials).value


def test_visits_of_a_column_stay_in_one_half(few):
    one, two = ({few.variables.sources[at] for at in half} for half in halves(few.variables, Seed(5)))
    assert not one & two


def coarse(n, seed):
    """Patients of a few kinds, so that several meet most predicates."""
    people = clinic(n, seed)
    wide = {"age": 20, "balance": 10, "sbp": 30, "weight": 30, "crp": 60}
    static = {
        name: codes if name not in wide else np.round(codes / wide[name]) * wide[name] + 0.1
        for name, codes in people.static.items()
    }
    return Cohort(CLINIC, static, {}, None, people.patients)


@pytest.mark.parametrize("make", [clinic, rounds, coarse])
def test_singling_out_is_that_of_a_loop(make):
    few = parties(70, 4, make, lambda train, fresh: leak(train, fresh, share=0.4, noise=0.0, seed=Seed(1)))
    schema = VISITS if make is rounds else CLINIC
    stream = Seed(6).stream("attack/predicates")
    count = len(few.variables.names)
    near = [0.0] * count
    for at in range(count):
        known = few.synthetic[:, at][few.synthetic[:, at] >= 0]
        if few.variables.numeric[at]:
            near[at] = float(tolerance(known))
    hits = np.zeros((2, 70), dtype=int)
    for number, at in enumerate(stream.permutation(70)):
        mine = stream.permutation(count)[: stream.integers((count + 1) // 2, count + 1)]
        target = few.synthetic[at]
        for part, people in enumerate((few.train, few.holdout)):
            hits[part, number] = sum(
                all(
                    (row[c] < 0) == (target[c] < 0) and (row[c] < 0 or abs(row[c] - target[c]) <= np.float32(near[c]))
                    for c in mine
                )
                for row in people
            )
    assert make is not coarse or (hits > 1).any()
    expected = excess(*([(int((part == 1).sum()), 70)] for part in hits))
    assert singled_by_many(few, question("singling_out.many", schema), seed=Seed(6)).estimate.value == expected.value


def test_single_values_are_those_of_a_loop(few):
    schema = CLINIC if "ward" in few.variables.names else VISITS
    predicates = []
    for at, numeric in enumerate(few.variables.numeric):
        made = few.synthetic[:, at].tolist()
        predicates += [lambda row, at=at, v=v: row[at] == v for v in sorted(set(made)) if made.count(v) == 1]
        if numeric:
            low, high = min(v for v in made if v >= 0), max(made)
            predicates += [lambda row, at=at, v=low: 0 <= row[at] <= v, lambda row, at=at, v=high: row[at] >= v]
    chosen = Seed(6).stream("attack/values").permutation(len(predicates))[:1000]
    trials = [
        [(sum(sum(predicates[at](row) for row in people) == 1 for at in chosen), len(chosen))]
        for people in (few.train, few.holdout)
    ]
    assert (
        singled_by_one(few, question("singling_out.one", schema), seed=Seed(6)).estimate.value == excess(*trials).value
    )


def test_copies_are_those_of_a_loop(few):
    schema = CLINIC if "ward" in few.variables.names else VISITS
    train, holdout, made = ([tuple(row) for row in rows] for rows in (few.train, few.holdout, few.synthetic))
    real = train + holdout
    trials = [[(sum(r in made for r in rows if real.count(r) == 1), sum(real.count(r) == 1 for r in rows))]
              for rows in (train, holdout)]  # fmt: skip
    assert copied(few, question("copies.excess", schema)).estimate.value == excess(*trials).value
    assert trials[0][0][0] > 10
    assert certain_copies(few, question("copies.certain", schema)).estimate.value * len(train) >= 10


def test_what_several_patients_share_is_no_copy():
    train, holdout, fresh = (clinic(90, seed) for seed in (1, 2, 3))
    train = joined([train, train.take(slice(0, 20))])
    synthetic = joined([train.take(slice(0, 30)), fresh])
    each = Parties.of(train, holdout, synthetic)
    for attack, name in ((copied, "copies.excess"), (certain_copies, "copies.certain")):
        found = attack(each, question(name)).estimate
        assert round(found.value * found.n) == 10
        assert 65 <= found.n <= 70


@pytest.mark.parametrize("sizes", [(200, 90), (90, 200)])
def test_singling_out_compares_as_many_patients(sizes):
    each = Parties.of(clinic(sizes[0], 1), clinic(sizes[1], 2), clinic(60, 3))
    train, holdout = _even(each, Seed(1))
    assert len(train) == len(holdout) == 90
    assert {*keys(train).tolist()} <= {*keys(each.train).tolist()}
    assert {*keys(holdout).tolist()} <= {*keys(each.holdout).tolist()}


def test_nearer_to_training_is_that_of_a_loop(few):
    schema = CLINIC if "ward" in few.variables.names else VISITS
    numeric, score = few.variables.numeric, 0.0
    for row in few.synthetic:
        one, two = (min(round(far(row, other, numeric), 5) for other in people) for people in (few.train, few.holdout))
        score += 1.0 if one < two else 0.5 if one == two else 0.0
    found = nearer_to_training(few, question("nearer_to_training", schema), seed=Seed(1)).estimate
    assert found.value == pytest.approx(int(score) / 70)


def test_unlikely_is_the_product_of_frequencies():
    r = np.random.default_rng(1)
    population = np.column_stack([r.integers(0, 1000, 3000), r.integers(0, 1000, 3000), r.integers(0, 2, 3000)])
    population = population.astype(np.float32)
    for row in population[:40]:
        share = np.prod([(population[:, at] == row[at]).mean() for at in range(3)])
        for trials in (1, 10**4):
            assert unlikely(row[None], population, "abc", trials=trials)[0] == (trials * share < 1e-6)


def test_what_follows_from_the_visit_before_is_no_surprise():
    r = np.random.default_rng(1)
    dose = np.repeat(r.integers(1, 21, 2000), 24).reshape(2000, 24).astype(np.float32)
    assert not unlikely(dose, dose, ["dose"] * 24, trials=2000).any()
    pressure = r.integers(60, 200, (2000, 12)).astype(np.float32)
    assert unlikely(pressure, pressure, ["sbp"] * 12, trials=2000).all()


def test_what_is_missing_together_is_no_surprise():
    r = np.random.default_rng(1)
    labs = np.where(r.random((2000, 1)) < 0.01, -1, r.random((2000, 10))).astype(np.float32)
    missing = (labs < 0).all(axis=1)
    assert 0 < missing.sum() < 60
    assert np.array_equal(unlikely(labs, labs, "abcdefghij", trials=2000), ~missing)


def turned(cohort, seed):
    """The same patients in another order, their columns declared in another order."""
    r = np.random.default_rng(seed)
    order = r.permutation(len(cohort))
    found = cohort.take(order)
    given = cohort.schema.to_dict()
    table = dict(r.permutation(np.array(list(given["table"].items()), dtype=object)))
    visits = given.get("visits")
    if visits:
        visits = {**visits, "columns": dict(reversed(visits["columns"].items()))}
    schema = Schema.from_dict({**given, "table": table, **({"visits": visits} if visits else {})})
    static = {name: found.static[name] for name in reversed(list(found.static))}
    return Cohort(schema, static, found.measured, found.present, found.patients)


@pytest.mark.parametrize("make", [clinic, rounds])
def test_order_of_patients_and_of_columns_does_not_matter(make):
    cohorts = [make(150, seed) for seed in (1, 2, 3)]
    cohorts[2] = leak(cohorts[0], cohorts[2], seed=Seed(1))
    plain = battery(*cohorts, seed=Seed(9))
    assert battery(*(turned(each, 7) for each in cohorts), seed=Seed(9)).to_dict() == plain.to_dict()
    assert battery(*cohorts, seed=Seed(9)).to_dict() == plain.to_dict()
    assert battery(*cohorts, seed=Seed(10)).to_dict() != plain.to_dict()


def test_every_patient_of_the_holdout_is_a_reference_or_tested(few):
    found = arena(few, seed=Seed(1))
    assert found.sizes == (70, 35)

"""Public counts of real patients: what they ask, what they cost, and that they carry the noise that they claim."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_kit as kit
import wardgan as wg
from wardgan.dossier import paid
from wardgan.dossier.paid import (
    EVENT,
    MODEL,
    PaidCounts,
    Recognised,
    can_be_paid,
    paid_counts,
    plain_counts,
    read_counts,
)
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, encode
from wardgan.errors import BudgetError, FormatError, UsageError
from wardgan.evaluate.utility import score_classifiers
from wardgan.models.fit import fit
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.spending import Account
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed

ROOT = math.sqrt(2)
DEMO = kit.schema(
    {
        "sex": {"kind": "flag", "nullable": True},
        "arm": {"kind": "category", "levels": ["a", 3, "x y"], "label": True},
        "grade": {"kind": "category", "levels": [0, 1, 2], "nullable": True},
        "stage": {"kind": "category", "groups": {"low": ["I", "II"], "high": ["III"]}, "nullable": True},
        "age": {"kind": "integer", "low": 0, "high": 99, "nullable": True},
        "crp": {"kind": "number", "low": 1, "high": 1000, "scale": "log"},
        "began": {"kind": "date", "low": "2020-01-01", "high": "2021-01-01", "nullable": True},
        "died": {"kind": "flag", "label": True},
    },
    {
        "key": "visit",
        "max_visits": 3,
        "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260, "nullable": True}},
    },
)
TARGETS = ("arm", "died", "sex", "stage", "grade")
SOURCE = kit.generator(DEMO, tilt=0.4)
POOL = SOURCE.draw(120, seed=9)


def question(target):
    teachers = SOURCE.draw(150, seed=1).wide(named=False)
    return Recognised(Layout.of(DEMO), teachers, target, paid.classes_to_find(SOURCE.schema, target), Seed(1))


QUESTIONS = {target: question(target) for target in TARGETS}


def asked(query, cohort):
    return query.total(encode(cohort, query.layout), classes_of(cohort))


def one_by_one(query, cohort):
    """Counts patients one at a time; each meets a classifier that was taught for them alone."""
    column = DEMO.column(query.target)
    found = np.zeros((2, len(query.classes)))
    for at in range(len(cohort)):
        patient = cohort.take(np.array([at]))
        code = patient.static[query.target][0]
        if math.isnan(code):
            continue
        name = ("False", "True")[int(code)] if column.kind == "flag" else str(column.levels[int(code)])
        row = patient.wide()[list(query.synthetic.columns)]
        score = score_classifiers(query.synthetic, row, target=query.target, seed=query.seed, models=(MODEL,))[MODEL]
        found[0, query.classes.index(name)] += 1
        found[1, query.classes.index(name)] += score.correct
    return found.ravel()


@pytest.mark.parametrize("target", TARGETS)
def test_all_at_once_is_the_same_as_one_patient_at_a_time(target):
    query, cohort = QUESTIONS[target], POOL.take(np.arange(30))
    found = asked(query, cohort)
    np.testing.assert_array_equal(found, one_by_one(query, cohort))
    people, right = found.reshape(2, -1)
    assert people.sum() == np.isfinite(cohort.static[target]).sum()
    assert (people > 0).all()
    assert 0 < right.sum() < people.sum()  # else the count of the recognised would not be tested


places = st.lists(st.integers(0, len(POOL) - 1), max_size=12)


@given(target=st.sampled_from(TARGETS), rows=places, more=places)
@settings(deadline=None, max_examples=25)
def test_p01_the_total_is_the_sum_and_no_patient_answers_for_another(target, rows, more):
    query = QUESTIONS[target]

    def total(chosen):
        return asked(query, POOL.take(np.array(chosen, dtype=int)))

    whole = total(rows + more)
    assert whole.shape == (2 * len(query.classes),)
    np.testing.assert_array_equal(whole, total(rows) + total(more))
    np.testing.assert_array_equal(whole, total((rows + more)[::-1]))


@pytest.mark.parametrize("target", TARGETS)
def test_p01_no_patient_weighs_more_than_the_sensitivity_and_one_weighs_that(target):
    query = QUESTIONS[target]
    parts = [asked(query, POOL.take(np.array([at]))) for at in range(60)]
    np.testing.assert_array_equal(asked(query, POOL.take(np.arange(60))), np.sum(parts, axis=0))
    norms = [np.linalg.norm(part) for part in parts]
    assert query.sensitivity == ROOT
    assert max(norms) == pytest.approx(ROOT)
    if DEMO.column(target).nullable:
        assert min(norms) == 0


@given(kit.cohorts())
@settings(deadline=None, max_examples=12)
def test_p01_whatever_the_schema_the_total_is_the_sum(cohort):
    schema = cohort.schema
    targets = [column.name for column in schema.table if not column.numeric and not column.constant]
    if not targets or cohort.wide().shape[1] - (schema.patient is not None) < 2:
        return
    source = kit.generator(schema)
    teachers = source.draw(40, seed=1).wide(named=False)
    target = targets[-1]
    if teachers[target].isna().all():
        return
    query = Recognised(Layout.of(schema), teachers, target, paid.classes_to_find(source.schema, target), Seed(1))
    parts = [asked(query, cohort.take(np.array([at]))) for at in range(len(cohort))]
    np.testing.assert_array_equal(asked(query, cohort), np.sum(parts, axis=0))
    assert max(np.linalg.norm(part) for part in parts) <= query.sensitivity * (1 + 1e-12)
    assert sum(part[: len(query.classes)].sum() for part in parts) == np.isfinite(cohort.static[target]).sum()


# --- the interval ---------------------------------------------------------------------------------------------------


def counts(people=(60.0, 50.0), recognised=(40.0, 30.0), epsilon=1.0, **more):
    noise = 1 / gaussian_mu(epsilon, 1e-5)
    made = PaidCounts(
        "died", tuple("abcdefgh"[: len(people)]), MODEL, 100, people, recognised, epsilon, 1e-5, noise, ROOT
    )
    return replace(made, **more)


@pytest.mark.parametrize("epsilon", [0.15, 0.5, 20.0])
@pytest.mark.parametrize("sizes", [(3.5, 3.5), (4.0, 20.0), (5.0, 5.0, 8.0, 30.0), (40.0, 90.0)])
@pytest.mark.parametrize("recall", [0.05, 0.5, 0.8, 1.0])
def test_the_interval_holds_the_truth_with_noise_and_few_patients(epsilon, sizes, recall):
    rng = np.random.default_rng(round(1000 * epsilon + 100 * recall + sum(sizes)))
    sd = counts(epsilon=epsilon).sd
    people = np.array([max(12, round(size * sd)) for size in sizes])
    truth = (recall - 1 / len(sizes)) / (1 - 1 / len(sizes))
    shown = held = 0
    for _ in range(500):
        right = rng.binomial(people, recall) + sd * rng.normal(size=people.size)
        noisy = people + sd * rng.normal(size=people.size)
        found = counts(tuple(noisy.tolist()), tuple(right.tolist()), epsilon).skill()
        if found is not None:
            shown += 1
            held += found.low <= truth <= found.high
    assert shown > 200
    assert held / shown >= 0.93


def test_the_skill_is_none_of_guessing_and_one_of_everybody():
    for people, right, value in (
        ((1e4, 1e4), (5e3, 5e3), 0.0), ((1e4, 1e4), (1e4, 1e4), 1.0), ((1e4, 1e4), (0.0, 0.0), -1.0),
        ((1e4, 2e4), (1e4, 0.0), 0.0), ((1e4,) * 4, (1e4, 0.0, 0.0, 0.0), 0.0), ((1e4,) * 4, (0.0,) * 4, -1 / 3),
        ((1e4, 1e4), (1.1e4, 1.1e4), 1.0),
    ):  # fmt: skip
        found = counts(people, right).skill()
        assert found.value == pytest.approx(value)
        assert -1 / (len(people) - 1) - 1e-9 <= found.low <= found.value + 1e-9 <= found.high + 1e-9 <= 1 + 1e-9
        assert (found.n, found.baseline) == (round(sum(people)), 0.0)
        assert found.high - found.low < 0.05


def test_the_skill_is_hidden_where_the_noise_hides_a_class():
    sd = counts().sd
    assert counts((3.01 * sd, 500.0), (5.0, 300.0)).skill() is not None
    for people in ((2.99 * sd, 500.0), (500.0, 0.0), (-5.0, 500.0)):
        assert counts(people, (5.0, 300.0)).skill() is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=4), st.floats(0.01, 90))
@settings(max_examples=200)
def test_whatever_was_counted_gives_numbers_or_nothing(people, epsilon):
    found = counts(tuple(people), tuple(people[::-1]), epsilon)
    assert found.problem() == ""
    skill = found.skill()
    if skill is not None:
        assert all(map(math.isfinite, (skill.value, skill.low, skill.high)))
        assert skill.low <= skill.value + 1e-9 <= skill.high + 2e-9


# --- the bill of foreign counts -------------------------------------------------------------------------------------

BROKEN = {
    "fewer counts": ({"people": (1.0,)}, "one count for each class"),
    "more recognised": ({"recognised": (1.0, 2.0, 3.0)}, "one count for each class"),
    "one class": ({"classes": ("a",), "people": (1.0,), "recognised": (1.0,)}, "one count for each class"),
    "endless classes": ({"classes": tuple(map(str, range(51))), "people": (1.0,) * 51, "recognised": (1.0,) * 51},
                        "one count for each class"),
    "no epsilon": ({"epsilon": 0.0}, "out of range"), "a negative epsilon": ({"epsilon": -1.0}, "out of range"),
    "no delta": ({"delta": 0.0}, "out of range"), "delta of one": ({"delta": 1.0}, "out of range"),
    "no noise": ({"noise_multiplier": 0.0}, "out of range"), "less than none": ({"noise_multiplier": -3.0}, "out of"),
    "a patient counts less": ({"sensitivity": 1.0}, "below that of the question"),
    "a patient counts nothing": ({"sensitivity": 0.0}, "below that of the question"),
    "less noise": ({"noise_multiplier": 0.99 / gaussian_mu(1.0, 1e-5)}, "too small for the epsilon"),
    "a smaller epsilon": ({"epsilon": 0.98}, "too small for the epsilon"),
    "a smaller delta": ({"delta": 8e-6}, "too small for the epsilon"),
    "more patients than people": ({"people": (1e300, 1e300)}, "counts are out of range"),
    "more recognised than people": ({"recognised": (1.0, -1e10)}, "counts are out of range"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_bill_is_found(name):
    assert counts().problem() == ""
    change, phrase = BROKEN[name]
    found = replace(counts(), **change)
    assert phrase in found.problem()
    with pytest.raises(FormatError, match=phrase):
        read_counts(json.loads(json.dumps(asdict(found))), "x.json")


def test_more_noise_or_a_larger_sensitivity_is_no_lie():
    assert counts(noise_multiplier=9.0).problem() == counts(sensitivity=2.0).problem() == ""


@pytest.mark.parametrize("change", [
    {"hook": 1}, {"people": None}, {"people": ["1", "2"]}, {"epsilon": "1"}, {"taught": 1.5}, {"classes": [1, 2]},
    {"people": [math.nan, 1.0]}, {"epsilon": math.inf}, {"target": None},
])  # fmt: skip
def test_what_are_no_counts(change):
    found = plain_counts(counts())
    assert read_counts(found, "x.json") == counts()
    with pytest.raises(FormatError, match=r"^x\.json: the paid counts are malformed"):
        read_counts(found | change, "x.json")
    for nothing in ([], "x", 3, {}):
        with pytest.raises(FormatError, match="malformed"):
            read_counts(nothing, "x.json")


# --- asking ---------------------------------------------------------------------------------------------------------

TABLE = {
    "age": {"kind": "integer", "low": 0, "high": 99},
    "sbp": {"kind": "integer", "low": 50, "high": 260, "nullable": True},
    "died": {"kind": "flag", "label": True},
}
CLINIC = kit.schema(TABLE, name="clinic", population=600)
PEOPLE = kit.generator(CLINIC, tilt=1.0)


@pytest.fixture(autouse=True)
def few_teachers(monkeypatch):
    """A classifier learns from 400 patients as from 10,000; each test asks several times."""
    monkeypatch.setattr(paid, "TAUGHT", 400)


@pytest.fixture
def book(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def run(tmp_path, book):
    """A private run that was entered in an institution's ledger."""
    fit(PEOPLE.draw(600, seed=2), Budget(2.0), family="copula", run=tmp_path / "run", accounts=Account(book))
    return tmp_path / "run"


HELD = PEOPLE.draw(300, seed=4)


def ask(run, holdout=HELD, *, share=0.5, seed=1, noise=None, **more):
    trained = wg.Trained.load(run)
    return paid_counts(
        run, trained.generator, holdout, target="died", share=share, seed=Seed(seed), noise=noise, **more
    )


def entries(book):
    with Accounts.open(book, writable=False) as accounts:
        return [entry for each in accounts.show() for entry in each.entries]


def figures(book):
    return [entry for entry in entries(book) if entry.kind == "figure"]


def reads(monkeypatch):
    """Counts how often patients are handed out or asked."""
    seen = []
    real = Recognised.total

    def total(self, units, classes):
        seen.append(len(units))
        return real(self, units, classes)

    monkeypatch.setattr(Recognised, "total", total)
    return seen


def test_p14_a_figure_is_asked_once_and_entered_once(run, book, monkeypatch):
    seen = reads(monkeypatch)
    first = ask(run)
    assert ask(run) == ask(run) == first
    assert seen == [300]
    (entry,) = figures(book)
    assert (entry.family, entry.state, entry.replayable) == ("dossier", "done", False)
    (event,) = entry.events
    assert (event.name, event.mechanism, event.steps) == (EVENT, "gaussian", 1)
    assert event.noise_multiplier == first.noise_multiplier
    assert entry.plan.budget.epsilon == first.epsilon == 1.0
    assert first.problem() == ""
    assert 1 / first.noise_multiplier == pytest.approx(gaussian_mu(1.0, first.delta), rel=1e-3)
    assert (first.target, first.classes, first.taught) == ("died", ("False", "True"), 400)
    with Accounts.open(book, writable=False) as accounts:
        (found,) = accounts.show()
    assert found.total().epsilon > 2.0  # the fit has spent almost 2, and the figure comes on top


def test_p14_another_question_pays_again(run, book, monkeypatch):
    seen = reads(monkeypatch)
    first = ask(run)
    assert ask(run, share=0.25).epsilon == 0.5
    assert ask(run, seed=2).people != first.people
    assert seen == [300, 300, 300]
    assert len(figures(book)) == 3
    assert ask(run) == first
    assert len(figures(book)) == 3


def test_p13_how_often_it_was_asked_hangs_on_nobody(run, book, monkeypatch):
    """The public edition says how many questions there were, so another hold-out must not make one more of the same."""
    seen = reads(monkeypatch)
    first = ask(run)
    for other in (PEOPLE.draw(300, seed=5), HELD.take(np.arange(299))):
        with pytest.raises(UsageError, match="was put to another hold-out"):
            ask(run, other)
        assert ask(run, other, seed=int(other.static["age"].sum())).people != first.people
    assert seen == [300, 300, 299]
    assert len(figures(book)) == 3
    assert paid.all_paid(run, 1e-5)[0] == 3


def test_p14_a_holdout_pays_as_the_patients_that_it_was_read_as(run, book):
    """A fit of the same file finds what it has paid, though its levels were recoded for the generator."""
    raw = PEOPLE.draw(300, seed=5)
    ask(run, HELD, pays=raw)
    with Accounts.open(book) as accounts:
        assert accounts.whose(accounts.patients(raw)).how == "same patients"
        assert accounts.whose(accounts.patients(HELD)).how == "same schema name"


def test_p13_the_noise_is_there_and_of_the_size_that_is_paid_for(run):
    query = paid._query(wg.Trained.load(run).generator, "died", ("False", "True"), Seed(1))
    truth = asked(query, HELD)
    first = ask(run, share=0.1, noise=Seed(1))
    assert first.sensitivity == query.sensitivity == ROOT
    assert first.sd == first.noise_multiplier * ROOT
    expected = truth + first.sd * Seed(1).normals(4, EVENT)
    np.testing.assert_allclose([*first.people, *first.recognised], expected, atol=first.sd * 2e-6)
    assert np.abs(np.array([*first.people, *first.recognised]) - truth).max() > 0.1 * first.sd


def test_p13_two_measurements_with_secret_noise_differ(tmp_path):
    fit(PEOPLE.draw(600, seed=2), Budget(2.0), family="copula", run=tmp_path / "run")
    found = []
    for _ in range(2):
        found.append(ask(tmp_path / "run", share=0.1))
        for path in sorted((tmp_path / "run" / "figures").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    one, other = (np.array([*each.people, *each.recognised]) for each in found)
    assert (np.abs(one - other) > 0.01).all()
    assert np.abs(one - other).max() < 12 * found[0].sd


def test_replayable_noise_is_a_rehearsal(run, book):
    ask(run, noise=Seed(1))
    (entry,) = figures(book)
    assert entry.replayable


def test_p14_a_cap_refuses_before_anybody_is_read(run, book, monkeypatch):
    with Accounts.open(book, create=False) as accounts:
        accounts.cap(Budget(2.2))
    seen = reads(monkeypatch)

    def refuse(*_args, **_more):
        raise AssertionError("patients were read")

    with monkeypatch.context() as closed:
        closed.setattr(Records, "__init__", refuse)
        with pytest.raises(BudgetError, match="is left"):
            ask(run)
    assert seen == []
    assert figures(book) == []
    assert not list((run / "figures").rglob("*")) if (run / "figures").exists() else True
    assert ask(run, share=0.02).epsilon == 0.04
    assert seen == [300]


def test_p04_it_is_billed_before_it_is_read_and_paid_for_if_it_fails(run, book, monkeypatch):
    class Killed(BaseException):
        """Ends the process in the middle."""

    def killed(_self, _units, _classes):
        (place,) = (run / "figures").iterdir()
        assert Ledger.resume(place / "ledger.jsonl").steps(EVENT) == 1
        (entry,) = figures(book)
        assert entry.state == "open"
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(Recognised, "total", killed)
        with pytest.raises(Killed):
            ask(run)
    (entry,) = figures(book)
    assert entry.state == "failed"
    assert [event.steps for event in entry.events] == [1]
    seen = reads(monkeypatch)
    with pytest.raises(BudgetError):
        ask(run)
    assert seen == []
    assert len(figures(book)) == 1


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_an_answer_that_was_paid_for_and_is_lost_is_not_asked_again(run, damage, monkeypatch):
    ask(run)
    (kept,) = (run / "figures").rglob("*.npy")
    kept.unlink() if damage == "lost" else kept.write_bytes(kept.read_bytes()[:20])
    seen = reads(monkeypatch)
    with pytest.raises(BudgetError):
        ask(run)
    assert seen == []


def test_a_figure_that_was_begun_and_not_billed_says_what_to_do(run, monkeypatch):
    def stopped(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Records, "measure", stopped)
        with pytest.raises(KeyboardInterrupt):
            ask(run)
    with pytest.raises(BudgetError, match="was begun and not finished; remove the folder"):
        ask(run)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan, math.inf, True, "0.5", None])
def test_a_share_that_is_none(run, share, book):
    with pytest.raises(UsageError, match="public_share"):
        ask(run, share=share)
    assert figures(book) == []


def test_a_share_of_everything_is_the_generators_epsilon(run):
    assert ask(run, share=1).epsilon == 2.0


def test_without_privacy_there_is_nothing_to_take_a_share_of(tmp_path):
    fit(PEOPLE.draw(600, seed=2), privacy="none", family="copula", run=tmp_path / "run")
    with pytest.raises(UsageError, match="claims no privacy"):
        ask(tmp_path / "run")
    assert "Nothing protects" in can_be_paid(wg.Trained.load(tmp_path / "run").generator, "died")


def test_who_cannot_pay():
    private = replace(PEOPLE, privacy={"mode": "private", "epsilon": 1.0, "delta": 1e-5})
    assert can_be_paid(private, "died") == ""
    assert "no label" in can_be_paid(private, None)
    many = kit.schema({"code": {"kind": "category", "levels": list(range(51)), "label": True}, "f": {"kind": "flag"}})
    wide = replace(kit.generator(many), privacy=private.privacy)
    assert "2 to 50 classes" in can_be_paid(wide, "code")

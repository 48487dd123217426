"""Noisy tables of several hospitals add up."""

import base64
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import wardgan as wg
from combining_kit import hospital, patients, schema, table
from wardgan.cli.main import app
from wardgan.combining import pooling
from wardgan.combining.pooling import pool, pooled, read_survey, survey
from wardgan.combining.tables import read_tables, write_tables
from wardgan.encode.layout import Layout
from wardgan.encode.scales import border_units
from wardgan.errors import FormatError, GateError, OutputError, PlanError, TrustError, UsageError
from wardgan.models.anchor.answered import LABELS, answered
from wardgan.models.anchor.survey import Survey
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.columns import Column
from wardgan.simulate.world import World

COLUMNS = table(
    drug={"kind": "category", "levels": [f"d{at}" for at in range(40)]},
    weight={"kind": "number", "low": 30, "high": 200, "step": 1, "nullable": True},
)
SIZES = {"alpha": 300, "beta": 500, "gamma": 40}


def cohort(name, seed=0, **more):
    return patients(schema(name, SIZES[name], COLUMNS), SIZES[name], seed, **more)


def answer(place, name, asked, *, epsilon=2.0, key=None, data=None, seed=0):
    run = place / f"run-{name}"
    try:
        wg.fit(cohort(name, seed), wg.Budget(epsilon), family=wg.CopulaConfig(survey=asked), run=run)
    except PlanError:
        assert name == "gamma"  # too small for a generator of its own
    return write_tables(run, place / f"{name}.tables", key=key, training_data_id=data or f"data-of-{name}")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    wg.new_key(place / "key", name="Tester", trust=place / "trust.json")
    (place / "schema.yaml").write_text(json.dumps(schema("all", None, COLUMNS).to_dict()))
    asked = survey(schema("all", None, COLUMNS), patients=840, hospitals=3, budget=wg.Budget(2.0))
    (place / "survey.json").write_text(json.dumps(asked.to_dict()))
    for at, name in enumerate(SIZES):
        answer(place, name, asked, key=place / "key", seed=at)
    return place


@pytest.fixture(scope="module")
def asked(home):
    return read_survey(home / "survey.json", schema("any", 5, COLUMNS))


def files(home, *names):
    return [home / f"{name}.tables" for name in names or SIZES]


def test_answers_to_a_survey_add_up_to_those_of_all_patients_together(asked):
    parts = [cohort(name, at) for at, name in enumerate(SIZES)]
    alone = [answered(Records(one, Ledger(None), noise=Seed.secret()), asked) for one in parts]
    whole = replace(
        parts[0], static={name: np.concatenate([one.static[name] for one in parts]) for name in parts[0].static},
        patients=np.arange(sum(map(len, parts))),
    )  # fmt: skip
    together = answered(Records(whole, Ledger(None), noise=Seed.secret()), asked)
    assert set(together.answers) == {"grid", "level totals", "label tables", "class means", "covariance"}
    for name, total in together.answers.items():
        assert np.allclose(total, sum(one.answers[name] for one in alone), atol=1e-6), name


def test_p04_the_noise_of_a_sum_is_what_all_noises_give(home, monkeypatch):
    found = [read_tables(one) for one in files(home)]
    plans = []

    def spy(layout, plan, sums):
        plans.append(plan)
        return original(layout, plan, sums)

    original = pooling.Answered
    monkeypatch.setattr(pooling, "Answered", spy)
    pooled(found, "all", {"mode": "private", "epsilon": 2.0, "delta": 1e-5})
    for event in plans[0].events:
        single = [next(e.noise_multiplier for e in one.ledger.events if e.name == event.name) for one in found]
        assert event.noise_multiplier == pytest.approx(math.sqrt(sum(one**2 for one in single)))


def test_a_hospital_too_small_for_a_generator_still_counts(home, tmp_path):
    with pytest.raises(PlanError):
        wg.fit(cohort("gamma"), wg.Budget(2.0), family="copula")
    made = pool(files(home), tmp_path / "all.hgan", overlap=1, key=home / "key", trust=home / "trust.json")
    assert made.hospitals == ("alpha", "beta", "gamma")
    assert abs(made.patients - 840) < 200
    assert made.bounds.disjoint.epsilon == pytest.approx(2.0, rel=0.01)
    assert made.notices == ()


def test_the_generator_says_where_it_comes_from_and_is_verified(home, asked, tmp_path):
    made = pool(files(home), tmp_path / "all.hgan", key=home / "key")
    found = wg.verify(made.path, home / "trust.json")
    assert found.epsilon == pytest.approx(made.bounds.worst.epsilon)
    assert found.epsilon > 3.0  # whoever is in all three
    facts = wg.inspect(made.path)
    assert facts["privacy"]["origin"] == {"how": "pooled", "of": asked.digest}
    assert [site["patients"] for site in facts["privacy"]["sites"]] == [f"data-of-{name}" for name in SIZES]
    assert facts["card"]["training_data_id"].startswith("joint-")
    assert wg.load(made.path).schema.population == 840


def test_the_sum_is_nearer_to_the_patients_than_one_hospital(home, tmp_path):
    made = wg.load(pool(files(home), tmp_path / "all.hgan").path).sample(4_000, seed=1)
    truth = np.concatenate([cohort(name, at).frame()["age"].to_numpy() for at, name in enumerate(SIZES)])
    # The noise of the answers moves the mean age by 1.2 (one standard deviation of 24 runs, the largest 3.2). Without
    # any patient it would be the middle of the bounds, nearly 9 away.
    assert abs(made["age"].mean() - truth.mean()) < 7
    assert abs((made["arm"] == "new").mean() - 0.3) < 0.1


def test_the_same_tables_give_the_same_generator(home, tmp_path):
    one = pool(files(home), tmp_path / "x.hgan", name="x", created="2026-01-31").path.read_bytes()
    assert one == pool(files(home), tmp_path / "y.hgan", name="x", created="2026-01-31").path.read_bytes()


def test_tables_that_do_not_belong_together_are_refused(home, asked, tmp_path):
    with pytest.raises(UsageError, match="at least two"):
        pool(files(home, "alpha"), tmp_path / "x.hgan")
    with pytest.raises(UsageError, match="the same patients"):
        pool(files(home, "alpha", "alpha"), tmp_path / "x.hgan")
    other = survey(schema("all", None, COLUMNS), patients=8_400, hospitals=3, budget=wg.Budget(4.0))
    assert other.digest != asked.digest
    answer(tmp_path, "beta", other)
    with pytest.raises(UsageError, match="different surveys"):
        pool([*files(home, "alpha"), tmp_path / "beta.tables"], tmp_path / "x.hgan")
    with pytest.raises(TrustError, match="revoked"):
        pool(files(home), tmp_path / "x.hgan", revoked=[read_tables(home / "beta.tables").digest])
    with pytest.raises(TrustError):
        pool([*files(home, "alpha"), tmp_path / "beta.tables"], tmp_path / "x.hgan", trust=home / "trust.json")
    assert not (tmp_path / "x.hgan").exists()


def test_tables_of_one_run_under_two_names_do_not_add_up(home, tmp_path):
    again = write_tables(home / "run-alpha", tmp_path / "again.tables", training_data_id="data-of-somebody")
    with pytest.raises(UsageError, match="the same patients"):
        pool([*files(home, "alpha"), again], tmp_path / "x.hgan")


def test_a_survey_is_about_one_schema_and_one_family(home, asked):
    fewer = schema("any", 300)
    with pytest.raises(FormatError, match="other columns, bounds"):
        read_survey(home / "survey.json", fewer)
    with pytest.raises(FormatError, match="other columns, bounds"):
        wg.fit(patients(fewer, 300, 0), wg.Budget(1.0), family=wg.CopulaConfig(survey=asked))
    with pytest.raises(UsageError, match="answered no survey"):
        write_tables(home / "run-none", home / "none.tables")


def broken(asked, change):
    found = json.loads(json.dumps(asked.to_dict()))
    change(found)
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["levels"][0].update(edges=[0.5, 0.2]),
        lambda found: found["levels"][0].update(edges=[0.5], size=9),
        lambda found: found["levels"][0]["edges"].__setitem__(slice(0, 2), found["levels"][0]["edges"][1::-1]),
        lambda found: found["levels"][2].update(groups=[0] * 39),
        lambda found: found["levels"][2].update(groups=[0] * 39 + [7]),
        lambda found: found["scores"][0].pop(),
        lambda found: found["scores"][0].__setitem__(0, 1e9),
        lambda found: found["scores"][0].__setitem__(0, float("nan")),
        lambda found: found["order"][0].__setitem__(0, 1),
        lambda found: found.update(radius=0),
        lambda found: found.update(radius=1e-180),
        lambda found: found["scores"][0].__setitem__(0, 1e-170),
        lambda found: found.update(radius=float("nan")),
        lambda found: found.update(patients=0),
        lambda found: found.update(version=2),
        lambda found: found.pop("levels"),
        lambda found: found.update(levels=found["levels"][1:]),
    ],
)
def test_a_survey_whose_numbers_mean_nothing_is_refused(asked, change):
    with pytest.raises(FormatError, match="survey"):
        Survey.of_dict(broken(asked, change), Layout.of(schema("any", 5, COLUMNS)))


def several(body):
    site = {"patients": "data-of-alpha", "source": "sha256:" + "0" * 64, "name": "x", "ledger": body["ledger"]}
    plain = {name: body["ledger"][name] for name in ("mode", "unit", "neighbours", "replayable", "epsilon", "delta")}
    origin = {"how": "pooled", "of": "sha256:" + "0" * 64}
    return plain | {"version": 2, "unbilled": [], "events": [], "origin": origin, "sites": [site]}


def changed(home, tmp_path, change):
    found = json.loads((home / "alpha.tables").read_text())
    change(found["tables"])
    found["signature"] = None
    path = tmp_path / "changed.tables"
    path.write_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    return path


def doubles(values):
    return base64.b64encode(np.array(values, dtype="<f8").tobytes()).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["answers"].update({"label tables": "no base64!"}),
        lambda body: body["answers"].update({"label tables": doubles([float("nan")])}),
        lambda body: body["answers"].pop("grid"),
        lambda body: body["answers"].update(more=doubles([1.0])),
        lambda body: body["ledger"]["events"][0].update(noise_multiplier=0.01),
        lambda body: body["ledger"].update(replayable=True),
        lambda body: body["ledger"]["events"][0].update(steps=2, noise_multiplier=1e3),
        lambda body: body["ledger"]["events"][0].update(mechanism="pure", epsilon=0.01),
        lambda body: body.update(ledger=several(body)),
        lambda body: body["ledger"].update(mode="none"),
        lambda body: body.update(patients="x"),
        lambda body: body.update(format="other"),
        lambda body: body.pop("survey"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(home, tmp_path, change):
    with pytest.raises(FormatError):
        read_tables(changed(home, tmp_path, change))


def test_answers_of_another_length_are_refused_before_anything_is_made(home, tmp_path):
    path = changed(home, tmp_path, lambda body: body["answers"].update({LABELS: doubles([1.0, 2.0])}))
    with pytest.raises((FormatError, UsageError)):
        pool([path, *files(home, "beta")], tmp_path / "x.hgan")
    assert not (tmp_path / "x.hgan").exists()


def test_what_was_changed_after_signing_is_noticed(home, tmp_path):
    text = (home / "alpha.tables").read_text()
    path = tmp_path / "forged.tables"
    path.write_text(text.replace('"patients":"data-of-alpha"', '"patients":"data-of-delta"'))
    with pytest.raises(TrustError):
        read_tables(path)


def test_tables_of_a_rehearsal_or_without_noise_never_leave(asked, tmp_path):
    config = wg.CopulaConfig(survey=asked)
    wg.fit(cohort("beta"), wg.Budget(2.0), family=config, run=tmp_path / "again", seed=1)
    with pytest.raises(GateError, match="rehearsal"):
        write_tables(tmp_path / "again", tmp_path / "x.tables")
    wg.fit(cohort("beta"), family=config, run=tmp_path / "open", privacy="none")
    with pytest.raises(GateError, match="without noise"):
        write_tables(tmp_path / "open", tmp_path / "x.tables")
    assert not (tmp_path / "x.tables").exists()


def test_a_survey_needs_a_declared_number_of_patients(asked):
    with pytest.raises(PlanError, match="population"):
        wg.plan(schema("any", None, COLUMNS), wg.Budget(2.0), family=wg.CopulaConfig(survey=asked))


def test_p04_a_question_that_leaves_no_room_for_noise_is_not_asked(tmp_path):
    from wardgan.errors import BudgetError
    from wardgan.privacy.events import Event
    from wardgan.privacy.plan import Plan

    class Tiny:
        sensitivity = 1e-180

        def total(self, units, classes):
            return np.zeros(1)

    plan = Plan(wg.Budget(1.0), (Event("x", "gaussian", noise_multiplier=3.8),), 40, "copula")
    ledger = Ledger(plan)
    with pytest.raises(BudgetError, match="no room for noise"):
        Records(cohort("gamma"), ledger, noise=Seed.secret()).measure("x", Tiny())
    assert ledger.events == ()


def test_a_survey_can_be_made_for_patients_like_those_of_a_generator(tmp_path):
    path = hospital(tmp_path, "pilot", 2_000, age=80)
    declared = schema("all", None)
    plain = survey(declared, patients=4_000, hospitals=2, budget=wg.Budget(3.0))
    like = survey(declared, patients=4_000, hospitals=2, budget=wg.Budget(3.0), like=path)
    at = Layout.of(declared).names.index("age")
    middle = np.mean([(80 - 18 + 0.5) / 82])
    assert abs(np.median(like.levels[at].edges) - middle) < abs(np.median(plain.levels[at].edges) - middle)
    with pytest.raises(UsageError, match="other columns"):
        survey(schema("all", None, COLUMNS), patients=4_000, hospitals=2, budget=wg.Budget(3.0), like=path)
    public = replace(wg.load(path).draw(20_000), schema=declared)
    same = survey(declared, patients=4_000, hospitals=2, budget=wg.Budget(3.0), like=public, public=True)
    assert same.like == ()


def test_p14_a_cohort_makes_a_survey_only_if_somebody_says_that_it_is_public(home, tmp_path):
    declared = schema("all", None, COLUMNS)
    mine = replace(cohort("beta"), schema=declared)
    with pytest.raises(GateError, match="nothing tells whether its patients are public") as refused:
        survey(declared, patients=840, hospitals=3, budget=wg.Budget(2.0), like=mine)
    assert "public=True" in str(refused.value)
    for like in (None, home / "survey.json"):
        with pytest.raises(UsageError, match="public=True is said of a cohort"):
            survey(declared, patients=840, hospitals=3, budget=wg.Budget(2.0), like=like, public=True)


def test_whose_terms_apply(home, tmp_path):
    """The first hospital's terms are not those of the others; equal ones are everybody's."""
    found = [read_tables(one) for one in files(home)]
    own = [{"licence": "CC-BY-4.0"}, {"licence": "ask us"}, {}]
    made = [
        pooled(found, "x", {}),
        pooled([replace(one, schema=replace(one.schema, terms=own[0])) for one in found], "x", {}),
    ]
    other = [replace(one, schema=replace(one.schema, terms=terms)) for one, terms in zip(found, own, strict=True)]
    made.append(pooled(other, "x", {}))
    terms = [one.schema.terms for one, _ in made]
    assert terms == [{}, own[0], {"note": "Each member has terms of its own, and all of them apply."}]


def test_a_person_is_told_of_other_terms_of_strangers_and_of_who_is_missing(home, tmp_path, monkeypatch):
    wg.new_key(tmp_path / "else", name="Else", trust=tmp_path / "else.json")
    declared = replace(schema("beta", SIZES["beta"], COLUMNS), terms={"licence": "ask us"})
    asked = read_survey(home / "survey.json", declared)
    run = tmp_path / "run"
    wg.fit(replace(cohort("beta", 5), schema=declared), wg.Budget(2.0), family=wg.CopulaConfig(survey=asked), run=run)
    strange = write_tables(run, tmp_path / "beta.tables", key=tmp_path / "else", training_data_id="data-of-beta")
    monkeypatch.setenv("WARDGAN_TRUST", str(home / "trust.json"))
    call = ["pool", "add", *map(str, files(home, "alpha")), str(strange), "-o", str(tmp_path / "x.hgan"), "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert {name: (one["status"], one["name"]) for name, one in said["signers"].items()} == {
        "alpha": ("verified", "Tester"), "beta": ("unknown key", None)
    }  # fmt: skip
    stranger = said["signers"]["beta"]["keyid"]
    first, second, third = said["notices"]
    assert first == f"tables of beta: signed by a key that no trust file here knows, {stranger[:16]}..."
    assert second.startswith(
        "The survey was made for 3 hospitals with about 840 patients; here are the tables of 2, with"
    )
    assert third.startswith("terms: not the same in all members")
    assert wg.load(tmp_path / "x.hgan").schema.terms["note"].startswith("Each member has terms of its own")


def test_rules_change_no_question_and_all_hospitals_need_the_same_ones(tmp_path):
    def ruled(name, *rules):
        return wg.Schema.from_dict(schema(name, 400).to_dict() | {"rules": list(rules)})

    asked = survey(ruled("all", "age < 95"), patients=800, hospitals=2, budget=wg.Budget(2.0))
    for name, rule in (("one", "age < 95"), ("two", "age < 95"), ("odd", "age < 96")):
        made = patients(ruled(name, rule), 400, 1)
        wg.fit(made, wg.Budget(2.0), family=wg.CopulaConfig(survey=asked), run=tmp_path / name)
        write_tables(tmp_path / name, tmp_path / f"{name}.tables", training_data_id=f"data-of-{name}")
    whole = wg.load(pool([tmp_path / "one.tables", tmp_path / "two.tables"], tmp_path / "x.hgan").path)
    assert whole.sample(2_000, seed=1)["age"].max() < 95
    with pytest.raises(UsageError, match="other rules"):
        pool([tmp_path / "one.tables", tmp_path / "odd.tables"], tmp_path / "y.hgan")


def test_on_the_command_line(tmp_path):
    run = CliRunner()
    place = tmp_path
    declared = schema("all", None)
    (place / "schema.yaml").write_text(json.dumps(declared.to_dict()))
    call = [
        "pool",
        "survey",
        str(place / "schema.yaml"),
        "-o",
        str(place / "s.json"),
        "--patients",
        "800",
        "--hospitals",
        "2",
    ]
    found = run.invoke(app, call)
    assert found.exit_code == 0, found.output
    assert "Note: it was made for simulated patients" in " ".join(found.output.split())
    for at, name in enumerate(("one", "two")):
        patients(schema(name, 400), 400, at).frame().to_csv(place / f"{name}.csv", index=False)
        (place / f"{name}.yaml").write_text(json.dumps(schema(name, 400).to_dict()))
        fit = ["fit", str(place / f"{name}.csv"), str(place / f"{name}.yaml"), "--epsilon", "2", "--survey"]
        # Each hospital has a ledger of its own.
        ledger = {"WARDGAN_LEDGER": str(place / f"{name}.db")}
        found = run.invoke(app, [*fit, str(place / "s.json"), "-o", str(place / name)], env=ledger)
        assert found.exit_code == 0, found.output
        found = run.invoke(app, ["pool", "tables", str(place / name), "-o", str(place / f"{name}.tables")])
        assert found.exit_code == 0, found.output
    call = [
        "pool",
        "add",
        str(place / "one.tables"),
        str(place / "two.tables"),
        "-o",
        str(place / "all.hgan"),
        "--json",
    ]
    found = run.invoke(app, call)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["hospitals"] == ["one", "two"]
    assert "pooled" in run.invoke(app, ["inspect", str(place / "all.hgan")]).output
    with pytest.raises(OutputError):
        pool([place / "one.tables", place / "two.tables"], place / "all.hgan")
    odd = run.invoke(app, ["fit", str(place / "one.csv"), str(place / "one.yaml"), "--epsilon", "2", "--family", "tabgan",
                           "--survey", str(place / "s.json"), "-o", str(place / "odd")])  # fmt: skip
    assert odd.exit_code == 2
    assert "only copula" in odd.output


def test_a_survey_for_simulated_patients_does_not_bet_on_one_population():
    """In some corner of their bounds one population has nobody; patients there would all be in one bin."""
    columns = {f"x{at}": {"kind": "number", "low": 0, "high": 1} for at in range(60)}
    declared = wg.Schema.from_dict({"name": "all", "table": columns})
    asked = survey(declared, patients=60_000, hospitals=10, budget=wg.Budget(3.0))
    everywhere = np.random.default_rng(0).uniform(size=10_000)
    most = [np.bincount(one.index(everywhere)).max() / 10_000 for one in asked.levels]
    assert len(most) == 60
    assert np.median(most) < 0.45
    assert max(most) < 0.85
    other = survey(declared, patients=60_000, hospitals=10, budget=wg.Budget(3.0), seed=1)
    assert other.digest != asked.digest
    assert survey(declared, patients=60_000, hospitals=10, budget=wg.Budget(3.0)).digest == asked.digest


@given(
    st.lists(st.tuples(st.sampled_from(["none", "all", "some", "one"]), st.sampled_from([0, 1e-9, 1, 500])), min_size=1,
             max_size=4),
    st.lists(st.integers(0, 400), min_size=3, max_size=3), st.integers(40, 300), st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None)
def test_every_survey_that_is_made_can_be_answered(numbers, levels, n, seed):
    """Whatever the public patients look like: columns without a hole, without a value, or with one value only."""
    rng = np.random.default_rng(seed)
    columns, frame = {}, {}
    for at, (holes, width) in enumerate(numbers):
        columns[f"x{at}"] = {"kind": "number", "low": 0, "high": 1_000, "nullable": True}
        empty = {"none": 0, "all": 1, "some": rng.uniform(size=n) < 0.3, "one": np.arange(n) == 0}[holes]
        frame[f"x{at}"] = np.where(empty, np.nan, 500 + width * rng.uniform(-1, 1, n))
    columns["kind"] = {"kind": "category", "levels": ["a", "b", "c"], "nullable": True}
    columns["ill"] = {"kind": "flag", "label": True}
    frame["kind"] = rng.choice(["a", "b", "c"], n, p=(np.array(levels) + 1e-3) / (sum(levels) + 3e-3))
    frame["ill"] = rng.uniform(size=n) < 0.1
    declared = wg.Schema.from_dict({"name": "all", "table": columns})
    made = survey(
        declared, patients=4_000, hospitals=3, budget=wg.Budget(2.0), like=wg.read(pd.DataFrame(frame), declared),
        public=True,
    )  # fmt: skip
    assert Survey.of_dict(json.loads(json.dumps(made.to_dict())), Layout.of(declared)).digest == made.digest


@pytest.mark.parametrize(
    "columns",
    [
        {"table": {"pain": {"kind": "integer", "low": 0, "high": 10, "scale": "log"}}},
        {"table": {"pain": {"kind": "integer", "low": 0, "high": 2, "scale": "log"}}},
        {"table": {"stay": {"kind": "integer", "low": 0, "high": 100, "scale": "log", "nullable": True}}},
        {"table": {"pain": {"kind": "integer", "low": 0, "high": 4}, "same": {"kind": "integer", "low": 3, "high": 3}}},
        *({"table": {"sex": {"kind": "flag"}}, "visits": {
            "key": "visit", "max_visits": most, "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260}},
        }} for most in (2, 4, 12)),
        {"table": {"sex": {"kind": "flag"}, "seen": {"kind": "date", "low": "2010-01-01", "high": "2012-12-31"}}},
    ],
)  # fmt: skip
def test_surveys_of_few_values_logarithms_and_ragged_visits_can_be_answered(columns):
    declared = wg.Schema.from_dict({"name": "all", "patient": "id", **columns})
    for like in (None, World.of(declared, seed=Seed(3)).draw(2_000, seed=Seed(3))):
        made = survey(declared, patients=20_000, hospitals=4, budget=wg.Budget(3.0), like=like, public=like is not None)
        again = Survey.of_dict(json.loads(json.dumps(made.to_dict())), Layout.of(declared))
        assert again.digest == made.digest


@pytest.mark.parametrize("values", [range(11), [10] * 11, [0] * 10 + [5]])
@pytest.mark.parametrize("high", [10, 5_000])
def test_surveys_for_public_patients_of_few_values_can_be_answered(values, high):
    declared = wg.Schema.from_dict({"name": "all", "table": {"pain": {"kind": "integer", "low": 0, "high": high}}})
    pain = np.tile(np.array(values) * (high // 10), 100)
    known = wg.read(pd.DataFrame({"pain": pain}), declared)
    made = survey(declared, patients=20_000, hospitals=4, budget=wg.Budget(3.0), like=known, public=True)
    assert Survey.of_dict(json.loads(json.dumps(made.to_dict())), Layout.of(declared)).digest == made.digest


def narrow(name, seed, *, width):
    """Patients of whom one number fills a part of its bounds, another is a spike, and the third has all values."""
    rng = np.random.default_rng(seed)
    columns = {
        "creatinine": {"kind": "number", "low": 0, "high": 1_000},
        "children": {"kind": "integer", "low": 0, "high": 4},
        "age": {"kind": "integer", "low": 18, "high": 99},
        "cigarettes": {"kind": "number", "low": 0, "high": 60},
    }
    declared = wg.Schema.from_dict({"name": name, "population": 900, "table": columns})
    few = rng.uniform(size=900) < 0.04
    frame = {
        "creatinine": 500 + width * rng.uniform(-1, 1, 900), "children": (rng.uniform(size=900) < 0.03).astype(int),
        "age": rng.integers(18, 100, 900), "cigarettes": np.where(few, rng.uniform(5, 40, 900), 0.0),
    }  # fmt: skip
    return wg.read(pd.DataFrame(frame), declared)


@pytest.mark.parametrize(("width", "told"), [(1, True), (450, False)])
def test_a_person_is_told_when_nearly_all_patients_are_in_one_bin(tmp_path, width, told):
    """By the noisy sums alone; a number of a few values, most of them 0, is no such case."""
    parts = [narrow(name, seed, width=width) for seed, name in enumerate(("one", "two"))]
    asked = survey(parts[0].schema, patients=1_800, hospitals=2, budget=wg.Budget(3.0))
    made = []
    for part in parts:
        run = tmp_path / part.schema.name
        wg.fit(part, wg.Budget(3.0), family=wg.CopulaConfig(survey=asked), run=run)
        made.append(
            write_tables(run, tmp_path / f"{part.schema.name}.tables", training_data_id=f"data-of-{part.schema.name}")
        )
    notices = [one for one in pool(made, tmp_path / "all.hgan", overlap=1).notices if "in one bin" in one]
    assert len(notices) == told
    assert [one for one in notices if not one.startswith("creatinine: by the noisy tables more than 90 %")] == []


def test_bins_of_one_value_are_known():
    def alone(low, high, **column):
        return pooling._one_value(low, high, Column.from_dict("x", {"low": 0, "high": 100, **column}))

    logarithmic = {"kind": "integer", "scale": "log"}
    assert alone(0.0, float(border_units(np.array([1.0]), Column.from_dict("x", {"low": 0, "high": 100, **logarithmic}))[0]),
                 **logarithmic)  # fmt: skip
    assert not alone(0.0, 0.5, **logarithmic)
    assert alone(3 / 101, 4 / 101, kind="integer")
    assert not alone(3 / 101, 5 / 101, kind="integer")
    assert alone(0.0, 1e-9, kind="number")
    assert not alone(0.0, 1e-6, kind="number")


def test_p14_a_survey_bills_those_for_whom_it_was_made(home, tmp_path):
    """Whoever is asked what a generator of theirs suggested has been asked twice."""
    declared = schema("all", None, COLUMNS)
    wg.fit(cohort("beta", 7), wg.Budget(2.0), family="copula", run=tmp_path / "run")
    made = tmp_path / "pilot.hgan"
    wg.release(wg.Trained.load(tmp_path / "run"), made, home / "key", "A: a test", training_data_id="data-of-beta")
    asked = survey(declared, patients=840, hospitals=3, budget=wg.Budget(2.0), like=made, trust=home / "trust.json")
    digest = wg.inspect(made)["digest"]
    assert [(one["patients"], one["source"]) for one in asked.like] == [("data-of-beta", digest)]
    again = Survey.of_dict(json.loads(json.dumps(asked.to_dict())), Layout.of(declared))
    assert (again.like, again.digest) == (asked.like, asked.digest)
    parts = [answer(tmp_path, name, asked, seed=at) for at, name in enumerate(("alpha", "beta"))]
    done = pool(parts, tmp_path / "region.hgan", overlap=1)
    plain = survey(declared, patients=840, hospitals=3, budget=wg.Budget(2.0))
    others = [answer(tmp_path / "plain", name, plain, seed=at) for at, name in enumerate(("alpha", "beta"))]
    assert done.bounds.disjoint.epsilon > 1.3 * pool(others, tmp_path / "plain.hgan", overlap=1).bounds.disjoint.epsilon
    sites = wg.inspect(tmp_path / "region.hgan")["privacy"]["sites"]
    assert sorted(one["patients"] for one in sites) == ["data-of-alpha", "data-of-beta", "data-of-beta"]
    assert not [notice for notice in done.notices if "made for its generator" in notice]
    # Those who do not say that they are the same are counted as others, and a person is told.
    strangers = [
        answer(tmp_path / "more", name, asked, data=f"data-x{name}", seed=at)
        for at, name in enumerate(("alpha", "beta"))
    ]
    told = pool(strangers, tmp_path / "strangers.hgan", overlap=1)
    assert [notice for notice in told.notices if "made for its generator" in notice]
    assert told.bounds.worst.epsilon > done.bounds.worst.epsilon * 0.99


def test_a_survey_is_not_made_for_patients_whom_nothing_protects(home, tmp_path):
    declared = schema("all", None, COLUMNS)
    made = wg.fit(cohort("beta", 7), privacy="none", family="copula")
    wg.release(made, tmp_path / "open.hgan", home / "key", "A: a test")
    for more, kind, said in (
        ({}, GateError, "NOT PRIVATE"), ({"revoked": [wg.inspect(tmp_path / "open.hgan")["digest"]]}, TrustError, "revoked"),
    ):  # fmt: skip
        with pytest.raises(kind, match=said):
            survey(declared, patients=840, hospitals=3, budget=wg.Budget(2.0), like=tmp_path / "open.hgan", **more)
    wg.release(
        wg.fit(cohort("beta", 7), wg.Budget(2.0), family="copula"), tmp_path / "unsigned.hgan", override="A: a test"
    )
    with pytest.raises(TrustError):
        survey(
            declared,
            patients=840,
            hospitals=3,
            budget=wg.Budget(2.0),
            like=tmp_path / "unsigned.hgan",
            trust=home / "trust.json",
        )


@pytest.mark.parametrize("like", [7, [7], [{"patients": "x"}], {"a": 1}])
def test_a_survey_whose_ledgers_are_none_is_refused(home, tmp_path, like):
    found = json.loads((home / "survey.json").read_text()) | {"like": like}
    (tmp_path / "odd.json").write_text(json.dumps(found))
    with pytest.raises(FormatError, match="survey"):
        read_survey(tmp_path / "odd.json", schema("any", 5, COLUMNS))


def test_a_generator_is_no_table(home, tmp_path):
    made = hospital(tmp_path, "pilot", 300)
    with pytest.raises(FormatError, match=r"pilot.hgan: is no file of noisy tables; wardgan pool tables writes one"):
        read_tables(made)

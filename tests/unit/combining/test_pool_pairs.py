"""Noisy tables of pairs add up, too: one `marginal` of several hospitals without a round of training."""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import wardgan as wg
from wardgan.cli.main import app
from wardgan.combining import pooling
from wardgan.combining.pooling import pool, pooled, survey
from wardgan.combining.tables import read_tables, write_tables
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, encode
from wardgan.errors import BudgetError, FormatError, PlanError
from wardgan.models.anchor.answered import PAIRS, answered, questions
from wardgan.models.anchor.survey import Survey, as_one
from wardgan.models.marginal import train as marginal_train
from wardgan.models.pairs.candidates import candidate_pairs
from wardgan.models.pairs.settings import EACH, affordable
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.queries import Levels
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.simulate.world import World

TABLE = {
    "sick": {"kind": "flag", "label": True},
    "x": {"kind": "integer", "low": 0, "high": 99},
    "y": {"kind": "integer", "low": 0, "high": 99},
    "z": {"kind": "integer", "low": 0, "high": 99, "nullable": True},
    "group": {"kind": "category", "levels": ["a", "b", "c"]},
}
SIZES = {"alpha": 1500, "beta": 2500, "gamma": 12}
BUDGET = wg.Budget(6.0)
SMALL = {"steps": 80, "width": 32, "noise_inputs": 8}
config = partial(wg.MarginalConfig, **SMALL)


def schema(name, population=None):
    return wg.Schema.from_dict({"name": name, "patient": "id", "population": population, "table": TABLE})


def ring(name, patients, seed=0):
    """x and y are on a ring, which no copula can say; z is often missing and goes with nothing."""
    numbers = np.random.default_rng(seed)
    angle = numbers.random(patients) * 2 * np.pi
    frame = pd.DataFrame({
        "id": np.arange(patients),
        "sick": numbers.random(patients) < 0.3,
        "x": np.clip(np.round(50 + 35 * np.cos(angle) + numbers.normal(0, 3, patients)), 0, 99).astype(int),
        "y": np.clip(np.round(50 + 35 * np.sin(angle) + numbers.normal(0, 3, patients)), 0, 99).astype(int),
        "z": np.where(numbers.random(patients) < 0.7, numbers.integers(0, 100, patients), np.nan),
        "group": numbers.choice(["a", "b", "c"], patients),
    })  # fmt: skip
    return wg.read(frame, schema(name, patients))


def asking(epsilon=6.0, patients=4_012, hospitals=3, **more):
    public = replace(ring("public", 3_000, 9), schema=schema("all"))
    return survey(
        schema("all"), patients=patients, hospitals=hospitals, budget=wg.Budget(epsilon), like=public, public=True,
        **{"family": "marginal", **more},
    )  # fmt: skip


@pytest.fixture(scope="module")
def asked():
    return asking()


@pytest.fixture(scope="module")
def home(tmp_path_factory, asked):
    place = tmp_path_factory.mktemp("home")
    wg.new_key(place / "key", name="Tester", trust=place / "trust.json")
    (place / "survey.json").write_text(json.dumps(asked.to_dict()))
    for at, (name, size) in enumerate(SIZES.items()):
        run = place / f"run-{name}"
        quick = wg.MarginalConfig(steps=5, width=16, noise_inputs=4, survey=asked)
        try:
            wg.fit(ring(name, size, at), BUDGET, family=quick, run=run, accounts=place / f"{name}.db")
        except PlanError as error:
            assert name == "gamma"  # too small for a generator of its own
            (place / "refusal").write_text(" ".join([str(error), *error.__notes__]))
        write_tables(run, place / f"{name}.tables", key=place / "key", training_data_id=f"data-of-{name}")
    return place


@pytest.fixture
def quick(monkeypatch):
    """What sums teach, in less time."""
    monkeypatch.setattr(pooling, "MarginalConfig", config)


def files(home):
    return [home / f"{name}.tables" for name in SIZES]


def in_the_middle(frame):
    return float(((frame["x"] - 50).abs() < 15).mul((frame["y"] - 50).abs() < 15).mean())


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_a_survey_without_pairs_is_what_it_was():
    """The bytes of surveys that were made before there were pairs, and so their names."""
    levels = (Levels((0.25, 0.5), 4, 3, None), Levels(None, 2, None))
    plain = Survey(
        f"sha256:{'0' * 64}", levels, ((-1.0, 0.0, 1.0, 0.5), (-1.0, 1.0)), ((0, 1, 2), (1, 0)), 1.25, 900, 3
    )
    assert plain.digest == "sha256:54725844df05c97b4746c011623cc23423513b06e7ae17a6d771bf94e468e4e1"
    assert list(plain.to_dict()) == [
        "format", "version", "about", "levels", "scores", "order", "radius", "patients", "hospitals",
    ]  # fmt: skip
    assert plain.family == "copula"


def named(found):
    names = Layout.of(schema("all")).names
    return {tuple(names[at] for at in pair) for pair in found.pairing.pairs}


def test_a_survey_asks_for_the_pairs_that_a_copula_cannot_say(monkeypatch):
    assert ("x", "y") in named(asking())
    monkeypatch.setattr(pooling, "_pairs", lambda *_: 1)
    assert named(asking()) == {("x", "y")}


def test_of_patients_who_are_a_copula_those_pairs_are_asked_for_that_depend_on_each_other(monkeypatch):
    monkeypatch.setattr(pooling, "_pairs", lambda *_: 1)
    mine = ring("public", 3_000, 3)
    normals = np.random.default_rng(1).multivariate_normal([50, 50], [[200, 140], [140, 200]], 3_000)
    static = {**mine.static, "y": normals[:, 0].round().clip(0, 99), "z": normals[:, 1].round().clip(0, 99)}
    public = replace(mine, static=static, schema=schema("all"))
    found = survey(
        schema("all"), patients=4_000, hospitals=3, budget=BUDGET, like=public, public=True, family="marginal"
    )  # fmt: skip
    assert named(found) == {("y", "z")}


def test_the_number_of_pairs_is_what_the_sums_can_tell_from_noise(monkeypatch):
    layout, part = Layout.of(schema("all")), 0.33 / (1.0 + 0.33)
    found = []
    honest = pooling.pairing_of
    monkeypatch.setattr(pooling, "pairing_of", lambda *rest, **more: found.append(more) or honest(*rest, **more))
    for hospitals in (1, 4, 9):
        made = asking(1.2, hospitals=hospitals)
        wanted = affordable(layout, wg.Budget(1.2), part=part, patients=as_one(4_012, hospitals))
        assert len(made.pairing.pairs) == wanted > 0
    assert found[0]["count"] > found[-1]["count"]
    # What a pair's noise will be in the sums: that of one hospital for all pairs, times the root of hospitals.
    own = wg.plan(schema("one", as_one(4_012, 9)), wg.Budget(1.2), family=wg.MarginalConfig(survey=made))
    wanted = own.event(PAIRS).noise_multiplier * math.sqrt(len(made.pairing.pairs) * 9)
    assert found[-1]["noise"] == pytest.approx(wanted)


def test_if_no_pair_stands_out_of_the_noise_a_copula_is_the_way_out():
    with pytest.raises(PlanError, match="family='copula'"):
        asking(0.6, patients=900)
    with pytest.raises(PlanError, match="copula or marginal"):
        asking(family="tabgan")
    assert asking(0.6, patients=900, family="copula").pairing is None


# --- nothing in it is believed ----------------------------------------------------------------------------------------


def test_a_survey_with_pairs_survives_its_file(home, asked):
    again = pooling.read_survey(home / "survey.json", schema("any", 5))
    assert again == asked
    assert again.digest == asked.digest != replace(asked, pairing=None).digest


def there_and_back(groups):
    """Makes 3, 4 into 4, 3: the groups are no neighbours any more."""
    border = groups.index(4)
    groups[border - 1 : border + 1] = [4, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda pairs: pairs["of"].append(pairs["of"][0]),
        lambda pairs: pairs["of"].append([0, 9]),
        lambda pairs: pairs["of"].append([-2, 1]),
        lambda pairs: pairs["of"].append([1, 1]),
        lambda pairs: pairs["of"].append(pairs["of"][0][::-1]),
        lambda pairs: pairs["of"].append([0, 1, 2]),
        lambda pairs: pairs["of"].append([0, "1"]),
        lambda pairs: pairs["of"].append([0.0, 1.0]),
        lambda pairs: pairs["of"].append(7),
        lambda pairs: pairs.update(of=[]),
        lambda pairs: pairs.update(of=[[0, 1]] * 10_000),
        lambda pairs: pairs.update(groups=pairs["groups"][1:]),
        lambda pairs: pairs["groups"][0].pop(),
        lambda pairs: pairs["groups"][0].append(0),
        lambda pairs: pairs["groups"].__setitem__(0, [one or False for one in pairs["groups"][0]]),
        lambda pairs: pairs["groups"][0].__setitem__(0, -1),
        lambda pairs: pairs["groups"][0].__setitem__(-1, 99),
        lambda pairs: pairs["groups"][0].reverse(),
        lambda pairs: pairs["groups"].__setitem__(0, [2 if one == 3 else one for one in pairs["groups"][0]]),
        lambda pairs: there_and_back(pairs["groups"][0]),
        lambda pairs: pairs["groups"].__setitem__(0, list(range(len(pairs["groups"][0])))),
        lambda pairs: pairs["groups"][2].__setitem__(-1, 0),  # the missing cells of z among the others
        lambda pairs: pairs["groups"][2].__setitem__(-1, pairs["groups"][2][-1] + 1),
        lambda pairs: pairs.pop("groups"),
    ],
)
def test_pairs_that_mean_nothing_are_refused(asked, change):
    found = json.loads(json.dumps(asked.to_dict()))
    assert found["levels"][0]["size"] > 9  # more levels than groups
    change(found["pairs"])
    with pytest.raises(FormatError, match="survey"):
        Survey.of_dict(found, Layout.of(schema("any", 5)))


def test_visits_that_cannot_be_paired_are_no_pair_of_a_survey():
    columns = {"sbp": {"kind": "integer", "low": 50, "high": 250, "nullable": True}}
    visits = {"key": "v", "grid": ["A", "B", "C"], "columns": columns}
    declared = wg.Schema.from_dict({**schema("all").to_dict(), "visits": visits})
    public = World.of(declared, seed=Seed(1)).draw(1_000, seed=Seed(1))
    made = survey(
        declared, patients=60_000, hospitals=2, budget=BUDGET, like=public, public=True, family="marginal"
    )  # fmt: skip
    layout = Layout.of(declared)
    assert len(made.pairing.pairs) <= EACH * len(layout)
    flag = next(at for at, one in enumerate(layout.variables) if one.role == "presence")
    cell = next(
        at for at, one in enumerate(layout.variables) if one.role == "cell" and one.slot == layout.variables[flag].slot
    )
    own = replace(made, pairing=replace(made.pairing, pairs=((min(flag, cell), max(flag, cell)),)))
    with pytest.raises(FormatError, match="can be paired"):
        own.check(layout)
    every = replace(made, pairing=replace(made.pairing, pairs=candidate_pairs(layout)))
    assert len(every.pairing.pairs) > EACH * len(layout)
    with pytest.raises(FormatError, match=f"from 1 to {EACH * len(layout)} can be"):
        every.check(layout)


# --- one family for one survey ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("privacy", ["private", "none"])
def test_a_survey_is_answered_by_the_family_that_it_is_for(asked, privacy):
    mine, more = ring("one", 900), {"budget": BUDGET} if privacy == "private" else {"privacy": "none"}
    with pytest.raises(PlanError, match="asks for tables of pairs"):
        wg.fit(mine, family=wg.CopulaConfig(survey=asked), **more)
    with pytest.raises(PlanError, match="asks for no tables of pairs"):
        wg.fit(mine, family=wg.MarginalConfig(survey=replace(asked, pairing=None)), **more)


def test_what_is_asked_is_the_anchor_and_one_event_more(asked):
    plan = wg.plan(schema("one", 900), BUDGET, family=wg.MarginalConfig(survey=asked))
    names = [event.name for event in plan.events]
    assert names == ["grid", "label tables", "class means", "covariance", PAIRS]
    assert all(event.mechanism == "gaussian" for event in plan.events)
    assert list(questions(Layout.of(schema("one", 900)), asked)) == names
    with pytest.raises(PlanError, match="population"):
        wg.plan(schema("one"), BUDGET, family=wg.MarginalConfig(survey=asked))


# --- the one event ----------------------------------------------------------------------------------------------------


def rows_of(cohort, asked):
    layout = Layout.of(cohort.schema)
    return questions(layout, asked)[PAIRS], encode(cohort, layout), classes_of(cohort)


def test_p01_one_patient_moves_the_tables_of_pairs_by_at_most_their_sensitivity(asked):
    query, units, classes = rows_of(ring("one", 300, 5), asked)
    moved = [np.linalg.norm(query.total(units[at : at + 1], classes[at : at + 1])) for at in range(300)]
    assert max(moved) <= query.sensitivity * (1 + 1e-9)
    # Whoever has no missing visit is in one cell of each table, so nothing smaller would do.
    assert max(moved) == pytest.approx(math.sqrt(len(asked.pairing.pairs)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 120), min_size=2, max_size=6), st.integers(0, 1_000))
def test_answers_of_hospitals_add_up_to_that_of_all_patients(asked, sizes, seed):
    whole = ring("all", max(sum(sizes), 1), seed)
    query, units, classes = rows_of(whole, asked)
    ends = np.cumsum(sizes)
    parts = [
        query.total(units[end - size : end], classes[end - size : end]) for size, end in zip(sizes, ends, strict=True)
    ]
    assert np.array_equal(sum(parts), query.total(units[: ends[-1]], classes[: ends[-1]]))
    # A slow twin: each pair of each patient, one after the other.
    slow = [np.zeros(size) for size in query.sizes()]
    for row, y in zip(units[: ends[-1]], classes, strict=False):
        for table, (one, other) in zip(slow, asked.pairing.pairs, strict=True):
            level = [int(asked.levels[at].index(row[at : at + 1])[0]) for at in (one, other)]
            table[y, asked.pairing.groups[one][level[0]], asked.pairing.groups[other][level[1]]] += 1
    assert np.array_equal(np.concatenate([table.ravel() for table in slow]), sum(parts))


def test_p04_the_noise_of_the_sum_is_the_root_of_the_sum_of_squares(asked, monkeypatch, quick):
    """Three hospitals with budgets of their own; what the fit takes for the noise is what the sums really have."""
    tables, gaps = [], 0.0
    for at, epsilon in enumerate((6.0, 2.0, 9.0)):
        mine = ring(f"h{at}", 1_500, at)
        ledger = Ledger(
            wg.plan(mine.schema, wg.Budget(epsilon), family=wg.MarginalConfig(survey=asked)), replayable=True
        )
        noisy = answered(Records(mine, ledger, noise=Seed(at)), asked)
        exact = answered(Records(mine, Ledger(None), noise=Seed.secret()), asked)
        gaps = gaps + noisy.answers[PAIRS] - exact.answers[PAIRS]
        tables.append(_Tables(mine.schema, asked, noisy.answers, _record(ledger)))
    seen = []
    honest = marginal_train.Measured
    monkeypatch.setattr(marginal_train, "Measured", lambda *rest: seen.append(rest) or honest(*rest))
    pooled(tables, "all", {"mode": "private", "epsilon": 9.0, "delta": 1e-5})
    ((pairs, measured, sds),) = seen
    assert tuple(pairs) == asked.pairing.pairs
    assert np.array_equal(np.concatenate([one.ravel() for one in measured]), sum(one.answers[PAIRS] for one in tables))
    assert len(set(sds)) == 1
    found = gaps.size
    assert found > 500
    # The sd of so many normals is known to one part in the root of twice their number.
    assert np.std(gaps) == pytest.approx(sds[0], rel=4 / math.sqrt(2 * found))


class _Tables:
    def __init__(self, declared, asked, answers, ledger):
        self.schema, self.survey, self.answers, self.ledger = declared, asked, answers, ledger


def _record(ledger):
    from wardgan.seal.records import read_ledger

    return read_ledger(ledger.to_dict(), "ledger")


def test_p05_all_is_billed_before_the_first_patient_is_read(asked, tmp_path, monkeypatch):
    seen = []
    for name in ("_total", "choose"):
        honest = getattr(Records, name)

        def spy(self, *rest, honest=honest, name=name):
            seen.append((name, {event.name: self.ledger.steps(event.name) for event in self.ledger.plan.events}))
            return honest(self, *rest)

        monkeypatch.setattr(Records, name, spy)
    quick = wg.MarginalConfig(steps=2, width=8, noise_inputs=2, survey=asked)
    made = wg.fit(ring("one", 1_500), BUDGET, family=quick, run=tmp_path / "run")
    assert [name for name, _ in seen] == ["_total"] * 5
    for at, (_, steps) in enumerate(seen):
        assert list(steps.values()) == [1] * (at + 1) + [0] * (4 - at)
    assert made.ledger.epsilon() <= BUDGET.epsilon * (1 + 1e-6)
    assert made.ledger.epsilon_bound() >= made.ledger.epsilon()


def test_p05_a_fit_that_was_killed_in_its_training_asks_nothing_again(asked, tmp_path, monkeypatch):
    quick = wg.MarginalConfig(steps=4, width=8, noise_inputs=2, survey=asked)
    mine, run = ring("one", 1_500), tmp_path / "run"
    whole = wg.fit(mine, BUDGET, family=quick, seed=2)

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(marginal_train, "taught", kill)
        with pytest.raises(Killed):
            wg.fit(mine, BUDGET, family=quick, seed=2, run=run)
    monkeypatch.setattr(Records, "_total", kill)
    again = wg.fit(mine, BUDGET, family=quick, seed=2, run=run, resume=True)
    assert again.generator.network == whole.generator.network
    # Another survey is another question, and what was paid for is no answer to it.
    other = replace(asked, pairing=replace(asked.pairing, pairs=asked.pairing.pairs[:-1]))
    ledger = Ledger.resume(run / "ledger.jsonl")
    with pytest.raises(BudgetError, match="another question"):
        answered(Records(mine, ledger, noise=Seed(2), folder=run), other)


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_a_hospital_too_small_for_a_generator_still_counts(home):
    assert "pool tables" in (home / "refusal").read_text()
    assert PAIRS in read_tables(home / "gamma.tables").answers


def test_the_sum_teaches_what_no_copula_can_say(home, quick, tmp_path):
    made = pool(files(home), tmp_path / "all.hgan", overlap=1, key=home / "key", trust=home / "trust.json")
    assert made.hospitals == ("alpha", "beta", "gamma")
    found = wg.verify(made.path, home / "trust.json")
    assert found.epsilon == pytest.approx(made.bounds.disjoint.epsilon)
    facts = wg.inspect(made.path)
    assert facts["card"]["family"] == facts["privacy"]["family"] == "marginal"
    assert facts["privacy"]["origin"]["how"] == "pooled"
    assert [[event["name"] for event in site["ledger"]["events"]][-1] for site in facts["privacy"]["sites"]] == [
        PAIRS
    ] * 3
    sample = wg.load(made.path).sample(20_000, seed=1)
    tables = [read_tables(one) for one in files(home)]
    plain = [_without_pairs(one) for one in tables]
    copula, _ = pooled(plain, "plain", {"mode": "private", "epsilon": 6.0, "delta": 1e-5})
    assert copula.family == "copula"
    assert in_the_middle(copula.sample(20_000, seed=1)) > 0.05
    assert in_the_middle(sample) < in_the_middle(copula.sample(20_000, seed=1)) / 2
    assert sample["sick"].mean() == pytest.approx(0.3, abs=0.05)


def _without_pairs(tables):
    answers = {name: one for name, one in tables.answers.items() if name != PAIRS}
    return replace(tables, survey=replace(tables.survey, pairing=None), answers=answers)


def test_the_same_tables_give_the_same_generator(home, monkeypatch, tmp_path):
    monkeypatch.setattr(pooling, "MarginalConfig", partial(wg.MarginalConfig, steps=4, width=8, noise_inputs=2))
    told = []
    one, other = (
        pool(
            files(home), tmp_path / f"{name}.hgan", name="x", created="2026-01-31", watch=told.append
        ).path.read_bytes()
        for name in ("x", "y")
    )
    assert one == other
    assert told[-1].doing == "fitting the network"


def test_p14_each_hospitals_ledger_counts_what_it_gave(home):
    with Accounts.open(home / "beta.db") as accounts:
        (found,) = accounts.show()
    (entry,) = found.entries
    assert (entry.state, entry.family) == ("done", "marginal")
    assert [event.name for event in entry.events] == [
        event.name for event in read_tables(home / "beta.tables").ledger.events
    ]
    assert found.total().epsilon == pytest.approx(BUDGET.epsilon, rel=0.01)


def test_tables_whose_pairs_are_left_out_are_refused(home, tmp_path):
    found = json.loads((home / "alpha.tables").read_text())
    found["signature"] = None
    del found["tables"]["survey"]["pairs"]
    (tmp_path / "changed.tables").write_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    with pytest.raises(FormatError, match="not to the questions"):
        read_tables(tmp_path / "changed.tables")


def test_on_the_command_line(home, tmp_path):
    run = CliRunner()
    (tmp_path / "schema.yaml").write_text(json.dumps(schema("all").to_dict()))
    call = ["pool", "survey", str(tmp_path / "schema.yaml"), "-o", str(tmp_path / "s.json"), "--hospitals", "2"]
    found = run.invoke(app, [*call, "--patients", "4000", "--epsilon", "6", "--family", "marginal", "--json"])
    assert found.exit_code == 0, found.output
    facts = json.loads(found.stdout)
    assert facts["family"] == "marginal"
    assert facts["pairs"]
    assert set(facts["pairs"][0]) < {"x", "y", "z", "group"}
    assert "--family marginal" in found.stderr
    small = run.invoke(app, [*call, "--patients", "90", "--epsilon", ".5", "--family", "marginal", "--force"])
    assert small.exit_code == 2
    ring("one", 1_500).frame().to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "one.yaml").write_text(json.dumps(schema("one", 1_500).to_dict()))
    fit = ["fit", str(tmp_path / "one.csv"), str(tmp_path / "one.yaml"), "--epsilon", "6", "--survey"]
    own = {"WARDGAN_LEDGER": str(tmp_path / "one.db")}
    for family in ("copula", "tabgan"):
        wrong = run.invoke(
            app, [*fit, str(tmp_path / "s.json"), "--family", family, "-o", str(tmp_path / "w")], env=own
        )
        assert wrong.exit_code == 2
        assert "marginal" in wrong.output
        assert not (tmp_path / "w").exists()
    tiny = ["--family", "marginal", "--set", "steps=2", "--set", "width=8"]
    found = run.invoke(app, [*fit, str(tmp_path / "s.json"), *tiny, "-o", str(tmp_path / "run")], env=own)
    assert found.exit_code == 0, found.output
    found = run.invoke(app, ["pool", "tables", str(tmp_path / "run"), "-o", str(tmp_path / "one.tables")])
    assert found.exit_code == 0, found.output

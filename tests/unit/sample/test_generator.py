from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.encode.units import classes_of
from wardgan.errors import NetworkError, UsageError
from wardgan.sample import drawing
from wardgan.sample import generator as module
from wardgan.sample.drawing import BLOCK
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.schema.read import broken, examine

ARM = {"kind": "category", "levels": ["a", "b"], "label": True}
SEX = {"kind": "flag", "label": True}
AGE = {"kind": "integer", "low": 0, "high": 99}
BMI = {"kind": "number", "low": 0, "high": 1, "nullable": True}
FLAT = kit.generator(kit.schema({"arm": ARM, "age": AGE, "bmi": BMI}), (0.3, 0.7), tilt=0.5)
VISITS = kit.generator(
    kit.schema(
        {"arm": ARM, "sex": SEX, "age": AGE},
        {"key": "visit", "grid": ["A", "B"], "complete": True, "columns": {"sbp": AGE, "dbp": AGE}},
        rules=["dbp < sbp", "age + sbp > 40"],
    ),
    (0.1, 0.2, 0.3, 0.4),
    tilt=0.3,
)


def near(share, expected, n):
    """Within five standard errors."""
    return abs(share - expected) < 5 * np.sqrt(max(expected * (1 - expected), 1e-3) / n)


def test_a_sample_is_a_table_that_obeys_the_schema():
    frame = FLAT.sample(500, seed=1)
    assert list(frame.columns) == ["arm", "age", "bmi"]
    assert examine(frame, FLAT.schema).findings == ()
    long = VISITS.sample(100, seed=1)
    assert list(long.columns) == ["id", "arm", "sex", "age", "visit", "sbp", "dbp"]
    assert len(long) == 200
    assert examine(long, VISITS.schema).findings == ()


def test_classes_have_their_shares():
    count = np.bincount(classes_of(FLAT.draw(100_000, seed=2)))
    assert near(count[1] / 100_000, 0.7, 100_000)


def test_seeds_replay_and_differ():
    one, again, other = (FLAT.sample(50, seed=seed) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)
    assert not FLAT.sample(50).equals(FLAT.sample(50))
    pd.testing.assert_frame_equal(one, FLAT.sample(50, seed=np.int64(7)))


def test_the_world_of_the_caller_is_left_alone():
    np.random.seed(3)  # noqa: TID251 - this is the state that must not change
    before = np.random.get_state()[1].copy()
    FLAT.sample(10)
    assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("n", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_as_many_patients_as_asked(n):
    cohort = FLAT.draw(n, seed=3)
    assert len(cohort) == n
    assert_array_equal(cohort.patients, np.arange(1, n + 1))
    assert FLAT.sample(min(n, 3), seed=3).dtypes.equals(FLAT.sample(3, seed=3).dtypes)


def test_blocks_are_made_once_however_small_the_chunks(monkeypatch):
    runs = []
    run = Generator.run
    monkeypatch.setattr(
        Generator, "run", lambda self, classes, stream: runs.append(len(classes)) or run(self, classes, stream)
    )
    assert [len(cohort) for cohort in FLAT.draws(1000, chunk=7, seed=1)] == [7] * 142 + [6]
    assert runs == [BLOCK]


def test_chunks_of_nobody():
    assert [len(cohort) for cohort in FLAT.draws(0, seed=1)] == [0]
    (frame,) = VISITS.stream(0, seed=1)
    assert frame.dtypes.equals(VISITS.sample(2, seed=1).dtypes)


def test_a_stream_can_be_left_early():
    chunks = FLAT.stream(10**12, chunk=100, seed=1)
    assert [len(frame) for frame in islice(chunks, 2)] == [100, 100]
    chunks.close()


@pytest.mark.parametrize("n", [-1, 1.0, "5", None, True, np.nan])
def test_numbers_of_patients_are_whole(n):
    for ask in (FLAT.sample, FLAT.draw, FLAT.draws, FLAT.stream):
        with pytest.raises(UsageError, match="n="):
            ask(n)


@pytest.mark.parametrize("seed", ["a", 1.5, -1, True, [1], np.nan])
def test_seeds_are_whole_numbers(seed):
    for ask in (FLAT.sample, FLAT.draw, FLAT.draws, FLAT.stream):
        with pytest.raises(UsageError, match="seed="):
            ask(5, seed=seed)


def test_some_levels_of_a_label_are_balanced():
    arm = {"kind": "category", "levels": ["a", "b", "c"], "label": True}
    three = kit.generator(kit.schema({"arm": arm, "age": AGE}), (0.7, 0.1, 0.2))
    cohort = three.draw(1_000, where={"arm": ["b", "c"], "age": (10, 90)}, balance="arm", seed=3)
    assert np.bincount(cohort.static["arm"].astype(int)).tolist() == [0, 500, 500]


@pytest.mark.parametrize("more", [{"chunk": 0}, {"chunk": 1.5}, {"where": {"x": 1}}, {"balance": "age"}])
def test_wrong_wishes_are_refused_before_the_first_patient(more):
    with pytest.raises(UsageError):
        FLAT.stream(10, **more)


def test_a_sample_beyond_any_memory_is_refused():
    with pytest.raises(UsageError, match="use stream"):
        FLAT.draw(10**12)


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.25, 0.25), (0.5, np.nan), (-0.5, 1.5), (0.0, 0.0)])
def test_shares_must_fit_the_classes(shares):
    with pytest.raises(UsageError, match="2 classes"):
        Generator(FLAT.schema, "x", b"", 1, shares)


def test_where_is_honoured_by_every_patient():
    frame = FLAT.sample(20_000, where={"age": (20, 25), "arm": "b", "bmi": (0.25, 0.5)}, seed=4)
    assert len(frame) == 20_000
    assert set(frame["age"]) == {20, 21, 22, 23, 24, 25}
    assert set(frame["arm"]) == {"b"}
    assert frame["bmi"].between(0.25, 0.5).all()
    assert set(FLAT.sample(500, where={"age": [3, 90]}, seed=4)["age"]) == {3, 90}


def test_where_follows_the_conditional_distribution():
    """Conditions shift the classes and the other columns as among unconditioned patients (Bayes)."""
    many = FLAT.draw(400_000, seed=5)
    asked = FLAT.draw(60_000, where={"age": (80, 99)}, seed=6)
    held = many.static["age"] >= 80
    share = many.static["arm"][held].mean()
    assert share > 0.75  # otherwise the test would not see a sampler that keeps the classes
    assert near(asked.static["arm"].mean(), share, min(60_000, held.sum()))
    for age in (80, 85, 90, 99):
        assert near(
            (asked.static["age"] == age).mean(), (many.static["age"][held] == age).mean(), min(60_000, held.sum())
        )


def test_where_is_in_order():
    """Which accepted patient takes which place says nothing about the patient."""
    codes = FLAT.draw(BLOCK, where={"age": (50, 99)}, seed=8).static["age"]
    ranks = np.corrcoef(np.arange(BLOCK), codes)[0, 1]
    assert abs(ranks) < 5 / np.sqrt(BLOCK)
    halves = codes[: BLOCK // 2].mean() - codes[BLOCK // 2 :].mean()
    assert abs(halves) < 5 * codes.std() * 2 / np.sqrt(BLOCK)


@pytest.mark.parametrize("n", [1, 2, 999, BLOCK + 5])
@pytest.mark.parametrize("balance", ["arm", "sex"])
def test_balance_is_exact(n, balance):
    for where in (None, {"age": (50, 99)}):
        cohort = VISITS.draw(n, balance=balance, where=where, seed=9)
        assert_array_equal(cohort.static[balance], np.arange(n) % 2)


def test_balance_keeps_the_other_label_as_it_is_within_a_level():
    cohort = VISITS.draw(100_000, balance="arm", seed=10)
    sex, arm = cohort.static["sex"], cohort.static["arm"]
    assert near(sex[arm == 0].mean(), 2 / 3, 50_000)
    assert near(sex[arm == 1].mean(), 4 / 7, 50_000)


def test_balance_with_where_is_conditional_within_each_level():
    many = FLAT.draw(400_000, seed=11)
    asked = FLAT.draw(60_000, balance="arm", where={"age": (90, 99)}, seed=12)
    for arm in (0, 1):
        held = (many.static["arm"] == arm) & (many.static["age"] >= 90)
        mine = asked.static["age"][asked.static["arm"] == arm]
        assert len(mine) == 30_000
        assert near((mine >= 95).mean(), (many.static["age"][held] >= 95).mean(), min(30_000, held.sum()))


def test_rules_are_obeyed():
    cohort = VISITS.draw(30_000, seed=13)
    assert not broken(cohort)[1].any()
    assert (cohort.measured["dbp"] < cohort.measured["sbp"]).all()


def test_rules_do_not_shift_the_classes():
    """Class b breaks the rule far more often; its share was measured on patients who obey it."""
    declared = kit.schema({"arm": ARM, "age": AGE, "sbp": AGE}, rules=["age + sbp < 100"])
    made = kit.generator(declared, (0.3, 0.7), tilt=1.0)
    plain = kit.generator(kit.schema({"arm": ARM, "age": AGE, "sbp": AGE}), (0.3, 0.7), tilt=1.0).draw(100_000, seed=1)
    lawful = plain.static["age"] + plain.static["sbp"] < 100
    arm = plain.static["arm"]
    assert lawful[arm == 1].mean() < 0.7 * lawful[arm == 0].mean()
    cohort = made.draw(100_000, seed=14)
    assert near(cohort.static["arm"].mean(), 0.7, 100_000)
    for level in (0, 1):
        expected = plain.static["age"][lawful & (arm == level)]
        mine = cohort.static["age"][cohort.static["arm"] == level]
        assert near((mine < 30).mean(), (expected < 30).mean(), min(len(mine), len(expected)))


def test_visits_of_patients_who_were_drawn_again_are_theirs():
    """Values stand where visits took place, also for patients who took the place of another."""
    columns = {"sbp": AGE}
    for shape in ({"grid": ["A", "B", "C"]}, {"max_visits": 3}):
        made = kit.generator(
            kit.schema({"age": AGE}, {"key": "t", "columns": columns, **shape}, rules=["sbp < age + 30"])
        )
        cohort = made.draw(3_000, where={"age": (0, 30)}, seed=1)
        assert_array_equal(np.isnan(cohort.measured["sbp"]), ~cohort.present)
        assert 0.1 < cohort.present.mean() < 0.6


def test_all_wishes_at_once():
    wish = {"age": (60, 70), "sex": True}
    cohort = VISITS.draw(5_000, where=wish, balance="arm", seed=15)
    assert not broken(cohort)[1].any()
    assert_array_equal(cohort.static["arm"], np.arange(5_000) % 2)
    assert (cohort.static["sex"] == 1).all()
    assert ((cohort.static["age"] >= 60) & (cohort.static["age"] <= 70)).all()


def test_rare_conditions_are_met_or_refused(monkeypatch):
    rare = {"bmi": (0.0, 0.0005)}
    opaque = kit.generator(FLAT.schema, FLAT.probabilities, tilt=0.5, opaque=True)
    assert (opaque.draw(3, where=rare, seed=16).static["bmi"] <= 0.0005).all()
    monkeypatch.setattr(drawing, "PATIENCE", 1 << 16)
    monkeypatch.setattr(drawing, "MOST", 1 << 18)
    with pytest.raises(
        UsageError, match=r"^where: [\d,]+ of [\d,]+ drawn patients meet the conditions on bmi; .* too rare"
    ):
        opaque.draw(BLOCK, where=rare, seed=16)
    # Where the network can be seen through, they are found at once.
    assert (FLAT.draw(BLOCK, where=rare, seed=16).static["bmi"] <= 0.0005).all()


def test_conditions_that_one_level_never_meets_are_refused(monkeypatch):
    """The other level fills up at once, so the search must not count its patients as success for ever."""
    monkeypatch.setattr(drawing, "PATIENCE", 1 << 16)
    monkeypatch.setattr(drawing, "MOST", 1 << 19)
    far, opaque = (
        kit.generator(kit.schema({"arm": ARM, "age": AGE}), tilt=50.0, opaque=flag) for flag in (False, True)
    )
    assert (far.draw(100, where={"arm": "b"}, seed=1).static["age"] == 99).all()
    with pytest.raises(UsageError, match="too rare") as error:
        opaque.draw(100, where={"age": (0, 50)}, balance="arm", seed=1)
    drawn = int(str(error.value).split(" of ")[1].split(" ")[0].replace(",", ""))
    assert drawn < 6 * (1 << 16)
    with pytest.raises(UsageError, match=r"^where: no patient of arm=b can meet the conditions on age\."):
        far.draw(100, where={"age": (0, 50)}, balance="arm", seed=1)


def test_rules_that_nobody_obeys_are_refused(monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", 1 << 15)
    never = kit.generator(kit.schema({"age": AGE, "sbp": AGE}, rules=["age > sbp + 50", "sbp > age + 40"]))
    for where in (None, {"age": 3}):
        with pytest.raises(UsageError, match=r"^rules: .* age > sbp \+ 50"):
            never.draw(1, where=where, seed=1)


def test_rules_that_nobody_obeys_who_meets_a_rare_condition_are_refused(monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", 1 << 15)
    never = kit.generator(kit.schema({"bmi": BMI, "sbp": AGE}, rules=["sbp > 150 * bmi - 60"]))
    with pytest.raises(UsageError, match=r"^where: 0 of [\d,]+ drawn patients where the conditions can hold meet"):
        never.draw(1, where={"bmi": (0.995, 1), "sbp": (0, 80)}, seed=1)


def test_a_missing_cell_meets_no_condition():
    assert FLAT.draw(5_000, where={"bmi": (0, 1)}, seed=17).static["bmi"].min() >= 0


def test_threads_may_share_a_generator():
    fresh = kit.generator(VISITS.schema, VISITS.probabilities, tilt=0.3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: fresh.draw(BLOCK + 10, seed=seed % 2), range(16)))
    for at, cohort in enumerate(found):
        assert kit.same(cohort, found[at % 2])
    assert not kit.same(found[0], found[1])


def test_a_network_that_leaves_holes_is_refused():
    graph = Graph(latent=1)
    holes = Generator(
        kit.schema({"age": AGE}),
        "x",
        graph.finish(graph.add("Mul", "latent", graph.floats(-np.inf)), variables=1),
        1,
        (1.0,),
    )
    with pytest.raises(NetworkError, match="age empty, which is not nullable"):
        holes.sample(10)


def test_repr_says_what_is_claimed():
    assert repr(FLAT).startswith("Generator('demo', uniform, NOT PRIVATE, ")
    private = Generator(FLAT.schema, "copula", b"123", 1, (0.5, 0.5), {"epsilon": 3.0})
    assert repr(private) == "Generator('demo', copula, epsilon 3, 3 bytes)"


@pytest.mark.parametrize("network", [b"", b"gibberish", FLAT.network[:-20]])
def test_a_network_that_cannot_be_run_is_an_error_for_people(network):
    broken_one = Generator(FLAT.schema, "x", network, FLAT.latent, FLAT.probabilities)
    with pytest.raises(NetworkError, match="network: it cannot be run"):
        broken_one.sample(3)


def test_a_network_of_other_inputs_is_an_error_for_people():
    with pytest.raises(NetworkError, match="network: it cannot be run"):
        Generator(FLAT.schema, "x", FLAT.network, FLAT.latent + 1, FLAT.probabilities).sample(3)


@pytest.mark.parametrize("part", [1, 7, 2_047, 1 << 20])
def test_patients_do_not_depend_on_the_parts_in_which_they_are_run(part, monkeypatch):
    """Normals are drawn part by part, so that a wide latent vector takes little memory: the same numbers."""
    latent = 5  # odd, so that parts end within a pair of random words
    graph = Graph(latent=latent)
    total = graph.add("ReduceSum", "latent", graph.whole([1]))
    units = graph.add("Sigmoid", total)
    narrow = Generator(kit.schema({"age": AGE}), "x", graph.finish(units, variables=1), latent, (1.0,))
    whole = narrow.draw(300, seed=3).static["age"]
    monkeypatch.setattr(drawing, "BLOCK", 300)
    once = narrow.draw(300, seed=3).static["age"]
    monkeypatch.setattr(module, "_PART", part)
    assert_array_equal(narrow.draw(300, seed=3).static["age"], once)
    assert_array_equal(whole, once)


def test_normals_are_never_drawn_for_more_patients_than_a_part(monkeypatch):
    asked = []
    run = Generator.run

    class Watched:
        def __init__(self, stream):
            self.stream = stream

        def standard_normal(self, shape, **more):
            asked.append(shape)
            return self.stream.standard_normal(shape, **more)

    monkeypatch.setattr(Generator, "run", lambda self, classes, stream: run(self, classes, Watched(stream)))
    FLAT.draw(1, seed=1)
    assert asked == [(2_048, FLAT.latent)] * 8


@pytest.mark.parametrize(
    ("row_bytes", "processors", "workers"),
    [(0, 1, 1), (0, 64, 64), (1 << 10, 64, 64), (1 << 19, 64, 3), (1 << 20, 64, 1), (1 << 20, 1, 1), (1 << 40, 64, 1)],
)
def test_blocks_in_the_making_take_four_gigabytes_at_most(row_bytes, processors, workers, monkeypatch):
    """A foreign network that takes 512 KiB for a patient takes 1 GiB for a part, and the patients a little more."""
    monkeypatch.setattr(module.os, "cpu_count", lambda: processors)
    made = Generator(FLAT.schema, "x", FLAT.network, FLAT.latent, FLAT.probabilities, row_bytes=row_bytes)
    assert made._workers() == workers
    pools = []
    pool = module.ThreadPoolExecutor
    monkeypatch.setattr(module, "ThreadPoolExecutor", lambda workers: pools.append(workers) or pool(workers))
    assert len(made.draw(BLOCK + 1, seed=1)) == BLOCK + 1
    assert pools == ([workers] if workers > 1 else [])  # a block by itself is made by whoever asks


def test_a_wide_table_is_made_by_fewer_workers(monkeypatch):
    """Its patients themselves take memory: 48 bytes for each variable."""
    monkeypatch.setattr(module.os, "cpu_count", lambda: 64)
    wide = kit.generator(kit.schema({f"c{at}": AGE for at in range(500)}))
    assert wide._workers() == (1 << 32) // (16_384 * 48 * 500)

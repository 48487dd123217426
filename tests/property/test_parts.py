"""Laws of shards: which patients they hold hangs on three numbers, and a part of a sample is just that part of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import combining_kit
import data_kit as kit
import wardgan as wg
from wardgan.combining import mixture
from wardgan.errors import UsageError
from wardgan.sample.drawing import BLOCK, Drawn
from wardgan.sample.spans import shard, spans
from wardgan.schema.cohort import joined

many = settings(max_examples=200, deadline=None)
few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b", "c"], "label": True},
    "sex": {"kind": "flag", "label": True},
    "age": {"kind": "integer", "low": 0, "high": 999},
}
VISITS = {"key": "visit", "max_visits": 2, "columns": {"sbp": {"kind": "integer", "low": 0, "high": 99}}}
SHARES = (0.05, 0.1, 0.15, 0.2, 0.2, 0.3)
DECLARED = kit.schema(TABLE, VISITS, rules=["sbp < age + 900"])
GENERATOR = kit.generator(DECLARED, SHARES, tilt=0.2)
OPAQUE = kit.generator(DECLARED, SHARES, tilt=0.2, opaque=True)
WISHES = [{}, {"arm": ["a", "b"]}, {"age": (300, 900)}, {"sex": True, "age": [1, 5, 9, *range(500, 600)]}]


@many
@given(st.integers(1, 10**13), st.integers(1, 10**6), st.data())
def test_shards_hold_every_patient_once_and_in_order(n, shards, data):
    shards = min(n, shards)
    number = data.draw(st.integers(0, shards - 1))
    mine = shard(number, shards, n)
    assert len(mine) > 0
    assert shard(0, shards, n).start == 0
    assert shard(shards - 1, shards, n).stop == n
    assert number == shards - 1 or shard(number + 1, shards, n).start == mine.stop
    even = n / shards
    assert abs(len(mine) - even) < (2 * BLOCK if n >= shards * BLOCK else 1)
    assert n < shards * BLOCK or mine.start % BLOCK == 0


def test_small_samples_are_cut_as_evenly_as_can_be():
    for n in range(1, 40):
        for shards in range(1, n + 1):
            found = [shard(number, shards, n) for number in range(shards)]
            assert [at for one in found for at in one] == list(range(n))
            assert max(map(len, found)) - min(map(len, found)) <= 1


def test_borders_are_those_that_were_promised():
    """Whoever has drawn some shards must get the others from a later version."""
    assert [shard(number, 3, 10) for number in range(3)] == [range(3), range(3, 6), range(6, 10)]
    borders = [shard(number, 3, 100_000).start // BLOCK for number in range(3)]
    assert borders == [0, 2, 4]


@pytest.mark.parametrize(
    "wrong", [(3, 3, 9), (-1, 3, 9), (0, 0, 9), (0, 10, 9), (0.0, 3, 9), (0, 3, 9.0), (True, 3, 9)]
)
def test_no_such_shard(wrong):
    with pytest.raises(UsageError):
        shard(*wrong)


@many
@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 50))
def test_blocks_hold_every_patient_once(skip, n, size):
    found = list(spans(skip, n, size))
    assert found
    assert [one.block * size + at for one in found for at in range(one.start, one.stop)] == [*range(skip, skip + n)]
    assert all(0 <= one.start <= one.stop <= size for one in found)
    assert all(two.block == one.block + 1 for one, two in pairwise(found))
    assert len(found) <= n // size + 2


@few
@given(
    st.integers(0, 2**64), st.integers(0, 2 * BLOCK), st.integers(0, BLOCK + 40), st.sampled_from(WISHES),
    st.sampled_from([None, "arm", "sex"]), st.sampled_from([1, 2, None]), st.integers(1, BLOCK),
)  # fmt: skip
def test_a_part_is_that_part_of_the_whole(seed, skip, n, where, balance, threads, chunk):
    assume(balance not in where or isinstance(where[balance], list))
    whole = GENERATOR.draw(skip + n, where=where, balance=balance, seed=seed)
    parts = list(GENERATOR.part(skip, n, chunk=chunk, where=where, balance=balance, seed=seed, threads=threads))
    assert kit.same(joined(parts), whole.take(slice(skip, None)))


@pytest.mark.parametrize(
    ("generator", "balance"), [(GENERATOR, None), (GENERATOR, "sex"), (OPAQUE, "sex")], ids=["one", "turns", "again"]
)
def test_rare_patients_have_their_place_too(generator, balance):
    """Where conditions are rare, how they are met is found out by a pilot, which must not hang on the part."""
    where, n = {"age": (990, 991)}, BLOCK + 300
    assert generator.efficiency(where=where, balance=balance, seed=3).proposed == (generator is GENERATOR)
    whole = generator.draw(n, where=where, balance=balance, seed=3)
    for skip, stop in ((BLOCK - 5, BLOCK + 5), (n - 1, n), (n, n)):
        found = joined(list(generator.part(skip, stop - skip, where=where, balance=balance, seed=3)))
        assert kit.same(found, whole.take(slice(skip, stop)))


def test_how_conditions_are_met_hangs_on_the_seed_alone():
    """For conditions that are rare for one pilot and not for the next, a pilot of a part would find other patients."""
    where = {"age": (500, 511)}
    found = [GENERATOR.efficiency(where=where, seed=seed).proposed for seed in range(6)]
    seed = next(at for at in range(5) if found[at] != found[at + 1])
    whole = GENERATOR.draw(41, where=where, seed=seed)
    for skip in (0, 1):
        (some,) = GENERATOR.part(skip, 40, where=where, seed=seed)
        assert kit.same(some, whole.take(slice(skip, skip + 40)))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinics")
    clinics = [
        combining_kit.hospital(folder, "alpha", 600, seed=1, new=0.2, age=40, epsilon=None),
        combining_kit.hospital(folder, "beta", 1800, seed=2, new=0.6, age=70, epsilon=None),
    ]
    wg.combine(clinics, folder / "region.hgan", overlap=1)
    return wg.load(folder / "region.hgan")


@pytest.mark.parametrize("balance", [None, "arm"])
@pytest.mark.parametrize("where", [{}, {"arm": "new"}, {"age": (20, 60)}], ids=["all", "label", "others"])
def test_parts_of_combined_generators_too(region, monkeypatch, where, balance):
    if balance in where:
        balance = None
    monkeypatch.setattr(mixture, "_LARGEST", BLOCK)  # blocks as small as those of one generator
    mixed = region.sited("clinic")
    n = 2 * BLOCK + 700
    whole = mixed.draw(n, where=where, balance=balance, seed=4)
    ends = (0, 1), (0, 300), (100, 9000), (8000, BLOCK), (BLOCK - 5, BLOCK + 5), (BLOCK, n), (9999, n), (n, n)
    for skip, stop in ends:
        found = mixed.part(skip, stop - skip, chunk=5000, where=where, balance=balance, seed=4, threads=1)
        assert kit.same(joined(list(found)), whole.take(slice(skip, stop)))
    assert len(np.unique(whole.static["clinic"])) == 2


def test_of_a_combined_generator_little_is_drawn_that_is_not_asked_for(region):
    """Its blocks are a million patients; whoever asks for a few of the last ones must not wait for all."""
    drawn: list[Drawn] = []
    (some,) = region.part(900_000, 100, seed=1, drew=drawn.append)
    assert len(some) == 100
    assert some.patients[0] == 900_001
    assert sum(drawn, Drawn()).patients < 40_000


def test_what_is_no_part_is_refused():
    for wrong in ((-1, 5), (0, -1), (0.5, 1), (0, True)):
        with pytest.raises(UsageError):
            GENERATOR.part(*wrong, seed=1)
    for more in ({"threads": 0}, {"chunk": 0}, {"seed": -1}, {"where": {"nobody": 1}}):
        with pytest.raises(UsageError):
            GENERATOR.part(0, 5, **{"seed": 1, **more})

"""Laws of the search for rare patients: nobody is left out, every wish is honoured, and every draw can be replayed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
import rare_kit as rare
from wardgan.errors import UsageError
from wardgan.sample import drawing, search
from wardgan.sample.conditions import conditions
from wardgan.schema.cohort import joined
from wardgan.schema.read import broken

few = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)


@pytest.fixture
def always_rare(monkeypatch):
    """Every condition counts as rare, and every proposal as worth it; nobody waits long."""
    monkeypatch.setattr(search, "RARE", 2.0)
    monkeypatch.setattr(search, "_WORTH", 1e9)
    monkeypatch.setattr(drawing, "PATIENCE", 1 << 16)


def contradiction(generator, where):
    """Whether a wish is refused before anything is drawn."""
    try:
        conditions(generator.schema, generator.probabilities, where, None)
    except UsageError:
        return True
    return False


def left_out(generator, where, seed, n=4_000):
    """How many patients who meet a wish are outside the proved region, and how many meet it."""
    found = rare.proposal(generator, where)
    assert found is not None
    wanted = conditions(generator.schema, generator.probabilities, where, None)
    outside = met = 0
    for label in range(generator.schema.classes):
        cohort, latents = rare.everybody(generator, label, n, seed)
        held = wanted.hold(cohort)
        outside += int((held & ~rare.inside(found, label, latents)).sum())
        met += int(held.sum())
    return outside, met


@many
@given(st.data(), kit.schemas(), seeds)
def test_nobody_who_meets_a_wish_is_outside_its_region(data, declared, seed):
    generator, where = kit.generator(declared, tilt=0.4), data.draw(rare.wishes(declared))
    if not contradiction(generator, where):
        assert left_out(generator, where, seed, n=1_000)[0] == 0


@pytest.mark.parametrize("shape", rare.SHAPES)
@few
@given(st.data(), seeds)
def test_nor_outside_that_of_a_fitted_copula(shape, data, seed):
    generator = rare.fitted(shape)
    where = data.draw(rare.wishes(generator.schema))
    if not contradiction(generator, where):
        assert left_out(generator, where, seed)[0] == 0


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ("ragged", {"year@3": (2.0, 3.5)}),  # the sum of a time and two gaps: only the visit itself is proved
        ("ragged", {"year@1": (0.0, 0.4), "visit@count": [0, 3]}),
        ("ragged", {"sbp@4": "missing"}),
        ("named", {"sbp@B": "missing"}),
        ("named", {"sbp@B": [120, "missing"], "visit@count": (1, 2)}),
        ("named", {"visit@C": False}),
        ("complete", {"sbp@C": [100, 101, 140]}),
        ("table", {"weight": "present", "group": ["y", "missing"], "born": "present"}),
    ],
)
def test_nobody_is_outside_the_region_of_a_wish_of_each_kind(shape, where):
    outside, met = left_out(rare.fitted(shape), where, 3)
    assert outside == 0
    assert met > 20


def test_the_region_of_a_range_is_hardly_larger_than_it_must_be():
    generator = rare.trial()
    for where in ({"sbp@3M": (165, 260)}, {"sbp@3M": (100, 103), "dbp@6M": (40, 60)}, {"drugs@RZ": [0, 5]}):
        found = rare.proposal(generator, where)
        wanted = conditions(generator.schema, generator.probabilities, where, None)
        for label in (0, 1):
            cohort, latents = rare.everybody(generator, label, 100_000, 5)
            held, in_region = wanted.hold(cohort), rare.inside(found, label, latents)
            assert 0.97 * in_region.sum() <= held.sum() <= in_region.sum()
            assert held.sum() > 50


@pytest.mark.parametrize("shape", rare.SHAPES)
@few
@given(st.data(), seeds, st.integers(1, 300), st.sampled_from([None, "arm"]))
def test_every_patient_honours_every_wish_and_every_rule(always_rare, shape, data, seed, n, balance):
    generator = rare.fitted(shape)
    where = data.draw(rare.wishes(generator.schema, most=2))
    cohort = drawn_or_refused(generator, n, where, balance, seed)
    if cohort is None:
        return
    assert len(cohort) == n
    frame = cohort.wide()
    for name, wanted in where.items():
        assert_honoured(cohort, frame, name, wanted)
    assert not broken(cohort)[1].any()
    if balance:
        assert_array_equal(cohort.static["arm"], np.arange(n) % 2)


def drawn_or_refused(generator, n, where, balance, seed):
    try:
        return generator.draw(n, where=where, balance=balance, seed=seed)
    except UsageError as error:
        refused = str(error)
    assert refused.startswith("where: ")
    return None


def assert_honoured(cohort, frame, name, wanted):
    """Judged on the table that people get, without the code that drew it."""
    if name.startswith("visit@"):
        slots = cohort.schema.visits.slots
        taken = cohort.present.sum(axis=1) if name == "visit@count" else cohort.present[:, slots.index(name[6:])]
        low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        assert ((taken >= low) & (taken <= high)).all()
    elif wanted == "missing":
        assert frame[name].isna().all()
    elif wanted == "present":
        assert frame[name].notna().all()
    elif isinstance(wanted, tuple):
        values = frame[name].map(lambda value: value.date()) if frame[name].dtype.kind == "M" else frame[name]
        assert ((values >= wanted[0]) & (values <= wanted[1])).all()
    else:
        assert set(frame[name].astype(str).str.lower()) <= {str(one).lower() for one in wanted}


RARE = {"sbp@3M": (180, 260), "dbp@RZ": (20, 60)}


@few
@given(seeds, st.integers(1, 700), st.integers(1, 800), st.sampled_from([None, "arm"]))
def test_neither_chunks_nor_the_size_of_the_sample_matter(seed, n, chunk, balance):
    generator = rare.trial()
    whole = generator.draw(700, where=RARE, balance=balance, seed=seed)
    parts = list(generator.draws(n, chunk=chunk, where=RARE, balance=balance, seed=seed))
    assert kit.same(joined(parts), whole.take(slice(n)))
    assert [len(part) for part in parts] == [chunk] * (n // chunk) + [n % chunk] * (n % chunk > 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_nor_how_many_workers_there_are(workers, monkeypatch):
    generator, n = rare.trial(), 2 * drawing.BLOCK + 10
    parts = []
    expected = generator.draw(n, where=RARE, seed=4)
    monkeypatch.setattr(type(generator), "_workers", lambda self: workers)
    found = joined(list(generator.draws(n, chunk=5_000, where=RARE, seed=4, drew=parts.append)))
    assert kit.same(found, expected)
    drawn = sum(parts, drawing.Drawn())
    assert len(parts) == 3
    assert drawn.kept >= n
    again = []
    list(generator.draws(n, where=RARE, seed=4, drew=again.append))
    assert sum(again, drawing.Drawn()) == drawn
    # Blocks are not copies of each other.
    assert not np.array_equal(found.measured["sbp"][:1000], found.measured["sbp"][drawing.BLOCK :][:1000])

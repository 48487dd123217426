"""Canaries obey their schema, are unlike all others, and are scored as if by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import data_kit as kit
from attack_kit import CLINIC, VISITS, clinic, rounds
from wardgan.attack.canaries import canaries
from wardgan.attack.patients import keys, rows_of
from wardgan.attack.suspicion import PARTS, Scene, by_cells, by_copies
from wardgan.errors import SchemaError, UsageError
from wardgan.schema.cohort import joined
from wardgan.schema.read import broken, examine

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def some(schema, count, seed=0):
    return canaries(schema, count, np.random.default_rng(seed))


@many
@given(kit.schemas(), st.integers(0, 999), st.integers(1, 12))
def test_canaries_obey_their_schema_and_differ(schema, seed, count):
    try:
        found = some(schema, count, seed)
    except UsageError as refused:
        assume("different patients" not in str(refused))
        raise
    assert len(found) == count
    assert [finding for finding in examine(found.frame(), schema).findings if finding.blocking] == []
    assert len(np.unique(keys(rows_of(found)[0]))) == count


@many
@given(st.integers(0, 999), st.sampled_from(["a <= b", "a + b < 12", "not a == b", "a < 5 or c == 1"]))
def test_canaries_obey_rules_where_they_can(seed, rule):
    small = {"kind": "integer", "low": 0, "high": 9}
    schema = kit.schema({"a": small, "b": small, "c": {"kind": "flag", "label": True}}, rules=[rule])
    assert not broken(some(schema, 20, seed))[1].any()


def test_rules_of_many_visits_are_obeyed_by_patients_whose_visits_are_alike():
    pressure = {"kind": "integer", "low": 20, "high": 250}
    visits = {"key": "visit", "grid": [f"v{at}" for at in range(12)], "columns": {"sbp": pressure, "dbp": pressure}}
    schema = kit.schema({"sex": {"kind": "flag"}}, visits, rules=["dbp < sbp"])
    assert not broken(some(schema, 50))[1].any()


def test_a_rule_that_hardly_anybody_obeys_does_not_stop_the_audit():
    part = {"kind": "integer", "low": 0, "high": 10_000}
    schema = kit.schema({"a": part, "b": part, "c": part}, rules=["a + b == c"])
    assert len(some(schema, 50)) == 50


def test_the_schema_must_allow_so_many():
    schema = kit.schema({"a": {"kind": "flag"}, "b": {"kind": "flag", "label": True}})
    assert len(some(schema, 4)) == 4
    with pytest.raises(UsageError, match=r"canaries=5 are more than the different patients .* \(4 were found\)"):
        some(schema, 5)


def test_what_waits_to_be_learned_is_refused():
    schema = kit.schema({"a": {"kind": "flag"}, "site": {"kind": "category", "learn": True}})
    with pytest.raises(SchemaError, match=r"site: .* levels are not declared"):
        some(schema, 5)


def test_canaries_are_farther_apart_than_random_patients():
    rows, variables = rows_of(some(CLINIC, 60))
    assert variables.names
    gaps = np.abs(rows[:, None] - rows[None]).max(axis=2) + 9 * np.eye(60)
    assert gaps.min() > 0.05
    assert (rows >= 0).all()


def scene(make=clinic, schema=CLINIC, synthetic=None, count=40, **more):
    birds, others = some(schema, count, 3), make(300, 1)
    made = make(500, 2) if synthetic is None else synthetic(birds, others)
    rows, variables = rows_of(birds)
    return Scene(variables, rows, rows_of(others)[0], rows_of(made)[0], **more)


def places(row, columns, parts):
    """Where the values of a patient are in one column, and what each of them weighs."""
    there = [float(row[at]) for at in columns if row[at] >= 0]
    cells = [min(int(value * parts), parts - 1) if parts else int(value) for value in there]
    return [(cell, 1 / len(cells)) for cell in cells]


def table(rows, columns, parts):
    found = {}
    for row in rows:
        for cell, weight in places(row, columns, parts):
            found[cell] = found.get(cell, 0) + weight
    return found


def obvious_cells(found: Scene):
    """Cell by cell and patient by patient."""
    scores = np.zeros(len(found.canaries))
    total = len(found.others) + len(found.canaries) / 2
    for source in sorted(set(found.variables.sources)):
        columns = [at for at, name in enumerate(found.variables.sources) if name == source]
        for parts in PARTS if found.variables.numeric[columns[0]] else (0,):
            mine, others, synthetic = (
                table(rows, columns, parts) for rows in (found.canaries, found.others, found.synthetic)
            )
            for at, row in enumerate(found.canaries):
                for cell, weight in places(row, columns, parts):
                    expected = others.get(cell, 0) + mine[cell] / 2
                    seen = synthetic.get(cell, 0) * total / len(found.synthetic)
                    variance = 0.25 + mine[cell] / 4 + expected * total / len(found.synthetic)
                    z = (seen - expected) / variance**0.5
                    scores[at] += weight * min(1, max(-1, z)) / variance**0.5
    return scores


@pytest.mark.parametrize(("make", "schema"), [(clinic, CLINIC), (rounds, VISITS)])
def test_cells_are_scored_as_by_hand(make, schema):
    found = scene(make, schema)
    np.testing.assert_allclose(by_cells(found), obvious_cells(found), rtol=1e-5)


def test_a_copied_canary_stands_out():
    found = scene(synthetic=lambda birds, others: birds.take(np.arange(10)))
    scores = by_copies(found)
    assert scores[:10].min() > scores[10:].max()


def test_a_canary_whose_values_are_counted_stands_out():
    def shuffled(birds, others):
        stream = np.random.default_rng(0)
        whole = joined([others, birds.take(np.arange(20))])
        whole = whole.take(np.repeat(np.arange(len(whole)), 20))
        return replace(whole, static={name: stream.permutation(codes) for name, codes in whole.static.items()})

    found = scene(synthetic=shuffled)
    scores = by_cells(found)
    assert (scores[:20, None] > scores[None, 20:]).mean() > 0.95

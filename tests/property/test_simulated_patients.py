"""The law of simulated patients: whatever the schema, they obey it, and can be read as if they were a file."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, decode, encode
from wardgan.rng import Seed
from wardgan.schema.read import broken, examine, read
from wardgan.simulate.assume import Assumptions
from wardgan.simulate.world import World

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
assumptions = st.builds(
    Assumptions, signal=st.sampled_from(["weak", "medium", "strong"]), missing=st.floats(0, 0.9)
)  # fmt: skip


@many
@given(kit.schemas(), assumptions, st.integers(0, 999), st.integers(1, 40))
def test_simulated_patients_obey_their_schema(schema, assume, seed, patients):
    cohort = World.of(schema, seed=Seed(seed), assume=assume).draw(patients, seed=Seed(seed + 1))
    assert len(cohort) == patients
    assert [finding for finding in examine(cohort.frame(), schema).findings if finding.blocking] == []
    assert kit.same(cohort, read(cohort.frame(), schema), exact=False, names=False)


@many
@given(kit.schemas(), st.integers(0, 999))
def test_simulated_patients_can_be_encoded_and_decoded(schema, seed):
    cohort = World.of(schema, seed=Seed(seed)).draw(20, seed=Seed(seed + 1))
    classes = classes_of(cohort)
    assert ((classes >= 0) & (classes < schema.classes)).all()
    layout = Layout.of(schema)
    assert kit.same(cohort, decode(encode(cohort, layout), classes, layout), exact=False)


@many
@given(st.integers(0, 999), st.sampled_from(["a <= b", "a + b < 12", "not a == b", "a < 5 or c == 1"]))
def test_rules_are_obeyed(seed, rule):
    small = {"kind": "integer", "low": 0, "high": 9}
    schema = kit.schema({"a": small, "b": small, "c": {"kind": "flag", "label": True}}, rules=[rule])
    cohort = World.of(schema, seed=Seed(seed)).draw(60, seed=Seed(seed))
    assert len(cohort) == 60
    assert not broken(cohort)[1].any()
    assert_array_equal(cohort.patients, np.arange(1, 61))

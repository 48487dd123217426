"""Laws of exchange: for any patients, each cell that is not missing is in the FHIR and OMOP files once, with its value."""

import json
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import data_kit
import exchange_kit as kit
from wardgan.errors import UsageError
from wardgan.exchange import fhir
from wardgan.exchange.clock import Clock
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.omop import tables
from wardgan.exchange.write import Wish

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MARKS = fhir.Marks(kit.ORIGIN)


@st.composite
def drafts(draw):
    """Any patients of any schema, and the draft of a mapping file for them."""
    cohort = draw(data_kit.cohorts())
    cohort = replace(cohort, patients=np.arange(1, len(cohort) + 1) + draw(st.integers(0, 1000)))
    concepts = kit.drafted(cohort.schema)
    try:
        Clock(cohort, concepts)
    except UsageError:
        assume(False)  # visits that are a million days after day 0
    return cohort, concepts


@few
@given(drafts())
def test_each_cell_is_one_observation(given_):
    cohort, concepts = given_
    found = [
        json.loads(json.dumps(fhir.bundle(one, MARKS, int(number))))
        for number, one in zip(cohort.patients, fhir.patients(cohort, concepts, MARKS), strict=True)
    ]
    assert kit.fhir_cells(found, concepts) == kit.cells(cohort, concepts)
    visits = sum(one["resourceType"] == "Encounter" for bundle in found for one in kit.resources(bundle))
    assert visits == (0 if cohort.present is None else cohort.present.sum())
    kit.judge_bundle(found[0])


@few
@given(drafts())
def test_each_cell_is_one_row(tmp_path_factory, given_):
    cohort, concepts = given_
    folder = tmp_path_factory.mktemp("omop") / "tables"
    made = Wish("omop", folder, concepts, kit.ORIGIN, ("2026-01-31", "2026-01-31")).write([cohort], len(cohort))
    found = kit.judge_omop(folder)
    wanted = kit.cells(cohort, concepts)
    assert kit.omop_cells(found, concepts) == wanted
    assert made.counts["measurement"] + made.counts["observation"] == len(wanted)


@few
@given(drafts(), st.data())
def test_conditions_and_medications_are_flags_that_are_true(given_, data):
    """The same count from both files as from the table, for flags and dates that become what somebody has or takes."""
    cohort, concepts = given_
    names = [one.name for one in concepts.columns if one.column.kind in ("flag", "date") and one.kind == "observation"]
    kinds = {name: data.draw(st.sampled_from(["condition", "medication"])) for name in names}
    found = {"reference": "2020-01-01", "columns": kinds, "omop": {"year_of_birth": 1950}}
    if cohort.schema.visits is not None:
        found["visits"] = {"days": 1}
    meant = Concepts.from_dict(found, cohort.schema)
    wanted = dict.fromkeys(("condition", "medication"), 0)
    for (_, name, _), value in kit.cells(cohort, meant, kinds=("condition", "medication")).items():
        wanted[kinds[name]] += value is not False
    made = [one for each in fhir.patients(cohort, meant, MARKS) for one in each]
    assert sum(one["resourceType"] == "Condition" for one in made) == wanted["condition"]
    assert sum(one["resourceType"] == "MedicationStatement" for one in made) == wanted["medication"]
    rows, _ = tables(cohort, meant)
    assert len(rows["condition_occurrence"]) == wanted["condition"]
    assert len(rows["drug_exposure"]) == wanted["medication"]

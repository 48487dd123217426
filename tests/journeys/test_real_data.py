"""From published patients to synthetic ones; skipped where the files are not (see `benchmarks/datasets.py`)."""

import numpy as np
import pytest

import datasets
import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, decode, encode
from wardgan.errors import PlanError
from wardgan.schema.read import broken, examine

BUDGET = wg.Budget(epsilon=3.0)
# Largest allowed differences of means (in standard deviations, or in 3 % of the declared range) and of shares of empty cells: a few times what was
# measured, since a private fit differs from run to run. pbc2 has 312 patients and 101 variables: at this epsilon its
# synthetic patients obey the schema, and that is all that can be promised.
ROOM = {"uci_heart": (0.5, 0.15), "support2": (0.5, 0.1), "physionet2012": (0.4, 0.15), "pbc2": (np.inf, 1.0)}


def the(name):
    if not datasets.available(name):
        pytest.skip(f"the files of {name} are not in {datasets.folder()}")
    found = datasets.load(name)
    return found, wg.read(found.table, found.schema, visits=found.visits, invalid="clip")


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_real_table_is_read_as_it_is(name):
    found, cohort = the(name)
    seen = examine(found.table, found.schema, visits=found.visits)
    assert sum(finding.count for finding in seen.findings if finding.blocking) < 0.01 * len(found.table)
    layout = Layout.of(cohort.schema)
    again = decode(encode(cohort, layout), classes_of(cohort), layout)
    for column, codes in cohort.static.items():
        np.testing.assert_array_equal(again.static[column], codes)
    for column, codes in cohort.measured.items():
        np.testing.assert_allclose(again.measured[column], codes, atol=1e-9)


@pytest.mark.parametrize("name", list(ROOM))
def test_a_real_table_becomes_a_synthetic_one(name, tmp_path):
    _, cohort = the(name)
    made = wg.fit(cohort, BUDGET, family="copula")
    assert made.ledger.epsilon() <= BUDGET.epsilon
    wg.release(made, tmp_path / "x.hgan", override="A. Tester: no dossier in a test")
    draws = wg.load(tmp_path / "x.hgan").draw(5_000, seed=1)
    assert not broken(draws)[1].any()
    real, synthetic = cohort.wide(), draws.wide()
    mean_room, hole_room = ROOM[name]
    for column in real.columns[1:]:
        assert abs(real[column].isna().mean() - synthetic[column].isna().mean()) < hole_room, column
        if real[column].dtype.kind in "fiu" and real[column].notna().sum() > 0.5 * len(real):
            gap = abs(real[column].astype(float).mean() - synthetic[column].astype(float).mean())
            declared = cohort.schema.column(column.partition("@")[0])
            spread = max(real[column].astype(float).std(), 0.03 * (declared.high - declared.low))
            assert gap < mean_room * spread, column


def test_a_table_too_small_for_its_columns_is_refused_before_it_is_read():
    _, cohort = the("pbc2")
    with pytest.raises(PlanError, match="epsilon"):
        wg.fit(cohort, wg.Budget(epsilon=1.0), family="copula")

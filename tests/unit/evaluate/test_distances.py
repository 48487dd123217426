"""Likeness beside its ceiling: planted differences stand out from the hold-out's, and another sample does not."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_fidelity import patients

from wardgan.errors import DataError
from wardgan.evaluate.associations import association_gap, association_gaps, indicators, together_gaps
from wardgan.evaluate.columns import paired
from wardgan.evaluate.distances import difference, kolmogorov, likeness
from wardgan.evaluate.fidelity import pair_total_variation, total_variation
from wardgan.evaluate.resample import Resamples
from wardgan.rng import Seed

SEED = Seed(1)


def holed(n, *, seed):
    """Patients of whom some lack two values, mostly both."""
    frame = patients(n, seed=seed)
    stream = np.random.default_rng(seed + 100)
    gone = stream.random(n) < 0.2
    for name in ("sbp@RZ", "sbp@1M"):
        frame[name] = frame[name].mask(gone ^ (stream.random(n) < 0.02))
    return frame


@pytest.fixture(scope="module")
def real():
    return holed(2000, seed=1)


@pytest.fixture(scope="module")
def alike():
    return holed(3000, seed=2)


@pytest.fixture(scope="module")
def holdout():
    return holed(800, seed=3)


def beyond(pair):
    """Whether synthetic patients are clearly farther away than a hold-out."""
    return pair.synthetic.low > pair.holdout.high


def everything(found):
    single = [*found.columns.values(), *found.steps.values(), *found.worst.values()]
    return [*single, found.mean, found.pairs, found.associations, found.missing_together]


def test_another_sample_is_no_farther_than_the_hold_out(real, alike, holdout):
    found = likeness(real, alike, holdout, seed=SEED)
    assert found.sizes == (2000, 800, 800)
    assert list(found.columns) == list(real.columns)
    assert list(found.steps) == ["sbp@RZ", "sbp@1M", "drugs@RZ"]
    assert list(found.missing) == ["sbp@RZ", "sbp@1M"]
    assert not any(beyond(pair) for pair in everything(found))
    for pair in everything(found):
        assert 0 <= pair.synthetic.low <= pair.synthetic.value <= pair.synthetic.high
        assert pair.synthetic.baseline == pair.holdout.value
    for pair in found.missing.values():
        assert pair.synthetic.low < 0 < pair.synthetic.high
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_values_are_those_of_the_plain_measures(real, alike):
    found = likeness(real, alike, seed=SEED)
    assert found.mean.synthetic.value == pytest.approx(total_variation(real, alike).mean)
    assert found.pairs.synthetic.value == pytest.approx(pair_total_variation(real, alike).mean)
    assert found.associations.synthetic.value == pytest.approx(association_gap(real, alike))
    gap = pair_total_variation(real, alike)
    assert next(iter(found.worst)) == gap.where
    assert found.worst[gap.where].synthetic.value == pytest.approx(gap.largest)
    slow = stats.ks_2samp(real["sbp@1M"].dropna(), alike["sbp@1M"].dropna()).statistic
    assert found.steps["sbp@1M"].synthetic.value == pytest.approx(slow)
    assert found.mean.holdout is None
    assert found.mean.synthetic.baseline is None


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("sbp@RZ", lambda values: values + 4),
        ("sbp@RZ", lambda values: 0 * values - 140),
        ("drugs@RZ", lambda values: -values),
        ("sex", lambda values: values.replace("m", "x")),
        ("sbp@1M", lambda values: values * np.nan),
    ],
)
def test_a_column_that_changed_is_seen(real, alike, holdout, column, change):
    found = likeness(real, alike.assign(**{column: change(alike[column])}), holdout, seed=SEED)
    assert beyond(found.columns[column])
    assert [name for name, pair in found.columns.items() if beyond(pair)] == [column]
    if column in found.steps:
        assert found.steps[column].synthetic.value > found.steps[column].holdout.high


def test_broken_links_are_seen_though_the_margins_are_right(real, alike, holdout):
    stream = np.random.default_rng(4)
    shuffled = pd.DataFrame({name: stream.permutation(column) for name, column in alike.items()})
    found = likeness(real, shuffled, holdout, seed=SEED)
    assert not any(beyond(pair) for pair in found.columns.values())
    assert beyond(found.pairs)
    assert beyond(found.associations)
    assert set(next(iter(found.worst))) == {"sbp@RZ", "sbp@1M"}
    assert beyond(found.missing_together)


def test_missing_cells_that_are_filled_are_seen(real, alike, holdout):
    found = likeness(real, alike.assign(**{"sbp@RZ": alike["sbp@RZ"].fillna(140.0)}), holdout, seed=SEED)
    assert found.missing["sbp@RZ"].synthetic.high < -0.1
    assert beyond(found.columns["sbp@RZ"])


def test_the_interval_holds_what_samples_of_this_size_show_on_the_whole():
    found = [likeness(patients(400, seed=2 * at), patients(400, seed=2 * at + 1), seed=Seed(at)) for at in range(60)]
    for pick in (
        lambda one: one.mean,
        lambda one: one.pairs,
        lambda one: one.associations,
        lambda one: one.steps["sbp@RZ"],
    ):
        parts = [pick(one).synthetic for one in found]
        whole = np.mean([part.value for part in parts])
        assert np.mean([part.low <= whole <= part.high for part in parts]) >= 0.88


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows(real, rows):
    found = likeness(real, real.iloc[:rows], real, seed=SEED)
    assert found.sizes == (2000, rows, rows)
    assert found.mean.synthetic.high > 0.5
    assert likeness(real.iloc[:rows], real, seed=SEED).mean.synthetic.value > 0.3


def test_one_column_constants_and_nothing():
    one = pd.DataFrame({"a": [-3.0] * 30})
    found = likeness(one, one, one, seed=SEED)
    assert (found.pairs, found.associations, found.missing_together, found.missing) == (None, None, None, {})
    assert found.columns["a"].synthetic.value == found.steps["a"].synthetic.value == 0
    empty = one.assign(b=np.nan, c=None)
    found = likeness(empty, empty, empty, seed=SEED)
    assert list(found.steps) == ["a"]
    assert found.columns["b"].synthetic.value == 0
    assert found.associations.synthetic.value == 0
    assert found.missing_together.synthetic.value == 0


def test_the_tables_are_left_as_they_were_and_the_seed_replays(real, alike, holdout):
    copies = [frame.copy() for frame in (real, alike, holdout)]
    one = likeness(real, alike, holdout, seed=Seed(5))
    assert likeness(real, alike, holdout, seed=Seed(5)) == one
    for frame, copy in zip((real, alike, holdout), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_a_hold_out_without_a_column_is_refused(real, alike):
    with pytest.raises(DataError, match="sex: columns of real that holdout lacks"):
        likeness(real, alike, real.drop(columns="sex"), seed=SEED)


def test_associations_are_those_of_a_loop():
    real, made = holed(60, seed=1), holed(50, seed=2)
    ours, theirs, owner = indicators(*paired(real, made))
    both = pd.concat([real, made], ignore_index=True)
    assert np.bincount(owner).tolist() == [2, 2, 2, 1, 2]
    ranked = both["sbp@1M"].rank(pct=True).fillna(0.5).to_numpy()
    np.testing.assert_allclose(np.concatenate([ours, theirs])[:, 4], ranked)
    cells = [
        abs(np.corrcoef(ours[:, one], ours[:, two])[0, 1] - np.corrcoef(theirs[:, one], theirs[:, two])[0, 1])
        for one in range(len(owner))
        for two in range(len(owner))
        if owner[one] != owner[two]
    ]
    assert association_gap(real, made) == pytest.approx(np.mean(cells))


@pytest.mark.parametrize("block", [2, 50])
def test_drawn_associations_are_those_of_drawn_patients(monkeypatch, block):
    monkeypatch.setattr("wardgan.evaluate.associations._BLOCK", block)
    ours, theirs, owner = indicators(*paired(holed(80, seed=1), holed(70, seed=2)))
    mine, other = Resamples.of(80, SEED, "a", draws=4), Resamples.of(70, SEED, "b", draws=4)
    marks = [(part > 0.5).astype(float) for part in (ours, theirs)]
    found, both = association_gaps(ours, theirs, owner, mine, other), together_gaps(*marks, mine, other)
    size = ours.shape[1]
    for at in range(5):
        often = [draws.weights[at, draws.group].astype(int) for draws in (mine, other)]
        one, two = (np.repeat(part, times, axis=0) for part, times in zip((ours, theirs), often, strict=True))
        apart = np.abs(np.corrcoef(one.T) - np.corrcoef(two.T))[owner[:, None] != owner[None, :]]
        assert found[at] == pytest.approx(apart.mean())
        one, two = (np.repeat(part, times, axis=0) for part, times in zip(marks, often, strict=True))
        slow = [
            abs((one[:, i] * one[:, j]).mean() - (two[:, i] * two[:, j]).mean()) for i in range(size) for j in range(i)
        ]
        assert both[at] == pytest.approx(np.mean(slow))


def test_kolmogorov_is_scipys():
    stream = np.random.default_rng(1)
    for _ in range(20):
        one, other = stream.normal(size=30).round(1), stream.normal(size=50).round(1)
        assert kolmogorov(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_the_difference_of_shares_is_newcombes_and_covers():
    # Newcombe 1998, table II, example (a): 56/70 and 48/80, method 10.
    found = difference(np.arange(70) < 56, np.arange(80) < 48)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    stream = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        one = difference(stream.random(60) < 0.3, stream.random(90) < 0.1)
        held += one.low <= 0.2 <= one.high
    assert 0.93 < held / 1000 < 0.98

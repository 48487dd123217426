"""Each measure sees a planted difference and sees none where there is none."""

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError
from wardgan.evaluate.fidelity import (
    correlation_agreement,
    correlations,
    median_gap,
    pair_total_variation,
    total_variation,
)

STREAM = np.random.default_rng(5)


def patients(n, *, seed):
    """Three linked numbers, a class and a level for n patients."""
    stream = np.random.default_rng(seed)
    arm = stream.choice(["standard", "intensive"], n)
    base = stream.normal(size=n)
    return pd.DataFrame(
        {
            "arm": arm,
            "sbp@RZ": 140 + 10 * base + stream.normal(size=n),
            "sbp@1M": 130 + 8 * base + 3 * stream.normal(size=n) - 10 * (arm == "intensive"),
            "drugs@RZ": stream.poisson(2, n) - (base > 0),
            "sex": np.where(base + stream.normal(size=n) > 0, "f", "m"),
        }
    )


@pytest.fixture(scope="module")
def real():
    return patients(4000, seed=1)


@pytest.fixture(scope="module")
def alike():
    return patients(4000, seed=2)


@pytest.fixture(scope="module")
def shuffled(real):
    """The same margins, every link broken."""
    stream = np.random.default_rng(3)
    return pd.DataFrame({name: stream.permutation(column) for name, column in real.items()})


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("shift", [0.0, -1e4])
def test_correlations_are_those_of_a_loop_over_pairs(holes, scale, shift):
    values = STREAM.normal(size=(60, 4)) @ STREAM.normal(size=(4, 4)) + shift
    values[STREAM.random(values.shape) < holes] = np.nan
    found = correlations(pd.DataFrame(values * scale))
    for one in range(4):
        for two in range(4):
            both = np.isfinite(values[:, one]) & np.isfinite(values[:, two])
            assert found[one, two] == pytest.approx(np.corrcoef(values[both, one], values[both, two])[0, 1], abs=1e-8)
    np.testing.assert_allclose(found, found.T)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3e12])
def test_constant_columns_have_no_correlation(constant):
    frame = pd.DataFrame({"a": STREAM.normal(size=50), "b": np.full(50, constant), "c": STREAM.normal(size=50)})
    found = correlations(frame)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[[0, 0, 2], [0, 2, 2]]).all()


def test_rounding_errors_of_a_constant_are_no_variance():
    frame = pd.DataFrame({"a": [0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2], "b": [1.0, 2.0, 1.0, 2.0]})
    assert np.isnan(correlations(frame)[0, 1])


def test_a_column_that_is_constant_where_the_other_one_is_known_has_no_correlation():
    frame = pd.DataFrame({"a": [0.1, 0.1, 0.1, 5.0], "b": [1.0, 2.0, 3.0, np.nan]})
    assert np.isnan(correlations(frame)[0, 1])


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[np.nan, np.nan], [np.nan, np.nan]], [[1.0, np.nan], [np.nan, 2.0]]])
def test_too_few_patients_have_no_correlation(rows):
    assert np.isnan(correlations(np.array(rows))).all()


def test_correlations_of_text_alone_are_empty():
    assert correlations(pd.DataFrame({"sex": ["f", "m"]})).shape == (0, 0)


def test_infinite_values_are_skipped():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.inf], "b": [1.0, 2.0, 3.0, -50.0]})
    assert correlations(frame)[0, 1] == pytest.approx(1)


def test_correlation_agreement_sees_no_difference_between_samples(real, alike):
    agreement = correlation_agreement(real, alike)
    assert agreement.cells == 3
    assert agreement.spearman == pytest.approx(1)
    assert agreement.rmse < 0.03


def test_correlation_agreement_sees_broken_links(real, shuffled):
    assert correlation_agreement(real, shuffled).rmse > 0.4


def test_rmse_sees_weak_links_that_keep_their_order(real):
    numeric = real[["sbp@RZ", "sbp@1M", "drugs@RZ"]]
    weak = correlation_agreement(numeric, numeric + 1.5 * numeric.std().to_numpy() * STREAM.normal(size=numeric.shape))
    assert weak.spearman == pytest.approx(1)
    assert weak.rmse > 0.3


def test_agreement_sees_links_of_the_wrong_sign(real):
    numeric = real[["sbp@RZ", "sbp@1M", "drugs@RZ"]]
    assert correlation_agreement(numeric, numeric.assign(**{"sbp@RZ": -numeric["sbp@RZ"]})).spearman < 0


def test_a_column_that_the_generator_made_constant_counts_as_no_correlation(real):
    collapsed = correlation_agreement(real, real.assign(**{"sbp@1M": 130.0}))
    assert collapsed.cells == 3
    assert collapsed.rmse > 0.4


def test_a_column_that_is_constant_in_reality_is_left_out(real):
    frame = real.assign(constant=1.0)
    assert correlation_agreement(frame, frame.assign(constant=STREAM.normal(size=len(frame)))).cells == 3


def test_agreement_does_not_depend_on_the_order_of_columns(real, alike):
    assert correlation_agreement(real, alike[alike.columns[::-1]]) == correlation_agreement(real, alike)


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0], "b": [2.0]})])
def test_agreement_of_a_single_patient_or_column_is_undefined(frame):
    agreement = correlation_agreement(frame, frame)
    assert agreement.cells == 0
    assert np.isnan(agreement.spearman)
    assert np.isnan(agreement.rmse)


def test_median_gap_finds_the_class_and_column_that_moved(real, alike):
    null = median_gap(real, alike, by="arm")
    assert null.cells == 6
    assert null.largest < 1.5
    moved = real.assign(**{"sbp@1M": real["sbp@1M"] - 6.0 * (real["arm"] == "intensive")})
    gap = median_gap(real, moved, by="arm")
    assert gap.where == ("intensive", "sbp@1M")
    assert gap.largest == pytest.approx(6)
    assert gap.mean == pytest.approx(1)


def test_a_class_that_vanished_is_infinitely_far(real):
    gap = median_gap(real, real[real["arm"] == "standard"], by="arm")
    assert gap.largest == float("inf")
    assert gap.where[0] == "intensive"


def test_a_column_that_was_emptied_is_infinitely_far(real):
    emptied = real.assign(**{"sbp@RZ": None})
    assert median_gap(real, emptied, by="arm").largest == float("inf")
    # A column that is empty in reality asks for nothing.
    assert median_gap(emptied.astype({"sbp@RZ": float}), real, by="arm").cells == 4


def test_median_gap_with_numbers_as_classes_and_missing_cells():
    real = pd.DataFrame({"died": [0, 0, 1, None], "age": [60.0, np.nan, 80.0, 10.0]})
    gap = median_gap(real, real.assign(age=[60.0, 60.0, 83.0, 99.0]), by="died")
    assert (gap.where, gap.largest, gap.cells) == (("1", "age"), 3.0, 2)


def test_median_gap_without_numbers_has_no_cells():
    frame = pd.DataFrame({"arm": ["a"], "sex": ["f"]})
    gap = median_gap(frame, frame, by="arm")
    assert gap.cells == 0
    assert np.isnan(gap.mean)
    assert str(gap) == "mean nan, largest nan"


def test_median_gap_refuses_an_unknown_class_column(real):
    with pytest.raises(DataError, match="by='ward'"):
        median_gap(real, real, by="ward")


@pytest.mark.parametrize("measure", [total_variation, pair_total_variation])
def test_variation_of_a_table_with_itself_is_0(real, measure):
    holes = real.mask(np.random.default_rng(1).random(real.shape) < 0.2)
    assert measure(real, real).largest == 0
    assert measure(holes, holes.sample(frac=1, random_state=1)).largest == 0


def test_variation_sees_no_difference_between_samples(real, alike):
    assert total_variation(real, alike).mean < 0.05
    assert pair_total_variation(real, alike).mean < 0.07


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("sbp@RZ", lambda values: values + 5),
        ("sbp@RZ", lambda values: 0 * values + 140),
        ("sbp@RZ", lambda values: values * np.nan),
        ("sbp@RZ", lambda values: values * 2 - 140),
        ("drugs@RZ", lambda values: values + 1),
        ("sex", lambda values: values.replace("m", "f")),
        ("sex", lambda values: values.replace("m", "x")),
        ("sex", lambda values: values.where(values == "f", None)),
    ],
)
def test_variation_sees_a_column_that_changed(real, column, change):
    gap = total_variation(real, real.assign(**{column: change(real[column])}))
    assert gap.where == (column,)
    assert gap.largest > 0.15
    assert gap.mean == pytest.approx(gap.largest / 5)


def test_variation_of_a_constant_column():
    real = pd.DataFrame({"a": [3.0, 3.0]})
    assert total_variation(real, pd.DataFrame({"a": [3.0]})).largest == 0
    assert total_variation(real, pd.DataFrame({"a": [4.0]})).largest == 1


def test_variation_sees_a_frequent_value_that_moved():
    real = pd.DataFrame({"dose": np.append(np.zeros(500), np.arange(1.0, 501.0))})
    assert total_variation(real, real.replace(0.0, -3.0)).largest == pytest.approx(0.5)


def test_pairs_see_broken_links_that_margins_do_not(real, shuffled):
    assert total_variation(real, shuffled).largest == 0
    gap = pair_total_variation(real, shuffled)
    assert set(gap.where) == {"sbp@RZ", "sbp@1M"}
    assert gap.largest > 0.3
    assert gap.cells == 10


def test_pairs_are_those_of_a_loop_over_patients():
    real = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": [0, 1, 0, 1]})
    synthetic = pd.DataFrame({"a": ["x", "y", "z"], "b": [0, 1, None]})
    cells = {}
    for share, frame in ((1 / 4, real), (-1 / 3, synthetic)):
        for row in frame.fillna(-1).itertuples(index=False):
            cells[tuple(row)] = cells.get(tuple(row), 0) + share
    expected = sum(abs(value) for value in cells.values()) / 2
    assert pair_total_variation(real, synthetic).largest == pytest.approx(expected)


def test_single_column_has_no_pairs():
    assert pair_total_variation(pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0]})).cells == 0


@pytest.mark.parametrize("measure", [correlation_agreement, total_variation, pair_total_variation])
def test_tables_that_cannot_be_compared_are_refused(real, measure):
    with pytest.raises(DataError, match="sbp@1M"):
        measure(real, real.drop(columns="sbp@1M"))
    with pytest.raises(DataError, match="synthetic is empty"):
        measure(real, real.iloc[:0])


def test_results_print_as_a_sentence(real, alike):
    assert str(correlation_agreement(real, real)) == "Spearman 1.000, RMSE 0.000 over 3 pairs of columns"
    assert str(median_gap(real, real, by="arm")).startswith("mean 0.000, largest 0.000 (")

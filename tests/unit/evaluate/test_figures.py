"""Figures show what is in the tables, and are written as PNG and SVG."""

import numpy as np
import pandas as pd
import pytest

from wardgan.errors import DataError, OutputError, UsageError
from wardgan.evaluate.figures import correlation_figure, correlation_pair, median_trajectories, trajectories_figure

VISITS = ("start", "week 1", "end")


def trial(n=60, *, seed=1, shift=0.0, visits=VISITS):
    stream = np.random.default_rng(seed)
    group = np.arange(n) % 2
    columns = {"group": np.where(group, "drug", "placebo")}
    for visit in visits:
        columns[f"pulse@{visit}"] = 80 + shift + 10 * group + stream.normal(size=n)
        columns[f"weight@{visit}"] = 70 + stream.normal(size=n)
    return pd.DataFrame(columns)


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_lines_are_the_medians_of_the_classes():
    real, synthetic = trial(), trial(seed=2, shift=3.0)
    found = lines(trajectories_figure(real, synthetic, variable="pulse", by="group"))
    assert list(found) == ["real drug", "synthetic drug", "real placebo", "synthetic placebo"]
    for name, frame in (("real", real), ("synthetic", synthetic)):
        for level, rows in frame.groupby("group"):
            expected = rows[[f"pulse@{visit}" for visit in VISITS]].median()
            np.testing.assert_allclose(found[f"{name} {level}"].get_ydata(), expected)
    assert found["real drug"].get_linestyle() == "-"
    assert found["synthetic drug"].get_linestyle() == "--"
    assert found["real drug"].get_color() == found["synthetic drug"].get_color() != found["real placebo"].get_color()


def test_axes_have_names_units_and_visits():
    axes = trajectories_figure(trial(), trial(), variable="pulse", by="group", unit="1/min").axes[0]
    assert axes.get_ylabel() == "median pulse (1/min)"
    assert axes.get_xlabel() == "visit"
    assert [label.get_text() for label in axes.get_xticklabels()] == list(VISITS)
    assert {text.get_text() for text in axes.texts} == {"drug", "placebo"}


def test_visits_with_numbers_stand_at_their_time():
    frame = trial(visits=("0", "6", "48"))
    found = lines(trajectories_figure(frame, frame, variable="pulse", by="group"))
    assert found["real drug"].get_xdata().tolist() == [0, 6, 48]


def test_many_visits_do_not_crowd_the_axis():
    frame = trial(visits=tuple(f"v{number}" for number in range(100)))
    axes = trajectories_figure(frame, frame, variable="pulse", by="group").axes[0]
    assert len(axes.get_xticks()) <= 16


def test_names_of_classes_do_not_overlap():
    real = trial()
    real["pulse@end"] = 80.0
    axes = trajectories_figure(real, real, variable="pulse", by="group").axes[0]
    one, two = sorted(text.xy[1] for text in axes.texts)
    assert two - one > 0.05


def test_missing_visits_and_vanished_classes_leave_gaps():
    real = trial()
    real.loc[real["group"] == "drug", "pulse@end"] = np.nan
    synthetic = real[real["group"] == "drug"]
    found = lines(trajectories_figure(real, synthetic, variable="pulse", by="group"))
    assert np.isfinite(found["real drug"].get_ydata()).tolist() == [True, True, False]
    assert np.isnan(found["synthetic placebo"].get_ydata()).all()


def test_dollars_are_no_formulas(tmp_path):
    frame = trial().rename(columns=lambda name: name.replace("pulse", "cost $x$"))
    frame["group"] = frame["group"] + " $y$"
    axes = trajectories_figure(frame, frame, variable="cost $x$", by="group", unit="$").axes[0]
    assert axes.get_ylabel() == r"median cost \$x\$ (\$)"
    assert {text.get_text() for text in axes.texts} == {r"drug \$y\$", r"placebo \$y\$"}
    correlation_pair(frame, frame, path=tmp_path / "f")


def test_one_visit_one_patient(tmp_path):
    frame = trial(1, visits=("start",))
    median_trajectories(frame, frame, variable="pulse", by="group", path=tmp_path / "f.png")
    correlation_pair(frame, frame, path=tmp_path / "g.png")
    assert (tmp_path / "g.svg").stat().st_size > 1000


def test_refusals_name_the_way_out():
    frame = trial()
    with pytest.raises(DataError, match="variable='sugar'"):
        trajectories_figure(frame, frame, variable="sugar", by="group")
    with pytest.raises(DataError, match="by='ward'"):
        trajectories_figure(frame, frame, variable="pulse", by="ward")
    with pytest.raises(UsageError, match="has 60 classes"):
        trajectories_figure(frame.assign(group=range(60)), frame.assign(group=1), variable="pulse", by="group")
    with pytest.raises(DataError, match="real has 1 numeric columns"):
        correlation_figure(frame[["group", "pulse@end"]], frame)


def test_matrices_stand_side_by_side_on_one_scale():
    real, synthetic = trial(), trial(seed=2)
    figure = correlation_figure(real, synthetic)
    left, right, bar = figure.axes
    assert left.get_title() == "real patients"
    assert right.get_title() == "synthetic patients"
    for axes, frame in ((left, real), (right, synthetic)):
        order = [f"{name}@{visit}" for name in ("pulse", "weight") for visit in VISITS]
        np.testing.assert_allclose(axes.images[0].get_array(), frame[order].corr())
        assert axes.images[0].get_clim() == (-1, 1)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["pulse", "weight"]
        assert list(axes.get_xticks()) == [1, 4]
    assert bar.get_ylim() == (-1, 1)
    assert "Spearman 0." in figure.get_suptitle()
    assert "RMSE 0." in figure.get_suptitle()


def test_columns_without_visits_are_one_block_or_have_their_own_names():
    frame = trial().assign(age=np.arange(60.0), height=np.arange(60.0) ** 2)
    labels = [label.get_text() for label in correlation_figure(frame, frame).axes[0].get_yticklabels()]
    assert labels == ["static", "pulse", "weight"]
    flat = frame[["age", "height"]]
    labels = [label.get_text() for label in correlation_figure(flat, flat).axes[0].get_yticklabels()]
    assert labels == ["age", "height"]


def test_both_files_are_written_and_replaced(tmp_path):
    frame = trial()
    for _ in range(2):
        png, svg = median_trajectories(frame, frame, variable="pulse", by="group", path=tmp_path / "median.pdf")
    assert (png.name, svg.name) == ("median.png", "median.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()[:1000]


def test_same_tables_same_bytes(tmp_path):
    frame = trial()
    one = correlation_pair(frame, frame, path=tmp_path / "one")
    two = correlation_pair(frame, frame, path=tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(OutputError, match="Name a folder that exists"):
        correlation_pair(trial(), trial(), path=tmp_path / "nowhere" / "figure.png")

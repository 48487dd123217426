"""The figure of a sketch shows its shares, and can be read on white and on black."""

import re
from dataclasses import replace

import pytest

from wardgan.errors import OutputError
from wardgan.estimate import Estimate
from wardgan.rehearsal import figure as module
from wardgan.rehearsal.figure import check_figure, draw, figure_of
from wardgan.rehearsal.result import Rehearsed, Sketch
from wardgan.simulate.assume import Assumptions

CLASSIFIERS = ("logistic regression", "gradient boosting")


def share(value, half=0.02):
    return Estimate(value, value - half, value + half, 4, "mean")


def sketched(half=0.02):
    rows = [Rehearsed(0.1, ("too small.",))]
    for epsilon, value in ((1.0, 0.9), (3.0, 0.96), (None, 0.99)):
        shares = {name: share(value + at / 100, half) for at, name in enumerate(CLASSIFIERS)}
        rows.append(Rehearsed(epsilon, (), share(value, half), shares, seconds=share(1.0)))
    best = Rehearsed(None)
    return Sketch("ward", 5000, 5000, 20, "copula", 1e-5, Assumptions(), 4, ("died",), True, "a", best, tuple(rows))


def test_lines_are_the_shares():
    (axes,) = figure_of(sketched()).axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.8]
    assert [tuple(line.get_ydata()) for line in curves] == [(90, 96), (91, 97)]
    points = {line.get_label(): list(line.get_ydata()) for line in axes.lines if line.get_label() in CLASSIFIERS}
    assert points == {"logistic regression": [90], "gradient boosting": [91]}
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.1", "1", "3", "no privacy"]
    assert [text.get_text() for text in axes.texts].count("refused") == 1
    assert "simulated" in axes.get_title()


def test_intervals_are_drawn():
    (axes,) = figure_of(sketched(half=0.03)).axes
    ends = [list(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 1.4]
    assert ends[0] == pytest.approx([87, 93])
    assert len(ends) == 6


def test_a_long_interval_does_not_hide_the_rest():
    (axes,) = figure_of(sketched(half=3.0)).axes
    low, high = axes.get_ylim()
    assert 45 <= low < 90
    assert 99 < high <= 110


def test_no_share_is_outside():
    found = sketched(half=3.0)
    poor = {name: share(0.3, 3.0) for name in CLASSIFIERS}
    (axes,) = figure_of(replace(found, rows=(replace(found.rows[1], shares=poor), *found.rows[2:]))).axes
    assert axes.get_ylim()[0] < 30


def test_one_table_has_no_intervals():
    (axes,) = figure_of(sketched(half=float("inf"))).axes
    assert next(list(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 1.4) == [90, 90]
    assert axes.get_ylim()[0] > 0


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [module._GREY, module._BLUE, module._ORANGE])
def test_colours_stand_out_from_white_and_from_black(colour):
    """Contrast as WCAG 2.1 counts it: 3 : 1 is enough for lines, 4.5 : 1 for text."""
    light = luminance(colour)
    least = 4.4 if colour == module._GREY else 3.5
    assert 1.05 / (light + 0.05) > least
    assert (light + 0.05) / 0.05 > least


@pytest.mark.parametrize("name", ["out.svg", "out.png", "OUT.SVG"])
def test_the_same_bytes_each_time_without_a_background(tmp_path, name):
    one = draw(sketched(), tmp_path / name)
    two = draw(sketched(), tmp_path / f"again-{name}")
    assert one.read_bytes() == two.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
    if name.lower().endswith("svg"):
        assert not re.search(r'id="patch_[12]".{0,200}fill: #ffffff', one.read_text(encoding="utf-8"), re.DOTALL)
    else:
        assert one.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", ["out.pdf", "out", "out.svg.txt", "nowhere/out.svg"])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(OutputError):
        check_figure(tmp_path / name)
    with pytest.raises(OutputError):
        draw(sketched(), tmp_path / name)


def test_a_figure_is_replaced_only_if_asked(tmp_path):
    there = tmp_path / "out.svg"
    there.write_text("older", encoding="utf-8")
    with pytest.raises(OutputError, match="exists"):
        draw(sketched(), there)
    assert there.read_text(encoding="utf-8") == "older"
    draw(sketched(), there, force=True)
    assert "<svg" in there.read_text(encoding="utf-8")

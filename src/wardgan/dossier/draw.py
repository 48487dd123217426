"""Figures as SVG texts that need no script, no font and no colour to be understood.

Colours, and whether the page is dark, are the page's business: shapes carry classes (`real`, `holdout`, `synthetic`,
`control`, `grid`, `limit`). Every figure has a title and a description for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, Literal

from pydantic.dataclasses import dataclass

from wardgan.dossier.numbers import STRICT, Stated

_WIDTH: Final = 640
_ROW: Final = 22
_LEFT: Final = 250
_RIGHT: Final = 24
_FOOT: Final = 34
_LETTER: Final = 8.5  # of the larger print in figures that stand beside each other
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, config=STRICT)
class Row:
    """One line of a forest plot.

    Attributes:
        label: What was measured.
        estimate: The number with its interval; `None` draws the label with the words `not measured`.
        control: The same for the leaking generator, if there is one.
        limit: Limit of the gate that judges it, if there is one.
    """

    label: str
    estimate: Stated | None
    control: Stated | None = None
    limit: float | None = None


@dataclass(frozen=True, config=STRICT)
class Line:
    """One curve.

    Attributes:
        label: Who it belongs to.
        kind: `real`, `holdout`, `synthetic` or `control`.
        x: Places, ascending.
        y: Heights, of the same length.
        low: Lower end of a band, or nothing.
        high: Upper end of a band, or nothing.
        step: Whether the height holds until the next place.
    """

    label: str
    kind: Literal["real", "holdout", "synthetic", "control"]
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    step: bool = False


@dataclass(frozen=True, config=STRICT)
class Axis:
    """One axis.

    Attributes:
        label: What it shows, with its unit.
        low: Value at its beginning.
        high: Value at its end.
        log: Whether equal steps are equal ratios.
    """

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float, start: float, stop: float) -> float:
        """Gives where a value lies between two ends of the drawing; values beyond them lie on them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = (math.log(max(one, 1e-12)) for one in (low, high, at))
        part = 0.5 if high == low else (at - low) / (high - low)
        return start + part * (stop - start)

    def ticks(self) -> list[float]:
        """Gives up to eight round values."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        span = self.high - self.low
        if span <= 0 or not math.isfinite(span):
            return [self.low]
        rough = span / 6
        unit = 10 ** math.floor(math.log10(rough))
        step = next(nice * unit for nice in _NICE if nice * unit >= rough * 0.999)
        start = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(start, math.floor(self.high / step + 1e-9) + 1)]


def forest(title: str, rows: Sequence[Row], axis: Axis, *, baseline: str = "nothing leaks") -> str:
    """Gives estimates with their intervals below each other.

    Args:
        title: What the figure shows, in one sentence.
        rows: One line each; the baseline is a hollow diamond, the leaking generator's number a cross, a limit a dash.
        axis: Of the numbers.
        baseline: What the baseline is.
    """
    height = _ROW * (len(rows) + 1) + _FOOT + 20
    bottom = height - _FOOT - 20
    at = _placer(axis, _LEFT, _WIDTH - _RIGHT)
    parts = [_grid(axis, at, 8, bottom)]
    for number, row in enumerate(rows):
        parts.append(_forest_row(row, at, _ROW * (number + 1)))
    parts += _forest_legend(rows, height - 8, baseline)
    return _figure(title, f"{axis.label}. {'; '.join(map(_row_told, rows))}.", height, parts)


def _row_told(row: Row) -> str:
    words = f"{row.label}: {row.estimate or 'not measured'}"
    words += "" if row.control is None else f", leaking generator {row.control}"
    return words if row.limit is None else f"{words}, limit {row.limit:g}"


def curves(title: str, lines: Sequence[Line], across: Axis, up: Axis, *, diagonal: bool = False) -> str:
    """Gives curves with their bands.

    Args:
        title: What the figure shows, in one sentence.
        lines: The curves.
        across: Horizontal axis.
        up: Vertical axis.
        diagonal: Whether to draw where both axes have the same value.
    """
    left, right = 64, _WIDTH - _RIGHT
    legend, top = _legend([(line.label, line.kind) for line in lines], left, right)
    height = top + 288
    bottom = height - _FOOT - 14
    x, y = _placer(across, left, right), _placer(up, bottom, top)
    parts = [*legend, _grid(across, x, top, bottom), _grid_up(up, y, left, right)]
    if diagonal:
        ends = [max(across.low, up.low), min(across.high, up.high)]
        parts.append(_path("same", [(x(end), y(end)) for end in ends]))
    parts += [_curve(line, x, y) for line in lines]
    told = "; ".join(_line_told(line) for line in lines if len(line.y))
    return _figure(title, f"{up.label} against {across.label}. {told}.", height, parts)


def _line_told(line: Line) -> str:
    """Gives a curve in words: its height at up to nine places."""
    step = max(1, (len(line.y) - 1) // 8)
    places = sorted({*range(0, len(line.y), step), len(line.y) - 1})
    return f"{line.label}: " + ", ".join(f"{line.y[at]:.3g} at {line.x[at]:.3g}" for at in places)


def bars(title: str, labels: Sequence[str], groups: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    """Gives shares as horizontal bars: for each label one bar for each of several groups of patients.

    Args:
        title: What the figure shows, in one sentence.
        labels: The levels.
        groups: Name, kind (`real`, `holdout`, `synthetic`) and the share of each level.
    """
    thick = 9
    each = thick * len(groups) + 8
    height = each * len(labels) + _FOOT + 22
    highest = max((share for _, _, shares in groups for share in shares), default=0.0)
    axis = Axis("share of patients", 0.0, highest * 1.05 or 1.0)
    at = _placer(axis, _LEFT, _WIDTH - _RIGHT)
    parts = [_grid(axis, at, 22, height - _FOOT)]
    for number, (name, kind, _) in enumerate(groups):
        parts.append(f'<rect class="bar {kind}" x="{_LEFT + 130 * number}" y="4" width="12" height="10"/>')
        parts.append(_text(_LEFT + 130 * number + 18, 13, name))
    for row, label in enumerate(labels):
        top = 26 + each * row
        parts.append(_text(_LEFT - 8, top + each / 2, _cut(label), anchor="end"))
        for number, (_, kind, shares) in enumerate(groups):
            width = max(at(shares[row]) - _LEFT, 0.5)
            parts.append(
                f'<rect class="bar {kind}" x="{_LEFT}" y="{top + thick * number:g}" width="{width:.1f}" '
                f'height="{thick - 1}"/>'
            )
    told = "; ".join(
        f"{label}: " + ", ".join(f"{name} {100 * shares[row]:.1f} %" for name, _, shares in groups)
        for row, label in enumerate(labels)
    )
    return _figure(title, told, height, parts)


def _forest_row(row: Row, at: Callable[[float], float], y: float) -> str:
    parts = [_text(_LEFT - 8, y + 4, _cut(row.label), anchor="end")]
    if row.limit is not None:
        parts.append(_path("limit", [(at(row.limit), y - _ROW / 2), (at(row.limit), y + _ROW / 2)]))
    if row.estimate is None or not math.isfinite(row.estimate.value):
        return "".join([*parts, _text(_LEFT + 4, y + 4, "not measured", kind="quiet")])
    if row.control is not None and math.isfinite(row.control.value):
        x = at(row.control.value)
        parts.append(f'<path class="control mark" d="M{x - 4:.1f} {y - 4:g}l8 8m0 -8l-8 8"/>')
    one = row.estimate
    if one.baseline is not None and math.isfinite(one.baseline):
        parts.append(f'<path class="holdout mark" d="M{at(one.baseline):.1f} {y - 5:g}l5 5l-5 5l-5 -5z"/>')
    parts.append(_path("line synthetic", [(at(one.low), y), (at(one.high), y)]))
    parts.append(f'<circle class="dot synthetic" cx="{at(one.value):.1f}" cy="{y:g}" r="4"/>')
    return "".join(parts)


def _forest_legend(rows: Sequence[Row], y: float, baseline: str) -> list[str]:
    """Gives what the marks of a forest plot mean, for those that occur."""
    marks = [(_path("line synthetic", [(0, 0), (14, 0)]) + '<circle class="dot synthetic" cx="7" cy="0" r="4"/>',
              "measured, 95 % interval")]  # fmt: skip
    if any(row.estimate is not None and row.estimate.baseline is not None for row in rows):
        marks.append(('<path class="holdout mark" d="M7 -5l5 5l-5 5l-5 -5z"/>', baseline))
    if any(row.control is not None for row in rows):
        marks.append(('<path class="control mark" d="M3 -4l8 8m0 -8l-8 8"/>', "leaking generator"))
    if any(row.limit is not None for row in rows):
        marks.append(('<line class="limit" x1="7" x2="7" y1="-7" y2="7"/>', "limit"))
    return [
        f'<g transform="translate({20 + 185 * place} {y - 4:g})">{mark}{_text(20, 4, words)}</g>'
        for place, (mark, words) in enumerate(marks)
    ]


def _legend(names: Sequence[tuple[str, str]], left: float, right: float) -> tuple[list[str], float]:
    """Gives the names of curves with their lines, as many in a row as there is room for; and where the rows end."""
    parts: list[str] = []
    x, y = left, 14.0
    for label, kind in names:
        wide = 50 + _LETTER * len(label)
        if x > left and x + wide > right:
            x, y = left, y + 20
        parts += [_path(f"line {kind}", [(x, y - 4), (x + 26, y - 4)]), _text(x + 34, y, label)]
        x += wide
    return parts, y + 12


def _curve(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    def points(heights: Sequence[float]) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for at, height in zip(line.x, heights, strict=True):
            if line.step and found:
                found.append((x(at), found[-1][1]))
            found.append((x(at), y(height)))
        return found

    parts: list[str] = []
    if len(line.low):
        around = " ".join(f"{px:.1f},{py:.1f}" for px, py in [*points(line.high), *reversed(points(line.low))])
        parts.append(f'<polygon class="band {line.kind}" points="{around}"/>')
    return "".join([*parts, _path(f"line {line.kind}", points(line.y))])


def _grid(axis: Axis, at: Callable[[float], float], top: float, bottom: float) -> str:
    parts: list[str] = []
    for tick in axis.ticks():
        x = at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{bottom:g}"/>')
        parts.append(_text(x, bottom + 14, _tick(tick), anchor="middle", kind="quiet"))
    middle = (at(axis.low) + at(axis.high)) / 2
    return "".join([*parts, _text(middle, bottom + 30, axis.label, anchor="middle")])


def _grid_up(axis: Axis, at: Callable[[float], float], left: float, right: float) -> str:
    parts: list[str] = []
    for tick in axis.ticks():
        y = at(tick)
        parts.append(f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 4, _tick(tick), anchor="end", kind="quiet"))
    middle = (at(axis.low) + at(axis.high)) / 2
    label = escape(axis.label)
    turned = (
        f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">{label}</text>'
    )
    return "".join([*parts, turned])


def _placer(axis: Axis, start: float, stop: float) -> Callable[[float], float]:
    return lambda value: round(axis.place(value, start, stop), 1)


def _path(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="{kind}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + '"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}>{escape(text)}</text>'


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _cut(text: str, most: int = 36) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _figure(title: str, told: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">'
    return f"{head}<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(parts)}</svg>"

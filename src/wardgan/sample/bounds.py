"""Where the latent normals of a patient who meets a condition must lie: proved from the network, never guessed.

A network is followed backwards from one of its variables (`wardgan.sample.trace`) and bounded by interval arithmetic
(Moore, Kearfott and Cloud, "Introduction to interval analysis", 2009, chapters 5 and 6): one direction of the latent
space is cut into cells, the others are left open, and a cell in which the variable cannot meet its condition is
struck out. What is left holds every patient who meets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np

from wardgan.sample.forms import FAR, UNIT, Affine, Floats, Interval, Known, Later, Places, Value
from wardgan.sample.trace import MONOTONE, UnprovedError

_CELLS: Final = 512
_PIECES: Final = 8
_ROUNDS: Final = 6
_MOST_CELLS: Final = 1 << 14
_PART: Final = 1 << 12
_MOST_INTERVALS: Final = 6
_MOST_VALUES: Final = 1_000
_PARALLEL: Final = 1 - 1e-9


@dataclass(frozen=True)
class Ray:
    """Cells along one direction of the latent space.

    Attributes:
        direction: Of length 1, shape (latent,).
        low: Where each cell begins, shape (cells,).
        high: Where it ends.
    """

    direction: Floats
    low: Floats
    high: Floats


def directions(units: Value, variable: int) -> list[Floats]:
    """Gives the directions of the latent space that a variable depends on, each of length 1.

    Args:
        units: A network's output, as from `trace.traced`.
        variable: Number of the variable.

    Raises:
        UnprovedError: It is made of too many numbers.
    """
    found: list[Floats] = []
    seen: set[tuple[int, bytes]] = set()
    waiting: list[tuple[Value, Places]] = [(units, np.array([variable]))]
    while waiting:
        value, places = waiting.pop()
        key = (id(value), places.tobytes())
        if isinstance(value, Known) or key in seen:
            continue
        seen.add(key)
        if len(seen) > _MOST_VALUES:
            raise UnprovedError
        if isinstance(value, Affine):
            for weights in value.weights.reshape(-1, value.weights.shape[-1])[places]:
                _add(found, weights)
        elif value.operator == "Concat":
            waiting += [(operand, mine) for operand, mine, _ in _parts(value, places)]
        else:
            waiting += [
                (operand, mine.ravel()[places])
                for operand, mine in zip(_read(value), value.places[-len(_read(value)) :], strict=True)
            ]
    return found


def _read(value: Later) -> tuple[Value, ...]:
    return value.operands[1:] if value.operator == "GatherElements" else value.operands


def _add(found: list[Floats], weights: Floats) -> None:
    length = float(np.linalg.norm(weights))
    if length > 0 and all(abs(float(one @ weights)) < _PARALLEL * length for one in found):
        found.append(weights / length)


def _parts(value: Later, places: Places) -> list[tuple[Value, Places, Places]]:
    """Gives which places of which operand the numbers of a Concat come from, and where these numbers stand."""
    which, where = (each.ravel()[places] for each in value.places)
    chosen = [np.flatnonzero(which == number) for number in range(len(value.operands))]
    return [(value.operands[number], where[mine], mine) for number, mine in enumerate(chosen) if len(mine)]


def left(units: Value, variable: int, ranges: Floats, direction: Floats) -> Floats:
    """Gives the part of a direction in which a variable may lie in one of some ranges.

    Args:
        units: A network's output.
        variable: Number of the variable.
        ranges: Units that meet the condition, shape (ranges, 2).
        direction: Of length 1, shape (latent,).

    Returns:
        Intervals in order, shape (intervals, 2), a few at most and within -FAR and FAR; none if no patient can meet it.
    """

    def possible(low: Floats, high: Floats) -> tuple[Floats, Floats]:
        kept = np.empty(len(low), dtype=bool)
        # In parts, because what is known of every number of the network is kept until its cells are done.
        for start in range(0, len(low), _PART):
            part = slice(start, start + _PART)
            found = _Bounds(Ray(direction, low[part], high[part])).interval(units, np.array([variable]))
            kept[part] = np.broadcast_to(found.meets(ranges), (1, len(low[part])))[0]
        return low[kept], high[kept]

    edges = np.linspace(-FAR, FAR, _CELLS + 1)
    low, high = possible(edges[:-1], edges[1:])
    for _ in range(_ROUNDS):
        border = ~(np.isin(low, [-FAR, *high]) & np.isin(high, [FAR, *low]))
        if not border.any() or len(low) > _MOST_CELLS:
            break
        share = np.arange(_PIECES) / _PIECES
        begins = (low[border, None] + (high - low)[border, None] * share).ravel()
        ends = np.append(begins.reshape(-1, _PIECES)[:, 1:], high[border, None], axis=1).ravel()
        begins, ends = possible(begins, ends)
        low, high = np.concatenate([low[~border], begins]), np.concatenate([high[~border], ends])
        order = np.argsort(low)
        low, high = low[order], high[order]
    return _joined(low, high)


def _joined(low: Floats, high: Floats) -> Floats:
    """Gives cells as few intervals: neighbours are joined, then those with the smallest gaps between them."""
    if not len(low):
        return np.empty((0, 2))
    gaps = low[1:] - high[:-1]
    widest = np.sort(gaps[gaps > 0])[::-1][: _MOST_INTERVALS - 1]
    cut = np.flatnonzero((gaps > 0) & (gaps >= (widest[-1] if len(widest) else np.inf)))[: _MOST_INTERVALS - 1]
    return np.stack([low[np.append(0, cut + 1)], high[np.append(cut, len(high) - 1)]], axis=1)


@dataclass(frozen=True)
class _Bounds:
    """Interval arithmetic on the cells of one ray.

    Attributes:
        ray: The cells; all other directions are open.
        known: What was bounded already.
    """

    ray: Ray
    known: dict[tuple[int, bytes], Interval] = field(default_factory=dict[tuple[int, bytes], Interval])

    def interval(self, value: Value, places: Places) -> Interval:
        """Gives where the numbers at some places can lie, shape (intervals, places, cells or 1)."""
        if isinstance(value, Known):
            flat = value.array.ravel()[places].astype(np.float64)[None, :, None]
            return Interval.safe(flat, flat)
        key = (id(value), places.tobytes())
        if len(self.known) > _MOST_VALUES:
            raise UnprovedError
        if key not in self.known:
            self.known[key] = self._affine(value, places) if isinstance(value, Affine) else self._later(value, places)
        return self.known[key]

    def _affine(self, value: Affine, places: Places) -> Interval:
        form = value.moved(places)
        along = (form.weights @ self.ray.direction)[:, None]  # (places, 1)
        rest = form.weights - along * self.ray.direction
        slack = (form.slack + FAR * np.abs(rest).sum(axis=1) + UNIT * form.size)[:, None]
        ends = along * self.ray.low, along * self.ray.high
        centre = form.centre[:, None]
        low, high = centre + np.minimum(*ends) - slack, centre + np.maximum(*ends) + slack
        return Interval.safe(low[None], high[None])

    def _later(self, value: Later, places: Places) -> Interval:
        if value.operator == "Free":
            endless = np.full((1, len(places), 1), np.inf)
            return Interval(-endless, endless)
        if value.operator == "Concat":
            return self._concat(value, places)
        if value.operator == "GatherElements":
            return self._looked_up(value, places)
        mine = [at.ravel()[places] for at in value.places]
        operands = [self.interval(operand, at) for operand, at in zip(value.operands, mine, strict=True)]
        if value.operator == "Identity":
            return operands[0]
        return _either(*operands) if value.operator == "Where" else _calculated(value, [one.hull() for one in operands])

    def _concat(self, value: Later, places: Places) -> Interval:
        parts = [(self.interval(operand, mine).hull(), to) for operand, mine, to in _parts(value, places)]
        cells = max(found.low.shape[2] for found, _ in parts)
        low, high = np.empty((2, 1, len(places), cells))
        for found, to in parts:
            low[:, to], high[:, to] = found.low, found.high
        return Interval(low, high)

    def _looked_up(self, value: Later, places: Places) -> Interval:
        table = value.operands[0]
        column, row = (at.ravel()[places] for at in value.places)
        if not isinstance(table, Known):
            raise UnprovedError
        rows = self.interval(value.operands[1], row).hull()
        parts = [
            _extremes(table.array[:, at].astype(np.float64), rows.low[0, number], rows.high[0, number])
            for number, at in enumerate(column)
        ]
        return Interval.safe(np.array([[low for low, _ in parts]]), np.array([[high for _, high in parts]]))


def _calculated(value: Later, operands: list[Interval]) -> Interval:
    if value.operator == "Mul":
        return _times(*operands)
    found = _monotone(value.operator, operands)
    limits = _step_of(value)
    return found if limits is None else _remainder(operands[0], found, *limits)


def _monotone(operator: str, operands: list[Interval]) -> Interval:
    rule = MONOTONE[operator]
    with np.errstate(all="ignore"):
        low, high = (
            np.asarray(
                rule.function(
                    *(one.low if sign == way else one.high for one, sign in zip(operands, rule.signs, strict=True))
                ),
                dtype=np.float64,
            )
            for way in (1, -1)
        )
    return Interval.safe(low, high, slack=rule.slack, scale=0.0 if rule.exact else 2 * UNIT)


def _step_of(value: Later) -> tuple[float, float] | None:
    """Gives the two ends of a Clip, if a value is x - Clip(Floor(x)): how far x is within its step of a table."""
    clip = value.operands[-1]
    floor = clip.operands[0] if isinstance(clip, Later) and clip.operator == "Clip" else None
    if value.operator != "Sub" or not (isinstance(floor, Later) and floor.operator == "Floor"):
        return None
    ends = [end.array for end in cast("Later", clip).operands[1:] if isinstance(end, Known) and end.array.size == 1]
    same = (
        floor.operands[0] is value.operands[0] and value.shape == clip.shape == floor.shape == floor.operands[0].shape
    )
    return (float(ends[0].item()), float(ends[1].item())) if same and len(ends) == 2 else None


def _remainder(x: Interval, found: Interval, first: float, last: float) -> Interval:
    """Narrows where x - Clip(Floor(x), first, last) can lie: from 0 to 1 but for an x beyond the ends."""
    mine = Interval.safe(np.minimum(x.low - first, 0.0), np.maximum(x.high - last, 1.0), scale=2 * UNIT)
    return Interval(np.maximum(mine.low, found.low), np.minimum(mine.high, found.high))


def _times(one: Interval, other: Interval) -> Interval:
    with np.errstate(all="ignore"):
        ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    low, high = ends[0], ends[0]
    for end in ends[1:]:
        low, high = np.minimum(low, end), np.maximum(high, end)
    return Interval.safe(low, high, scale=2 * UNIT)


def _either(choice: Interval, one: Interval, other: Interval) -> Interval:
    """Gives what a choice between two can be; both are kept apart where it is open."""
    choice = choice.hull()
    open_to_one, open_to_other = choice.high > 0.5, choice.low < 0.5
    parts = [(one, open_to_one), (other, open_to_other)]
    shape = np.broadcast_shapes(choice.low.shape[1:], one.low.shape[1:], other.low.shape[1:])
    low, high = (
        np.concatenate(
            [
                np.broadcast_to(np.where(allowed, getattr(part, end), empty), (len(part.low), *shape))
                for part, allowed in parts
            ]
        )
        for end, empty in (("low", np.inf), ("high", -np.inf))
    )
    found = Interval(low, high)
    return found if len(low) <= 4 else found.hull()


def _extremes(column: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Gives the smallest and the largest entry of a column between two rows, both included, for each cell."""
    last = len(column) - 1
    first, end = np.ceil(low), np.floor(high)
    # The engine counts negative rows from the end; who may go out of the table may be anywhere.
    lost = ~((first >= 0) & (end <= last) & (first <= end))
    first, end = np.where(lost, 0, first).astype(np.intp), np.where(lost, last, end).astype(np.intp)
    smallest, largest = [column], [column]
    while len(smallest[-1]) > 1:  # of windows of 1, 2, 4, ... rows
        half = 1 << (len(smallest) - 1)
        if len(smallest[-1]) <= half:
            break
        smallest.append(np.minimum(smallest[-1][:-half], smallest[-1][half:]))
        largest.append(np.maximum(largest[-1][:-half], largest[-1][half:]))
    level = np.floor(np.log2(end - first + 1)).astype(np.intp)
    found: list[Floats] = []
    for tables, join in ((smallest, np.minimum), (largest, np.maximum)):
        out = np.empty(len(first))
        for height in np.unique(level):
            mine = level == height
            table = tables[height]
            out[mine] = join(table[first[mine]], table[end[mine] + 1 - (1 << height)])
        found.append(out)
    return found[0], found[1]

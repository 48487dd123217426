"""Small figures of columns: patients who were asked for, beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema

MOST: Final = 24
_BINS: Final = 16
_WIDTH: Final = 220
_HEIGHT: Final = 76
_ROWS: Final = 6
_ROW: Final = 16.0
FLAGS: Final = ("true", "false")
_HOLE: Final = "missing"
_OTHERS: Final = "all others"


@dataclass(frozen=True)
class Figure:
    """A column of the patients who were asked for, beside all.

    Attributes:
        name: Of the column.
        svg: The drawing.
    """

    name: str
    svg: str


def figures_of(schema: Schema, mine: pd.DataFrame, base: pd.DataFrame) -> tuple[list[Figure], int]:
    """Gives figures of the first columns, and how many columns there are: those of visits are drawn along the visits.

    Args:
        schema: Whose columns they are.
        mine: Patients who were asked for, one row each; drawn in colour.
        base: Others, drawn as a line.
    """
    visits = schema.visits.columns if schema.visits else ()
    table = [column for column in schema.table if column.name in mine and column.name in base]
    along = {column: names for column in visits if (names := _slots(column, mine, base))}
    drawn = [_drawn(mine, base, column, column.name) for column in table[:MOST]]
    for column, names in list(along.items())[: MOST - len(drawn)]:
        if column.numeric and column.kind != "date":
            unit = f" ({column.unit})" if column.unit else ""
            drawn.append(Figure(f"{column.name} by visit{unit}", _trajectory(mine, base, names)))
        else:
            drawn.append(_drawn(mine, base, column, names[0]))
    return drawn, len(table) + len(along)


def _slots(column: Column, mine: pd.DataFrame, base: pd.DataFrame) -> list[str]:
    return [str(name) for name in mine.columns if str(name).startswith(f"{column.name}@") and name in base]


def _drawn(mine: pd.DataFrame, base: pd.DataFrame, column: Column, name: str) -> Figure:
    drawn = _histogram if column.numeric else _levels
    return Figure(name, drawn(_column(mine, name), _column(base, name), column))


def _trajectory(mine: pd.DataFrame, base: pd.DataFrame, names: Sequence[str]) -> str:
    """Draws medians and quartiles of each visit, and the medians of all."""
    visits = [name.partition("@")[2] for name in names]
    mid, low, high, all_ = (
        np.array([_quantile(_floats(_column(frame, name)), share) for name in names])
        for frame, share in ((mine, 0.5), (mine, 0.25), (mine, 0.75), (base, 0.5))
    )
    every = np.concatenate([mid, low, high, all_])
    if not np.isfinite(every).any():
        return _svg('<text x="4" y="40">missing in all</text>', "missing in all")
    least, most = float(np.nanmin(every)), float(np.nanmax(every))
    height, left = _HEIGHT - 16, 30
    step = (_WIDTH - left) / max(1, len(visits) - 1)

    def places(values: NDArray[np.float64]) -> list[str]:
        tall = (values - least) / ((most - least) or 1.0)
        return [
            f"{left + at * step:.1f},{height - 4 - (height - 8) * t:.1f}" for at, t in enumerate(tall) if np.isfinite(t)
        ]

    band = " ".join([*places(high), *reversed(places(low))])
    words = ", ".join(f"{visit} {value:.4g}" for visit, value in zip(visits, mid, strict=True) if np.isfinite(value))
    return _svg(
        f'<polygon class="band" points="{band}"/><polyline class="base" points="{" ".join(places(all_))}"/>'
        f'<polyline class="line" points="{" ".join(places(mid))}"/>'
        f'<text x="0" y="11">{most:.4g}</text><text x="0" y="{height}">{least:.4g}</text>'
        f'<text x="{left}" y="{_HEIGHT - 3}">{escape(visits[0][:12])}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 3}" text-anchor="end">{escape(visits[-1][:12])}</text>',
        f"Medians and quartiles by visit: {words}",
    )


def _quantile(values: NDArray[np.float64], share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if known.size else np.nan


def _column(frame: pd.DataFrame, name: object) -> pd.Series:
    return cast("pd.Series", frame[name])


def _histogram(values: pd.Series, base: pd.Series, _: Column) -> str:
    """Draws numbers or dates: bars of those who were asked for, an outline of the others."""
    mine, all_ = _floats(values), _floats(base)
    both = np.concatenate([mine, all_])
    both = both[np.isfinite(both)]
    if not both.size:
        return _svg('<text x="4" y="40">missing in all</text>', "missing in all")
    low, high = float(both.min()), float(both.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    shares = [np.histogram(one[np.isfinite(one)], edges)[0] / max(1, len(one)) for one in (mine, all_)]
    ends = (_end(low, values), _end(high, values))
    note = f"from {ends[0]} to {ends[1]}; mean {np.nanmean(mine):.4g}" if np.isfinite(mine).any() else "missing in all"
    holes = 1 - float(np.isfinite(mine).mean()) if len(mine) else 0.0
    text = f"{note}{f', {holes:.0%} missing' if holes else ''}"
    return _svg(_bars(shares[0], shares[1]) + _ends(*ends), text)


def _levels(values: pd.Series, base: pd.Series, column: Column) -> str:
    """Draws levels: a bar each of those who were asked for, a frame of the others; rare ones together."""
    mine, all_ = (_spelled(one, column).fillna(_HOLE) for one in (values, base))
    names = [str(level) for level in column.levels] if column.levels else [*FLAGS]
    more = [_HOLE] if (mine == _HOLE).any() or (all_ == _HOLE).any() else []
    if len(names) + len(more) > _ROWS:
        counts = all_.value_counts().to_dict() if column.levels else {}
        names = sorted(names, key=lambda name: -int(counts.get(name, 0)))[: _ROWS - 1 - len(more)]
        more = [*more, _OTHERS]
    shares = [np.array([_share(one, name, names) for name in [*names, *more]]) for one in (mine, all_)]
    text = ", ".join(f"{name} {share:.0%}" for name, share in zip([*names, *more], shares[0], strict=True))
    rows = [*names, *more]
    return _svg(_rows(rows, shares[0], shares[1]), text, min(_HEIGHT, _ROW * len(rows) + 4))


def _share(values: pd.Series, name: str, names: Sequence[str]) -> float:
    found = ~values.isin([*names, _HOLE]) if name is _OTHERS else values == name
    return float(found.mean()) if len(values) else 0.0


def _spelled(values: pd.Series, column: Column) -> pd.Series:
    """Gives levels as text, and flags as a CSV file spells them."""
    return (values.map({True: FLAGS[0], False: FLAGS[1]}) if column.kind == "flag" else values).astype("string")


def _bars(mine: NDArray[np.float64], base: NDArray[np.float64]) -> str:
    top = max(mine.max(initial=0), base.max(initial=0), 1e-9)
    step, height = _WIDTH / len(mine), _HEIGHT - 16
    tall = [height * float(share) / top for share in mine]
    bars = "".join(
        f'<rect class="mine" x="{at * step + 0.5:.1f}" y="{height - h:.1f}" width="{step - 1:.1f}" height="{h:.1f}"/>'
        for at, h in enumerate(tall)
    )
    line = " ".join(
        f"{at * step:.1f},{height - height * s / top:.1f} {(at + 1) * step:.1f},{height - height * s / top:.1f}"
        for at, s in enumerate(base)
    )
    return f'{bars}<polyline class="base" points="{line}"/>'


def _rows(names: Sequence[str], mine: NDArray[np.float64], base: NDArray[np.float64]) -> str:
    step = min(_ROW, (_HEIGHT - 4) / max(1, len(names)))
    left, wide = 92, _WIDTH - 92 - 4
    found = []
    for at, name in enumerate(names):
        y = at * step
        found.append(
            f'<text x="{left - 4}" y="{y + step - 4:.1f}" text-anchor="end">{escape(name[:14])}</text>'
            f'<rect class="mine" x="{left}" y="{y + 1:.1f}" width="{wide * mine[at]:.1f}" height="{step - 3:.1f}"/>'
            f'<rect class="base" x="{left}" y="{y + 1:.1f}" width="{wide * base[at]:.1f}" height="{step - 3:.1f}"/>'
        )
    return "".join(found)


def _ends(low: str, high: str) -> str:
    return (
        f'<text x="0" y="{_HEIGHT - 3}">{escape(low)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 3}" text-anchor="end">{escape(high)}</text>'
    )


def _svg(inside: str, text: str, height: float = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" class="small" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(text)}</title>{inside}</svg>"
    )


def _floats(values: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_datetime64_any_dtype(values):
        days = values.to_numpy(dtype="datetime64[D]").astype(np.float64)
        return np.where(values.isna(), np.nan, days)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _end(value: float, values: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return str(np.datetime64(int(value), "D"))
    return f"{value:.6g}"

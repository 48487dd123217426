"""Pictures of real and synthetic patients side by side, for any table with visits.

Figures of real patients are disclosures themselves (Rule P13): they belong into the hospital's own edition of a
dossier, or need data that may be published.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError, OutputError, UsageError
from wardgan.evaluate.columns import VISIT_MARK, Columns, Table, level_name, missing, numbers, paired, visit_columns
from wardgan.evaluate.fidelity import correlation_agreement, correlations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which also people with a colour vision deficiency tell apart; yellow is left out,
# because it is too light for a line on white.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_GREY: Final = "#555555"
# The real line is broad and pale, so that it is still seen where the synthetic one lies on it.
_REAL: Final[dict[str, Any]] = {"linewidth": 5.0, "alpha": 0.4, "marker": "o", "markersize": 5.0, "markeredgewidth": 0}
_SYNTHETIC: Final[dict[str, Any]] = {"linewidth": 1.8, "ls": (0, (3, 1.6)), "marker": "o", "markersize": 3.5}
_TICKS: Final = 16


def median_trajectories(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    *,
    variable: str,
    by: str,
    path: Path,
    unit: str = "",
) -> tuple[Path, Path]:
    """Draws the median of one repeated measure at each visit, for each class: real solid, synthetic dashed.

    Visits with numbers as names are placed at these numbers, others at equal steps.

    Args:
        real: Wide table with columns such as `sbp@3M`.
        synthetic: Wide table with the same columns; a class that it lacks has no dashed line.
        variable: What the columns start with, such as `sbp`.
        by: Column with the classes, at most 7.
        path: Where the figure goes; its suffix is replaced by .png and .svg. Older figures are replaced.
        unit: Unit of the measure, for the axis.

    Returns:
        Paths of the PNG and of the SVG file.

    Raises:
        DataError: A table is empty or lacks a column, or no column belongs to `variable`.
        UsageError: There are more than 7 classes, or matplotlib is not installed.
        OutputError: The files cannot be written.
    """
    return _save(trajectories_figure(real, synthetic, variable=variable, by=by, unit=unit), path)


def correlation_pair(real: Table, synthetic: Table, *, path: Path) -> tuple[Path, Path]:
    """Draws the correlation matrices of real and synthetic patients side by side, on one scale.

    Columns of the same measure stand together, visits in their order; undefined cells are grey.

    Args:
        real: Wide table; its numeric columns are drawn.
        synthetic: Wide table with the same columns.
        path: Where the figure goes; its suffix is replaced by .png and .svg. Older figures are replaced.

    Returns:
        Paths of the PNG and of the SVG file.

    Raises:
        DataError: A table is empty or lacks a column, or there are fewer than two numeric columns.
        UsageError: matplotlib is not installed.
        OutputError: The files cannot be written.
    """
    return _save(correlation_figure(real, synthetic), path)


def trajectories_figure(
    real: pd.DataFrame, synthetic: pd.DataFrame, *, variable: str, by: str, unit: str = ""
) -> Figure:
    """Gives the figure of `median_trajectories` without writing it."""
    ours, theirs = paired(real, synthetic)
    visits = visit_columns(real, variable)
    if not visits:
        raise DataError(f"variable={variable!r}: no column is named {variable}{VISIT_MARK}... Name a repeated measure.")
    if by not in ours:
        raise DataError(f"by={by!r} is not a column of the tables. Name the column that holds the classes.")
    levels = sorted(pd.Series(ours[by]).dropna().unique(), key=str)
    if len(levels) > len(_COLOURS):
        raise UsageError(f"by={by!r} has {len(levels)} classes, more than {len(_COLOURS)}. Draw fewer at a time.")

    figure = _figure(7.2, 4.2)
    axes = figure.add_subplot()
    at = _places(list(visits))
    ends: list[tuple[float, str, str]] = []
    for level, colour in zip(levels, _COLOURS, strict=False):
        solid = _medians(ours, visits, ours[by] == level)
        dashed = _medians(theirs, visits, theirs[by] == level)
        axes.plot(at, solid, color=colour, label=f"real {level_name(level)}", **_REAL)
        axes.plot(at, dashed, color=colour, label=f"synthetic {level_name(level)}", **_SYNTHETIC)
        ends.append((_last(solid, dashed), _plain(level_name(level)), colour))
    axes.set_xticks(*_ticks(at, list(visits)))
    axes.set_xlabel("visit")
    axes.set_ylabel(_plain(f"median {variable} ({unit})" if unit else f"median {variable}"))
    axes.margins(x=0.02, y=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    _label_ends(axes, ends)
    _explain_lines(axes)
    return figure


def correlation_figure(real: Table, synthetic: Table) -> Figure:
    """Gives the figure of `correlation_pair` without writing it."""
    ours, theirs = (numbers(table) for table in paired(real, synthetic))
    if len(ours) < 2:
        raise DataError(f"real has {len(ours)} numeric columns. Correlations need at least 2.")
    blocks = _blocks(list(ours))
    order = [name for _, names in blocks for name in names]
    tables = [pd.DataFrame({name: table[name] for name in order}) for table in (ours, theirs)]

    figure = _figure(9.2, 4.5)
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    left, right = figure.subplots(1, 2, sharey=True)
    scale = ScalarMappable(Normalize(-1, 1), cmap="RdBu_r")
    for axes, table, title in zip((left, right), tables, ("real patients", "synthetic patients"), strict=True):
        axes.imshow(correlations(table), norm=scale.norm, cmap=scale.cmap, interpolation="nearest")
        axes.set_facecolor("#bbbbbb")
        axes.set_title(title, fontsize=11)
        _label_blocks(axes, [(name, len(names)) for name, names in blocks])
    figure.colorbar(
        scale, ax=[left, right], label="Pearson correlation", shrink=0.85, aspect=25, ticks=[-1, -0.5, 0, 0.5, 1]
    )
    agreement = correlation_agreement(*tables)
    figure.suptitle(f"Correlations: Spearman {agreement.spearman:.3f}, RMSE {agreement.rmse:.3f}", fontsize=12)
    return figure


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("Figures need matplotlib. Install it with: pip install 'wardgan[train]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> tuple[Path, Path]:
    from matplotlib import rc_context

    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    try:
        # Without a fixed salt and date the same figure would have other bytes each time.
        with rc_context({"svg.hashsalt": "wardgan"}):
            figure.savefig(svg, metadata={"Date": None})
        figure.savefig(png, dpi=200)
    except OSError as error:
        raise OutputError(
            f"path={str(path)!r} cannot be written ({error.strerror}). Name a folder that exists."
        ) from error
    return png, svg


def _places(visits: list[str]) -> NDArray[np.float64]:
    """Gives where the visits stand on the axis; shape (visits,)."""
    try:
        places = np.array([float(visit) for visit in visits])
    except ValueError:
        return np.arange(len(visits), dtype=np.float64)
    return places if np.isfinite(places).all() else np.arange(len(visits), dtype=np.float64)


def _ticks(at: NDArray[np.float64], visits: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    step = -(-len(visits) // _TICKS)
    return at[::step], [_plain(visit) for visit in visits[::step]]


def _medians(table: Columns, visits: dict[str, str], patients: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gives the median of the patients at each visit, NaN where nobody has a value; shape (visits,)."""
    present = [table[column][patients & ~missing(table[column])] for column in visits.values()]
    return np.array([np.median(values) if values.size else np.nan for values in present])


def _last(solid: NDArray[np.float64], dashed: NDArray[np.float64]) -> float:
    """Gives the height at which a class is named: between its lines at the last visit with a value."""
    both = np.column_stack([solid, dashed])  # (visits, lines)
    known = both[np.isfinite(both).any(axis=1)]
    return float(np.nanmean(known[-1])) if known.size else float("nan")


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names the classes at the right of their lines, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    height = -np.inf
    for end, name, colour in sorted(end for end in ends if np.isfinite(end[0])):
        height = max((end - low) / (high - low), height + 0.06)
        axes.annotate(
            name, (1.01, height), xycoords="axes fraction", color=colour, va="center", fontsize=11, fontweight="bold"
        )


def _explain_lines(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    solid = Line2D([], [], color=_GREY, label="real", **_REAL)
    dashed = Line2D([], [], color=_GREY, label="synthetic", **_SYNTHETIC)
    axes.legend(
        handles=[solid, dashed], loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, handlelength=3.5
    )


def _blocks(names: list[str]) -> list[tuple[str, list[str]]]:
    """Gives the columns by measure, visits in their order; columns without visits come first, as one block."""
    if not any(VISIT_MARK in name for name in names):
        return [(name, [name]) for name in names]
    measures = [name.split(VISIT_MARK)[0] if VISIT_MARK in name else "" for name in names]
    return [
        (measure or "static", [name for name, its in zip(names, measures, strict=True) if its == measure])
        for measure in sorted(dict.fromkeys(measures), key=bool)
    ]


def _label_blocks(axes: Axes, blocks: list[tuple[str, int]]) -> None:
    ends = np.cumsum([size for _, size in blocks])
    for end in ends[:-1] - 0.5:
        axes.axhline(end, color="white", linewidth=1.2)
        axes.axvline(end, color="white", linewidth=1.2)
    middles = ends - np.array([size for _, size in blocks]) / 2 - 0.5
    labels = [_plain(name) for name, _ in blocks]
    few = len(blocks) <= 6
    axes.set_xticks(middles, labels, rotation=0 if few else 90)
    axes.set_yticks(middles, labels)
    axes.tick_params(length=0, labelsize=11 if few else min(7, 270 / len(blocks)))
    axes.spines[:].set_visible(False)


def _plain(text: str) -> str:
    # A dollar sign would start a formula.
    return text.replace("$", r"\$")

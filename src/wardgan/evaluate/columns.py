"""Wide tables as plain arrays: one array for each column, numbers or text, two tables side by side, or in bins."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import DataError

Table: TypeAlias = pd.DataFrame | NDArray[np.float64]
Columns: TypeAlias = dict[str, NDArray[Any]]
Codes: TypeAlias = NDArray[np.int64]

VISIT_MARK: Final = "@"


def columns(frame: Table) -> Columns:
    """Gives each column as an array of shape (patients,).

    Numbers, flags and dates (as days since 1970) become float64 with NaN for missing and infinite values, everything
    else becomes object with None for missing values.

    Raises:
        DataError: Two columns have the same name.

    Example:
        >>> columns(pd.DataFrame({"sbp": [120, 130], "sex": ["f", None]}))
        {'sbp': array([120., 130.]), 'sex': array(['f', None], dtype=object)}
    """
    table = pd.DataFrame(frame)
    names = [str(name) for name in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)}: columns with the same name. Rename one of each.")
    return {name: _array(table.iloc[:, place]) for place, name in enumerate(names)}


def numbers(table: Columns) -> Columns:
    """Gives the numeric ones of the columns."""
    return {name: column for name, column in table.items() if is_number(column)}


def is_number(column: NDArray[Any]) -> bool:
    """Tells whether a column from `columns` holds numbers."""
    return column.dtype == np.float64


def missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Gives where a column from `columns` has no value; shape (patients,)."""
    return np.asarray(pd.isna(column), dtype=bool)


def level_name(level: object) -> str:
    """Gives a class as people write it: whole numbers without a decimal point.

    Example:
        >>> level_name(1.0), level_name("intensive")
        ('1', 'intensive')
    """
    return f"{level:g}" if isinstance(level, float) else str(level)


def paired(real: Table, synthetic: Table, *, names: tuple[str, str] = ("real", "synthetic")) -> tuple[Columns, Columns]:
    """Gives both tables with the columns of the first one, in its order and of its kinds.

    Args:
        real: Table of shape (patients, columns).
        synthetic: Table with at least the same columns, in any order. A column without any value is taken for
            the kind that it has in `real`.
        names: What the tables are called in messages.

    Raises:
        DataError: A table is empty, or a column is missing or of another kind in the second table.
    """
    ours, theirs = columns(real), columns(synthetic)
    for name, table in zip(names, (ours, theirs), strict=True):
        if not any(column.size for column in table.values()):
            raise DataError(f"{name} is empty. Pass a table with at least one patient and one column.")
    absent = ", ".join(name for name in ours if name not in theirs)
    if absent:
        raise DataError(f"{absent}: columns of {names[0]} that {names[1]} lacks. Pass tables with the same columns.")
    mixed = ", ".join(name for name, column in ours.items() if _differ(column, theirs[name]))
    if mixed:
        raise DataError(f"{mixed}: numbers in one of {' and '.join(names)}, text in the other. Convert one of them.")
    return ours, {name: _as(column, theirs[name]) for name, column in ours.items()}


def binned(ours: NDArray[Any], theirs: NDArray[Any], bins: int) -> tuple[Codes, Codes]:
    """Gives two samples of one column as bin numbers from 0 to bins + 1; the bins are made from the first sample.

    Numbers with more than `bins` distinct values get bins with equal shares of the first sample. Of other columns
    the `bins` most frequent values have a bin each, and all further values share bin `bins`. Missing values are
    in bin `bins` + 1.

    Args:
        ours: Column of shape (patients,) as given by `columns`.
        theirs: Column of the same kind, of any length.
        bins: How many bins, at least 1.

    Example:
        >>> binned(np.array([1.0, 1.0, 2.0]), np.array([2.0, 7.0, np.nan]), 4)
        (array([0, 0, 1]), array([1, 4, 5]))
    """
    check.whole(1, bins=bins)
    present = ours[~missing(ours)]
    if is_number(ours) and np.unique(present).size > bins:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1]))
        one, two = (np.searchsorted(edges, column, side="right") for column in (ours, theirs))
    else:
        levels = pd.Index(pd.Series(present).value_counts().index[:bins])
        one, two = (np.asarray(levels.get_indexer(pd.Index(column))) for column in (ours, theirs))
    return _marked(one, ours, bins), _marked(two, theirs, bins)


def visit_columns(frame: Table, variable: str) -> dict[str, str]:
    """Gives the columns of one repeated measure as visit -> column, in their order.

    Args:
        frame: Wide table with columns such as `sbp@3M`.
        variable: What is written before the mark, such as `sbp`.

    Example:
        >>> visit_columns(pd.DataFrame(columns=["age", "sbp@RZ", "sbp@1M"]), "sbp")
        {'RZ': 'sbp@RZ', '1M': 'sbp@1M'}
    """
    start = variable + VISIT_MARK
    names = [str(name) for name in pd.DataFrame(frame).columns]
    return {name.removeprefix(start): name for name in names if name.startswith(start)}


def _array(series: pd.Series) -> NDArray[Any]:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        # In the unit of the column: counted in nanoseconds, dates before 1678 and after 2262 do not exist.
        series = (series - pd.Timestamp(0, tz=series.dt.tz).as_unit(series.dt.unit)) / pd.Timedelta(days=1)
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_complex_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan)
    values = series.astype(object).to_numpy(dtype=object, copy=True)
    values[series.isna().to_numpy()] = None
    return values


def _differ(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    return is_number(ours) != is_number(theirs) and not missing(theirs).all()


def _as(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
    return theirs if is_number(ours) == is_number(theirs) else np.full(theirs.shape, None).astype(ours.dtype)


def _marked(places: Codes, column: NDArray[Any], bins: int) -> Codes:
    return np.where(missing(column), bins + 1, np.where(places < 0, bins, places))

"""Whether synthetic patients are possible: rules of the schema, and levels that never go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.errors import DataError
from wardgan.estimate import Estimate, proportion
from wardgan.evaluate.columns import Codes, is_number, level_name, missing, paired
from wardgan.evaluate.record import Beside, beside, plain_fields
from wardgan.schema.cohort import Cohort
from wardgan.schema.read import broken_rules

EXPECTED: Final = 10
LEVELS: Final = 30
SHOWN: Final = 20


@dataclass(frozen=True)
class RuleKept:
    """How many patients break one rule.

    Attributes:
        rule: The rule as written in the schema.
        real: Share of the real patients who break it.
        synthetic: Share of the synthetic ones; the baseline is the real one.
        holdout: Share of the hold-out.
        impossible: Whether synthetic patients break it and no real one does, in the hold-out neither.
    """

    rule: str
    real: Estimate
    synthetic: Estimate
    holdout: Estimate | None
    impossible: bool


@dataclass(frozen=True)
class Obedience:
    """How many patients break the rules of a schema.

    Attributes:
        rules: Each rule, in order.
        impossible: Share of the synthetic patients who break a rule that no real patient breaks. `None` without rules.
    """

    rules: tuple[RuleKept, ...]
    impossible: Estimate | None

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


@dataclass(frozen=True)
class Combination:
    """Two levels that go together in synthetic patients and in no real one.

    Attributes:
        columns: The two columns.
        levels: Their levels.
        expected: In how many real patients they would meet if the columns had nothing to do with each other.
        synthetic: Share of the synthetic patients who have both.
    """

    columns: tuple[str, str]
    levels: tuple[str, str]
    expected: float
    synthetic: Estimate


@dataclass(frozen=True)
class UnseenCombinations:
    """Pairs of levels that no real patient has though one would expect them.

    Attributes:
        patients: Share of the synthetic patients who have at least one of them, beside the hold-out's.
        pairs: The most frequent ones, at most 20.
        watched: How many pairs of levels were watched.
    """

    patients: Beside
    pairs: tuple[Combination, ...]
    watched: int

    def to_dict(self) -> dict[str, object]:
        """Gives the fields as plain values for JSON."""
        return plain_fields(self)


def rules_kept(real: Cohort, synthetic: Cohort, holdout: Cohort | None = None) -> Obedience:
    """Counts the patients who break each rule of the schema: real, synthetic and hold-out ones.

    A rule is broken only by what is certain: missing cells neither excuse nor accuse (see `schema.rules`). A patient
    with visits breaks a rule if one visit does.

    Args:
        real: Real patients; their schema's rules count.
        synthetic: Synthetic patients with the same rules.
        holdout: Other real patients.

    Raises:
        DataError: A cohort has no patient, or another has other rules.
    """
    cohorts = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    rules = [rule.text for rule in real.schema.rules]
    for name, cohort in cohorts.items():
        if not len(cohort):
            raise DataError(f"{name} is empty. Pass a cohort with at least one patient.")
        if [rule.text for rule in cohort.schema.rules] != rules:
            raise DataError(f"{name}: its schema has other rules than that of real. Read both with the same schema.")
    broken = {name: broken_rules(cohort) for name, cohort in cohorts.items()}
    rows: list[RuleKept] = []
    wrong = np.zeros(len(synthetic), dtype=bool)
    for at, rule in enumerate(rules):
        counts = {name: int(masks[at].sum()) for name, masks in broken.items()}
        shares = {name: proportion(count, len(cohorts[name])) for name, count in counts.items()}
        impossible = counts["synthetic"] > 0 and not counts["real"] and not counts.get("holdout", 0)
        made = replace(shares["synthetic"], baseline=shares["real"].value)
        rows.append(RuleKept(rule, shares["real"], made, shares.get("holdout"), impossible))
        if impossible:
            wrong |= broken["synthetic"][at]
    return Obedience(tuple(rows), proportion(int(wrong.sum()), len(wrong)) if rules else None)


def unseen_combinations(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None = None
) -> UnseenCombinations:
    """Finds levels that go together in synthetic patients though no real patient has both and one would expect them.

    Watched are the pairs of levels of different columns that 10 or more real patients would have if the columns had
    nothing to do with each other, and that none of them has: such as a pregnancy and a man. That nobody has both can be
    chance, so read the share beside that of the hold-out. Columns of text and numbers with two values count, with at
    most 30 levels; a missing cell is a level.

    Args:
        real: Wide table of real patients.
        synthetic: Wide table with the same columns.
        holdout: Other real patients with the same columns.

    Raises:
        DataError: A table is empty, or lacks a column or has another kind.

    Example:
        >>> real = pd.DataFrame({"sex": ["f", "m"] * 50, "pregnant": ["yes", "no", "no", "no"] * 25})
        >>> made = pd.DataFrame({"sex": ["m"] * 4, "pregnant": ["yes", "no", "no", "no"]})
        >>> found = unseen_combinations(real, made)
        >>> print(found.patients, found.pairs[0].levels, found.watched)
        0.250 [0.046, 0.699] ('m', 'yes') 1
    """
    frames = {"synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    coded = {name: _coded(real, frame, name) for name, frame in frames.items()}
    levels, ours, _ = coded["synthetic"]
    bad = {name: np.zeros(len(frame), dtype=bool) for name, frame in frames.items()}
    found: list[Combination] = []
    watched = 0
    for one, two in combinations(levels, 2):
        size = len(levels[two]) + 1
        counts, expected = _table(ours[one], ours[two], len(levels[one]) + 1, size)
        never = (counts == 0) & (expected >= EXPECTED)
        watched += int(never.sum())
        cells = {name: table[one] * size + table[two] for name, (_, _, table) in coded.items()}
        for name, cell in cells.items():
            bad[name] |= never.ravel()[cell]
        for cell in np.flatnonzero(never.ravel() & (np.bincount(cells["synthetic"], minlength=never.size) > 0)):
            share = proportion(int((cells["synthetic"] == cell).sum()), len(synthetic))
            names = (levels[one][cell // size], levels[two][cell % size])
            found.append(Combination((one, two), names, float(expected.ravel()[cell]), share))
    found.sort(key=lambda each: -each.synthetic.value)
    shares = {name: proportion(int(who.sum()), who.size) for name, who in bad.items()}
    return UnseenCombinations(beside(shares["synthetic"], shares.get("holdout")), tuple(found[:SHOWN]), watched)


def _coded(
    real: pd.DataFrame, other: pd.DataFrame, name: str
) -> tuple[dict[str, list[str]], Mapping[str, Codes], Mapping[str, Codes]]:
    """Gives the levels of each column that counts, and both tables as numbers of levels; new ones share one."""
    ours, theirs = paired(real, other, names=("real", name))
    levels = {column: known for column, values in ours.items() if (known := _levels(values)) is not None}
    tables = [{column: _numbers(table[column], known) for column, known in levels.items()} for table in (ours, theirs)]
    names = {
        column: ["missing" if level is None else level_name(level) for level in known]
        for column, known in levels.items()
    }
    return names, tables[0], tables[1]


def _levels(column: NDArray[np.object_] | NDArray[np.float64]) -> list[object] | None:
    known = pd.Series(column).dropna().unique().tolist()
    most = 2 if is_number(column) else LEVELS
    if not 1 <= len(known) <= most:
        return None
    return [*sorted(known, key=level_name), *([None] if missing(column).any() else [])]


def _numbers(column: NDArray[np.object_] | NDArray[np.float64], levels: list[object]) -> Codes:
    found = np.full(column.size, len(levels), dtype=np.int64)
    for at, level in enumerate(levels):
        found[missing(column) if level is None else np.asarray(column == level, dtype=bool)] = at
    return found


def _table(one: Codes, two: Codes, rows: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives how many patients have each pair of levels, and how many would by chance alone."""
    counts = np.bincount(one * width + two, minlength=rows * width).reshape(rows, width).astype(np.float64)
    return counts, counts.sum(axis=1)[:, None] * counts.sum(axis=0)[None, :] / counts.sum()

"""Shapes that are easily lost: of small classes, panels of tests, rare events, and levels that most lose to a rule.

    python benchmarks/shapes.py           # about ten minutes, nearly all of them for tabgan

Four kinds of simulated cohorts. What is asked is a share of the patients of one class, or of all.

* A label with three levels, `well`, `sick` (15 %) and `rare` (40 or 3 patients; if 0, there is no such level), a
  number and a code. In some classes the number has two humps, at 30 and at 70, and hardly anybody is between 40 and 60;
  in the others it has one, at 50. 52 % of those with two humps have one of 40 codes, the usual one.
* A panel of four laboratory values, missing for 30 % of patients, always together.
* A time to an event of three levels: patients die, or are censored on the last day; 20 have a transplant before.
* Pregnancy in women below the age of 45, with and without the rules that say so, beside twelve other numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import wardgan as wg
from common import markdown, repeated, save

REPEATS, DRAWN = 8, 50_000
EPSILONS = (1.0, 3.0, None)
PATIENTS, MANY = 4_000, 6_000
CODES = [f"c{at:02d}" for at in range(40)]
USUAL, SHARE = CODES[20], 0.52
LABS = [f"lab{at}" for at in range(4)]
LAST, TRANSPLANTS = 1095, 20
YOUNG = 45
SEX, AGE = 'if sex == "male" then pregnant == false', f"if age >= {YOUNG} then pregnant == false"
RULES = {"no rule": [], "a rule on sex": [SEX], "a rule on age": [AGE], "both rules": [SEX, AGE]}


@dataclass(frozen=True)
class Share:
    """A share of patients.

    Attributes:
        name: What they have.
        having: Tells for each patient of a table whether they have it.
        of: Label and level of those of whom it is a share; `None` for all patients.
    """

    name: str
    having: Callable[[pd.DataFrame], np.ndarray]
    of: tuple[str, str] | None = None


@dataclass(frozen=True)
class Cohort:
    """A kind of simulated patients, and what is asked of them.

    Attributes:
        name: For the table of results.
        schema: Without its name.
        patients: Gives patients of a seed.
        shares: What is asked.
    """

    name: str
    schema: dict[str, object]
    patients: Callable[[int], pd.DataFrame]
    shares: tuple[Share, ...]


def main() -> None:
    """Prints the table."""
    asked = repeated(__doc__, REPEATS)
    beside, together = classes(3, {"sick"}), panel()
    cohorts = [
        classes(40, {"rare"}),
        classes(3, {"rare"}),
        classes(40, {"well", "sick"}),
        classes(0, {"sick"}),
        classes(40, {"sick"}),
        beside,
    ]
    cohorts += [together, event(), *(pregnancy(name) for name in RULES)]
    runs = [(cohort, "copula") for cohort in cohorts] + [(beside, "tabgan"), (together, "tabgan")]
    rows = [row for cohort, family in runs for row in _rows(cohort, family, asked.repeats)]
    print(markdown(rows))
    print(save("shapes", rows, asked.out, repeats=asked.repeats, drawn=DRAWN))


def _rows(cohort: Cohort, family: str, repeats: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"cohort": cohort.name, "family": family, "of": share.of[1] if share.of else "all", "share": share.name}
        for share in cohort.shares
    ]
    for epsilon in EPSILONS:
        found = np.array([_shares(cohort, family, epsilon, repeat) for repeat in range(repeats)])
        label = "none" if epsilon is None else f"{epsilon:g}"
        for row, pairs in zip(rows, found.transpose(1, 0, 2), strict=True):
            row["real"] = f"{pairs[:, 0].mean():.4f}"
            row[f"epsilon {label}"] = f"{pairs[:, 1].mean():.4f} ± {pairs[:, 1].std(ddof=1):.4f}"
    return rows


def _shares(cohort: Cohort, family: str, epsilon: float | None, repeat: int) -> list[tuple[float, float]]:
    real = cohort.patients(repeat)
    schema = wg.Schema.from_dict({"name": "shapes", **cohort.schema})
    budget = None if epsilon is None else wg.Budget(epsilon=epsilon)
    made = wg.fit(wg.read(real, schema), budget, family=family, privacy="none" if budget is None else "private")
    found: list[tuple[float, float]] = []
    for share in cohort.shares:
        mine = real if share.of is None else real.loc[real[share.of[0]] == share.of[1]]
        drawn = made.generator.sample(DRAWN, where=dict([share.of]) if share.of else None, seed=repeat)
        found.append((float(share.having(mine).mean()), float(share.having(drawn).mean())))
    return found


def classes(rare: int, humped: set[str]) -> Cohort:
    """Gives a cohort with a small class.

    Args:
        rare: How many patients the small class has; with none, there is no such class.
        humped: Classes whose number has two humps, and who often have the same code.
    """

    def patients(seed: int) -> pd.DataFrame:
        numbers = np.random.default_rng(seed)
        state = np.where(numbers.random(PATIENTS) < 0.15, "sick", "well")
        state[:rare] = "rare"
        two = np.isin(state, list(humped))
        x = np.where(two, numbers.choice([30, 70], PATIENTS), 50) + numbers.normal(0, np.where(two, 3, 8))
        others = numbers.choice([code for code in CODES if code != USUAL], PATIENTS)
        usual = numbers.random(PATIENTS) < np.where(two, SHARE, 1 / len(CODES))
        return pd.DataFrame({
            "state": state, "x": x.clip(0, 100).round(1), "code": np.where(usual, USUAL, others),
            "z": numbers.normal(0, 1, PATIENTS).clip(-6, 6).round(2), "smoker": numbers.random(PATIENTS) < 0.5,
        })  # fmt: skip

    table = {
        "state": {"kind": "category", "levels": ["well", "sick", "rare"][: 3 if rare else 2], "label": True},
        "x": {"kind": "number", "low": 0, "high": 100, "decimals": 1},
        "code": {"kind": "category", "levels": CODES},
        "z": {"kind": "number", "low": -6, "high": 6, "decimals": 2},
        "smoker": {"kind": "flag"},
    }
    of = ("state", "sick" if humped == {"sick"} else "rare")
    shares = (
        Share("in the middle", lambda frame: np.abs(_numbers(frame, "x") - 50) <= 10, of),
        Share("with the usual code", lambda frame: np.asarray(frame["code"]) == USUAL, of),
    )
    name = f"two humps in the {' and '.join(sorted(humped))}; {rare} are rare"
    return Cohort(name, {"population": PATIENTS, "table": table}, patients, shares)


def panel() -> Cohort:
    """Gives a cohort in which laboratory values are missing together."""

    def patients(seed: int) -> pd.DataFrame:
        numbers = np.random.default_rng(seed)
        gone = numbers.random(PATIENTS) < 0.3
        labs = {lab: np.where(gone, np.nan, numbers.normal(50, 10, PATIENTS).clip(0, 100).round()) for lab in LABS}
        return pd.DataFrame({"arm": np.where(numbers.random(PATIENTS) < 0.3, "a", "b"), **labs})

    table: dict[str, object] = {"arm": {"kind": "category", "levels": ["a", "b"], "label": True}}
    table |= {lab: {"kind": "integer", "low": 0, "high": 100, "nullable": True} for lab in LABS}
    shares = (
        Share("with a part of the panel", lambda frame: np.isin(_missing(frame), range(1, len(LABS)))),
        Share("without the panel", lambda frame: _missing(frame) == len(LABS)),
    )
    return Cohort("panel of four values", {"population": PATIENTS, "table": table}, patients, shares)


def event() -> Cohort:
    """Gives a cohort with a time to an event of which one level is rare."""

    def patients(seed: int) -> pd.DataFrame:
        numbers = np.random.default_rng(seed)
        times = numbers.exponential(900, PATIENTS)
        end = np.where(times < LAST - 0.5, "died", "censored").astype(object)
        end[np.flatnonzero(end == "died")[:TRANSPLANTS]] = "transplant"
        return pd.DataFrame({
            "arm": numbers.choice(["a", "b"], PATIENTS), "days": times.clip(0, LAST).round().astype(int), "end": end,
            "age": numbers.normal(60, 10, PATIENTS).clip(0, 110).round(),
        })  # fmt: skip

    ends = ["transplant", "died", "censored"]
    table = {
        "arm": {"kind": "category", "levels": ["a", "b"]},
        "days": {"kind": "integer", "low": 0, "high": LAST},
        "end": {"kind": "category", "levels": ends},
        "age": {"kind": "integer", "low": 0, "high": 110},
    }
    shares = tuple(
        Share("on the last day", lambda frame: _numbers(frame, "days") == LAST, ("end", end)) for end in ends
    )
    schema = {"population": PATIENTS, "table": table, "events": {"time": "days", "event": "end"}}
    return Cohort(f"{TRANSPLANTS} of a third event", schema, patients, shares)


def pregnancy(rules: str) -> Cohort:
    """Gives a cohort with a rare level that most patients would lose to a rule.

    Args:
        rules: Name of the rules.
    """

    def patients(seed: int) -> pd.DataFrame:
        numbers = np.random.default_rng(seed)
        sick, woman = numbers.random(MANY) < 0.12, numbers.random(MANY) < 0.55
        age = numbers.normal(60 + 8 * sick, 15).clip(18, 100).round()
        return pd.DataFrame({
            "outcome": np.where(sick, "sick", "well"), "age": age, "sex": np.where(woman, "female", "male"),
            "pregnant": woman & (age < YOUNG) & (numbers.random(MANY) < 0.2),
            **{f"x{at}": numbers.normal(50, 10, MANY).clip(0, 100).round() for at in range(12)},
        })  # fmt: skip

    table = {
        "outcome": {"kind": "category", "levels": ["well", "sick"], "label": True},
        "age": {"kind": "integer", "low": 18, "high": 110},
        "sex": {"kind": "category", "levels": ["female", "male"]},
        "pregnant": {"kind": "flag"},
        **{f"x{at}": {"kind": "integer", "low": 0, "high": 100} for at in range(12)},
    }
    schema = {"population": MANY, "table": table, "rules": RULES[rules]}
    share = Share("pregnant", lambda frame: _numbers(frame, "pregnant") == 1)
    return Cohort(f"pregnancy, {rules}", schema, patients, (share,))


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(dtype=np.float64)


def _missing(frame: pd.DataFrame) -> np.ndarray:
    return frame[LABS].isna().to_numpy().sum(axis=1)


if __name__ == "__main__":
    main()
